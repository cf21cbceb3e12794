# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify: planted defects in forged trees, one for each thing that the kernel compares."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

import pymodutils.verbs.verify as module_under_test
from pymodutils import Context, Roots, VerifyReport, verify
from pymodutils.errors import FileError, MissingSupportError, MissingTreeError
from tests.support.common import replace_call, run_inside
from tests.support.forgedsystem import RELEASE, forge_system
from tests.support.koforge import Ko
from tests.support.schemas import check_document

MAGIC = f"vermagic={RELEASE} SMP preempt mod_unload modversions "
SYMVERS = (
    "0x00000011\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"
    "0x00000012\tkmalloc\tvmlinux\tEXPORT_SYMBOL_GPL\t\n"
    "0x00000013\tdma_fence\tvmlinux\tEXPORT_SYMBOL\tDMA_BUF\n"
    "0x00000014\tsecret\tvmlinux\tEXPORT_SYMBOL_GPL\tmodule:friend,al*\n"
    "0x00000099\tmodule_layout\tvmlinux\tEXPORT_SYMBOL\t\n"
    "0x00000077\tshared_symbol\tshared\tEXPORT_SYMBOL\t\n"
)
SYMVERS_PLACE = f"lib/modules/{RELEASE}/build/Module.symvers"


def ko(
    name: str = "x", *strings: str, licence: str = "GPL", magic: str | None = MAGIC, **fields: Any
) -> Ko:  # fmt: skip
    fields.setdefault("first_versions", {"module_layout": 0x99})
    fields.setdefault("needs", {"printk": 0x11})
    return Ko(modinfo=[f"license={licence}", f"name={name}", *([magic] if magic else []), *strings], **fields)


GOOD: dict[str, Ko] = {
    "a": ko("a", exports={"a_symbol": 0x21}),
    "b": ko("b", needs={"printk": 0x11, "a_symbol": 0x21}),
    "c": ko("c", needs={"printk": 0x11, "kmalloc": 0x12}),
}


@pytest.fixture
def tree(tmp_path: Path) -> Roots:
    return forge_system(tmp_path / "root", GOOD, files={SYMVERS_PLACE: SYMVERS})


def with_modules(root: Path, **more: Ko | bytes) -> Roots:
    """The good tree with others, of which bytes are laid as they are."""
    roots = forge_system(root, {**GOOD, **{name: what for name, what in more.items() if isinstance(what, Ko)}},
                         files={SYMVERS_PLACE: SYMVERS})  # fmt: skip
    for name, data in more.items():
        if isinstance(data, bytes):
            (root / f"lib/modules/{RELEASE}/kernel/{name}.ko").write_bytes(data)
    assert run_inside("depmod", ["-b", str(root), RELEASE]).status in (0, 1)
    return roots


def checked(roots: Roots, *files: Path, **options: Any) -> VerifyReport:
    with Context(roots) as context:
        return verify(context, files, **{"keys": "none", **options})


def problems(report: VerifyReport) -> dict[str, list[str]]:
    """Codes of problems by module."""
    return {
        Path(module.path).name.partition(".")[0]: [problem.code for problem in module.problems]
        for module in report.modules
        if module.problems
    }


def test_a_good_tree(tree: Roots) -> None:
    report = checked(tree)
    assert (report.errors, problems(report), report.wrong_indexes) == ((), {}, {})
    assert report.is_clean
    assert [Path(module.path).name for module in report.modules] == ["a.ko", "b.ko", "c.ko"]
    assert set(report.indexes.values()) == {"current"}
    assert len(report.indexes) == 11
    assert report.symbols == f"{tree.base}/{SYMVERS_PLACE}"
    assert report.vermagic == MAGIC.removeprefix("vermagic=")
    assert {module.signature.state for module in report.modules} == {"unsigned"}
    assert all(module.vermagic_ok for module in report.modules)


FRIENDS = {"friend": "secret", "alfons": "secret"}


@pytest.mark.parametrize(
    ("bad", "code", "text"),
    [
        (ko(magic="vermagic=6.1.0-forged SMP preempt mod_unload "), "vermagic", "and should be '6.1.0-forged SMP"),
        (ko(magic=None), "vermagic", "vermagic is none"),
        (ko(needs={"nowhere": 1, "gone": 2}), "unknown-symbol", "needs nowhere, gone, which neither the kernel nor"),
        (ko(needs={"printk": 0x10}), "symbol-version", "printk (0x00000010, the kernel has 0x00000011)"),
        (ko(needs={"a_symbol": 0x20}), "symbol-version", "a_symbol (0x00000020, its module has 0x00000021)"),
        (ko(first_versions={"module_layout": 0x98}), "symbol-version", "module_layout"),
        (ko(needs={"printk": None}, first_versions={}), "symbol-version", "has no versions"),
        (ko(licence="Proprietary", needs={"kmalloc": 0x12}), "gpl-only", "kmalloc"),
        (ko(needs={"dma_fence": 0x13}), "namespace", "needs dma_fence of namespace DMA_BUF"),
        (ko(needs={"secret": 0x14}), "namespace", "which only friend,al* may use"),
        (ko("x", "import_ns=module:nobody"), "namespace", "imports module:nobody, which the kernel lets no module"),
        (ko(exports={"a_symbol": 0x21}), "duplicate-symbol", "as a does"),
        (ko(exports={"printk": 0x11}, needs={"kmalloc": 0x12}), "duplicate-symbol", "as the kernel does"),
        (b"\x7fELF and no more", "damaged-file", ""),
        (b"", "damaged-file", "empty"),
    ],
    ids=lambda value: value if isinstance(value, str) and "-" in value else "",
)
def test_each_defect_is_found(tmp_path: Path, bad: Ko | bytes, code: str, text: str) -> None:
    report = checked(with_modules(tmp_path / "root", x=bad))
    found = problems(report)
    assert found.pop("x") == [code]
    assert found == ({"a": [code]} if "as a does" in text else {})
    (verdict,) = [module for module in report.modules if module.path.endswith("/x.ko")]
    assert text in verdict.problems[0].text
    assert not verdict.ok and not report.is_clean
    assert verdict.vermagic_ok is (None if code == "damaged-file" else code != "vermagic")
    assert verdict.unresolved == (("nowhere", "gone") if code == "unknown-symbol" else ())
    named = text.split()[0] if code == "symbol-version" and "versions" not in text else None
    assert verdict.crc_mismatch == ((named,) if named else ())


@pytest.mark.parametrize("form", [{}, {"bits": 32}, {"flags_table": True}], ids=["plain", "32 bits", "flags"])
def test_a_namespace_of_two_modules_is_no_symbol_of_both(tmp_path: Path, form: dict[str, Any]) -> None:
    """Where symbols have no versions, depmod takes namespaces for symbols."""
    form = {"crc_symbols": False, "first_versions": {}, **form}
    one = ko(exports={"one": 0, "both": 0}, namespaces={"one": "SPACE", "both": "SPACE"}, **form)
    two = ko(exports={"two": 0, "both": 0}, namespaces={"two": "SPACE", "both": "SPACE"}, **form)
    roots = with_modules(tmp_path / "root", one=one, two=two)
    found = {Path(module.path).stem: module.problems for module in checked(roots).modules}
    assert [problem.text for problem in found["one"]] == ["exports both, as two does"]
    assert [problem.text for problem in found["two"]] == ["exports both, as one does"]
    three = ko(exports={"three": 0}, namespaces={"three": "SPACE"}, **form).write(tmp_path / "three.ko")
    assert problems(checked(roots, three)) == {}


@pytest.mark.parametrize("form", [{}, {"bits": 32}, {"order": ">"}], ids=["plain", "32 bits", "big-endian"])
@pytest.mark.parametrize("kind", [1, 2, 3, 4])
def test_elf_files_that_are_no_modules(tmp_path: Path, kind: int, form: dict[str, Any]) -> None:
    """Not of the kind of object files, or without what the kernel makes a module of."""
    data = bytearray(ko(**form, this_module=kind != 1).bytes())
    data[16:18] = kind.to_bytes(2, "big" if "order" in form else "little")
    (verdict,) = [module for module in checked(with_modules(tmp_path / "root", x=bytes(data))).modules
                  if module.path.endswith("/x.ko")]  # fmt: skip
    reason = "it has no section .gnu.linkonce.this_module" if kind == 1 else "it is no object file"
    assert [(problem.code, problem.text) for problem in verdict.problems] == [
        ("damaged-file", f"an ELF file, but no module: {reason}")
    ]


@pytest.mark.parametrize(
    "good",
    [
        ko(magic="vermagic=6.1.0-other SMP preempt mod_unload modversions "),  # with versions the release is no matter
        ko(needs={"nowhere": None, "printk": 0x11}, weak={"nowhere"}),
        ko(first_versions={"module_layout": 0x99, "nobody_uses": 1}),
        ko(licence="Dual MIT/GPL", needs={"kmalloc": 0x12}),
        ko("x", "import_ns=OTHER", "import_ns=DMA_BUF", needs={"dma_fence": 0x13}),
        ko(needs={"__this_module": None, "printk": 0x11}),
        ko(needs={".printk": 0x11}),
        ko(extended_versions=True),
    ],
    ids=["release", "weak", "unused version", "licence", "namespace", "known", "dot", "extended"],
)
def test_what_is_no_defect(tmp_path: Path, good: Ko) -> None:
    report = checked(with_modules(tmp_path / "root", x=good))
    assert problems(report) == {} and report.is_clean and not report.errors


@pytest.mark.parametrize("name", ["friend", "alfons"])
def test_symbols_for_some_modules(tmp_path: Path, name: str) -> None:
    report = checked(with_modules(tmp_path / "root", **{name: ko(name, needs={"secret": 0x14})}))
    assert problems(report) == {}


def test_without_versions_the_release_counts(tmp_path: Path) -> None:
    """A kernel without modversions compares all of the vermagic, and no CRC."""
    plain: dict[str, Any] = {"needs": {"printk": None}, "first_versions": {}}
    modules = {name: ko(name, **plain) for name in "abc"}
    modules["old"] = ko("old", magic=MAGIC.replace(RELEASE, "6.0.0"), **plain)
    symvers = "0x00000000\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"
    report = checked(forge_system(tmp_path / "root", modules, files={SYMVERS_PLACE: symvers}))
    assert problems(report) == {"old": ["vermagic"]}


def test_no_vermagic_is_like_no_other(tmp_path: Path, tree: Roots) -> None:
    """Not even like that of its siblings, if none has one: kernels refuse them all."""
    report = checked(forge_system(tmp_path / "bare", {"x": ko(magic=None)}, files={SYMVERS_PLACE: SYMVERS}))
    assert report.modules[0].problems[0].text == "vermagic is none, and should be that of a kernel"
    assert [module.ok for module in verify(Context(tree), ["/bin/sh"]).modules] == [False]


def test_circles(tmp_path: Path) -> None:
    root = tmp_path / "root"
    roots = with_modules(
        root,
        p=ko("p", exports={"p_symbol": 1}, needs={"q_symbol": 2}).bytes(),
        q=ko("q", exports={"q_symbol": 2}, needs={"p_symbol": 1}).bytes(),
    )
    report = checked(roots)
    assert problems(report) == {"p": ["cycle"], "q": ["cycle"]}
    assert report.indexes == {}


def test_two_files_of_one_module(tmp_path: Path) -> None:
    root = tmp_path / "root"
    roots = with_modules(root)
    directory = root / f"lib/modules/{RELEASE}"
    GOOD["c"].write(directory / "updates/c.ko")  # which counts, by the rules
    run_inside("depmod", ["-b", str(root), RELEASE])
    report = checked(roots)
    assert problems(report) == {}
    assert [note for note in report.notes if "updates/c.ko counts instead of" in note]
    GOOD["b"].write(directory / "other/b.ko")
    run_inside("depmod", ["-b", str(root), RELEASE])
    assert problems(checked(roots)) == {"b": ["duplicate-name"]}


# --- indexes


def test_indexes(tmp_path: Path, tree: Roots) -> None:
    directory = Path(tree.modules)
    good = (directory / "modules.alias").read_bytes()
    (directory / "modules.alias").write_bytes(good + b"alias x a\n")
    os.utime(directory / "modules.alias", ns=(1, 1))
    (directory / "modules.dep").write_bytes(b"")
    (directory / "modules.softdep").unlink()
    (directory / "modules.weakdep").unlink()  # kmod's depmod has it since version 33 only
    (directory / "modules.symbols.bin").write_bytes(b"damaged")
    future = 4_000_000_000
    for name in ("modules.dep", "modules.symbols.bin"):
        os.utime(directory / name, (future, future))
    report = checked(tree)
    expected = {"modules.alias": "stale", "modules.dep": "different", "modules.softdep": "missing",
                "modules.symbols.bin": "different"}  # fmt: skip
    assert report.wrong_indexes == expected
    assert report.indexes["modules.weakdep"] == "missing"
    assert not report.is_clean and not problems(report)
    done = run_inside("kmod", ["verify", "--keys=none"], tree)
    assert done.status == 1
    assert f"next: depmod -b {tree.base} {RELEASE}\n".encode() in done.out


def test_the_order_of_symbols_is_no_matter(tree: Roots) -> None:
    path = Path(tree.modules, "modules.symbols")
    title, *lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(title + b"".join(lines[::-1]))
    assert checked(tree).is_clean


def test_a_new_module_makes_indexes_stale(tree: Roots) -> None:
    ko("new", exports={"new_symbol": 3}).write(Path(tree.modules, "kernel/new.ko"))
    report = checked(tree)
    assert report.wrong_indexes == dict.fromkeys(
        ("modules.dep", "modules.dep.bin", "modules.symbols", "modules.symbols.bin"), "stale"
    )


# --- what tells the kernel's symbols


SYSTEM_MAP = (
    "ffff01 R __ksymtab_printk\nffff02 r __ksymtab_kmalloc\nffff03 T printk\nffff04 R __ksymtab_module_layout\n"
)
GPL_LIMITS = "ffff02 R __start___ksymtab_gpl\nffff03 R __stop___ksymtab_gpl\n"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (f"lib/modules/{RELEASE}/System.map", SYSTEM_MAP),
        (f"boot/System.map-{RELEASE}", SYSTEM_MAP),
        ("proc/kallsyms", SYSTEM_MAP + "ffff09 r __ksymtab_other\t[a]\n"),
        (f"lib/modules/{RELEASE}/Module.symvers", SYMVERS),
    ],
)
def test_what_tells_of_symbols(tmp_path: Path, place: str, text: str) -> None:
    bad = ko("x", needs={"nowhere": 1, "other": 2, "printk": 0x11})
    roots = forge_system(tmp_path / "root", {**GOOD, "x": bad}, files={place: text})
    report = checked(roots)
    assert problems(report) == {"x": ["unknown-symbol"]}
    assert report.symbols == f"{roots.base}/{place}"
    assert report.errors == ()


def test_the_licence_by_an_address(tmp_path: Path) -> None:
    closed = ko("x", licence="Proprietary", needs={"kmalloc": 0x12, "printk": 0x11})
    place = f"boot/System.map-{RELEASE}"
    roots = forge_system(tmp_path / "root", {"x": closed}, files={place: SYSTEM_MAP + GPL_LIMITS})
    assert problems(checked(roots)) == {"x": ["gpl-only"]}


def test_nothing_tells_of_symbols(tmp_path: Path) -> None:
    roots = forge_system(tmp_path / "root", {**GOOD, "x": ko("x", needs={"nowhere": 1})})
    report = checked(roots)
    assert problems(report) == {}
    (error,) = report.errors
    assert error.code == "cannot-tell" and "what the kernel exports is not known" in error.text
    assert report.symbols is None
    assert run_inside("kmod", ["verify", "--keys=none"], roots).status == 2


def test_a_named_file_of_symbols(tmp_path: Path, tree: Roots) -> None:
    named = tmp_path / "symvers"
    named.write_text(SYMVERS.replace("0x00000011", "0x00000010"))
    report = checked(tree, symbols=named)
    assert report.symbols == str(named)
    assert problems(report) == {name: ["symbol-version"] for name in "abc"}
    for content in (b"", b"no such thing\n", b"\0\1\2"):
        named.write_bytes(content)
        with pytest.raises(FileError) as caught:
            checked(tree, symbols=named)
        assert caught.value.path == str(named)


def test_namespace_before_the_module_in_older_symvers(tmp_path: Path) -> None:
    symvers = "0x00000011\tprintk\t\tvmlinux\tEXPORT_SYMBOL\n0x00000013\tdma_fence\tDMA_BUF\tvmlinux\tEXPORT_SYMBOL\n"
    modules = {"a": ko("a"), "x": ko("x", needs={"dma_fence": 0x13})}
    assert problems(checked(forge_system(tmp_path / "root", modules, files={SYMVERS_PLACE: symvers}))) == {
        "x": ["namespace"]
    }


# --- files


def test_files(tmp_path: Path, tree: Roots) -> None:
    good = ko("new", exports={"new_symbol": 5}, needs={"a_symbol": 0x21, "printk": 0x11}).write(tmp_path / "new.ko")
    user = ko("user", needs={"new_symbol": 5}).write(tmp_path / "user.ko")
    report = checked(tree, good, user)
    assert [module.path for module in report.modules] == [str(good), str(user)]
    assert report.is_clean and report.indexes == {} and report.errors == ()
    bad = ko("bad", needs={"a_symbol": 0x22, "nowhere": 1}, magic=MAGIC.replace("preempt ", ""),
             exports={"a_symbol": 1}).write(tmp_path / "bad.ko")  # fmt: skip
    report = checked(tree, bad, user)
    assert problems(report) == {"bad": ["vermagic", "unknown-symbol", "symbol-version", "duplicate-symbol"],
                                "user": ["unknown-symbol"]}  # fmt: skip


@pytest.mark.parametrize("gone", [("modules.symbols.bin",), ("modules.dep.bin", "modules.dep"), ()])
def test_files_for_a_tree_whose_indexes_know_less(tmp_path: Path, tree: Roots, gone: tuple[str, ...]) -> None:
    """An index that is not there, or that does not know a module, makes no symbol a missing one."""
    for name in gone:
        Path(tree.modules, name).unlink()
    if not gone:
        ko("late", exports={"late_symbol": 7}).write(Path(tree.modules, "kernel/late.ko"))
    need: dict[str, int | None] = {"a_symbol": 0x21} if gone else {"late_symbol": 7}
    assert checked(tree, ko("new", needs={**need, "printk": 0x11}).write(tmp_path / "new.ko")).is_clean
    bad = ko("bad", magic="vermagic=other", needs={**need, "nowhere": 1}).write(tmp_path / "bad.ko")
    assert problems(checked(tree, bad)) == {"bad": ["vermagic", "unknown-symbol"]}


def test_what_a_new_build_exports_no_more(tmp_path: Path, tree: Roots) -> None:
    new = ko("a", exports={"other_symbol": 1}).write(tmp_path / "a.ko")
    user = ko("user", needs={"a_symbol": 0x21}).write(tmp_path / "user.ko")
    assert problems(checked(tree, new, user)) == {"user": ["unknown-symbol"]}


def test_a_new_build_of_a_module_of_the_tree(tmp_path: Path, tree: Roots) -> None:
    new = ko("a", exports={"a_symbol": 0x21, "more": 1}).write(tmp_path / "a.ko")
    assert checked(tree, new).is_clean
    twin = ko("a").write(tmp_path / "twin/a.ko")
    assert problems(checked(tree, new, twin)) == {"a": ["duplicate-name"]}


def test_a_file_that_is_not_there(tmp_path: Path, tree: Roots) -> None:
    report = checked(tree, tmp_path / "gone.ko")
    assert report.modules == () and report.errors[0].file == str(tmp_path / "gone.ko")
    assert run_inside("kmod", ["verify", "gone.ko"], tree).status == 2


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO])
def test_a_file_that_may_not_be_read_is_an_open_question(
    tree: Roots, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real = os.open

    def refusing(path: Any, *rest: Any, **named: Any) -> int:
        if os.fsencode(path).endswith(b"b.ko"):
            raise OSError(number, os.strerror(number))
        return real(path, *rest, **named)

    replace_call(monkeypatch, "open", refusing)
    report = checked(tree)
    assert [error.file for error in report.errors] == [f"{tree.modules}/kernel/b.ko"]
    assert problems(report)["b"] == ["damaged-file"]
    assert run_inside("kmod", ["verify", "--keys=none"], tree).status == 2


# --- the command


def test_json_and_text(tree: Roots, tmp_path: Path) -> None:
    done = run_inside("kmod", ["verify", "--json", "--keys=none"], tree)
    document = check_document(done.out, "verify")
    assert done.status == 0
    assert document["modules"][1] == {
        "path": f"{tree.modules}/kernel/b.ko", "ok": True, "problems": [], "vermagic_ok": True, "unresolved": [],
        "crc_mismatch": [],
        "signature": {"state": "unsigned", "signer": None, "key_id": None, "key_source": None, "text": None},
    }  # fmt: skip
    assert document["indexes"]["modules.dep"] == "current" and document["keys"] == []
    ko("x", needs={"nowhere": 1}).write(Path(tree.modules, "kernel/x.ko"))
    done = run_inside("kmod", ["verify", "--keys=none"], tree)
    assert done.status == 1
    text = done.out.decode()
    assert (
        f"{tree.modules}/kernel/x.ko: needs nowhere, which neither the kernel nor a module exports [unknown-symbol]"
        in text
    )
    assert "4 modules; 3 without problems; signatures unsigned 4; indexes 2 of 11 not as depmod would write" in text
    assert check_document(run_inside("kmod", ["verify", "--json"], tree).out, "verify")["modules"][3]["ok"] is False


def test_no_tree(tmp_path: Path) -> None:
    roots = Roots(base=str(tmp_path), release="1.2.3")
    with pytest.raises(MissingTreeError):
        checked(roots)
    assert run_inside("kmod", ["verify"], roots).status == 2


# --- compressed files


@pytest.mark.parametrize("unpacks", ["xz", "zstd", None])
def test_check_sums_that_the_kernel_does_not_know(tmp_path: Path, unpacks: str | None) -> None:
    import lzma

    root = tmp_path / "root"
    roots = forge_system(root, files={SYMVERS_PLACE: SYMVERS})
    if unpacks:
        (root / "sys/module/compression").write_text(f"{unpacks}\n")
    for name, check in (("good", lzma.CHECK_CRC32), ("none", lzma.CHECK_NONE), ("bad", lzma.CHECK_CRC64)):
        path = root / f"lib/modules/{RELEASE}/kernel/{name}.ko.xz"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(lzma.compress(ko(name).bytes(), check=check))
    run_inside("depmod", ["-b", str(root), RELEASE])
    assert problems(checked(roots)) == ({"bad": ["decompression"]} if unpacks == "xz" else {})
    elsewhere = Roots(base=str(root), release=RELEASE, config_root=str(root))
    report = checked(elsewhere)
    assert problems(report) == {} and report.errors == ()
    assert [note for note in report.notes if "xz" in note and "bad.ko.xz" in note]


# --- without the libraries


def test_without_cryptography(tree: Roots, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(package: str, verb: str) -> Any:
        raise MissingSupportError(f"kmod {verb} needs the Python package {package}, which is not installed")

    monkeypatch.setattr(module_under_test, "need", missing)
    report = checked(tree, keys="auto")
    assert report.is_clean and report.errors == ()
    assert report.notes == (
        "signatures are not verified: kmod verify needs the Python package cryptography, which is not installed",
    )
    assert run_inside("kmod", ["verify"], tree).status == 0
    (tmp_path / "a.pem").write_text("")
    done = run_inside("kmod", ["verify", f"--keys={tmp_path}/a.pem"], tree)
    assert done.status == 2 and b"needs the Python package cryptography" in done.err


def test_document_is_json(tree: Roots) -> None:
    assert json.loads(checked(tree).to_json())["schema"] == "pymodutils/1"
