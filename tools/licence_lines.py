#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Name the tracked source files that do not state their licence, or write the line into them.

    tools/licence_lines.py          print the files without a line; the exit status is 1 if there are any
    tools/licence_lines.py --add    write the line: first in the file, or below `#!`

Source files are those in Python, shell, make or C, by the ending of their name or by their `#!`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINE = "SPDX-License-Identifier: LGPL-2.1-or-later"
COMMENTS = {".py": "#", ".sh": "#", ".mk": "#", ".c": "//", ".h": "//"}
"""What a comment starts with, by the ending of a file's name."""


def comment_of(path: Path, text: bytes) -> str | None:
    """What a comment starts with in a source file; None for any other file."""
    if text.startswith(b"#!") or path.name in ("Makefile", "Kbuild"):
        return "#"
    return COMMENTS.get(path.suffix) if text else None  # an empty file has nothing to license


def with_line(text: bytes, comment: str) -> bytes:
    """The file with the line in it."""
    end = text.index(b"\n") + 1 if text.startswith(b"#!") else 0
    return text[:end] + f"{comment} {LINE}\n".encode() + text[end:]


def without_line() -> list[tuple[Path, bytes, str]]:
    """The source files that lack it: (path, content, what a comment starts with)."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    found = []
    for name in filter(None, os.fsdecode(listed).split("\0")):
        path = ROOT / name
        if path.is_symlink() or not path.is_file():
            continue
        text = path.read_bytes()
        comment = comment_of(path, text)
        if comment and f"{comment} {LINE}\n".encode() not in b"".join(text.splitlines(keepends=True)[:3]):
            found.append((path, text, comment))
    return found


def main(arguments: list[str]) -> int:
    """Look, or write; the exit status."""
    missing = without_line()
    for path, text, comment in missing:
        if arguments == ["--add"]:
            path.write_bytes(with_line(text, comment))
        else:
            print(path.relative_to(ROOT))
    return int(bool(missing) and arguments != ["--add"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
