# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make test-pythons`: the tests that need no kernel under each Python that a Debian release has.

    python -m tests.pythons [VERSION...] [-- PYTEST_ARGUMENT...]      as root; default: all versions, TESTS

Each runs in a minimal system of that release, made once by mmdebstrap, whose /usr/bin/python3 is that version; what
the tests import comes as wheels. Test systems are tests/packaging/machine.py's.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from tests.packaging.machine import Machine, system
from tests.support import assets
from tests.support.common import REPO

RELEASES = {"3.11": "bookworm", "3.12": "", "3.13": "trixie", "3.14": "forky"}
"""The Debian release that has each version of Python as its own; 3.12 came and went between two of them."""

TESTS = ("tests/unit", "tests/differential", "tests/robustness", "tests/shipped")
PACKAGES = (
    "python3",
    "python3-venv",
    "python3-zstandard",
    "make",
    "gcc",
    "libc6-dev",
    "git",
    "openssl",
    "lz4",
    "kmod",
    "xz-utils",
    "zstd",
    "mandoc",
    "bash-completion",
    "zsh",
    "fish",
)
BUILD_TOOLS = ("hatchling", "hatch-fancy-pypi-readme")
GUESTS_ONLY = "virt-firmware"
"""What only tests of virtual machines import; under 3.13 and later it has a part that must be compiled."""


def wheels(version: str) -> Path:
    """A folder with what the tests import, for a version of Python; fetched once."""
    extras = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = [*(one for one in extras["test"] if not one.startswith(GUESTS_ONLY)), *BUILD_TOOLS]

    def fetch(folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--only-binary=:all:"]
        subprocess.run([*command, "--python-version", version, "-d", str(folder), *wanted], check=True)

    key = hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:8]
    return assets.cached(f"wheels-{version}-{key}", fetch)


def run(version: str, arguments: list[str]) -> str:
    """Run the tests under one version; what became of it, in a line."""
    if not RELEASES[version]:
        return "untested: no Debian release has it"
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder, "machine"), system(RELEASES[version], PACKAGES))
        cache = assets.cache_folder()
        machine.binds += [(wheels(version), "/mnt/wheels"), (cache, str(cache)), (Path("/sys"), "/sys")]
        checkout = machine.path("/srv/pymodutils")
        checkout.mkdir(parents=True)
        exclude = ["--exclude-vcs", *(f"--exclude=./{name}" for name in (".venv", "dist", "build", ".*_cache"))]
        archive = subprocess.run(["tar", "-c", *exclude, "."], cwd=REPO, stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "-x", "-C", checkout], input=archive, check=True)
        printed = machine.run(
            f"""
            python3 -c 'import sys; assert sys.version.startswith("{version}."), sys.version'
            python3 -m venv /opt/venv
            /opt/venv/bin/pip install -q --no-index --find-links /mnt/wheels /mnt/wheels/*.whl
            cd /srv/pymodutils
            export PYMODUTILS_CACHE={cache} HOME=/root
            /opt/venv/bin/python -m pytest -q -p no:cacheprovider {" ".join(arguments)} || echo "status $?"
            """
        )
    print(printed, flush=True)
    (summary,) = re.findall(r"(?m)^.*\d+ (?:passed|failed|error).* in .*$", printed)[-1:] or ["no test ran"]
    return f"{summary} ({time.monotonic() - start:.0f} s in all)"


def main(words: list[str]) -> int:
    """Run them all; the exit status is 1 if a test failed under any."""
    versions, arguments = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, [])
    if os.geteuid() != 0:
        print("needs root: the systems are made and entered by mmdebstrap and chroot", file=sys.stderr)
        return 2
    results = {}
    for version in versions or RELEASES:
        print(f"--- Python {version}", flush=True)
        results[version] = run(version, arguments or list(TESTS))
    for version, result in results.items():
        print(f"Python {version}: {result}")
    return int(any(re.search(r"failed|error|no test", result) for result in results.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
