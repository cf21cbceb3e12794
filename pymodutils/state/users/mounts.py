# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mounts of every mount namespace, and swap areas: which modules their file systems and devices belong to."""

from __future__ import annotations

import os

from ...formats.mountinfo import Mount, unescape
from ..drivers import BLOCK, names_in, text_of
from ..files import read_or_none
from .use import MOUNT, SWAP, Holding, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...roots import Roots
    from .nodes import Nodes
    from .processes import Processes, Space

_SWAP_REFERENCES = 2  # the kernel opens the device as a file, and once more to claim it


def mount_uses(roots: Roots, processes: Processes, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by mounts: of the module of the file system, and of those of the devices that it lies on."""
    seen: set[tuple[str, str, str]] = set()
    for space in processes.spaces.values():
        for mount in space.mounts:
            inside = None if space.own else space.pid
            if not space.own and _follows(mount, space, processes):
                continue
            key = (mount.device, mount.point, str(inside))
            if key in seen:
                continue
            seen.add(key)
            whose = "self" if space.own else space.pid
            evidence = f"{roots.proc}/{whose}/mountinfo:{mount.line}"
            kind = mount.type.partition(".")[0]
            lies_on = "" if mount.source in ("none", mount.type) else f" ({mount.source})"
            loses = f"{mount.point}: {mount.type}{lies_on}"
            yield Use(
                MOUNT,
                mount.point,
                (),
                (f"fs-{kind}", kind),
                evidence,
                references=1,
                shares=f"file system {mount.device}",
                loses=loses,
                subject=mount.point,
                inside=inside,
                path=mount.point,
            )
            for number in _devices(roots, mount):
                node = nodes.node(BLOCK, number)
                yield Use(
                    MOUNT,
                    mount.point,
                    node.modules,
                    node.aliases,
                    evidence,
                    references=1,
                    shares=f"mounted {number}",
                    loses=loses,
                    subject=mount.point,
                    inside=inside,
                    device=number,
                    path=mount.point,
                )


def _follows(mount: Mount, space: Space, processes: Processes) -> bool:
    """Tell whether a mount of another namespace goes when the caller's is unmounted, since its parent hears of that."""
    own = next((one for one in processes.spaces.values() if one.own), None)
    if own is None:
        return False
    parent = _parent(mount, space)
    groups = {tag.partition(":")[2] for tag in (parent.tags if parent else ())}
    for twin in own.mounts:
        if (twin.device, twin.point) == (mount.device, mount.point):
            above = _parent(twin, own)
            if above and any(tag.partition(":")[2] in groups for tag in above.tags if tag.startswith("shared:")):
                return True
    return False


def _parent(mount: Mount, space: Space) -> Mount | None:
    return next((other for other in space.mounts if other.id == mount.parent), None)


def _devices(roots: Roots, mount: Mount) -> list[str]:
    """Return the numbers of the block devices below a mount; a file system of several has none of its own."""
    if not mount.device.startswith("0:"):
        return [mount.device]
    if not mount.source.startswith("/dev/"):
        return []
    try:
        number = os.stat(mount.source).st_rdev
    except OSError:
        return []
    first = f"{os.major(number)}:{os.minor(number)}"
    return [first, *(other for other in _companions(roots, first) if other != first)]


def _companions(roots: Roots, number: str) -> Iterable[str]:
    """Return the numbers of all devices of the btrfs that a device belongs to."""
    for uuid in names_in(f"{roots.sys}/fs/btrfs"):
        place = f"{roots.sys}/fs/btrfs/{uuid}/devices"
        numbers = [text_of(f"{place}/{name}/dev") or "" for name in names_in(place)]
        if number in numbers:
            yield from numbers


def swap_uses(roots: Roots, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by swap areas."""
    try:
        lines = (read_or_none(f"{roots.proc}/swaps") or b"").splitlines()[1:]
    except OSError:
        return
    for line in lines:
        words = line.split()
        if len(words) < 2:
            continue
        path = unescape(words[0])
        evidence, loses = f"{roots.proc}/swaps", f"{path}: swap"
        if words[1] == b"file":
            yield Use(SWAP, path, (), (), evidence, loses=loses, subject=path, path=path)
            continue
        number = _number_of(roots, path)
        node = nodes.node(BLOCK, number)
        yield Use(
            SWAP,
            path,
            node.modules,
            node.aliases,
            evidence,
            references=_SWAP_REFERENCES,
            loses=loses,
            subject=path,
            device=number,
        )


def _number_of(roots: Roots, path: str) -> str:
    """Return the number of a block device: by its name in /sys, else by its node."""
    name = path.rpartition("/")[2]
    text = text_of(f"{roots.sys}/class/block/{name}/dev")
    if text:
        return text
    try:
        number = os.stat(path).st_rdev
    except OSError:
        return "0:0"
    return f"{os.major(number)}:{os.minor(number)}"


def busy_with(processes: Processes, use: Use) -> tuple[Holding, ...]:
    """Return the processes that keep a mount from being unmounted."""
    for space in processes.spaces.values():
        if space.pid == use.inside or (use.inside is None and space.own):
            return tuple(processes.below(space, use.subject))
    return ()
