# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compressed module files: recognised by their first bytes, decompressed as a stream up to a limit.

The decompressors are imported when a file needs them; `_lzma` directly, because the `lzma` module around it costs 4 ms
for classes that are not used here.
Source: docs/behaviour/2-formats.md, "Module files".
"""

from __future__ import annotations

from ..errors import CompressionError, MissingSupportError
from ..optional import load, load_part

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    class _Decompressor(Protocol):
        @property
        def eof(self) -> bool: ...

        @property
        def unused_data(self) -> bytes: ...

        def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...


MAGIC: dict[str, bytes] = {"gzip": b"\x1f\x8b", "xz": b"\xfd7zXZ\x00", "zstd": b"\x28\xb5\x2f\xfd"}
"""How files begin, by format."""
MAGIC_BYTES = 6
"""Bytes of the longest magic."""

_ELF = b"\x7fELF"

MOST_MODULE_BYTES = 1 << 30
"""Bytes that a decompressed module may have; the largest of Debian's, with debug data, has a tenth of it."""

MOST_XZ_MEMORY = 1 << 28
"""Bytes that the xz decoder may use; `xz -9` needs 65 MiB."""

# Bytes given to a decoder at first, then twice as many each time: what follows a small part is not copied with it.
_FIRST_STEP = 1 << 12


def detect(head: bytes) -> str | None:
    """Return the format (`gzip`, `xz`, `zstd`) of a file that begins with `head`, None when it is not compressed."""
    if head.startswith(_ELF):
        return None
    for name, magic in MAGIC.items():
        if head.startswith(magic):
            return name
    return None


def decompress(data: bytes, limit: int = MOST_MODULE_BYTES) -> bytes:
    """Return the decompressed bytes of `data`, or `data` itself when it is not compressed.

    Raises `CompressionError` (damaged, or more than `limit` bytes) and `MissingSupportError` (zstd library missing).
    """
    kind = detect(data[:MAGIC_BYTES])
    if kind is None:
        return data
    if kind == "gzip":
        return _gunzip(data, limit)
    if kind == "xz":
        return _unxz(data, limit)
    return _unzstd(data, limit)


class _Output:
    """What the parts of one file decompress to, of `limit` bytes at most."""

    def __init__(self, kind: str, limit: int) -> None:
        self.pieces: list[bytes] = []
        self._kind = kind
        self._limit = limit
        self._room = limit

    def take(self, decoder: _Decompressor, data: bytes, at: int) -> int:
        """Decompress the part of `data` that begins at `at`; return where it ends. Raises `CompressionError`."""
        step = _FIRST_STEP
        while not decoder.eof:
            if at >= len(data):
                raise CompressionError(f"{self._kind}: {_TRUNCATED.get(self._kind, 'Unexpected end of input')}")
            # One byte more than allowed, so that too much is noticed.
            piece = decoder.decompress(data[at : at + step], self._room + 1)
            self._room -= len(piece)
            if self._room < 0:
                raise CompressionError(f"{self._kind}: more than {self._limit} bytes when decompressed")
            self.pieces.append(piece)
            at = min(at + step, len(data))
            step *= 2
        return at - len(decoder.unused_data)

    def bytes(self) -> bytes:
        """Return all that was decompressed."""
        return b"".join(self.pieces)


# What kmod prints for a file that ends too early (libzstd's own sentence).
_TRUNCATED = {"zstd": "Src size is incorrect"}


def _gunzip(data: bytes, limit: int) -> bytes:
    import zlib

    out, at = _Output("gzip", limit), 0
    # Members may follow one another; anything else behind the last is padding, as for gzip(1).
    while data.startswith(MAGIC["gzip"], at):
        try:
            at = out.take(zlib.decompressobj(31), data, at)
        except zlib.error as error:
            raise CompressionError(f"gzip: {str(error).rpartition(': ')[2]}") from None  # zlib's own words
    return out.bytes()


def _unxz(data: bytes, limit: int) -> bytes:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    out, at = _Output("xz", limit), 0
    # Streams may follow one another, with padding of zero bytes in multiples of four between and after them.
    while at < len(data):
        try:
            at = out.take(LZMADecompressor(FORMAT_XZ, MOST_XZ_MEMORY), data, at)
        except LZMAError as error:
            raise CompressionError(f"xz: {_XZ_REASONS.get(str(error), str(error))}") from None
        while data.startswith(_XZ_PADDING, at):
            at += len(_XZ_PADDING)
        if data.startswith(b"\0", at):
            raise CompressionError("xz: File is corrupt")
    return out.bytes()


_XZ_PADDING = bytes(4)


# Python's sentence -> the one kmod prints for the same liblzma code.
_XZ_REASONS = {
    "Corrupt input data": "File is corrupt",
    "Input format not supported by decoder": "File format not recognized",
    "Invalid or unsupported options": "Unsupported compression options",
    "Memory usage limit exceeded": "needs more memory than allowed",
}


def _unzstd(data: bytes, limit: int) -> bytes:
    out, at = _Output("zstd", limit), 0
    new_decoder, failure = zstd_library()
    while at < len(data):
        try:
            at = out.take(new_decoder(), data, at)
        except failure as error:
            raise CompressionError(f"zstd: {str(error).rpartition(': ')[2]}") from None  # libzstd's own words
    return out.bytes()


def readable_compressions() -> tuple[str, ...]:
    """Return which of `gzip`, `xz` and `zstd` can be decompressed here: those whose libraries Python has."""
    found = [name for name, module in (("gzip", "zlib"), ("xz", "_lzma")) if load(module)]
    try:
        zstd_library()
    except MissingSupportError:
        return tuple(found)
    return (*found, "zstd")


def zstd_library() -> tuple[Callable[[], _Decompressor], type[Exception]]:
    """Return the constructor of a decoder, of whichever zstd library there is, and the exception it raises."""
    for name in ("compression.zstd", "backports.zstd"):
        module = load(name)
        if module is not None:
            return module.ZstdDecompressor, module.ZstdError
    module = zstandard_library()
    if module is None:
        raise MissingSupportError("zstd: no zstd library for Python (install python3-zstandard or use Python 3.14)")
    return lambda: _ZstandardDecoder(module), module.ZstdError


def zstandard_library() -> Any:
    """Return the third-party `zstandard` library, None when it is not installed.

    As a rule it is the library's core alone. The package around that imports `typing` and `platform`, which takes eight
    times as long.
    """
    return load_part("zstandard", "backend_c") or load("zstandard")


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
