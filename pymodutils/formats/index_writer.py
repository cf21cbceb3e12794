"""Writing the binary indexes (modules.*.bin) in pre-order: a node, then the subtrees of its children in edge order.

Contract 2, "Index files". The trie is never built as objects. Keys are taken in descending order; a node is complete
when its least key has been seen, and nodes become complete in exactly the reverse of the order in which the file holds
them. So each is laid down at a distance from the file's end, which is known at once, and only the words that point to
children wait for the file's length.
"""

from __future__ import annotations

from struct import Struct, pack

from ..errors import NameSyntaxError
from .index import HAS_CHILDREN, HAS_PREFIX, HAS_VALUES, HEADER, MAGIC, OFFSET_MASK, VERSION_MAJOR, VERSION_MINOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

Entry = tuple[bytes, int, bytes]
"""Key, priority, value."""

_COUNT = Struct(">I").pack
_ONE_VALUE = Struct(">II").pack
_EMPTY = HEADER.pack(MAGIC, VERSION_MAJOR << 16 | VERSION_MINOR, HEADER.size)


def encode_index(entries: Iterable[Entry]) -> bytes:
    """The index file with these entries, whose order matters only among equal keys and priorities.

    Values of one key stand by ascending priority; of equal ones the later entry comes first. Raises `NameSyntaxError`
    for a key that is not 7-bit or has a NUL, and when the file would exceed the format's 256 MiB.
    """
    keys, blocks = _blocks(entries)
    if not keys:
        return _EMPTY
    return _Layout().encode(keys, blocks)


def is_valid_key(key: bytes) -> bool:
    """Whether an index can hold the key."""
    return key.isascii() and b"\0" not in key


def _blocks(entries: Iterable[Entry]) -> tuple[list[bytes], list[bytes]]:
    """The distinct keys in ascending order, and the bytes of each one's list of values."""
    values: dict[bytes, list[tuple[int, bytes]]] = {}
    for key, priority, value in entries:
        # Most keys have one value; the list is shared work only for the others.
        values.setdefault(key, []).append((priority, value))
    keys = sorted(values)
    for key in keys:
        if not is_valid_key(key):
            raise NameSyntaxError(f"the index cannot hold the key {key!r}")
    return keys, [_value_block(values[key]) for key in keys]


def _value_block(values: list[tuple[int, bytes]]) -> bytes:
    if len(values) == 1:
        ((priority, value),) = values
        return _ONE_VALUE(1, priority) + value + b"\0"
    values.reverse()
    values.sort(key=_priority)
    return _COUNT(len(values)) + b"".join([_COUNT(priority) + value + b"\0" for priority, value in values])


def _priority(value: tuple[int, bytes]) -> int:
    return value[0]


def _common_length(a: bytes, b: bytes) -> int:
    """How many bytes two different keys have in common at their start."""
    length = min(len(a), len(b))
    difference = int.from_bytes(a[:length], "big") ^ int.from_bytes(b[:length], "big")
    return length - (difference.bit_length() + 7) // 8


class _Layout:
    """One file being laid out, from its end to its beginning."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        """The nodes laid down so far, the last of the file first; empty for those in `_parents`."""
        self._parents: list[tuple[int, bytes, list[tuple[int, int]], bytes]] = []
        """(place in `_pieces`, prefix with its NUL, (edge, flags and distance) of each child, values)."""
        self._distance = 0
        """Bytes from the beginning of the node laid down last to the end of the file."""

    def encode(self, keys: list[bytes], blocks: list[bytes]) -> bytes:
        """The whole file for ascending, distinct keys and the value block of each."""
        # Open nodes, from the root down to the node of the previous key: depth in bytes, children, values.
        Open = tuple[int, list[tuple[int, int]], bytes]  # noqa: N806
        stack: list[Open] = [(0, [], b"")]
        previous = b""
        for key, block in zip(reversed(keys), reversed(blocks), strict=True):
            common = _common_length(key, previous)
            self._close(stack, previous, common)
            if len(key) == common:  # the open node ends just here; this key gives it its values
                depth, children, _ = stack.pop()
                stack.append((depth, children, block))
            else:
                stack.append((len(key), [], block))
            previous = key
        self._close(stack, previous, 0)
        _, children, values = stack.pop()
        root = self._lay(b"", children, values)
        return self._finish(root)

    def _close(self, stack: list[tuple[int, list[tuple[int, int]], bytes]], key: bytes, common: int) -> None:
        """Lay down the open nodes of `key` that lie deeper than `common`, and make sure that one ends there."""
        while stack[-1][0] > common:
            depth, children, values = stack.pop()
            if stack[-1][0] < common:
                stack.append((common, [], b""))
            parent = stack[-1]
            prefix = key[parent[0] + 1 : depth]
            parent[1].append((key[parent[0]], self._lay(prefix, children, values)))

    def _lay(self, prefix: bytes, children: list[tuple[int, int]], values: bytes) -> int:
        """Put a node before all others; its flags and its distance from the end of the file."""
        flags = HAS_VALUES if values else 0
        if prefix:
            flags |= HAS_PREFIX
            prefix += b"\0"
        if children:
            flags |= HAS_CHILDREN
            span = children[0][0] - children[-1][0] + 1  # edges came in descending order
            self._parents.append((len(self._pieces), prefix, children, values))
            self._pieces.append(b"")
            self._distance += len(prefix) + 2 + 4 * span + len(values)
        else:
            self._pieces.append(prefix + values)
            self._distance += len(prefix) + len(values)
        if self._distance > OFFSET_MASK - HEADER.size:
            raise NameSyntaxError("the index would be larger than its format allows")
        return flags | self._distance

    def _finish(self, root: int) -> bytes:
        """Fill in the words that point to children, now that the length of the file is known."""
        end = HEADER.size + self._distance
        for place, prefix, children, values in self._parents:
            first, last = children[-1][0], children[0][0]
            words = [0] * (last - first + 1)
            for edge, word in children:
                # word = flags + distance, and its position is end - distance: no borrow reaches the flags.
                words[edge - first] = (word & ~OFFSET_MASK) | (end - (word & OFFSET_MASK))
            self._pieces[place] = prefix + pack(f">BB{len(words)}I", first, last, *words) + values
        self._pieces.append(
            HEADER.pack(MAGIC, VERSION_MAJOR << 16 | VERSION_MINOR, (root & ~OFFSET_MASK) | HEADER.size)
        )
        self._pieces.reverse()
        return b"".join(self._pieces)
