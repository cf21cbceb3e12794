# SPDX-License-Identifier: LGPL-2.1-or-later
"""The words of code, messages and pages are of present-day English (CONTRIBUTING.md)."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.common import REPO, need

OLD = re.compile(rb"(?<![a-zA-Z])(shall|lest|anew|beside|whoever)(?![a-zA-Z])", re.IGNORECASE)


def test_no_old_word_is_used() -> None:
    need((REPO / ".git").exists(), "the git repository")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPO, capture_output=True, check=True).stdout
    files = [
        REPO / name for name in listed.decode().split("\0") if name and name != str(Path(__file__).relative_to(REPO))
    ]
    lines = ((path, number, line) for path in files if path.is_file() for number, line in numbered(path))
    assert [f"{path}:{number}: {line!r}" for path, number, line in lines if OLD.search(line)] == []


def numbered(path: Path) -> list[tuple[int, bytes]]:
    """The lines of a text file, each with its number; no line of another file."""
    content = path.read_bytes()
    return [] if b"\0" in content else list(enumerate(content.split(b"\n"), 1))
