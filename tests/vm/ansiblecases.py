# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ansible's own modules about kernel modules, with our commands where they look for kmod's: the same comes of them.

`compare` does it; test_second_boot.py calls it, in the one guest that is booted for both.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.support import assets
from tests.support.common import need
from tests.vm import cpio, image
from tests.vm.harness import PATH, Guest

PROGRAM, MODULES = "/opt/ansiblemodules.py", "/opt/ansible"
UNWANTED = ("facts", "csharp", "powershell", "urls.py", "splitter.py", "yumdnf.py", "service.py")
"""Of what Ansible offers to modules, what these do not import."""

CHECK = {"_ansible_check_mode": True}
FULL = os.environ.get("PYMODUTILS_ANSIBLE") == "all"
"""All that is below, not just a few of each kind: `make ansible`."""

FEW: list[tuple[bool, bool, dict[str, Any]]] = [
    (True, False, {"name": "dummy"}),
    (False, False, {"name": "dummy"}),
    (True, False, {"name": "dummy", "state": "absent"}),
    (False, False, {"name": "dummy", "state": "absent"}),
    (True, False, {"name": "pmt_b", "persistent": "present", "params": "level=5"}),
    (False, False, {"name": "pmt_b", "persistent": "present", "params": "level=5"}),
    (False, True, {"name": "pmt_a", "state": "absent"}),
    (True, False, {"name": "pmt_b", "state": "absent", "persistent": "absent"}),
    (False, True, {"name": "nosuch"}),
]
"""Whether something is changed, whether it fails, and what is asked of community.general.modprobe."""

MORE: list[tuple[bool, bool, dict[str, Any]]] = [
    (True, False, {"name": "dummy", **CHECK}),
    (True, False, {"name": "pmt_c"}),
    (True, False, {"name": "pmt_c", "state": "absent", **CHECK}),
    (True, False, {"name": "pmt_c", "state": "absent"}),
    (True, False, {"name": "pmt_params", "params": "number=7 flag=1 text='two words'"}),
    (False, False, {"name": "pmt_params", "params": "number=8"}),
    (True, False, {"name": "pmt_params", "state": "absent"}),
    (False, True, {"name": "pmt_params", "params": "number=x"}),
    (True, False, {"name": "pmt_b", "persistent": "present", "params": "level=5", **CHECK}),
    (True, False, {"name": "pmt_b", "persistent": "present", "params": "level=5"}),
    (True, False, {"name": "pmt_b", "state": "absent", "persistent": "present", "params": "level=6"}),
    (True, False, {"name": "pmt_b", "persistent": "present"}),
    (True, False, {"name": "pmt_b", "state": "absent", "persistent": "absent"}),
    (False, False, {"name": "pmt_b", "state": "absent", "persistent": "absent"}),
    (False, True, {"name": "nosuch", **CHECK}),
    (False, False, {"name": "nosuch", "state": "absent"}),
    (False, True, {"name": "pmt_fail", "params": "error=19"}),
    (False, False, {"name": "ipv6"}),
    (False, True, {"name": "ipv6", "state": "absent"}),
    (False, False, {"name": "pmt-dash", "state": "absent"}),
]

BLACKLIST: list[tuple[bool, bool, dict[str, Any]]] = [
    (True, False, {"name": "pmt_a", **CHECK}),
    (True, False, {"name": "pmt_a"}),
    (False, False, {"name": "pmt_a"}),
    (True, False, {"name": "pmt_a", "state": "absent"}),
    (False, False, {"name": "pmt_a", "state": "absent"}),
]


def ansible_archive() -> Path:
    """What the modules import, and they themselves, byte-compiled, for another archive of a boot."""
    need(find_spec("ansible"), "ansible-core (pip install .[test])")
    key = f"{version('ansible-core')}-{assets.community_general().parents[6].name}"
    return assets.cached(f"ansible-modules-{key}", _write) / "cpio"


def _write(folder: Path) -> None:
    spec = find_spec("ansible.module_utils")
    assert spec and spec.submodule_search_locations
    own, collection = Path(next(iter(spec.submodule_search_locations))), assets.community_general()
    staging = folder / "staging"
    unwanted = shutil.ignore_patterns("__pycache__", *UNWANTED)
    shutil.copytree(own, staging / "ansible/module_utils", ignore=unwanted)
    shutil.copy(own.parent / "release.py", staging / "ansible/release.py")
    (staging / "ansible/__init__.py").touch()
    shutil.copytree(collection, staging / "ansible_collections/community/general")
    image.compile_python(staging, MODULES)
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        archive.tree(staging, lambda path: f"{MODULES.lstrip('/')}/{path}")
        archive.close()
    shutil.rmtree(staging)


def ask(guest: Guest, tool: str, steps: list[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What comes of steps, from a guest as after boot, with the commands of one tool."""
    guest.reset()
    guest.run("rm -rf /etc/modules-load.d; mkdir /etc/modules-load.d").check()
    folder = {"ours": f"{image.GUEST_CHECKOUT}/bin", "kmod34": f"{image.GUEST_KMOD34}/bin"}[tool]
    command = ["/usr/bin/python3.11", "-IS", PROGRAM, MODULES]
    env = {"PATH": f"{folder}:{PATH}", "LANG": "C.UTF-8"}
    done = guest.run(command, stdin=json.dumps(steps).encode(), env=env, timeout=300).check()
    guest.run("rm -r /etc/modules-load.d").check()
    assert done.stderr == b"", done
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def compare(guest: Guest) -> None:
    """Ask the same of our commands and of kmod's, in a guest that was booted with `ansible_archive`."""
    guest.put(PROGRAM, Path(__file__).with_name("ansiblemodules.py").read_bytes())
    modprobe, blacklist = (FEW + MORE, BLACKLIST) if FULL else (FEW, BLACKLIST[1:4])
    steps = [("modprobe", step) for _, _, step in modprobe] + [("kernel_blacklist", step) for _, _, step in blacklist]
    expected = [(changed, failed) for changed, failed, _ in modprobe + blacklist]
    ours, theirs = ask(guest, "ours", steps), ask(guest, "kmod34", steps)
    for step, one, other, (changed, failed) in zip(steps, ours, theirs, expected, strict=True):
        assert one == other, step
        answer = one["answer"]
        assert (answer["changed"], answer.get("failed", False)) == (changed, failed), (step, answer)
