"""A small base for value classes, so that they need neither `dataclasses` nor `collections` (15 and 2 ms to import)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Stand in for typing's, which costs 10 ms and has no effect at run time."""
        return lambda cls: cls


@dataclass_transform(eq_default=True)
class Record:
    """A value with named fields: those annotated in the class body, in that order; a class attribute is a default."""

    _fields: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = (name for name in cls.__annotations__ if not name.startswith("_"))
        cls._fields = cls._fields + tuple(own)

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self._fields
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, not {len(values)}")
        state = dict(zip(fields, values, strict=False))
        state.update(named)
        for name in fields:
            if name not in state and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs a value for {name}")
        if len(state) > len(fields) or not state.keys() <= set(fields):
            raise TypeError(f"{type(self).__name__} has no field named {', '.join(state.keys() - set(fields))}")
        self.__dict__.update(state)

    def as_dict(self) -> dict[str, Any]:
        """All fields by name, in order."""
        return {name: getattr(self, name) for name in self._fields}

    def replace(self, **changes: Any) -> Self:
        """A copy with some fields changed."""
        return type(self)(**{**self.as_dict(), **changes})

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.as_dict() == other.as_dict()

    def __hash__(self) -> int:
        return hash(tuple([tuple(value) if isinstance(value, list) else value for value in self.as_dict().values()]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.as_dict().items())})"
