# SPDX-License-Identifier: LGPL-2.1-or-later
"""Messages in which the kernel tells of devices: `ACTION@DEVPATH`, then KEY=VALUE texts, each ended by a zero byte.

Source: lib/kobject_uevent.c of the kernel.
"""

from __future__ import annotations

from ..names import decode
from ..records import Record

REMOVE = "remove"
"""The word of `UEvent.action` for a device that goes away."""


class UEvent(Record):
    """What happened with a device. `path` is its directory below /sys, `modalias` None for a device without one."""

    action: str
    path: str
    subsystem: str | None
    modalias: str | None


def parse_uevent(data: bytes) -> UEvent | None:
    """Return the event in a message; None for what is none of the kernel's, udevd's own messages among it."""
    head, *pairs = data.split(b"\0")
    action, at, path = decode(head).partition("@")
    if not at or not path.startswith("/") or not action:
        return None
    fields: dict[str, str] = {}
    for pair in pairs:
        key, _, value = decode(pair).partition("=")
        fields[key] = value
    return UEvent(action, path, fields.get("SUBSYSTEM") or None, fields.get("MODALIAS") or None)
