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


class ImageFile(Record):
    """A file of an image: its path without a slash in front, and the SHA-256 of its bytes, None for a link."""

    path: str
    digest: bytes | None

    def is_same(self, path: str) -> bool:
        """Tell whether a file has the same bytes. Raises `FileError`."""
        return self.digest == _digest(read_file(path))


def read_image_files(path: str, wanted: Callable[[str], bool]) -> Iterator[ImageFile]:
    """Yield the wanted files and links of an image. Raises `FileError`, `FormatError`, `MissingSupportError`."""
    try:
        # No more than one file is kept at a time, so all together may be as large as the image.
        for member in read_members(open_image(path), wanted, most_kept=LIMIT):
            if (member.is_file or member.is_link) and wanted(member.path):
                yield ImageFile(member.path, _digest(member.data or b"") if member.is_file else None)
    except Error as error:
        error.path = error.path or path
        raise


def _digest(data: bytes) -> bytes:
    from hashlib import sha256

    return sha256(data).digest()
