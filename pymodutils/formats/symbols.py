"""Symbols that a module exports and needs, with their CRCs.

Source: include/linux/export.h, scripts/mod/modpost.c, kernel/module/version.c; contract 2, "Module files".
"""

from __future__ import annotations

from struct import Struct

from ..errors import ElfError
from ..records import Record
from .elf import EM_SPARC, SHN_ABS, SHN_UNDEF, STB_WEAK, STT_REGISTER, SYMBOL_LIMIT, ElfFile

CRC_PREFIX = b"__crc_"
RECORD_SIZE = 64


class Export(Record):
    """A symbol that a module offers; CRC 0 when the module has no symbol versions."""

    name: bytes
    crc: int


class Need(Record):
    """A symbol that a module wants from elsewhere; `crc` is None when it records no version for it."""

    name: bytes
    crc: int | None
    weak: bool


def exports(elf: ElfFile) -> list[Export]:
    """Exported symbols in table order. Raises `ElfError`."""
    found = [
        Export(symbol.name[len(CRC_PREFIX) :], _crc_of(elf, symbol.section, symbol.value))
        for symbol in elf.symbols()
        if symbol.name.startswith(CRC_PREFIX)
    ]
    if found:
        return found
    strings = elf.data_of(b"__ksymtab_strings") or b""
    return [Export(name, 0) for name in _split(strings) if name]


def _split(strings: bytes) -> list[bytes]:
    if strings.count(b"\0") > SYMBOL_LIMIT:
        raise ElfError(f"more than {SYMBOL_LIMIT} symbols")
    return strings.split(b"\0")


def _crc_of(elf: ElfFile, index: int, value: int) -> int:
    """A CRC is the symbol's value itself, or (relative CRCs) a 32-bit word where the symbol points."""
    if index in (SHN_UNDEF, SHN_ABS):
        return value & 0xFFFFFFFF
    if index >= len(elf.sections):
        raise ElfError("a CRC symbol lies in a section that does not exist")
    data = elf.data(elf.sections[index])
    if value + 4 > len(data):
        raise ElfError("a CRC symbol lies outside its section")
    word: int = Struct(elf.order + "I").unpack_from(data, value)[0]
    return word


def versions(elf: ElfFile) -> list[Export]:
    """The recorded versions of needed symbols in file order: `__versions`, then the extended sections of newer kernels.

    A leading dot (64-bit PowerPC) is dropped from names. Raises `ElfError` for a damaged section.
    """
    return _classic_versions(elf) + _extended_versions(elf)


def _classic_versions(elf: ElfFile) -> list[Export]:
    data = elf.data_of(b"__versions")
    if not data:
        return []
    if len(data) % RECORD_SIZE:
        raise ElfError("size of __versions is no multiple of 64")
    word = elf.long_size
    layout = Struct(f"{elf.order}{'Q' if elf.is64 else 'I'}{RECORD_SIZE - word}s")
    return [
        Export(name.partition(b"\0")[0].removeprefix(b"."), crc & 0xFFFFFFFF) for crc, name in layout.iter_unpack(data)
    ]


def _extended_versions(elf: ElfFile) -> list[Export]:
    crcs, names = elf.data_of(b"__version_ext_crcs"), elf.data_of(b"__version_ext_names")
    if not crcs or not names:
        return []
    if len(crcs) % 4:
        raise ElfError("size of __version_ext_crcs is no multiple of 4")
    words = Struct(elf.order + "I").iter_unpack(crcs)
    strings = _split(names.removesuffix(b"\0"))
    if len(strings) != len(crcs) // 4:
        raise ElfError("__version_ext_names and __version_ext_crcs disagree")
    return [Export(name.removeprefix(b"."), crc) for name, (crc,) in zip(strings, words, strict=True)]


def needs(elf: ElfFile, *, with_versions: bool = True) -> list[Need]:
    """Needed symbols: undefined entries of .symtab in table order, then recorded versions that none of them used.

    Raises `ElfError`; with `with_versions` also for damaged versions.
    """
    crcs = {export.name: export.crc for export in versions(elf)} if with_versions else {}
    found = []
    for symbol in elf.symbols():
        if symbol.section != SHN_UNDEF or not symbol.name:
            continue
        if elf.machine in EM_SPARC and symbol.type == STT_REGISTER:
            continue
        name = symbol.name.removeprefix(b".") if symbol.name.removeprefix(b".") in crcs else symbol.name
        found.append(Need(symbol.name, crcs.pop(name, None), symbol.bind == STB_WEAK))
    found += [Need(name, crc, False) for name, crc in crcs.items()]
    return found
