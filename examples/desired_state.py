# SPDX-License-Identifier: LGPL-2.1-or-later
"""A module loaded or not, now and after a restart, without needless changes: what Ansible's module `modprobe` does.

python examples/desired_state.py dummy present 'numdummies=2' --persistent --check
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from pymodutils import Context, Error


def set_state(
    system: Context,
    name: str,
    *,
    present: bool,
    parameters: str = "",
    persistent: bool = False,
    etc: Path = Path("/etc"),
    check: bool = False,
) -> bool:
    """Bring a module into the wanted state; return whether that changes anything. With `check` nothing is changed."""
    status = system.status(name)
    changed = present != status.is_in_kernel and status.state != "builtin"
    if changed and not check:
        if present:
            system.load(name, parameters)
        else:
            system.unload(name)
    if persistent:
        at_boot = f"{status.name}\n" if present else None
        options = f"options {status.name} {parameters}\n" if present and parameters else None
        changed |= write(etc / f"modules-load.d/{status.name}.conf", at_boot, check=check)
        changed |= write(etc / f"modprobe.d/{status.name}.conf", options, check=check)
    return changed


def write(path: Path, text: str | None, *, check: bool) -> bool:
    """Give a file its text, None for no file; return whether it had another one."""
    now = path.read_text() if path.exists() else None
    if now != text and not check:
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    return now != text


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("state", choices=["present", "absent"])
    parser.add_argument("parameters", nargs="?", default="")
    parser.add_argument("--persistent", action="store_true")
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args()
    try:
        with Context() as here:
            changed = set_state(
                here, given.name, present=given.state == "present", parameters=given.parameters,
                persistent=given.persistent, check=given.check,
            )  # fmt: skip
        print(json.dumps({"name": given.name, "state": given.state, "changed": changed}))
    except Error as error:
        print(json.dumps({"name": given.name, "failed": True, "msg": str(error), "rc": error.errno}))
