# SPDX-License-Identifier: LGPL-2.1-or-later
"""The debugging data of a module, as if the module were linked: each section at an address of its own; or the kernel's.

A module is an ELF file of type ET_REL: all its sections begin at 0, and what its DWARF says of addresses is in
relocations. This applies them, decompresses sections, and makes a file of the debugging sections alone, which
pyelftools reads as one that needs no relocation.

Source: the ELF specification (gABI, SHF_COMPRESSED); the psABIs of x86-64, AArch64 and RISC-V, "Relocation types".
"""

from __future__ import annotations

from struct import Struct, error, pack, pack_into, unpack_from

from ..errors import CompressionError, ElfError
from ..records import Record
from .compression import zstd_library
from .elf import ET_REL, SHF_ALLOC, ElfFile
from .functions import symbol_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .elf import Section

WANTED = frozenset(
    {
        ".debug_info", ".debug_abbrev", ".debug_str", ".debug_line", ".debug_line_str", ".debug_ranges",
        ".debug_rnglists", ".debug_addr", ".debug_str_offsets", ".debug_aranges",
    }
)  # fmt: skip
"""Sections that lines and functions are read from."""

MOST_DEBUG_BYTES = 1 << 28
"""Bytes that a decompressed section may have."""
MOST_KERNEL_BYTES = 1 << 30
"""Bytes that a section of the kernel may have; Debian's largest has a sixth of it."""

_SHT_RELA, _SHT_NOBITS, _SHF_COMPRESSED = 4, 8, 0x800
_ZLIB, _ZSTD = 1, 2
_ALIGNMENT = 4096
EM_X86_64, EM_AARCH64, EM_RISCV = 62, 183, 243

_ABSOLUTE: dict[int, dict[int, int]] = {
    EM_X86_64: {1: 8, 10: 4, 11: 4},  # 64, 32, 32S
    EM_AARCH64: {257: 8, 258: 4},  # ABS64, ABS32
    EM_RISCV: {1: 4, 2: 8, 54: 1, 55: 2, 56: 4},  # 32, 64, SET8, SET16, SET32
}
"""Types of relocations that put an address in place, by machine, each with its bytes."""

_ADDED: dict[int, tuple[int, int]] = {
    33: (1, 1), 34: (2, 1), 35: (4, 1), 36: (8, 1), 37: (1, -1), 38: (2, -1), 39: (4, -1), 40: (8, -1),
}  # fmt: skip
"""RISC-V's types that add to what is there or take from it: bytes and sign."""
_SUB6, _SET6, _SET_ULEB, _SUB_ULEB = 52, 53, 60, 61
_FORMATS = {1: "B", 2: "H", 4: "I", 8: "Q"}


class DebugImage(Record):
    """A file with debugging sections alone. `bases` are the addresses of the sections with code by their index."""

    data: bytes
    bases: tuple[tuple[int, int], ...]


def has_debug(elf: ElfFile) -> bool:
    """Tell whether a file has debugging data. Raises `ElfError`."""
    return any(section.name == ".debug_info" and section.type != _SHT_NOBITS for section in elf.sections())


def debug_image(elf: ElfFile) -> DebugImage | None:
    """Return the debugging data of a module or the kernel; None when it has none.

    Raises `ElfError`, `CompressionError`.
    """
    if not has_debug(elf):
        return None
    sections = elf.sections()
    bases = _bases(elf, sections)
    contents: dict[int, bytes | bytearray] = {}
    for section in sections:
        if section.name in WANTED and section.type != _SHT_NOBITS:
            contents[section.index] = _contents(elf, section)
    if elf.type == ET_REL:
        values = [value + bases.get(shndx, 0) for _name, _info, shndx, value, _size in symbol_rows(elf)]
        for section in sections:
            if section.type == _SHT_RELA and section.info in contents:
                data = bytearray(contents[section.info])
                _relocate(elf, data, elf.data(section), values)
                contents[section.info] = data
    named = {sections[index].name: contents.pop(index) for index in list(contents)}
    return DebugImage(_file(elf, named), tuple(bases.items()))


def _bases(elf: ElfFile, sections: list[Section]) -> dict[int, int]:
    """Return an address for each section that is loaded: its own, or, where the file has none, one that is free."""
    loaded = [section for section in sections if section.flags & SHF_ALLOC]
    if elf.type != ET_REL:
        return {section.index: elf.address(section) for section in loaded}
    bases: dict[int, int] = {}
    at = _ALIGNMENT
    for section in loaded:
        bases[section.index] = at
        at += (section.size // _ALIGNMENT + 2) * _ALIGNMENT
    return bases


def _contents(elf: ElfFile, section: Section) -> bytes:
    most = MOST_DEBUG_BYTES if elf.type == ET_REL else MOST_KERNEL_BYTES
    data = elf.data(section, most)
    if not section.flags & _SHF_COMPRESSED:
        return data
    layout = Struct(elf.order + ("IIQQ" if elf.is64 else "III"))
    if len(data) < layout.size:
        raise ElfError(f"section {section.name} is too short for its header")
    head = layout.unpack_from(data)
    kind, size = head[0], head[2] if elf.is64 else head[1]
    if size > most:
        raise ElfError(f"section {section.name} has more than {most} bytes")
    found = _decompress(kind, data[layout.size :], size)
    if len(found) != size:
        raise CompressionError(f"section {section.name} has not the size that it states")
    return found


def _decompress(kind: int, data: bytes, size: int) -> bytes:
    if kind == _ZLIB:
        import zlib

        try:
            return zlib.decompressobj().decompress(data, size + 1)
        except zlib.error:
            raise CompressionError("damaged zlib data") from None
    if kind == _ZSTD:
        new, failure = zstd_library()
        try:
            return bytes(new().decompress(data, size + 1))
        except failure:
            raise CompressionError("damaged zstd data") from None
    raise CompressionError(f"unknown compression {kind} of a section")


def _relocate(elf: ElfFile, data: bytearray, rows: bytes, values: list[int]) -> None:
    """Put addresses in place. Raises `ElfError` for types that no debugging section has."""
    layout = Struct(elf.order + ("QQq" if elf.is64 else "IIi"))
    absolute = _ABSOLUTE.get(elf.machine)
    if absolute is None:
        raise ElfError(f"relocations of machine {elf.machine} are not known")
    shift, low = (32, 0xFFFFFFFF) if elf.is64 else (8, 0xFF)
    formats = {kind: elf.order + _FORMATS[size] for kind, size in absolute.items()}
    masks = {kind: (1 << size * 8) - 1 for kind, size in absolute.items()}
    others = _riscv if elf.machine == EM_RISCV else _unknown
    try:
        for offset, info, addend in layout.iter_unpack(rows[: len(rows) // layout.size * layout.size]):
            kind = info & low
            if kind == 0:
                continue
            value = values[info >> shift] + addend
            form = formats.get(kind)
            if form is not None:
                pack_into(form, data, offset, value & masks[kind])
            else:
                others(data, offset, kind, value)
    except (error, IndexError):
        raise ElfError("a relocation lies outside its section") from None


def _unknown(_data: bytearray, _offset: int, kind: int, _value: int) -> None:
    raise ElfError(f"a relocation of type {kind} in debugging data")


def _riscv(data: bytearray, offset: int, kind: int, value: int) -> None:
    if kind in _ADDED:
        size, sign = _ADDED[kind]
        form = f"<{_FORMATS[size]}"
        old = unpack_from(form, data, offset)[0]
        pack_into(form, data, offset, (old + sign * value) & ((1 << size * 8) - 1))
    elif kind in (_SUB6, _SET6):
        old = data[offset]
        new = value if kind == _SET6 else (old & 0x3F) - value
        data[offset] = (old & 0xC0) | (new & 0x3F)
    elif kind in (_SET_ULEB, _SUB_ULEB):
        _change_uleb(data, offset, lambda old: value if kind == _SET_ULEB else old - value)
    else:
        _unknown(data, offset, kind, value)


def _change_uleb(data: bytearray, offset: int, change: Callable[[int], int]) -> None:
    """Change a number in ULEB128 without changing its length."""
    end = offset
    while data[end] & 0x80:
        end += 1
    old = 0
    for place in range(end, offset - 1, -1):
        old = old << 7 | data[place] & 0x7F
    new = change(old)
    for place in range(offset, end + 1):
        data[place] = data[place] & 0x80 | new & 0x7F
        new >>= 7


def _file(elf: ElfFile, contents: dict[str, bytes | bytearray]) -> bytes:
    """Return an ELF file of these sections. Takes them out of `contents`, since those of a kernel need much memory."""
    from io import BytesIO

    order, is64 = elf.order, elf.is64
    head_size, row_size = (64, 64) if is64 else (52, 40)
    names = b"\0"
    rows = [bytes(row_size)]
    place = head_size
    file = BytesIO()
    file.seek(place)
    for name in [*contents, ".shstrtab"]:
        data = contents.pop(name, b"")
        at = len(names)
        names += name.encode() + b"\0"
        if name == ".shstrtab":
            data = names
        row = (at, 3 if name == ".shstrtab" else 1, 0, 0, place, len(data), 0, 0, 1, 0)
        rows.append(pack(order + ("IIQQQQIIQQ" if is64 else "IIIIIIIIII"), *row))
        file.write(data)
        place += len(data)
    file.write(b"".join(rows))
    ident = b"\x7fELF" + bytes([2 if is64 else 1, 1 if order == "<" else 2, 1]) + bytes(9)
    # An executable: all addresses are in place.
    head = pack(
        order + ("HHIQQQIHHHHHH" if is64 else "HHIIIIIHHHHHH"),
        2, elf.machine, 1, 0, 0, place, 0, head_size, 0, 0, row_size, len(rows), len(rows) - 1,
    )  # fmt: skip
    file.seek(0)
    file.write(ident + head)
    return file.getvalue()
