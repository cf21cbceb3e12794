# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a kernel exports, by an image without symbols, whichever form its tables have, and by Module.symvers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils.errors import ElfError
from pymodutils.formats.elf import ElfFile
from pymodutils.formats.kernelexports import read_kernel_exports, read_symvers
from pymodutils.formats.source import BytesSource
from pymodutils.state.kernelfiles import read_symbols
from tests.support.kernelforge import Export, kernel_elf

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


# --- Module.symvers

WHOLE = b"0x0000000a\tname\tvmlinux\tEXPORT_SYMBOL_GPL\tSPACE\n"


@pytest.mark.parametrize(
    "cut", [b"x\tvmlinux", b"\tvmlinux\n", b"0x1\ta\tb\tvmlinux", b"zz\tname2\tvmlinux\tEXPORT_SYMBOL"]
)
def test_a_line_that_is_cut_short_is_left_out(cut: bytes) -> None:
    found = read_symvers(WHOLE + cut)
    assert found[b"name"] == (b"name", 10, True, b"SPACE")
    assert set(found) <= {b"name", b"a"}
