# SPDX-License-Identifier: LGPL-2.1-or-later
"""Decompress whole modules by the shortest way for what the kernel's build and distributions make."""

from __future__ import annotations

from _thread import _local  # `threading` would import much

from .compression import MAGIC, MOST_MODULE_BYTES, decompress, zstandard_library

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def decompress_fast(data: bytes) -> bytes:
    """Do what `compression.decompress` does, by the shortest way for the common kinds. Raises the same errors."""
    for magic, way in _WAYS.items():
        if data.startswith(magic):
            image = way(data)
            if image is not None:
                return image
    return decompress(data)


def _from_gzip(data: bytes) -> bytes | None:
    # One member whose size at the end is true; None for anything else.
    import zlib

    size = int.from_bytes(data[-4:], "little")
    if size > MOST_MODULE_BYTES:
        return None
    decoder = zlib.decompressobj(31)
    try:
        image = decoder.decompress(data, size + 1)
    except zlib.error:
        return None
    return image if decoder.eof and not decoder.unused_data and len(image) == size else None


def _from_xz(data: bytes) -> bytes | None:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    decoder = LZMADecompressor(FORMAT_XZ, 1 << 28)
    try:
        image: bytes = decoder.decompress(data, MOST_MODULE_BYTES)
    except LZMAError:
        return None
    return image if decoder.eof and not decoder.unused_data else None


_own = _local()
"""Of each thread: `zstd`, its reader. No two threads may use one at the same time."""


def _from_zstd(data: bytes) -> bytes | None:
    # One frame that states its size, and nothing behind it; None for anything else.
    size = _zstd_size(data)
    if size is None or size > MOST_MODULE_BYTES:
        return None
    reader: Callable[[bytes], bytes] | None = getattr(_own, "zstd", None)
    if reader is None:
        reader = _own.zstd = _zstd_reader()
    try:
        image = reader(data)
    except Exception:  # the library's own exception; the careful way will tell what is wrong
        return None
    return image if len(image) == size else None


def _zstd_reader() -> Callable[[bytes], bytes]:
    # What decompresses one frame, of whichever library there is; one object serves all files.
    module = zstandard_library()
    if module is not None:
        reader: Callable[..., bytes] = module.ZstdDecompressor().decompress
        return lambda data: reader(data, allow_extra_data=False)
    return decompress


def _zstd_size(data: bytes) -> int | None:
    # The content size in a zstd frame's header (RFC 8878, 3.1.1.1), None when it states none.
    if len(data) < 18:
        return None
    descriptor = data[4]
    kind, single, dictionary = descriptor >> 6, descriptor >> 5 & 1, descriptor & 3
    if dictionary or (kind == 0 and not single):
        return None
    at = 5 if single else 6
    length = (1, 2, 4, 8)[kind]
    size = int.from_bytes(data[at : at + length], "little")
    return size + 256 if kind == 1 else size


_WAYS: dict[bytes, Callable[[bytes], bytes | None]] = {
    MAGIC["zstd"]: _from_zstd,
    MAGIC["xz"]: _from_xz,
    MAGIC["gzip"]: _from_gzip,
}
