# SPDX-License-Identifier: LGPL-2.1-or-later
"""What one look-up of modprobe's costs in trees of any size: forged indexes of 1,000 and of 40,000 modules.

A look-up reads about as many nodes in each, so it may take about as long.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.measuring import commands
from benchmarks.peers import BIN, OURS
from benchmarks.registry import SMALL
from benchmarks.table import Result
from pymodutils.formats.index_writer import encode_index
from pymodutils.roots import Roots
from pymodutils.state.tree import ModuleTree

SIZES = {SMALL: 1000, OURS: 40000}
ROUNDS = 30


def measure(bench: Bench) -> Iterator[Result]:
    """Yield each row."""
    trees = {label: forge(bench.scratch, count) for label, count in SIZES.items()}
    for what in lookups(SIZES[OURS]):
        found = {label: seconds(roots, lookups(SIZES[label])[what]) for label, roots in trees.items()}
        yield bench.result(f"look-up in 40,000 modules: {what}", {label: [one * 1e6] for label, one in found.items()})
    words = {
        label: [str(BIN / "modprobe"), "-d", str(bench.scratch), "-S", f"{count}", "-R", lookups(count)["usb alias"]]
        for label, count in SIZES.items()
    }
    yield bench.result("modprobe -R in 40,000 modules", commands(words, bench.rounds(ROUNDS)))


def forge(base: Path, count: int) -> Roots:
    """The indexes of a tree with `count` modules, each with aliases as PCI, USB and device trees have them."""
    directory = base / "lib/modules" / str(count)
    directory.mkdir(parents=True)
    names = [b"driver_%05d" % number for number in range(count)]
    dependencies, aliases, symbols = [], [], []
    for number, name in enumerate(names):
        path = b"kernel/drivers/%02d/%s.ko:" % (number % 64, name)
        needed = b"".join(b" kernel/drivers/%02d/%s.ko" % (n % 64, names[n]) for n in (number // 3, number // 7))
        dependencies.append(([name], number, path + needed))
        vendor, device = number * 7919 % 0x10000, number * 104729 % 0x10000
        keys = [b"usb:v%04Xp%04Xd*dc*dsc*dp*ic*isc*ip*in*" % (vendor, device ^ salt) for salt in range(4)]
        keys += [b"pci:v0000%04Xd0000%04Xsv*sd*bc*sc*i*" % (vendor, device)]
        keys += [b"of:N*T*Cvendor%d,device%d" % (vendor, device) + end for end in (b"", b"C*")]
        aliases.append((keys, number, name))
        symbols.append(([b"symbol:%s_register" % name], number, name))
    aliases.append(([b"usb:v*p*d*dc*dsc*dp*ic02isc06ip00in*"], count, names[0]))
    for index, groups in {"dep": dependencies, "alias": aliases, "symbols": symbols}.items():
        (directory / f"modules.{index}.bin").write_bytes(encode_index(groups))
    return Roots(base=str(base), release=str(count))


def lookups(count: int) -> dict[str, str]:
    """What is looked up in a forged tree, by the label in the table: always a module in the middle."""
    number = count // 2
    vendor, device = number * 7919 % 0x10000, number * 104729 % 0x10000
    return {
        "name": f"driver_{number:05}",
        "usb alias": f"usb:v{vendor:04X}p{device:04X}d0100dc00dsc00dp00ic02isc06ip00in00",
        "pci alias": f"pci:v0000{vendor:04X}d0000{device:04X}sv00001AF4sd00000001bc02sc00i00",
        "of alias": f"of:NethernetT(null)Cvendor{vendor},device{device}",
        "no such alias": "acpi:PNP0501:",
    }


def seconds(roots: Roots, text: str, times: int = 200) -> float:
    """The time of one look-up with indexes that are not open yet: the least of several."""
    best = 1.0
    for _ in range(times):
        start = time.perf_counter()
        tree = ModuleTree(roots)
        found: object = tree.modules_by_alias(text) if ":" in text else tree.find(text)
        best = min(best, time.perf_counter() - start)
    if not found and not text.startswith("acpi"):
        raise AssertionError(f"{text} not found")
    return best
