# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module names and aliases: the spelling rules (docs/behaviour/2-formats.md, "Module names")."""

from __future__ import annotations

from .errors import NameSyntaxError

EXTENSIONS: tuple[str, ...] = (".ko", ".ko.gz", ".ko.xz", ".ko.zst")
"""File name endings of module files, compressed or not."""


def decode(data: bytes) -> str:
    """Return the bytes of a file, a name or a path as text, which `encode` turns back unchanged.

    Bytes that are no UTF-8 become lone surrogates.
    """
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that `decode` made `text` of."""
    return text.encode("utf-8", "surrogateescape")


def module_name(path: str) -> str:
    """Return the module name of a path or file name: its base name up to the first dot, dashes as underscores."""
    return bare_name(path.rpartition("/")[2])


def bare_name(text: str) -> str:
    """Return the module name of a text that is no path: all before the first dot, dashes as underscores."""
    return text.partition(".")[0].replace("-", "_")


def normalize_name(text: str) -> str:
    """Return a module name as indexes and the kernel spell it; text with brackets is no name, and stays as it is."""
    return text if "[" in text else text.replace("-", "_")


def has_module_extension(path: str) -> bool:
    """Tell whether a file name ends like a module file's."""
    return path.endswith(EXTENSIONS)


def is_pattern(text: str) -> bool:
    """Tell whether a name, an alias or the key of a rule has any character that is special in a pattern."""
    return "*" in text or "?" in text or "[" in text or "\\" in text


def normalize_alias(text: str) -> str:
    """Return a name or an alias pattern with dashes as underscores, except inside `[...]`.

    Raises `NameSyntaxError` for an unmatched bracket.
    """
    if "[" not in text and "]" not in text:
        return text.replace("-", "_")
    pieces: list[str] = []
    at = 0
    while (start := text.find("[", at)) >= 0:
        end = text.find("]", start)
        if end < 0 or "]" in text[at:start]:
            raise NameSyntaxError(f"unmatched bracket in {text}")
        pieces += (text[at:start].replace("-", "_"), text[start : end + 1])
        at = end + 1
    if "]" in text[at:]:
        raise NameSyntaxError(f"unmatched bracket in {text}")
    return "".join(pieces) + text[at:].replace("-", "_")


def has_matched_brackets(text: str) -> bool:
    """Tell whether a text can be a name or an alias: whether `normalize_alias` takes it."""
    try:
        normalize_alias(text)
    except NameSyntaxError:
        return False
    return True


def with_underscores(text: str) -> str:
    """Return a name or an alias as `normalize_alias` does, and one with an unmatched bracket unchanged."""
    try:
        return normalize_alias(text)
    except NameSyntaxError:
        return text
