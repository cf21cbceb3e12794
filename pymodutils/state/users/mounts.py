# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mounts of every mount namespace, and swap areas: which modules their file systems and devices belong to."""

from __future__ import annotations

from ...formats.mountinfo import Mount, unescape
from ..drivers import BLOCK
from .use import MOUNT, SWAP, Holding, Use

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..look import Look
    from .nodes import Nodes
    from .processes import Processes, Space

_SWAP_REFERENCES = 2  # the kernel opens the device as a file, and once more to claim it


def mount_uses(look: Look, processes: Processes, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by mounts: of the module of the file system, and of those of the devices that it lies on."""
    followers = _Followers(processes)
    for space in processes.spaces.values():
        following = set() if space.own else {mount.line for mount in followers.of(space)}
        counted: set[tuple[str, str]] = set()
        for mount in space.mounts:
            key = mount.device, mount.point
            if mount.line not in following and key not in counted:
                counted.add(key)
                yield from _uses_of(mount, space, look, nodes)


def _uses_of(mount: Mount, space: Space, look: Look, nodes: Nodes) -> Iterable[Use]:
    whose = "self" if space.own else space.pid
    kind = mount.type.partition(".")[0]
    lies_on = "" if mount.source in ("none", mount.type) else f" ({mount.source})"
    use = Use(
        MOUNT,
        mount.point,
        (),
        (f"fs-{kind}", kind),
        f"{look.proc}/{whose}/mountinfo:{mount.line}",
        references=1,
        shares=f"file system {mount.device}",
        loses=f"{mount.point}: {mount.type}{lies_on}",
        subject=mount.point,
        inside=None if space.own else space.pid,
        path=mount.point,
    )
    yield use
    for number in _devices(look, mount):
        node = nodes.node(BLOCK, number)
        yield use.replace(modules=node.modules, aliases=node.aliases, shares=f"mounted {number}", device=number)


class _Followers:
    """Tells which mounts of other namespaces go when the caller's are unmounted, since their parents hear of that."""

    def __init__(self, processes: Processes) -> None:
        own = next((space for space in processes.spaces.values() if space.own), None)
        parents = _by_id(own) if own else {}
        self._groups: dict[tuple[str, str], set[str]] = {}  # that hear of it, by device and point
        for mount in own.mounts if own else ():
            above = parents.get(mount.parent)
            heard = [tag for tag in (above.tags if above else ()) if tag.startswith("shared:")]
            self._groups.setdefault((mount.device, mount.point), set()).update(map(_group, heard))

    def of(self, space: Space) -> list[Mount]:
        """Return the mounts of another namespace that go so."""
        parents = _by_id(space)
        return [mount for mount in space.mounts if self._hears(mount, parents.get(mount.parent))]

    def _hears(self, mount: Mount, parent: Mount | None) -> bool:
        tags = parent.tags if parent else ()
        return not self._groups.get((mount.device, mount.point), set()).isdisjoint(map(_group, tags))


def _by_id(space: Space) -> dict[int, Mount]:
    return {mount.id: mount for mount in reversed(space.mounts)}  # the first of several counts


def _group(tag: str) -> str:
    return tag.partition(":")[2]


def _devices(look: Look, mount: Mount) -> list[str]:
    """Return the numbers of the block devices below a mount; a file system of several has none of its own."""
    if not mount.device.startswith("0:"):
        return [mount.device]
    if not mount.source.startswith("/dev/"):
        return []
    first = look.node_number(mount.source)
    if first is None:
        return []
    return [first, *(other for other in _companions(look, first) if other != first)]


def _companions(look: Look, number: str) -> Iterable[str]:
    """Return the numbers of all devices of the btrfs that a device belongs to."""
    for uuid in look.names(f"{look.sys}/fs/btrfs"):
        place = f"{look.sys}/fs/btrfs/{uuid}/devices"
        numbers = [look.text(f"{place}/{name}/dev") or "" for name in look.names(place)]
        if number in numbers:
            yield from numbers


def swap_uses(look: Look, nodes: Nodes) -> Iterable[Use]:
    """Return the uses by swap areas."""
    for line in (look.data(f"{look.proc}/swaps") or b"").splitlines()[1:]:
        words = line.split()
        if len(words) < 2:
            continue
        path = unescape(words[0])
        evidence, loses = f"{look.proc}/swaps", f"{path}: swap"
        if words[1] == b"file":
            yield Use(SWAP, path, (), (), evidence, loses=loses, subject=path, path=path)
            continue
        number = _number_of(look, path)
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


def _number_of(look: Look, path: str) -> str:
    """Return the number of a block device: by its name in /sys, else by its node."""
    name = path.rpartition("/")[2]
    text = look.text(f"{look.sys}/class/block/{name}/dev")
    return text or look.node_number(path) or "0:0"


def busy_with(processes: Processes, use: Use) -> tuple[Holding, ...]:
    """Return the processes that keep a mount from being unmounted."""
    for space in processes.spaces.values():
        if space.pid == use.inside or (use.inside is None and space.own):
            return tuple(processes.below(space, use.subject))
    return ()
