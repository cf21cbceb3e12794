# SPDX-License-Identifier: LGPL-2.1-or-later
"""Logical lines of modprobe.d and depmod.d files: what both grammars share.

A backslash before the newline joins lines, any other backslash is dropped, and `#` counts only as a line's first
character (docs/behaviour/2-formats.md, "modprobe.d grammar").
"""

from __future__ import annotations

from ..diagnostics import WARNING, Diagnostic
from ..names import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def logical_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """(number of its last physical line, text) of each line that is neither empty nor a comment."""
    number = 0
    lines = iter(data.split(b"\n"))
    for line in lines:
        number += 1
        pieces = [line]
        while _ends_in_backslash(pieces[-1]):
            following = next(lines, None)
            if following is None:
                break
            number += 1
            pieces[-1] = pieces[-1][:-1]
            pieces.append(following)
        # A NUL ends the line, as it ends a C string: no name can hold one.
        text = unescape(decode(b"".join(pieces).partition(b"\0")[0]))
        if text and not text.startswith("#"):
            yield number, text


CARRIAGE_RETURN = "carriage-return"
"""Code of a diagnostic: lines of a file end in a carriage return, which is part of what they say."""


def carriage_returns(data: bytes) -> list[int]:
    """Return the numbers of the lines, comments aside, that end in a carriage return."""
    if b"\r" not in data:
        return []
    lines = enumerate(data.split(b"\n"), 1)
    return [number for number, line in lines if line.endswith(b"\r") and not line.startswith(b"#")]


def carriage_return_problems(data: bytes, file: str) -> list[Diagnostic]:
    """Return a diagnostic about the first line that ends in a carriage return, if there is one."""
    text = "the line ends in a carriage return, which is taken for a part of the rule"
    numbers = carriage_returns(data)[:1]
    return [Diagnostic(CARRIAGE_RETURN, WARNING, text, file=file, line=number) for number in numbers]


def _ends_in_backslash(line: bytes) -> bool:
    """Tell whether the newline after `line` is escaped: an odd number of backslashes before it."""
    return (len(line) - len(line.rstrip(b"\\"))) % 2 == 1


def unescape(text: str) -> str:
    """Return `text` with every backslash dropped and the character after it kept."""
    if "\\" not in text:
        return text
    out = []
    chars = iter(text)
    for char in chars:
        out.append(next(chars, "") if char == "\\" else char)
    return "".join(out)


_BLANKS = str.maketrans("\t\n\v\f\r", "     ")


def words(text: str) -> list[str]:
    """Return the words of a text, split at what C calls white space; `str.split` knows more kinds."""
    return [word for word in text.translate(_BLANKS).split(" ") if word]


def fields(text: str, limit: int = -1) -> list[str]:
    """Return the words of a line, split at spaces and tabs alone; after `limit` words the rest is one more."""
    if limit < 0:
        return [word for word in text.replace("\t", " ").split(" ") if word]
    words: list[str] = []
    rest = text.lstrip(" \t")
    while rest and len(words) != limit:
        end = min((at for at in (rest.find(" "), rest.find("\t")) if at >= 0), default=len(rest))
        words.append(rest[:end])
        rest = rest[end:].lstrip(" \t")
    if rest:
        words.append(rest)
    return words
