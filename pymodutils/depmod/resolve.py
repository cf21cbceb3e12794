# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 3, resolve: find which module owns each symbol, and on which modules each one depends.

Source: docs/behaviour/4-depmod.md, "Dependencies".
"""

from __future__ import annotations

from ..records import Record
from .symbol_ids import unpack_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from operator import itemgetter

    from .facts import ModuleFacts
else:  # where `operator` has it from; that takes 0.5 ms to import
    from _operator import itemgetter

ALWAYS_KNOWN = frozenset((b"__this_module", b"_GLOBAL_OFFSET_TABLE_", b"TOC."))


class Resolution(Record):
    """Which module needs which; modules are numbers: their positions in the module order.

    `names`: those of needed symbols by id; `owners`: the module that a symbol is taken from; `dependencies`: direct
    ones of each module, in the order of first need unless its facts are shuffled; `duplicates`: (symbol, module that
    counts, module that does not).
    """

    names: Sequence[bytes]
    owners: dict[bytes, int]
    dependencies: list[list[int]]
    duplicates: list[tuple[bytes, int, int]]


def split_names(joined: bytes) -> list[bytes]:
    """Return the names in one field of `ModuleFacts`."""
    return joined.split(b"\0") if joined else []


def resolve_symbols(facts: Sequence[ModuleFacts], names: Sequence[bytes], prefix: bytes = b"") -> Resolution:
    """Find the owners and direct dependencies of all modules.

    `names` are those of needed symbols by id; `prefix` is as in `find_owners`.
    """
    owners, duplicates = find_owners([fact.exports for fact in facts], prefix)
    by_id = list(map(owners.get, look_up_names(names, prefix)))
    return Resolution(names, owners, [_owners_of(fact, by_id) for fact in facts], duplicates)


def _owners_of(fact: ModuleFacts, by_id: Sequence[int | None]) -> list[int]:
    # The modules that own what one module needs, each once; in order of first need unless shuffled.
    ids = unpack_ids(fact.needs)
    if not ids:
        return []
    owners = itemgetter(*ids, *ids[:1])(by_id)  # at least two, so that it gives a tuple
    found = list(set(owners) if fact.shuffled else dict.fromkeys(owners))
    if None in found:
        found.remove(None)
    return found


def find_owners(
    exported_by_all: Iterable[bytes], prefix: bytes = b""
) -> tuple[dict[bytes, int], list[tuple[bytes, int, int]]]:
    """Return the owner of each symbol, and the symbols exported twice: these belong to the module that comes last.

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
    """Return the modules that own the symbols `needed` by one module, each once, in order of first need."""
    return list(dict.fromkeys(map(owners.__getitem__, filter(owners.__contains__, needed))))


def look_up_names(names: Sequence[bytes], prefix: bytes) -> Sequence[bytes]:
    """Return needed symbols as they are looked up: without a leading dot (PowerPC's entry points), then the prefix."""
    if prefix:
        return [name.removeprefix(b".").removeprefix(prefix) for name in names]
    return [name.removeprefix(b".") for name in names]
