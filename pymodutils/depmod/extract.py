"""Stage 2, extract: the facts of one module file that depmod needs, by the fast way or the strict one."""

from __future__ import annotations

import os

from ..errors import Error, FileError
from ..formats import elf_fast
from .stamps import NO_STAMP, stamp_of
from .symbol_numbers import numbers_of, pack_numbers, padded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .stamps import Stamp
    from .symbol_numbers import SymbolNumbers

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
_EFBIG = 27
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


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
    except (OSError, Error):
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
    except Error as error:
        return stamp, failed(error)


def _of_file(fd: int, in_order: bool) -> Named:
    head = os.pread(fd, elf_fast.HEADER_SIZE, 0)
    if not head.startswith(_ELF):
        from ..formats.compression import LIMIT, detect
        from .inflate import inflate

        if detect(head):
            return _of_image(inflate(_whole(fd, LIMIT)))
    plain = elf_fast.read_file(fd, head, in_order=in_order)
    if plain is not None:
        return (*plain, b"")
    from . import strict

    return strict.of_file(fd)


def _of_image(image: bytes) -> Named:
    plain = elf_fast.read_image(image)
    if plain is not None:
        return (*plain, b"")
    from . import strict

    return strict.of_image(image)


def _whole(fd: int, limit: int) -> bytes:
    """All bytes of a file. Raises OSError, also for more than `limit`."""
    data = os.pread(fd, HEAD, 0)
    if len(data) < HEAD:
        return data
    size = os.fstat(fd).st_size
    if size > limit:
        raise OSError(_EFBIG, os.strerror(_EFBIG))
    return data + os.pread(fd, max(size - HEAD, 0), HEAD)


def put_in_order(facts: Facts, undefined: Sequence[bytes], names: Sequence[bytes]) -> Facts:
    """Shuffled facts with needed symbols in the order that they have in `undefined`; `names` are those by number."""
    exports, packed, weak, infos, _, failure = facts
    numbers = {names[number]: number for number in numbers_of(packed)}
    first = [numbers.pop(name) for name in undefined if name in numbers]
    return exports, pack_numbers([*first, *numbers.values()]), weak, infos, b"", failure


def failed(error: Error) -> Named:
    """No facts and a reason."""
    return b"", (), b"", b"", b"", failure_of(error)


def failure_of(error: Error) -> bytes:
    """The reason as the last field of `Facts` has it."""
    return os.fsencode(f"{error.errno or 22} {error.reason}").replace(b"\0", b"")
