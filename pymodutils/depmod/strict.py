"""The strict way of stage 2: by the readers that take any class and byte order and check every offset.

Loaded only when the fast way gives up.
"""

from __future__ import annotations

from ..errors import FormatError
from ..formats.elf import ElfFile
from ..formats.elf_fast import kept_strings
from ..formats.source import BytesSource, FileSource
from ..formats.symbols import exports, needs
from .extract import failed, failure_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.source import Source
    from ..formats.symbols import Need
    from .extract import Named


def of_file(fd: int) -> Named:
    """The facts of an open module file. Raises `FileError`."""
    return facts_of(FileSource(fd))


def of_image(image: bytes) -> Named:
    """The facts of a module in memory."""
    return facts_of(BytesSource(image))


def _needs(elf: ElfFile) -> list[Need]:
    """What is needed, or what of that can be read."""
    for with_versions in (True, False):
        try:
            return [need for need in needs(elf, with_versions=with_versions) if need.name]
        except FormatError:
            continue
    return []


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
    wanted = _needs(elf)
    try:
        strings = elf.data_of(b".modinfo") or b""
    except FormatError:
        strings = b""
    return (
        exported,
        [need.name for need in wanted],
        b"\0".join([need.name for need in wanted if need.weak]),
        kept_strings(strings),
        b"",
        failure,
    )
