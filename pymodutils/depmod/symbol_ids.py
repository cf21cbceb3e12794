# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ids for the names of needed symbols.

Modules need the same symbols over and over: of Debian's 185,000 needs only 22,000 differ. An id is shorter than a name
to keep, to send and to look up. Ids mean something only together with the list of names that they belong to: they are
positions in it.
"""

from __future__ import annotations

from itertools import count, islice
from struct import Struct

from ..formats.elf_fast import NAME_SIZE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable, Sequence
else:  # where `collections` has it from; that takes 1.5 ms to import
    from _collections import defaultdict

_PROCESSES = 2
_LONG = 1 << 16


class SymbolIds:
    """Gives out ids; the names in `known` have theirs already: their positions.

    Two processes with equal lists give out even and odd ids, so that none is given out twice. A name may have several
    ids, which makes no difference but to the length of the list. So a list that is not yet long is not looked through
    for a few names, without `look_up`.
    """

    def __init__(self, known: Sequence[bytes] = (), *, look_up: bool = True) -> None:
        self._known = known
        self._looked_up = known if look_up or len(known) > _LONG else ()
        self._start(0)

    def use_odd_ids(self) -> None:
        """Give out odd ids instead of even ones, as the second process does. Call it before any id is given out."""
        self._start(1)

    def _start(self, offset: int) -> None:
        next_one = count(len(self._known) + offset, _PROCESSES).__next__
        self._ids = defaultdict(next_one, zip(map(padded, self._looked_up), count()))
        self._first_new = len(self._ids)

    def pack(self, names: Sequence[bytes]) -> bytes:
        """Return the ids of names that are `padded`, as one string."""
        return packer(len(names))(*map(self._ids.__getitem__, names))

    def new_names(self) -> list[bytes]:
        """Return the names that this process gave ids to, in their order."""
        return [name.partition(b"\0")[0] for name in islice(self._ids, self._first_new, None)]

    def all_names(self, new: Sequence[bytes], others: Sequence[bytes] = ()) -> list[bytes]:
        """Return the names by id, with the `new` ones and those of the other process. An unused id has no name."""
        start = len(self._known)
        both = (new, others)
        names = [*self._known, *[b""] * (_PROCESSES * max(map(len, both)))]
        for offset, some in enumerate(both):
            names[start + offset : start + offset + _PROCESSES * len(some) : _PROCESSES] = some
        return names


def padded(name: bytes) -> bytes:
    """Return the name as a section __versions has it."""
    return name.ljust(NAME_SIZE, b"\0")


def pack_ids(ids: Sequence[int]) -> bytes:
    """Return the ids as one string, as `SymbolIds.pack` makes it."""
    return packer(len(ids))(*ids)


def unpack_ids(packed: bytes) -> list[int]:
    """Return the ids in what `SymbolIds.pack` made."""
    return memoryview(packed).cast("I").tolist() if packed else []


_packers: dict[int, Callable[..., bytes]] = {}


def packer(length: int) -> Callable[..., bytes]:
    """Return the function that makes so many ids one string."""
    found = _packers.get(length)
    if found is None:
        found = _packers[length] = Struct(f"{length}I").pack
    return found
