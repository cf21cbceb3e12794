# SPDX-License-Identifier: LGPL-2.1-or-later
"""The versions (CRCs) of symbols that a module records and exports, which depmod -E compares.

They are no facts, since few runs want them. Of a compressed module they are taken when it is unpacked for its facts:
to unpack it again would double the work.
"""

from __future__ import annotations

from contextlib import suppress

from ..errors import Error
from ..formats.elf import ElfFile
from ..formats.source import BytesSource
from ..formats.symbols import exported_names, recorded_versions

Versions = tuple[dict[bytes, int], dict[bytes, int]]
"""CRCs of the symbols that a module needs, by names without a dot in front; and of those that it exports."""


def versions_of(elf: ElfFile) -> Versions:
    """Return the versions in a module; those that are damaged are left out."""
    needed: dict[bytes, int] = {}
    exported: dict[bytes, int] = {}
    with suppress(Error):
        needed.update(recorded_versions(elf))
    with suppress(Error):
        exported.update((name, crc or 0) for name, crc in exported_names(elf))
    return needed, exported


def versions_of_image(image: bytes) -> Versions:
    """Return the versions in an unpacked module; none in what is no module."""
    try:
        return versions_of(ElfFile(BytesSource(image), decompressed=True))
    except Error:
        return {}, {}
