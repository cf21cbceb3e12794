# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kmod ensure wrote brings the wanted state back at the next boot, by systemd's own loader of modules.

In the same boot Ansible's own modules run, which need much that no other guest has.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.vm import ansiblecases, cpio, image
from tests.vm.harness import Guest
from tests.vm.test_verbs import kmod

WISHES = b"""
[module.pmt_b]
state = "loaded"
at_boot = true
parameters = { level = 5 }
[module.pmt_params]
at_boot = true
parameters = { text = "two words", list = [4, 5], flag = true }
[module.dummy]
state = "loaded"
at_boot = true
parameters = { numdummies = 3 }
[module.loop]
state = "denied"
[module.secretmem]
parameters = { enable = true }
"""
FILE = "/root/wishes.toml"
FOLDERS = ("modprobe.d", "modules-load.d", "pymodutils")


def ensured(guest: Guest, *words: str) -> dict[str, dict[str, Any]]:
    guest.put(FILE, WISHES)
    done = kmod(guest, "ensure", "--json", *words, FILE)
    assert done.status in (0, 1), done
    document = json.loads(done.stdout)
    reached = all(not one["error"] and not (words and one["changed"]) for one in document["results"])
    assert done.status == (0 if reached else 1)
    return {one["module"]: one for one in document["results"]}


def written(guest: Guest) -> dict[str, str]:
    """The files of the configuration, by their paths."""
    code = f"""
import json
found = {{}}
for folder in {FOLDERS!r}:
    for top, _, names in os.walk("/etc/" + folder):
        found.update({{f"{{top}}/{{name}}": read(f"{{top}}/{{name}}") for name in names}})
print(json.dumps(found))
"""
    files: dict[str, str] = json.loads(guest.python(code).check().stdout)
    return files


@pytest.mark.one_kernel("6.1")
def test_the_wanted_state_comes_back_and_ansible_does_as_ever(
    guest: Guest, boot_own: Callable[..., Guest], tmp_path: Path
) -> None:
    guest.run(f"rm -rf {' '.join(f'/etc/{name}' for name in FOLDERS[1:])}").check()
    guest.run(["modprobe", "pmt_b", "level=9"]).check()
    first = ensured(guest)
    assert {name: one["reboot_needed"] for name, one in first.items()} == {
        "pmt_b": True, "pmt_params": False, "dummy": False, "loop": False, "secretmem": False,
    }  # fmt: skip
    assert first["secretmem"]["error"]["code"] == "builtin"
    assert "secretmem.enable=Y has to be on its command line" in first["secretmem"]["error"]["text"]
    assert not any(one["error"] for name, one in first.items() if name != "secretmem")
    files = written(guest)
    with open(tmp_path / "etc", "wb") as output:
        archive = cpio.Writer(output)
        for name, text in files.items():
            archive.file(name.lstrip("/"), text.encode())
        archive.close()
    guest.run(f"rm -rf {' '.join(f'/etc/{name}' for name in FOLDERS[1:])}").check()

    extra = [tmp_path / "etc", image.boot_programs_archive(), ansiblecases.ansible_archive()]
    again = boot_own(extra=extra, cmdline="secretmem.enable=1")
    assert written(again) == files
    again.run(["insmod", again.own("pmt_a")]).check()
    again.run(["insmod", again.own("pmt_b"), "level=9"]).check()  # as an initial file system does that was made before
    assert ensured(again, "--check")["pmt_b"]["reboot_needed"]
    again.run(["rmmod", "pmt_b", "pmt_a"]).check()

    loader = again.run(["/usr/lib/systemd/systemd-modules-load"])
    assert loader.status == 0, loader
    for words in (["--check"], []):
        for name, one in ensured(again, *words).items():
            assert not one["error"] and not one["changed"] and not one["reboot_needed"], (name, one)
    assert written(again) == files
    values = again.run(
        "cd /sys/module; cat pmt_b/parameters/level pmt_params/parameters/text pmt_params/parameters/list "
        "pmt_params/parameters/flag secretmem/parameters/enable; ls -d /sys/class/net/dummy* | wc -l"
    ).check()
    assert values.stdout.decode().split("\n") == ["5", "two words", "4,5", "Y", "Y", "3", ""]
    assert again.run(["modprobe", "loop"]).status != 0 and "loop" not in again.run(["true"]).modules
    ansiblecases.compare(again)
