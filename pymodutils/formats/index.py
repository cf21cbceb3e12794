"""Reading the binary indexes (modules.*.bin): a trie with path compression, in any node order.

Source: contract 2, "Index files". A lookup reads only the nodes on its way, so its cost does not grow with the file.
"""

from __future__ import annotations

from struct import Struct
from struct import error as UnpackError

from ..errors import IndexFormatError
from ..names import decode, encode
from ..records import Record
from .reach import ASK, Reach
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


class Value(Record):
    """What an index says of a key: text, and the position (0 = first) of its module in the module order."""

    text: str
    priority: int


class Index:
    """An open index. Raises `IndexFormatError` when the header, or later a node on the way, is damaged."""

    def __init__(self, source: Source, path: str | None = None) -> None:
        self._source = source
        self._whole: bytes | None = None
        self._unread = 0
        self.path = path
        header = source.read(0, HEADER.size)
        if len(header) < HEADER.size:
            raise self._damaged("file is too short")
        if source.size > MAX_SIZE:
            raise self._damaged("file is too large")
        magic, version, self._root = HEADER.unpack(header)
        if magic != MAGIC:
            raise self._damaged("bad magic number")
        if version >> 16 != VERSION_MAJOR:
            raise self._damaged(f"unknown format version {version >> 16}")

    def _damaged(self, reason: str) -> IndexFormatError:
        return IndexFormatError(f"damaged index: {reason}", path=self.path)

    def lookup(self, key: str) -> list[Value]:
        """The values of exactly this key, by ascending priority."""
        rest = encode(key)
        word = self._begin()
        while len(rest) <= MAX_KEY:
            node = self._node(word)
            if not rest.startswith(node.prefix):
                return []
            rest = rest[len(node.prefix) :]
            if not rest:
                return node.values
            word = node.child(rest[0])
            rest = rest[1:]
            if not word:
                break
        return []

    def match(self, text: str) -> list[Value]:
        """The values of every key that matches `text` as a pattern: by priority, the later found first among equals."""
        found: list[Value] = []
        rest = encode(text)
        if len(rest) > MAX_KEY:
            return found
        # A node is read on the way, twice below a wild edge, and there again for each wildcard in the text itself.
        word = self._begin(3 + 2 * sum(map(rest.count, _WILD_EDGES)))
        reach = Reach(rest)
        path = b""
        while word:
            node = self._node(word)
            wild = _first_wild(node.prefix)
            literal = node.prefix[:wild]
            if not rest.startswith(literal):
                break
            rest = rest[len(literal) :]
            path += literal
            here = 1 << len(path)
            if wild < len(node.prefix):
                self._match_below(word, wild, path, here, reach, text, found)
                break
            for edge in _WILD_EDGES:
                below = reach.step(here, edge) if node.child(edge) else 0
                if below:
                    self._match_below(node.child(edge), 0, path + bytes((edge,)), below, reach, text, found)
            if not rest:
                found += node.values
                break
            word = node.child(rest[0])
            path += rest[:1]
            rest = rest[1:]
        found.reverse()
        found.sort(key=lambda value: value.priority)
        return found

    def _match_below(
        self, word: int, skip: int, path: bytes, positions: int, reach: Reach, text: str, found: list[Value]
    ) -> None:
        """Find the matching keys of a subtree, in byte order.

        `path` leads to it, with the first `skip` bytes of its prefix, and can match `text` up to `positions`. A branch
        is left where nothing of the text can match it any more, so the many keys behind one wildcard are not all seen.
        """
        pending = [(word, skip, path, positions)]
        while pending:
            word, skip, path, positions = pending.pop()
            node = self._node(word)
            prefix = node.prefix[skip:]
            if len(path) + len(prefix) > MAX_KEY:
                raise self._damaged("a key is too long")
            if positions != ASK:
                positions = reach.steps(positions, prefix)
            if positions == ASK:
                from .fnmatch import fnmatch

                found += [
                    value for key, values in self._walk(word, path, skip) if fnmatch(key, text) for value in values
                ]
                continue
            if positions & reach.end:
                found += node.values
            path += prefix
            behind = [
                (child, 0, path + bytes((edge,)), after)
                for edge, child in enumerate(node.children, node.first)
                if child and (after := reach.step(positions, edge))
            ]
            pending += reversed(behind)

    def dump(self) -> Iterator[tuple[str, Value]]:
        """Every key with each of its values, in byte order of the keys."""
        self._whole = self._source.read(0, self._source.size)
        for key, values in self._walk(self._begin(), b"", 0):
            for value in values:
                yield key, value

    def _walk(self, word: int, path: bytes, skip: int) -> Iterator[tuple[str, list[Value]]]:
        """The keys of a subtree that have values, in byte order."""
        pending = [(word, path)]
        while pending:
            word, path = pending.pop()
            node = self._node(word)
            path += node.prefix[skip:]
            skip = 0
            if len(path) > MAX_KEY:
                raise self._damaged("a key is too long")
            if node.values:
                yield decode(path), node.values
            last = node.first + len(node.children) - 1
            for edge, child in zip(range(last, node.first - 1, -1), reversed(node.children), strict=True):
                if child:
                    pending.append((child, path + bytes((edge,))))

    def _begin(self, times: int = 1) -> int:
        """The root's offset word, at the beginning of something that reads no node more often than `times`."""
        self._unread = self._source.size * times
        root: int = self._root
        return root

    def _node(self, word: int) -> _Node:
        node = self._read_node(word)
        # In a tree no node is met twice, and none overlaps another, so no more is read than the file has. A cycle in a
        # damaged one, or nodes that share their bytes, would take time without end.
        self._unread -= node.size
        if self._unread < 0:
            raise self._damaged("a node is reached twice")
        return node

    def _read_node(self, word: int) -> _Node:
        at = word & OFFSET_MASK
        if self._whole is None:
            for length in _CHUNKS:
                try:
                    return _Node(self._source.read(at, length), 0, word)
                except (UnpackError, ValueError):
                    continue  # the node is longer, or the file ends
            self._whole = self._source.read(0, self._source.size)
        try:
            return _Node(self._whole, at, word)
        except (UnpackError, ValueError):
            raise self._damaged("a node lies outside the file") from None


def _first_wild(prefix: bytes) -> int:
    """Where the first wildcard of `prefix` stands; its length when there is none."""
    return min((at for at in map(prefix.find, (b"*", b"?", b"[")) if at >= 0), default=len(prefix))


class _Node:
    """One decoded node. Raises UnpackError or ValueError when it does not lie inside `data`."""

    __slots__ = ("children", "first", "prefix", "size", "values")

    def __init__(self, data: bytes, at: int, word: int) -> None:
        self.prefix = b""
        self.first = 0
        self.children: tuple[int, ...] = ()
        self.values: list[Value] = []
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
            layout = Struct(f">{last - self.first + 1}I")
            self.children = layout.unpack_from(data, at + 2)
            at += 2 + layout.size
        if word & HAS_VALUES:
            (count,) = _WORD.unpack_from(data, at)
            at += _WORD.size
            for _ in range(count):
                (priority,) = _WORD.unpack_from(data, at)
                end = data.index(b"\0", at + _WORD.size)
                self.values.append(Value(decode(data[at + _WORD.size : end]), priority))
                at = end + 1
        self.size = at - start

    def child(self, edge: int) -> int:
        """The offset word of the child behind `edge`, 0 when there is none."""
        place = edge - self.first
        return self.children[place] if 0 <= place < len(self.children) else 0


def read_index(data: bytes) -> Index:
    """An index held in memory."""
    return Index(BytesSource(data))
