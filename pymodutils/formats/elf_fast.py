# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read what depmod needs of a module file by the shortest way, from ELF as the kernel's build writes it.

`read_file` reads the header, the section table and four to seven sections by `pread`, never the whole file, and makes
no object for each symbol. A `Form` says where things are in each class and byte order. Whatever is unusual (a damaged
offset, a name stored as the tail of another) makes it return None, and the caller asks the general readers
(`formats.elf`, `formats.symbols`).

Both give the same answer for any module that keeps the rules below, which the general readers do not need. What neither
reads is not checked: a module that breaks these rules, since it is damaged or was changed after it was built, may have
other symbols here than there, but no other module suffers from that. Of ELF: local symbols come first in .symtab,
sh_info counts them, and an undefined symbol is never local. Of the kernel's build:

- Who exports a symbol has a section __ksymtab...; where __ksymtab_strings has as many strings as there are entries in
  __ksymtab and __ksymtab_gpl, these are the names of all exported symbols (else namespaces are among them), and each
  has a CRC or none has. How large an entry is depends on the machine and on the kernel's age, see
  `are_all_exported`.
- Where __versions has one record more than there are undefined symbols, none of them weak, the records are of these
  symbols and of module_layout. There names lie at even distances, ready to be taken, but not in the order of .symtab.
  Newer kernels may have the same names in __version_ext_names as well, or there alone.
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
    Header = tuple["Form", int, int, int, int]
    """Form, machine, offset of the section table, number of its entries, index of the section with their names."""
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


NO_FACTS = RawFacts((b"", (), b"", b"", b""))
"""What is known of a file that cannot be read."""

SHUFFLED = b"1"
"""Says that the needed symbols are in the order of __versions, with NULs behind them up to `NAME_SIZE`, and not in that
of .symtab and then of unused versions. (The order of exported ones is of no account.)"""

KEPT = (b"alias=", b"softdep=", b"weakdep=")
"""How the .modinfo strings begin that depmod uses."""

BARE = {b"alias": b"alias=", b"softdep": b"softdep=", b"weakdep": b"weakdep="}
"""The same without `=`, which count as having an empty value."""


def kept_strings(infos: bytes) -> bytes:
    """Return those of the .modinfo strings that depmod uses, joined by NULs."""
    strings = [BARE.get(text, text) for text in infos.split(b"\0")]
    return b"\0".join([text for text in strings if text.startswith(KEPT)])


HEADER_SIZE = 64
NAME_SIZE = 56
"""Bytes of a name in __versions."""


class Form:
    """Where things are in ELF files, version 1, of one class and byte order. Section headers have the usual size."""

    def __init__(self, order: str, *, bits: int) -> None:
        is64, little = bits == 64, order == "<"
        # Of the header: machine, offset of the section table, size of its entries, their number, name table's index.
        self.header: Struct = Struct(order + ("18xH20xQ10xHHH" if is64 else "18xH12xI10xHHH"))
        self.entry_size = 64 if is64 else 40  # of the section table
        self.place_at: Callable[[bytes, int], Place] = Struct(
            order + ("4xI16xQQII" if is64 else "4xI8xIIII")
        ).unpack_from  # of an entry: a `Place`
        self.section_names: slice[None, None, int] = slice(
            None, None, self.entry_size // 4
        )  # of the table's words: where each name is
        # A symbol has a word of name, a byte of bind << 4 | type, one other, two of section, and more; in 32-bit files
        # two words stand between the name and the rest. Of all symbols' words and bytes, these are:
        self.symbol_size = size = 24 if is64 else 16
        rest = 4 if is64 else 12
        self.names: slice[None, None, int] = slice(None, None, size // 4)
        self.rests: slice[int, None, int] = slice(rest // 4, None, size // 4)
        self.kinds: slice[int, None, int] = slice(rest, None, size)  # bind and type
        self.sections: slice[int, None, int] = slice(
            rest + 2 + (not little), None, size
        )  # the lower byte of the section
        self.crc_size = 8 if is64 else 4  # an unsigned long, at the beginning of a record of __versions; then the name
        self.words: Callable[[bytes], memoryview] = (
            _words if order == _HOST else _swapped_words
        )  # numbers in the file's byte order
        self.little_words: Callable[[bytes], memoryview] = (
            _words if _HOST == "<" else _swapped_words
        )  # as if they were little-endian


def _words(data: bytes) -> memoryview:
    return memoryview(data).cast("I")


def _swapped_words(data: bytes) -> memoryview:
    from array import array

    words = array("I", data)
    words.byteswap()
    return memoryview(words)


_HOST = "<" if sys.byteorder == "little" else ">"
# By bytes 4 to 6 of a file: class, byte order, version.
_FORMS = {
    bytes((bits // 32, 1 if order == "<" else 2, 1)): Form(order, bits=bits) for bits in (32, 64) for order in "<>"
}
_MAGIC = b"\x7fELF"
_WINDOW = 2 << 10
SIZE = 2
_NOBITS = 8
_NEAR = 1 << 14  # bytes between two sections that are sooner read than skipped
_NOT_WEAK = bytes(range(0x10, 0x20))
RECORD_SIZE = 64  # of __versions
_MOST_VERSIONS = 1 << 14
_SPARCS = (2, 18, 43)  # EM_SPARC, EM_SPARC32PLUS, EM_SPARCV9: not all undefined entries of .symtab are symbols
_UNDEFINED = 1 << 16  # in little-endian files, the word of kind and section is below this when the section is 0
_GLOBAL, _WEAK = 0x10, 0x20
VERSIONS, LISTED = b"__versions\0", b"__ksymtab_strings\0"
EXPORT_TABLES = (b"__ksymtab\0", b"__ksymtab_gpl\0")  # sections with an entry for each symbol
RELATIVE = (62, 183)  # EM_X86_64, EM_AARCH64
_LIMIT = 1 << 26  # bytes of one section; more is for the general readers, which take their time
_FARTHEST = 1 << 62  # no file is so long, and the system refuses some offsets beyond it
UNUSUAL = (UnpackError, ValueError, TypeError, IndexError, ArithmeticError)
_CRC = b"__crc_"
LAYOUT = b"module_layout"  # the one version that no symbol uses; in every module with versions
LAYOUT_RECORD = LAYOUT.ljust(NAME_SIZE, b"\0")
# NULs as spaces, so that `split` cuts there; real white space as a byte that no name has.
_NULS_TO_SPACES = bytes(32 if code == 0 else 1 if code in b" \t\n\r\v\f" else code for code in range(256))


def read_file(fd: int, head: bytes, *, in_order: bool = False) -> RawFacts | None:
    """Return the facts of an open, uncompressed module file that begins with the 64 bytes `head`. Raises OSError.

    None when the file is not of the plain form. They are never shuffled if `in_order`.
    """
    try:
        header = header_of(head)
        return _facts(header, reader_of(fd, header)[0], in_order)
    except UNUSUAL:
        return None


def read_undefined(fd: int, head: bytes) -> list[bytes] | None:
    """Return only the undefined symbols, in their order, as `read_file` would. Raises OSError."""
    try:
        header = header_of(head)
        return _undefined_symbols(header, reader_of(fd, header)[0])
    except UNUSUAL:
        return None


def read_image(image: bytes, *, in_order: bool = False) -> RawFacts | None:
    """Return the facts of a module in memory as `read_file` does.

    Nobody wants to unpack a file again for the order of its symbols. So they are not shuffled, either, where it may
    matter in which order the module needs others.
    """
    try:
        return _facts(header_of(image[:HEADER_SIZE]), image_reader(image), in_order, unpacked=True)
    except UNUSUAL:
        return None


def _needs_several(infos: bytes) -> bool:
    # Whether the .modinfo strings name several modules that are needed, or do not say which.
    at = infos.find(b"depends=")
    return at < 0 or infos.find(b",", at, infos.find(b"\0", at)) >= 0


# What follows, up to the facts, `elf_linkage` uses as well. It raises one of `UNUSUAL` for whatever is unusual.


def image_reader(image: bytes) -> Read:
    """Return what reads a module in memory."""

    def read(place: Place) -> bytes:
        kind, offset, size, _, _ = place
        data = image[offset : offset + size]
        if kind == _NOBITS or size > _LIMIT or len(data) != size:
            raise ValueError
        return data

    return read


def reader_of(fd: int, header: Header, beyond: int = 0) -> tuple[Read, bytes | None]:
    """Return what reads an open file; the names of the sections and their table, which stand together, at once.

    It has also looked at so many bytes behind the table: if the file has fewer, its end is returned as well.
    """
    form, _machine, table_at, count, _names_index = header
    start = max(table_at - _WINDOW, 0)
    if start > _FARTHEST:
        raise ValueError
    end = table_at + count * form.entry_size
    length = end - start + beyond
    window = pread(fd, length, start)
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

    return read, window if len(window) < length else None


# The functions below ask `data.find(part)`, not `part in data`: that tries the part as a number first, and to make an
# exception of it takes longer than to look.


def header_of(head: bytes) -> Header:
    """Return what the 64 bytes at the beginning say."""
    if not head.startswith(_MAGIC):
        raise ValueError
    form = _FORMS.get(head[4:7])
    if form is None:
        raise ValueError
    machine, table_at, entry_size, count, names_index = form.header.unpack_from(head)
    if entry_size != form.entry_size or machine in _SPARCS or names_index >= count:
        raise ValueError
    return form, machine, table_at, count, names_index


def _facts(header: Header, read: Read, in_order: bool, *, unpacked: bool = False) -> RawFacts:
    """Return the facts of a module. Raises one of `UNUSUAL` for any that has not the plain form."""
    form = header[0]
    names, find = sections_of(header, read)
    infos_at = find(b".modinfo\0")
    versions_at = find(VERSIONS) if names.find(VERSIONS) >= 0 else None
    symbols = global_symbols(form, read, find(b".symtab\0"))
    needs: Sequence[bytes] | None = None
    strings = weak = b""
    extended = extended_names(names, find, read)
    keeps_order = in_order or (unpacked and _needs_several(read(infos_at)))
    wanted = 0 if keeps_order else count_versions(form, symbols)
    if wanted and versions_at and versions_at[SIZE] == wanted * RECORD_SIZE:
        infos, versions = contents_of(read, infos_at, versions_at)
        needs = _version_names(form, versions)
    else:
        infos = read(infos_at)
        if wanted and versions_at is None and len(extended) == wanted and LAYOUT in extended:
            needs = [name.ljust(NAME_SIZE, b"\0") for name in extended]
    shuffled = SHUFFLED if needs is not None else b""
    if needs is None:
        strings = read(find(b".strtab\0"))
        needs, weak = _needs(form, read, strings, symbols, versions_at, extended)
    exports = b""
    if names.find(b"__ksymtab") >= 0:
        listed = [name for name in read(find(LISTED)).split(b"\0") if name] if names.find(LISTED) >= 0 else []
        sizes = [find(name)[SIZE] for name in EXPORT_TABLES if names.find(name) >= 0]
        if in_order or not are_all_exported(header, sum(sizes), len(listed)):
            exports = _exports(strings or read(find(b".strtab\0")))
        exports = exports or b"\0".join(listed)
    return RawFacts((exports, needs, weak, kept_infos(infos), shuffled))


def are_all_exported(header: Header, size: int, listed: int) -> bool:
    """Tell whether all strings `listed` are names of symbols, as export tables have `size` bytes altogether.

    Else namespaces are among them, or it is not certain. An entry of an export table is three addresses since Linux
    5.4; earlier ones are two, and have no namespaces. Addresses are such as the class has, so an entry cannot be larger
    than three of those; or they are relative and have 32 bits (HAVE_ARCH_PREL32_RELOCATIONS), always so on the machines
    in `RELATIVE`. On any other, 24 bytes for one symbol and its namespace could be taken for two symbols.
    """
    form, machine, *_ = header
    return size == listed * 3 * form.crc_size or (size == listed * 12 and machine in RELATIVE)


def _undefined_symbols(header: Header, read: Read) -> list[bytes]:
    form = header[0]
    _, find = sections_of(header, read)
    symbols = global_symbols(form, read, find(b".symtab\0"))
    return undefined_names(form, read(find(b".strtab\0")), symbols)[0]


def sections_of(header: Header, read: Read) -> tuple[bytes, Find]:
    """Return the names of all sections, each with a NUL behind it, and what finds one by its name."""
    form, _machine, table_at, count, names_index = header
    entry_size, place_at = form.entry_size, form.place_at
    table = read((0, table_at, count * entry_size, 0, 0))
    named = form.words(table)[form.section_names].tolist()  # where each section's name is
    names = read(place_at(table, names_index * entry_size))
    if not names.endswith(b"\0"):
        raise ValueError

    def find(name: bytes) -> Place:
        # Perhaps the name is found as the tail of another one, which is as good if a section has it from there.
        return place_at(table, named.index(names.index(name)) * entry_size)

    return names, find


def contents_of(read: Read, first: Place, second: Place) -> tuple[bytes, bytes]:
    """Return the bytes of two sections, by one read if the second stands a little behind the first."""
    kind, start, size, _, _ = first
    other, middle, length, _, _ = second
    if not size <= middle - start < size + _NEAR or kind == _NOBITS or other == _NOBITS:
        return read(first), read(second)
    data = read((kind, start, middle - start + length, 0, 0))
    return data[:size], data[middle - start :]


def kept_infos(infos: bytes) -> bytes:
    """Return those of the .modinfo strings that begin as in `KEPT`, joined by NULs."""
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


def global_symbols(form: Form, read: Read, place: Place) -> bytes:
    """Return the part of .symtab behind the local symbols."""
    kind, offset, size, _link, local_count = place
    start = local_count * form.symbol_size
    if size % form.symbol_size or not form.symbol_size <= start <= size:
        raise ValueError
    return read((kind, offset + start, size - start, 0, 0))


def count_versions(form: Form, symbols: bytes) -> int:
    """Return how many versions there are if each undefined symbol has one, and one thing more; 0 if one is weak."""
    if symbols[form.kinds].translate(None, _NOT_WEAK):
        return 0
    return symbols[form.sections].count(0) + 1


def extended_names(names: bytes, find: Find, read: Read) -> list[bytes]:
    """Return the names that newer kernels have versions for without a limit of length; as a rule no dot begins one."""
    if names.find(b"__version_ext_") < 0:
        return []
    listed = read(find(b"__version_ext_names\0"))
    found = listed[:-1].split(b"\0")
    if not listed.endswith(b"\0") or find(b"__version_ext_crcs\0")[SIZE] != 4 * len(found) or b"" in found:
        raise ValueError
    if (b"\0" + listed).find(b"\0.") >= 0:
        raise ValueError
    return found


_cutters: dict[tuple[int, int], Callable[[bytes], tuple[bytes, ...]]] = {}


def _version_names(form: Form, versions: bytes) -> Sequence[bytes] | None:
    # The names in `__versions`, each `NAME_SIZE` bytes with NULs behind it; None when one is longer.
    size, crc_size = len(versions), form.crc_size
    unused = RECORD_SIZE - NAME_SIZE - crc_size  # in 32-bit files, where the CRC leaves more room for the name
    for at in range(RECORD_SIZE - unused, RECORD_SIZE):
        if versions[at::RECORD_SIZE].strip(b"\0"):
            return None
    cut = _cutters.get((crc_size, size))
    if cut is None:
        if size > _MOST_VERSIONS * RECORD_SIZE:
            raise ValueError
        record = f"{crc_size}x{NAME_SIZE}s{unused}x"
        cut = _cutters[crc_size, size] = Struct(record * (size // RECORD_SIZE)).unpack
    if versions.find(LAYOUT_RECORD) % RECORD_SIZE != crc_size:
        raise ValueError
    return cut(versions)


def _needs(
    form: Form, read: Read, strings: bytes, symbols: bytes, versions: Place | None, extended: list[bytes]
) -> tuple[list[bytes], bytes]:
    # Undefined symbols in table order, then the names with versions that are not among them; the weak ones.
    names, weak = undefined_names(form, strings, symbols)
    if versions:
        names += _unused_versions(form, read, versions, names)
    if extended:
        if b"\0".join([b"", *names]).find(b"\0.") >= 0:  # 64-bit PowerPC, where a version's name lacks the dot
            raise ValueError
        known = set(names)
        names += [name for name in dict.fromkeys(extended) if name not in known]
    return names, b"\0".join(weak)


def undefined_names(form: Form, strings: bytes, symbols: bytes) -> tuple[list[bytes], list[bytes]]:
    """Return the undefined symbols in table order, and the weak ones of them."""
    if not strings.endswith(b"\0"):
        raise ValueError
    words = form.words(symbols)
    places = words[form.names].tolist()
    # Whatever the file's byte order: read as little-endian, kinds are the lowest byte, and a section of 0 leaves the
    # upper half empty.
    kinds = (words if form.words is form.little_words else form.little_words(symbols))[form.rests].tolist()
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


def _unused_versions(form: Form, read: Read, place: Place, names: list[bytes]) -> list[bytes]:
    # Names of `__versions` that are not among `names`, in the order of the section.
    crc_size = form.crc_size
    if place[SIZE] % RECORD_SIZE:
        raise ValueError
    versions = read(place)
    if len(versions) == (len(names) + 1) * RECORD_SIZE and versions.find(LAYOUT + b"\0") % RECORD_SIZE == crc_size:
        return [LAYOUT]  # what the kernel's build writes: a record for each symbol, and this one
    words = bytearray(versions)
    for lane in range(crc_size):  # no CRC may look like part of a name
        words[lane::RECORD_SIZE] = bytes(len(versions) // RECORD_SIZE)
    left = set(bytes(words).translate(_NULS_TO_SPACES).split())
    left.difference_update(names)
    if not left:
        return []
    if left == {LAYOUT} and versions.find(LAYOUT + b"\0") % RECORD_SIZE == crc_size:
        return [LAYOUT]
    raise ValueError


# --- exported symbols


def _exports(strings: bytes) -> bytes:
    # Names behind `__crc_`.
    if _CRC not in strings:
        return b""
    names = []
    for before, after in pairwise(strings.split(_CRC)):
        if not before.endswith(b"\0"):
            raise ValueError  # `__crc_` inside a name, which may serve two symbols
        names.append(after[: after.index(b"\0")])
    return b"\0".join([name for name in names if name])
