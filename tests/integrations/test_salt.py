# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Salt modules: what they call, and what they make of the answer; without Salt, and by Salt itself."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.common import BIN, REPO
from tests.support.forgedsystem import forge_system, needing


@pytest.fixture
def salt(tmp_path: Path) -> dict[str, Any]:
    """The two modules with what Salt's loader would put into them."""
    forge_system(tmp_path, {"sctp": needing("sctp")})

    def run_all(words: list[str], stdin: str | None = None, python_shell: bool = True, **_: object) -> dict[str, str]:
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
    answer = wanted("sctp", module_state="denied")
    assert (answer["result"], answer["changes"]["denied"]) == (None, {"old": "false", "new": "true"})
    salt["options"]["test"] = False
    assert wanted("sctp", module_state="denied")["result"] is True
    assert wanted("sctp", module_state="denied") == {
        "name": "sctp",
        "changes": {},
        "result": True,
        "comment": "as wanted",
    }
    answer = wanted("nosuch", module_state="loaded")
    assert answer["result"] is False and "no such module" in answer["comment"]


# --- by Salt itself


SALT_CALL = os.environ.get("PYMODUTILS_SALT")
"""The path of salt-call: `make salt` installs Salt, with its fifty libraries, to run this."""

STATES = """
sctp:
  pymodutils_kernel.wanted:
    - module_state: denied
other:
  pymodutils_kernel.wanted:
    - module_state: loaded
    - at_boot: true
    - parameters: {size: 5}
nosuch:
  pymodutils_kernel.wanted:
    - module_state: loaded
"""


@pytest.fixture
def call(tmp_path: Path) -> Callable[..., Any]:
    """Runs a function of Salt on this machine, whose kmod is ours, about an image."""
    parameters = ["parmtype=size:int"]
    forge_system(tmp_path / "image", {"sctp": needing("sctp"), "other": needing("other", strings=parameters)})
    kmod = tmp_path / "bin/kmod"
    kmod.parent.mkdir()
    kmod.write_text(f'#!/bin/sh\nverb=$1\nshift\nexec {BIN}/kmod "$verb" --root={tmp_path}/image "$@"\n')
    kmod.chmod(0o755)
    (tmp_path / "states").mkdir()
    (tmp_path / "states/modules.sls").write_text(STATES)
    roots = [str(REPO / "integrations/salt"), str(tmp_path / "states")]
    options = {"file_client": "local", "id": "here", "root_dir": str(tmp_path), "enable_fqdns_grains": False,
               "file_roots": {"base": roots}}  # fmt: skip
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/minion").write_text(json.dumps(options))
    environment = {"PATH": f"{kmod.parent}:{os.environ['PATH']}", "HOME": str(tmp_path), "LANG": "C.UTF-8"}

    def call(*words: str) -> Any:
        command = [str(SALT_CALL), "--local", "-c", str(tmp_path / "etc"), "--out=json", "--log-level=quiet", *words]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["local"]

    return call


@pytest.mark.skipif(not SALT_CALL, reason="make salt")
def test_by_salt_itself(call: Callable[..., Any], tmp_path: Path) -> None:
    synchronized = call("saltutil.sync_all")
    assert synchronized["modules"] == ["modules.pymodutils_kernel"]
    assert [one["state"] for one in call("pymodutils_kernel.status", "sctp", "nosuch")] == ["available", "absent"]
    assert call("pymodutils_kernel.check", "sctp")[0]["verdict"] == "can-get-in"

    def apply(*words: str) -> dict[str, Any]:
        return {one["name"]: one for one in call("state.apply", "modules", *words).values()}

    etc = tmp_path / "image/etc"
    tested = apply("test=True")
    assert {name: one["result"] for name, one in tested.items()} == {"sctp": None, "other": None, "nosuch": False}
    assert not etc.exists()
    first = apply()
    assert {name: one["result"] for name, one in first.items()} == {"sctp": True, "other": True, "nosuch": False}
    assert first["sctp"]["changes"]["denied"] == {"old": "false", "new": "true"}
    assert first["other"]["changes"] == tested["other"]["changes"] != {}
    assert "there is no such module" in first["nosuch"]["comment"]
    assert (etc / "modprobe.d/zz-pymodutils-other.conf").read_text().endswith("options other size=5\n")
    again = apply()
    assert {name: one["changes"] for name, one in again.items()} == {"sctp": {}, "other": {}, "nosuch": {}}
