# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where bytes come from: memory or an open file, read piece by piece so that a whole module is rarely in memory."""

from __future__ import annotations

import posix

from ..errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn, Protocol

    class Source(Protocol):
        """Random access to `size` bytes."""

        @property
        def size(self) -> int:
            """The number of bytes. Raises `FileError`."""

        def read(self, offset: int, length: int) -> bytes:
            """Return the bytes at `offset`; fewer than `length` at the end of the source. Raises `FileError`."""

        def read_ahead(self, offset: int, length: int) -> bytes:
            """Return what `read` does; to read within these bytes afterwards costs nothing. Raises `FileError`."""


_CLOSED = -1  # in place of a descriptor


class BytesSource:
    """Bytes in memory; reading copies only the piece asked for."""

    def __init__(self, data: bytes | bytearray | memoryview) -> None:
        self._view = memoryview(data)
        self.size: int = len(self._view)

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at `offset`; fewer than `length` at the end."""
        return bytes(self._view[offset : offset + length])

    read_ahead = read


class FileSource:
    """The file at `path`, open as `fd`, which stays the caller's to close. Raises `FileError`."""

    def __init__(self, fd: int, path: str = "") -> None:
        self._fd = fd
        self._path = path
        self._start = 0
        self._ahead = b""
        self._size: int | None = None

    @property
    def size(self) -> int:
        """The number of bytes, asked for at the first question: who loads a module has no use for it."""
        if self._size is None:
            try:
                self._size = posix.fstat(self._fd).st_size
            except OSError as error:
                raise FileError.of(error, self._path) from None
        return self._size

    def forget(self) -> None:
        """Give the descriptor up: whatever is read from now on is an error."""
        self._fd = _CLOSED
        self._ahead = b""

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at `offset`; fewer than `length` at the end. Raises `FileError`."""
        start = offset - self._start
        if 0 <= start <= start + length <= len(self._ahead):
            return self._ahead[start : start + length]
        try:
            return posix.pread(self._fd, length, offset)
        except OSError as error:
            raise FileError.of(error, self._path) from None

    def read_ahead(self, offset: int, length: int) -> bytes:
        """Return what `read` does; to read within these bytes afterwards takes no system call. Raises `FileError`."""
        self._ahead = self.read(offset, length)
        self._start = offset
        return self._ahead


class OwnedFileSource(FileSource):
    """A file whose descriptor is closed with the last reference to this object.

    It cannot be copied: the end of the copy would close the descriptor of the original.
    """

    def __del__(self) -> None:
        posix.close(self._fd)

    def __reduce__(self) -> NoReturn:
        """Refuse `copy` and `pickle`."""
        raise TypeError("an open file cannot be copied")
