# SPDX-License-Identifier: LGPL-2.1-or-later
"""The top of the repository has what is meant to be there, and nothing that a tool or a test left."""

from __future__ import annotations

import re
import subprocess

from tests.support.common import REPO, need

FILES = {
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE"),
    *("Makefile", "packaging.mk", "pyproject.toml", ".gitignore", ".shellcheckrc"),
}


def test_the_top_has_the_folders_that_contributors_are_told_of() -> None:
    need((REPO / ".git").exists(), "the git repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, stdout=subprocess.PIPE, check=True).stdout.decode()
    paths = [path.partition("/") for path in listed.split("\0") if path]
    rows = re.search(r"(?m)^\| Folder .*\n(?:\|.*\n)+", (REPO / "CONTRIBUTING.md").read_text())
    assert rows
    assert {top for top, slash, _ in paths if slash} == set(re.findall(r"`([\w.-]+)/`", rows.group()))
    assert {top for top, slash, _ in paths if not slash} == FILES
