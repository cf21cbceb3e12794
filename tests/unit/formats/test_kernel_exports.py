# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a kernel exports, by an image without symbols, whichever form its tables have; and by modules' own tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils.errors import ElfError
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.elf_linkage import NO_MODULE, Linkage, from_keys, key, read_general_linkage, read_image_linkage
from pymodutils.formats.kernelexports import read_kernel_exports
from pymodutils.formats.source import BytesSource
from pymodutils.state.kernelfiles import read_symbols
from tests.support.kernelforge import Export, kernel_elf
from tests.support.koforge import Ko

EXPORTS: dict[str, Export] = {
    "printk": (0x11, False, ""),
    "kmalloc": (0x12, True, ""),
    "dma_fence": (0x13, False, "DMA_BUF"),
    "a_gpl": (0x14, True, "DMA_BUF"),
}
FORMS = [(64, "<", True), (64, "<", False), (64, ">", False), (32, "<", False), (32, ">", True)]


@pytest.mark.parametrize("flags_table", [False, True])
@pytest.mark.parametrize("fields", [2, 3])
@pytest.mark.parametrize("crcs", [True, False])
@pytest.mark.parametrize(("bits", "order", "relative"), FORMS)
def test_forms_of_tables(bits: int, order: str, relative: bool, crcs: bool, fields: int, flags_table: bool) -> None:
    image = kernel_elf(
        EXPORTS, bits=bits, order=order, relative=relative, fields=fields, flags_table=flags_table, crcs=crcs
    )
    expected = {
        name.encode(): (name.encode(), crc if crcs else None, gpl, namespace.encode() if fields == 3 else b"")
        for name, (crc, gpl, namespace) in EXPORTS.items()
    }
    assert read_kernel_exports(BytesSource(image)) == expected


def test_a_table_of_another_form_is_an_error() -> None:
    image = bytearray(kernel_elf(EXPORTS))
    table = ElfFile(BytesSource(image)).section(b"__ksymtab")
    assert table
    image[table.offset : table.offset + table.size] = b"\x7f" * table.size
    with pytest.raises(ElfError):
        read_kernel_exports(BytesSource(image))


def test_an_image_as_a_file_of_symbols(tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    path.write_bytes(kernel_elf(EXPORTS))
    found = read_symbols(str(path))
    assert found and found.path == str(path) and found.exports.keys() == {name.encode() for name in EXPORTS}


# --- modules: the shortest way and the careful one


def both(data: bytes) -> tuple[Linkage | None, Linkage]:
    general, damage = read_general_linkage(BytesSource(data))
    assert damage is None
    return read_image_linkage(data), general


def same(first: Linkage, second: Linkage) -> bool:
    rows = [(item.origin, item.infos, sorted(item.needs), item.weak, item.unused, sorted(item.offers, key=str))
            for item in (first, second)]  # fmt: skip
    return rows[0] == rows[1]


LAYOUT = {"module_layout": 9}
INFOS = ["license=GPL", "vermagic=6.1 SMP ", "xlicense=no", "import_ns=A", "import_ns=B", "alias=x"]


@pytest.mark.parametrize(
    ("ko", "is_plain"),
    [
        (Ko(INFOS, needs={"a": 1, "b": 2}, first_versions=LAYOUT), True),
        (Ko(INFOS, needs={"a": 1}, first_versions=LAYOUT, extended_versions=True), True),
        (Ko(INFOS, needs={"a": None, "b": None}, weak={"b"}), True),
        (Ko(INFOS, needs={"a": 1, "b": None}, weak={"b"}, first_versions=LAYOUT), True),
        (Ko(INFOS, needs={"a": 1, "b": None, "c": 2}, first_versions=LAYOUT), True),
        (Ko(INFOS, needs={"a": 1, "b": 2}, first_versions=LAYOUT, this_module=False), True),
        (Ko(INFOS, needs={"a": 1}, first_versions={**LAYOUT, "unused": 1}), True),
        (Ko(INFOS, needs={"a": 1}, first_versions=LAYOUT, order=">"), False),
        (Ko(INFOS, needs={"a": 1}, first_versions=LAYOUT, bits=32), False),
        (Ko(INFOS, exports={"e": 1, "f": 2}, namespaces={"e": "N"}, gpl={"f"}), True),
        (Ko(INFOS, exports={"e": 1, "f": 2}, namespaces={"e": "N"}, gpl={"f"}, crc_in_section=True), True),
        (Ko(INFOS, exports={"e": 1, "f": 2}, namespaces={"e": "N"}, gpl={"f"}, flags_table=True), True),
        (
            Ko(
                INFOS,
                exports={"e": 1, "f": 2},
                namespaces={"f": "N"},
                gpl={"f"},
                flags_table=True,
                machine=62,
                crc_in_section=True,
            ),
            True,
        ),
        (
            Ko(
                INFOS,
                exports={"f": 2, "e": 1},
                namespaces={"e": "N"},
                gpl={"e"},
                flags_table=True,
                machine=62,
                crc_symbols=False,
            ),
            True,
        ),
        (Ko(INFOS, exports={"e": 1, "f": 2}, namespaces={}, gpl={"e", "f"}, crc_symbols=False), True),
    ],
)
def test_both_readers_agree(ko: Ko, is_plain: bool) -> None:
    short, general = both(ko.bytes())
    assert (short is not None) == is_plain
    if short is not None:
        assert same(short, general)
    assert general.origin == (b"6.1 SMP ", b"GPL", b"A\0B", b"" if ko.this_module else NO_MODULE)
    assert {name.decode() for name, _ in from_keys(general.needs)} >= ko.needs.keys()


def test_keys_of_long_names() -> None:
    for name in (b"a", b"x" * 56, b"y" * 200):
        for crc in (None, 0, 0xFFFFFFFF):
            assert from_keys([key(name, crc)]) == [(name, crc)]
