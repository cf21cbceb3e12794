"""What a run finds out about the modules beside their indexes."""

from __future__ import annotations

from ..records import Record


class UnresolvedSymbol(Record):
    """A symbol that neither a module nor the kernel has, and the names of the modules that need it."""

    symbol: str
    modules: tuple[str, ...]


class BrokenModule(Record):
    """A file that is no readable module: the error as the system words it, and more precisely."""

    path: str
    error: str
    reason: str


class Findings:
    """What was found so far; `unresolved` is None while the kernel's own symbols are not known."""

    def __init__(self) -> None:
        self.broken: list[BrokenModule] = []
        self.unresolved: list[UnresolvedSymbol] | None = None
