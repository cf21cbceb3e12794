# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stamps of files: what tells, without reading them, whether they are still the same.

Nobody can set the time of any change (ctime) of a file, but makers of images set all times, and an image may take
the place of another. So a stamp counts only where its times can be the system's own; see `trusted`.
"""

from __future__ import annotations

import os
from itertools import chain
from struct import pack, unpack_from

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Stamp = tuple[int, int, int, int, int]
"""Size in bytes, time of change (mtime) in ns, inode number, time of any change (ctime) in ns, device number."""

Stamps = dict[bytes, Stamp]
"""By path, relative to the module directory, or absolute."""

NO_STAMP = (0, 0, 0, 0, 0)
"""The stamp of a file that must be read again."""

MISSING = (0, 0, 0, 1, 0)
"""The stamp of a file that is not there."""

TRUSTED_AFTER = 2_000_000_000
"""Nanoseconds that a stamp's times must lie back to be trusted: the coarsest clock of a file system (FAT)."""

SECOND = 1_000_000_000


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file's status."""
    return status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns, status.st_dev


def trusted(stamp: Stamp, now: int, clamped: Collection[int] = ()) -> Stamp:
    """Return the stamp, or `NO_STAMP` when its times prove nothing.

    So it is when one of them is too near to `now` (ns) or later: a file written twice within one tick of the clock
    looks the same. So it is, too, when somebody set them: an mtime of 0 or 1 (as in a Nix store), or of one of the
    `clamped` times (s), and a ctime in whole seconds, which the system's clock gives as good as never and makers of
    images always (mke2fs, mksquashfs, mkfs.erofs).
    """
    _size, mtime, _inode, ctime, _device = stamp
    if max(mtime, ctime) >= now - TRUSTED_AFTER or ctime % SECOND == 0:
        return NO_STAMP
    return NO_STAMP if mtime <= SECOND or (mtime % SECOND == 0 and mtime // SECOND in clamped) else stamp


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
        if (status.st_size, status.st_mtime_ns, status.st_ino, status.st_ctime_ns, status.st_dev) != stamp:
            return False
    return True


_NUMBERS = 5


def encode_stamps(stamps: Collection[Stamp]) -> bytes:
    """Return the stamps as one string; a time before 1970 as 0."""
    numbers = [max(number, 0) for number in chain.from_iterable(stamps)]
    return pack(f"<{len(numbers)}Q", *numbers)


def decode_stamps(data: bytes) -> list[Stamp]:
    """Return the stamps in what `encode_stamps` made. Raises `FormatError`."""
    if len(data) % (8 * _NUMBERS):
        raise FormatError("not all stamps have five numbers")
    parts = iter(unpack_from(f"<{len(data) // 8}Q", data))
    return list(zip(parts, parts, parts, parts, parts, strict=True))
