# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod diff: what differs between two modules and two trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils import Context, Roots
from pymodutils.errors import Error, FileError
from pymodutils.verbs.diff import DiffReport, diff
from tests.support.common import run_inside
from tests.support.koforge import Ko
from tests.support.schemas import check_document

OLD = Ko(
    modinfo=["license=GPL", "vermagic=6.1 SMP", "alias=pci:v1*", "alias=pci:v2*", "firmware=a.fw", "depends=x,y",
             "parm=debug:level", "parmtype=debug:int", "parmtype=gone:int", "softdep=pre: p", "import_ns=NS"],
    exports={"kept": 1, "lost": 2, "moved": 3}, needs={"printk": 5, "old_call": 6},
)  # fmt: skip
NEW = Ko(
    modinfo=["license=GPL", "vermagic=6.2 SMP", "alias=pci:v1*", "alias=pci:v3*", "depends=x",
             "parmtype=debug:uint", "softdep=post: p", "import_ns=NS", "weakdep=w"],
    exports={"kept": 1, "moved": 4, "fresh": 7}, needs={"printk": 9},
)  # fmt: skip
EXPECTED = {
    ("changed", "vermagic", None, "6.1 SMP", "6.2 SMP"),
    ("removed", "alias", "pci:v2*", "pci:v2*", None),
    ("added", "alias", "pci:v3*", None, "pci:v3*"),
    ("removed", "firmware", "a.fw", "a.fw", None),
    ("removed", "depends", "y", "y", None),
    ("changed", "parameter", "debug", "int", "uint"),
    ("removed", "parameter", "gone", "int", None),
    ("removed", "softdep pre", "p", "p", None),
    ("added", "softdep post", "p", None, "p"),
    ("added", "weakdep", "w", None, "w"),
    ("removed", "export", "lost", "0x00000002", None),
    ("changed", "export", "moved", "0x00000003", "0x00000004"),
    ("added", "export", "fresh", None, "0x00000007"),
    ("removed", "need", "old_call", "0x00000006", None),
    ("changed", "need", "printk", "0x00000005", "0x00000009"),
}


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return OLD.write(tmp_path / "old/nic.ko"), NEW.write(tmp_path / "new/nic.ko")


def changes(report: DiffReport) -> set[tuple[str, str, str | None, str | None, str | None]]:
    assert len({(item.module, item.field, item.name) for item in report.changes}) == len(report.changes)
    return {(item.kind, item.field, item.name, item.before, item.after) for item in report.changes}


def test_two_modules(files: tuple[Path, Path]) -> None:
    report = diff(Context(), *files)
    assert changes(report) == EXPECTED
    assert {item.module for item in report.changes} == {"nic"}
    assert (report.before, report.after) == tuple(map(str, files))


def test_the_other_way_round(files: tuple[Path, Path]) -> None:
    opposite = {"added": "removed", "removed": "added", "changed": "changed"}
    back = {(opposite[kind], field, name, after, before) for kind, field, name, before, after in EXPECTED}
    assert changes(diff(Context(), files[1], files[0])) == back


@pytest.mark.parametrize("other", ["extended_versions", "order", "crc_in_section"])
def test_another_form_of_the_same_is_no_difference(tmp_path: Path, other: str) -> None:
    ko = Ko(modinfo=["license=GPL"], exports={"e": 1}, needs={"n": 2})
    first = ko.write(tmp_path / "a/m.ko")
    setattr(ko, other, ">" if other == "order" else True)
    assert diff(Context(), first, ko.write(tmp_path / "b/m.ko")).changes == ()


def test_without_versions_the_symbol_table_counts(tmp_path: Path) -> None:
    first = Ko(needs={"a": None, "b": None}).write(tmp_path / "1/m.ko")
    second = Ko(needs={"b": None, "c": None}).write(tmp_path / "2/m.ko")
    found = changes(diff(Context(), first, second))
    assert found == {("removed", "need", "a", "a", None), ("added", "need", "c", None, "c")}


def test_which_exports_a_module_needs(files: tuple[Path, Path], tmp_path: Path) -> None:
    user = Ko(needs={"kept": 1, "moved": 3, "lost": 2, "else": 1}).write(tmp_path / "user.ko")
    report = diff(Context(), *files, needed_by=[user])
    assert {(item.kind, item.name) for item in report.changes} == {("removed", "lost"), ("changed", "moved")}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    base = tmp_path / "lib/modules"
    same = Ko(modinfo=["license=GPL", "version=1"])
    for release, ko in (("1", OLD), ("2", NEW)):
        ko.write(base / release / "kernel/nic.ko")
        same.write(base / release / "kernel/same.ko")
    same.write(base / "1/kernel/old.ko")
    same.write(base / "2/kernel/new.ko")
    same.write(base / "1/kernel/in.ko")
    (base / "2/modules.builtin").write_text("kernel/in.ko\n")
    same.write(base / "1/kernel/here/path.ko")
    same.write(base / "2/kernel/there/path.ko")
    for release, lines in (
        ("1", "0x1\tprintk\tvmlinux\tEXPORT\n0x2\tgone\tvmlinux\tE\n"),
        ("2", "0x3\tprintk\tvmlinux\tE\n"),
    ):
        (base / release / "build").mkdir()
        (base / release / "build/Module.symvers").write_text(lines + "0x9\tx\tkernel/x\tEXPORT\n")
    return Roots(base=str(tmp_path), release="1")


def test_two_trees(roots: Roots) -> None:
    report = diff(Context(roots), "1", "2")
    others = {(item.module, item.kind, item.field, item.before, item.after)
              for item in report.changes if item.module != "nic"}  # fmt: skip
    assert others == {
        ("vmlinux", "changed", "export", "0x00000001", "0x00000003"),
        ("vmlinux", "removed", "export", "0x00000002", None),
        ("old", "removed", "module", "kernel/old.ko", None),
        ("new", "added", "module", None, "kernel/new.ko"),
        ("in", "changed", "module", "kernel/in.ko", "builtin"),
        ("path", "changed", "path", "kernel/here/path.ko", "kernel/there/path.ko"),
    }
    assert len(report.changes) == len(others) + len(EXPECTED)
    assert diff(Context(), roots.modules, roots.modules).changes == ()


def test_a_module_that_cannot_be_read_is_an_error_of_the_report(roots: Roots) -> None:
    (Path(roots.modules) / "kernel/nic.ko").write_bytes(b"no module")
    report = diff(Context(roots), "1", "2")
    assert [(error.subject, error.file) for error in report.errors] == [("nic", f"{roots.modules}/kernel/nic.ko")]
    assert len(report.changes) == 6


def test_what_cannot_be_compared(roots: Roots, files: tuple[Path, Path]) -> None:
    with pytest.raises(FileError):
        diff(Context(), "/no/such", files[0])
    with pytest.raises(Error, match="compared with a module"):
        diff(Context(), files[0], roots.modules)


# --- the command


def test_text(files: tuple[Path, Path]) -> None:
    done = run_inside("kmod", ["diff", "--field=export", *map(str, files)])
    lines = [" ".join(line.split()) for line in done.out.decode().splitlines()]
    assert lines == [
        "MODULE CHANGE FIELD NAME BEFORE AFTER",
        "nic removed export lost 0x00000002 -",
        "nic changed export moved 0x00000003 0x00000004",
        "nic added export fresh - 0x00000007",
        "",
        "1 added, 1 removed, 1 changed",
    ]
    assert (done.status, done.err) == (1, b"")


def test_nothing_differs(files: tuple[Path, Path]) -> None:
    done = run_inside("kmod", ["diff", str(files[0]), str(files[0])])
    assert (done.status, done.out, done.err) == (0, b"nothing differs\n", b"")


@pytest.mark.parametrize("count", [0, 1, 3])
def test_two_operands_are_needed(files: tuple[Path, Path], count: int) -> None:
    done = run_inside("kmod", ["diff", *[str(files[0])] * count])
    assert (done.status, done.out) == (2, b"") and done.err


def test_json(roots: Roots, files: tuple[Path, Path]) -> None:
    for words in (["1", "2"], [str(path) for path in files]):
        done = run_inside("kmod", ["diff", "--json", *words], roots)
        assert done.out.decode() == diff(Context(roots), *words).to_json()
        assert check_document(done.out)["changes"]
        assert done.status == 1
