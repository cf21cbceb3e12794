# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe's start-up beside kmod's and a bare interpreter's, and what one look-up costs in trees of any size.

    python -m benchmarks.modprobe_startup [ROUNDS]

Budget: the median of `modprobe -D btrfs` and of `modprobe -R MODALIAS` (Debian's tree, 3,900 modules) is at most 1.8
times the bare interpreter's. In forged trees with 1,000, 4,000 and 40,000 modules a look-up reads about as many nodes
and takes about as long: the largest tree may cost 1.5 times the smallest.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.startup import PACKER, PYTHON, measure
from pymodutils.formats.index_writer import encode_index
from pymodutils.roots import Roots
from pymodutils.state.tree import ModuleTree
from tests.support import assets

BIN = Path(__file__).parent.parent / "bin"
BUDGET = 1.8
GROWTH = 1.5
ROUNDS = 60
SIZES = (1000, 4000, 40000)
MODALIAS = "usb:v0BDAp8153d3000dc00dsc00dp00ic02isc06ip00in00"


def commands() -> dict[str, list[str]]:
    """What is measured, by name; `bare` is the yardstick."""
    tree = ["-d", str(assets.module_tree("6.1")), "-S", assets.release("6.1")]
    found = {"bare": [PYTHON, "-I", "-S", "-c", "pass"]}
    for name, words in {"-D btrfs": ["-D", "btrfs"], "-R modalias": ["-R", MODALIAS]}.items():
        found[name] = [str(BIN / "modprobe"), *tree, *words]
        found[f"kmod {name}"] = [*assets.kmod34_argv("modprobe"), *tree, *words]
    return found


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


def start_up(rounds: int) -> bool:
    """Measure and print the first table; whether the budget is exceeded."""
    subprocess.run([PYTHON, "-IS", PACKER], check=True)
    medians = measure(commands(), rounds)
    exceeded = False
    print(f"modprobe's start-up, median of {rounds}, interleaved\n\n{'command':<20}{'ms':>8}{'times bare':>12}  budget")
    for name, value in medians.items():
        ratio = value / medians["bare"]
        budget = f"{BUDGET}" if name.startswith("-") else ""
        over = bool(budget) and ratio > BUDGET
        exceeded |= over
        print(f"{name:<20}{value * 1000:>8.1f}{ratio:>12.2f}  {budget}{'  OVER' if over else ''}")
    return exceeded


def growth(rounds: int) -> bool:
    """Measure and print the second table; whether a look-up costs more in a larger tree."""
    with tempfile.TemporaryDirectory() as folder:
        trees = {count: forge(Path(folder), count) for count in SIZES}
        print(
            f"\none look-up, microseconds\n\n{'modules':<20}" + "".join(f"{count:>10,}" for count in SIZES) + "  ratio"
        )
        exceeded = False
        for label in lookups(SIZES[0]):
            times = [seconds(roots, lookups(count)[label]) for count, roots in trees.items()]
            ratio = times[-1] / times[0]
            over = ratio > GROWTH
            exceeded |= over
            row = "".join(f"{value * 1e6:>10.0f}" for value in times)
            print(f"{label:<20}{row}{ratio:>7.2f}{'  OVER' if over else ''}")
        whole = {
            f"{count}": [str(BIN / "modprobe"), "-d", folder, "-S", f"{count}", "-R", lookups(count)["usb alias"]]
            for count in SIZES
        }
        medians = measure(whole, rounds)
        row = "".join(f"{value * 1000:>10.1f}" for value in medians.values())
        print(f"{'modprobe -R, ms':<20}{row}{medians['40000'] / medians['1000']:>7.2f}")
    return exceeded


def main() -> int:
    """Measure, print the tables, say whether the budgets hold."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    exceeded = [start_up(rounds), growth(rounds // 2)]
    return int(any(exceeded))


if __name__ == "__main__":
    sys.exit(main())
