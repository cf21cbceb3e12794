# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Ansible collection, judged by ansible-test sanity."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.common import REPO, need

pytestmark = pytest.mark.xdist_group("ansible")

ALL = os.environ.get("PYMODUTILS_ANSIBLE") == "all"
"""Also those that install libraries into environments of their own: `make ansible`, a minute or more."""

ALONE = """
    action-plugin-docs compile empty-init ignores line-endings no-assert no-get-exception no-illegal-filenames
    no-smart-quotes replace-urlopen shebang shellcheck symlinks use-argspec-type-path use-compat-six
""".split()
"""What needs nothing beyond ansible-core, and shellcheck."""

WITH_LIBRARIES = "ansible-doc import pep8 pylint runtime-metadata validate-modules yamllint".split()
"""What installs the libraries that it needs, from the package index."""

NOTHING_TO_JUDGE = ["changelog", "pslint"]
"""The collection has no change fragments and no PowerShell."""


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the collection, at a path such as ansible-test wants."""
    need((Path(sys.executable).parent / "ansible-test").exists(), "ansible-core (pip install .[test])")
    place = tmp_path_factory.mktemp("sanity") / "ansible_collections/pymodutils/kernel"
    shutil.copytree(REPO / "integrations/ansible", place)
    return place


def sanity(collection: Path, *words: str) -> subprocess.CompletedProcess[str]:
    home = collection.parents[2]
    _offer_pip(home)
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "LANG": "C.UTF-8", "ANSIBLE_NOCOLOR": "true"}
    environment |= {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    command = [str(Path(sys.executable).parent / "ansible-test"), "sanity", "--local", "--python", version, *words]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=collection, timeout=800)


def _offer_pip(home: Path) -> None:
    """Put Python's own pip where ansible-test keeps the one that it would download."""
    spec = find_spec("ansible_test")
    assert spec and spec.origin
    source = Path(spec.origin).with_name("_internal") / "python_requirements.py"
    for version in re.findall(r"\bpip='([\d.]+)'", source.read_text()):
        path = home / f".ansible/test/cache/get_pip_{version.replace('.', '_')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import ensurepip\nensurepip.bootstrap()\n")


def test_all_sanity_tests_are_known(collection: Path) -> None:
    found = sanity(collection, "--list-tests").stdout.split()
    known = {*ALONE, *WITH_LIBRARIES, *NOTHING_TO_JUDGE}
    assert {"compile", "validate-modules"} <= set(found) and set(found) <= known


def test_the_collection_is_sane(collection: Path) -> None:
    chosen = [*ALONE, *WITH_LIBRARIES] if ALL else [*ALONE, "validate-modules"]
    done = sanity(collection, *(word for name in chosen for word in ("--test", name)))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-9000:]
    for name in chosen:
        assert re.search(f'Running sanity test "{name}"', done.stdout + done.stderr), name


def test_what_is_not_sane_is_seen(collection: Path) -> None:
    path = collection / "plugins/modules/kernel_module.py"
    good = path.read_text()
    try:
        path.write_text(good + "assert True\n")
        done = sanity(collection, "--test", "no-assert")
    finally:
        path.write_text(good)
    assert done.returncode == 1 and "kernel_module.py" in done.stdout + done.stderr
