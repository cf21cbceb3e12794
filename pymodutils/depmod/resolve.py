"""Stage 3, resolve: which module owns each symbol, and on which modules each one depends (contract 4)."""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .extract import Facts

ALWAYS_KNOWN = frozenset((b"__this_module", b"_GLOBAL_OFFSET_TABLE_", b"TOC."))

KernelSymbols = dict[bytes, int]
"""Symbols of the kernel itself and their CRCs, 0 where unknown."""


class Resolution(Record):
    """Modules are numbers: their positions in the module order.

    `owners`: the module that a symbol is taken from; `dependencies`: direct ones of each module, in the order of first
    need; `duplicates`: (symbol, module that counts, module that does not).
    """

    owners: dict[bytes, int]
    dependencies: list[list[int]]
    duplicates: list[tuple[bytes, int, int]]


def split(joined: bytes) -> list[bytes]:
    """The names in one field of `Facts`."""
    return joined.split(b"\0") if joined else []


def resolve(facts: Sequence[Facts], prefix: bytes = b"") -> Resolution:
    """Owners and direct dependencies. `prefix` is a character that the architecture puts before symbols, or empty.

    A symbol exported twice belongs to the module that comes last.
    """
    owners, duplicates = find_owners(facts, prefix)
    owner = owners.get
    dependencies = []
    for _, needed, _, _, _ in facts:
        names = look_up_names(needed, prefix)
        wanted = dict.fromkeys(map(owner, names))  # each once, in order of first need
        wanted.pop(None, None)
        dependencies.append(list(wanted))
    return Resolution(owners, dependencies, duplicates)  # type: ignore[arg-type]


def find_owners(facts: Sequence[Facts], prefix: bytes) -> tuple[dict[bytes, int], list[tuple[bytes, int, int]]]:
    """The owner of each symbol, and the symbols exported twice."""
    owners: dict[bytes, int] = {}
    duplicates = []
    for position, (exported, _, _, _, _) in enumerate(facts):
        if not exported:
            continue
        names = exported.split(b"\0")
        if prefix:
            names = [name.removeprefix(prefix) for name in names]
        if not owners.keys().isdisjoint(names):
            for name in names:
                loser = owners.get(name, position)
                if loser != position:
                    duplicates.append((name, position, loser))
        owners.update(dict.fromkeys(names, position))
    return owners, duplicates


def look_up_names(needed: bytes, prefix: bytes) -> list[bytes]:
    """Needed symbols as they are looked up: a leading dot (PowerPC's entry points), then the prefix dropped."""
    names = split(needed)
    if prefix:
        return [name.removeprefix(b".").removeprefix(prefix) for name in names]
    if b"\0." in needed or needed.startswith(b"."):
        return [name.removeprefix(b".") for name in names]
    return names


# --- the kernel's own symbols


def parse_system_map(data: bytes, path: str, problems: list[FormatError], prefix: bytes = b"") -> KernelSymbols:
    """Exported symbols in System.map: lines `address type __ksymtab_NAME`; any other form is added to `problems`."""
    found = {}
    marker = prefix + b"__ksymtab_"
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), 1):
        words = line.split(b" ", 2)
        if len(words) < 3:
            problems.append(FormatError(f": invalid line: {decode(line)}", path=path, line=number))
        elif words[2].startswith(marker):
            found[words[2].removeprefix(marker)] = 0
    return found


def parse_symvers(data: bytes, path: str, problems: list[FormatError]) -> KernelSymbols:
    """The kernel's lines of Module.symvers: `CRC<TAB>NAME<TAB>vmlinux...`; bad CRCs are added to `problems`."""
    found: KernelSymbols = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        words = line.split()
        if len(words) < 3 or words[2] != b"vmlinux":
            continue
        try:
            found[words[1]] = int(words[0], 16)
        except ValueError:
            problems.append(FormatError(f" Invalid symbol version {decode(words[0])}", path=path, line=number))
    return found
