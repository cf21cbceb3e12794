# SPDX-License-Identifier: LGPL-2.1-or-later
"""Soft dependencies, as a module's `softdep` string and modprobe.d's softdep lines write them.

Source: include/linux/module.h (MODULE_SOFTDEP); docs/behaviour/2-formats.md, "modprobe.d grammar".
"""

from __future__ import annotations

from ..records import Record
from .conflines import words


class Softdep(Record):
    """Soft dependencies: the modules wanted before a module, and those wanted after it."""

    pre: tuple[str, ...]
    post: tuple[str, ...]


def parse_softdep(text: str) -> Softdep:
    """Return what `pre: a b post: c` asks for, in the spelling that it has.

    Words before either label are ignored, and a label may come more than once.
    """
    wanted: dict[str, list[str]] = {"pre:": [], "post:": []}
    names: list[str] = []  # of no label
    for word in words(text):
        if word in wanted:
            names = wanted[word]
        else:
            names.append(word)
    return Softdep(tuple(wanted["pre:"]), tuple(wanted["post:"]))
