# SPDX-License-Identifier: LGPL-2.1-or-later
"""The devices that the kernel knows, by what they ask for: the modalias of each."""

from __future__ import annotations

import os

from ..errors import FileError
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .look import Look


_ROOTS = ("acpi:LNXSYSTM:", "acpi:LNXSYBUS:")
"""Modaliases of what the devices of the firmware's tables hang on."""


class DeviceAlias(Record):
    """A device of /sys/devices: its path there, and its modalias, None if it has none.

    `module` is the module of the driver that is bound to it, None for no driver and for one that is part of the kernel;
    `driver` is the driver's name. `bus` is the bus on which a driver can be bound to it, None for a device of a class
    and for an entry of the firmware's tables that stands for another device.
    """

    path: str
    modalias: str | None
    module: str | None
    driver: str | None = None
    bus: str | None = None


def device_aliases(look: Look) -> list[DeviceAlias]:
    """Return all devices that have a modalias or a driver with a module, by path. Raises `FileError`.

    It is raised for the directory of all devices; of what else cannot be read `look` knows.
    """
    found: list[DeviceAlias] = []
    for directory, names in _directories(look):
        modalias = look.text(f"{directory}/modalias") if "modalias" in names else None
        driver = look.target_name(f"{directory}/driver") if "driver" in names else None
        module = look.target_name(f"{directory}/driver/module") if "driver" in names else None
        if modalias or module:
            stands_in = driver is None and ("physical_node" in names or modalias in _ROOTS)
            bus = None if stands_in else _bus(look, directory)
            found.append(DeviceAlias(directory, modalias or None, module, driver, bus))
    return sorted(found, key=lambda device: device.path)


def modaliases(look: Look) -> list[tuple[str, str]]:
    """Return the directory and the modalias of all devices that have one, by directory; as `device_aliases` does it."""
    found = [
        (directory, look.text(f"{directory}/modalias"))
        for directory, names in _directories(look) if "modalias" in names
    ]  # fmt: skip
    return sorted([(directory, modalias) for directory, modalias in found if modalias])


def _directories(look: Look) -> Iterator[tuple[str, set[str]]]:
    """Yield the directory of all devices and those below it, each with its names. Raises `FileError` for the first.

    os.walk asks of each link whether it leads to a directory; in /sys there are as many links as directories, and every
    device has a directory `power`, which is none.
    """
    top = f"{look.sys}/devices"
    left = [top]
    while left:
        directory = left.pop()
        names: set[str] = set()
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    names.add(entry.name)
                    if entry.is_dir(follow_symlinks=False) and entry.name != "power":
                        left.append(entry.path)
        except OSError as error:
            if directory == top:
                raise FileError.of(error, top) from None
            look.note(error, directory)
        yield directory, names


def _bus(look: Look, directory: str) -> str | None:
    """Return the bus of a device. Buses are directories of /sys/bus, classes are of /sys/class."""
    *_, kind, name = ("", *(look.target(f"{directory}/subsystem") or "").split("/"))
    return name if kind == "bus" and name else None
