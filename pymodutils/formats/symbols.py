# SPDX-License-Identifier: LGPL-2.1-or-later
"""Symbols that a module exports and needs, with their versions (CRCs), namespaces and licence.

Source: include/linux/export.h, include/linux/export-internal.h, scripts/mod/modpost.c, kernel/module/version.c;
docs/behaviour/2-formats.md, "Module files".
"""

from __future__ import annotations

from _struct import Struct

from ..errors import ElfError
from ..names import decode
from ..records import Record
from .elf import EM_SPARC, MOST_SYMBOLS, SHN_ABS, SHN_UNDEF, STB_WEAK, STT_REGISTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .elf import ElfFile, SymbolTable

    VersionedName = tuple[bytes, int | None]
    """A symbol's name and version."""
    NeededName = tuple[bytes, int | None, bool]
    """A needed symbol's name and version, and whether it is needed weakly."""

_CRC_LABEL = b"__crc_"
# The labels that the kernel's build gives an exported symbol: of its entry in an export table, of its namespace's text.
_ENTRY_LABEL, _NAMESPACE_LABEL = b"__ksymtab_", b"__kstrtabns_"
_EXPORT_TABLE, _GPL_EXPORT_TABLE = "__ksymtab", "__ksymtab_gpl"
_STRINGS_SECTION = b"__ksymtab_strings"
FLAGS_SECTION = b"__kflagstab"
"""The name of the section with a byte for each entry of the export table, in newer kernels."""
GPL_ONLY = 1
"""A flag in `FLAGS_SECTION`."""
_VERSION_BYTES = 64  # of a record in __versions


class Symbol(Record):
    """A symbol that a module exports or needs.

    `crc` is its version, None where the module records none. `namespace` and `gpl` (whether only modules under the GPL
    may use it) are told of exports alone, None where they cannot be known; an export without a namespace has `""`.
    `weak` is told of needs alone: a module loads without a symbol that it needs weakly.
    """

    name: str
    crc: int | None
    namespace: str | None = None
    gpl: bool | None = None
    weak: bool = False


def exports(elf: ElfFile) -> list[Symbol]:
    """Return the exported symbols in table order. Raises `ElfError`."""
    table = elf.symbol_table()
    entries = _export_entries(elf, table) if table else {}
    names = _labelled_crcs(elf, table) if table else []
    if not names:
        names = [(name, None) for name in _listed_names(elf) if not entries or name in entries]
    unknown = None, None
    return [Symbol(decode(name), crc, *entries.get(name, unknown)) for name, crc in names]


def needs(elf: ElfFile) -> list[Symbol]:
    """Return the needed symbols: undefined ones in table order, then versions that none of them used.

    Raises `ElfError`.
    """
    return [Symbol(decode(name), crc, weak=weak) for name, crc, weak in needed_names(elf)]


def versions(elf: ElfFile) -> list[Symbol]:
    """Return the recorded versions of needed symbols in file order, as `recorded_versions` does. Raises `ElfError`."""
    return [Symbol(decode(name), crc) for name, crc in recorded_versions(elf)]


# --- the same as bytes, without an object for each symbol


def exported_names(elf: ElfFile) -> list[VersionedName]:
    """Return the names of exported symbols in table order, as kmod sees them. Raises `ElfError`.

    Without versions, these are all strings of `__ksymtab_strings`, namespaces among them.
    """
    table = elf.symbol_table()
    names = _labelled_crcs(elf, table) if table else []
    return names or [(name, None) for name in _listed_names(elf)]


def needed_names(elf: ElfFile, *, with_versions: bool = True) -> list[NeededName]:
    """Return the names of needed symbols: undefined ones in table order, then versions that none of them used.

    Raises `ElfError`; with `with_versions` also for damaged versions.
    """
    crcs: dict[bytes, int] = dict(recorded_versions(elf)) if with_versions else {}
    table = elf.symbol_table()
    found: list[NeededName] = []
    for name, weak in _undefined(elf, table) if table else ():
        undotted = name.removeprefix(b".")
        found.append((name, crcs.pop(undotted if undotted in crcs else name, None), weak))
    found += [(name, crc, False) for name, crc in crcs.items()]
    return found


def recorded_versions(elf: ElfFile) -> list[tuple[bytes, int]]:
    """Return the recorded versions of needed symbols in file order.

    These are the records of `__versions`, then those of the extended sections that newer kernels have, perhaps alone.
    A leading dot (64-bit PowerPC) is dropped from names. Raises `ElfError` for a damaged section.
    """
    return _classic_versions(elf) + _extended_versions(elf)


# --- exported symbols


def _labelled_crcs(elf: ElfFile, table: SymbolTable) -> list[VersionedName]:
    """Return name and version of each symbol that has a label `__crc_NAME`."""
    strings = table.strings
    if strings.find(_CRC_LABEL) < 0:
        return []
    labels = [entry for entry in table if strings.startswith(_CRC_LABEL, entry[0])]
    names = table.names([name_at + len(_CRC_LABEL) for name_at, *_ in labels])
    sections: dict[int, bytes] = {}
    found: list[VersionedName] = []
    for name, (_name_at, _info, section, value) in zip(names, labels, strict=True):
        if section in (SHN_UNDEF, SHN_ABS):
            found.append((name, value & 0xFFFFFFFF))
            continue
        if section not in sections:
            sections[section] = elf.data_at(section)
        found.append((name, elf.word_at(sections[section], value)))
    return found


def _listed_names(elf: ElfFile) -> list[bytes]:
    return [name for name in _split(elf.data_of(_STRINGS_SECTION) or b"") if name]


def _split(strings: bytes) -> list[bytes]:
    if strings.count(b"\0") > MOST_SYMBOLS:
        raise ElfError(f"more than {MOST_SYMBOLS} symbols")
    return strings.split(b"\0")


def _export_entries(elf: ElfFile, table: SymbolTable) -> dict[bytes, tuple[str | None, bool | None]]:
    """Return namespace and licence by name, of each symbol that has a label `__ksymtab_NAME`."""
    strings = table.strings
    if strings.find(_ENTRY_LABEL) < 0:
        return {}
    labels = [entry for entry in table if strings.startswith(_ENTRY_LABEL, entry[0])]
    names = table.names([name_at + len(_ENTRY_LABEL) for name_at, *_ in labels])
    namespaces = _namespaces(elf, table)
    licences = _Licences(elf)
    return {
        name: (namespaces.get(name, ""), licences.is_gpl_only(section, value))
        for name, (_name_at, _info, section, value) in zip(names, labels, strict=True)
    }


def _namespaces(elf: ElfFile, table: SymbolTable) -> dict[bytes, str | None]:
    """Return the namespace by name, of each symbol that has a label `__kstrtabns_NAME`: kernels since 5.4 have them."""
    labels = [entry for entry in table if table.strings.startswith(_NAMESPACE_LABEL, entry[0])]
    names = table.names([name_at + len(_NAMESPACE_LABEL) for name_at, *_ in labels])
    section = elf.section(_STRINGS_SECTION)
    texts = elf.data(section) if section else b""
    found: dict[bytes, str | None] = {}
    for name, (_name_at, _info, index, value) in zip(names, labels, strict=True):
        inside = section is not None and index == section.index and value < len(texts)
        end = texts.find(b"\0", value) if inside else -1
        found[name] = decode(texts[value:end]) if end >= 0 else None
    return found


class _Licences:
    """Whether the entries of a module's export tables are for modules under the GPL alone.

    Newer kernels have one table, and a section with a byte of flags for each entry; the others have two tables.
    """

    def __init__(self, elf: ElfFile) -> None:
        tables = {_EXPORT_TABLE: False, _GPL_EXPORT_TABLE: True}
        sections = elf.sections()
        self._tables = {section.index: tables[section.name] for section in sections if section.name in tables}
        self._flags = elf.data_of(FLAGS_SECTION) or b""
        plain = elf.section(_EXPORT_TABLE.encode())
        self._flagged = plain.index if plain and self._flags else -1
        self._entry_bytes = max(plain.size // len(self._flags), 1) if plain and self._flags else 1

    def is_gpl_only(self, section: int, value: int) -> bool | None:
        """Tell it of the entry at `value` in a section; None if that is no export table."""
        if section != self._flagged:
            return self._tables.get(section)
        place = value // self._entry_bytes
        return bool(self._flags[place] & GPL_ONLY) if place < len(self._flags) else None


# --- needed symbols


def _undefined(elf: ElfFile, table: SymbolTable) -> list[tuple[bytes, bool]]:
    """Return the undefined symbols in table order, each with whether it is weak."""
    entries = [entry for entry in table if entry[2] == SHN_UNDEF]
    if elf.machine in EM_SPARC:
        entries = [entry for entry in entries if entry[1] & 15 != STT_REGISTER]
    names = table.names([entry[0] for entry in entries])
    return [(name, entry[1] >> 4 == STB_WEAK) for name, entry in zip(names, entries, strict=True) if name]


def _classic_versions(elf: ElfFile) -> list[tuple[bytes, int]]:
    data = elf.data_of(b"__versions")
    if not data:
        return []
    if len(data) % _VERSION_BYTES:
        raise ElfError(f"size of __versions is no multiple of {_VERSION_BYTES}")
    layout = Struct(f"{elf.order}{'Q' if elf.is64 else 'I'}{_VERSION_BYTES - elf.long_size}s")
    return [(name.partition(b"\0")[0].removeprefix(b"."), crc & 0xFFFFFFFF) for crc, name in layout.iter_unpack(data)]


def _extended_versions(elf: ElfFile) -> list[tuple[bytes, int]]:
    crcs, names = elf.data_of(b"__version_ext_crcs"), elf.data_of(b"__version_ext_names")
    if not crcs or not names:
        return []
    if len(crcs) % 4:
        raise ElfError("size of __version_ext_crcs is no multiple of 4")
    words = Struct(elf.order + "I").iter_unpack(crcs)
    strings = _split(names.removesuffix(b"\0"))
    if len(strings) != len(crcs) // 4:
        raise ElfError("__version_ext_names and __version_ext_crcs disagree")
    return [(name.removeprefix(b"."), crc) for name, (crc,) in zip(strings, words, strict=True)]
