# SPDX-License-Identifier: LGPL-2.1-or-later
"""A module image made acceptable for a kernel it was not built for (`--force`), when the kernel cannot be told to.

finit_module has flags for this; init_module has none, so the image is changed.
Source: docs/behaviour/3-resolution.md, "The plan for one module".
"""

from __future__ import annotations

from _struct import Struct

from .elf import SHF_ALLOC, ElfFile
from .source import BytesSource

_VERSION_SECTIONS = (b"__versions", b"__version_ext_crcs", b"__version_ext_names")
_FLAGS_AT = 8  # of a section header, behind the two words sh_name and sh_type


def without_modversions(image: bytes) -> bytes:
    """Return `image` with its symbol versions hidden: the kernel does not see a section that is not allocated."""
    elf = ElfFile(BytesSource(image), decompressed=True)
    changed = bytearray(image)
    flags = Struct(elf.order + ("Q" if elf.is64 else "I"))
    for name in _VERSION_SECTIONS:
        section = elf.section(name)
        if section:
            at = elf.section_table_offset + section.index * elf.section_header_size + _FLAGS_AT
            flags.pack_into(changed, at, section.flags & ~SHF_ALLOC)
    return bytes(changed)


def without_vermagic(image: bytes) -> bytes:
    """Return `image` with its vermagic string blanked."""
    elf = ElfFile(BytesSource(image), decompressed=True)
    section = elf.section(b".modinfo")
    if section is None:
        return image
    strings = elf.data(section)
    start = 0 if strings.startswith(b"vermagic=") else strings.find(b"\0vermagic=") + 1
    if start == 0 and not strings.startswith(b"vermagic="):
        return image
    end = strings.find(b"\0", start)
    end = len(strings) if end < 0 else end
    at = section.offset
    return image[: at + start] + bytes(end - start) + image[at + end :]
