# SPDX-License-Identifier: LGPL-2.1-or-later
"""The `.modinfo` section: NUL-separated `key=value` strings, and what their values mean.

Source: include/linux/moduleparam.h and include/linux/module.h (MODULE_INFO and friends);
docs/behaviour/2-formats.md, "Module files".
"""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_set = object.__setattr__

MOST_STRINGS = 1 << 18
"""Strings of one module; Debian's longest list of aliases has a hundredth of them."""


PARAMETER_KEYS: tuple[str, str] = ("parm", "parmtype")
"""Keys of the strings that `parse_parameters` joins."""


class Field(Record):
    """One string of .modinfo; `value` is empty when the string has no `=`."""

    key: str
    value: str

    def __init__(self, key: str, value: str) -> None:  # in a third of the time: there are twenty to a module
        _set(self, "key", key)
        _set(self, "value", value)


class Parameter(Record):
    """A module parameter; `type` and `description` are None when the module does not state them."""

    name: str
    type: str | None
    description: str | None


def split_modinfo(section: bytes) -> list[tuple[str, str]]:
    """Return key and value of all strings of a .modinfo section, in file order.

    Several NULs count as one, and the last may be missing. Raises `FormatError` for more than MOST_STRINGS.
    """
    if section.count(b"\0") > MOST_STRINGS:
        raise FormatError(f".modinfo has more than {MOST_STRINGS} strings")
    return [(key, value) for key, _, value in [text.partition("=") for text in decode(section).split("\0") if text]]


def parse_modinfo(section: bytes) -> list[Field]:
    """Return all strings of a .modinfo section, as `split_modinfo` does. Raises `FormatError`."""
    return [Field(key, value) for key, value in split_modinfo(section)]


def parse_parameters(fields: Iterable[Field], on_malformed: Callable[[Field], object] | None = None) -> list[Parameter]:
    """Return the module's parameters in order of first appearance, `parm` and `parmtype` strings joined by name.

    A `parm` string is `NAME:DESCRIPTION`, a `parmtype` string `NAME:TYPE`, and the last of each counts. One without a
    colon is left out, and `on_malformed` gets it.
    """
    known: dict[str, dict[str, str]] = {}
    for field in fields:
        if field.key in PARAMETER_KEYS:
            name, colon, text = field.value.partition(":")
            if colon:
                known.setdefault(name, {})[field.key] = text
            elif on_malformed:
                on_malformed(field)
    return [Parameter(name, texts.get("parmtype"), texts.get("parm")) for name, texts in known.items()]


def names_list(text: str) -> list[str]:
    """Return the names in a comma- or space-separated list (`depends`, `weakdep`, `import_ns`)."""
    return text.replace(",", " ").split()
