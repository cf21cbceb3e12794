# SPDX-License-Identifier: LGPL-2.1-or-later
"""On a system with twice as many devices, mounts or interfaces a verb has twice as much to do, not four times."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pymodutils import Context, Roots, autoload, config, devices, lint, prune
from pymodutils.diagnosis.who import Uses, _free_first
from pymodutils.state.files import read_or_none
from pymodutils.state.users.pathindex import PathIndex
from pymodutils.state.users.use import LOOP, MOUNT, Use
from pymodutils.verbs.who import who
from tests.support.devices import lay_device
from tests.support.forgedsystem import forge_system
from tests.unit.verbs.test_who import mount, process

MODULES = {"loop": [], "veth": ["alias=rtnl-link-veth"], "nic": ["alias=pci:*"], "ext4": ["alias=fs-ext4"]}
LOADED = dict.fromkeys(MODULES, "0 - Live 0x0")
ROOT = mount(1, 0, "8:1", "/", "ext3", "/dev/sda1", "shared:1")


def mounts(count: int) -> dict[str, str]:
    """Loop devices, each mounted, and a process that works in each mount."""
    numbers = range(2, count + 2)
    lines = [mount(at, 1, f"7:{at}", f"/m/{at}", "ext4", f"/dev/loop{at}", f"shared:{at}") for at in numbers]
    files = process(1, "init", {}, mountinfo=ROOT + "".join(lines))
    for at in numbers:
        files[f"sys/block/loop{at}/dev"] = f"7:{at}\n"
        files[f"sys/block/loop{at}/loop/backing_file"] = f"/images/{at}\n"
        files |= process(at, "x", {}, cwd=f"/m/{at}")
    return files


def mounts_elsewhere(count: int) -> dict[str, str]:
    """As many mounts in two namespaces, of which the second hears of the first."""
    lines = [mount(at, 1, f"7:{at}", f"/m/{at}", "ext4", f"/dev/loop{at}") for at in range(2, count + 2)]
    other = [line.replace(" 1 ", " 901 ", 1) for line in lines]
    return process(1, "init", {}, mountinfo=ROOT + "".join(lines)) | process(
        2, "box", {}, ns_mnt="mnt:[2]", mountinfo=ROOT.replace("1", "901", 1) + "".join(other)
    )


def interfaces(count: int) -> dict[str, str]:
    """Pairs of interfaces."""
    files = process(1, "init", {}, mountinfo=ROOT)
    for at in range(count):
        place = f"sys/class/net/v{at}"
        files |= {f"{place}/uevent": "DEVTYPE=veth\n", f"{place}/flags": "0x1003\n"}
        files |= {f"{place}/ifindex": f"{at + 1}\n", f"{place}/iflink": f"{(at ^ 1) + 1}\n"}
    return files


def bound(count: int) -> dict[str, str]:
    """Devices of one driver."""
    files = {"sys/module/nic/drivers/pci:nic": "-> ../../../bus/pci/drivers/nic"}
    for at in range(count):
        files |= {f"sys/devices/pci/{at}/uevent": ""}
        files |= {f"sys/bus/pci/drivers/nic/{at}": f"-> ../../../../devices/pci/{at}"}
    return files


def work(function: Callable[[], object]) -> int:
    """Return how many functions are called, and how many steps those take that look for users."""
    count = 0

    def hear(frame: FrameType, _event: str, _argument: object) -> Any:
        nonlocal count
        count += 1
        frame.f_trace_opcodes = frame.f_code.co_filename.endswith(
            ("mounts.py", "who.py", "processes.py", "precedence.py", "sources.py", "rulefile.py", "textindex.py")
        )
        return hear if frame.f_trace_opcodes else None

    before = sys.gettrace()
    sys.settrace(hear)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


def grows_evenly(make: Callable[[int], Roots], ask: Callable[[Context], object]) -> bool:
    """Tell whether three steps of the same size cost the same."""
    few, more, most = (work(lambda: ask(Context(make(count)))) for count in (40, 80, 120))  # noqa: B023
    return most - more < 1.05 * (more - few)


@pytest.mark.parametrize(
    ("lay", "name"), [(mounts, "loop"), (mounts_elsewhere, "ext4"), (interfaces, "veth"), (bound, "nic")]
)
def test_uses(tmp_path: Path, lay: Callable[[int], dict[str, str]], name: str) -> None:
    made = {
        count: forge_system(tmp_path / str(count), MODULES, files=lay(count), loaded=LOADED) for count in (40, 80, 120)
    }
    assert len(who(Context(made[40]), name).users) >= 40
    assert grows_evenly(made.__getitem__, lambda context: who(context, name))
    assert grows_evenly(made.__getitem__, prune)


def test_devices_that_all_ask_for_something_else(tmp_path: Path) -> None:
    made = {}
    for count in (40, 80, 120):
        made[count] = forge_system(tmp_path / str(count), MODULES, loaded=LOADED)
        for at in range(count):
            lay_device(tmp_path / str(count) / "sys", f"pci0/{at}", f"pci:v{at}")
    assert len(devices(Context(made[40])).devices) == 40
    assert grows_evenly(made.__getitem__, devices)
    assert grows_evenly(made.__getitem__, lambda context: autoload(context, dry_run=True))


def test_rules_of_modprobe(tmp_path: Path) -> None:
    """Of modules that are there and not, with install lines, options and aliases for each."""
    made = {}
    for count in (40, 80, 120):
        lines = [f"install m{at} /bin/false\noptions n{at} x=1\nalias a{at} other\n" for at in range(count)]
        made[count] = forge_system(
            tmp_path / str(count),
            {f"m{at}": [] for at in range(count)},
            files={"etc/modprobe.d/x.conf": "".join(lines), "proc/cmdline": "quiet\n"},
        )
    assert len(lint(Context(made[40]), initrd="none").findings) >= 40
    assert grows_evenly(made.__getitem__, lambda context: lint(context, initrd="none"))
    assert grows_evenly(made.__getitem__, config)


def test_builtin_modules_are_read_once_for_all_rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"options inside{at} x=1\n" for at in range(5)]
    roots = forge_system(
        tmp_path, builtin=[f"inside{at}" for at in range(5)], builtin_modinfo=b"inside1.parm=y:a y\0",
        files={"etc/modprobe.d/x.conf": "".join(lines), "proc/cmdline": "quiet\n"},
    )  # fmt: skip
    read: list[str] = []

    def hear(path: str) -> bytes | None:
        read.append(path)
        return read_or_none(path)

    monkeypatch.setattr("pymodutils.state.tree.read_or_none", hear)
    assert len(lint(Context(roots), initrd="none").findings) == 5
    assert [path.rpartition("/")[2] for path in read] == ["modules.builtin.modinfo"]


# --- what lies below what


def blocks(first: Use, second: Use) -> bool:
    """Tell whether a use has to end before another one: what `Uses.blockers` finds without a look at each."""
    if second.provides and first.device == second.provides:
        return True
    if second.family != MOUNT or not first.path or first.inside != second.inside or first is second:
        return False
    if first.family == MOUNT and first.subject == second.subject:
        return False
    return first.path.startswith(f"{second.subject.rstrip('/')}/")


def some_uses(seed: int) -> list[Use]:
    chance = random.Random(seed)
    points = ["/", "/a", "/a/b", "/a/b/c", "/a-b", "/a0", "/a/\udcff", "/a/ü", "/\U0010ffff", "/a\n/b", ""]
    found = []
    for at in range(chance.randrange(12)):
        point, device = chance.choice(points), chance.choice(["", "7:0", "7:1"])
        inside = chance.choice([None, 5])
        if chance.randrange(2):
            found.append(Use(MOUNT, f"{at}", (), (), "", subject=point, path=point, device=device, inside=inside))
        else:
            made = chance.choice(["", "7:0", "7:1"])
            found.append(Use(LOOP, f"{at}", (), (), "", path=point, device=device, provides=made, inside=inside))
    return found


@pytest.mark.parametrize("seed", range(60))
def test_what_has_to_end_first(seed: int) -> None:
    found = some_uses(seed)
    uses = Uses({}, found, lambda _alias: [])
    for use in found:
        assert uses.blockers(use) == [other for other in found if blocks(other, use)]
    waiting, slow = list(found), []
    while waiting:
        free = [use for use in waiting if not any(blocks(other, use) for other in waiting if other is not use)]
        slow.append((free or waiting)[0])
        waiting.remove(slow[-1])
    assert list(_free_first(uses, found)) == slow


def test_paths_below_a_directory() -> None:
    paths = ["/a/b", "/a", "/", "/a-b", "/a/b/c", "/a0", "/a\0", "/a/\udcff"]
    index = PathIndex(paths)
    assert [paths[at] for at in index.below("/a")] == ["/a/b", "/a/b/c", "/a/\udcff"]
    assert [paths[at] for at in index.at_or_below("/a/")] == ["/a/b", "/a/b/c", "/a/\udcff"]
    assert [paths[at] for at in index.at_or_below("/a")] == ["/a/b", "/a", "/a/b/c", "/a/\udcff"]
    assert len(index.at_or_below("/")) == len(index.below("/")) == len(paths)
    assert PathIndex([]).at_or_below("/") == []
