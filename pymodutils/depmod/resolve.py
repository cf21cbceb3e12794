"""Stage 3, resolve: which module owns each symbol, and on which modules each one depends (contract 4)."""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record
from .extract import EXPORTS, NEEDS, ORDER
from .symbol_numbers import numbers_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from operator import itemgetter

    from .extract import Facts
else:  # where `operator` has it from; that takes 0.5 ms to import
    from _operator import itemgetter

ALWAYS_KNOWN = frozenset((b"__this_module", b"_GLOBAL_OFFSET_TABLE_", b"TOC."))

KernelSymbols = dict[bytes, int]
"""Symbols of the kernel itself and their CRCs, 0 where unknown."""


class Resolution(Record):
    """Modules are numbers: their positions in the module order.

    `names`: those of needed symbols by number; `owners`: the module that a symbol is taken from; `dependencies`: direct
    ones of each module, in the order of first need unless its facts are `SHUFFLED`; `duplicates`: (symbol, module that
    counts, module that does not).
    """

    names: Sequence[bytes]
    owners: dict[bytes, int]
    dependencies: list[list[int]]
    duplicates: list[tuple[bytes, int, int]]


def split(joined: bytes) -> list[bytes]:
    """The names in one field of `Facts`."""
    return joined.split(b"\0") if joined else []


def resolve(facts: Sequence[Facts], names: Sequence[bytes], prefix: bytes = b"") -> Resolution:
    """Owners and direct dependencies of all modules; `names` by number in `facts`; `prefix` as in `find_owners`."""
    owners, duplicates = find_owners([fact[EXPORTS] for fact in facts], prefix)
    by_number = list(map(owners.get, look_up_names(names, prefix)))
    return Resolution(names, owners, [_owners_of(fact, by_number) for fact in facts], duplicates)


def _owners_of(fact: Facts, by_number: Sequence[int | None]) -> list[int]:
    """The modules that own the symbols which one module needs, each once; in order of first need unless shuffled."""
    numbers = numbers_of(fact[NEEDS])
    if not numbers:
        return []
    owners = itemgetter(*numbers, *numbers[:1])(by_number)  # at least two, so that it gives a tuple
    found = list(set(owners) if fact[ORDER] else dict.fromkeys(owners))
    if None in found:
        found.remove(None)
    return found


def find_owners(
    exported_by_all: Iterable[bytes], prefix: bytes = b""
) -> tuple[dict[bytes, int], list[tuple[bytes, int, int]]]:
    """The owner of each symbol, and the symbols exported twice: these belong to the module that comes last.

    `prefix` is a character that the architecture puts before symbols, or empty.
    """
    owners: dict[bytes, int] = {}
    duplicates = []
    for position, exported in enumerate(exported_by_all):
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


def direct_dependencies(needed: Iterable[bytes], owners: Mapping[bytes, int]) -> list[int]:
    """The modules that own the symbols `needed` by one module, each once, in order of first need."""
    return list(dict.fromkeys(map(owners.__getitem__, filter(owners.__contains__, needed))))


def look_up_names(names: Sequence[bytes], prefix: bytes) -> Sequence[bytes]:
    """Needed symbols as they are looked up: a leading dot (PowerPC's entry points), then the prefix dropped."""
    if prefix:
        return [name.removeprefix(b".").removeprefix(prefix) for name in names]
    return [name.removeprefix(b".") for name in names]


# --- the kernel's own symbols


def parse_system_map(data: bytes, path: str, problems: list[FormatError], prefix: bytes = b"") -> KernelSymbols:
    """Exported symbols in System.map: lines `address type __ksymtab_NAME`; any other form is added to `problems`.

    The prefix need not be there.
    """
    found = {}
    marker = b"__ksymtab_"
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
        words = line.split(b" ", 2)
        if len(words) < 3:
            problems.append(FormatError(f": invalid line: {decode(line)}", path=path, line=number))
        elif (name := words[2].removeprefix(prefix)).startswith(marker):
            found[name.removeprefix(marker)] = 0
    return found


def parse_symvers(data: bytes, path: str, problems: list[FormatError], prefix: bytes = b"") -> KernelSymbols:
    """The kernel's lines of Module.symvers: `CRC<TAB>NAME<TAB>vmlinux...`; bad CRCs are added to `problems`."""
    found: KernelSymbols = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        words = line.split()
        if len(words) < 3 or words[2] != b"vmlinux":
            continue
        try:
            found[words[1].removeprefix(prefix)] = int(words[0].replace(b"_", b"?"), 16)  # Python would pass over `_`
        except ValueError:
            problems.append(FormatError(f" Invalid symbol version {decode(words[0])}", path=path, line=number))
    return found
