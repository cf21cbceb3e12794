# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a run is to find out about the modules besides their indexes, and what it found."""

from __future__ import annotations

from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .kernel_symbols import KernelSymbols


class Checks(Record):
    """What is to be found out besides the indexes.

    `kernel`: the kernel's own symbols, if they are known, from `kernel_file`: then it is found out which symbols nobody
    has. `symbols` reports each of them, with `versions` also symbols of another version. `aliases` reports doubled
    aliases. `uses` reports which module needs which, and for what symbol.
    """

    kernel: KernelSymbols | None = None
    kernel_file: str | None = None
    symbols: bool = False
    versions: bool = False
    aliases: bool = False
    uses: bool = False

    @property
    def are_any(self) -> bool:
        """Whether anything is to be found out."""
        return self.kernel is not None or self.aliases or self.uses

    @property
    def want_versions(self) -> bool:
        """Whether the versions of symbols matter."""
        return self.kernel is not None and self.versions

    @property
    def want_order(self) -> bool:
        """Whether the order of each module's symbols matters."""
        return self.symbols or self.uses


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
