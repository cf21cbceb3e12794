# SPDX-License-Identifier: LGPL-2.1-or-later
"""/proc/PID/mountinfo: the mounts that a process sees.

Source: Documentation/filesystems/proc.rst, 3.5; fs/proc_namespace.c (show_mountinfo).
"""

from __future__ import annotations

from ..names import decode
from ..records import Record


class Mount(Record):
    """One mount.

    `device` is MAJOR:MINOR of its file system, `root` what of that is mounted, `point` where. `tags` are the optional
    fields (`shared:1`, `master:2`). `line` is its line in the file.
    """

    id: int
    parent: int
    device: str
    root: str
    point: str
    tags: tuple[str, ...]
    type: str
    source: str
    super_options: tuple[str, ...]
    line: int

    def option(self, name: str) -> str | None:
        """Return the value of an option of the file system; None when it has none."""
        return next((text.partition("=")[2] for text in self.super_options if text.startswith(f"{name}=")), None)


def parse_mountinfo(data: bytes) -> list[Mount]:
    """Return all mounts, in order. A line of another form is left out."""
    return [mount for number, line in enumerate(data.split(b"\n"), 1) if (mount := _parse_line(line, number))]


def _parse_line(line: bytes, number: int) -> Mount | None:
    words = line.split(b" ")
    try:
        separator = words.index(b"-", 6)
        kind, source, options = [*words[separator + 1 : separator + 4], b""][:3]
        return Mount(
            int(words[0]),
            int(words[1]),
            decode(words[2]),
            unescape(words[3]),
            unescape(words[4]),
            tuple(decode(word) for word in words[6:separator]),
            decode(kind),
            unescape(source),
            tuple(unescape(option) for option in options.split(b",")),
            number,
        )
    except ValueError:
        return None


def unescape(word: bytes) -> str:
    """Return a word of /proc with its octal escapes (`\\040` is a blank) undone."""
    if b"\\" not in word:
        return decode(word)
    head, *rest = word.split(b"\\")
    pieces = [head]
    for piece in rest:
        digits = piece[:3]
        if len(digits) == 3 and not digits.strip(b"01234567") and digits < b"400":
            pieces += [bytes([int(digits, 8)]), piece[3:]]
        else:
            pieces += [b"\\", piece]
    return decode(b"".join(pieces))


def mount_of(mounts: list[Mount], path: str) -> Mount | None:
    """Return the mount that an absolute path is on: the last one at the longest mount point above it."""
    above = [mount for mount in mounts if f"{path}/".startswith(f"{mount.point.rstrip('/')}/")]
    return max(above, key=lambda mount: (len(mount.point.rstrip("/")), mount.line), default=None)
