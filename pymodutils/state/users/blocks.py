# SPDX-License-Identifier: LGPL-2.1-or-later
"""Block devices that stand on files or on other block devices: loop, device-mapper, md."""

from __future__ import annotations

import os

from ...querycalls import mapping_targets
from ..drivers import BLOCK
from .use import DEVICE_MAPPER, LOOP, MD, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look
    from .nodes import Nodes

_OWN_TARGETS = ("linear", "striped", "error")
"""Kinds of targets that are parts of dm_mod; each takes a reference of its module."""


def block_uses(look: Look, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by block devices that are set up."""
    for name in look.names(f"{look.sys}/block"):
        place = f"{look.sys}/block/{name}"
        number = look.text(f"{place}/dev") or ""
        file = look.text(f"{place}/loop/backing_file")
        if file is not None:
            yield _loop(place, name, number, file)
        elif look.is_directory(f"{place}/dm"):
            yield from _mapping(look, nodes, place, number)
        elif look.is_directory(f"{place}/md"):
            yield from _array(look, nodes, place, name, number)


def _loop(place: str, name: str, number: str, file: str) -> Use:
    node = f"/dev/{name}"
    evidence = f"{place}/loop/backing_file"
    return Use(
        LOOP, node, ("loop",), (), evidence, references=1, loses=f"{name}: {file}", subject=node, provides=number,
        path=file,
    )  # fmt: skip


def _mapping(look: Look, nodes: Nodes, place: str, number: str) -> Iterable[Use]:
    """Return the uses by a mapping: of dm_mod, of the modules of its targets, and of the devices below it."""
    name = look.text(f"{place}/dm/name") or os.path.basename(place)
    targets = (mapping_targets(name) if look.sys == "/sys" else None) or _targets_by_uuid(look, place)
    own = [target for target in targets if target in _OWN_TARGETS]
    base = Use(
        DEVICE_MAPPER, name, ("dm_mod",), (), f"{place}/dm", references=1 + len(own),
        loses=f"{name}: mapping of device-mapper", subject=name, provides=number,
    )  # fmt: skip
    yield base
    for target in dict.fromkeys(targets):
        if target not in _OWN_TARGETS:
            aliases, references = (f"dm-{target}", f"dm-{target}-pool"), targets.count(target)
            yield base.replace(modules=(), aliases=aliases, references=references)
    yield from _slaves(look, base, nodes, place)


def _targets_by_uuid(look: Look, place: str) -> list[str]:
    start = (look.text(f"{place}/dm/uuid") or "").partition("-")[0]
    return {"CRYPT": ["crypt"], "mpath": ["multipath"]}.get(start, [])


def _array(look: Look, nodes: Nodes, place: str, name: str, number: str) -> Iterable[Use]:
    """Return the uses by an array: of md_mod, of the module of its level, and of its members."""
    level = look.text(f"{place}/md/level") or ""
    base = Use(
        MD, f"/dev/{name}", ("md_mod",), (), f"{place}/md", loses=f"{name}: array", subject=f"/dev/{name}",
        provides=number,
    )  # fmt: skip
    yield base
    if level:
        aliases = (f"md-{level}", f"md-level-{level.removeprefix('raid')}")
        yield base.replace(modules=(), aliases=aliases, evidence=f"{place}/md/level", references=1)
    yield from _slaves(look, base, nodes, place)


def _slaves(look: Look, base: Use, nodes: Nodes, place: str) -> Iterable[Use]:
    for slave in look.names(f"{place}/slaves"):
        number = look.text(f"{place}/slaves/{slave}/dev") or ""
        node = nodes.node(BLOCK, number)
        evidence = f"{place}/slaves/{slave}"
        yield base.replace(modules=node.modules, aliases=node.aliases, evidence=evidence, references=1, device=number)
