# SPDX-License-Identifier: LGPL-2.1-or-later
"""The devices that the kernel knows, by what they ask for: the modalias of each."""

from __future__ import annotations

import os

from ..errors import Error, FileError
from ..names import decode
from ..records import Record
from .files import read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots


class DeviceAlias(Record):
    """A device of /sys/devices: its path there, and its modalias, None if it has none.

    `module` is the module of the driver that is bound to it, None for no driver and for one that is part of the kernel.
    """

    path: str
    modalias: str | None
    module: str | None


def device_aliases(roots: Roots) -> list[DeviceAlias]:
    """Return all devices that have a modalias or a driver with a module, by path. Raises `FileError`."""
    top = f"{roots.sys}/devices"
    found: list[DeviceAlias] = []

    def fail(error: OSError) -> None:
        if error.filename == top:
            raise FileError.of(error, top)

    for directory, _names, files in os.walk(top, onerror=fail):
        modalias = _text(f"{directory}/modalias") if "modalias" in files else None
        module = _module(directory)
        if modalias or module:
            found.append(DeviceAlias(directory, modalias or None, module))
    return sorted(found, key=lambda device: device.path)


def _text(path: str) -> str | None:
    try:
        data = read_or_none(path)
    except Error:  # a device that went away
        return None
    return None if data is None else decode(data).strip()


def _module(directory: str) -> str | None:
    try:
        return os.readlink(f"{directory}/driver/module").rpartition("/")[2]
    except OSError:
        return None
