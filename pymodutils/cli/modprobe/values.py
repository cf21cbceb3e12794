# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values that modprobe's command line and MODPROBE_OPTIONS are made of, and that few runs have."""

from __future__ import annotations


def split_words(text: str) -> list[str]:
    """Return the arguments in MODPROBE_OPTIONS, split at each space outside quotes; two spaces enclose an empty one.

    A quote that is never closed stays in its word, which is the last.
    """
    arguments: list[str] = []
    word: list[str] = []
    quote, opened = "", 0
    for char in text:
        if quote:
            if char == quote:
                quote = ""
            else:
                word.append(char)
        elif char in "'\"":
            quote, opened = char, len(word)
        elif char == " ":
            arguments.append("".join(word))
            word = []
        else:
            word.append(char)
    if quote:
        word.insert(opened, quote)
    if word:
        arguments.append("".join(word))
    return arguments


_MOST_DIGITS = 100  # zeros at the beginning among them


def milliseconds(text: str) -> int:
    """Return the value of -w: decimal, hexadecimal (0x) or octal (0) digits, behind a sign if it has one.

    Raises `ValueError`, also for a negative value and one of more than 64 bits.
    """
    number = text.lstrip(" \t\n\v\f\r").lower()
    digits = number[1:] if number[:1] in ("+", "-") else number
    base = 10
    if digits.startswith("0x"):
        digits, base = digits[2:], 16
    elif digits.startswith("0"):
        base = 8
    if not digits or digits.strip("0123456789abcdef"[:base]) or len(digits) > _MOST_DIGITS:
        raise ValueError(text)
    value = int(digits, base)
    if value >= 1 << 64 or (value and number[0] == "-"):
        raise ValueError(text)
    return value


def jobs(text: str) -> int:
    """Return the value of -j: decimal digits, at least 1. Raises `ValueError`."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(text)
    return int(text)
