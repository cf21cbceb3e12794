# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which modules drive a device: what /sys shows by links, and what has to be asked of the indexes.

Some modules have no link below the devices that they make (loop, tun, fuse): such a device is known by the aliases that
would load its module.
"""

from __future__ import annotations

import os

from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .look import Look

CHARACTER, BLOCK = "char", "block"
"""Kinds of device numbers, as /sys/dev has them."""

_BLOCK_NAMES = {"dm-": "dm_mod", "md": "md_mod", "loop": "loop", "nbd": "nbd", "zram": "zram", "ram": "brd",
                "bcache": "bcache", "drbd": "drbd", "rbd": "rbd"}  # fmt: skip
"""Beginnings of names of block devices that no driver link leads away from, and their modules."""

_DM_KINDS = {"CRYPT": "dm-crypt", "mpath": "dm-multipath", "LVM": "dm-mod"}
"""Beginnings of a mapping's uuid, and the alias of what it is made by."""

_DEEPEST = 32


class Driven(Record):
    """A device and what drives it.

    `modules` are those that links name, the nearest to the device first; `aliases` stand for others.
    """

    name: str
    modules: tuple[str, ...]
    aliases: tuple[str, ...]


def is_number(text: str) -> bool:
    """Tell whether a text is the number of a device, MAJOR:MINOR."""
    major, colon, minor = text.partition(":")
    return bool(colon) and major.isdecimal() and minor.isdecimal()


def device_directory(look: Look, kind: str, number: str) -> str | None:
    """Return the directory of a device of /sys by its number MAJOR:MINOR; None when there is none."""
    if not is_number(number):
        return None
    directory = os.path.realpath(f"{look.sys}/dev/{kind}/{number}")
    return directory if look.is_directory(directory) else None


def driver_modules(look: Look, directory: str) -> tuple[str, ...]:
    """Return the modules of the drivers of a device and of all that it hangs on, the nearest first."""
    directory, top = os.path.realpath(directory), os.path.realpath(look.sys)
    found: dict[str, None] = {}
    while directory.startswith(f"{top}/"):
        for link in (f"{directory}/driver/module", f"{directory}/device/driver/module"):
            name = look.target_name(link)
            if name:
                found[name] = None
        directory = os.path.dirname(directory)
    return tuple(found)


def block_stack(look: Look, number: str) -> list[Driven]:
    """Return a block device, by its number, and all those below it: what it maps, mirrors or is a partition of."""
    directory = device_directory(look, BLOCK, number)
    found: dict[str, Driven] = {}
    if directory:
        _add_stack(look, directory, found, _DEEPEST)
    return list(found.values())


def _add_stack(look: Look, directory: str, found: dict[str, Driven], room: int) -> None:
    if look.has(f"{directory}/partition"):
        directory = os.path.dirname(directory)
    name = os.path.basename(directory)
    if name in found or not room:
        return
    found[name] = Driven(name, driver_modules(look, directory), block_aliases(look, directory))
    for slave in look.names(f"{directory}/slaves"):
        _add_stack(look, os.path.realpath(f"{directory}/slaves/{slave}"), found, room - 1)


def block_aliases(look: Look, directory: str) -> tuple[str, ...]:
    """Return the aliases of a block device's modules: by its number, by its name, by how it maps or mirrors others."""
    name = os.path.basename(directory)
    aliases = [module for start, module in _BLOCK_NAMES.items() if name.startswith(start) and _is_numbered(name, start)]
    number = look.text(f"{directory}/dev")
    if number:
        aliases.append(f"block-major-{number.replace(':', '-')}")
    mapping = (look.text(f"{directory}/dm/uuid") or "").partition("-")[0]
    if mapping in _DM_KINDS:
        aliases.append(_DM_KINDS[mapping])
    level = look.text(f"{directory}/md/level")
    if level:
        aliases += [f"md-{level}", f"md-level-{level.removeprefix('raid')}"]
    return tuple(aliases)


def _is_numbered(name: str, start: str) -> bool:
    return name[len(start) : len(start) + 1].isdigit() or name[len(start) :].startswith("_d")
