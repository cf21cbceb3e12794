# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small base for value classes, so that they need neither `dataclasses` nor `collections` (15 and 2 ms to import)."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, ClassVar, NoReturn, Self, dataclass_transform
else:

    def dataclass_transform(**_options):
        """Stand in for typing's, which costs 10 ms and has no effect at run time."""
        return lambda cls: cls


class _Signature:
    """Makes a class's `__signature__` when `inspect` asks for it, since importing `inspect` costs 15 ms."""

    def __get__(self, _record: Record | None, owner: type[Record]) -> object:
        from inspect import Parameter, Signature

        return Signature(
            [
                Parameter(
                    name,
                    Parameter.POSITIONAL_OR_KEYWORD,
                    default=getattr(owner, name, Parameter.empty),
                    annotation=_annotation(owner, name),
                )
                for name in owner.__match_args__
            ]
        )


# It keeps a record half as large as one whose __dict__ was asked for, which a module with hundreds of strings notices.
_set = object.__setattr__
_setter_of = _set.__get__


@dataclass_transform(eq_default=True, frozen_default=True)
class Record:
    """A value with named fields that cannot be changed.

    The fields are the names annotated in the class body, in that order. A class attribute is a default. A record can be
    hashed if all its values can.
    """

    __match_args__: ClassVar[tuple[str, ...]] = ()
    _least: ClassVar[int] = 0  # values by position, from the first, that leave no field without a value
    if not TYPE_CHECKING:
        __signature__ = _Signature()

    def __init_subclass__(cls) -> None:
        own = (name for name in cls.__annotations__ if not name.startswith("_"))
        fields = cls.__match_args__ + tuple(own)
        cls.__match_args__ = fields  # type: ignore[misc]
        cls._least = max([place for place, name in enumerate(fields, 1) if not hasattr(cls, name)], default=0)

    def __init__(self, *values: Any, **named: Any) -> None:
        fields = self.__match_args__
        if not named and len(fields) >= len(values) >= self._least:
            any(map(_setter_of(self), fields, values))  # a loop in C, as setting is never true
            return
        if len(values) > len(fields):
            raise TypeError(f"{type(self).__name__} takes {len(fields)} values, not {len(values)}")
        state = dict(zip(fields, values, strict=False))
        if not state.keys().isdisjoint(named):
            raise TypeError(f"{type(self).__name__} got two values for {', '.join(state.keys() & named.keys())}")
        state.update(named)
        for name in fields:
            if name not in state and not hasattr(type(self), name):
                raise TypeError(f"{type(self).__name__} needs a value for {name}")
        if len(state) > len(fields) or not state.keys() <= set(fields):
            raise TypeError(f"{type(self).__name__} has no field named {', '.join(state.keys() - set(fields))}")
        for name, value in state.items():
            _set(self, name, value)

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed; replace({name}=...) makes a changed copy")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def as_dict(self) -> dict[str, Any]:
        """Return all fields by name, in order, as values that `json.dumps` takes.

        Records within become dictionaries, sequences become lists, and bytes become hexadecimal text.
        """
        return {name: plain_value(getattr(self, name)) for name in self.__match_args__}

    def to_json(self) -> str:
        """Return the record as one JSON object, as docs/json.md describes it.

        Integers beyond 2^53, which JSON readers round, become text like "0xffffffffc0000000".
        """
        from .json_text import render

        return render(self.as_dict())

    def to_json_line(self) -> str:
        """Return what `to_json` does in one line, for streams of records."""
        from .json_text import render_line

        return render_line(self.as_dict())

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed."""
        return type(self)(**{**{name: getattr(self, name) for name in self.__match_args__}, **changes})

    __replace__ = replace  # what `copy.replace` calls, from Python 3.13 on

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        return hash(tuple([getattr(self, name) for name in self.__match_args__]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in self.__match_args__)})"


def _annotation(owner: type[Record], name: str) -> object:
    """Return the annotation of a field as it stands in the source: text."""
    return next(vars(base)["__annotations__"][name] for base in owner.__mro__ if name in vars(base)["__annotations__"])


def plain_value(value: object) -> object:
    """Return a value made of dictionaries, lists, text and numbers alone."""
    if isinstance(value, Record):
        return value.as_dict()
    if isinstance(value, (list, tuple)):
        return [plain_value(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted(plain_value(item) for item in value)  # type: ignore[type-var]
    if isinstance(value, dict) or hasattr(value, "items"):  # a `FrozenDict`
        return {key: plain_value(item) for key, item in value.items()}
    return value.hex() if isinstance(value, bytes) else value
