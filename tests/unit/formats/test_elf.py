# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ELF reader on forged files of every class and byte order, whole and damaged; pyelftools as second oracle."""

from __future__ import annotations

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.errors import ElfError, Error
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.modinfo import parse_modinfo
from pymodutils.formats.override import without_modversions, without_vermagic
from pymodutils.formats.source import BytesSource
from pymodutils.formats.symbols import Symbol, exported_names, exports, needed_names, needs, recorded_versions, versions
from tests.support.koforge import Ko

SHAPES = [(64, "<"), (64, ">"), (32, "<"), (32, ">")]
shapes = pytest.mark.parametrize(("bits", "order"), SHAPES)


def elf(data: bytes) -> ElfFile:
    return ElfFile(BytesSource(data))


@shapes
def test_sections_agree_with_pyelftools(bits: int, order: str) -> None:
    data = Ko(bits=bits, order=order, exports={"a": 1}, needs={"b": 2}, build_id=b"x" * 20).bytes()
    ours, theirs = elf(data), ELFFile(io.BytesIO(data))
    assert ours.is64 == (theirs.elfclass == 64)
    assert ours.little_endian == theirs.little_endian
    assert [(s.name, ours.data(s)) for s in ours.sections()] == [(s.name, s.data()) for s in theirs.iter_sections()]
    table = theirs.get_section_by_name(".symtab")
    symbols = ours.symbol_table()
    assert symbols and isinstance(table, SymbolTableSection)
    names = symbols.names(entry[0] for entry in symbols)
    assert [name.decode() for name in names] == [s.name for s in table.iter_symbols()][1:]
    assert [value for *_, value in symbols] == [s["st_value"] for s in table.iter_symbols()][1:]


@shapes
@pytest.mark.parametrize("crc_in_section", [False, True])
def test_exports_with_crcs(bits: int, order: str, crc_in_section: bool) -> None:
    wanted = {"first": 0x12345678, "second": 0xFFFFFFFF, "third": 0}
    found = exports(elf(Ko(bits=bits, order=order, exports=wanted, crc_in_section=crc_in_section).bytes()))
    assert [(e.name, e.crc) for e in found] == list(wanted.items())


@shapes
def test_exports_without_crcs(bits: int, order: str) -> None:
    found = exports(elf(Ko(bits=bits, order=order, exports={"x": 5, "y": 6}, crc_symbols=False).bytes()))
    assert [(e.name, e.crc) for e in found] == [("x", None), ("y", None)]


@shapes
@pytest.mark.parametrize("extended", [False, True])
def test_needs_in_table_order_then_unused_versions(bits: int, order: str, extended: bool) -> None:
    ko = Ko(
        bits=bits,
        order=order,
        needs={"zebra": 7, "apple": None, "mango": 9},
        weak={"apple"},
        first_versions={"module_layout": 3},
        extended_versions=extended,
    )
    found = [(n.name, n.crc, n.weak) for n in needs(elf(ko.bytes()))]
    assert found == [("zebra", 7, False), ("apple", None, True), ("mango", 9, False), ("module_layout", 3, False)]


LONG = "_R" + "x" * 5000


@shapes
@pytest.mark.parametrize("kind", ["local_names", "other_names"])
def test_the_length_of_other_names_does_not_matter(bits: int, order: str, kind: str) -> None:
    """Rust and Clang's CFI make names of many thousand bytes."""
    names = {kind: tuple(LONG + str(number) for number in range(9))}
    file = elf(Ko(bits=bits, order=order, exports={"a": 1}, needs={"b": 2}, **names).bytes())  # type: ignore[arg-type]
    assert [(e.name, e.crc) for e in exports(file)] == [("a", 1)]
    assert [(n.name, n.crc) for n in needs(file)] == [("b", 2)]


@shapes
def test_symbols_may_have_long_names_themselves(bits: int, order: str) -> None:
    ko = Ko(bits=bits, order=order, exports={LONG + "e": 1}, needs={LONG + "n": 2}, extended_versions=True)
    file = elf(ko.bytes())
    assert [(e.name, e.crc) for e in exports(file)] == [(LONG + "e", 1)]
    assert [(n.name, n.crc) for n in needs(file)] == [(LONG + "n", 2)]


def test_a_name_outside_its_table_is_damage() -> None:
    data = bytearray(Ko(exports={"a": 1}, needs={"b": 2}).bytes())
    table = elf(bytes(data)).section(b".symtab")
    assert table
    struct.pack_into("<I", data, table.offset + 24, 1 << 20)  # of the local symbol
    for read in (exports, needs, exported_names, needed_names):
        with pytest.raises(ElfError, match="outside its string table"):
            read(elf(bytes(data)))


@shapes
@pytest.mark.parametrize("flags_table", [False, True], ids=["two tables", "flags"])
@pytest.mark.parametrize("crc_symbols", [True, False])
def test_namespaces_and_licences_of_exports(bits: int, order: str, flags_table: bool, crc_symbols: bool) -> None:
    ko = Ko(
        bits=bits,
        order=order,
        exports={"zoo": 1, "ant": 2, "bee": 3},
        namespaces={"ant": "DMA_BUF", "bee": "module:a,b"},
        gpl={"zoo", "bee"},
        flags_table=flags_table,
        crc_symbols=crc_symbols,
    )
    found = exports(elf(ko.bytes()))
    assert [(e.name, e.namespace, e.gpl) for e in found] == [
        ("zoo", "", True),
        ("ant", "DMA_BUF", False),
        ("bee", "module:a,b", True),
    ]
    assert [e.crc for e in found] == ([1, 2, 3] if crc_symbols else [None] * 3)


def test_kmod_takes_namespaces_for_symbols_where_there_are_no_versions() -> None:
    ko = Ko(exports={"a": 1}, namespaces={"a": "DMA_BUF"}, crc_symbols=False)
    assert exported_names(elf(ko.bytes())) == [(b"a", None), (b"DMA_BUF", None)]


def test_what_cannot_be_known_of_an_export_is_none() -> None:
    (plain,) = exports(elf(Ko(exports={"a": 1}).bytes()))
    assert (plain.namespace, plain.gpl) == (None, None)
    data = Ko(exports={"a": 1}, namespaces={"a": "X"}, flags_table=True).bytes()
    for name in (b"__ksymtab_strings\0", b"__kflagstab\0"):  # to sections of other names the labels lead nowhere
        (hidden,) = exports(elf(data.replace(name, b"x" * (len(name) - 1) + b"\0")))
        assert hidden == Symbol("a", 1, None if name.startswith(b"__ksymtab") else "X", False)


def test_register_symbols_of_sparc_are_not_needed() -> None:
    data = bytearray(Ko(bits=64, order=">", machine=43, needs={"real": None, "reg": None}).bytes())
    file = elf(bytes(data))
    table = file.section(b".symtab")
    assert table
    struct.pack_into("B", data, table.offset + table.size - 24 + 4, 0x10 | 13)
    assert [n.name for n in needs(elf(bytes(data)))] == ["real"]


def test_versions_lose_a_leading_dot() -> None:
    ko = Ko(bits=64, order=">", needs={".printk": 5})
    assert [(v.name, v.crc) for v in versions(elf(ko.bytes()))] == [("printk", 5)]


@shapes
def test_build_id(bits: int, order: str) -> None:
    assert elf(Ko(bits=bits, order=order, build_id=bytes(range(20))).bytes()).build_id() == bytes(range(20))
    assert elf(Ko(bits=bits, order=order).bytes()).build_id() is None


def test_modinfo_strings() -> None:
    fields = parse_modinfo(b"\0\0license=GPL\0\0\0flag\0a=b=c\0last=x")
    assert [(f.key, f.value) for f in fields] == [("license", "GPL"), ("flag", ""), ("a", "b=c"), ("last", "x")]


def test_modinfo_keeps_any_bytes() -> None:
    (field,) = parse_modinfo(b"author=J\xf6rg\0")
    assert field.value.encode("utf-8", "surrogateescape") == b"J\xf6rg"


@pytest.mark.parametrize(
    ("data", "errno"),
    [
        (b"", 22),
        (b"hello", 22),
        (b"hello, world", 8),
        (b"\x7fELF", 22),
        (b"\x7fELF\x03\x01" + bytes(60), 22),
        (b"\x7fELF\x02\x07" + bytes(60), 22),
        (b"\x7fELF\x02\x01" + bytes(20), 22),
        (Ko().bytes()[:-10], 22),
    ],
    ids=["empty", "short text", "text", "magic only", "class", "byte order", "short header", "truncated table"],
)
def test_damaged_headers(data: bytes, errno: int) -> None:
    with pytest.raises(ElfError) as caught:
        elf(data)
    assert caught.value.errno == errno


def with_header(offset: int, value: int) -> bytes:
    data = bytearray(Ko().bytes())
    struct.pack_into("<H", data, offset, value)
    return bytes(data)


@pytest.mark.parametrize(
    "data",
    [with_header(0x3A, 40), with_header(0x3C, 0xFFFF), with_header(0x3C, 0), with_header(0x3E, 0xFFF0)],
    ids=["entry size", "count", "no sections", "name table index"],
)
def test_damaged_section_table(data: bytes) -> None:
    with pytest.raises(ElfError):
        elf(data)


@shapes
def test_override_hides_versions_and_vermagic(bits: int, order: str) -> None:
    image = Ko(bits=bits, order=order, modinfo=["a=b", "vermagic=6.1 SMP", "z=y"], needs={"x": 1}).bytes()
    hidden = elf(without_modversions(image)).section(b"__versions")
    assert hidden
    assert hidden.flags & 2 == 0
    section = elf(image).section(b"__versions")
    assert section
    assert section.flags & 2
    blank = without_vermagic(image)
    assert len(blank) == len(image)
    fields = parse_modinfo(elf(blank).data_of(b".modinfo") or b"")
    assert [f.key for f in fields] == ["a", "z"]


SYMBOL_READERS = (exports, needs, versions, exported_names, needed_names, recorded_versions)


def every_reader(data: bytes) -> None:
    """Everything that reads an ELF file; only typed errors may come out."""
    try:
        file = elf(data)
    except Error:
        return
    for read in (
        *SYMBOL_READERS,
        ElfFile.build_id,
        ElfFile.sections,
        lambda f: parse_modinfo(f.data_of(b".modinfo") or b""),
    ):
        try:
            read(file)
        except Error:
            pass
    for change in (without_modversions, without_vermagic):
        try:
            change(data)
        except Error:
            pass


@given(st.binary(max_size=300))
def test_random_bytes_give_a_typed_error(data: bytes) -> None:
    every_reader(data)
    every_reader(b"\x7fELF" + data)


@given(
    st.sampled_from(SHAPES),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 6000),
)
def test_mutated_modules_give_a_value_or_a_typed_error(
    shape: tuple[int, str], changes: list[tuple[int, int]], length: int
) -> None:
    ko = Ko(bits=shape[0], order=shape[1], exports={"e": 1}, needs={"n": 2}, build_id=b"i" * 20, crc_in_section=True)
    data = bytearray(ko.bytes())
    for place, value in changes:
        data[place % len(data)] = value
    every_reader(bytes(data))
    every_reader(bytes(data[:length]))
