# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stage 2 by the general readers, which take any class and byte order and check every offset.

Imported only when the fast reader gives up.
"""

from __future__ import annotations

from ..errors import FormatError
from ..formats.elf import ElfFile
from ..formats.elf_fast import NO_FACTS, RawFacts, kept_strings
from ..formats.source import BytesSource, FileSource
from ..formats.symbols import exported_names, needed_names
from .facts import encode_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..formats.source import Source
    from ..formats.symbols import NeededName


def read_general_file(fd: int) -> tuple[RawFacts, bytes]:
    """Return the facts of an open module file, and why they are not whole. Raises `FileError`."""
    return read_general(FileSource(fd))


def read_general_image(image: bytes) -> tuple[RawFacts, bytes]:
    """Return the facts of a module in memory, and why they are not whole."""
    return read_general(BytesSource(image), decompressed=True)


def read_general(source: Source, *, decompressed: bool = False) -> tuple[RawFacts, bytes]:
    """Return the facts, of a damaged module those that are whole, and the failure. Raises `FileError`."""
    try:
        elf = ElfFile(source, decompressed=decompressed)
    except FormatError as error:
        return NO_FACTS, encode_failure(error)
    failure = b""
    try:
        exported = b"\0".join([name for name, _crc in exported_names(elf) if name])
    except FormatError as error:
        exported, failure = b"", encode_failure(error)
    wanted = _readable_needs(elf)
    try:
        strings = elf.data_of(b".modinfo") or b""
    except FormatError:
        strings = b""
    weak = b"\0".join([name for name, _crc, weak in wanted if weak])
    return RawFacts((exported, [name for name, _crc, _weak in wanted], weak, kept_strings(strings), b"")), failure


def _readable_needs(elf: ElfFile) -> list[NeededName]:
    # Where the versions are damaged, the symbol table is still worth something.
    for with_versions in (True, False):
        try:
            return [need for need in needed_names(elf, with_versions=with_versions) if need[0]]
        except FormatError:
            continue
    return []
