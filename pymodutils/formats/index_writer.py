"""Writing the binary indexes (modules.*.bin) in pre-order: a node, then the subtrees of its children in edge order.

Contract 2, "Index files". The trie is never built as objects. Keys are taken in descending order; a node is complete
when its least key has been seen, and nodes become complete in exactly the reverse of the order in which the file holds
them. So each is laid down at a distance from the file's end, which is known at once, and only the words that point to
children wait for the file's length.
"""

from __future__ import annotations

from itertools import pairwise, starmap
from struct import Struct, pack

from ..errors import NameSyntaxError
from .index import HAS_CHILDREN, HAS_PREFIX, HAS_VALUES, HEADER, MAGIC, OFFSET_MASK, VERSION_MAJOR, VERSION_MINOR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Group = tuple[list[bytes], int, bytes]
"""Keys that have one priority and value in common: most of an alias index's keys come in groups, by module."""

_WORD = Struct(">I").pack
_FIRST = Struct(">BBI").pack
_ONE_VALUE = Struct(">xII").pack
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
    """The distinct keys, and the bytes of each one's list of values, after a NUL: what ends the prefix of a leaf."""
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
        blocks[key] = b"\0" + _WORD(len(values)) + b"".join([_WORD(number) + value + b"\0" for number, value in values])
    return blocks


def _only_value(block: bytes) -> tuple[int, bytes]:
    return int.from_bytes(block[5:9], "big"), block[9:-1]


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
    parents: list[Parent] = []
    distance = 0  # from the beginning of the node laid down last to the end of the file
    # The innermost open node: where its prefix ends in the key; its children so far (edge, word, edge, word...; a word
    # is flags minus distance, so that adding the file's length makes it flags and position); its values.
    depth = 0
    edges: list[int] = []
    values = b""
    around: list[tuple[int, list[int], bytes]] = []  # the nodes around it, from the root down
    outer = -1  # the depth of the last of these

    previous = b""
    shared = 0
    common = common_lengths(keys)[::-1]
    add = pieces.append
    # For each key in descending order, and what it shares with the lesser one to come. At last the empty key, whether
    # it is one or not: it closes whatever is open.
    for key, ahead in zip([*reversed(keys), b""], [*common, 0, 0], strict=True):
        while depth > shared:  # the innermost node is complete
            closed, inner, block = depth, edges, values
            if outer < shared:
                depth, edges, values = shared, [], b""
            else:
                depth, edges, values = around.pop()
                outer = around[-1][0] if around else -1
            prefix = previous[depth + 1 : closed]
            flags = HAS_CHILDREN | HAS_VALUES if block else HAS_CHILDREN
            if prefix:
                prefix += b"\0"
                flags |= HAS_PREFIX
            parents.append((len(pieces), prefix, inner, block))
            add(b"")
            distance += len(prefix) + _span(inner) + len(block)
            edges += (previous[depth], flags - distance)
        if len(key) == shared:
            values = blocks.get(key, b"")[1:]  # the key ends where an open node does
        else:
            if depth < ahead:
                around.append((depth, edges, values))
                outer = depth
                depth, edges, values = ahead, [], b""
            leaf = key[depth + 1 :]
            if leaf:
                leaf += blocks[key]
                distance += len(leaf)
                edges += (key[depth], _LEAF - distance)
            else:
                leaf = blocks[key][1:]
                distance += len(leaf)
                edges += (key[depth], HAS_VALUES - distance)
            add(leaf)
        previous = key
        shared = ahead
    return _finish(pieces, parents, edges, values, distance)


Parent = tuple[int, bytes, list[int], bytes]
"""A node with children: its place in the list of nodes, prefix, edges and words, values."""


def _finish(pieces: list[bytes], parents: list[Parent], edges: list[int], block: bytes, length: int) -> bytes:
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
    if len(edges) == 4:  # as most nodes have it
        last, last_word, first, first_word = edges
        gap = bytes(4 * (last - first) - 4)
        return _FIRST(first, last, first_word + end) + gap + _WORD(last_word + end)
    first, last = edges[-2], edges[0]
    words = [0] * (last - first + 1)
    for edge, word in zip(edges[::2], edges[1::2], strict=True):
        words[edge - first] = word + end
    return pack(f">BB{len(words)}I", first, last, *words)
