# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write the binary indexes (modules.*.bin) in pre-order: a node, then the subtrees of its children in edge order.

Source: docs/behaviour/2-formats.md, "Index files". The trie is never built as objects. Keys are taken in descending
order; a node is complete when its least key has been seen, and nodes become complete in exactly the reverse of the
order in which the file holds them. So each is laid down at a distance from the file's end, which is known at once, and
only the words that point to children wait for the file's length.
"""

from __future__ import annotations

from itertools import pairwise
from struct import Struct

from ..errors import NameSyntaxError
from .index import (
    HAS_CHILDREN,
    HAS_PREFIX,
    HAS_VALUES,
    HEADER,
    MAGIC,
    MAX_KEY,
    OFFSET_MASK,
    VERSION_MAJOR,
    VERSION_MINOR,
)
from .pieces import join_some

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Group = tuple[list[bytes], int, bytes]
"""Keys that have one priority and value in common: most of an alias index's keys come in groups, by module."""

_WORD = Struct(">I").pack
_ONE_VALUE = Struct(">xII").pack
_EDGES = Struct(">BB").pack  # of the first and the last child; a word for each edge between them follows
_NO_WORDS = [bytes(4 * count) for count in range(257)]
_CHILD = Struct(">I").pack_into
_VERSION = VERSION_MAJOR << 16 | VERSION_MINOR


def encode_index(groups: Iterable[Group]) -> bytes:
    """Return the index file of all keys in `groups`, whose order matters only among equal keys and priorities.

    Values of one key stand by ascending priority; of equal ones the later entry comes first. Raises `NameSyntaxError`
    for a key that is not `is_valid_key`, and when the file would exceed the format's 256 MiB.
    """
    blocks = _value_blocks(groups)
    if not blocks:
        return HEADER.pack(MAGIC, _VERSION, HEADER.size)
    keys = sorted(blocks)
    if max(map(len, keys)) > MAX_KEY or not all(map(_is_plain, join_some(keys))):
        raise NameSyntaxError("a key that is not 7-bit, has a NUL or is too long fits into no index")
    return _lay_out(keys, blocks)


def is_valid_key(key: bytes) -> bool:
    """Tell whether an index can hold the key: it is 7-bit, without NULs, and not too long for those who read it."""
    return _is_plain(key) and len(key) <= MAX_KEY


def _is_plain(text: bytes) -> bool:
    return text.isascii() and b"\0" not in text


# --- values


def _value_blocks(groups: Iterable[Group]) -> dict[bytes, bytes]:
    # The distinct keys, and the bytes of each one's list of values, after a NUL: what ends the prefix of a leaf.
    blocks: dict[bytes, bytes] = {}
    shared: dict[bytes, list[tuple[int, bytes]]] = {}  # keys that have several values
    for keys, priority, value in groups:
        block = _ONE_VALUE(1, priority) + value + b"\0"
        if len(keys) > 1:
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


def common_lengths(keys: Sequence[bytes]) -> list[int]:
    """Return how many bytes each of the ascending, distinct keys, but for the last, has in common with the next."""
    # Neighbours differ in the byte that has the lowest bit of the difference; a key that has ended counts as NULs.
    numbers = (int.from_bytes(key, "little") for key in keys)
    return [((bits := one ^ another) & -bits).bit_length() - 1 >> 3 for one, another in pairwise(numbers)]


def _lay_out(keys: list[bytes], blocks: dict[bytes, bytes]) -> bytes:
    """Return the file of ascending, distinct keys and the value block of each.

    It is one long function since it runs for each of a hundred thousand keys, and calls would take half of its time.
    Its readable model does the same to a trie of objects, and the tests compare both (tests/support/indexforge.py):

        def write(node, position):
            node.position = position            # in pre-order: parents first, children by their edges
            position += size_of(node)           # prefix, a word for each edge from first to last, values
            for edge in sorted(node.children):
                position = write(node.children[edge], position)
            return position

    From the last key to the first, the same positions come up in reverse, as distances from the file's end.
    """
    pieces: list[bytes] = []  # the nodes laid down so far, the last of the file first
    distance = 0  # from the beginning of the node laid down last to the end of the file
    # Words that point to children: their places, as negative distances, and flags minus the child's distance, so that
    # adding the file's length makes these its flags and position.
    places: list[int] = []
    words: list[int] = []
    # The innermost open node: where its prefix ends in the key; its children so far: edges in descending order, and the
    # words for them; its values. Then the nodes around it, from the root down, after one that never counts.
    depth = 0
    edges: list[int] = []
    children: list[int] = []
    values = b""
    around = [(-1, edges, children, values)]

    previous = b""
    shared = 0
    common = common_lengths(keys)[::-1]
    # For each key in descending order, and what it shares with the lesser one to come. At last the empty key, whether
    # it is one or not: it closes whatever is open.
    for key, ahead in zip([*reversed(keys), b""], [*common, 0, 0], strict=True):
        while depth > shared:  # the innermost node is complete: lay it down, and go on with the one around it
            end, own_edges, own_children, own_values = depth, edges, children, values
            depth, edges, children, values = (shared, [], [], b"") if around[-1][0] < shared else around.pop()
            prefix = previous[depth + 1 : end]
            flags = HAS_CHILDREN | HAS_VALUES if own_values else HAS_CHILDREN
            if prefix:
                prefix += b"\0"
                flags |= HAS_PREFIX
            first, last = own_edges[-1], own_edges[0]
            piece = prefix + _EDGES(first, last) + _NO_WORDS[last - first + 1] + own_values
            distance += len(piece)
            pieces.append(piece)
            zero = len(prefix) - distance + 2 - 4 * first  # where the word of edge 0 would be
            if len(own_edges) == 2:  # as most nodes have it
                places += (zero + 4 * last, zero + 4 * first)
            else:
                places += [zero + 4 * edge for edge in own_edges]
            words += own_children
            edges.append(previous[depth])
            children.append(flags - distance)
        if len(key) == shared:
            values = blocks.get(key, b"")[1:]  # the key ends where an open node does
        else:  # the key is a new leaf
            if depth < ahead:  # which will lie in a node of its own
                around.append((depth, edges, children, values))
                depth, edges, children, values = ahead, [], [], b""
            piece = key[depth + 1 :]
            if piece:
                piece += blocks[key]
                distance += len(piece)
                children.append(_LEAF - distance)
            else:
                piece = blocks[key][1:]
                distance += len(piece)
                children.append(HAS_VALUES - distance)
            pieces.append(piece)
            edges.append(key[depth])
        previous = key
        shared = ahead
    # What is open now is the root, which has no prefix.
    flags = (HAS_VALUES if values else 0) | (HAS_CHILDREN if edges else 0)
    if edges:
        first, last = edges[-1], edges[0]
        values = _EDGES(first, last) + _NO_WORDS[last - first + 1] + values
        places += [2 - distance - len(values) + 4 * (edge - first) for edge in edges]
        words += children
    pieces += (values, HEADER.pack(MAGIC, _VERSION, flags | HEADER.size))
    return _finish(pieces, places, words)


def _finish(pieces: list[bytes], places: list[int], words: list[int]) -> bytes:
    # Join the pieces from the last to the first, and fill in the words, now that the length is known. Raises
    # `NameSyntaxError` when the file is too long.
    pieces.reverse()
    data = bytearray().join(join_some(pieces))
    end = len(data)
    if end > OFFSET_MASK:
        raise NameSyntaxError("the index would be larger than its format allows")
    for place, word in zip(places, words, strict=True):
        _CHILD(data, end + place, end + word)
    return bytes(data)


_LEAF = HAS_PREFIX | HAS_VALUES
