"""Write one result to the file that a user named, and make directories for results.

The file may be a device or a pipe (/dev/stdout, /proc/self/fd/1).
"""

from __future__ import annotations

import errno
import os

from ..errors import FileError


def make_directories(path: str) -> None:
    """Make a directory and those above it where they are missing, all with mode 755. Raises OSError."""
    if not path or os.path.isdir(path):
        return
    make_directories(os.path.dirname(path.rstrip("/")))
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        if not os.path.isdir(path):  # else somebody else made it just now
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None


def write_output(path: str, data: bytes) -> None:
    """Create missing parent directories and write `data`. Raises `FileError`.

    The file is not renamed into place: it may be no regular file, and systemd relies on writing through /proc/self/fd.
    """
    try:
        make_directories(os.path.dirname(path))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
    except OSError as error:
        raise FileError.of(error, path) from None
