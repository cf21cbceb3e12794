# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 2, extract: find out the facts of one module file, by the fast reader or else by the general one."""

from __future__ import annotations

import errno
import os

from ..errors import Error, FileError
from ..formats import elf_fast
from .facts import ModuleFacts, encode_failure
from .stamps import NO_STAMP, stamp_of
from .symbol_ids import pack_ids, padded, unpack_ids

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..formats.elf_fast import RawFacts
    from .facts import Extract
    from .stamps import Stamp
    from .symbol_ids import SymbolIds

    LookAt = Callable[[bytes], None]
    RawExtract = tuple[RawFacts, bytes]
    """Facts with the names of needed symbols, and the failure as in `ModuleFacts`."""

HEAD = 1 << 16
"""Bytes read first: a whole compressed module more often than not, and of another the beginning."""

_ELF = b"\x7fELF"
OPEN_FLAGS: int = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
"""How module files are opened: a pipe put there must not stop anything."""


def extract(
    directory: int,
    path: bytes,
    symbols: SymbolIds,
    *,
    stamped: bool = True,
    in_order: bool = False,
    look_at: LookAt | None = None,
) -> Extract:
    """Return the facts of the module at `path`, relative to an open directory, and its stamp from before it was read.

    It raises nothing: an unreadable file has empty facts and a failure. Without `stamped` the stamp is `NO_STAMP`. With
    `in_order` symbols are not shuffled, which takes longer. `look_at` gets the bytes of a module that was compressed.
    """
    stamp, (raw, failure) = _read(directory, path, stamped, in_order, look_at)
    exports, needs, weak, infos, shuffled = raw
    ids = symbols.pack(needs if shuffled else list(map(padded, needs)))
    return stamp, ModuleFacts((exports, ids, weak, infos, shuffled, failure))


def extract_names(directory: int, path: bytes) -> RawExtract:
    """Return the facts of a module as `extract` does, with the names of needed symbols, in their order."""
    return _read(directory, path, stamped=False, in_order=True)[1]


def undefined_symbols(directory: int, path: bytes) -> Sequence[bytes]:
    """Return the undefined symbols of one module in the order of its symbol table; none when it is broken."""
    try:
        fd = os.open(path, OPEN_FLAGS, dir_fd=directory)
        try:
            found: Sequence[bytes] | None = elf_fast.read_undefined(fd, os.pread(fd, elf_fast.HEADER_SIZE, 0))
            if found is None:
                found = _of_file(fd, in_order=True)[0].needs
            return found
        finally:
            os.close(fd)
    except (OSError, Error):
        return ()


def _read(
    directory: int, path: bytes, stamped: bool, in_order: bool, look_at: LookAt | None = None
) -> tuple[Stamp, RawExtract]:
    stamp = NO_STAMP
    try:
        fd = os.open(path, OPEN_FLAGS, dir_fd=directory)
        try:
            if stamped:
                stamp = stamp_of(os.fstat(fd))
            return stamp, _of_file(fd, in_order, look_at)
        finally:
            os.close(fd)
    except Error as error:
        return stamp, (elf_fast.NO_FACTS, encode_failure(error))
    except OSError as error:
        return stamp, (elf_fast.NO_FACTS, encode_failure(FileError.of(error, "")))


def _of_file(fd: int, in_order: bool, look_at: LookAt | None = None) -> RawExtract:
    head = os.pread(fd, elf_fast.HEADER_SIZE, 0)
    if not head.startswith(_ELF):
        from ..formats.compression import MOST_MODULE_BYTES, detect
        from ..formats.decompress_fast import decompress_fast

        if detect(head):
            image = decompress_fast(read_whole(fd, MOST_MODULE_BYTES))
            if look_at:
                look_at(image)
            return _of_image(image, in_order)
    raw = elf_fast.read_file(fd, head, in_order=in_order)
    if raw is not None:
        return raw, b""
    from .extract_general import read_general_file

    return read_general_file(fd)


def _of_image(image: bytes, in_order: bool) -> RawExtract:
    raw = elf_fast.read_image(image, in_order=in_order)
    if raw is not None:
        return raw, b""
    from .extract_general import read_general_image

    return read_general_image(image)


def read_whole(fd: int, limit: int) -> bytes:
    """Return all bytes of a file. Raises OSError, also for more than `limit`."""
    data = os.pread(fd, HEAD, 0)
    if len(data) < HEAD:
        return data
    size = os.fstat(fd).st_size
    if size > limit:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    return data + os.pread(fd, max(size - HEAD, 0), HEAD)


def put_in_order(facts: ModuleFacts, undefined: Sequence[bytes], names: Sequence[bytes]) -> ModuleFacts:
    """Return shuffled facts with needed symbols in the order that they have in `undefined`; `names` are those by id."""
    ids = {names[symbol]: symbol for symbol in unpack_ids(facts.needs)}
    first = [ids.pop(name) for name in undefined if name in ids]
    return ModuleFacts((facts.exports, pack_ids([*first, *ids.values()]), facts.weak, facts.infos, b"", facts.failure))
