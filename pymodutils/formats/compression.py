"""Compressed module files: recognised by their first bytes, decompressed as a stream up to a limit.

Contract 2, "Module files". The decompressors are imported when a file needs them; `_lzma` directly, because the `lzma`
module around it costs 4 ms for classes that are not used here.
"""

from __future__ import annotations

from ..errors import CompressionError, MissingSupportError
from ..optional import load

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class _Decompressor(Protocol):
        @property
        def eof(self) -> bool: ...

        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


MAGIC = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
MAGIC_LENGTH = 6

LIMIT = 1 << 30
"""Bytes that a decompressed module may have; the largest of Debian's, with debug data, has a tenth of it."""

XZ_MEMORY_LIMIT = 1 << 28
"""Bytes that the xz decoder may use; `xz -9` needs 65 MiB."""


def detect(head: bytes) -> str | None:
    """The format (`gzip`, `xz`, `zstd`) of a file that begins with `head`, None when it is not compressed."""
    for name, magic in MAGIC.items():
        if head.startswith(magic):
            return name
    return None


def decompress(data: bytes, limit: int = LIMIT) -> bytes:
    """The decompressed bytes of `data`, or `data` itself when it is not compressed.

    Raises `CompressionError` (damaged, or more than `limit` bytes) and `MissingSupportError` (zstd library missing).
    """
    kind = detect(data[:MAGIC_LENGTH])
    if kind is None:
        return data
    if kind == "gzip":
        return _gunzip(data, limit)
    if kind == "xz":
        return _unxz(data, limit)
    return _unzstd(data, limit)


def _bounded(decoder: _Decompressor, data: bytes, limit: int, kind: str) -> bytes:
    """Run one decoder, asking for one byte more than allowed so that too much is noticed."""
    out = decoder.decompress(data, limit + 1)
    if len(out) > limit:
        raise CompressionError(f"{kind}: more than {limit} bytes when decompressed")
    if not decoder.eof:
        raise CompressionError(f"{kind}: {_TRUNCATED.get(kind, 'Unexpected end of input')}")
    return out


# What kmod prints for a file that ends too early (libzstd's own sentence).
_TRUNCATED = {"zstd": "Src size is incorrect"}


def _gunzip(data: bytes, limit: int) -> bytes:
    import zlib

    pieces: list[bytes] = []
    # Members may follow one another; anything else behind the last is padding, as for gzip(1).
    while data.startswith(MAGIC["gzip"]):
        decoder = zlib.decompressobj(31)
        try:
            pieces.append(_bounded(decoder, data, limit, "gzip"))
        except zlib.error as error:
            raise CompressionError(f"gzip: {error}") from None
        limit -= len(pieces[-1])
        data = decoder.unused_data
    return b"".join(pieces)


def _unxz(data: bytes, limit: int) -> bytes:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    pieces: list[bytes] = []
    # Streams may follow one another, with padding of zero bytes in multiples of four between and after them.
    while data:
        decoder = LZMADecompressor(FORMAT_XZ, XZ_MEMORY_LIMIT)
        try:
            pieces.append(_bounded(decoder, data, limit, "xz"))
        except LZMAError as error:
            raise CompressionError(f"xz: {_XZ_REASONS.get(str(error), str(error))}") from None
        limit -= len(pieces[-1])
        rest = decoder.unused_data
        data = rest.lstrip(b"\0")
        if (len(rest) - len(data)) % 4:
            raise CompressionError("xz: File is corrupted")
    return b"".join(pieces)


# Python's sentence -> the one kmod prints for the same liblzma code.
_XZ_REASONS = {
    "Corrupt input data": "File is corrupted",
    "Input format not supported by decoder": "File format not recognized",
    "Invalid or unsupported options": "Unsupported compression options",
    "Memory usage limit exceeded": "needs more memory than allowed",
}


def _unzstd(data: bytes, limit: int) -> bytes:
    pieces: list[bytes] = []
    while data:
        decoder, failure = _zstd_decoder()
        try:
            pieces.append(_bounded(decoder, data, limit, "zstd"))
        except failure as error:
            raise CompressionError(f"zstd: {error}") from None
        limit -= len(pieces[-1])
        data = decoder.unused_data
    return b"".join(pieces)


def _zstd_decoder() -> tuple[_Decompressor, type[Exception]]:
    """A decoder of whichever zstd library there is, and the exception it raises."""
    for name in ("compression.zstd", "backports.zstd"):
        module = load(name)
        if module is not None:
            return module.ZstdDecompressor(), module.ZstdError
    module = load("zstandard")
    if module is None:
        raise MissingSupportError("zstd: no zstd library for Python (install python3-zstandard or use Python 3.14)")
    return _ZstandardDecoder(module), module.ZstdError


class _ZstandardDecoder:
    """The third-party `zstandard` library behind the standard library's interface."""

    # That library cannot bound its output; input in small steps keeps what one step of a bomb yields small.
    STEP = 1 << 10

    def __init__(self, module: Any) -> None:
        self._object = module.ZstdDecompressor().decompressobj()
        self.eof = False
        self.unused_data = b""

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        pieces: list[bytes] = []
        room = max_length
        for at in range(0, len(data), self.STEP):
            pieces.append(self._object.decompress(data[at : at + self.STEP]))
            room -= len(pieces[-1])
            if self._object.eof:
                self.eof = True
                self.unused_data = self._object.unused_data + data[at + self.STEP :]
                break
            if room <= 0 <= max_length:
                break
        return b"".join(pieces)
