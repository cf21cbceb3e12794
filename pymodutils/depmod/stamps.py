"""Stamps of files: what tells, without reading them, whether they are still the same."""

from __future__ import annotations

import os
from itertools import chain
from struct import pack, unpack_from

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Stamp = tuple[int, int, int, int]
"""Size in bytes, time of change (mtime) in ns, inode number, time of change of any kind (ctime) in ns.

Nobody can set the last one: it tells of files put in place with an old time of change, as tar, dpkg and rsync do.
"""

Stamps = dict[bytes, Stamp]
"""By path, relative to the module directory, or absolute."""

NO_STAMP = (0, 0, 0, 0)
"""The stamp of a file that must be read again."""

MISSING = (0, 0, 0, 1)
"""The stamp of a file that is not there."""

TRUSTED_AFTER = 2_000_000_000
"""Nanoseconds that a stamp's times must lie back to be trusted: the coarsest clock of a file system (FAT)."""


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file's status."""
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns


def trusted(stamp: Stamp, now: int) -> Stamp:
    """Return the stamp, or `NO_STAMP` when one of its times is too near to `now` (ns), or later.

    A file written twice within one tick of the clock looks the same.
    """
    return stamp if max(stamp[1], stamp[3]) < now - TRUSTED_AFTER else NO_STAMP


def take_stamps(directory: int, paths: Sequence[bytes]) -> Stamps:
    """Return the stamps of files or directories, by paths relative to the open `directory`."""
    stamps: Stamps = {}
    for path in paths:
        try:
            stamps[path] = stamp_of(os.stat(path, dir_fd=directory))
        except OSError:
            stamps[path] = MISSING
    return stamps


def unchanged(directory: int, old: Mapping[bytes, Stamp]) -> bool:
    """Tell whether all files of `old` still have their stamps."""
    stat = os.stat
    for path, stamp in old.items():
        try:
            status = stat(path, dir_fd=directory)
        except OSError:
            if stamp != MISSING:
                return False
            continue
        if (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns) != stamp:
            return False
    return True


_NUMBERS = 4


def encode_stamps(stamps: Collection[Stamp]) -> bytes:
    """Return the stamps as one string; a time before 1970 as 0."""
    numbers = [max(number, 0) for number in chain.from_iterable(stamps)]
    return pack(f"<{len(numbers)}Q", *numbers)


def decode_stamps(data: bytes) -> list[Stamp]:
    """Return the stamps in what `encode_stamps` made. Raises `FormatError`."""
    if len(data) % (8 * _NUMBERS):
        raise FormatError("not all stamps have four numbers")
    parts = iter(unpack_from(f"<{len(data) // 8}Q", data))
    return list(zip(parts, parts, parts, parts, strict=True))
