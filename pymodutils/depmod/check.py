# SPDX-License-Identifier: LGPL-2.1-or-later
"""Apart from the stages: report missing symbols (-e), doubled aliases (-w), and which module needs which (-v).

Source: docs/behaviour/4-depmod.md, "Places".
"""

from __future__ import annotations

from contextlib import suppress

from ..diagnostics import NOTE, WARNING, Diagnostic
from ..errors import Error
from ..names import decode
from ..records import Record
from ..state.modulefile import ModuleFile, elf_of
from .findings import UnresolvedSymbol
from .render import normal_aliases
from .resolve import ALWAYS_KNOWN, look_up_names, split_names
from .symbol_ids import unpack_ids
from .versions import versions_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .facts import ModuleFacts
    from .findings import Checks, Findings
    from .inputs import Inputs
    from .kernel_symbols import KernelSymbols
    from .resolve import Resolution
    from .versions import Versions


class SymbolProblem(Record):
    """A symbol that the module (a position) needs and nobody has, or has in another version."""

    module: int
    symbol: bytes
    unknown: bool


def run_checks(
    checks: Checks, findings: Findings, inputs: Inputs, facts: Sequence[ModuleFacts], resolution: Resolution,
    prefix: bytes, versions: dict[int, Versions],
) -> Iterator[Diagnostic]:  # fmt: skip
    """Do what is wanted: yield what is to be reported, and add to `findings` what was found out.

    `versions` are those of symbols in modules that were read already.
    """
    if checks.uses:
        paths = [inputs.full_path(path) for path in inputs.paths]
        for user, name, owner in first_needs(facts, resolution, prefix):
            symbol, module = decode(name), decode(inputs.names[user])
            text = f'needs "{symbol}": {paths[owner]}'
            yield Diagnostic("symbol-use", NOTE, text, module=module, file=paths[user], subject=symbol)
    if checks.kernel is not None:
        yield from _check_symbols(checks, checks.kernel, findings, inputs, facts, resolution, prefix, versions)
    if checks.aliases:
        for alias, owner_name in doubled_aliases(inputs, facts):
            text, module = "duplicate module alias", decode(owner_name)
            yield Diagnostic("duplicate-alias", WARNING, text, module=module, subject=decode(alias))


def _check_symbols(
    checks: Checks, kernel: KernelSymbols, findings: Findings, inputs: Inputs, facts: Sequence[ModuleFacts],
    resolution: Resolution, prefix: bytes, versions: dict[int, Versions],
) -> Iterator[Diagnostic]:  # fmt: skip
    # Where the file with the kernel's symbols has nothing to do with these modules, that is said once.
    wanted = _Versions(inputs, kernel, prefix, versions) if checks.versions else None
    problems = list(symbol_problems(facts, resolution, kernel, prefix, wanted))
    needed = {name for name in look_up_names(resolution.names, prefix) if name}
    unknown = {item.symbol for item in problems if item.unknown}
    if len(unknown) > MANY and needed.isdisjoint(kernel.keys()):
        text = "has none of the symbols that modules need"
        yield Diagnostic("no-needed-symbols", WARNING, text, file=checks.kernel_file)
        return
    wrong = {item.symbol for item in problems if not item.unknown}
    text = "has another version of every symbol that modules need"
    if len(wrong) > MANY and wrong.issuperset(needed.intersection(kernel)):
        yield Diagnostic("other-symbol-versions", WARNING, text, file=checks.kernel_file)
        problems = [item for item in problems if item.unknown]
    missing: dict[str, list[str]] = {}
    for item in problems:
        if item.unknown:
            missing.setdefault(decode(item.symbol), []).append(decode(inputs.names[item.module]))
        if checks.symbols:
            yield _symbol_diagnostic(item, inputs)
    findings.unresolved = [UnresolvedSymbol(name, tuple(modules)) for name, modules in sorted(missing.items())]


MANY = 20
"""Symbols that are reported one by one at least, before one cause is looked for."""


def _symbol_diagnostic(problem: SymbolProblem, inputs: Inputs) -> Diagnostic:
    code, text = "wrong-symbol-version", "disagrees about version of symbol"
    if problem.unknown:
        code, text = "unknown-symbol", "needs unknown symbol"
    name, path = inputs.modules[problem.module]
    return Diagnostic(
        code, WARNING, text, module=decode(name), file=inputs.full_path(path), subject=decode(problem.symbol)
    )


def symbol_problems(
    facts: Sequence[ModuleFacts],
    resolution: Resolution,
    kernel: KernelSymbols,
    prefix: bytes,
    crcs: _Versions | None,
) -> Iterator[SymbolProblem]:
    """Yield needed symbols, weak ones aside, that nobody has; with `crcs` also those whose CRCs disagree."""
    wanted_names = look_up_names(resolution.names, prefix)
    for position, fact in enumerate(facts):
        weak = frozenset(split_names(fact.weak))
        wanted_crcs = crcs.needed_by(position) if crcs else {}
        for symbol in unpack_ids(fact.needs):
            name, wanted = resolution.names[symbol], wanted_names[symbol]
            if wanted in ALWAYS_KNOWN or name in weak:
                continue
            owner = resolution.owners.get(wanted)
            if owner is None and wanted not in kernel:
                yield SymbolProblem(position, name, True)
            elif crcs and wanted_crcs.get(name.removeprefix(b"."), 0) != crcs.of(wanted, owner):
                yield SymbolProblem(position, name, False)


class _Versions:
    """CRCs of symbols by module: those `known` from the first reading; of other modules, the file is read once more."""

    def __init__(self, inputs: Inputs, kernel: KernelSymbols, prefix: bytes, known: dict[int, Versions]) -> None:
        self._prefix = prefix
        self._inputs = inputs
        self._kernel = kernel
        self._known = known
        self._exported: dict[int, dict[bytes, int]] = {}

    def needed_by(self, position: int) -> dict[bytes, int]:
        """Return the CRCs that a module records of symbols that it needs; the names have no dot in front."""
        needed, exported = self._of(position)
        self._known[position] = {}, exported  # asked for once
        return needed

    def of(self, symbol: bytes, owner: int | None) -> int:
        """Return the CRC of a symbol of a module, or of the kernel's; 0 where there is none."""
        if owner is None:
            return self._kernel[symbol]
        if owner not in self._exported:
            exported = self._of(owner)[1]
            self._exported[owner] = {name.removeprefix(self._prefix): crc for name, crc in exported.items()}
        return self._exported[owner].get(symbol, 0)

    def _of(self, position: int) -> Versions:
        if position not in self._known:
            self._known[position] = {}, {}
            with suppress(Error, OSError), ModuleFile(self._inputs.full_path(self._inputs.paths[position])) as module:
                self._known[position] = versions_of(elf_of(module))
        return self._known[position]


def first_needs(
    facts: Sequence[ModuleFacts], resolution: Resolution, prefix: bytes
) -> Iterator[tuple[int, bytes, int]]:
    """Yield module, symbol, owner: for each dependency the first symbol that makes it one. Modules are positions."""
    names = look_up_names(resolution.names, prefix)
    for position, fact in enumerate(facts):
        seen = set()
        for name in map(names.__getitem__, unpack_ids(fact.needs)):
            owner = resolution.owners.get(name)
            if owner is not None and owner not in seen:
                seen.add(owner)
                yield position, name, owner


def doubled_aliases(inputs: Inputs, facts: Sequence[ModuleFacts]) -> Iterator[tuple[bytes, bytes]]:
    """Yield normalised alias and module, each time that one module has the same alias again."""
    for name, fact in zip(inputs.names, facts, strict=True):
        if fact.infos.count(b"alias=") < 2:
            continue
        seen = set()
        for alias in normal_aliases(fact.infos, []):
            if alias in seen:
                yield alias, name
            seen.add(alias)
