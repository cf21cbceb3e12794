# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Salt modules, without Salt: what they call, and what they make of the answer."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.common import BIN, REPO
from tests.support.forgedsystem import forge_system, needing


@pytest.fixture
def salt(tmp_path: Path) -> dict[str, Any]:
    """The two modules with what Salt's loader would put into them."""
    forge_system(tmp_path, {"sctp": needing("sctp")})

    def run_all(words: list[str], stdin: str | None = None, python_shell: bool = True) -> dict[str, str]:
        assert words[0] == "kmod" and not python_shell
        command: list[str] = [str(BIN / "kmod"), words[1], f"--root={tmp_path}", *words[2:]]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True)
        return {"stdout": done.stdout, "stderr": done.stderr}

    names: dict[str, Any] = {"cmd.run_all": run_all, "cmd.has_exec": lambda name: name == "kmod"}
    options = {"test": False}
    loaded = {}
    for folder in ("_modules", "_states"):
        path = REPO / "integrations/salt" / folder / "pymodutils_kernel.py"
        module: dict[str, Any] = {"__salt__": names, "__opts__": options}
        exec(compile(path.read_text(), path, "exec"), module)
        loaded[folder] = module
        names.update(
            {f"pymodutils_kernel.{name}": module[name] for name in ("status", "check", "ensure") if name in module}
        )
    return {**loaded, "options": options}


def test_the_execution_module(salt: dict[str, Any]) -> None:
    module = salt["_modules"]
    assert module["__virtual__"]() == "pymodutils_kernel"
    assert [one["state"] for one in module["status"]("sctp", "nosuch")] == ["available", "absent"]
    assert module["check"]("sctp")[0]["verdict"] == "can-get-in"


def test_the_state(salt: dict[str, Any]) -> None:
    wanted = salt["_states"]["wanted"]
    salt["options"]["test"] = True
    answer = wanted("sctp", state="denied")
    assert (answer["result"], answer["changes"]["denied"]) == (None, {"old": "false", "new": "true"})
    salt["options"]["test"] = False
    assert wanted("sctp", state="denied")["result"] is True
    assert wanted("sctp", state="denied") == {"name": "sctp", "changes": {}, "result": True, "comment": "as wanted"}
    answer = wanted("nosuch", state="loaded")
    assert answer["result"] is False and "no such module" in answer["comment"]
