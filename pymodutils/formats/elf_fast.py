"""What depmod needs of a module file, by the shortest way: 64-bit little-endian ELF as the kernel's build writes it.

`read_file` reads the header, the section table and four to seven sections by `pread`, never the whole file, and makes
no object for each symbol. Whatever is unusual (another class, a damaged offset, a name stored as the tail of another)
makes it return None, and the caller takes the strict way (`formats.elf`, `formats.symbols`).

Both give the same answer for any module that keeps the rules below, which the strict way does not need. What is read by
neither is not checked: a damaged module that breaks these rules may have other symbols here than there, but no other
module suffers from that. Of ELF: local symbols come first in .symtab, sh_info counts them, and an undefined symbol is
never local. Of the kernel's build:

- Who exports a symbol has a section __ksymtab...; where __ksymtab_strings has as many strings as there are entries in
  __ksymtab and __ksymtab_gpl, these are the names of all exported symbols (else namespaces are among them), and each
  has a CRC or none has.
- Where __versions has one record more than there are undefined symbols, none of them weak, the records are of these
  symbols and of module_layout. There names lie at even distances, ready to be taken, but not in the order of .symtab.
"""

from __future__ import annotations

import sys
from itertools import pairwise
from os import pread
from struct import Struct
from struct import error as UnpackError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    Answer = TypeVar("Answer")
    Place = tuple[int, int, int, int, int]
    """Of a section: type, offset, size, link, info."""
    Read = Callable[[Place], bytes]
    """The bytes there, which must all be in the file."""
    Find = Callable[[bytes], Place]
    """Where the section of a name (with a NUL behind it) is; raises ValueError when there is none."""


class RawFacts(tuple[bytes, "Sequence[bytes]", bytes, bytes, bytes]):
    """What depmod needs of one module file: names and strings, as they stand there."""

    __slots__ = ()

    @property
    def exports(self) -> bytes:
        """Names of exported symbols, joined by NULs."""
        return self[0]

    @property
    def needs(self) -> Sequence[bytes]:
        """Names of needed symbols; each has NULs behind it if they are shuffled."""
        return self[1]

    @property
    def weak(self) -> bytes:
        """Names of those needed symbols that are weak, joined by NULs."""
        return self[2]

    @property
    def infos(self) -> bytes:
        """Those .modinfo strings that depmod uses, joined by NULs."""
        return self[3]

    @property
    def shuffled(self) -> bytes:
        """`SHUFFLED` or nothing."""
        return self[4]


SHUFFLED = b"1"
"""Says that the needed symbols are in the order of __versions, with NULs behind them up to `NAME_SIZE`, and not in that
of .symtab and then of unused versions. (The order of exported ones is of no account.)"""

KEPT = (b"alias=", b"softdep=", b"weakdep=")
"""How the .modinfo strings begin that depmod uses."""

BARE = {b"alias": b"alias=", b"softdep": b"softdep=", b"weakdep": b"weakdep="}
"""The same without `=`, which count as having an empty value."""


def kept_strings(infos: bytes) -> bytes:
    """Those of the .modinfo strings that depmod uses, joined by NULs."""
    strings = [BARE.get(text, text) for text in infos.split(b"\0")]
    return b"\0".join([text for text in strings if text.startswith(KEPT)])


HEADER_SIZE = 64
NAME_SIZE = 56
"""Bytes of a name in __versions."""

# ELF64, little-endian, version 1. Section headers must be 64 bytes, as many as fit 16 bits.
_IDENT = b"\x7fELF\x02\x01\x01"
_HEADER = Struct("<18xH20xQ10xHHH")  # machine, offset of the section table, entry size, entries, name table's index
_TABLE_AT, _TABLE_COUNT = slice(40, 48), slice(60, 62)  # in the header
_WINDOW = 2 << 10
_ENTRY_SIZE = 64
_PLACE_AT = Struct("<4xI16xQQII").unpack_from  # of a section header: a `Place`
_NAMES_OF_SECTIONS = slice(None, None, 16)  # the first of the sixteen words of a section header
_SIZE = 2
_NOBITS = 8
_NEAR = 1 << 14  # bytes between two sections that are sooner read than skipped
_SYMBOL_SIZE = 24  # four bytes of name, one of bind << 4 | type, one other, two of section, and 16 more
_KINDS, _SECTIONS = slice(4, None, 24), slice(6, None, 24)  # of all symbols: bind and type; lower byte of the section
_NOT_WEAK = bytes(range(0x10, 0x20))
_RECORD_SIZE = 64  # of __versions: 8 bytes of CRC, then the name
_MOST_VERSIONS = 1 << 14
_SPARC_V9 = 43
_UNDEFINED = 1 << 16  # the second word of a symbol is below this when its section is 0
_GLOBAL, _WEAK = 0x10, 0x20
_VERSIONS, _LISTED = b"__versions\0", b"__ksymtab_strings\0"
_EXPORTS = (b"__ksymtab\0", b"__ksymtab_gpl\0")  # sections with an entry for each symbol
# Machine -> bytes of an entry: those whose kernels always have relative addresses there (HAVE_ARCH_PREL32_RELOCATIONS).
_EXPORT_SIZES = {62: 12, 183: 12}  # x86-64, arm64
_LIMIT = 1 << 26  # bytes of one section; more is for the strict way, which takes its time
_FARTHEST = 1 << 62  # no file is so long, and the system refuses some offsets beyond it
_UNUSUAL = (UnpackError, ValueError, TypeError, IndexError, OverflowError)
_CRC = b"__crc_"
_LAYOUT = b"module_layout"  # the one version that no symbol uses; in every module with versions
_LAYOUT_RECORD = _LAYOUT.ljust(NAME_SIZE, b"\0")
# NULs as spaces, so that `split` cuts there; real white space as a byte that no name has.
_NULS_TO_SPACES = bytes(32 if code == 0 else 1 if code in b" \t\n\r\v\f" else code for code in range(256))


def read_file(fd: int, head: bytes, *, in_order: bool = False) -> RawFacts | None:
    """The facts of an open, uncompressed module file that begins with the 64 bytes `head`. Raises OSError.

    None when the file is not of the plain form. They are never shuffled if `in_order`.
    """
    try:
        return _facts(head, _reader(fd, head), in_order)
    except _UNUSUAL:
        return None


def read_undefined(fd: int, head: bytes) -> list[bytes] | None:
    """As `read_file`, but only the undefined symbols, in their order."""
    try:
        return _undefined_symbols(head, _reader(fd, head))
    except _UNUSUAL:
        return None


def read_image(image: bytes) -> RawFacts | None:
    """The facts of a module in memory, never shuffled: who unpacked a file would not like to do so again for them."""

    def read(place: Place) -> bytes:
        kind, offset, size, _, _ = place
        data = image[offset : offset + size]
        if kind == _NOBITS or size > _LIMIT or len(data) != size:
            raise ValueError
        return data

    try:
        return _facts(image[:HEADER_SIZE], read, in_order=True)
    except _UNUSUAL:
        return None


def _reader(fd: int, head: bytes) -> Read:
    """Reads an open file; the names of the sections and their table, which stand together as a rule, at once."""
    table_at = int.from_bytes(head[_TABLE_AT], "little")
    start = max(table_at - _WINDOW, 0)
    if start > _FARTHEST:
        raise ValueError
    end = table_at + int.from_bytes(head[_TABLE_COUNT], "little") * _ENTRY_SIZE
    window = pread(fd, end - start, start)
    end = start + len(window)

    def read(place: Place) -> bytes:
        kind, offset, size, _, _ = place
        if kind == _NOBITS or size > _LIMIT or offset > _FARTHEST:
            raise ValueError
        if start <= offset and offset + size <= end:
            return window[offset - start : offset - start + size]
        data = pread(fd, size, offset)
        if len(data) != size:
            raise ValueError
        return data

    return read


# The functions below raise one of `_UNUSUAL` for whatever is unusual. They ask `data.find(part)`, not `part in data`:
# that tries the part as a number first, and to make an exception of it takes longer than to look.


def _facts(head: bytes, read: Read, in_order: bool) -> RawFacts:
    names, find = _sections(head, read)
    infos_at = find(b".modinfo\0")
    versions_at = find(_VERSIONS) if names.find(_VERSIONS) >= 0 else None
    symbols = _global_symbols(read, find(b".symtab\0"))
    needs: Sequence[bytes]
    strings = weak = shuffled = b""
    if versions_at and not in_order and _all_versioned(symbols, versions_at):
        infos, versions = _contents(read, infos_at, versions_at)
        needs = _records(len(versions))(versions)
        if _LAYOUT_RECORD not in needs:
            raise ValueError
        shuffled = SHUFFLED
    else:
        infos = read(infos_at)
        strings = read(find(b".strtab\0"))
        needs, weak = _needs(read, strings, symbols, versions_at)
    exports = b""
    if names.find(b"__ksymtab") >= 0:
        listed = [name for name in read(find(_LISTED)).split(b"\0") if name] if names.find(_LISTED) >= 0 else []
        sizes = [find(name)[_SIZE] for name in _EXPORTS if names.find(name) >= 0]
        if in_order or sum(sizes) != len(listed) * _EXPORT_SIZES.get(_machine(head), 0):
            exports = _exports(strings or read(find(b".strtab\0")))
        exports = exports or b"\0".join(listed)
    return RawFacts((exports, needs, weak, _kept(infos), shuffled))


def _machine(head: bytes) -> int:
    return head[18] | head[19] << 8


def _undefined_symbols(head: bytes, read: Read) -> list[bytes]:
    _, find = _sections(head, read)
    symbols = _global_symbols(read, find(b".symtab\0"))
    return _undefined(read(find(b".strtab\0")), symbols)[0]


def _sections(head: bytes, read: Read) -> tuple[bytes, Find]:
    """The names of all sections, each with a NUL behind it, and what finds one by its name."""
    if not head.startswith(_IDENT) or sys.byteorder != "little":
        raise ValueError
    machine, table_at, entry_size, count, names_index = _HEADER.unpack(head)
    if entry_size != _ENTRY_SIZE or machine == _SPARC_V9 or names_index >= count:
        raise ValueError
    table = read((0, table_at, count * _ENTRY_SIZE, 0, 0))
    named = memoryview(table).cast("I")[_NAMES_OF_SECTIONS].tolist()  # where each section's name is
    names = read(_PLACE_AT(table, names_index * _ENTRY_SIZE))
    if not names.endswith(b"\0") or names.find(b"__version_ext_") >= 0:
        raise ValueError

    def find(name: bytes) -> Place:
        # Perhaps the name is found as the tail of another one, which is as good if a section has it from there.
        return _PLACE_AT(table, named.index(names.index(name)) * _ENTRY_SIZE)

    return names, find


def _contents(read: Read, first: Place, second: Place) -> tuple[bytes, bytes]:
    """Of two sections, by one read if the second stands a little behind the first."""
    kind, start, size, _, _ = first
    other, middle, length, _, _ = second
    if not size <= middle - start < size + _NEAR or kind == _NOBITS or other == _NOBITS:
        return read(first), read(second)
    data = read((kind, start, middle - start + length, 0, 0))
    return data[:size], data[middle - start :]


def _kept(infos: bytes) -> bytes:
    """Those of the .modinfo strings that begin as in `KEPT`."""
    at = infos.find(b"alias=")
    if infos.find(b"dep=") < 0 and infos.find(b"alias\0") < 0 and infos.find(b"dep\0") < 0:
        if at < 0:
            return b""
        # As most modules have it: all aliases in a row.
        row = infos[at : infos.index(b"\0", infos.rindex(b"alias="))]
        if row.count(b"\0") == row.count(b"\0alias=") and infos[at - 1 : at] in b"\0":
            return row
    return kept_strings(infos)


# --- needed symbols


def _global_symbols(read: Read, place: Place) -> bytes:
    kind, offset, size, _link, local_count = place
    start = local_count * _SYMBOL_SIZE
    if size % _SYMBOL_SIZE or not _SYMBOL_SIZE <= start <= size:
        raise ValueError
    return read((kind, offset + start, size - start, 0, 0))


def _all_versioned(symbols: bytes, versions: Place) -> bool:
    """Whether no symbol is weak, and there is a version for each undefined one and for one thing more."""
    if symbols[_KINDS].translate(None, _NOT_WEAK):
        return False
    return versions[_SIZE] == (symbols[_SECTIONS].count(0) + 1) * _RECORD_SIZE


_cutters: dict[int, Callable[[bytes], tuple[bytes, ...]]] = {}


def _records(size: int) -> Callable[[bytes], tuple[bytes, ...]]:
    """What cuts the names, with NULs behind them, out of `size` bytes of `__versions`. Raises ValueError."""
    found = _cutters.get(size)
    if found is None:
        if size > _MOST_VERSIONS * _RECORD_SIZE:
            raise ValueError
        found = _cutters[size] = Struct(f"8x{NAME_SIZE}s" * (size // _RECORD_SIZE)).unpack
    return found


def _needs(read: Read, strings: bytes, symbols: bytes, versions: Place | None) -> tuple[list[bytes], bytes]:
    """Undefined symbols in table order, then the names of `versions` that are not among them; the weak ones."""
    names, weak = _undefined(strings, symbols)
    if versions:
        names += _unused_versions(read, versions, names)
    return names, b"\0".join(weak)


def _undefined(strings: bytes, symbols: bytes) -> tuple[list[bytes], list[bytes]]:
    """The undefined symbols in table order, and the weak ones of them."""
    if not strings.endswith(b"\0"):
        raise ValueError
    words = memoryview(symbols).cast("I")
    places, kinds = words[::6].tolist(), words[1::6].tolist()
    end = strings.index
    names = [strings[at : end(b"\0", at)] for at, kind in zip(places, kinds, strict=True) if kind < _UNDEFINED]
    weak: list[bytes] = []
    if kinds.count(_GLOBAL) != len(names):
        weak = [
            strings[at : end(b"\0", at)]
            for at, kind in zip(places, kinds, strict=True)
            if kind < _UNDEFINED and kind & 0xF0 == _WEAK
        ]
    if b"" in names:
        return [name for name in names if name], [name for name in weak if name]
    return names, weak


def _unused_versions(read: Read, place: Place, names: list[bytes]) -> list[bytes]:
    """Names of `__versions` that are not among `names`, in the order of the section."""
    if place[_SIZE] % _RECORD_SIZE:
        raise ValueError
    versions = read(place)
    if len(versions) == (len(names) + 1) * _RECORD_SIZE and versions.find(_LAYOUT + b"\0") % _RECORD_SIZE == 8:
        return [_LAYOUT]  # what the kernel's build writes: a record for each symbol, and this one
    words = bytearray(versions)
    for lane in range(8):  # no CRC may look like part of a name
        words[lane::_RECORD_SIZE] = bytes(len(versions) // _RECORD_SIZE)
    left = set(bytes(words).translate(_NULS_TO_SPACES).split())
    left.difference_update(names)
    if not left:
        return []
    if left == {_LAYOUT} and versions.find(_LAYOUT + b"\0") % _RECORD_SIZE == 8:
        return [_LAYOUT]
    raise ValueError


# --- exported symbols


def _exports(strings: bytes) -> bytes:
    """Names behind `__crc_`."""
    if _CRC not in strings:
        return b""
    names = []
    for before, after in pairwise(strings.split(_CRC)):
        if not before.endswith(b"\0"):
            raise ValueError  # `__crc_` inside a name, which may serve two symbols
        names.append(after[: after.index(b"\0")])
    return b"\0".join([name for name in names if name])
