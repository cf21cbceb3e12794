# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where an index of the module tree is missing or damaged, no verb says what is not so; it says what it cannot tell.

Every verb is asked about every name of a small system that has all its indexes, and then without one of them. What it
says then is what it said before, or that it cannot tell, with the name of the index. An empty file is as none, but for
those that kmod's depmod leaves empty: with these the answer is that of an index without entries.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pymodutils.roots import Roots
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, needing
from tests.support.indexforge import build, write
from tests.support.koforge import Ko

INDEXES = ("dep", "alias", "builtin", "builtin.alias", "symbols")
HOWS = ("missing", "garbage", "cut", "empty")
LEFT_EMPTY = ("builtin", "builtin.alias")

NAMES = ("loop", "block-major-7-1", "two", "ext4", "fs-ext4", "both", "other", "kept", "nosuch", "symbol:loop_symbol")
ABOUT_NAMES = (
    "status", "check --initrd=none", "closure", "params", "graph", "config", "who", "explain", "reload --plan",
    "symbols",
)  # fmt: skip
CASES = (
    *(f"{verb} --json {name}" for verb in ABOUT_NAMES for name in NAMES),
    *(f"deny --json --dry-run {name}" for name in NAMES if ":" not in name),
    *(f"ensure --json --check {state}-{name}" for state in ("loaded", "unloaded") for name in ("loop", "ext4", "none")),
    *(f"{words} --json" for words in (
        "devices", "autoload -n -j1", "prune", "lint --initrd=none", "config", "params", "graph --soft", "symbols",
        "symbols -a", "symbols loop*", "closure --from=devices", "closure --from=loaded", "check --all --initrd=none",
        "status",
    )),
)  # fmt: skip

BUILTIN = {"ext4": "builtin"}
"""What is known of a module that only the kernel has, whichever name stands for it."""

HEAD = ("schema", "verb", "kernel", "root", "errors")
"""What a document has where there is no answer."""

Answer = tuple[int, dict[str, Any], str]


def forge(root: Path) -> Roots:
    modules: dict[str, Ko | Sequence[str]] = {
        "loop": Ko(
            modinfo=["license=GPL", "name=loop", "alias=block-major-7-*", "parm=x:an x", "vermagic=x"],
            exports={"loop_symbol": 1},
        ),
        "user": needing("user", "loop", strings=["softdep=pre: two"]),
        "other": ["alias=two", "alias=both", "parm=y:a y", "parmtype=y:int"],
        "kept": [],
        "fancyfs": ["alias=fs-fancy"],
    }
    return forge_system(
        root,
        modules,
        builtin=["ext4"],
        builtin_modinfo=b"ext4.license=GPL\0ext4.alias=fs-ext4\0ext4.alias=both\0ext4.file=fs/ext4/ext4\0",
        files={
            "proc/version": "Linux\n",
            "proc/cmdline": "quiet\n",
            f"proc/{os.getpid()}/mountinfo": "1 0 8:1 / / rw - fancy /dev/sda1 rw\n",
            "etc/modprobe.d/x.conf": (
                "options loop x=1\nblacklist lop\nalias foo two\ninstall user /bin/false\nsoftdep ext4 pre: loop\n"
                "install kept /bin/false\nsoftdep kept pre: fs-ext4\n"
            ),
            "etc/modules-load.d/m.conf": "block-major-7-1\nfs-ext4\ntwo\n",
            "sys/devices/d/modalias": "block-major-7-1\n",
            "sys/devices/e/modalias": "both\n",
        },
        loaded={"other": "0 - Live 0x0", "fancyfs": "0 - Live 0x0"},
    )


def answers(roots: Roots, place: Path) -> dict[str, Answer]:
    """Return what each case comes to: status, document, and messages."""
    found = {}
    for case in CASES:
        words = case.split()
        if words[0] == "ensure":
            state, _, name = words[-1].partition("-")
            wanted = place / f"{words[-1]}.toml"
            wanted.write_text(f'[module.{name}]\nstate = "{state}"\n')
            words[-1] = str(wanted)
        done = run_inside("kmod", words, roots)
        text = done.out.decode().replace(roots.base, "")
        found[case] = done.status, json.loads(text) if text else {}, done.err.decode()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Answer]]:
    place = tmp_path_factory.mktemp("whole")
    return place / "system", answers(forge(place / "system"), place)


def test_the_cases_tell_something(whole: tuple[Path, dict[str, Answer]]) -> None:
    """With all indexes there is an answer to nearly all: what is the same without an answer would prove nothing."""
    _, found = whole
    known = [case for case, (_, document, _) in found.items() if len(document) > len(HEAD)]
    assert len(known) > len(CASES) * 0.8, sorted(set(CASES) - set(known))
    assert {case.split()[0] for case in known} == {case.split()[0] for case in CASES}
    assert found["prune --json"][1]["candidates"][-1]["reason"].startswith("carries the file system of /")
    assert found["status --json both"][1]["modules"][0]["name"] == "other"


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("index", INDEXES)
def test_no_verb_says_what_is_not_so(
    tmp_path: Path, whole: tuple[Path, dict[str, Answer]], index: str, how: str
) -> None:
    template, right = whole
    shutil.copytree(template, tmp_path / "system", symlinks=True)
    roots = Roots(
        base=f"{tmp_path}/system", release=RELEASE, config_root=f"{tmp_path}/system", proc=f"{tmp_path}/system/proc",
        sys=f"{tmp_path}/system/sys",
    )  # fmt: skip
    file = Path(roots.modules, f"modules.{index}.bin")
    is_of_nothing = how == "empty" and index in LEFT_EMPTY
    if is_of_nothing:
        file.write_bytes(write(build([])))
        right = answers(roots, tmp_path)
    if how == "missing":
        file.unlink()
    else:
        file.write_bytes({"garbage": b"no index at all", "cut": file.read_bytes()[:14], "empty": b""}[how])
    wrong = {}
    for case, (status, document, errors) in answers(roots, tmp_path).items():
        before = right[case]
        if is_of_nothing:
            said = None if (status, document) == before[:2] else "another answer than with an index of nothing"
        else:
            said = what_is_wrong(case, (status, document, errors), before, file.name)
        if said:
            wrong[case] = said
    assert not wrong


def without(template: Path, place: Path, file: str) -> Roots:
    """Return a copy of the system without a text file of the module directory, with new indexes."""
    shutil.copytree(template, place, symlinks=True)
    roots = Roots(base=str(place), release=RELEASE, config_root=str(place), proc=f"{place}/proc", sys=f"{place}/sys")
    Path(roots.modules, file).unlink()
    if file != "modules.softdep":  # which depmod itself writes
        assert run_inside("depmod", ["-b", roots.base, RELEASE]).status == 0
    return roots


def test_no_verb_takes_a_missing_list_of_builtin_modules_for_an_empty_one(
    tmp_path: Path, whole: tuple[Path, dict[str, Answer]]
) -> None:
    template, right = whole
    found = answers(without(template, tmp_path / "system", "modules.builtin"), tmp_path)
    wrong = {case: what_is_wrong(case, answer, right[case], "modules.builtin") for case, answer in found.items()}
    assert not {case: said for case, said in wrong.items() if said}


@pytest.mark.parametrize(
    ("file", "case", "what"),
    [
        ("modules.softdep", "graph --soft --json", "which soft dependencies modules have"),
        ("modules.softdep", "graph --soft --json user", "which soft dependencies modules have"),
        ("modules.builtin.modinfo", "params --json ext4", "which parameters modules in the kernel image have"),
        ("modules.builtin.modinfo", "params --json", "which parameters modules in the kernel image have"),
    ],
)
def test_what_a_missing_text_file_would_tell_is_not_taken_for_nothing(
    tmp_path: Path, whole: tuple[Path, dict[str, Answer]], file: str, case: str, what: str
) -> None:
    roots = without(whole[0], tmp_path / "system", file)
    lay_files(tmp_path / "system/sys", {"module/ext4/parameters/shown": "1\n", "module/ext4/uevent": ""})
    done = run_inside("kmod", case.split(), roots)
    said = [error["text"] for error in json.loads(done.out)["errors"]]
    assert (done.status, said) == (2, [f"cannot tell {what}: no usable {file}"])


@pytest.mark.parametrize("case", ["graph --soft loop", "graph", "graph user", "params loop", "params other"])
def test_an_answer_that_needs_no_text_file_is_whole_without_them(
    tmp_path: Path, whole: tuple[Path, dict[str, Answer]], case: str
) -> None:
    roots = without(whole[0], tmp_path / "system", "modules.builtin.modinfo")
    if "--soft" not in case:
        Path(roots.modules, "modules.softdep").unlink()
    assert run_inside("kmod", [*case.split(), "--json"], roots).status in (0, 1)


def what_is_wrong(case: str, answer: Answer, before: Answer, index: str) -> str | None:
    """Return what is wrong with an answer without an index, compared with that of the whole tree."""
    status, document, errors = answer
    if status in (before[0], 2) and _is_part(_facts(document), _facts(before[1])):
        return None
    if index not in errors + json.dumps(document):
        return f"another answer, and no word of the index: {document} {errors}"
    said = [line for line in errors.splitlines() if "no such symbol" in line or "module not found" in line]
    new = [line for line in said if line not in before[2]]
    if new:
        return f"a guess sold as a fact: {new}"
    guess = _guess(case.split()[0], document, before[1])
    if guess:
        return f"a guess sold as a fact: {guess}"
    if status != 2 and case.split()[0] not in ("check", "deny", "explain"):  # these say what they know, and what not
        return f"status {status}, and not all is known: {document}"
    return None


def _facts(document: dict[str, Any]) -> dict[str, Any]:
    """Return what a document says of modules, and not which files of indexes there are."""
    return {key: value for key, value in document.items() if key not in ("errors", "files", "indexes")}


def _is_part(less: Any, more: Any) -> bool:
    """Tell whether two values are the same, but for what is not known in the first."""
    if less in (None, "unknown"):
        return True
    if isinstance(less, dict) and isinstance(more, dict):
        return less.keys() == more.keys() and all(_is_part(less[key], more[key]) for key in less)
    if isinstance(less, list) and isinstance(more, list):
        return len(less) == len(more) and all(map(_is_part, less, more))
    return bool(less == more)


def _guess(verb: str, document: dict[str, Any], before: dict[str, Any]) -> object:
    """Return what a document says that the whole tree's does not, and that is no "not known"."""
    lost = _not_found(document) - _not_found(before)
    if lost:
        return lost
    look = _LOOKS.get(verb)
    return look(document, before) if look else None


def _not_found(document: dict[str, Any]) -> set[str]:
    return {error["subject"] for error in document["errors"] if error["code"] == "not-found"}


def _states(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {one["name"]: one["state"] for one in before.get("modules", ())}
    found = {one["name"]: one["state"] for one in document.get("modules", ())}
    return [pair for pair in found.items() if pair[1] not in ("unknown", (known | BUILTIN).get(pair[0]))]


def _doors(document: dict[str, Any], before: dict[str, Any]) -> object:
    checks = "verified" if "verified" in document else "checks"
    known = {one["name"]: one for one in before.get(checks, ())}
    wrong: list[object] = []
    for one in document.get(checks, ()):
        right = known.get(one["name"])
        if right is None:
            wrong += [one["name"]] if one["verdict"] not in (None, BUILTIN.get(one["name"])) else []
            continue
        wrong += [(one["name"], one["verdict"])] if one["verdict"] not in (None, right["verdict"]) else []
        for name, door in one["doors"].items():
            if door["open"] is not None and door["open"] != right["doors"][name]["open"]:
                wrong.append((one["name"], name, door))
    old = {warning["text"] for warning in before.get("warnings", ()) if warning["code"] == "unknown-module"}
    new = {warning["text"] for warning in document.get("warnings", ()) if warning["code"] == "unknown-module"}
    return wrong or new - old


def _ensured(document: dict[str, Any], before: dict[str, Any]) -> object:
    codes = [
        [one["error"] and one["error"]["code"] for one in answer.get("results", ())] for answer in (document, before)
    ]
    return [new for new, old in zip(*codes, strict=True) if new not in (old, "cannot-tell")]


def _missing(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {one["name"] for one in before.get("missing", ())}
    return [one["name"] for one in document.get("missing", ()) if one["name"] not in known]


def _candidates(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {one["module"]: one["state"] for device in before["devices"] for one in device["candidates"]}
    found = [one for device in document["devices"] for one in device["candidates"]]
    return [one for one in found if one["state"] not in ("unknown", (known | BUILTIN).get(one["module"]))]


def _removable(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {one["module"] for one in before["candidates"] if one["removable"]}
    return [one for one in document["candidates"] if one["removable"] and one["module"] not in known]


def _findings(document: dict[str, Any], before: dict[str, Any]) -> object:
    return [one for one in document["findings"] if one not in before["findings"]]


def _nodes(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {(one["name"], one["state"]) for one in before.get("nodes", ())}
    return [
        one for one in document.get("nodes", ()) if one["state"] == "absent" and (one["name"], "absent") not in known
    ]


def _causes(document: dict[str, Any], before: dict[str, Any]) -> object:
    known = {one["text"] for one in before.get("explanations", ())}
    found = [one["text"] for one in document.get("explanations", ())]
    return [text for text in found if "no module and no alias" in text and text not in known]


_LOOKS = {
    "status": _states, "check": _doors, "deny": _doors, "ensure": _ensured, "closure": _missing, "devices": _candidates,
    "prune": _removable, "lint": _findings, "graph": _nodes, "explain": _causes,
}  # fmt: skip
