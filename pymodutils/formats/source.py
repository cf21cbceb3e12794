"""Where bytes come from: memory or an open file, read piece by piece so that a whole module is rarely in memory."""

from __future__ import annotations

import os

from ..errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Source(Protocol):
        """Random access to `size` bytes."""

        size: int

        def read(self, offset: int, length: int) -> bytes:
            """The bytes at `offset`; fewer than `length` at the end of the source. Raises `FileError`."""


class BytesSource:
    """Bytes already in memory; reading copies only the piece asked for."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)
        self.size = len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at `offset`; fewer than `length` at the end."""
        return bytes(self._view[offset : offset + length])


class FileSource:
    """The file at `path`, open as `fd`, which stays the caller's to close. Raises `FileError`."""

    def __init__(self, fd: int, path: str = "") -> None:
        self._fd = fd
        self._path = path
        try:
            self.size = os.fstat(fd).st_size
        except OSError as error:
            raise FileError.of(error, path) from None

    def forget(self) -> None:
        """The descriptor is no longer this file's: whatever is read from now on is an error."""
        self._fd = -1

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at `offset`; fewer than `length` at the end. Raises `FileError`."""
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise FileError.of(error, self._path) from None


class OwnedFileSource(FileSource):
    """A file descriptor that is closed with the last reference to this object."""

    def __del__(self) -> None:
        os.close(self._fd)
