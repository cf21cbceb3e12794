"""Write one result to the file that a user named, which may be a device or a pipe (/dev/stdout, /proc/self/fd/1)."""

from __future__ import annotations

import os

from ..errors import FileError


def write_output(path: str, data: bytes) -> None:
    """Create missing parent directories and write `data`. Raises `FileError`.

    Not renamed into place: the target may be no regular file, and systemd relies on writing through /proc/self/fd.
    """
    try:
        parent = os.path.dirname(path)
        if parent:
            os.makedirs(parent, mode=0o755, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            while data:
                data = data[os.write(fd, data) :]
        finally:
            os.close(fd)
    except OSError as error:
        raise FileError.of(error, path) from None
