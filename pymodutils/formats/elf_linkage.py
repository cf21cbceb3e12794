# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read by the shortest way what decides whether a module can be linked: what it needs, in which version, and exports.

As `elf_fast` does for depmod; whatever is unusual makes the functions here return None, and the caller asks `general`,
which gives the same answer by the readers that check everything. Another rule of the kernel's build is relied on: the
linker sorts the entries of an export table, and those of its table of CRCs, by the symbols' names
(scripts/module.lds). Where a module breaks it, CRCs seem to differ, and who finds that asks `general` before it
says so.
"""

from __future__ import annotations

from struct import Struct

from ..errors import FormatError
from ..names import encode
from .elf import SHN_ABS, ElfFile
from .elf_fast import (
    EXPORT_TABLES,
    HEADER_SIZE,
    LAYOUT,
    LAYOUT_RECORD,
    LISTED,
    NAME_SIZE,
    RECORD_SIZE,
    RELATIVE,
    SHUFFLED,
    SIZE,
    UNUSUAL,
    VERSIONS,
    are_all_exported,
    contents_of,
    count_versions,
    extended_names,
    global_symbols,
    header_of,
    image_reader,
    kept_infos,
    kept_strings,
    reader_of,
    sections_of,
    undefined_names,
)
from .symbols import FLAGS_SECTION, GPL_ONLY, exported_names, exports, needed_names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .elf_fast import Find, Form, Header, Place, Read
    from .source import Source

    Offer = tuple[bytes, int | None, bool | None, bytes | None]
    """An exported symbol: its name, CRC, whether it is for modules under the GPL alone, and its namespace or b""."""

    Symbol = tuple[int, int]
    """The number of its section, and its value."""

_UNUSUAL = (*UNUSUAL, KeyError, StopIteration)

NO_OBJECT, NO_MODULE = b"it is no object file", b"it has no section .gnu.linkonce.this_module"
"""Why an ELF file is none that a kernel takes for a module."""

_FLAGS = FLAGS_SECTION + b"\0"
_THIS_MODULE = b".gnu.linkonce.this_module"
_KIND = slice(16, 18)  # where a file's header says of which kind it is
_OBJECT_FILE = 1
_OBJECT = b"\1\0"

_unpack = Struct(f"<Q{NAME_SIZE}s").unpack
_NO_NUMBER = (1 << 64) - 1
_ENTRY = 12  # bytes of an entry of an export table on the machines in `RELATIVE`, since Linux 5.4
_MOST_BEHIND = 1 << 10  # bytes of a signature, as a rule
NO_CRC = b"\xff" * 8
"""In place of a CRC in a key: a CRC has four bytes, and four zeros behind it."""


class Linkage(tuple["tuple[bytes, ...]", bytes, "Sequence[bytes]", bytes, bytes, bytes, "Sequence[Offer]"]):
    """What decides whether a module can be linked. Names that are joined have NULs between them."""

    __slots__ = ()

    @property
    def origin(self) -> tuple[bytes, ...]:
        """The vermagic, the licence, and the namespaces that the module imports, joined; empty where it has none.

        Then there is `NO_OBJECT` or `NO_MODULE`, if the file is no module, else b"".
        """
        return self[0]

    @property
    def infos(self) -> bytes:
        """Those .modinfo strings that depmod uses, joined."""
        return self[1]

    @property
    def needs(self) -> Sequence[bytes]:
        """Needed symbols and recorded versions as keys: `key`."""
        return self[2]

    @property
    def weak(self) -> bytes:
        """Names of those needed symbols that are weak, joined."""
        return self[3]

    @property
    def unused(self) -> bytes:
        """Names of those versions that no symbol uses, joined; `module_layout` is left out."""
        return self[4]

    @property
    def shuffled(self) -> bytes:
        """`SHUFFLED` if the needed symbols are in another order than in the symbol table."""
        return self[5]

    @property
    def offers(self) -> Sequence[Offer]:
        """What the module exports."""
        return self[6]


def is_symbol(offer: Offer) -> bool:
    """Tell whether an offer is a symbol for certain: it has a version, or an entry in an export table.

    Without versions depmod takes all strings for symbols, namespaces among them.
    """
    return offer[1] is not None or offer[2] is not None


def key(name: bytes, crc: int | None) -> bytes:
    """Return a needed symbol and its version as one string: the record of `__versions` in little-endian 64-bit files.

    A name that is too long for a record makes a longer string.
    """
    return (NO_CRC if crc is None else crc.to_bytes(8, "little")) + name.ljust(NAME_SIZE, b"\0")


def from_keys(keys: Iterable[bytes]) -> list[tuple[bytes, int | None]]:
    """Return the name and the CRC in each key; of an empty one no name."""
    of = _Pairs()
    return [of[key] for key in keys]


class _Pairs(dict[bytes, "tuple[bytes, int | None]"]):
    """The name and the CRC by key: each process has most keys, and each is taken apart once."""

    def __missing__(self, key: bytes) -> tuple[bytes, int | None]:
        if len(key) == RECORD_SIZE:
            crc, name = _unpack(key)
        else:
            crc, name = int.from_bytes(key[:8], "little"), key[8:]
        pair = self[key] = name.partition(b"\0")[0], crc if crc != _NO_NUMBER else None
        return pair


def read_linkage(fd: int, head: bytes) -> tuple[Linkage | None, bytes | None]:
    """Return what there is in an open, uncompressed file that begins with the 64 bytes `head`. Raises OSError.

    None when the file is not of the plain form. The last bytes of the file are returned as well, if these were read.
    """
    try:
        header = header_of(head)
        read, end = reader_of(fd, header, _MOST_BEHIND)
        return _linkage(header, read, head[_KIND]), end
    except _UNUSUAL:
        return None, None


def read_image_linkage(image: bytes) -> Linkage | None:
    """Return what there is in a module in memory, None when it is not of the plain form."""
    try:
        return _linkage(header_of(image[:HEADER_SIZE]), image_reader(image), image[_KIND])
    except _UNUSUAL:
        return None


def read_general_linkage(source: Source) -> tuple[Linkage, FormatError | None]:
    """Return what there is in any module, of a damaged one what is whole, and the first damage. Raises `FileError`."""
    damage: list[FormatError] = []

    def whole(read: Callable[[], list[Offer]] | Callable[[], bytes] | Callable[[], tuple[list[bytes], bytes, bytes]]
              ) -> object:  # fmt: skip
        try:
            return read()
        except FormatError as error:
            damage.append(error)
            return None

    try:
        elf = ElfFile(source)
    except FormatError as error:
        return NOTHING, error
    infos = whole(lambda: elf.data_of(b".modinfo") or b"")
    needs = whole(lambda: _general_needs(elf))
    offers = whole(lambda: general_offers(elf))
    strings = infos if isinstance(infos, bytes) else b""
    keys, weak, unused = needs if isinstance(needs, tuple) else ([], b"", b"")
    if elf.type != _OBJECT_FILE:
        fault = NO_OBJECT
    else:
        fault = b"" if whole(lambda: b"" if elf.section(_THIS_MODULE) is None else b"yes") else NO_MODULE
    found = Linkage((_origin(strings, fault), kept_strings(strings), keys, weak, unused, b"",
                     offers if isinstance(offers, list) else ()))  # fmt: skip
    return found, damage[0] if damage else None


def _general_needs(elf: ElfFile) -> tuple[list[bytes], bytes, bytes]:
    used = {name for name, _crc, _weak in needed_names(elf, with_versions=False)}
    needs = [need for need in needed_names(elf) if need[0]]
    weak = b"\0".join([name for name, _crc, weak in needs if weak])
    unused = b"\0".join([name for name, _crc, _weak in needs if name not in used and name != LAYOUT])
    return [key(name, crc) for name, crc, _weak in needs], weak, unused


def general_offers(elf: ElfFile) -> list[Offer]:
    """Return what a module exports, by the readers that check everything. Raises `ElfError`."""
    found: list[Offer] = [
        (encode(item.name), item.crc, item.gpl, None if item.namespace is None else encode(item.namespace))
        for item in exports(elf)
        if item.name
    ]
    known = {name for name, *_ in found}
    # depmod takes all these for symbols
    found += [(name, crc, None, None) for name, crc in exported_names(elf) if name and name not in known]
    return found


NOTHING = Linkage(((b"", b"", b"", b""), b"", (), b"", b"", b"", ()))


def _linkage(header: Header, read: Read, kind: bytes) -> Linkage:
    """Return what there is in a module. Raises one of `_UNUSUAL` for any that has not the plain form."""
    form = header[0]
    if form.crc_size != 8 or form.words is not form.little_words:
        raise ValueError  # keys are as the records in other files
    names, find = sections_of(header, read)
    infos_at = find(b".modinfo\0")
    symbols = global_symbols(form, read, find(b".symtab\0"))
    weak = unused = shuffled = b""
    if names.find(VERSIONS) >= 0:
        infos, needs = _recorded(form, read, infos_at, find(VERSIONS))
        if len(needs) == count_versions(form, symbols):
            shuffled = SHUFFLED
        else:
            needs, weak, unused = _partly_recorded(form, symbols, read(find(b".strtab\0")), needs)
        if names.find(b"__version_ext_") >= 0:
            _check_extended(extended_names(names, find, read), needs)
    else:
        infos = read(infos_at)
        needs, weak, shuffled = _unrecorded(form, symbols, read, names, find)
    offers = _offers(header, read, names, find) if names.find(b"__ksymtab") >= 0 else ()
    fault = (b"" if names.find(_THIS_MODULE) >= 0 else NO_MODULE) if kind == _OBJECT else NO_OBJECT
    return Linkage((_origin(infos, fault), kept_infos(infos), needs, weak, unused, shuffled, offers))


def _origin(infos: bytes, fault: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    return _value(infos, b"vermagic="), _value(infos, b"license="), _imports(infos), fault


def _value(infos: bytes, start: bytes) -> bytes:
    """Return the first .modinfo value of a key, which `start` has with `=` behind it."""
    at = infos.find(start)
    while at > 0 and infos[at - 1]:
        at = infos.find(start, at + 1)
    if at < 0:
        return b""
    end = infos.find(b"\0", at)
    return infos[at + len(start) : end if end >= 0 else len(infos)]


def _imports(infos: bytes) -> bytes:
    start = b"import_ns="
    if infos.find(start) < 0:
        return b""
    return b"\0".join([text[len(start) :] for text in infos.split(b"\0") if text.startswith(start)])


# --- needed symbols

_cutters: dict[int, Callable[[bytes], tuple[bytes, ...]]] = {}
_MOST_RECORDS = 1 << 14


def _recorded(
    form: Form, read: Read, infos_at: tuple[int, ...], versions_at: tuple[int, ...]
) -> tuple[bytes, Sequence[bytes]]:
    """Return the strings of .modinfo, and the records of __versions."""
    count, rest = divmod(versions_at[SIZE], RECORD_SIZE)
    if rest or count > _MOST_RECORDS:
        raise ValueError
    infos, versions = contents_of(read, infos_at, versions_at)  # type: ignore[arg-type]
    if versions.find(LAYOUT_RECORD) % RECORD_SIZE != 8:
        raise ValueError
    cut = _cutters.get(count)
    if cut is None:
        cut = _cutters[count] = Struct(f"{RECORD_SIZE}s" * count).unpack
    return infos, cut(versions)


def _partly_recorded(
    form: Form, symbols: bytes, strings: bytes, records: Sequence[bytes]
) -> tuple[list[bytes], bytes, bytes]:
    """Return the keys of needed symbols, some of which have no version, and then of other versions; both other lists.

    These are the weak ones of the symbols, and the names of versions that no symbol uses.
    """
    undefined, weak = undefined_names(form, strings, symbols)
    left = {record[8:].partition(b"\0")[0]: record for record in records}
    if len(left) < len(records) or b"" in left or len({*undefined}) < len(undefined):
        raise ValueError
    needs = [left.pop(name, b"") or key(name, None) for name in undefined]
    unused = [name for name in left if name != LAYOUT]
    return [*needs, *left.values()], b"\0".join(weak), b"\0".join(unused)


def _check_extended(extended: Sequence[bytes], needs: Sequence[bytes]) -> None:
    """Leave to the general reader a module that has some versions in the newer form alone."""
    if {name for name, _ in from_keys(needs)} != set(extended):
        raise ValueError


def _unrecorded(
    form: Form, symbols: bytes, read: Read, names: bytes, find: Find
) -> tuple[Sequence[bytes], bytes, bytes]:
    """Return the keys of needed symbols, the weak ones, and `SHUFFLED` or nothing, for a module without __versions."""
    extended = extended_names(names, find, read)
    if extended:
        if len(extended) != count_versions(form, symbols) or LAYOUT not in extended:
            raise ValueError
        crcs = form.words(read(find(b"__version_ext_crcs\0"))).tolist()
        return list(map(key, extended, crcs)), b"", SHUFFLED
    undefined, weak = undefined_names(form, read(find(b".strtab\0")), symbols)
    return [NO_CRC + name.ljust(NAME_SIZE, b"\0") for name in undefined], b"\0".join(weak), b""


# --- exported symbols


def _offers(header: Header, read: Read, names: bytes, find: Find) -> Sequence[Offer]:
    """Return what a module exports: by the order of its tables, and where that is not enough by labels."""
    strings = read(find(LISTED)).split(b"\0") if names.find(LISTED) >= 0 else []
    listed = [name for name in strings if name]
    sizes = [find(name)[SIZE] if names.find(name) >= 0 else 0 for name in EXPORT_TABLES]
    total = sum(sizes)
    if not listed and not total:
        return ()
    flags = read(find(_FLAGS)) if names.find(_FLAGS) >= 0 else b""
    if flags and sizes[1]:
        raise ValueError
    exported: Sequence[bytes] = ()
    spaces: dict[bytes, bytes] = {}
    if are_all_exported(header, total, len(listed)):
        exported = listed
    elif header[1] in RELATIVE and len(strings) == 2 * total // _ENTRY + 1:  # each name has its namespace behind it
        exported = strings[:-1:2]
        spaces = dict(zip(exported, strings[1::2], strict=True))
    if not exported:
        return _labelled_offers(header, read, names, find, listed)
    entry = total // len(exported)
    crcs = _sorted_crcs(header[0], read, names, find, [size // entry for size in sizes])
    # without versions depmod takes namespaces for symbols
    if crcs is None or (spaces and names.find(b"__kcrctab") < 0):
        return _labelled_offers(header, read, names, find, listed)
    space = spaces.get
    if flags:
        return [(name, crc, bool(flag & GPL_ONLY), space(name, b""))
                for name, crc, flag in zip(sorted(exported), crcs[0], flags, strict=True)]  # fmt: skip
    plain, gpl = _split_by_table(header, read, find, sizes, exported)
    offers: list[Offer] = [(name, crc, False, space(name, b"")) for name, crc in zip(plain, crcs[0], strict=True)]
    return offers + [(name, crc, True, space(name, b"")) for name, crc in zip(gpl, crcs[1], strict=True)]


def _sorted_crcs(
    form: Form, read: Read, names: bytes, find: Find, counts: Sequence[int]
) -> list[Sequence[int | None]] | None:
    """Return the CRCs of both tables in order of the symbols' names; None when they are not simply in sections."""
    if names.find(b"__kcrctab") < 0:
        return [[None] * count for count in counts]
    if names.find(b".rela__kcrctab") >= 0 or names.find(b".rel__kcrctab") >= 0:
        return None
    found: list[Sequence[int | None]] = []
    for section, count in zip((b"__kcrctab\0", b"__kcrctab_gpl\0"), counts, strict=True):
        place = find(section) if count else None
        if place and place[SIZE] != 4 * count:
            return None
        found.append(form.words(read(place)).tolist() if place else [])
    return found


def _split_by_table(
    header: Header, read: Read, find: Find, sizes: Sequence[int], listed: Sequence[bytes]
) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Return which of the exported symbols are in which table, sorted.

    Of two tables, the symbols that label entries of the smaller one are looked for in .symtab by their section.
    """
    if not sizes[1]:
        return sorted(listed), ()
    if not sizes[0]:
        return (), sorted(listed)
    form, _machine, table_at, count, _ = header
    smaller = sizes[1] < sizes[0]
    places = read((0, table_at, count * form.entry_size, 0, 0))
    wanted = find(EXPORT_TABLES[smaller])
    section = next(number for number in range(count) if form.place_at(places, number * form.entry_size) == wanted)
    table, strings = read(find(b".symtab\0")), read(find(b".strtab\0"))
    sections = memoryview(table).cast("H")[3 :: form.symbol_size // 2].tobytes()
    name_at, pattern, label = form.words(table)[form.names], section.to_bytes(2, "little"), b"__ksymtab_"
    found: list[bytes] = []
    at = sections.find(pattern)
    while at >= 0:
        if at % 2 == 0 and (start := name_at[at // 2]):
            if not strings.startswith(label, start):
                raise ValueError
            found.append(strings[start + len(label) : strings.index(b"\0", start)])
        at = sections.find(pattern, at + 1)
    rest = {*listed}.difference(found)
    if len(rest) + len(found) != len(listed):
        raise ValueError
    found.sort()
    return (sorted(rest), found) if smaller else (found, sorted(rest))


def _labelled_offers(header: Header, read: Read, names: bytes, find: Find, listed: Sequence[bytes]) -> Sequence[Offer]:
    """Return what a module exports by the labels that its symbol table has for each."""
    labels = _Labels(header, read, find)
    entries = labels.symbols(b"__ksymtab_")
    crcs, namespaces = labels.numbers(b"__crc_"), labels.texts(b"__kstrtabns_")
    if not entries or any(found and found.keys() != entries.keys() for found in (crcs, namespaces)):
        raise ValueError
    # without versions depmod takes all strings for symbols
    offers: list[Offer] = [] if crcs else [(name, None, None, None) for name in {*listed} - entries.keys()]
    gpl = _gpl_flags(entries, labels, read, names, find)
    for name in entries:
        offers.append((name, crcs[name] if crcs else None, gpl[name], namespaces[name] if namespaces else b""))
    return offers


def _gpl_flags(
    entries: Mapping[bytes, Symbol], labels: _Labels, read: Read, names: bytes, find: Find
) -> Mapping[bytes, bool]:
    """Return by name whether an export is for modules under the GPL alone, as the flags say or the table it is in."""
    tables = {find(table): bool(gpl) for gpl, table in enumerate(EXPORT_TABLES) if names.find(table) >= 0}
    by_section = {section: tables[labels.place(section)] for section in {section for section, _ in entries.values()}}
    flags = read(find(_FLAGS)) if names.find(_FLAGS) >= 0 else b""
    if not flags:
        return {name: by_section[section] for name, (section, _) in entries.items()}
    size = find(EXPORT_TABLES[0])[SIZE] // len(flags)  # of an entry
    return {name: bool(flags[value // size] & GPL_ONLY) for name, (_, value) in entries.items()}


class _Labels:
    """The symbol table of a module. The kernel's build labels exports there: `__crc_NAME` and others.

    `symbols`, `numbers` and `texts` return, by the names of exports, what the symbols with one label say.
    """

    def __init__(self, header: Header, read: Read, find: Find) -> None:
        form, _machine, table_at, count, _ = header
        self._form, self._read = form, read
        self._sections = read((0, table_at, count * form.entry_size, 0, 0))
        self._strings, words = read(find(b".strtab\0")), form.words(read(find(b".symtab\0")))
        self._words = words
        starts = range(0, len(words), form.symbol_size // 4)
        self._at = dict(zip(words[form.names].tolist(), starts, strict=True))  # by the place of a symbol's name
        self._contents: dict[int, bytes] = {}

    def symbols(self, label: bytes) -> dict[bytes, Symbol]:
        """Return section and value of each symbol."""
        strings, words, places = self._strings, self._words, self._at
        begin = b"\0" + label
        if strings.count(label) != strings.count(begin):
            raise ValueError  # the label is part of a longer name
        found: dict[bytes, Symbol] = {}
        at = strings.find(begin)
        while at >= 0:
            word = places[at + 1]
            end = strings.index(b"\0", at + 1)
            found[strings[at + len(begin) : end]] = words[word + 1] >> 16, words[word + 2]
            at = strings.find(begin, end)
        return found

    def numbers(self, label: bytes) -> dict[bytes, int]:
        """Return the number that each symbol is, or that stands where it points to."""
        return {
            name: value if section == SHN_ABS else int.from_bytes(self._content(section)[value : value + 4], "little")
            for name, (section, value) in self.symbols(label).items()
        }

    def texts(self, label: bytes) -> dict[bytes, bytes]:
        """Return the text that each symbol points to."""
        found: dict[bytes, bytes] = {}
        for name, (section, value) in self.symbols(label).items():
            data = self._content(section)
            found[name] = data[value : data.index(b"\0", value)]
        return found

    def place(self, section: int) -> Place:
        """Return where a section is, by its number."""
        return self._form.place_at(self._sections, section * self._form.entry_size)

    def _content(self, section: int) -> bytes:
        if section not in self._contents:
            self._contents[section] = self._read(self.place(section))
        return self._contents[section]
