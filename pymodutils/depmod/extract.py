"""Stage 2, extract: the facts of one module file that depmod needs, by the fast way or the strict one."""

from __future__ import annotations

import os

from ..errors import Error, FileError, FormatError, MissingSupportError
from ..formats import elf_fast
from ..formats.compression import LIMIT, MAGIC, decompress
from .symbols import padded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .symbols import SymbolNumbers

    Named = tuple[bytes, Sequence[bytes], bytes, bytes, bytes, bytes]
    """`Facts` with the names of needed symbols, which have NULs behind them if `SHUFFLED`."""

Facts = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
"""Exported symbols, the numbers of needed symbols, the weak ones of these, the .modinfo strings that count (these three
joined by NULs, none of them empty), `SHUFFLED` when symbols are not in the order of the file's symbol table, and why
the symbols could not be read: `ERRNO text`, empty when they could."""

EXPORTS, NEEDS, WEAK, INFOS, ORDER, FAILURE = range(6)
"""Which field is which."""

HEAD = 1 << 16
"""Bytes read first: a whole compressed module more often than not, and of another the beginning."""

_ELF = b"\x7fELF"
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


Stamp = tuple[int, int, int]
"""Size in bytes, time of last change in ns, inode number: what tells whether a file is still the same."""

NO_STAMP = (0, 0, 0)


def stamp_of(status: os.stat_result) -> Stamp:
    """The stamp of a file's status."""
    return status.st_size, status.st_mtime_ns, status.st_ino


def extract(
    directory: int, path: bytes, symbols: SymbolNumbers, *, stamped: bool = True, in_order: bool = False
) -> tuple[Stamp, Facts]:
    """The facts of the module at `path`, relative to an open directory, and its stamp before it was read.

    Raises nothing: an unreadable file has empty facts and a reason. Without `stamped` the stamp is `NO_STAMP`. With
    `in_order` symbols are not shuffled, which takes longer.
    """
    stamp, (exports, needs, weak, infos, order, failure) = _read(directory, path, stamped, in_order)
    numbers = symbols.of(needs if order else list(map(padded, needs)))
    return stamp, (exports, numbers, weak, infos, order, failure)


def undefined_symbols(directory: int, path: bytes) -> Sequence[bytes]:
    """The undefined symbols of one module in the order of its symbol table; none when it is broken."""
    try:
        fd = os.open(path, _FLAGS, dir_fd=directory)
        try:
            found: Sequence[bytes] | None = elf_fast.read_undefined(fd, os.pread(fd, elf_fast.HEADER_SIZE, 0))
            if found is None:
                _, found, *_ = _of_file(fd, in_order=True)
            return found
        finally:
            os.close(fd)
    except (OSError, FormatError, MissingSupportError):
        return ()


def _read(directory: int, path: bytes, stamped: bool, in_order: bool) -> tuple[Stamp, Named]:
    stamp = NO_STAMP
    try:
        fd = os.open(path, _FLAGS, dir_fd=directory)
        try:
            if stamped:
                stamp = stamp_of(os.fstat(fd))
            return stamp, _of_file(fd, in_order)
        finally:
            os.close(fd)
    except OSError as error:
        return stamp, failed(FileError.of(error, ""))
    except (FormatError, MissingSupportError) as error:
        return stamp, failed(error)


def _of_file(fd: int, in_order: bool) -> Named:
    head = os.pread(fd, elf_fast.HEADER_SIZE, 0)
    if head.startswith(_ELF):
        plain = elf_fast.read_file(fd, head, in_order=in_order)
        if plain is not None:
            return (*plain, b"")
        from . import strict

        return strict.of_file(fd)
    data = os.pread(fd, HEAD, 0)
    image = inflate(_rest(fd, data))
    plain = elf_fast.read_image(image)
    if plain is not None:
        return (*plain, b"")
    from . import strict

    return strict.of_image(image)


def _rest(fd: int, data: bytes) -> bytes:
    """The whole file, of which `data` was read first."""
    if len(data) < HEAD:
        return data
    return data + os.pread(fd, max(os.fstat(fd).st_size - HEAD, 0), HEAD)


def failed(error: Error | OSError) -> Named:
    """No facts and a reason."""
    return b"", (), b"", b"", b"", failure_of(error)


def failure_of(error: Error | OSError) -> bytes:
    """The reason as the last field of `Facts` has it."""
    number = error.errno or 22
    reason = error.reason if isinstance(error, Error) else os.strerror(number)
    return os.fsencode(f"{number} {reason}").replace(b"\0", b"")


# --- decompression


def inflate(data: bytes) -> bytes:
    """As `compression.decompress`, by the shortest way for the common kinds. Raises the same errors."""
    for magic, way in _WAYS.items():
        if data.startswith(magic):
            image = way(data)
            if image is not None:
                return image
    return decompress(data)


def _inflate_gzip(data: bytes) -> bytes | None:
    """One member whose size at the end is true; None for anything else."""
    import zlib

    size = int.from_bytes(data[-4:], "little")
    if size > LIMIT:
        return None
    decoder = zlib.decompressobj(31)
    try:
        image = decoder.decompress(data, size + 1)
    except zlib.error:
        return None
    return image if decoder.eof and not decoder.unused_data and len(image) == size else None


def _inflate_xz(data: bytes) -> bytes | None:
    from _lzma import FORMAT_XZ, LZMADecompressor, LZMAError

    decoder = LZMADecompressor(FORMAT_XZ, 1 << 28)
    try:
        image: bytes = decoder.decompress(data, LIMIT)
    except LZMAError:
        return None
    return image if decoder.eof and not decoder.unused_data else None


_zstd: Callable[[bytes], bytes] | None = None


def _inflate_zstd(data: bytes) -> bytes | None:
    """One frame that states its size; None for anything else."""
    global _zstd
    size = _zstd_size(data)
    if size is None or size > LIMIT:
        return None
    if _zstd is None:
        _zstd = _zstd_reader()
    try:
        image = _zstd(data)
    except Exception:  # the library's own exception; the careful way will tell what is wrong
        return None
    return image if len(image) == size else None


def _zstd_reader() -> Callable[[bytes], bytes]:
    """A function that decompresses one frame, of whichever library there is; one object serves all files."""
    from ..optional import load

    module = load("zstandard")
    if module is not None:
        reader: Callable[[bytes], bytes] = module.ZstdDecompressor().decompress
        return reader
    return decompress


def _zstd_size(data: bytes) -> int | None:
    """The content size in a zstd frame's header (RFC 8878, 3.1.1.1), None when it states none."""
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
    MAGIC["zstd"]: _inflate_zstd,
    MAGIC["xz"]: _inflate_xz,
    MAGIC["gzip"]: _inflate_gzip,
}
