# SPDX-License-Identifier: LGPL-2.1-or-later
"""The fast reader and the general one give the same facts, or the fast one gives up."""

from __future__ import annotations

import gzip
import lzma
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
import zstandard
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pymodutils.depmod.extract import extract, undefined_symbols
from pymodutils.depmod.extract_general import read_general
from pymodutils.depmod.symbol_ids import SymbolIds, unpack_ids
from pymodutils.formats import elf_fast
from pymodutils.formats.source import BytesSource
from tests.support import assets
from tests.support.common import replace_call
from tests.support.koforge import Ko

NAMES = st.text("abc_.", min_size=1, max_size=8)


Named = tuple[bytes, list[bytes], bytes, bytes, bytes, bytes]
"""Facts with names for numbers, without NULs behind them."""


def named(facts: tuple[bytes, Sequence[bytes], bytes, bytes, bytes, bytes]) -> Named:
    exports, needs, *rest = facts
    return (exports, [need.partition(b"\0")[0] for need in needs], *rest)  # type: ignore[return-value]


def general(source: BytesSource) -> tuple[bytes, Sequence[bytes], bytes, bytes, bytes, bytes]:
    raw, failure = read_general(source)
    return (*raw, failure)


def fast(image: bytes) -> Named | None:
    """From memory, in order."""
    found = elf_fast.read_image(image, in_order=True)
    return None if found is None else named((*found, b""))


def fast_by_sections(image: bytes) -> Named | None:
    """From a file, shuffled if may be."""
    fd = os.memfd_create("module")
    try:
        os.write(fd, image)
        found = elf_fast.read_file(fd, image[: elf_fast.HEADER_SIZE])
    finally:
        os.close(fd)
    return None if found is None else named((*found, b""))


def sets(facts: Named | None) -> object:
    """The facts whatever the order of symbols."""
    return facts and (set(facts[0].split(b"\0")), set(facts[1]), *facts[2:4], facts[5])


def of_file(path: Path) -> Named:
    symbols = SymbolIds()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        exports, needs, *rest = extract(folder, os.fsencode(path.name), symbols)[1]
    finally:
        os.close(folder)
    return (exports, [symbols.all_names(symbols.new_names())[number] for number in unpack_ids(needs)], *rest)  # type: ignore[return-value]


def undefined(path: Path) -> Sequence[bytes]:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        return undefined_symbols(folder, os.fsencode(path.name))
    finally:
        os.close(folder)


def test_every_tenth_module_of_debian() -> None:
    """All of them go the fast way, and it is right."""
    paths = sorted((assets.module_tree("6.1") / "lib/modules").rglob("*.ko"))[::10]
    assert len(paths) > 400
    for path in paths:
        image = path.read_bytes()
        found, quickly = fast(image), fast_by_sections(image)
        assert found is not None
        assert found == named(general(BytesSource(image)))
        assert undefined(path) == found[1][:-1]
        assert found[1][-1] == b"module_layout"
        assert quickly is not None
        assert quickly[4] == elf_fast.SHUFFLED
        assert sets(quickly) == sets(found) == sets(of_file(path))
        unpacked = elf_fast.read_image(image)
        assert unpacked is not None
        several = b"," in image.partition(b"\0depends=")[2].partition(b"\0")[0]
        assert unpacked.shuffled == (b"" if several else elf_fast.SHUFFLED)
        assert sets(named((*unpacked, b""))) == sets(found)


modules = st.builds(
    Ko,
    modinfo=st.lists(
        st.sampled_from(["alias=a", "alias=", "softdep=pre: x", "weakdep=y", "license=GPL", "aliasx=1", "=", ""])
    ),
    exports=st.dictionaries(NAMES, st.integers(0, 2**32 - 1), max_size=4),
    needs=st.dictionaries(NAMES, st.none() | st.integers(0, 2**32 - 1), max_size=5),
    weak=st.sets(NAMES, max_size=3),
    first_versions=st.sampled_from([{}, {"module_layout": 1}, {"module_layout": 1, "other": 2}]),
    crc_in_section=st.booleans(),
    crc_symbols=st.booleans(),
    extended_versions=st.booleans(),
    bits=st.sampled_from([32, 64]),
    order=st.sampled_from("<>"),
)


@given(modules)
def test_forged_modules(module: Ko) -> None:
    recorded = module.first_versions.keys() | {name for name, crc in module.needs.items() if crc is not None}
    if len(recorded) == len(module.needs) + 1:
        assume(recorded == module.needs.keys() | {"module_layout"})  # what `elf_fast` relies on
    image = module.bytes()
    right = named(general(BytesSource(image)))
    assert fast(image) in (None, right)
    assert sets(fast_by_sections(image)) in (None, sets(right))


@settings(max_examples=500)
@given(modules, st.data())
def test_damaged_modules(module: Ko, data: st.DataObject) -> None:
    """Whatever is changed, neither way raises anything."""
    image = bytearray(module.bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    del image[data.draw(st.integers(0, len(image))) :]
    fast(bytes(image))
    fast_by_sections(bytes(image))
    general(BytesSource(bytes(image)))


KINDS = pytest.mark.parametrize(("bits", "order"), [(32, "<"), (32, ">"), (64, "<"), (64, ">")])


@KINDS
def test_the_fast_reader_takes_any_class_and_byte_order(bits: int, order: str) -> None:
    needs: dict[str, int | None] = {f"kernel_function_{number}": 0xC0000000 + number for number in range(300)}
    module = Ko(modinfo=["alias=x"], exports={"f": 1, "g": 2}, needs=needs, bits=bits, order=order)
    module.first_versions = {"module_layout": 1}
    module.extra_sections = {b"__ksymtab": bytes(2 * 3 * bits // 8)}
    shuffled = fast_by_sections(module.bytes())
    assert shuffled is not None
    assert shuffled[4] == elf_fast.SHUFFLED
    assert sets(shuffled) == sets(named(general(BytesSource(module.bytes()))))
    module.weak = {"kernel_function_7"}
    assert fast_by_sections(module.bytes()) == fast(module.bytes()) == named(general(BytesSource(module.bytes())))


@KINDS
@pytest.mark.parametrize("both", [False, True], ids=["extended alone", "both"])
def test_the_fast_reader_takes_extended_versions(bits: int, order: str, both: bool) -> None:
    """As modules in Rust have them: without a limit for the length of names."""
    needs: dict[str, int | None] = {f"kernel_function_{number}": 7 for number in range(30)}
    needs["_RNv" + "x" * 400] = 9
    module = Ko(needs=needs, first_versions={"module_layout": 1}, extended_versions=True, bits=bits, order=order)
    if both:
        short = [name for name in ["module_layout", *needs] if len(name) < 50]
        records = [bytes(bits // 8) + name.encode().ljust(64 - bits // 8, b"\0") for name in short]
        module.extra_sections = {b"__versions": b"".join(records)}
    right = named(general(BytesSource(module.bytes())))
    found = fast_by_sections(module.bytes())
    assert found is not None
    assert (found[4] == elf_fast.SHUFFLED) != both
    assert sets(found) == sets(right)
    assert fast(module.bytes()) == right


@pytest.mark.parametrize("names", [b"", b"\0", b"f", b"f\0g\0", b".f\0", b"f\0\0"])
def test_extended_versions_that_are_unusual_or_damaged(names: bytes) -> None:
    module = Ko(needs={"f": None}, extra_sections={b"__version_ext_crcs": bytes(4), b"__version_ext_names": names})
    assert fast(module.bytes()) in (None, named(general(BytesSource(module.bytes()))))


@pytest.mark.parametrize("length", [54, 55, 56, 58, 59])
@pytest.mark.parametrize("order", ["<", ">"])
def test_names_that_fit_only_into_versions_of_32_bit_files(length: int, order: str) -> None:
    module = Ko(needs={"x" * length: 1, "y": 2}, first_versions={"module_layout": 1}, bits=32, order=order)
    found = fast_by_sections(module.bytes())
    assert found is not None
    assert (found[4] == elf_fast.SHUFFLED) == (length <= 56)
    assert sets(found) == sets(named(general(BytesSource(module.bytes()))))


@KINDS
def test_any_class_and_byte_order(tmp_path: Path, bits: int, order: str) -> None:
    module = Ko(modinfo=["alias=x", "license=GPL"], exports={"f": 1, "g": 2}, bits=bits, order=order)
    module.needs, module.weak = {"h": 3, "w": None}, {"w"}
    assert of_file(module.write(tmp_path / "a.ko")) == (b"f\0g", [b"h", b"w"], b"w", b"alias=x", b"", b"")
    assert undefined(tmp_path / "a.ko") == [b"h", b"w"]


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lzma.compress,
        lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
        zstandard.compress,
        lambda data: zstandard.ZstdCompressor(write_content_size=False).compress(data),
        lambda data: gzip.compress(data[:99]) + gzip.compress(data[99:]),
        lambda data: zstandard.compress(data[:99]) + zstandard.compress(data[99:]),
    ],
    ids=["gzip", "xz crc64", "xz crc32", "zstd", "zstd without its size", "gzip in two members", "zstd in two frames"],
)
def test_compressed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    module = Ko(modinfo=["alias=x"], exports={"f": 1}, needs={"h": 3})
    path = tmp_path / "a.ko"  # recognised by its bytes, not its name
    path.write_bytes(pack(module.bytes()))
    assert of_file(path) == named(general(BytesSource(module.bytes()))) == (b"f", [b"h"], b"", b"alias=x", b"", b"")


@pytest.mark.parametrize(
    ("data", "errno"),
    [
        (b"", 22),
        (b"text\n", 22),
        (b"a text\n", 8),
        (b"text\n" * 20_000, 8),
        (Ko().bytes()[:64], 22),
        (gzip.compress(Ko().bytes())[:-20], 22),
        (b"\x1f\x8b", 22),
        (zstandard.compress(Ko().bytes()) + b"more", 22),
    ],
    ids=["empty", "short text", "text", "long text", "header only", "cut gzip", "two bytes", "zstd and more"],
)
def test_broken(tmp_path: Path, data: bytes, errno: int) -> None:
    path = tmp_path / "a.ko"
    path.write_bytes(data)
    facts = of_file(path)
    assert facts[:5] == (b"", [], b"", b"", b"")
    assert int(facts[5].split()[0]) == errno
    assert not undefined(path)


def test_unreadable(tmp_path: Path) -> None:
    assert of_file(tmp_path / "missing.ko")[5].startswith(b"2 ")
    assert not undefined(tmp_path / "missing.ko")


@pytest.mark.parametrize("module", [Ko(needs={"f": 1}), Ko(needs={"f": 1}, bits=32)], ids=["fast", "general"])
def test_a_read_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Ko) -> None:
    """At whichever read: a reason, and no fact, since the others would look like all that there is."""
    path = module.write(tmp_path / "a.ko")
    whole = of_file(path)
    real = os.pread
    for number in range(40):
        reads = iter(range(99))

        def pread(fd: int, size: int, at: int, number: int = number, reads: Iterator[int] = reads) -> bytes:
            if next(reads) == number:
                raise OSError(5, os.strerror(5))
            return real(fd, size, at)

        with monkeypatch.context() as patch:
            replace_call(patch, "pread", pread)
            patch.setattr(elf_fast, "pread", pread)
            found = of_file(path)
        assert found in (whole, (b"", [], b"", b"", b"", b"5 Input/output error"))
        if found == whole:
            assert next(reads) <= number  # there were no more reads
            return
    pytest.fail("there was no end of reads")


@pytest.mark.parametrize("module", [Ko(needs={"f": 1}), Ko(needs={"f": 1}, bits=32)], ids=["fast", "general"])
def test_a_file_that_becomes_shorter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Ko) -> None:
    """Its size is asked for once; what is read afterwards may be less."""
    path = module.write(tmp_path / "a.ko")
    size = path.stat().st_size
    real = os.pread
    for end in range(0, size, 7):

        def pread(fd: int, length: int, at: int, end: int = end) -> bytes:
            return real(fd, max(min(length, end - at), 0), at)

        with monkeypatch.context() as patch:
            replace_call(patch, "pread", pread)
            patch.setattr(elf_fast, "pread", pread)
            assert of_file(path)[5]


def test_a_sparse_file_that_is_no_module_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.ko"
    real = os.pread
    for head, errno in ((b"text", 8), (b"\x1f\x8b", 27)):
        with open(path, "wb") as file:
            file.write(head)
            file.truncate(5 << 30)
        sizes: list[int] = []

        def pread(fd: int, size: int, at: int, sizes: list[int] = sizes) -> bytes:
            sizes.append(size)
            return real(fd, size, at)

        with monkeypatch.context() as patch:
            replace_call(patch, "pread", pread)
            assert int(of_file(path)[5].split()[0]) == errno
        assert max(sizes) <= 1 << 16


def test_an_offset_at_the_end_of_what_a_file_can_have(tmp_path: Path) -> None:
    """The system refuses such an offset; the module has no other fault."""
    image = bytearray(Ko(modinfo=["alias=x"], exports={"f": 1}).bytes())
    table = int.from_bytes(image[40:48], "little")
    image[table + 64 + 24 : table + 64 + 32] = (2**63 - 5).to_bytes(8, "little")  # of .modinfo, the first section
    path = tmp_path / "a.ko"
    path.write_bytes(image)
    assert of_file(path) == named(general(BytesSource(bytes(image)))) == (b"f", [], b"", b"", b"", b"")


def test_entries_of_another_size_among_exports(tmp_path: Path) -> None:
    """Where __ksymtab has twice as many bytes for each symbol, namespaces could be taken for names of symbols."""
    strings = b"f\0g\0N\0M\0"
    module = Ko(machine=243, extra_sections={b"__ksymtab": bytes(48)}, exports={"f": 1, "g": 2, "N": 0, "M": 0})
    image = module.bytes()
    assert strings in image
    for name in (b"__crc_N", b"__crc_M"):
        image = image.replace(name, b"x" + name[1:])
    path = tmp_path / "a.ko"
    path.write_bytes(image)
    assert of_file(path)[0] == named(general(BytesSource(image)))[0] == b"f\0g"
