# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod symbols: names, patterns, addresses; CRC, licence, namespace, users; what is hidden."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils import Context, KernelSymbol, MissingTreeError, Roots, symbols
from pymodutils.formats.kallsyms import nearest_symbol, parse_symbol_lines
from pymodutils.formats.symvers import parse_symvers_lines
from pymodutils.verbs.symbols import address_in
from tests.support.common import run_inside
from tests.support.forgedsystem import forge_system
from tests.support.koforge import Ko
from tests.support.schemas import check_document

STRINGS = ["license=GPL"]
MODULES = {
    "lib": Ko(
        modinfo=[*STRINGS, "name=lib"], exports={"lib_get": 0x11, "lib_put": 0x12, "lib_raw": 0x13},
        namespaces={"lib_get": "", "lib_put": "LIBNS", "lib_raw": ""}, gpl={"lib_put"}, needs={"_printk": 0x99},
    ),
    "user": Ko(modinfo=[*STRINGS, "name=user"], needs={"lib_get": 0x11, "_printk": 0x99}),
    "idle": Ko(modinfo=[*STRINGS, "name=idle"], needs={"lib_get": 0x11, "kfree": 0x77}, exports={"idle_x": 0x14}),
}  # fmt: skip
KALLSYMS = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81001000 t static_function
ffffffff81002000 T __pfx__printk
ffffffff81002010 T _printk
ffffffff81002010 t alias_of_printk
ffffffff81003000 T kfree
ffffffff81004000 B _end
ffffffffc0a00000 t lib_init\t[lib]
ffffffffc0a00100 T lib_get\t[lib]
ffffffffc0a00200 T lib_put\t[lib]
ffffffffc0b00000 t user_work\t[user]
ffffffffc0c00000 t other_work\t[other]
"""
SYMVERS = """\
0x00000099\t_printk\tvmlinux\tEXPORT_SYMBOL\t
0x00000077\tkfree\tvmlinux\tEXPORT_SYMBOL_GPL\tMEMORY
0x00000011\tlib_get\tlib\tEXPORT_SYMBOL\t
"""


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(
        tmp_path / "system", MODULES,
        loaded={"user": "0 - Live 0x0", "lib": "1 user, Live 0x0"}, files={"proc/kallsyms": KALLSYMS},
    )  # fmt: skip


def with_symvers(roots: Roots) -> Roots:
    path = Path(roots.base, "usr/src", f"linux-headers-{roots.release}")
    path.mkdir(parents=True)
    (path / "Module.symvers").write_text(SYMVERS)
    return roots


def one(roots: Roots, what: str, *, everywhere: bool = False) -> KernelSymbol:
    report = symbols(Context(roots), [what], everywhere=everywhere)
    assert report.errors == ()
    (symbol,) = report.symbols
    assert symbol.asked == what
    return symbol


def test_what_loaded_modules_export(roots: Roots) -> None:
    report = symbols(Context(roots))
    assert [(symbol.name, symbol.crc, symbol.gpl, symbol.namespace, symbol.users) for symbol in report.symbols] == [
        ("lib_get", 0x11, False, "", ("user",)),
        ("lib_put", 0x12, True, "LIBNS", ()),
        ("lib_raw", 0x13, False, "", ()),
    ]
    assert [symbol.address for symbol in report.symbols] == [0xFFFFFFFFC0A00100, 0xFFFFFFFFC0A00200, None]
    assert report.hidden is False


def test_all_modules(roots: Roots) -> None:
    report = symbols(Context(roots), everywhere=True)
    assert {symbol.name: symbol.users for symbol in report.symbols} == {
        "idle_x": (), "lib_get": ("idle", "user"), "lib_put": (), "lib_raw": (),
    }  # fmt: skip


@pytest.mark.parametrize("what", ["lib_get", "symbol:lib_get", "0xffffffffc0a00110", "ffffffffc0a00110"])
def test_a_symbol_of_a_module(roots: Roots, what: str) -> None:
    symbol = one(roots, what)
    assert (symbol.name, symbol.module, symbol.crc, symbol.exported) == ("lib_get", "lib", 0x11, True)
    assert (symbol.users, symbol.address) == (("user",), 0xFFFFFFFFC0A00100)
    assert symbol.offset == (0x10 if what.endswith("110") else None)


def test_a_symbol_of_the_kernel(roots: Roots) -> None:
    symbol = one(roots, "_printk")
    assert (symbol.module, symbol.crc, symbol.gpl, symbol.exported) == ("vmlinux", 0x99, None, True)
    assert symbol.users == ("lib", "user")
    known = one(with_symvers(roots), "kfree", everywhere=True)
    assert (known.crc, known.gpl, known.namespace, known.users) == (0x77, True, "MEMORY", ("idle",))
    assert known.address == 0xFFFFFFFF81003000


def test_a_symbol_that_nobody_can_use(roots: Roots) -> None:
    assert one(roots, "static_function").exported is None  # without Module.symvers who knows
    assert one(roots, "user_work").exported is False
    assert one(roots, "other_work").exported is None  # no file of that module
    assert one(with_symvers(roots), "static_function").exported is False


def test_patterns_find_exports(roots: Roots) -> None:
    report = symbols(Context(with_symvers(roots)), ["*_[gp]*"])
    assert [(symbol.module, symbol.name) for symbol in report.symbols] == [
        ("vmlinux", "_printk"), ("lib", "lib_get"), ("lib", "lib_put"),
    ]  # fmt: skip
    assert report.kernel_exports and report.kernel_exports.endswith("Module.symvers")
    shutil.rmtree(Path(roots.base, "usr"))
    report = symbols(Context(roots), ["*k*"])
    assert ([symbol.name for symbol in report.symbols], report.kernel_exports) == (["_printk"], None)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        (0xFFFFFFFF81000000, "startup_64+0x0"),
        (0xFFFFFFFF81002010, "_printk+0x0"),
        (0xFFFFFFFF81002FFF, "_printk+0xfef"),
        (0xFFFFFFFF81003ABC, "kfree+0xabc"),
        (0xFFFFFFFF81004000, None),  # behind the kernel
        (0xFFFFFFFFC0A00250, "lib_put+0x50"),
        (0xFFFFFFFFC0A09000, None),  # the module has 4,096 bytes
        (0xFFFFFFFFC0B00001, "user_work+0x1"),
        (0x10, None),
    ],
)
def test_addresses(roots: Roots, address: int, expected: str | None) -> None:
    report = symbols(Context(roots), [f"{address:#x}"])
    assert [f"{symbol.name}+{symbol.offset:#x}" for symbol in report.symbols] == ([expected] if expected else [])
    assert [error.code for error in report.errors] == ([] if expected else ["not-found"])


def test_hidden_addresses(roots: Roots) -> None:
    lines = ["0" * 16 + line[16:] for line in KALLSYMS.splitlines()]
    Path(roots.proc, "kallsyms").write_text("\n".join(lines) + "\n")
    report = symbols(Context(roots), ["lib_get", "0xffffffff81003000"])
    assert report.hidden is True
    assert [symbol.address for symbol in report.symbols] == [None]
    assert ["kptr_restrict" in error.text for error in report.errors] == [True]


def test_another_system_has_no_addresses(roots: Roots, tmp_path: Path) -> None:
    other = Context(Roots.of_system(roots.base, roots.release))
    report = symbols(other, ["lib_get", "0xffffffff81003000"])
    (symbol,) = report.symbols
    assert (symbol.users, symbol.address, report.hidden) == (("idle", "user"), None, None)
    assert report.errors[0].subject == "0xffffffff81003000"
    assert {found.module for found in symbols(other).symbols} == {"idle", "lib"}
    with pytest.raises(MissingTreeError):
        symbols(Context(Roots.of_system(tmp_path / "nothing", "1")))


def test_a_loaded_module_without_a_file(roots: Roots) -> None:
    with open(f"{roots.proc}/modules", "a") as file:
        file.write("other 4096 0 - Live 0x0\n")
    report = symbols(Context(roots))
    assert [(error.subject, error.code) for error in report.errors] == [("other", "cannot-tell")]
    assert len(report.symbols) == 3


# --- the command


def test_text_and_json(roots: Roots) -> None:
    done = run_inside("kmod", ["symbols", "--json", "lib_get", "0xffffffffc0a00201"], roots)
    document = check_document(done.out)
    assert done.status == 0
    assert document["symbols"][1]["address"] == "0xffffffffc0a00200"
    assert document == check_document(symbols(Context(roots), ["lib_get", "0xffffffffc0a00201"]).to_json())
    text = run_inside("kmod", ["symbols", "lib_put", "0xffffffffc0a00201"], roots).out.decode().splitlines()
    assert text[1].split() == ["lib_put", "lib", "0x00000012", "GPL", "LIBNS", "ffffffffc0a00200", "-"]
    assert text[2].split()[0] == "lib_put+0x1"


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["no_such"], 1, "no_such: no such symbol"),
        (["no_*"], 1, "no_*: no such symbol"),
        (["lib_get", "no_such"], 1, "no_such"),
        (["0x10"], 2, "0x10: no symbol of the kernel or of a module is there"),
    ],
)
def test_what_is_not_there(roots: Roots, words: list[str], status: int, text: str) -> None:
    done = run_inside("kmod", ["symbols", *words], roots)
    assert (done.status, done.err.count(b"\n")) == (status, 1)
    assert text in done.err.decode()


def test_names_that_resemble_one_that_nothing_has(roots: Roots) -> None:
    done = run_inside("kmod", ["symbols", "lib_gett"], roots)
    assert (done.status, done.out) == (1, b"similar names: lib_get\n")
    report = symbols(Context(with_symvers(roots)), ["kfre", "lib_get", "lib_x*"], everywhere=True)
    assert report.similar == ("kfree",) and [symbol.name for symbol in report.symbols] == ["lib_get"]


def test_a_namespace_in_the_index_is_no_symbol_and_resembles_none(tmp_path: Path) -> None:
    """Where symbols have no versions, depmod takes namespaces for symbols, as in Debian's kernels since 6.18."""
    spaced = Ko(STRINGS, exports={"one": 0}, namespaces={"one": "SPACE"}, crc_symbols=False)
    roots = forge_system(tmp_path / "root", {"spaced": spaced}, files={"proc/kallsyms": KALLSYMS})
    assert "symbol:SPACE" in Path(roots.modules, "modules.symbols").read_text()
    done = run_inside("kmod", ["symbols", "SPACE"], roots)
    assert (done.status, done.out, done.err) == (1, b"", b"kmod: ERROR: SPACE: no such symbol\n")


# --- what it reads


@pytest.mark.parametrize(
    ("text", "expected"),
    [("0x1f", 0x1F), ("0XFFFFFFFFC0A00000", 0xFFFFFFFFC0A00000), ("ffffffffc0a00000", 0xFFFFFFFFC0A00000),
     ("0x", None), ("0xg", None), ("0x_1", None), ("deadbeef", None), ("0x12345678901234567", None)],
)  # fmt: skip
def test_what_an_address_is(text: str, expected: int | None) -> None:
    assert address_in(text) == expected


def test_lines_of_module_symvers() -> None:
    lines = parse_symvers_lines((SYMVERS + "nonsense\n0x1\tshort\n0xz\ta\tvmlinux\tEXPORT_SYMBOL\t\n").encode())
    assert [(line.name, line.crc, line.gpl, line.namespace) for line in lines] == [
        ("_printk", 0x99, False, ""), ("kfree", 0x77, True, "MEMORY"), ("lib_get", 0x11, False, ""),
    ]  # fmt: skip


@given(st.lists(st.integers(0x10000, 0x10040), min_size=1, max_size=9), st.integers(0xFFFF, 0x10050))
def test_the_nearest_symbol_is_the_last_one_not_above(places: list[int], address: int) -> None:
    data = "".join(f"{place:016x} T s{number}\n" for number, place in enumerate(places)).encode()
    found = nearest_symbol(data, address)
    below = [place for place in places if place <= address]
    assert (found[0].address if found else None) == (max(below) if below else None)
    if found:
        assert found[1] == min([place for place in places if place > address], default=None)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_list(data: bytes) -> None:
    list(parse_symbol_lines(data))
    nearest_symbol(data, 0xFFFFFFFF81000000)
    parse_symvers_lines(data)
