"""Beside the stages: what `-e` reports of symbols (contract 4, "Places") and of doubled aliases `-w`."""

from __future__ import annotations

from ..errors import Error
from ..formats.symbols import exports, needs
from ..records import Record
from ..state.modulefile import ModuleFile
from .extract import INFOS, NEEDS, WEAK
from .render import normal_aliases
from .resolve import ALWAYS_KNOWN, look_up_names, split
from .symbol_numbers import numbers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from .extract import Facts
    from .pipeline import Inputs
    from .resolve import KernelSymbols, Resolution


class SymbolProblem(Record):
    """A symbol that the module (a position) needs and nobody has, or has in another version."""

    module: int
    symbol: bytes
    unknown: bool


def symbol_problems(
    inputs: Inputs, facts: Sequence[Facts], resolution: Resolution, kernel: KernelSymbols, prefix: bytes, versions: bool
) -> Iterator[SymbolProblem]:
    """Needed symbols, weak ones aside, that neither a module nor the kernel has; with `versions` also disagreeing CRCs.

    The facts hold no CRCs: for these all module files are read once more.
    """
    crcs = _Versions(inputs, kernel, prefix)
    wanted_names = look_up_names(resolution.names, prefix)
    for position, fact in enumerate(facts):
        weak = frozenset(split(fact[WEAK]))
        wanted_crcs = crcs.needed_by(position) if versions else {}
        for number in numbers_of(fact[NEEDS]):
            name, wanted = resolution.names[number], wanted_names[number]
            if wanted in ALWAYS_KNOWN or name in weak:
                continue
            owner = resolution.owners.get(wanted)
            if owner is None and wanted not in kernel:
                yield SymbolProblem(position, name, True)
            elif versions and wanted_crcs.get(name, 0) != crcs.of(wanted, owner):
                yield SymbolProblem(position, name, False)


class _Versions:
    """CRCs of symbols by module, read from the files on demand."""

    def __init__(self, inputs: Inputs, kernel: KernelSymbols, prefix: bytes) -> None:
        self._prefix = prefix
        self._inputs = inputs
        self._kernel = kernel
        self._exported: dict[int, Mapping[bytes, int]] = {}

    def needed_by(self, position: int) -> dict[bytes, int]:
        """The CRC that a module expects of each symbol it needs; 0 where it records none."""
        try:
            with ModuleFile(self._path(position)) as module:
                return {need.name: need.crc or 0 for need in needs(module.elf)}
        except (Error, OSError):
            return {}

    def of(self, symbol: bytes, owner: int | None) -> int:
        """The CRC of a symbol of a module, or of the kernel's."""
        if owner is None:
            return self._kernel[symbol]
        if owner not in self._exported:
            self._exported[owner] = self._exports(owner)
        return self._exported[owner].get(symbol, 0)

    def _exports(self, position: int) -> dict[bytes, int]:
        try:
            with ModuleFile(self._path(position)) as module:
                return {export.name.removeprefix(self._prefix): export.crc for export in exports(module.elf)}
        except (Error, OSError):
            return {}

    def _path(self, position: int) -> str:
        return self._inputs.full_path(self._inputs.paths[position])


def first_needs(facts: Sequence[Facts], resolution: Resolution, prefix: bytes) -> Iterator[tuple[int, bytes, int]]:
    """Module, symbol, owner: for each dependency the first symbol that makes it one. Modules are positions."""
    names = look_up_names(resolution.names, prefix)
    for position, fact in enumerate(facts):
        seen = set()
        for name in map(names.__getitem__, numbers_of(fact[NEEDS])):
            owner = resolution.owners.get(name)
            if owner is not None and owner not in seen:
                seen.add(owner)
                yield position, name, owner


def doubled_aliases(inputs: Inputs, facts: Sequence[Facts]) -> Iterator[tuple[bytes, bytes]]:
    """Normalised alias and module, each time that one module has the same alias again."""
    for name, fact in zip(inputs.names, facts, strict=True):
        infos = fact[INFOS]
        if infos.count(b"alias=") < 2:
            continue
        seen = set()
        for alias in normal_aliases(infos, []):
            if alias in seen:
                yield alias, name
            seen.add(alias)
