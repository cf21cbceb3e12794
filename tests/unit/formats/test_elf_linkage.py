# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a module exports and needs: the reader that takes the shortest way and the careful one agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pymodutils.formats.elf_linkage import NO_MODULE, Linkage, from_keys, key, read_general_linkage, read_image_linkage
from pymodutils.formats.source import BytesSource
from tests.support.koforge import Ko


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


def flagged(exports: dict[str, int], namespaces: dict[str, str], gpl: set[str], *, crcs: bool) -> Ko:
    """A module for x86-64 whose exports have a table of flags, and CRCs in a section or none."""
    ko = Ko(INFOS, exports=exports, namespaces=namespaces, gpl=gpl, crc_in_section=crcs, crc_symbols=crcs)
    return replace(ko, flags_table=True, machine=62)


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
        (flagged({"e": 1, "f": 2}, {"f": "N"}, {"f"}, crcs=True), True),
        (flagged({"f": 2, "e": 1}, {"e": "N"}, {"e"}, crcs=False), True),
        (Ko(INFOS, exports={"e": 1, "f": 2}, namespaces={}, gpl={"e", "f"}, crc_symbols=False), True),
        # more flags than the table of exports has bytes
        (Ko(INFOS, exports={"e": 1}, namespaces={"e": "N"}, extra_sections={b"__kflagstab": bytes(99)}), False),
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
