# SPDX-License-Identifier: LGPL-2.1-or-later
"""Network interfaces as /sys/class/net shows them, and which modules make them."""

from __future__ import annotations

from ..querycalls import interface_driver
from ..records import Record
from .drivers import driver_modules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .look import Look

_UP = 0x1
_PERSISTENT = 0x0800  # IFF_PERSIST of a tun device


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
    passing: bool = False


def interface_names(look: Look) -> list[str]:
    """Return the names of the interfaces in the network namespace that /sys shows."""
    return [name for name in look.names(f"{look.sys}/class/net") if name != "bonding_masters"]


def names_by_index(look: Look) -> dict[str, str]:
    """Return the names of the interfaces by their numbers, which are those that `iflink` of another one has."""
    found = {look.text(f"{look.sys}/class/net/{name}/ifindex"): name for name in reversed(interface_names(look))}
    return {index: name for index, name in found.items() if index}


def read_interface(
    look: Look, name: str, kind: str | None = None, by_index: Mapping[str, str] | None = None
) -> Interface:
    """Return an interface; `kind` is that of its link, where netlink has said it.

    `by_index` is what `names_by_index` returns, for those who ask about many interfaces.
    """
    place = f"{look.sys}/class/net/{name}"
    modules = driver_modules(look, f"{place}/device") if look.text(f"{place}/device/uevent") is not None else ()
    aliases = []
    driver = interface_driver(name) if look.sys == "/sys" else None
    for word in (kind, _device_type(look, place), driver if not modules else None):
        if word and " " not in word and word not in aliases:
            aliases += [f"rtnl-link-{word}", word]
    if driver and driver.startswith("802.1Q"):
        aliases.append("8021q")
    lower = [entry.removeprefix("lower_") for entry in look.names(place) if entry.startswith("lower_")]
    tun_flags = _flags(look, f"{place}/tun_flags")
    return Interface(
        name,
        up=bool((_flags(look, f"{place}/flags") or 0) & _UP),
        modules=modules,
        aliases=tuple(dict.fromkeys(aliases)),
        lower=tuple(lower),
        driver=driver,
        passing=(tun_flags is not None and not tun_flags & _PERSISTENT) or _is_second_end(look, place, by_index),
    )


def _is_second_end(look: Look, place: str, by_index: Mapping[str, str] | None) -> bool:
    """Tell whether an interface is the younger end of a pair of which both are here."""
    index, other = look.text(f"{place}/ifindex") or "", look.text(f"{place}/iflink") or ""
    if not index.isdecimal() or not other.isdecimal() or int(other) >= int(index):
        return False
    name = (names_by_index(look) if by_index is None else by_index).get(other)
    return name is not None and look.text(f"{look.sys}/class/net/{name}/iflink") == index


def _flags(look: Look, path: str) -> int | None:
    try:
        return int(look.text(path) or "", 16)
    except ValueError:
        return None


def _device_type(look: Look, place: str) -> str | None:
    lines = (look.text(f"{place}/uevent") or "").splitlines()
    return next((line[len("DEVTYPE=") :] for line in lines if line.startswith("DEVTYPE=")), None)
