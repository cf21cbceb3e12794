# SPDX-License-Identifier: LGPL-2.1-or-later
"""The files in an initial file system image, as far as they are wanted, with what their contents are compared by."""

from __future__ import annotations

from ..errors import Error
from ..formats.cpio import LIMIT, read_members
from ..records import Record
from .files import open_image, read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ..formats.source import Source
    from ..observer import Observer

_MIB = 1 << 20


class ImageFile(Record):
    """A file of an image: its path without a slash in front, and the SHA-256 of its bytes, None for a link."""

    path: str
    digest: bytes | None

    def is_same(self, path: str) -> bool:
        """Tell whether a file has the same bytes. Raises `FileError`."""
        return self.digest == _digest(read_file(path))


def open_observed(path: str, observer: Observer | None) -> Source:
    """Open an image, which may take seconds to read; `observer` hears of progress. Raises `FileError`."""
    source = open_image(path)
    return source if observer is None else _Observed(source, path.rpartition("/")[2], observer)


class _Observed:
    """An image of which an observer hears how much was read."""

    def __init__(self, source: Source, name: str, observer: Observer) -> None:
        self.size: int = source.size
        self._source = source
        self._what = f"MiB of {name}"
        self._observer = observer

    def read(self, offset: int, length: int) -> bytes:
        """Return the bytes at `offset`; fewer than `length` at the end. Raises `FileError`."""
        self._observer.progress(offset // _MIB, -(-self.size // _MIB), self._what)
        return self._source.read(offset, length)

    def read_ahead(self, offset: int, length: int) -> bytes:
        """Return what `read` does. Raises `FileError`."""
        return self._source.read_ahead(offset, length)


def read_image_files(path: str, wanted: Callable[[str], bool], observer: Observer | None = None) -> Iterator[ImageFile]:
    """Yield the wanted files and links of an image. Raises `FileError`, `FormatError`, `MissingSupportError`."""
    try:
        # No more than one file is kept at a time, so all together may be as large as the image.
        for member in read_members(open_observed(path, observer), wanted, most_kept=LIMIT):
            if (member.is_file or member.is_link) and wanted(member.path):
                yield ImageFile(member.path, _digest(member.data or b"") if member.is_file else None)
    except Error as error:
        error.path = error.path or path
        raise


def _digest(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()
