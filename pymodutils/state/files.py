"""Small reads, with errors typed. L2 and above read files through here."""

from __future__ import annotations

import os

from ..errors import FileError


def read_file(path: str) -> bytes:
    """A file's bytes. Raises `FileError`."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return read_all(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise FileError.of(error, path) from None


def read_all(fd: int) -> bytes:
    """Everything from an open descriptor (files of /proc and /sys have no size). Raises OSError."""
    pieces = []
    length = max(os.fstat(fd).st_size, 1 << 16)
    while piece := os.read(fd, length):
        pieces.append(piece)
    return b"".join(pieces)


def read_or_none(path: str) -> bytes | None:
    """A file's bytes, or None when there is no such file. Raises `FileError` for anything else."""
    try:
        return read_file(path)
    except FileError as error:
        if error.errno in (2, 20):  # ENOENT, ENOTDIR
            return None
        raise
