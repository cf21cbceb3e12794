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


_BASES = {"0x": 16, "0b": 2}
_MOST_DIGITS = 64  # of the smallest base
_TOO_MUCH = 1 << 64
_OVER_AT_ONCE = 1  # not 0, which would not wait


def milliseconds(text: str) -> int:
    """Return the value of -w, up to 64 bits. Raises `ValueError`.

    Digits are decimal, or hexadecimal (0x), octal (0) or binary (0b). kmod adds the value to its clock in 64 bits, so
    that a negative one names an end in the past: it waits, and the time is over at once.
    """
    digits = text.lstrip(" \t\n\v\f\r").lower()
    negative = digits.startswith("-")
    digits = digits[1:] if digits.startswith(("-", "+")) else digits
    base = _BASES.get(digits[:2], 8 if digits.startswith("0") else 10)
    if base in (2, 16):
        digits = digits[2:]
    if not digits or digits.strip("0123456789abcdef"[:base]):
        raise ValueError(text)
    digits = digits.lstrip("0") or "0"
    value = int(digits, base) if len(digits) <= _MOST_DIGITS else _TOO_MUCH
    if value >= _TOO_MUCH:
        raise ValueError(text)
    value = -value % _TOO_MUCH if negative else value
    return value if value < _TOO_MUCH // 2 else _OVER_AT_ONCE


def jobs(text: str) -> int:
    """Return the value of -j: decimal digits, at least 1. Raises `ValueError`."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(text)
    return int(text)
