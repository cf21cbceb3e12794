# SPDX-License-Identifier: LGPL-2.1-or-later
"""Shell patterns as fnmatch(3) with no flags in the C locale matches them, byte by byte.

`/` and a leading dot are characters like others. Not imitated: what glibc makes of collating symbols, equivalence
classes and classes that do not exist, within brackets.

The standard library's `fnmatch` needs `re` (6 ms) and differs: it knows no backslash and no character classes.
Source: POSIX.1-2017, XCU 2.13; docs/behaviour/2-formats.md, "Index files".
"""

from __future__ import annotations

from ..names import encode, is_pattern

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CLASSES: dict[str, Callable[[str], bool]] = {
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "blank": lambda c: c in " \t",
    "cntrl": lambda c: c < " " or c == "\x7f",
    "digit": lambda c: c in "0123456789",
    "graph": lambda c: "!" <= c <= "~",
    "lower": lambda c: "a" <= c <= "z",
    "print": lambda c: " " <= c <= "~",
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "space": lambda c: c in " \t\n\r\f\v",
    "upper": lambda c: "A" <= c <= "Z",
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}


def bytewise(text: str) -> str:
    """Return a text with a character for each byte of `text`."""
    return text if text.isascii() else encode(text).decode("latin-1")


def fnmatch(pattern: str, text: str) -> bool:
    """Tell whether the whole of `text` matches `pattern`.

    The time it takes is at most proportional to the product of the lengths.
    """
    if not is_pattern(pattern):
        return pattern == text
    pattern, text = bytewise(pattern), bytewise(text)
    at = here = 0
    star, star_at = -1, 0
    closings: dict[int, int | None] = {}
    while at < len(text):
        if here < len(pattern) and pattern[here] == "*":
            star, star_at = here, at
            here += 1
            continue
        after = _match_one(pattern, here, text[at], closings) if here < len(pattern) else None
        if after is not None:
            here = after
            at += 1
        elif star >= 0:
            # Only the last star need be widened: what an earlier one could take, this one can too.
            star_at += 1
            at, here = star_at, star + 1
        else:
            return False
    return pattern[here:].strip("*") == ""


def _match_one(pattern: str, at: int, char: str, closings: dict[int, int | None]) -> int | None:
    """Match one character by the element at `at`; return the place after that element, or None.

    `closings` remembers where brackets end, so that each is looked for once.
    """
    element = pattern[at]
    if element == "?":
        return at + 1
    if element == "[":
        if at not in closings:
            closings[at] = bracket_end(pattern, at)
        closing = closings[at]
        if closing is not None:
            return closing + 1 if _in_bracket(pattern[at + 1 : closing], char) else None
    elif element == "\\":
        if at + 1 == len(pattern):
            return None
        return at + 2 if pattern[at + 1] == char else None
    return at + 1 if element == char else None


def bracket_end(pattern: str, at: int) -> int | None:
    """Return where the bracket expression that opens at `at` closes; None when it does not, and `[` means itself."""
    here = at + 1
    if here < len(pattern) and pattern[here] in "!^":
        here += 1
    first = here
    while here < len(pattern):
        if pattern[here] == "]" and here > first:
            return here
        if pattern.startswith(("[:", "[.", "[="), here):
            end = pattern.find(pattern[here + 1] + "]", here + 2)
            here = end + 1 if end >= 0 else here
        elif pattern[here] == "\\":
            here += 1
        here += 1
    return None


def _in_bracket(body: str, char: str) -> bool:
    """Tell whether a bracket expression's body (between the brackets) admits `char`."""
    negated = body[0] in "!^"
    at = 1 if negated else 0
    found = False
    last_class = body.rfind(":]")
    while at < len(body):
        if body.startswith("[:", at) and at + 2 <= last_class:
            end = body.index(":]", at + 2)
            member = _CLASSES.get(body[at + 2 : end])
            found = found or (member is not None and member(char))
            at = end + 2
            continue
        low, at = _bracket_char(body, at)
        high = low
        if at + 1 < len(body) and body[at] == "-":
            high, at = _bracket_char(body, at + 1)
        found = found or low <= char <= high
    return found != negated


def _bracket_char(body: str, at: int) -> tuple[str, int]:
    """Return one (possibly escaped) character of a bracket expression, and the place after it."""
    if body[at] == "\\" and at + 1 < len(body):
        at += 1
    return body[at], at + 1
