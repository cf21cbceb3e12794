# SPDX-License-Identifier: LGPL-2.1-or-later
"""The JSON documents of the commands: against their schemas, and what they say of loading, unloading and showing."""

from __future__ import annotations

import copy
import errno
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.common import Outcome, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.koforge import Ko
from tests.support.schemas import check_document


def check(name: str, done: Outcome) -> Any:
    """The document that a command printed, checked against docs/schemas/NAME.json."""
    return check_document(done.out, name)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    monkeypatch.delenv("MODPROBE_OPTIONS", raising=False)
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"a": [], "b": ["a"], "c": []}, builtin=["inside"], aliases="some=a some=c")
    return kernel


def modprobe(kernel: FakeKernel, words: str) -> tuple[list[dict[str, Any]], Outcome]:
    done = run_inside("modprobe", ["--json", *words.split()], kernel.roots)
    return check("modprobe", done)["plans"], done


def names(steps: list[dict[str, Any]]) -> list[str]:
    return [step["module"] for step in steps]


def test_loading(kernel: FakeKernel) -> None:
    ((plan,), done) = modprobe(kernel, "-v b x=1")
    assert (done.status, done.err, kernel.loaded) == (0, b"", ["a", "b"])
    assert (plan["met"], names(plan["done"]), plan["error"]) == (True, ["a", "b"], None)
    assert plan["done"] == plan["steps"]
    ((plan,), done) = modprobe(kernel, "b")
    assert (plan["steps"][0]["action"], plan["done"]) == ("skip", [])


def test_a_failure_while_loading(kernel: FakeKernel) -> None:
    kernel.script["b"] = [errno.ENOEXEC]
    ((plan,), done) = modprobe(kernel, "b")
    assert (done.status, done.err) == (1, b"modprobe: ERROR: could not insert 'b': Exec format error\n")
    assert names(plan["done"]) == ["a"]
    assert (plan["error"]["text"], plan["error"]["errno"]) == ("Exec format error", errno.ENOEXEC)
    assert plan["error"]["path"] == str(kernel.path("b"))
    ((plan,), _) = modprobe(kernel, "--first-time a")
    assert plan["error"]["errno"] == errno.EEXIST
    ((plan,), _) = modprobe(kernel, "-n --first-time a")
    assert (plan["error"]["errno"], plan["done"]) == (errno.EEXIST, None)


def test_what_is_missing_is_not_met_whatever_the_status(kernel: FakeKernel) -> None:
    kernel.path("c").unlink()
    ((plan,), done) = modprobe(kernel, "-D c")
    assert (done.status, plan["met"], plan["missing"][0]["reason"]) == (0, False, "file is missing")
    kernel.path("a").unlink()
    ((plan,), done) = modprobe(kernel, "b")
    assert (done.status, plan["met"], plan["error"]["path"]) == (1, False, str(kernel.path("a")))
    ((plan,), done) = modprobe(kernel, "-q no_such")
    assert (done.status, plan["met"], plan["steps"], plan["done"]) == (1, False, None, None)


def test_several(kernel: FakeKernel) -> None:
    for words in ("-a some b no_such", "-a -j 2 some b no_such"):
        found, done = modprobe(kernel, words)
        assert [(plan["operand"], plan["module"]) for plan in found] == [
            ("some", "a"), ("some", "c"), ("b", "b"), ("no_such", None),
        ]  # fmt: skip
        assert names([step for plan in found for step in plan["done"] or []]) == ["a", "c", "b"]
        assert done.status == 1
        modprobe(kernel, "-r -a b c")
    assert kernel.loaded == []


def test_removing(kernel: FakeKernel) -> None:
    modprobe(kernel, "-a b c")
    kernel.hold("c")
    found, done = modprobe(kernel, "-r -a b c inside")
    assert (done.status, kernel.loaded) == (1, ["c"])
    assert [names(plan["done"]) for plan in found] == [["b", "a"], [], []]
    assert [plan["error"] and plan["error"]["reason"] for plan in found] == [None, "in use", "part of the kernel"]
    assert [plan["met"] for plan in found] == [True, False, False]


def test_the_document_is_complete_when_a_message_ends_the_command(kernel: FakeKernel) -> None:
    found, done = modprobe(kernel, "-r inside c")
    assert (done.status, done.err) == (1, b"modprobe: FATAL: Module inside is builtin.\n")
    assert len(found) == 1


def test_configuration(kernel: FakeKernel) -> None:
    kernel.configure("options a x=1\nblacklist c\nalias hello a\n")
    (kernel.proc / "cmdline").write_text("b.y=2")
    done = run_inside("modprobe", ["-c", "--json"], kernel.roots)
    document = check("modprobe", done)
    file = str(kernel.config / "test.conf")
    assert document["rules"] == [
        {"kind": "blacklist", "key": "c", "value": "", "file": file, "line": 2},
        {"kind": "alias", "key": "hello", "value": "a", "file": file, "line": 3},
        {"kind": "options", "key": "a", "value": "x=1", "file": file, "line": 1},
        {"kind": "options", "key": "b", "value": "y=2", "file": str(kernel.proc / "cmdline"), "line": None},
    ]
    assert document["aliases"] == [{"pattern": "some", "module": "a"}, {"pattern": "some", "module": "c"}]
    assert document["symbols"] == []


def test_symbols(kernel: FakeKernel) -> None:
    Ko(modinfo=["name=a"], exports={"hello": 7}).write(kernel.path("a"))
    done = run_inside("modprobe", ["--show-exports", "--json", "some"], kernel.roots)
    assert check("modprobe", done)["modules"] == [
        {"asked": "some", "name": "a", "path": str(kernel.path("a")), "symbols": [{"name": "hello", "crc": 7}]}
    ]
    assert done.err == b"modprobe: FATAL: could not get symbols of c: No data available\n"


def test_insmod(kernel: FakeKernel) -> None:
    path = str(kernel.path("a"))
    good = check("insmod", run_inside("insmod", ["--json", path, "x=a b"], kernel.roots))["modules"]
    assert good == [{"path": path, "name": "a", "parameters": 'x="a b"', "loaded": True, "error": None}]
    done = run_inside("insmod", ["--json", path], kernel.roots)
    (again,) = check("insmod", done)["modules"]
    assert (done.status, again["loaded"], again["error"]["errno"]) == (1, False, errno.EEXIST)
    (none,) = check("insmod", run_inside("insmod", ["--json", "/no/such.ko"], kernel.roots))["modules"]
    assert none["error"]["path"] == "/no/such.ko"


def test_rmmod(kernel: FakeKernel) -> None:
    run_inside("modprobe", ["b"], kernel.roots)
    done = run_inside("rmmod", ["--json", "a", "b", "c", "inside"], kernel.roots)
    found = check("rmmod", done)["modules"]
    assert (done.status, kernel.loaded) == (1, ["a"])
    assert [(module["name"], module["removed"]) for module in found] == [
        ("a", False), ("b", True), ("c", False), ("inside", False),
    ]  # fmt: skip
    assert found[0]["error"]["reason"] == "Module a is in use by: b"
    assert done.err.decode().count("\n") == 3


def test_static_nodes(kernel: FakeKernel, tmp_path: Path) -> None:
    (kernel.modules / "modules.devname").write_text("a d/n b7:1\nbad\n")
    done = run_inside("kmod", ["static-nodes", "--json"], kernel.roots)
    assert done.status == 1
    assert check("static-nodes", done)["nodes"] == [{"module": "a", "name": "d/n", "kind": "b", "major": 7, "minor": 1}]
    run_inside("kmod", ["static-nodes", "--json", "-o", str(tmp_path / "x/y")], kernel.roots)
    assert (tmp_path / "x/y").read_bytes() == done.out


def test_lsmod_modinfo_and_depmod(kernel: FakeKernel, tmp_path: Path) -> None:
    run_inside("modprobe", ["b"], kernel.roots)
    assert len(check("lsmod", run_inside("lsmod", ["--json"], kernel.roots))["modules"]) == 2
    assert len(check("modinfo", run_inside("modinfo", ["--json", "b", "inside"], kernel.roots))["modules"]) == 2
    check("depmod", run_inside("depmod", ["--json", "-n", "-b", kernel.roots.base, "6.1"]))


@pytest.mark.parametrize(
    ("words", "field", "values"),
    [
        ("-F license", "license", ["GPL"]),
        ("-l", "license", ["GPL"]),
        ("-p", "parm", ["x:an x (int)"]),
        ("-n", "filename", ["PATH"]),
        ("-F filename", "filename", ["PATH"]),
        ("-F alias", "alias", ["one", "two"]),
        ("-F nothing", "nothing", []),
    ],
)
def test_modinfo_of_one_field(kernel: FakeKernel, words: str, field: str, values: list[str]) -> None:
    Ko(modinfo=["license=GPL", "alias=one", "alias=two", "parm=x:an x", "parmtype=x:int"]).write(kernel.path("a"))
    (module,) = check("modinfo", run_inside("modinfo", ["--json", *words.split(), "a"], kernel.roots))["modules"]
    path = str(kernel.path("a"))
    expected = [path if value == "PATH" else value for value in values]
    assert module == {"name": "a", "filename": path, "field": field, "values": expected}


def test_the_check_can_fail(kernel: FakeKernel) -> None:
    done = run_inside("modinfo", ["--json", "a"], kernel.roots)
    document = json.loads(done.out)
    more, less = copy.deepcopy(document), copy.deepcopy(document)
    more["modules"][0]["more"] = 1
    del less["modules"][0]["license"]
    for wrong in (more, less):
        with pytest.raises(Exception, match="is not valid"):
            check("modinfo", Outcome(0, json.dumps(wrong).encode(), b""))
