# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files that kmod writes whole: a title, a check sum, and what follows it, so that an edit by somebody else shows."""

from __future__ import annotations

from ..names import decode, encode

_SUM = "# sha256 of what follows: "


def sealed(title: str, body: str) -> bytes:
    """Return a file with a title, which is a comment of one line, and a body."""
    data = encode(body)
    return encode(f"{title}{_SUM}{_digest(data)}\n") + data


def is_sealed(title: str, data: bytes) -> bool:
    """Tell whether a file is as kmod wrote it; False when somebody edited it, or wrote another."""
    first, _, rest = data.partition(b"\n")
    line, _, body = rest.partition(b"\n")
    return first == encode(title.rstrip("\n")) and decode(line) == f"{_SUM}{_digest(body)}"


def body_of(data: bytes) -> str:
    """Return what follows the title and the check sum."""
    return decode(data.partition(b"\n")[2].partition(b"\n")[2])


def _digest(body: bytes) -> str:
    import hashlib

    return hashlib.sha256(body).hexdigest()
