# SPDX-License-Identifier: LGPL-2.1-or-later
"""/proc/net/route and /proc/net/ipv6_route: over which interface an address is reached.

Source: net/ipv4/fib_trie.c (fib_route_seq_show), net/ipv6/route.c (rt6_info_route). Both show the main table only.
"""

from __future__ import annotations

import sys

from ..names import decode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    _Route = tuple[int, int, int, str]  # destination, length of the prefix, metric, interface

_REJECT = 0x0200  # flag of a route that leads nowhere


def interface_for(address: str, ipv4_routes: bytes, ipv6_routes: bytes) -> str | None:
    """Return the interface over which an address is reached; None when that is not known.

    An address with a zone (`fe80::1%eth0`) names its interface. Of a loopback address nothing is known.
    """
    from ipaddress import IPv4Address, IPv6Address, ip_address  # here, because most have no address to look for

    text, _, zone = address.partition("%")
    if zone:
        return zone
    try:
        wanted = ip_address(text)
    except ValueError:
        return None
    if isinstance(wanted, IPv6Address) and wanted.ipv4_mapped:
        wanted = wanted.ipv4_mapped
    if wanted.is_loopback:
        return None
    version_4 = isinstance(wanted, IPv4Address)
    routes = _ipv4(ipv4_routes) if version_4 else _ipv6(ipv6_routes)
    bits = 32 if version_4 else 128
    fitting = [
        (-length, metric, interface)
        for destination, length, metric, interface in routes
        if length <= bits and (int(wanted) ^ destination) >> (bits - length) == 0 and interface != "lo"
    ]
    return min(fitting)[2] if fitting else None


def _ipv4(data: bytes) -> Iterator[_Route]:
    for line in decode(data).splitlines()[1:]:
        words = line.split()
        try:
            if not int(words[3], 16) & _REJECT:
                length = int(words[7], 16).bit_count()
                yield _word(words[1]), length, int(words[6]), words[0]
        except (IndexError, ValueError):
            continue


def _word(text: str) -> int:
    """Return an address of /proc/net/route, which has it as the processor has the four bytes."""
    return int.from_bytes(bytes.fromhex(text), sys.byteorder)


def _ipv6(data: bytes) -> Iterator[_Route]:
    for line in decode(data).splitlines():
        words = line.split()
        try:
            if not int(words[8], 16) & _REJECT:
                yield int(words[0], 16), int(words[1], 16), int(words[5], 16), words[9]
        except (IndexError, ValueError):
            continue
