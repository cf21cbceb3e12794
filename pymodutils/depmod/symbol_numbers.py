"""Numbers for the names of needed symbols.

Modules need the same symbols over and over: of Debian's 185,000 needs only 22,000 differ. A number is shorter than a
name to keep, to send and to look up. Numbers mean something only together with the list of names that they belong to.
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

_TURNS = 2
_LONG = 1 << 16


class SymbolNumbers:
    """Gives out numbers; the names in `known` have theirs already: their positions.

    Two processes with equal lists take turns, so that a number is never given out twice. A name may have several, which
    makes no difference but to the length of the list. So a list that is not yet long is not looked through for a few
    names, without `look_up`.
    """

    def __init__(self, known: Sequence[bytes] = (), *, look_up: bool = True) -> None:
        self._known = known
        self._looked_up = known if look_up or len(known) > _LONG else ()
        self.take_turn(0)

    def take_turn(self, turn: int) -> None:
        """Be the process number `turn`, 0 or 1; to be called before any number is given out."""
        next_one = count(len(self._known) + turn, _TURNS).__next__
        self._numbers = defaultdict(next_one, zip(map(padded, self._looked_up), count()))
        self._first_new = len(self._numbers)

    def of(self, names: Sequence[bytes]) -> bytes:
        """The numbers of names that are `padded`, as one string."""
        return _packer(len(names))(*map(self._numbers.__getitem__, names))

    def new_names(self) -> list[bytes]:
        """The names that were given numbers by this process, in their order."""
        return [name.partition(b"\0")[0] for name in islice(self._numbers, self._first_new, None)]

    def all_names(self, new: Sequence[bytes], others: Sequence[bytes] = ()) -> list[bytes]:
        """The names by number, with the `new` ones and those of the other process. An unused number has no name."""
        start = len(self._known)
        both = (new, others)
        names = [*self._known, *[b""] * (_TURNS * max(map(len, both)))]
        for turn, some in enumerate(both):
            names[start + turn : start + turn + _TURNS * len(some) : _TURNS] = some
        return names


def padded(name: bytes) -> bytes:
    """The name as a section __versions has it."""
    return name.ljust(NAME_SIZE, b"\0")


def pack_numbers(numbers: Sequence[int]) -> bytes:
    """The numbers as one string, as `SymbolNumbers.of` makes it."""
    return _packer(len(numbers))(*numbers)


def numbers_of(packed: bytes) -> list[int]:
    """The numbers in what `SymbolNumbers.of` made."""
    return memoryview(packed).cast("I").tolist() if packed else []


_packers: dict[int, Callable[..., bytes]] = {}


def _packer(length: int) -> Callable[..., bytes]:
    """What makes so many numbers one string."""
    found = _packers.get(length)
    if found is None:
        found = _packers[length] = Struct(f"{length}I").pack
    return found
