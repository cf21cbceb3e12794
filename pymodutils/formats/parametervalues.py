# SPDX-License-Identifier: LGPL-2.1-or-later
"""Values of module parameters: which ones the kernel takes for a type, and which two mean the same.

Source: kernel/params.c (parse_one, param_set_*, param_get_*), lib/kstrtox.c.
"""

from __future__ import annotations

from ..names import encode
from .cmdline import MOST_TEXT_BYTES

BITS = {
    "byte": (8, False),
    "short": (16, True),
    "ushort": (16, False),
    "int": (32, True),
    "uint": (32, False),
    "long": (64, True),
    "ulong": (64, False),
    "ullong": (64, False),
    "hexint": (32, False),
}
"""Width and sign of the integer types; long has 64 bits, so that nothing is refused which some kernel takes."""

BOOLEANS = ("bool", "invbool", "bint")
TEXTS = ("charp", "string")

ARRAY_OF = "array of "
"""How the type of an array begins."""

NO_TEXT = "(null)"
"""What the kernel shows of a text that nobody has set."""

MOST_DIGITS = 100


def is_standard(kind: str | None) -> bool:
    """Tell whether a type is one whose values the kernel itself reads and shows; a module may have its own."""
    return (kind or "").removeprefix(ARRAY_OF) in (*BITS, *BOOLEANS, *TEXTS)


def refusal(kind: str, value: str | None) -> str | None:
    """Return why the kernel refuses a value, None when it takes it or has its own way of reading it."""
    if value is None:
        return None if kind in BOOLEANS[:2] or not is_standard(kind) else "a value is missing"
    value = value.removeprefix('"').removesuffix('"')
    if kind.startswith(ARRAY_OF):
        kind = kind.removeprefix(ARRAY_OF)
        found = (refusal(kind, part) for part in value.split(","))
        return next((said for said in found if said), None)
    if kind in BOOLEANS:
        return None if boolean(value) is not None else "not a boolean: y, n, 1, 0, on or off"
    if kind in BITS:
        return _integer_refusal(kind, value)
    if kind == "charp" and len(encode(value)) > MOST_TEXT_BYTES:
        return f"longer than {MOST_TEXT_BYTES} bytes"
    return None


def boolean(value: str) -> bool | None:
    """Return what kstrtobool reads, by the first letter and for `on` and `off` the second; None for no boolean."""
    if value[:1].lower() in ("y", "t", "1") or value[:2].lower() == "on":
        return True
    if value[:1].lower() in ("n", "f", "0") or value[:2].lower() == "of":
        return False
    return None


def _integer_refusal(kind: str, text: str) -> str | None:
    bits, signed = BITS[kind]
    number = integer(text, signed=signed)
    if number is None:
        return f"not a number of type {kind}"
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return None if least <= number <= most else f"out of range for type {kind}, {least} to {most}"


def integer(text: str, *, signed: bool = True) -> int | None:
    """Return what kstrtoint reads: a sign, then decimal digits, hexadecimal ones after 0x, octal ones after 0."""
    minus = signed and text.startswith("-")
    digits = (text[1:] if minus or text.startswith("+") else text).lower()
    base = 16 if digits.startswith("0x") else 8 if digits.startswith("0") else 10
    if base == 16:
        digits = digits[2:]
    if not digits or digits.strip("0123456789abcdef"[:base]) or len(digits) > MOST_DIGITS:
        return None
    return -int(digits, base) if minus else int(digits, base)


def same_value(kind: str | None, one: str, other: str) -> bool:
    """Tell whether two values mean the same for a type: Y and 1, 0x10 and 16.

    Without a type, numbers count as numbers, and what is shown as Y or N as a boolean.
    """
    one, other = one.removeprefix('"').removesuffix('"'), other.removeprefix('"').removesuffix('"')
    if one == other:
        return True
    if kind is not None and kind.startswith(ARRAY_OF):
        pairs = elements(one), elements(other)
        return len(pairs[0]) == len(pairs[1]) and all(
            same_value(kind.removeprefix(ARRAY_OF), a, b) for a, b in zip(*pairs, strict=True)
        )
    if kind in BOOLEANS or (kind is None and {one, other} & {"Y", "N"}):
        return boolean(one) is not None and boolean(one) == boolean(other)
    if kind in BITS or kind is None:
        return integer(one) is not None and integer(one) == integer(other)
    return False


def elements(value: str) -> list[str]:
    """Return the elements of an array, without those at its end that nobody has set."""
    found = value.split(",") if value else []
    while found and found[-1] == NO_TEXT:
        found.pop()
    return found


def has_taken(kind: str | None, wanted: str, shown: str) -> bool:
    """Tell whether the kernel shows what was written. An array without a count keeps the elements behind it."""
    if kind is not None and kind.startswith(ARRAY_OF):
        return same_value(kind, wanted, ",".join(elements(shown)[: len(elements(wanted))]))
    if kind == "charp" and shown == NO_TEXT:
        return False
    return same_value(kind, wanted, shown)


def as_written(kind: str | None, shown: str) -> str | None:
    """Return what makes the kernel show a value again; None when nobody can write that: a text that nobody has set."""
    if kind is not None and kind.startswith(ARRAY_OF):
        found = elements(shown)
        return None if not found or NO_TEXT in found else ",".join(found)
    return None if shown == NO_TEXT else shown


def can_be_passed(value: str) -> bool:
    """Tell whether a value can stand in a line of modprobe.d and among the parameters of a module."""
    return '"' not in value and all(char >= " " and char != "\x7f" for char in value)
