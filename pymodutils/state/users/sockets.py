# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sockets by protocol, and how TCP controls congestion: which modules they belong to, and whose they are.

The kernel shows the protocol of any process's socket as an extended attribute of its descriptor, under the name that
/proc/net/protocols has. That needs no permission to trace the process, and is known for CAN and the crypto sockets, for
which SO_PROTOCOL answers 0. Only the congestion control has to be asked of the socket itself.
"""

from __future__ import annotations

import os

from ...names import decode
from ...querycalls import borrow_descriptor
from .use import CONGESTION_CONTROL, SOCKET, Holding, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look
    from .processes import Processes

_KERNEL = "kernel"
_TCP = ("TCP", "TCPv6", "MPTCP", "MPTCPv6")
_TCP_MODULE = "tcp_"
_CRYPTO, _ALGORITHMS = "ALG", "algif_"
_REFERENCES_OF_A_SOCKET = {"CAN_RAW": 1, "CAN_BCM": 1, "CAN_J1939": 1}
"""References that a socket takes where it is not two: one for the socket, one for its protocol."""


def socket_uses(look: Look, processes: Processes, names: frozenset[str] | None) -> Iterable[Use]:
    """Return a use for each protocol of a module that has sockets, in each network namespace."""
    found: dict[str, tuple[str, int]] = {}
    for pid in processes.network_spaces.values():
        for protocol, module, count in _protocols(look, pid):
            found[protocol] = (module, found.get(protocol, ("", 0))[1] + count)
    wanted = [protocol for protocol, (module, _) in found.items() if names is None or module in names]
    held = _by_protocol(processes) if wanted else {}
    for protocol in wanted:
        module, count = found[protocol]
        sockets = held.get(protocol, {})
        count = max(count, len(sockets))  # some protocols do not count
        if count:
            holdings = tuple([holding for same in sockets.values() for holding in same])
            yield Use(
                SOCKET,
                f"{count} {protocol} {'socket' if count == 1 else 'sockets'}",
                (module,),
                (),
                f"{look.proc}/net/protocols",
                references=count * _REFERENCES_OF_A_SOCKET.get(protocol, 2),
                holdings=holdings,
            )
    yield from _algorithm_uses(look, processes, names)


def _algorithm_uses(look: Look, processes: Processes, names: frozenset[str] | None) -> Iterable[Use]:
    """Return the uses of algif modules by crypto sockets that are bound.

    The kernel does not show which type of algorithm a socket is bound to, but nothing else takes a reference of these.
    """
    used = [name for name in look.names(f"{look.sys}/module") if name.startswith(_ALGORITHMS)]
    used = [name for name in used if look.text(f"{look.sys}/module/{name}/refcnt") not in (None, "0")]
    wanted = [name for name in used if names is None or name in names]
    sockets = _by_protocol(processes).get(_CRYPTO, {}) if wanted else {}
    holdings = tuple([holding for same in sockets.values() for holding in same])
    for name in wanted if sockets else ():
        yield Use(
            SOCKET,
            f"some of {len(sockets)} {_CRYPTO} sockets" if len(sockets) > 1 else f"1 {_CRYPTO} socket",
            (name,),
            (),
            f"{look.sys}/module/{name}/refcnt",
            references=len(sockets),
            holdings=holdings if len(used) == 1 else (),
        )


def _protocols(look: Look, pid: int) -> Iterable[tuple[str, str, int]]:
    """Return the protocols of modules: name, module, number of sockets."""
    for line in (look.text(f"{look.proc}/{pid}/net/protocols") or "").splitlines()[1:]:
        words = line.split()
        if len(words) > 7 and words[7] != _KERNEL:
            yield words[0], words[7], int(words[2]) if words[2].isdecimal() else 0


def _by_protocol(processes: Processes) -> dict[str, dict[str, list[Holding]]]:
    """Return the descriptors of all sockets, by the name of their protocol and by socket."""
    found: dict[str, dict[str, list[Holding]]] = {}
    for socket_name, holding in processes.sockets:
        protocol = protocol_of(f"{processes.proc}/{holding.pid}/fd/{holding.fd}")
        if protocol:
            found.setdefault(protocol, {}).setdefault(socket_name, []).append(holding)
    return found


def protocol_of(path: str) -> str | None:
    """Return the protocol of the socket that a descriptor's entry in /proc leads to; None when it cannot be told."""
    try:
        return decode(os.getxattr(path, "system.sockprotoname")).rstrip("\0") or None
    except OSError:
        return None


def congestion_uses(look: Look, processes: Processes, names: frozenset[str] | None) -> Iterable[Use]:
    """Return the uses of modules of congestion control: the default of new connections, and TCP sockets."""
    ipv4 = f"{look.proc}/sys/net/ipv4"
    available = (look.text(f"{ipv4}/tcp_available_congestion_control") or "").split()
    default = look.text(f"{ipv4}/tcp_congestion_control")
    other = next((name for name in ("cubic", "reno") if name in available and name != default), "reno")
    wanted = {name for name in available if names is None or _TCP_MODULE + name in names}
    if default in wanted:
        yield Use(
            CONGESTION_CONTROL,
            f"default of new connections ({default})",
            (),
            (_TCP_MODULE + str(default),),
            f"{ipv4}/tcp_congestion_control",
            references=1,
            loses=f"{default}: congestion control of new connections",
            subject=other,
        )
    if not wanted or names is None:
        return
    held: dict[str, list[Holding]] = {}
    counts: dict[str, int] = {}
    by_protocol = _by_protocol(processes)
    for holdings in [same for protocol in _TCP for same in by_protocol.get(protocol, {}).values()]:
        name = _congestion_control(holdings[0])
        if name in wanted:
            held.setdefault(name, []).extend(holdings)
            counts[name] = counts.get(name, 0) + 1
    for name, holdings in held.items():
        yield Use(
            CONGESTION_CONTROL,
            f"{counts[name]} TCP {'socket' if counts[name] == 1 else 'sockets'} ({name})",
            (),
            (_TCP_MODULE + name,),
            "TCP_CONGESTION",
            references=counts[name],
            holdings=tuple(holdings),
        )


def _congestion_control(holding: Holding) -> str | None:
    import socket  # which is slow to import

    try:
        with socket.socket(fileno=borrow_descriptor(holding.pid, holding.fd or 0)) as copy:
            return decode(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).partition(b"\0")[0])
    except OSError:
        return None
