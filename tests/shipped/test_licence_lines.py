# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each source file states its licence, where tools that look for it do (https://spdx.dev/ids)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.common import REPO, need

sys.path.insert(0, str(REPO / "tools"))

import licence_lines


def test_each_source_file_states_its_licence() -> None:
    need((REPO / ".git").exists(), "the git repository")
    assert [str(path) for path, *_ in licence_lines.without_line()] == []


def test_the_line_is_written_where_it_does_no_harm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "a.py": (b'"""Text."""\n', b'# %s\n"""Text."""\n'),
        "start": (b"#!/usr/bin/python3 -IS\nimport sys\n", b"#!/usr/bin/python3 -IS\n# %s\nimport sys\n"),
        "a.c": (b"int x;\n", b"// %s\nint x;\n"),
        "Makefile": (b"all:\n", b"# %s\nall:\n"),
        "__init__.py": (b"", b""),
        "a.md": (b"text\n", b"text\n"),
    }
    for name, (before, _) in files.items():
        tmp_path.joinpath(name).write_bytes(before)
    for command in (["init", "-q"], ["add", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    monkeypatch.setattr(licence_lines, "ROOT", tmp_path)
    assert licence_lines.main([]) == 1
    for _ in range(2):  # the second time changes nothing
        assert licence_lines.main(["--add"]) == 0
        for name, (_, after) in files.items():
            assert tmp_path.joinpath(name).read_bytes() == after.replace(b"%s", licence_lines.LINE.encode()), name
    assert licence_lines.main([]) == 0
