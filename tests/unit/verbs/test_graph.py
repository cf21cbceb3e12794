# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod graph: who needs whom, what is left out, DOT, Mermaid, SVG, JSON."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils import Context, GraphReport, LiveKernelNotAskedError, MissingTreeError, Roots, graph
from pymodutils.diagnosis.graph import reachable, reduced
from pymodutils.effects import graphviz
from tests.support.common import need, run_inside
from tests.support.forgedsystem import forge_system, lay_kernel, needing
from tests.support.koforge import Ko
from tests.support.schemas import check_document

MODULES: dict[str, Ko | Sequence[str]] = {
    "top": needing("top", "mid", "low", strings=["softdep=pre: crc-any kernelly post: late"]),
    "mid": needing("mid", "low"),
    "low": needing("low"),
    "user": needing("user", "top"),
    "crc": ["alias=crc_any"],
    "late": [],
    "odd-name": [],
}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    roots = forge_system(
        tmp_path / "system", MODULES, builtin=["kernelly"],
        loaded={
            "top": "0 - Live 0x0 (OE)", "mid": "1 top, Live 0x0", "low": "2 mid,top, Live 0x0",
            "late": "0 - Loading 0x0", "elsewhere": "0 - Live 0x0",
        },
    )  # fmt: skip
    device = tmp_path / "system/sys/devices/pci0/0000:00:01.0"
    (tmp_path / "system/sys/bus/drivers/x").mkdir(parents=True)
    (tmp_path / "system/sys/bus/drivers/x/module").symlink_to(tmp_path / "system/sys/module/low")
    device.mkdir(parents=True)
    (device / "driver").symlink_to(tmp_path / "system/sys/bus/drivers/x")
    return roots


def edges(report: GraphReport) -> set[str]:
    signs = {"dependency": ">", "softdep": "~", "device": "="}
    return {f"{edge.source}{signs[edge.kind]}{edge.target}" for edge in report.edges}


def states(report: GraphReport) -> dict[str, str]:
    return {node.name: node.state for node in report.nodes}


# --- who needs whom


def test_loaded_modules_are_connected_as_the_kernel_says(roots: Roots) -> None:
    report = graph(Context(roots))
    assert states(report) == {"top": "live", "mid": "live", "low": "live", "late": "coming", "elsewhere": "live"}
    assert edges(report) == {"top>mid", "mid>low"}  # not top>low, which follows
    tainted = {node.name: node.taint.flags for node in report.nodes if node.taint}
    assert tainted == {"top": "OE", "mid": "", "low": "", "late": "", "elsewhere": ""}
    assert {node.size for node in report.nodes} == {4096}


def test_softdeps_among_loaded_modules(roots: Roots) -> None:
    assert edges(graph(Context(roots), soft=True)) == {"top>mid", "mid>low", "top~late"}


def test_named_modules_with_what_they_need(roots: Roots) -> None:
    report = graph(Context(roots), ["user"])
    assert edges(report) == {"user>top", "top>mid", "mid>low"}
    assert states(report) == {"user": "available", "top": "live", "mid": "live", "low": "live"}
    soft = graph(Context(roots), ["top"], soft=True)
    assert edges(soft) == {"top>mid", "mid>low", "top~crc", "top~kernelly", "top~late"}
    assert states(soft)["kernelly"] == "builtin" and states(soft)["crc"] == "available"


@pytest.mark.parametrize(
    ("names", "options", "expected"),
    [
        (["user"], {"depth": 0}, set()),
        (["user"], {"depth": 1}, {"user>top"}),
        (["user"], {"depth": 2}, {"user>top", "top>mid"}),
        (["low"], {"rdeps": True}, {"user>top", "top>mid", "mid>low"}),
        (["low"], {"rdeps": True, "depth": 1}, {"mid>low"}),
        (["crc"], {"rdeps": True, "soft": True, "depth": 1}, {"top~crc"}),
        (["crc_any", "odd_name"], {}, set()),
        (["elsewhere"], {}, set()),
    ],
)
def test_how_far(roots: Roots, names: list[str], options: dict[str, bool | int], expected: set[str]) -> None:
    report = graph(
        Context(roots), names, rdeps=bool(options.get("rdeps")), soft=bool(options.get("soft")),
        depth=int(options["depth"]) if "depth" in options else None,
    )  # fmt: skip
    assert edges(report) == expected
    assert not report.errors


def test_a_file_from_elsewhere_has_what_it_states(roots: Roots, tmp_path: Path) -> None:
    strings = ["depends=mid,no-such,kernelly", "softdep=pre: crc-any post: late"]
    path = needing("outer", "mid", strings=strings).write(tmp_path / "outer.ko")
    report = graph(Context(roots), path, soft=True)
    assert edges(report) == {"outer>mid", "mid>low", "outer>no_such", "outer~crc", "outer~late"}
    assert states(report) == {
        "outer": "available", "mid": "live", "low": "live", "no_such": "absent", "crc": "available", "late": "coming",
    }  # fmt: skip
    own = graph(Context(roots), f"{roots.modules}/kernel/top.ko")
    assert edges(own) == edges(graph(Context(roots), "top"))
    path.write_bytes(b"text")
    (error,) = graph(Context(roots), path).errors
    assert (error.code, error.subject) == ("cannot-tell", str(path))


def test_devices(roots: Roots) -> None:
    report = graph(Context(roots), ["low"], devices=True)
    path = f"{roots.sys}/devices/pci0/0000:00:01.0"
    assert edges(report) == {f"{path}=low"}
    assert states(report)[path] == "device"
    assert "0000:00:01.0" in report.to_dot()


def test_what_cannot_be_told(roots: Roots, tmp_path: Path) -> None:
    other = Context(Roots.of_system(roots.base, roots.release))
    with pytest.raises(LiveKernelNotAskedError):
        graph(other)
    without = graph(other, ["user"], devices=True)
    assert without.nodes == graph(other, ["user"]).nodes
    assert ["not known" in error.text for error in without.errors] == [True]
    assert {node.size for node in graph(other, ["user"]).nodes} == {None}
    with pytest.raises(MissingTreeError):
        graph(Context(Roots.of_system(tmp_path / "nothing", "1")), ["low"])
    report = graph(Context(roots), ["midd", "mid"])
    assert [error.subject for error in report.errors] == ["midd"]
    assert "similar names: mid" in report.errors[0].text
    assert edges(report) == {"mid>low"}


def test_loaded_modules_without_a_tree(roots: Roots) -> None:
    shutil.rmtree(roots.modules)
    assert edges(graph(Context(roots))) == {"top>mid", "mid>low"}
    assert edges(graph(Context(roots), ["top"])) == {"top>mid", "mid>low"}


# --- what follows from others

NEEDS = st.dictionaries(st.integers(0, 9), st.lists(st.integers(0, 9), max_size=6), max_size=10)


@given(NEEDS)
def test_whatever_could_be_reached_still_can(numbers: dict[int, list[int]]) -> None:
    needs = {str(name): [str(other) for other in others] for name, others in numbers.items()}
    left = reduced(needs)
    for name in needs:
        assert reachable([name], left) == reachable([name], needs)
        assert len(left[name]) == len(set(left[name])) and set(left[name]) <= set(needs[name])


@given(NEEDS)
def test_without_circles_no_arrow_is_too_many(numbers: dict[int, list[int]]) -> None:
    needs = {str(name): [str(other) for other in others if other > name] for name, others in numbers.items()}
    left = reduced(needs)
    for name, others in left.items():
        for other in others:
            fewer = {**left, name: [kept for kept in others if kept != other]}
            assert other not in reachable([name], fewer)


def test_a_long_chain_given_as_modules_dep_has_it() -> None:
    names = [f"m{number}" for number in range(300)]
    left = reduced({name: names[number + 1 :] for number, name in enumerate(names)})
    assert [(name, *left[name]) for name in names[:-1]] == list(pairwise(names))


# --- the command


def kmod_graph(roots: Roots, *words: str) -> tuple[int | None, str, str]:
    done = run_inside("kmod", ["graph", *words], roots)
    return done.status, done.out.decode(), done.err.decode()


def test_json_both_ways(roots: Roots) -> None:
    status, out, _ = kmod_graph(roots, "--json", "--soft", "--devices")
    document = check_document(out)
    assert status == 0
    assert {"from": "top", "to": "mid", "kind": "dependency"} in document["edges"]
    assert document == check_document(kmod_graph(roots, "--format=json", "--soft", "--devices")[1])
    assert document["edges"] == graph(Context(roots), soft=True, devices=True).as_dict()["edges"]


def test_dot_says_states_and_taints_in_words_too(roots: Roots) -> None:
    status, out, err = kmod_graph(roots, "--format=dot", "--soft", "top")
    assert (status, err) == (0, "")
    for text in ("top (OE)", "crc [available]", "late [coming]", "(E) unsigned module", "softdep", "depends on"):
        assert f'label="{text}"' in out
    assert not re.search(r'label="(live|going|absent)"', out.replace('label="live"', "", 1))


def test_a_softdep_on_what_is_needed_anyway_is_not_drawn_twice(tmp_path: Path) -> None:
    modules: dict[str, Ko | Sequence[str]] = {
        "top": needing("top", "low", strings=["softdep=pre: low late"]), "low": needing("low"), "late": [],
    }  # fmt: skip
    report = graph(Context(forge_system(tmp_path / "twice", modules)), ["top"], soft=True)
    assert edges(report) == {"top>low", "top~low", "top~late"}
    assert len(re.findall(r"n\d+ -> n\d+", report.to_dot())) == 2
    assert len(re.findall(r"n\d+ (?:-->|-\.->) n\d+", report.to_mermaid())) == 2


def test_names_that_mean_something_to_dot(tmp_path: Path) -> None:
    roots = forge_system(tmp_path, loaded={'a"b\\': "0 - Live 0x0", "c\x1bd": "0 - Live 0x0"})
    report = graph(Context(roots))
    assert r'label="a\"b\\"' in report.to_dot() and "\x1b" not in report.to_dot()
    assert '["a#34;b\\"]' in report.to_mermaid() and "\x1b" not in report.to_mermaid()
    check_document(report.to_json())


def test_mermaid(roots: Roots) -> None:
    lines = kmod_graph(roots, "--format=mermaid", "--soft", "top")[1].splitlines()
    ids = dict(re.findall(r'^  (n\d+)\["(\w+)', "\n".join(lines), re.M))
    arrows = re.findall(r"^  (n\d+) (-->|-\.->) (n\d+)$", "\n".join(lines), re.M)
    assert {(ids[source], ids[target]) for source, sign, target in arrows if sign == "-->"} == {
        ("top", "mid"), ("mid", "low"),
    }  # fmt: skip
    assert ("top", "late") in {(ids[source], ids[target]) for source, sign, target in arrows if sign == "-.->"}


def test_a_picture(roots: Roots, tmp_path: Path) -> None:
    need(shutil.which("dot"), "graphviz (tests/install-packages)")
    path = tmp_path / "x.svg"
    assert kmod_graph(roots, "--soft", "--devices", "-o", str(path)) == (0, "", "")
    picture = path.read_text()
    assert picture.startswith("<?xml") and "top (OE)" in picture and "legend" in picture
    assert kmod_graph(roots, "--soft", "--devices")[1] == picture


def test_without_graphviz_it_is_dot_and_a_word(roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz, "PROGRAM", "no-such-program")
    status, out, err = kmod_graph(roots)
    assert (status, out.startswith("digraph")) == (0, True)
    assert (
        err == "kmod: WARNING: no-such-program, of the package graphviz, is not installed: this is the graph for it\n"
    )
    path = tmp_path / "x.svg"
    status, out, err = kmod_graph(roots, "-o", str(path))
    assert (status, out) == (2, "")
    assert f"next: dot -Tsvg -o {path} {tmp_path}/x.dot" in err
    assert not path.exists() and (tmp_path / "x.dot").read_text().startswith("digraph")


@pytest.mark.parametrize("name", ["false", "sleep"])
def test_a_dot_that_fails_or_never_ends(roots: Roots, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    script = Path(roots.base, "dot")
    script.write_text(f"#!/bin/sh\nexec {name} {'60' if name == 'sleep' else ''}\n")
    script.chmod(0o755)
    monkeypatch.setattr(graphviz, "PROGRAM", str(script))
    monkeypatch.setattr(graphviz, "MOST_SECONDS", 0.2)
    status, out, err = kmod_graph(roots, "--format=svg")
    assert (status, out.startswith("digraph"), err.count("\n")) == (2, True, 1)


@pytest.mark.parametrize(
    ("name", "beginning"), [("x.dot", "digraph"), ("x.gv", "digraph"), ("x.mmd", "---"), ("x.json", "{")]
)
def test_the_name_of_the_file_says_the_format(roots: Roots, tmp_path: Path, name: str, beginning: str) -> None:
    assert kmod_graph(roots, f"--output={tmp_path}/{name}") == (0, "", "")
    assert (tmp_path / name).read_text().startswith(beginning)
    if beginning == "{":
        assert json.loads((tmp_path / name).read_text())["verb"] == "graph"


def test_a_full_disk_leaves_the_file_that_was_there(
    roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.dot"
    path.write_text("old")
    path.chmod(0o640)

    def full(_temporary: str, _data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr("pymodutils.cli.verbs.graph._write_through", full)
        assert kmod_graph(roots, "-o", str(path)) == (2, "", f"kmod: ERROR: {path}: No space left on device\n")
    assert path.read_text() == "old"
    assert kmod_graph(roots, "-o", str(path)) == (0, "", "")
    assert path.read_text().startswith("digraph") and path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link.dot"
    link.symlink_to(path)
    assert kmod_graph(roots, "-o", str(link), "top")[0] == 0
    assert link.is_symlink() and os.listdir(tmp_path) and not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    "words", [["--depth=x", "a"], ["--depth=-1", "a"], ["--format=png"], ["--rdeps"], ["--depth=1"]], ids=" ".join
)
def test_mistakes(roots: Roots, words: list[str]) -> None:
    status, out, err = kmod_graph(roots, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)


def test_a_name_that_nothing_knows_makes_no_picture(roots: Roots, tmp_path: Path) -> None:
    status, out, err = kmod_graph(roots, "-o", f"{tmp_path}/x.svg", "nosuch")
    assert (status, out, (tmp_path / "x.svg").exists()) == (2, "", False)
    assert "nosuch: module not found" in err
    status, _, err = kmod_graph(roots, "--format=dot", "-o", "/nowhere/x", "top")
    assert (status, err) == (2, "kmod: ERROR: /nowhere/x: No such file or directory\n")


def test_150_loaded_modules_are_a_page_that_one_can_read(tmp_path: Path) -> None:
    """A layer of ten modules on each other, and fifty that nothing is connected to."""
    need(shutil.which("dot"), "graphviz (tests/install-packages)")
    roots = forge_system(tmp_path)
    lines = {f"chain{number}": "0 - Live 0x0" for number in range(100)}
    for number in range(90):
        users = ",".join(f"chain{user}" for user in range(number % 10, number + 1, 10))
        lines[f"chain{number + 10}"] = f"1 {users}, Live 0x0"
    lines |= {f"alone{number}": "0 - Live 0x0" for number in range(50)}
    lay_kernel(tmp_path, lines)
    report = graph(Context(roots))
    assert len(report.nodes) == 150 and len(report.edges) == 90
    done = subprocess.run(["dot", "-Tplain"], input=report.to_dot(), capture_output=True, text=True, check=True)
    _, _, width, height = done.stdout.splitlines()[0].split()
    assert float(width) < 40 and float(height) < 40
