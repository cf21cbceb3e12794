# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network interfaces as /sys/class/net shows them, and which modules make them."""

from __future__ import annotations

from ..records import Record
from ..syscalls import interface_driver
from .drivers import driver_modules, names_in, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

_UP = 0x1


class Interface(Record):
    """One network interface.

    `modules` are those that links of /sys name, the nearest first; `aliases` stand for others. `lower` are the
    interfaces below it: ports of a bridge, members of a bond, what a VLAN lies on. `driver` is what the driver calls
    itself.
    """

    name: str
    up: bool
    modules: tuple[str, ...]
    aliases: tuple[str, ...]
    lower: tuple[str, ...]
    driver: str | None


def interface_names(roots: Roots) -> list[str]:
    """Return the names of the interfaces in the network namespace that /sys shows."""
    return [name for name in names_in(f"{roots.sys}/class/net") if name != "bonding_masters"]


def read_interface(roots: Roots, name: str, kind: str | None = None) -> Interface:
    """Return an interface; `kind` is that of its link, where netlink has said it."""
    place = f"{roots.sys}/class/net/{name}"
    modules = driver_modules(roots, f"{place}/device") if text_of(f"{place}/device/uevent") is not None else ()
    aliases = []
    driver = interface_driver(name) if roots.sys == "/sys" else None
    for word in (kind, _device_type(place), driver if not modules else None):
        if word and " " not in word and word not in aliases:
            aliases += [f"rtnl-link-{word}", word]
    if driver and driver.startswith("802.1Q"):
        aliases.append("8021q")
    flags = text_of(f"{place}/flags") or "0"
    lower = [entry.removeprefix("lower_") for entry in names_in(place) if entry.startswith("lower_")]
    try:
        up = bool(int(flags, 16) & _UP)
    except ValueError:
        up = False
    return Interface(name, up, modules, tuple(dict.fromkeys(aliases)), tuple(lower), driver)


def _device_type(place: str) -> str | None:
    lines = (text_of(f"{place}/uevent") or "").splitlines()
    return next((line[len("DEVTYPE=") :] for line in lines if line.startswith("DEVTYPE=")), None)
