# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module.symvers: what a kernel and the modules built with it export.

Source: Documentation/kbuild/modules.rst, "Symbols From the Kernel"; scripts/mod/modpost.c (read_dump).
"""

from __future__ import annotations

from ..names import decode
from ..records import Record

VMLINUX = "vmlinux"
"""How the file names the kernel itself."""


class ExportLine(Record):
    """A line of Module.symvers. `crc` is None where versions are not built; `module` is a path without its end."""

    name: str
    crc: int | None
    module: str
    gpl: bool
    namespace: str


def parse_symvers_lines(data: bytes) -> list[ExportLine]:
    """Return the lines `CRC<TAB>NAME<TAB>MODULE<TAB>EXPORT<TAB>NAMESPACE`; those of any other form are passed over."""
    found = []
    for line in data.split(b"\n"):
        words = line.split(b"\t")
        if len(words) not in (4, 5) or not words[1] or not words[3].startswith(b"EXPORT_"):
            continue
        try:
            crc = int(words[0].replace(b"_", b"?"), 16)  # Python would pass over `_`
        except ValueError:
            continue
        namespace = decode(words[4]) if len(words) == 5 else ""
        found.append(ExportLine(decode(words[1]), crc or None, decode(words[2]), words[3].endswith(b"_GPL"), namespace))
    return found
