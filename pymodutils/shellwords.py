# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands for a person to paste into a shell, whatever bytes are in the names that they are about."""

from __future__ import annotations

_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./-_")
_FIRST_OF_OTHERS = ("=", "~")
"""What a word may not begin with: zsh takes `=NAME` for the path of a program."""

_ESCAPES = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def word(text: str) -> str:
    """Return a text as one word of a shell.

    What is not printable, bytes that are no UTF-8 among it, is written as `$'...'`, which bash, zsh, ksh and busybox
    know. So is an ampersand, so that `&&` stands between commands alone.
    """
    if text and _PLAIN.issuperset(text) and not text.startswith(_FIRST_OF_OTHERS):
        return text
    if text.isprintable() and "&" not in text:
        return "'" + text.replace("'", "'\\''") + "'"
    return "$'" + "".join(map(_escaped, text)) + "'"


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable() and char != "&":
        return char
    return "".join(f"\\{byte:03o}" for byte in char.encode("utf-8", "surrogateescape"))


def command(start: str, *operands: str) -> str:
    """Return a command: its program and options as they are, then operands, each as one word."""
    marker = ["--"] if any(operand.startswith("-") for operand in operands) else []
    return " ".join([start, *marker, *map(word, operands)])
