"""Where bytes come from: memory or an open file, read piece by piece so that a whole module is rarely in memory."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class Source(Protocol):
        """Random access to `size` bytes."""

        size: int

        def read(self, offset: int, length: int) -> bytes:
            """The bytes at `offset`; fewer than `length` at the end of the source."""


class BytesSource:
    """Bytes already in memory; reading copies only the piece asked for."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)
        self.size = len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at `offset`; fewer than `length` at the end."""
        return bytes(self._view[offset : offset + length])


class FileSource:
    """An open file descriptor, which stays the caller's to close."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, length: int) -> bytes:
        """The bytes at `offset`; fewer than `length` at the end. Raises OSError."""
        return os.pread(self._fd, length, offset)


class OwnedFileSource(FileSource):
    """A file descriptor that is closed with the last reference to this object."""

    def __del__(self) -> None:
        os.close(self._fd)
