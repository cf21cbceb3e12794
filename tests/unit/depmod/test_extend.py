# SPDX-License-Identifier: LGPL-2.1-or-later
"""The indexes of a base with overlays are those that depmod writes for the merged directory, to the byte."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pymodutils import Context, Roots
from pymodutils.depmod import extend as stage
from pymodutils.depmod.errors import CycleError
from pymodutils.depmod.render import FILES
from pymodutils.errors import FileError
from pymodutils.verbs.extend import ExtendReport, extend
from tests.support.common import run_inside
from tests.support.koforge import Ko
from tests.support.schemas import check_document

RELEASE = "6.1-forged"
NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
SYMBOLS = ("s1", "s2", "s3", "s4", "s5", "s6")
FOLDERS = ("kernel", "kernel/b", "updates", "extra")
STRINGS = ("alias=pci:v1*", "alias=usb:x-y[a-b]", "softdep=pre: beta", "softdep=post: s", "weakdep=zeta", "alias=a b",
           "alias=devname:thing", "alias=char-major-10-20", "alias=bad]")  # fmt: skip

kos = st.builds(
    lambda strings, exports, needs: Ko(
        modinfo=["license=GPL", *strings], exports=dict.fromkeys(exports, 1), needs=dict.fromkeys(needs, 1)
    ),
    st.lists(st.sampled_from(STRINGS), max_size=3),
    st.lists(st.sampled_from(SYMBOLS), max_size=2, unique=True),
    st.lists(st.sampled_from(SYMBOLS), max_size=3, unique=True),
)
paths = st.builds(lambda folder, name: f"{folder}/{name}.ko", st.sampled_from(FOLDERS), st.sampled_from(NAMES))
trees = st.dictionaries(paths, kos, max_size=6)
orders = st.lists(paths, max_size=4, unique=True).map(lambda lines: "".join(f"{line}\n" for line in lines))


def write(directory: Path, tree: dict[str, Ko], order: str = "") -> Path:
    for path, ko in tree.items():
        ko.write(directory / path)
    directory.mkdir(parents=True, exist_ok=True)
    if order:
        (directory / "modules.order").write_text(order)
    return directory


def depmod(base: Path) -> bool:
    return run_inside("depmod", ["-b", str(base), "-C", "/nonexistent", RELEASE]).status == 0


def indexes(directory: Path) -> dict[str, bytes]:
    return {name: (directory / name).read_bytes() for name in FILES}


def make(root: Path, *overlays: Path, **named: Any) -> ExtendReport:
    base = root / "lib/modules" / RELEASE
    context = Context(Roots(base=str(root), release=RELEASE))
    return extend(context, base, overlays, root / "out", configuration=[], **named)


def merged(root: Path, *overlays: Path) -> dict[str, bytes] | None:
    """What depmod makes of copies of all files in one directory; None for a cycle."""
    target = root / "merged/lib/modules" / RELEASE
    for directory in (root / "lib/modules" / RELEASE, *overlays):
        shutil.copytree(directory, target, dirs_exist_ok=True)
    return indexes(target) if depmod(root / "merged") else None


def compare(
    factory: pytest.TempPathFactory, base: dict[str, Ko], overlays: list[dict[str, Ko]], order: str, *, own: bool
) -> None:
    root = factory.mktemp("case")
    try:
        write(root / "lib/modules" / RELEASE, base, order)
        if not depmod(root):
            event("a cycle in the base")
            return
        laid = [write(root / f"over-{number}", tree) for number, tree in enumerate(overlays)]
        if own:
            (laid[-1] / "modules.builtin").write_text("kernel/in.ko\n")
        expected = merged(root, *laid)
        if expected is None:
            event("a cycle")
            with pytest.raises(CycleError):
                make(root, *laid)
            return
        report = make(root, *laid, force=True)
        event(f"all read: {report.reason.split()[0]} ..." if report.reason else f"read {report.read} of the base")
        assert indexes(root / "out") == expected
    finally:
        shutil.rmtree(root)


SETTINGS = settings(
    max_examples=int(os.environ.get("PYMODUTILS_EXAMPLES", "100")), suppress_health_check=[HealthCheck.too_slow]
)


@SETTINGS
@given(trees, st.lists(trees, min_size=1, max_size=2), orders, st.booleans())
def test_they_are_those_of_the_merged_tree(
    tmp_path_factory: pytest.TempPathFactory, base: dict[str, Ko], overlays: list[dict[str, Ko]], order: str, own: bool
) -> None:
    compare(tmp_path_factory, base, overlays, order, own=own)


@st.composite
def updates(draw: st.DrawFn) -> tuple[dict[str, Ko], dict[str, Ko], str]:
    """A base in which modules need later ones, and an overlay as of a driver's update: other needs, same exports."""
    base: dict[str, Ko] = {}
    over: dict[str, Ko] = {}
    names = [f"m{number}" for number in range(draw(st.integers(3, 9)))]

    def ko(number: int) -> Ko:
        later = st.sampled_from([*names[number + 1 :], "kernel"])
        needs: dict[str, int | None] = {f"{name}_s": 1 for name in draw(st.lists(later, max_size=4, unique=True))}
        strings = draw(st.lists(st.sampled_from(STRINGS), max_size=2))
        return Ko(modinfo=["license=GPL", *strings], exports={f"{names[number]}_s": 1}, needs=needs)

    for number, name in enumerate(names):
        folder = draw(st.sampled_from(FOLDERS))
        base[f"{folder}/{name}.ko"] = ko(number)
        what = draw(st.sampled_from(["keep", "keep", "in place", "updates", "new"]))
        if what in ("in place", "updates"):
            over[f"{folder if what == 'in place' else 'updates'}/{name}.ko"] = ko(number)
        elif what == "new":
            needs = draw(st.lists(st.sampled_from(names), max_size=3, unique=True))
            over[f"extra/new{number}.ko"] = Ko(needs={f"{name}_s": 1 for name in needs})
    order = draw(st.permutations(list(base)))
    return base, over, "".join(f"{line}\n" for line in order[: draw(st.integers(0, len(order)))])


@SETTINGS
@given(updates())
def test_they_are_those_of_the_merged_tree_after_an_update(
    tmp_path_factory: pytest.TempPathFactory, case: tuple[dict[str, Ko], dict[str, Ko], str]
) -> None:
    base, over, order = case
    compare(tmp_path_factory, base, [over], order, own=False)


# --- what is read of the base


def simple(tmp_path: Path, **overlay: Ko) -> ExtendReport:
    if not (tmp_path / "lib").exists():
        base = {
            "kernel/low.ko": Ko(exports={"low": 1}),
            "kernel/mid.ko": Ko(exports={"mid": 1}, needs={"low": 1}),
            "kernel/top.ko": Ko(needs={"mid": 1, "open": 1}),
            "kernel/alone.ko": Ko(),
        }
        write(tmp_path / "lib/modules" / RELEASE, base)
        assert depmod(tmp_path)
    over = {f"updates/{name}.ko": ko for name, ko in overlay.items()}
    return make(tmp_path, write(tmp_path / "over", over))


def test_nothing_of_the_base_is_read_for_a_new_module(tmp_path: Path) -> None:
    report = simple(tmp_path, new=Ko(needs={"mid": 1, "else": 1}))
    assert (report.read, report.reason, report.own, report.replaced) == (0, None, ("new",), ())
    assert (report.modules, report.base_modules) == (5, 4)
    lines = (tmp_path / "out/modules.dep").read_text().splitlines()
    assert "updates/new.ko: kernel/mid.ko kernel/low.ko" in lines


def test_users_of_a_replaced_module_are_read(tmp_path: Path) -> None:
    report = simple(tmp_path, mid=Ko(exports={"mid": 1}))
    assert (report.read, report.reason, report.replaced) == (1, None, ("mid",))
    lines = (tmp_path / "out/modules.dep").read_text().splitlines()
    assert "kernel/top.ko: updates/mid.ko" in lines


def test_all_of_the_base_is_read_for_a_symbol_that_it_may_need(tmp_path: Path) -> None:
    report = simple(tmp_path, new=Ko(exports={"open": 1}))
    assert report.reason == "an overlay exports open, which some module of the base may need"
    assert report.read == 4
    assert indexes(tmp_path / "out") == merged(tmp_path, tmp_path / "over")
    trusting = make(tmp_path, tmp_path / "over", trusted=True)
    assert (trusting.read, trusting.reason) == (0, None)


@pytest.mark.parametrize("name", stage.TEXTS[1:])
def test_all_of_the_base_is_read_without_an_index(tmp_path: Path, name: str) -> None:
    simple(tmp_path)
    (tmp_path / "lib/modules" / RELEASE / name).unlink()
    report = simple(tmp_path, new=Ko())
    assert report.reason == f"the base has no {name}"


@pytest.mark.parametrize("name", ["modules.dep", "modules.alias"])
def test_all_of_the_base_is_read_if_an_index_is_not_depmods(tmp_path: Path, name: str) -> None:
    simple(tmp_path)
    path = tmp_path / "lib/modules" / RELEASE / name
    text = path.read_text()
    path.write_text(
        text.replace("mid.ko kernel/low.ko", "low.ko kernel/mid.ko") if name == "modules.dep" else "alias x\n"
    )
    report = simple(tmp_path, new=Ko())
    assert report.reason
    assert indexes(tmp_path / "out") == merged(tmp_path, tmp_path / "over")


def test_a_base_without_indexes(tmp_path: Path) -> None:
    write(tmp_path / "lib/modules" / RELEASE, {"kernel/a.ko": Ko()})
    with pytest.raises(FileError, match="no indexes"):
        make(tmp_path, write(tmp_path / "over", {}))


# --- fewer modules


def test_fewer_modules_than_the_base_are_refused(tmp_path: Path) -> None:
    simple(tmp_path)
    (tmp_path / "lib/modules" / RELEASE / "kernel/alone.ko").unlink()
    before = indexes(tmp_path / "out")
    report = simple(tmp_path)
    assert (report.refused, report.modules, report.base_modules, dict(report.files)) == (True, 3, 4, {})
    assert indexes(tmp_path / "out") == before
    forced = make(tmp_path, tmp_path / "over", force=True)
    assert not forced.refused and indexes(tmp_path / "out") == merged(tmp_path, tmp_path / "over")


def test_a_whiteout_hides_a_module(tmp_path: Path) -> None:
    simple(tmp_path)
    (tmp_path / "over/kernel").mkdir()
    try:
        os.mknod(tmp_path / "over/kernel/alone.ko", 0o600 | stat.S_IFCHR, 0)
    except PermissionError:
        pytest.skip("may make no device files")
    assert simple(tmp_path).refused
    assert make(tmp_path, tmp_path / "over", force=True).modules == 3


# --- the command


def kmod(root: Path, *words: str) -> tuple[int, str, str]:
    base = root / "lib/modules" / RELEASE
    done = run_inside("kmod", ["extend", "-C", "/dev/null", f"--base={base}", f"--outdir={root}/out", *words])
    return done.status, done.out.decode(), done.err.decode()


def test_text(tmp_path: Path) -> None:
    simple(tmp_path, new=Ko(exports={"open": 1}))
    code, out, err = kmod(tmp_path, str(tmp_path / "over"))
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[0] == f"5 modules in {tmp_path}/out: 4 of the base, 1 of overlays, 0 replaced"
    assert lines[1] == "all of the base were read: an overlay exports open, which some module of the base may need"
    assert (
        kmod(tmp_path, "--trust-base", str(tmp_path / "over"))[1].splitlines()[1] == "0 modules of the base were read"
    )


def test_refusal_and_broken_modules(tmp_path: Path) -> None:
    simple(tmp_path)
    (tmp_path / "lib/modules" / RELEASE / "kernel/alone.ko").unlink()
    code, _out, err = kmod(tmp_path, str(tmp_path / "over"))
    assert code == 1 and "refused" in err
    assert kmod(tmp_path, "--force", str(tmp_path / "over"))[0] == 0
    (tmp_path / "over/bad.ko").write_bytes(b"no module")
    code, _out, err = kmod(tmp_path, "--force", str(tmp_path / "over"))
    assert code == 2 and f"{tmp_path}/over/bad.ko: no readable module" in err


@pytest.mark.parametrize("words", [["--outdir=/x", "/x"], ["--base=/x", "/x"], ["--base=/x", "--outdir=/x"]])
def test_what_must_be_given(words: list[str]) -> None:
    done = run_inside("kmod", ["extend", *words])
    assert (done.status, done.out) == (2, b"") and done.err


def test_json(tmp_path: Path) -> None:
    simple(tmp_path, new=Ko())
    code, out, _err = kmod(tmp_path, "--json", str(tmp_path / "over"))
    document = check_document(out)
    assert (code, document["own"], document["files"]["modules.dep"] > 0) == (0, ["new"], True)
