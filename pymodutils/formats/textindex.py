# SPDX-License-Identifier: LGPL-2.1-or-later
"""The text files of a module directory: modules.dep, modules.builtin, modules.builtin.modinfo, modules.devname.

Source: docs/behaviour/2-formats.md, "Text files written by depmod".
"""

from __future__ import annotations

from ..names import decode, encode
from ..records import Record
from .conflines import fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .modinfo import Field


class DeviceNode(Record):
    """A line of modules.devname: a device file whose first use loads a module.

    `name` is its path below /dev; `kind` is `c` for a character device, `b` for a block device.
    """

    module: str
    name: str
    kind: str
    major: int
    minor: int


def parse_dep_line(line: str) -> tuple[str, list[str]] | None:
    """Return a module's path and those of its dependencies (the last loads first); None for a line without a colon."""
    path, colon, rest = line.partition(":")
    return (path, fields(rest)) if colon else None


def parse_builtin_modinfo(data: bytes) -> dict[str, list[Field]]:
    """Return the strings of modules.builtin.modinfo, each `module.key=value`, by module."""
    from .modinfo import Field

    found: dict[str, list[Field]] = {}
    for string in data.split(b"\0"):
        module, dot, rest = decode(string).partition(".")
        if dot:
            key, _, value = rest.partition("=")
            found.setdefault(module, []).append(Field(key, value))
    return found


def builtin_fields(data: bytes, name: str) -> list[Field]:
    """Return the strings of one module in modules.builtin.modinfo, without looking at the others."""
    from .modinfo import Field  # here, because modprobe never asks

    marker = b"\0" + encode(name) + b"."
    data = b"\0" + data
    fields = []
    at = data.find(marker)
    while at >= 0:
        end = data.find(b"\0", at + 1)
        end = len(data) if end < 0 else end
        key, _, value = decode(data[at + len(marker) : end]).partition("=")
        fields.append(Field(key, value))
        at = data.find(marker, end)
    return fields


def parse_devname_line(line: str) -> DeviceNode | None:
    """Return what a line `MODULE NODE cMAJOR:MINOR` (or `b`) says; None for any other line."""
    words = fields(line)
    if len(words) < 3 or words[2][:1] not in ("c", "b"):
        return None
    major, _colon, minor = words[2][1:].partition(":")
    if not (_is_number(major) and _is_number(minor)):
        return None
    return DeviceNode(words[0], words[1], words[2][0], int(major), int(minor))


def _is_number(text: str) -> bool:
    """Tell whether the text is digits, of a number that fits a device number."""
    return text.isdecimal() and text.isascii() and len(text) <= 10


def devname_lines(data: bytes) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line of modules.devname that is neither a comment nor empty."""
    for number, line in enumerate(decode(data).split("\n"), 1):
        if line and not line.startswith("#"):
            yield number, line
