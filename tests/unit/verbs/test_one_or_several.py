# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where verbs take several things they take one of them, too: a name is a name, and not its letters."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pymodutils
from pymodutils import Context, Report, Roots
from tests.support.forgedsystem import forge_system, needing


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Context:
    modules = {"base": needing("base"), "top": needing("top", "base")}
    return Context(forge_system(tmp_path_factory.mktemp("system"), modules, loaded={"top": "0 - Live 0x0"}))


VERBS: dict[str, Callable[..., Report]] = {
    name: getattr(pymodutils, name)
    for name in ("status", "check", "closure", "graph", "explain", "config", "parameters", "deny", "undeny", "allow")
} | {
    "soft": lambda context, name: pymodutils.closure(context, "top", soft="pre" if isinstance(name, str) else ["pre"]),
    "sources": lambda context, name: pymodutils.closure(
        context, sources="loaded" if isinstance(name, str) else ["loaded"]
    ),
    "audit": pymodutils.policy_audit,
    "log": lambda context, name: pymodutils.policy_audit(context, log=name),
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_name_alone(context: Context, verb: str) -> None:
    more: dict[str, Any] = {"dry_run": True} if verb in ("deny", "undeny", "allow") else {}
    more |= {"source": "lsmod"} if verb == "allow" else {}
    ask = VERBS[verb]
    assert ask(context, "top", **more) == ask(context, ["top"], **more)


@pytest.mark.parametrize("verb", ["status", "check", "closure", "graph", "explain"])
def test_a_path_and_a_match(context: Context, verb: str) -> None:
    (found,) = context.lookup("top")
    for what in (Path(str(found.path)), found):
        report = VERBS[verb](context, what)
        assert report == VERBS[verb](context, [what])
        assert '"top"' in report.to_json() and not report.errors


def test_a_file_alone(context: Context, tmp_path: Path) -> None:
    path = f"{context.roots.modules}/kernel/top.ko"
    for one in (path, Path(path)):
        assert pymodutils.verify(context, one, keys="none") == pymodutils.verify(context, [path], keys="none")
        changes = pymodutils.diff(context, path, path, needed_by=one)
        assert changes == pymodutils.diff(context, path, path, needed_by=[path])
    (tmp_path / "overlay").mkdir()
    done = pymodutils.extend(context, context.roots.modules, tmp_path / "overlay", tmp_path / "out")
    assert done.overlays == (str(tmp_path / "overlay"),)


def test_a_field_alone(context: Context) -> None:
    assert [info.license for info in context.infos("top", "license")] == ["GPL"]


def test_values_of_parameters_are_numbers_as_well(tmp_path: Path) -> None:
    strings = ["parmtype=a:int", "parmtype=b:bool"]
    roots: Roots = forge_system(tmp_path, {"m": strings}, loaded={"m": "0 - Live 0x0"})
    place = tmp_path / "sys/module/m/parameters"
    place.mkdir()
    for name, value in (("a", "1"), ("b", "N")):
        place.joinpath(name).write_text(value)
    context = Context(roots)
    assert pymodutils.set_parameter(context, "m", "a", 8).after == "8"
    assert pymodutils.set_parameter(context, "m", "b", True).after == "Y"
    planned = pymodutils.reload(context, "m", {"a": 9}, plan=True)
    assert planned.error is None and "a=9" in str(planned.steps)


@pytest.mark.parametrize("what", [b"top", [b"top"], 3, None], ids=repr)
@pytest.mark.parametrize(
    "name", ["status", "check", "closure", "graph", "config", "parameters", "symbols", "deny", "who"]
)
def test_what_is_no_name_is_a_type_error(context: Context, name: str, what: object) -> None:
    with pytest.raises(TypeError):
        getattr(pymodutils, name)(context, what)


@pytest.mark.parametrize("name", ["config", "parameters", "symbols", "deny", "reload"])
def test_where_names_are_text_a_path_is_said_to_be_none(context: Context, name: str) -> None:
    with pytest.raises(TypeError, match="a name is text, not PosixPath"):
        getattr(pymodutils, name)(context, Path("top"))


def test_a_path_with_a_null_byte_leads_nowhere(context: Context) -> None:
    (error,) = [one for one in pymodutils.verify(context, "to\0p.ko", keys="none").errors if one.errno]
    assert error.errno == errno.ENOENT
