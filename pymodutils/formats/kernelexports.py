# SPDX-License-Identifier: LGPL-2.1-or-later
"""The symbols that a kernel exports, from any file that tells of them: its image, Module.symvers, System.map.

Source: include/linux/export-internal.h, kernel/module/internal.h (struct kernel_symbol), scripts/mod/modpost.c.
"""

from __future__ import annotations

from struct import Struct

from ..errors import ElfError
from ..records import Record
from .elf import ElfFile
from .symbols import FLAGS_SECTION, GPL_ONLY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .elf_linkage import Offer
    from .source import Source

KernelExports = dict[bytes, "Offer"]
"""What the kernel itself exports, by name; CRC, licence and namespace are None where the file does not tell."""

VMLINUX = b"vmlinux"
_FROM_VMLINUX = b"\tvmlinux"
_TABLES = ((b"__ksymtab", b"__kcrctab", False), (b"__ksymtab_gpl", b"__kcrctab_gpl", True))
_ENTRY = b"__ksymtab_"
_CRC = b"__crc_"


def read_symvers(data: bytes) -> KernelExports:
    """Return the kernel's exports in Module.symvers: lines `CRC<TAB>NAME<TAB>vmlinux<TAB>EXPORT<TAB>NAMESPACE`.

    Linux 5.4 to 5.6 put the namespace before `vmlinux`, and earlier ones have none. A CRC of 0 is none.
    """
    found: KernelExports = {}
    for line in data.split(b"\n"):
        if _FROM_VMLINUX not in line:
            continue
        words = line.split(b"\t", 4)
        if len(words) == 5 and words[2] == VMLINUX:  # first, because it is the form of today
            namespace, kind = words[4].strip(), words[3]
        elif words[2:3] == [VMLINUX]:
            namespace, kind = b"", words[3] if len(words) > 3 else b""
        elif words[3:4] == [VMLINUX]:
            namespace, kind = words[2], words[4] if len(words) > 4 else b""
        else:
            continue
        is_gpl = kind.startswith(b"EXPORT_SYMBOL_GPL") if kind else None
        try:
            crc = int(words[0], 16)
        except ValueError:
            continue
        found[words[1]] = words[1], crc or None, is_gpl, namespace
    return found


def read_system_map(data: bytes) -> KernelExports:
    """Return the exports in System.map or /proc/kallsyms: lines `ADDRESS TYPE __ksymtab_NAME`, those of modules aside.

    Where the addresses tell in which table an entry is, the licence is known; where CRCs are absolute symbols, these.
    """
    entries: dict[bytes, int] = {}
    crcs: dict[bytes, int] = {}
    limits: dict[bytes, int] = {}
    for line in (*_lines_with(data, _ENTRY), *_lines_with(data, _CRC)):
        words = line.split()
        if len(words) != 3:
            continue  # the fourth is the module that has the symbol
        address, kind, name = words
        try:
            value = int(address, 16)
        except ValueError:
            continue
        if name.startswith(_ENTRY):
            entries[name[len(_ENTRY) :]] = value
        elif name.startswith(_CRC) and kind in b"Aa":
            crcs[name[len(_CRC) :]] = value & 0xFFFFFFFF
        else:
            limits[name] = value
    start, stop = limits.get(b"__start___ksymtab_gpl", 0), limits.get(b"__stop___ksymtab_gpl", 0)
    known = 0 < start < stop

    def is_gpl(address: int) -> bool | None:
        return start <= address < stop if known and address else None

    return {name: (name, crcs.get(name) or None, is_gpl(address), None) for name, address in entries.items()}


def _lines_with(data: bytes, mark: bytes) -> Iterator[bytes]:
    """Yield the lines in which a text is: of a hundred thousand others nothing is made."""
    at = data.find(mark)
    while at >= 0:
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        yield data[data.rfind(b"\n", 0, at) + 1 : end]
        at = data.find(mark, end)


def read_kernel_exports(kernel: Source) -> KernelExports:
    """Return the exports in a kernel that is an ELF file, with symbols or without. Raises `ElfError`.

    There are none if its tables have another form than those known here: then nothing is known, as no kernel with
    modules exports nothing.
    """
    elf = ElfFile(kernel)
    strings = _Part.of(elf, b"__ksymtab_strings")
    found: KernelExports = {}
    if strings is None:
        return found
    flags = elf.data_of(FLAGS_SECTION) or b""
    for table_name, crcs_name, is_gpl in _TABLES:
        table = _Part.of(elf, table_name)
        if table is None or not table.data:
            continue
        crcs = elf.data_of(crcs_name) or b""
        entries = _entries(elf, table, strings, len(crcs) // 4)
        versions: Sequence[int | None] = _crcs(elf, crcs, len(entries))
        for place, ((name, namespace), crc) in enumerate(zip(entries, versions, strict=True)):
            gpl = bool(flags[place] & GPL_ONLY) if flags and not is_gpl and place < len(flags) else is_gpl
            found[name] = name, crc, gpl, namespace
    return found


class _Part(Record):
    """A section's bytes, and where they are in memory."""

    address: int
    data: bytes

    @classmethod
    def of(cls, elf: ElfFile, name: bytes) -> _Part | None:
        section = elf.section(name)
        return None if section is None else cls(elf.address(section), elf.data(section))


def _crcs(elf: ElfFile, data: bytes, count: int) -> Sequence[int | None]:
    if count and len(data) == 4 * count:
        return [crc or None for (crc,) in Struct(f"{elf.order}I").iter_unpack(data)]
    return [None] * count


def _entries(elf: ElfFile, table: _Part, strings: _Part, count: int) -> list[tuple[bytes, bytes]]:
    """Return name and namespace of each entry. Raises `ElfError` for a form that is not known.

    An entry has the addresses of the symbol, of its name and, since Linux 5.4, of its namespace. They are as long as
    the machine's, or relative to themselves and of four bytes.
    """
    for fields in (3, 2):
        for is_relative in (True, False):
            width = 4 if is_relative else elf.long_size
            if len(table.data) % (fields * width) or (count and len(table.data) != fields * width * count):
                continue
            found = _decoded(elf, table, strings, fields, is_relative=is_relative)
            if found is not None:
                return found
    raise ElfError("table of exported symbols has an unknown form")


def _decoded(
    elf: ElfFile, table: _Part, strings: _Part, fields: int, *, is_relative: bool
) -> list[tuple[bytes, bytes]] | None:
    width = 4 if is_relative else elf.long_size
    code = "i" if is_relative else "Q" if elf.is64 else "I"
    text = strings.data
    found = []
    for number, entry in enumerate(Struct(f"{elf.order}{fields}{code}").iter_unpack(table.data)):
        words: list[bytes] = []
        for field in range(1, fields):
            here = table.address + (number * fields + field) * width if is_relative else 0
            name = _text(text, entry[field] + here - strings.address, absent=field == 2 and not entry[field])
            if name is None:
                return None
            words.append(name)
        if not words[0]:
            return None
        found.append((words[0], words[1] if fields == 3 else b""))
    return found


def _text(strings: bytes, at: int, *, absent: bool) -> bytes | None:
    """Return the string that begins at `at`, None if none does."""
    if absent:
        return b""
    if not 0 <= at < len(strings):
        return None
    end = strings.find(b"\0", at)
    return strings[at:end] if end >= 0 else None


READERS: dict[str, Callable[[bytes], KernelExports]] = {"symvers": read_symvers, "map": read_system_map}
"""Those for text files, by what the text is."""


def kind_of_text(data: bytes) -> str | None:
    """Return which of `READERS` a text is for, None for none of them."""
    words = data.partition(b"\n")[0].split()
    if len(words) >= 3 and words[0].startswith(b"0x"):
        return "symvers"
    return "map" if len(words) in (3, 4) and len(words[1]) == 1 else None
