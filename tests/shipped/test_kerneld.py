# SPDX-License-Identifier: LGPL-2.1-or-later
"""The samples in contrib/kerneld: they call the command as it is, and the service may do what it is for."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
from pathlib import Path

from pymodutils.cli.verbs.autoload import COMMAND_LINE
from tests.support.common import REPO, need

SAMPLES = REPO / "contrib/kerneld"


def test_the_options_that_samples_use_exist() -> None:
    known = {f"--{name}" for option in COMMAND_LINE.options for name in option.long}
    text = "".join(path.read_text() for path in sorted(SAMPLES.iterdir()))
    text += (REPO / "docs/kerneld.md").read_text()
    calls = re.findall(r"kmod autoload((?: -[\w=-]+)*)", text)
    assert len(calls) > 4
    assert {word.partition("=")[0] for call in calls for word in call.split() if word.startswith("--")} <= known


def test_the_service() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(SAMPLES / "kerneld.service")
    service = dict(unit["Service"])
    assert service["Type"] == "notify"
    assert {"CAP_SYS_MODULE"} <= set(service["CapabilityBoundingSet"].split())
    assert {"AF_NETLINK", "AF_UNIX"} <= set(service["RestrictAddressFamilies"].split())
    assert "@module" in service["SystemCallFilter"].split()
    assert not {"ProtectKernelModules", "PrivateNetwork"} & service.keys()
    assert unit["Unit"]["ConditionPathExists"] == "!/run/udev/control"
    assert unit["Unit"]["ConditionPathIsDirectory"] == "/lib/modules/%v"


def test_systemd_understands_the_service() -> None:
    need(shutil.which("systemd-analyze"), "systemd-analyze")
    words = ["systemd-analyze", "verify", "--man=no", str(SAMPLES / "kerneld.service")]
    done = subprocess.run(words, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines() if "is not executable" not in line]  # kmod is not installed here
    assert said == []


def test_the_service_is_passed_over_without_a_module_directory(tmp_path: Path) -> None:
    """systemd itself says so, of this machine's kernel: %v is the release of the running one."""
    need(shutil.which("systemd-analyze"), "systemd-analyze")
    directory = Path("/lib/modules") / os.uname().release
    words = ["systemd-analyze", "condition", "ConditionPathIsDirectory=/lib/modules/%v"]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode == 0) == directory.is_dir(), done.stderr


def test_the_shell_script() -> None:
    need(shutil.which("shellcheck"), "shellcheck")
    subprocess.run(["shellcheck", str(SAMPLES / "rcS")], check=True, cwd=REPO)
