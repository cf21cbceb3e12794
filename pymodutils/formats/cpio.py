# SPDX-License-Identifier: LGPL-2.1-or-later
"""Initial file system images: cpio archives one after the other, each plain or compressed.

Only what is asked for is kept in memory, and nothing goes to disk. Source: the kernel's
Documentation/driver-api/early-userspace/buffer-format.rst and init/initramfs.c.
"""

from __future__ import annotations

from ..errors import CompressionError, FormatError, MissingSupportError
from ..names import decode
from ..optional import load
from ..records import Record
from .compression import MOST_XZ_MEMORY, zstd_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from typing import Any

    from .source import Source

MAGICS = (b"070701", b"070702")
TRAILER = "TRAILER!!!"
HEADER = 110
"""Bytes of a header: a magic number and 13 hexadecimal numbers of 8 digits."""

LINK, DIRECTORY, KIND = 0o120000, 0o040000, 0o170000
"""Kinds of members, in `Member.mode`."""

MOST_NAME = 4096
MOST_KEPT = 1 << 26
"""Bytes of all wanted members, unless the caller says another number: what modprobe reads in Debian's has a tenth."""
MOST_IN_MEMBER = 1 << 27
"""Bytes of one wanted member, which is in memory as a whole."""
MOST_MEMBERS = 1 << 18
LIMIT = 1 << 30
"""Bytes that a whole image may decompress to."""

_PIECE = 1 << 17
_LITTLE = 1 << 10
_OUTPUT = 1 << 20
_LZ4_BLOCK = 8 << 20
_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\x5d\0\0": "lzma",
    b"\xfd7zXZ": "xz",
    b"\x89LZO": "lzo",
    b"\x02\x21\x4c\x18": "lz4",
    b"\x28\xb5\x2f\xfd": "zstd",
}


class Member(Record):
    """A file of an archive: its path without a slash in front, its mode, and its bytes if they were wanted.

    Those of a symbolic link are its target, and always there.
    """

    path: str
    mode: int
    data: bytes | None

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode & KIND == LINK

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file."""
        return self.mode & KIND == 0o100000


def read_members(
    source: Source, wanted: Callable[[str], bool], limit: int = LIMIT, *, most_kept: int = MOST_KEPT
) -> Iterator[Member]:
    """Yield the members of all archives of an image; `wanted` tells by a path whether to keep the bytes.

    `limit` is how many bytes the image may decompress to, `most_kept` how many all wanted members may have together.
    Raises `FormatError`, `CompressionError`, and `MissingSupportError` when the library for a compression is missing.
    """
    at, budget = 0, _Budget(limit, most_kept)
    while at < source.size:
        head = source.read(at, 6)
        if head.startswith(b"\0"):
            at = _skip_zeros(source, at)
        elif head in MAGICS:
            stream = _Stream(_plain(source, at), budget)
            yield from _archive(stream, wanted, budget)
            at += stream.position
        else:
            kind = compression_at(head)
            if kind is None:
                raise FormatError(f"neither an archive nor compressed at byte {at}")
            stream = _Stream(_UNPACKERS[kind](source, at), budget)
            while not stream.at_end():
                yield from _archive(stream, wanted, budget)
            at = stream.end


def compression_at(head: bytes) -> str | None:
    """Return the compression of what begins with `head`, None for none of those that the kernel uses for images."""
    return next((kind for magic, kind in _COMPRESSED.items() if head.startswith(magic)), None)


def unpack(source: Source, at: int, limit: int = LIMIT) -> bytes:
    """Return what the compressed part of an image that begins at `at` decompresses to.

    Raises `CompressionError`, and `MissingSupportError` when the library for the compression is missing.
    """
    kind = compression_at(source.read(at, 6))
    if kind is None:
        raise CompressionError("not compressed in a way that the kernel knows")
    pieces, room = [], limit
    for piece in _UNPACKERS[kind](source, at):
        room -= len(piece)
        if room < 0:
            raise CompressionError("the image is too large when decompressed")
        pieces.append(piece)
    return b"".join(pieces)


def _skip_zeros(source: Source, at: int) -> int:
    while piece := source.read(at, _PIECE):
        rest = piece.lstrip(b"\0")
        at += len(piece) - len(rest)
        if rest:
            break
    return at


class _Budget:
    """What an image may still take."""

    def __init__(self, limit: int, most_kept: int) -> None:
        self.bytes = limit
        self.kept = most_kept
        self.members = MOST_MEMBERS

    def take(self, length: int) -> None:
        self.bytes -= length
        if self.bytes < 0:
            raise CompressionError("the image is too large when decompressed")

    def keep(self, length: int, path: str) -> None:
        self.kept -= length
        if self.kept < 0 or length > MOST_IN_MEMBER:
            raise FormatError(f"{path} in an archive is too large")

    def member(self) -> None:
        self.members -= 1
        if self.members < 0:
            raise FormatError("an archive has too many members")


class _Stream:
    """Bytes that come in pieces; `end` is where the last one ends in the image, once there are no more."""

    def __init__(self, pieces: Generator[bytes, None, int], budget: _Budget) -> None:
        self.position = 0
        self.end = 0
        self._pieces = pieces
        self._budget = budget
        self._buffer = b""
        self._at = 0

    def _more(self) -> bool:
        """Put the next piece in place of the one before, of which nothing is left; tell whether there is one."""
        try:
            self._buffer = next(self._pieces)
        except StopIteration as stop:
            self.end = stop.value
            return False
        self._budget.take(len(self._buffer))
        self._at = 0
        return True

    def take(self, length: int) -> bytes:
        """Return the next bytes. Raises `FormatError` when there are fewer."""
        self.position += length
        parts = []
        while True:
            part = self._buffer[self._at : self._at + length]
            self._at += len(part)
            length -= len(part)
            parts.append(part)
            if not length:
                return b"".join(parts)
            if not self._more():
                raise FormatError("an archive ends too early")

    def skip(self, length: int) -> None:
        """Leave out bytes without gathering them."""
        self.position += length
        while len(self._buffer) - self._at < length:
            length -= len(self._buffer) - self._at
            self._at = len(self._buffer)
            if not self._more():
                raise FormatError("an archive ends too early")
        self._at += length

    def at_end(self) -> bool:
        """Leave out zero bytes; tell whether nothing is left."""
        while True:
            rest = self._buffer[self._at :].lstrip(b"\0")
            self._at = len(self._buffer) - len(rest)
            if rest:
                self.position = 0
                return False
            if not self._more():
                return True


def _archive(stream: _Stream, wanted: Callable[[str], bool], budget: _Budget) -> Iterator[Member]:
    """Yield the members of one archive, up to its trailer."""
    start = stream.position
    while True:
        header = stream.take(HEADER)
        if header[:6] not in MAGICS:
            raise FormatError("a member of an archive has no magic number")
        mode, size, name_size = _number(header, 1), _number(header, 6), _number(header, 11)
        if not 0 < name_size <= MOST_NAME:
            raise FormatError("a member of an archive has a name that is too long")
        path = decode(stream.take(name_size).partition(b"\0")[0])
        stream.skip(-(stream.position - start) % 4)
        if path == TRAILER:
            return
        budget.member()
        path = path.removeprefix("./").lstrip("/")
        is_link = mode & KIND == LINK
        if is_link and size > MOST_NAME:
            raise FormatError("a link in an archive has a target that is too long")
        if is_link or (mode & KIND == 0o100000 and wanted(path)):
            budget.keep(size, path)
            data: bytes | None = stream.take(size)
        else:
            stream.skip(size)
            data = None
        stream.skip(-(stream.position - start) % 4)
        yield Member(path, mode, data)


def _number(header: bytes, place: int) -> int:
    at = 6 + 8 * place
    try:
        return int(header[at : at + 8], 16)
    except ValueError:
        raise FormatError("a member of an archive has a damaged header") from None


# --- what turns parts of an image into bytes


def _plain(source: Source, at: int) -> Generator[bytes, None, int]:
    while piece := source.read(at, _PIECE):
        yield piece
        at += len(piece)
    return at


def _decoded(source: Source, at: int, decoder: Any, failure: type[Exception], kind: str) -> Generator[bytes, None, int]:
    """Yield what a decoder of the standard library's shape makes of a part of the image.

    One that cannot keep input for later (it has no `needs_input`) gets little at a time, so that its output is bounded.
    """
    bounded = hasattr(decoder, "needs_input")
    length, most = (_PIECE, _OUTPUT) if bounded else (_LITTLE, -1)
    try:
        while not decoder.eof:
            wants_more = not bounded or decoder.needs_input
            piece = source.read(at, length) if wants_more else b""
            if wants_more and not piece:
                raise CompressionError(f"{kind}: Unexpected end of input")
            at += len(piece)
            output = decoder.decompress(piece, most)
            if output:
                yield output
    except failure as error:
        raise CompressionError(f"{kind}: {error}") from None
    return at - len(decoder.unused_data)


def _gzip(source: Source, at: int) -> Generator[bytes, None, int]:
    import zlib

    decoder, tail = zlib.decompressobj(31), b""
    try:
        while not decoder.eof:
            piece = tail or source.read(at, _PIECE)
            if not piece:
                raise CompressionError("gzip: Unexpected end of input")
            at += 0 if tail else len(piece)
            output = decoder.decompress(piece, _OUTPUT)
            tail = decoder.unconsumed_tail
            if output:
                yield output
    except zlib.error as error:
        raise CompressionError(f"gzip: {error}") from None
    return at - len(decoder.unused_data)


def _xz(source: Source, at: int) -> Generator[bytes, None, int]:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    return (yield from _decoded(source, at, LZMADecompressor(FORMAT_XZ, MOST_XZ_MEMORY), LZMAError, "xz"))


def _lzma(source: Source, at: int) -> Generator[bytes, None, int]:
    from _lzma import FORMAT_ALONE, LZMADecompressor, LZMAError

    return (yield from _decoded(source, at, LZMADecompressor(FORMAT_ALONE, MOST_XZ_MEMORY), LZMAError, "lzma"))


def _bzip2(source: Source, at: int) -> Generator[bytes, None, int]:
    from _bz2 import BZ2Decompressor

    return (yield from _decoded(source, at, BZ2Decompressor(), OSError, "bzip2"))


def _zstd(source: Source, at: int) -> Generator[bytes, None, int]:
    new_decoder, failure = zstd_library()
    return (yield from _decoded(source, at, new_decoder(), failure, "zstd"))


def _lz4(source: Source, at: int) -> Generator[bytes, None, int]:
    """Yield the blocks of the format that `lz4 -l` writes, the only one that the kernel reads."""
    block = load("lz4.block")
    if block is None:
        raise MissingSupportError("lz4: no lz4 library for Python (install python3-lz4)")
    magic = source.read(at, 4)
    at += 4
    while len(head := source.read(at, 4)) == 4 and head != bytes(4):
        at += 4
        if head == magic:
            continue
        size = int.from_bytes(head, "little")
        data = source.read(at, size) if size <= 2 * _LZ4_BLOCK else b""
        if len(data) < size:
            raise CompressionError("lz4: Unexpected end of input")
        at += size
        try:
            yield block.decompress(data, uncompressed_size=_LZ4_BLOCK)
        except Exception as error:  # of a class that the library does not name everywhere
            raise CompressionError(f"lz4: {error}") from None
    return at


def _lzo(_source: Source, _at: int) -> Generator[bytes, None, int]:
    raise MissingSupportError("lzo: this compression cannot be read")
    yield b""  # a generator like the others


_UNPACKERS: dict[str, Callable[[Source, int], Generator[bytes, None, int]]] = {
    "gzip": _gzip,
    "bzip2": _bzip2,
    "lzma": _lzma,
    "xz": _xz,
    "lzo": _lzo,
    "lz4": _lz4,
    "zstd": _zstd,
}
