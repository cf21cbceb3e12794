# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe --json: the same plans as -n, -D, -R and -r show, as data, with the documented fields."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.support.common import REPO
from tests.support.fakeroot import MODULES, FakeRoot, loaded
from tests.support.modprobe_corpus import CONF, CORPUS, cases, parse
from tests.support.schemas import check_document

TREE = f"/{MODULES}/kernel"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


def plans(root: FakeRoot, *words: str, files: Mapping[str, str | bytes] | None = None) -> list[dict[str, Any]]:
    with root.holding(files or {}):
        done = root.ours(["--json", *words])
    document = check_document(done.out, "modprobe")
    assert list(document) == ["schema", "plans"]
    found: list[dict[str, Any]] = document["plans"]
    return found


def line(step: dict[str, Any]) -> str:
    """A step as text, by what docs/json.md says of its fields."""
    arguments = f"{step['options']} {step['parameters']}" if step["options"] else step["parameters"]
    if step["action"] == "insert" and step["path"]:
        return f"insmod {step['path']} {arguments}\n"
    if step["action"] == "command":
        return f"install {step['command']} {arguments}\n"
    if step["action"] == "builtin":
        return f"builtin {step['module']}\n"
    if step["action"].startswith("remove"):
        return f"remove {step['command']}\n" if step["command"] is not None else f"rmmod {step['module']}\n"
    return ""


PLANNED = [
    (title, words)
    for title, words in cases()
    if re.search(r"(^| )-[a-z]*[nD]|-R", words) and not re.search(r"-c|-V|--show-(exports|modversions)", words)
]


@pytest.mark.parametrize("title", sorted({title for title, _ in PLANNED}))
def test_json_tells_what_the_text_tells(root: FakeRoot, title: str) -> None:
    """Every line of the corpus that shows a plan: status and messages are the same, and so is the steps' text."""
    for words in [words for own, words in PLANNED if own == title]:
        environment, arguments = parse(words)
        with root.holding(CORPUS[title].files):
            text, data = root.ours(arguments, environment), root.ours(["--json", *arguments], environment)
        if not data.out:  # the options themselves are wrong
            assert (text.out, text.status) == (b"", 1), words
            continue
        assert (data.status, data.err) == (text.status, text.err), words
        found = json.loads(data.out)["plans"]
        if all(plan["steps"] is None for plan in found):
            shown = "".join(f"{plan['module']}\n" for plan in found if plan["module"])
        else:
            shown = "".join(line(step) for plan in found for step in plan["steps"] or [])
        if text.status == 0:
            assert shown == text.out.decode("utf-8", "surrogateescape"), words
        else:  # a message in the midst ends the text; the data goes on
            assert shown.startswith(text.out.decode("utf-8", "surrogateescape")), words


def test_a_whole_plan(root: FakeRoot) -> None:
    files: dict[str, str | bytes] = {
        CONF: "alias disk loop\noptions loop max=1\nsoftdep loop pre: mii post: no_such\n"
        "install mii run $CMDLINE_OPTS\n"
    }
    (plan,) = plans(root, "-D", "disk", "part=2", files=files)
    conf = f"/{CONF}"
    nothing: dict[str, Any] = {
        **dict.fromkeys(("alias", "path", "command", "reason")),
        **dict.fromkeys(("options", "parameters"), ""),
        **dict.fromkeys(("required", "asked_for"), False),
        "after": [],
    }
    assert plan == {
        "operand": "disk",
        "module": "loop",
        "alias": "disk",
        "origin": f"{conf}:1",
        "steps": [
            {
                **nothing,
                "action": "command",
                "module": "mii",
                "path": f"{TREE}/drivers/net/mii.ko",
                "command": "run $CMDLINE_OPTS",
                "why": "softdep pre",
                "origin": f"{conf}:3",
                "reason": f"install line at {conf}:4",
            },
            {
                **nothing,
                "action": "insert",
                "module": "loop",
                "alias": "disk",
                "path": f"{TREE}/drivers/block/loop.ko",
                "options": "max=1",
                "parameters": "part=2",
                "why": "request",
                "origin": f"{conf}:1",
                "required": True,
                "asked_for": True,
                "after": ["mii"],
            },
            {
                **nothing,
                "action": "skip",
                "module": "no_such",
                "why": "softdep post",
                "origin": f"{conf}:3",
                "reason": "not found",
            },
        ],
        "missing": [
            {
                "module": "no_such",
                "path": None,
                "why": "softdep post",
                "origin": f"{conf}:3",
                "required": False,
                "reason": "not found",
            }
        ],
        "met": True,
        "done": None,
        "error": None,
    }


@pytest.mark.parametrize(
    ("words", "conf", "expected"),
    [
        (["-D", "no_such"], "", [("no_such", None, "request", True, "not found")]),
        (["-q", "-D", "no_such"], "", [("no_such", None, "request", True, "not found")]),
        (["-R", "no_such"], "", [("no_such", None, "request", True, "not found")]),
        (["-r", "-n", "no_such"], "", [("no_such", None, "request", True, "not found")]),
        (["-D", "/no/such.ko"], "", [("/no/such.ko", None, "request", True, "not found")]),
        (["-D", "bad["], "", [("bad[", None, "request", True, "not found")]),
        (["-D", "x"], "alias x nowhere", [("nowhere", None, "request", True, "no such module")]),
        (["-i", "-D", "x"], "install x true", [("x", None, "request", True, "no such module")]),
        (["-D", "mii"], "softdep mii pre: bad[", [("bad[", None, "softdep pre", False, "unmatched bracket")]),
        (["-D", "gone"], "", [("gone", "gone", "request", True, "file is missing")]),
        (["-D", "needs_gone"], "", [("gone", "gone", "dependency", True, "file of a dependency is missing")]),
        (
            ["-n", "soft_needs_gone"],
            "",
            [("needs_gone", "gone", "softdep pre", False, "file of a dependency is missing")],
        ),
        (["-D", "loop"], "", []),
        (["-D", "zswap"], "", []),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value and isinstance(value[0], str) else None,
)
def test_what_is_missing(
    root: FakeRoot, words: list[str], conf: str, expected: list[tuple[str, str | None, str, bool, str]]
) -> None:
    found = [missing for plan in plans(root, *words, files={CONF: f"{conf}\n"}) for missing in plan["missing"]]
    wanted = [(name, path and f"{TREE}/stale/{path}.ko", *rest) for name, path, *rest in expected]
    assert [(each["module"], each["path"], each["why"], each["required"], each["reason"]) for each in found] == wanted


def test_removal(root: FakeRoot) -> None:
    files = {
        CONF: "remove xor run it\nsoftdep loop pre: xor post: mii zswap\n",
        **loaded("loop"),
        **loaded("mii", refcount=3),
        **loaded("xor"),
    }
    (plan,) = plans(root, "-r", "-n", "loop", files=files)
    assert [
        (step["action"], step["module"], step["why"], step["reason"], step["command"]) for step in plan["steps"]
    ] == [
        ("skip", "zswap", "softdep post", "part of the kernel", None),
        ("skip", "mii", "softdep post", "in use", None),
        ("remove", "loop", "request", None, None),
        ("remove", "xor", "softdep pre", "remove line", "run it"),
    ]


def test_resolving_has_no_steps(root: FakeRoot) -> None:
    found = plans(root, "-a", "-R", "crc32c", "zswap")
    assert [(plan["operand"], plan["module"], plan["origin"], plan["steps"]) for plan in found] == [
        ("crc32c", "crc32c_generic", "modules.alias", None),
        ("crc32c", "crc32c_intel", "modules.alias", None),
        ("zswap", "zswap", "modules.builtin", None),
    ]


def test_bytes_that_are_no_text_come_through(root: FakeRoot) -> None:
    (plan,) = plans(root, "-D", "loop", files={CONF: b"options loop a=\xff\n"})
    assert plan["steps"][0]["options"] == "a=\udcff"


def test_the_schema_is_documented(root: FakeRoot) -> None:
    section = (REPO / "docs/json.md").read_text().partition("## modprobe --json")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`.*?) \|", section)
    documented = [set(re.findall(r"`(\w+)`", row)) for row in rows]
    (plan,) = plans(root, "-D", "soft_needs_gone")
    for record in (plan, plan["steps"][0], plan["missing"][0]):
        assert set(record) <= set().union(*documented), record
