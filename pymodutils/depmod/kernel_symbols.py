# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own symbols, from the files that come with it: System.map, Module.symvers."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic
from ..names import decode

KernelSymbols = dict[bytes, int]
"""Symbols of the kernel itself and their CRCs, 0 where unknown."""


def parse_system_map(data: bytes, path: str, problems: list[Diagnostic], prefix: bytes = b"") -> KernelSymbols:
    """Return the exported symbols in System.map: lines `address type __ksymtab_NAME`.

    A line of any other form is added to `problems`. The prefix need not be there.
    """
    found = {}
    marker = b"__ksymtab_"
    for number, line in enumerate(data.removesuffix(b"\n").split(b"\n") if data else [], 1):
        words = line.split(b" ", 2)
        if len(words) < 3:
            problems.append(
                Diagnostic("bad-symbol-line", ERROR, "invalid line", file=path, line=number, subject=decode(line))
            )
        elif (name := words[2].removeprefix(prefix)).startswith(marker):
            found[name.removeprefix(marker)] = 0
    return found


def parse_symvers(data: bytes, path: str, problems: list[Diagnostic], prefix: bytes = b"") -> KernelSymbols:
    """Return the kernel's symbols in Module.symvers: lines `CRC<TAB>NAME<TAB>vmlinux...`.

    A CRC that is no number is added to `problems`.
    """
    found: KernelSymbols = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        words = line.split()
        if len(words) < 3 or words[2] != b"vmlinux":
            continue
        try:
            found[words[1].removeprefix(prefix)] = int(words[0].replace(b"_", b"?"), 16)  # Python would pass over `_`
        except ValueError:
            text, crc = "invalid symbol version", decode(words[0])
            problems.append(Diagnostic("bad-symbol-version", ERROR, text, file=path, line=number, subject=crc))
    return found
