"""Writing the binary indexes (modules.*.bin) in pre-order: a node, then the subtrees of its children in edge order.

Contract 2, "Index files". The trie is never built as objects. Keys are taken in descending order; a node is complete
when its least key has been seen, and nodes become complete in exactly the reverse of the order in which the file holds
them. So each is laid down at a distance from the file's end, which is known at once, and only the words that point to
children wait for the file's length.
"""

from __future__ import annotations

from itertools import pairwise, starmap
from struct import Struct

from ..errors import NameSyntaxError
from .index import HAS_CHILDREN, HAS_PREFIX, HAS_VALUES, HEADER, MAGIC, OFFSET_MASK, VERSION_MAJOR, VERSION_MINOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Group = tuple[list[bytes], int, bytes]
"""Keys that have one priority and value in common: most of an alias index's keys come in groups, by module."""

_WORD = Struct(">I").pack
_ONE_VALUE = Struct(">II").pack
_VERSION = VERSION_MAJOR << 16 | VERSION_MINOR


def encode_index(groups: Iterable[Group]) -> bytes:
    """The index file of all keys in `groups`, whose order matters only among equal keys and priorities.

    Values of one key stand by ascending priority; of equal ones the later entry comes first. Raises `NameSyntaxError`
    for a key that is not 7-bit or has a NUL, and when the file would exceed the format's 256 MiB.
    """
    blocks = _value_blocks(groups)
    if not blocks:
        return HEADER.pack(MAGIC, _VERSION, HEADER.size)
    keys = sorted(blocks)
    joined = b"".join(keys)
    if not is_valid_key(joined):
        raise NameSyntaxError("a key that is not 7-bit, or has a NUL, fits into no index")
    return _lay_out(keys, blocks)


def is_valid_key(key: bytes) -> bool:
    """Whether an index can hold the key."""
    return key.isascii() and b"\0" not in key


# --- values


def _value_blocks(groups: Iterable[Group]) -> dict[bytes, bytes]:
    """The distinct keys, and the bytes of each one's list of values."""
    blocks: dict[bytes, bytes] = {}
    shared: dict[bytes, list[tuple[int, bytes]]] = {}  # keys that have several values
    for keys, priority, value in groups:
        block = _ONE_VALUE(1, priority) + value + b"\0"
        fresh = dict.fromkeys(keys, block)
        if len(fresh) == len(keys) and blocks.keys().isdisjoint(fresh):
            blocks.update(fresh)
            continue
        for key in keys:
            if key in shared:
                shared[key].append((priority, value))
            elif key in blocks:
                shared[key] = [_only_value(blocks[key]), (priority, value)]
            else:
                blocks[key] = block
    for key, values in shared.items():
        values.reverse()
        values.sort(key=_priority)
        blocks[key] = _WORD(len(values)) + b"".join([_WORD(number) + value + b"\0" for number, value in values])
    return blocks


def _only_value(block: bytes) -> tuple[int, bytes]:
    return int.from_bytes(block[4:8], "big"), block[8:-1]


def _priority(value: tuple[int, bytes]) -> int:
    return value[0]


# --- nodes

_COMPARED = 256
"""Bytes of neighbouring keys that are compared as one number; few keys are longer."""


def common_lengths(keys: Sequence[bytes]) -> list[int]:
    """How many bytes each of the ascending, distinct keys (the last aside) has in common with the next one."""
    if len(keys) < 2:
        return []
    width = min(max(map(len, keys)), _COMPARED)
    numbers = (int.from_bytes(key[:width].ljust(width, b"\0"), "big") for key in keys)
    lengths = [width - (difference.bit_length() + 7 >> 3) for difference in starmap(int.__xor__, pairwise(numbers))]
    if width == _COMPARED:
        for at, length in enumerate(lengths):
            if length == width:
                lengths[at] = next(
                    (n for n, (a, b) in enumerate(zip(keys[at], keys[at + 1], strict=False)) if a != b), len(keys[at])
                )
    return lengths


def _lay_out(keys: list[bytes], blocks: dict[bytes, bytes]) -> bytes:
    """The file of ascending, distinct keys and the value block of each."""
    pieces: list[bytes] = []  # the nodes laid down so far, the last of the file first
    parents: list[tuple[int, bytes, list[int], bytes]] = []  # place in `pieces`, prefix, edges and words, values
    distance = 0  # from the beginning of the node laid down last to the end of the file
    # The open nodes, from the root down: where the prefix ends in the key; children so far (edge, word, edge, word...;
    # a word is flags minus distance, so that adding the file's length makes it flags and position); values.
    depths: list[int] = [0]
    children: list[list[int]] = [[]]
    values: list[bytes] = [b""]

    previous = b""
    shared = 0
    common = common_lengths(keys)[::-1]
    # For each key in descending order, and what it shares with the lesser one to come. At last the empty key, whether
    # it is one or not: it closes whatever is open.
    for key, ahead in zip([*reversed(keys), b""], [*common, 0, 0], strict=True):
        while depths[-1] > shared:
            depth, edges, block = depths.pop(), children.pop(), values.pop()
            if depths[-1] < shared:
                depths.append(shared)
                children.append([])
                values.append(b"")
            parent = depths[-1]
            prefix = previous[parent + 1 : depth]
            if prefix:
                prefix += b"\0"
            parents.append((len(pieces), prefix, edges, block))
            pieces.append(b"")
            distance += len(prefix) + _span(edges) + len(block)
            flags = HAS_CHILDREN | (HAS_PREFIX if prefix else 0) | (HAS_VALUES if block else 0)
            children[-1] += (previous[parent], flags - distance)
        if len(key) == shared:
            values[-1] = blocks.get(key, b"")  # the key ends where an open node does
        else:
            if depths[-1] < ahead:
                depths.append(ahead)
                children.append([])
                values.append(b"")
                parent = ahead
            else:
                parent = depths[-1]
            prefix = key[parent + 1 :]
            if prefix:
                node = prefix + b"\0" + blocks[key]
                distance += len(node)
                children[-1] += (key[parent], _LEAF - distance)
            else:
                node = blocks[key]
                distance += len(node)
                children[-1] += (key[parent], HAS_VALUES - distance)
            pieces.append(node)
        previous = key
        shared = ahead
    return _finish(pieces, parents, children[0], values[0], distance)


def _finish(
    pieces: list[bytes], parents: list[tuple[int, bytes, list[int], bytes]], edges: list[int], block: bytes, length: int
) -> bytes:
    """The file: root before all, and the words that point to children filled in, now that the length is known.

    Raises `NameSyntaxError` when it is too long.
    """
    root = _span(edges) + len(block)
    end = HEADER.size + root + length
    if end > OFFSET_MASK:
        raise NameSyntaxError("the index would be larger than its format allows")
    for place, prefix, inner, values in parents:
        pieces[place] = prefix + _child_words(inner, end) + values
    pieces.append((_child_words(edges, end) if edges else b"") + block)
    flags = (HAS_VALUES if block else 0) | (HAS_CHILDREN if edges else 0)
    pieces.append(HEADER.pack(MAGIC, _VERSION, flags | HEADER.size))
    pieces.reverse()
    return b"".join(pieces)


_LEAF = HAS_PREFIX | HAS_VALUES


def _span(edges: list[int]) -> int:
    """Bytes that the table of children takes; edges come in descending order."""
    return 2 + 4 * (edges[0] - edges[-2] + 1) if edges else 0


def _child_words(edges: list[int], end: int) -> bytes:
    """First edge, last edge, and a word for each edge between: the child's flags and position, or 0."""
    first, last = edges[-2], edges[0]
    words = [0] * (last - first + 1)
    for edge, word in zip(edges[::2], edges[1::2], strict=True):
        words[edge - first] = word + end
    return _table(len(words)).pack(first, last, *words)


_tables: dict[int, Struct] = {}


def _table(length: int) -> Struct:
    """The layout of a table of children with that many words (the `struct` module keeps fewer than there are)."""
    found = _tables.get(length)
    if found is None:
        found = _tables[length] = Struct(f">BB{length}I")
    return found
