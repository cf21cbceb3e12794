# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading the binary indexes (modules.*.bin): a trie with path compression, in any node order.

A look-up reads the nodes on its way and no others, so its cost does not grow with the file.
Source: docs/behaviour/2-formats.md, "Index files".
"""

from __future__ import annotations

from _struct import Struct, unpack_from
from _struct import error as UnpackError  # type: ignore[attr-defined]

from ..errors import IndexFormatError
from ..names import decode, encode
from ..records import Record
from .pattern_positions import ASK, PatternPositions
from .source import BytesSource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .source import Source

MAGIC = 0xB007F457
VERSION_MAJOR = 2
VERSION_MINOR = 1
HEADER = Struct(">III")  # magic, version (major << 16 | minor), root offset

HAS_PREFIX = 0x80000000
HAS_VALUES = 0x40000000
HAS_CHILDREN = 0x20000000
OFFSET_MASK = 0x0FFFFFFF

MAX_KEY = 4096
"""Bytes of the longest key followed, and of the longest text looked up; the kernel's longest alias has a quarter."""
MAX_SIZE = OFFSET_MASK + 1
"""Bytes of an index file: what its offsets can reach; Debian's largest have a two-hundredth of it."""

_WILD_EDGES = b"*?["
_WORD = Struct(">I")
_CHUNKS = (1024, 65536)
_MOST_KEPT = 1024  # nodes that are kept for the next look-up: those near the root lie on most ways
_SMALL = 1 << 24  # bytes of an index that is read as a whole for one who reads many nodes
_BYTES_A_READ = 1 << 13  # as many are read as a whole in the time of one read
REACHED_TWICE = "a node is reached twice"


class IndexValue(Record):
    """A value that an index has for a key: a text, and the place (0 = first) of its module in the module order."""

    text: str
    priority: int


class Index:
    """An open index. Raises `IndexFormatError` when the header, or later a node on the way, is damaged."""

    def __init__(self, source: Source, path: str | None = None) -> None:
        self._source = source
        self._whole: bytes | None = None
        self._kept: dict[int, _Node] = {}
        self._reads = 0
        self.path: str | None = path
        header = source.read(0, HEADER.size)
        if len(header) < HEADER.size:
            raise self._damaged("file is too short")
        self._size: int = source.size
        if self._size > MAX_SIZE:
            raise self._damaged("file is too large")
        magic, version, root = HEADER.unpack(header)
        self._root: int = root
        if magic != MAGIC:
            raise self._damaged("bad magic number")
        if version >> 16 != VERSION_MAJOR:
            raise self._damaged(f"unknown format version {version >> 16}")

    def _damaged(self, reason: str) -> IndexFormatError:
        return IndexFormatError(f"damaged index: {reason}", path=self.path)

    def lookup(self, key: str) -> list[IndexValue]:
        """Return the values of exactly this key, by ascending priority."""
        found: list[IndexValue] = []
        data = encode(key)
        if len(data) > MAX_KEY:
            return found
        word, at, end = self._root, 0, len(data)
        kept, read = self._kept, 0
        while word:
            node = kept.get(word) or self._node(word)
            read += node.size
            if node.prefix:
                if not data.startswith(node.prefix, at):
                    break
                at += len(node.prefix)
            if at == end:
                found = list(node.values)
                break
            place = data[at] - node.first  # `child`, written out: most of the time of a batch is spent here
            word = node.children[place] if 0 <= place < len(node.children) else 0
            at += 1
        if read > self._size:  # asked at the end only, as each turn takes a byte of the key (see `_Reading`)
            raise self._damaged(REACHED_TWICE)
        return found

    def match(self, text: str) -> list[IndexValue]:
        """Return the values of every key that, as a pattern, matches `text`.

        They come by ascending priority, of equals the one found later first.
        """
        found: list[IndexValue] = []
        rest = encode(text)
        if len(rest) > MAX_KEY:
            return found
        # A node is read on the way, twice below a wild edge, and there again for each wildcard in the text itself.
        word, reading = self._root, _Reading(self, 3 + 2 * sum(map(rest.count, _WILD_EDGES)))
        below = _Below(reading, rest, text, found)
        path = b""
        while word:
            node = reading.node(word)
            wild = _first_wild(node.prefix)
            literal = node.prefix[:wild]
            if not rest.startswith(literal):
                break
            rest = rest[len(literal) :]
            path += literal
            here = 1 << len(path)
            if wild < len(node.prefix):
                below.search(word, wild, path, here)
                break
            for edge in _WILD_EDGES:
                child = node.child(edge)
                if child and (after := below.positions.step(here, edge)):
                    below.search(child, 0, path + bytes((edge,)), after)
            if not rest:
                found += node.values
                break
            word = node.child(rest[0])
            path += rest[:1]
            rest = rest[1:]
        found.reverse()
        found.sort(key=lambda value: value.priority)
        return found

    def dump(self) -> Iterator[tuple[str, IndexValue]]:
        """Yield every key with each of its values, in byte order of the keys."""
        self._whole = self._source.read(0, self._size)
        for key, values in _walk(_Reading(self), self._root, b"", 0):
            for value in values:
                yield key, value

    def _node(self, word: int) -> _Node:
        node = self._kept.get(word)
        if node is None:
            node = self._read_node(word)
            if node.children and node.size < _CHUNKS[0] and len(self._kept) < _MOST_KEPT:
                self._kept[word] = node
        return node

    def _read_node(self, word: int) -> _Node:
        at = word & OFFSET_MASK
        self._reads += 1
        if self._whole is None and self._size <= min(self._reads * _BYTES_A_READ, _SMALL):
            self._whole = self._source.read(0, self._size)
        if self._whole is None:
            for length in _CHUNKS:
                try:
                    return _Node(self._source.read(at, length), 0, word)
                except (UnpackError, ValueError):
                    continue  # the node is longer, or the file ends
            self._whole = self._source.read(0, self._size)
        try:
            return _Node(self._whole, at, word)
        except (UnpackError, ValueError):
            raise self._damaged("a node lies outside the file") from None


class _Reading:
    """The nodes of an index as one look-up reads them.

    In a tree no node is met twice on a way, and none overlaps another, so no more is read than the file has. A cycle
    in a damaged one, or nodes that share their bytes, would take time without end.
    """

    def __init__(self, index: Index, times: int = 1) -> None:
        """Begin a look-up that may read each node `times` times."""
        self._index = index
        self._unread = index._size * times

    def node(self, word: int) -> _Node:
        node = self._index._node(word)
        self._unread -= node.size
        if self._unread < 0:
            raise self._index._damaged(REACHED_TWICE)
        return node

    def check_length(self, key_length: int) -> None:
        if key_length > MAX_KEY:
            raise self._index._damaged("a key is too long")


def _walk(reading: _Reading, word: int, path: bytes, skip: int) -> Iterator[tuple[str, list[IndexValue]]]:
    """Yield the keys of a subtree that have values, in byte order.

    `path` leads to the subtree, with the first `skip` bytes of its prefix.
    """
    pending = [(word, path)]
    while pending:
        word, path = pending.pop()
        node = reading.node(word)
        path += node.prefix[skip:]
        skip = 0
        reading.check_length(len(path))
        if node.values:
            yield decode(path), node.values
        last = node.first + len(node.children) - 1
        for edge, child in zip(range(last, node.first - 1, -1), reversed(node.children), strict=True):
            if child:
                pending.append((child, path + bytes((edge,))))


class _Below:
    """The search for patterns that match a text, below the first wildcard on the way."""

    def __init__(self, reading: _Reading, data: bytes, text: str, found: list[IndexValue]) -> None:
        self.positions = PatternPositions(data)
        self._reading = reading
        self._text = text
        self._found = found

    def search(self, word: int, skip: int, path: bytes, positions: int) -> None:
        """Find the matching keys of a subtree, in byte order.

        `path` leads to it, with the first `skip` bytes of its prefix, and can match the text up to `positions`. A
        branch is left where nothing of the text can match it any more, so not all keys behind a wildcard are seen.
        """
        step = self.positions.step
        pending = [(word, skip, path, positions)]
        while pending:
            word, skip, path, positions = pending.pop()
            node = self._reading.node(word)
            prefix = node.prefix[skip:]
            self._reading.check_length(len(path) + len(prefix))
            if positions != ASK:
                positions = self.positions.steps(positions, prefix)
            if positions == ASK:
                self._search_all(word, skip, path)
                continue
            if positions & self.positions.end:
                self._found += node.values
            path += prefix
            behind = [
                (child, 0, path + bytes((edge,)), after)
                for edge, child in enumerate(node.children, node.first)
                if child and (after := step(positions, edge))
            ]
            pending += reversed(behind)

    def _search_all(self, word: int, skip: int, path: bytes) -> None:
        """Compare every key of a subtree with the text."""
        from .fnmatch import fnmatch

        for key, values in _walk(self._reading, word, path, skip):
            if fnmatch(key, self._text):
                self._found += values


def _first_wild(prefix: bytes) -> int:
    """Return where the first wildcard of `prefix` stands; its length when there is none."""
    return min((at for at in map(prefix.find, (b"*", b"?", b"[")) if at >= 0), default=len(prefix))


class _Node:
    """One decoded node. Raises UnpackError or ValueError when it does not lie inside `data`."""

    __slots__ = ("children", "first", "prefix", "size", "values")

    def __init__(self, data: bytes, at: int, word: int) -> None:
        self.prefix = b""
        self.first = 0
        self.children: tuple[int, ...] = ()
        self.values: list[IndexValue] = []
        start = at
        if word & HAS_PREFIX:
            end = data.index(b"\0", at)
            self.prefix = data[at:end]
            at = end + 1
        if word & HAS_CHILDREN:
            if at + 2 > len(data):
                raise ValueError
            self.first, last = data[at], data[at + 1]
            if last < self.first:
                raise ValueError
            count = last - self.first + 1
            self.children = unpack_from(f">{count}I", data, at + 2)  # which remembers the layouts that it has met
            at += 2 + 4 * count
        if word & HAS_VALUES:
            (count,) = _WORD.unpack_from(data, at)
            at += _WORD.size
            for _ in range(count):
                (priority,) = _WORD.unpack_from(data, at)
                end = data.index(b"\0", at + _WORD.size)
                self.values.append(IndexValue(decode(data[at + _WORD.size : end]), priority))
                at = end + 1
        self.size = at - start

    def child(self, edge: int) -> int:
        """Return the offset word of the child behind `edge`, 0 when there is none."""
        place = edge - self.first
        return self.children[place] if 0 <= place < len(self.children) else 0


def read_index(data: bytes) -> Index:
    """Return the index whose file has these bytes. Raises `IndexFormatError`."""
    return Index(BytesSource(data))
