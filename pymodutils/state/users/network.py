# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks: interfaces, packet hooks, queues and classifiers, rules of netfilter.

Interfaces on a bus have a link to their driver. What makes the others is known by the kind of link that netlink says
(pyroute2), or by what the driver calls itself (the ethtool ioctl). Queues and rules are known by netlink alone.
"""

from __future__ import annotations

from ...optional import load
from ...querycalls import interface_driver, socket_in
from ...shellwords import word
from ..files import module_directory
from ..interfaces import interface_names, names_by_index, read_interface
from .use import INTERFACE, NETFILTER, PACKET_HOOK, TRAFFIC_CONTROL, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from ..look import Look
    from .processes import Processes

SYS = "/sys"
ROOT_QUEUE, INGRESS_QUEUE = 0xFFFFFFFF, 0xFFFFFFF1
_FILTER_PARENTS = (0xFFFF0000, 0xFFFFFFF2, 0xFFFFFFF3)  # of ingress, and of both sides of clsact
_FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
_TABLES = {"ip_tables_names": "iptable", "ip6_tables_names": "ip6table", "arp_tables_names": "arptable"}


class NoNetlink(Exception):
    """Netlink cannot be asked: the text says why."""


def _netlink(what: str, look: Look) -> Any:
    if look.sys != SYS:
        raise NoNetlink(f"{what} are not known: this kernel is seen by its files alone")
    library = load("pyroute2")
    if library is None:
        raise NoNetlink(f"{what} are not known: the Python package pyroute2 is not installed")
    return library


def link_kinds(look: Look) -> dict[str, str]:
    """Return the kinds of links by the names of interfaces, as netlink says them. Raises `NoNetlink`."""
    library = _netlink("kinds of links", look)
    try:
        with library.IPRoute() as route:
            found = {link.get_attr("IFLA_IFNAME"): _kind(link) for link in route.get_links()}
    except (OSError, library.NetlinkError) as error:
        raise NoNetlink(f"kinds of links are not known: {error}") from None
    return {name: kind for name, kind in found.items() if kind}


def _kind(link: Any) -> str | None:
    info = link.get_attr("IFLA_LINKINFO")
    return info.get_attr("IFLA_INFO_KIND") if info else None


def interface_uses(look: Look, processes: Processes, kinds: Mapping[str, str]) -> Iterable[Use]:
    """Return the uses by interfaces of all network namespaces. They keep no module, and go with it."""
    by_index = names_by_index(look)
    for name in interface_names(look):
        found = read_interface(look, name, kinds.get(name), by_index)
        if found.modules or found.aliases:
            state = "up" if found.up else "down"
            yield Use(
                INTERFACE,
                name,
                found.modules,
                found.aliases,
                f"{look.sys}/class/net/{name}",
                loses=f"{name}: interface, {state}",
                subject=name,
                virtual=not found.modules and not found.passing,
            )
    own, *others = [*processes.network_spaces.values()] or [0]
    for pid in others if look.proc == "/proc" and own else ():
        yield from _interfaces_elsewhere(look, pid)


def _interfaces_elsewhere(look: Look, pid: int) -> Iterator[Use]:
    place = f"{look.proc}/{pid}"
    lines = (look.text(f"{place}/net/dev") or "").splitlines()[2:]
    names = [line.partition(":")[0].strip() for line in lines]
    try:
        asker = socket_in(f"{place}/ns/net")
    except OSError as error:
        look.note(error, f"{place}/ns/net")
        return
    with asker:
        for name in names:
            driver = interface_driver(name, asker)
            if driver:
                alias = driver.partition(" ")[0]
                aliases = ("8021q",) if alias == "802.1Q" else (f"rtnl-link-{alias}", alias)
                loses = f"{name}: interface of process {pid}'s network"
                yield Use(INTERFACE, name, (), aliases, f"{place}/net/dev", loses=loses, subject=name, inside=pid)


def hook_uses(look: Look, processes: Processes) -> Iterable[Use]:
    """Return the uses by packet hooks: functions of modules that see the packets of a protocol."""
    seen = set()
    for pid in processes.network_spaces.values():
        path = f"{look.proc}/{pid}/net/ptype"
        for line in (look.text(path) or "").splitlines()[1:]:
            head, bracket, module = line.rpartition("[")
            words = head.split()
            if bracket and words and line not in seen:
                seen.add(line)
                where = f" on {words[1]}" if len(words) > 2 else ""
                what = f"packets of type {words[0]}{where}"
                evidence = f"{look.proc}/net/ptype"
                yield Use(PACKET_HOOK, what, (module.rstrip("] "),), (), evidence, loses=f"{words[-1]}: {what}")
    bridge = f"{look.proc}/sys/net/bridge"
    if look.is_directory(bridge):
        what = "bridged packets"
        yield Use(PACKET_HOOK, what, ("br_netfilter",), (), bridge, loses=f"netfilter of {what}")


# --- queues and classifiers


def traffic_uses(look: Look) -> Iterable[Use]:
    """Return the uses by queueing disciplines, classifiers and actions of this network. Raises `NoNetlink`."""
    path = f"{look.proc}/sys/net/core/default_qdisc"
    default = look.text(path)
    if default:
        what = f"default of new queues ({default})"
        yield _traffic(f"sch_{default}", what, path, f"{default}: queues of new interfaces", "")
    library = _netlink("queues and classifiers", look)
    try:
        with library.IPRoute() as route:
            names = {link["index"]: link.get_attr("IFLA_IFNAME") for link in route.get_links()}
            queues = list(route.get_qdiscs())
            for queue in queues:
                yield _queue(queue, names)
            for index in names:
                parents = {*_FILTER_PARENTS, *(queue["handle"] for queue in queues if queue["index"] == index)}
                for parent in sorted(parents):
                    yield from _filters(route, library, index, parent, names[index])
    except (OSError, library.NetlinkError) as error:
        raise NoNetlink(f"queues and classifiers are not known: {error}") from None


def _traffic(module: str, what: str, evidence: str, loses: str, subject: str) -> Use:
    aliases = (module, f"net-{module.replace('_', '-', 1)}")
    return Use(TRAFFIC_CONTROL, what, (), aliases, evidence, references=1, loses=loses, subject=subject)


def _queue(queue: Any, names: Mapping[int, str]) -> Use:
    kind, device = queue.get_attr("TCA_KIND"), names.get(queue["index"], "?")
    parent = queue["parent"]
    handle = f"{parent >> 16:x}:{parent & 0xFFFF:x}"
    place = {ROOT_QUEUE: "root", INGRESS_QUEUE: word(str(kind))}.get(parent, f"parent {handle}")
    subject = f"qdisc del dev {_words(device)} {place}"
    if not queue["handle"] or not parent >> 16:  # made by the kernel itself, and not to be deleted
        subject = f"qdisc replace dev {_words(device)} root pfifo_fast"
    return _traffic(f"sch_{kind}", f"{kind} on {device}", "netlink", f"{kind}: queue of {device}", subject)


def _filters(route: Any, library: Any, index: int, parent: int, device: str) -> Iterator[Use]:
    try:
        filters = list(route.get_filters(index=index, parent=parent))
    except library.NetlinkError:  # no such queue, or one without classes
        return
    for entry in filters:
        kind = entry.get_attr("TCA_KIND")
        handle = f"{parent >> 16:x}:{parent & 0xFFFF:x}"
        place = {0xFFFF0000: "ingress", 0xFFFFFFF2: "ingress", 0xFFFFFFF3: "egress"}.get(parent, f"parent {handle}")
        subject = f"filter del dev {_words(device)} {place}"
        if kind:
            what = f"{kind} on {device}"
            yield _traffic(f"cls_{kind}", what, "netlink", f"{kind}: classifier of {device}", subject)
        for action in {*_values(entry, "TCA_ACT_KIND")}:
            what = f"{action} on {device}"
            yield _traffic(f"act_{action}", what, "netlink", f"{action}: action of {device}", subject)


def _values(message: Any, wanted: str) -> Iterator[Any]:
    """Return the values of all attributes of a name in a message, however deep."""
    if isinstance(message, list):
        for part in message:
            yield from _values(part, wanted)
    for name, value in message.get("attrs", ()) if isinstance(message, dict) else ():
        if name == wanted:
            yield value
        yield from _values(value, wanted)


# --- netfilter


def netfilter_uses(look: Look, processes: Processes) -> Iterable[Use]:
    """Return the uses by rules: of nftables, and tables of iptables. Raises `NoNetlink`."""
    for pid in processes.network_spaces.values():
        for file, start in _TABLES.items():
            path = f"{look.proc}/{pid}/net/{file}"
            for name in (look.text(path) or "").split():
                what = f"table {name} of {start.removesuffix('able')}ables"
                yield Use(NETFILTER, what, (f"{start}_{name}",), (), f"{look.proc}/net/{file}", loses=what)
    if not _is_there(look, "nf_tables"):  # to ask for its rules would load it
        return
    library = _netlink("rules of netfilter", look)
    main = load("pyroute2.nftables.main")
    if main is None:
        raise NoNetlink("rules of netfilter are not known: the Python package pyroute2 has no nftables")
    try:
        with main.NFTables(nfgen_family=0) as tables:
            yield from _rules(tables)
    except (OSError, library.NetlinkError) as error:
        raise NoNetlink(f"rules of netfilter are not known: {error}") from None


def _is_there(look: Look, name: str) -> bool:
    """Tell whether a module is loaded or builtin."""
    builtin = (look.text(f"{module_directory(look.roots)}/modules.builtin") or "").splitlines()
    return look.is_directory(f"{look.sys}/module/{name}") or any(line.endswith(f"/{name}.ko") for line in builtin)


def _rules(tables: Any) -> Iterator[Use]:
    for table in tables.get_tables():
        what = f"table {_family(table)} {table.get_attr('NFTA_TABLE_NAME')}"
        yield _rule(what, ("nf_tables",), _words("table", _family(table), table.get_attr("NFTA_TABLE_NAME")), 0)
    for chain in tables.get_chains():
        family, kind = _family(chain), chain.get_attr("NFTA_CHAIN_TYPE")
        table, name = chain.get_attr("NFTA_CHAIN_TABLE"), chain.get_attr("NFTA_CHAIN_NAME")
        if kind and kind != "filter":
            loaders = (f"nft-chain-{chain['nfgen_family']}-{kind}", f"nft_chain_{kind}")
            yield _rule(f"chain {family} {table} {name}", loaders, _words("chain", family, table, name), 1)
    for rule in tables.get_rules():
        family, table, chain = _family(rule), rule.get_attr("NFTA_RULE_TABLE"), rule.get_attr("NFTA_RULE_CHAIN")
        where = f"in chain {family} {table} {chain}"
        subject = _words("rule", family, table, chain, "handle", rule.get_attr("NFTA_RULE_HANDLE"))
        for expression in _values(rule, "NFTA_EXPR_NAME"):
            aliases = (f"nft-expr-{rule['nfgen_family']}-{expression}", f"nft-expr-{expression}", f"nft_{expression}")
            yield _rule(f"{expression} {where}", aliases, subject, 1)
        for extension in {*_values(rule, "NFTA_MATCH_NAME"), *_values(rule, "NFTA_TARGET_NAME")}:
            text = (extension.decode() if isinstance(extension, bytes) else str(extension)).rstrip("\0")
            yield _rule(f"{text} {where}", (f"xt_{text}", f"ipt_{text}"), subject, 1)


def _words(*words: object) -> str:
    """Return words of a command for a shell, whatever is in the names."""
    return " ".join([word(str(one)) for one in words])


def _family(message: Any) -> str:
    return _FAMILIES.get(message["nfgen_family"], str(message["nfgen_family"]))


def _rule(what: str, aliases: tuple[str, ...], subject: str, references: int) -> Use:
    return Use(NETFILTER, what, (), aliases, "netlink", references=references, loses=what, subject=subject)
