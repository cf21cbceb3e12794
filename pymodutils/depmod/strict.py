"""The strict way of stage 2: by the readers that take any class and byte order and check every offset.

Loaded only when the fast way gives up.
"""

from __future__ import annotations

from ..errors import FormatError
from ..formats.elf import ElfFile
from ..formats.elf_fast import KEPT
from ..formats.source import BytesSource, FileSource
from ..formats.symbols import exports, needs
from .extract import failed, failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.source import Source
    from .extract import Named


def of_file(fd: int) -> Named:
    """The facts of an open module file. Raises `FileError`."""
    return facts_of(FileSource(fd))


def of_image(image: bytes) -> Named:
    """The facts of a module in memory."""
    return facts_of(BytesSource(image))


def facts_of(source: Source) -> Named:
    """The facts: of a damaged module, those that are whole. Raises `FileError` when it cannot be read."""
    try:
        elf = ElfFile(source)
    except FormatError as error:
        return failed(error)
    failure = b""
    try:
        exported = b"\0".join([export.name for export in exports(elf) if export.name])
    except FormatError as error:
        exported, failure = b"", failure_of(error)
    try:
        wanted = [need for need in needs(elf) if need.name]
    except FormatError:
        wanted = []
    try:
        strings = elf.data_of(b".modinfo") or b""
    except FormatError:
        strings = b""
    return (
        exported,
        [need.name for need in wanted],
        b"\0".join([need.name for need in wanted if need.weak]),
        b"\0".join([text for text in strings.split(b"\0") if text.startswith(KEPT)]),
        b"",
        failure,
    )
