# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random trees, configurations and options, each compared with kmod 34.2: files, messages and status.

What kmod leaves to chance is kept out: all modules stand in modules.order, and where two files have one name, the
search order decides. So are circles, in which it may die by an assertion.
"""

from __future__ import annotations

import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from tests.support.compare import RELEASE, differing, messages, run_both
from tests.support.koforge import Ko

PLACES = ("kernel", "kernel/fs/deep", "updates", "updates/dkms", "extra", "extra-not", "build", "kernel/skip")
PACKED: dict[str, Callable[[bytes], bytes]] = {  # kmod 34.2 reads no gzip, and zstd only with the size in the frame
    ".ko": lambda data: data,
    ".ko.xz": lambda data: lzma.compress(data, check=lzma.CHECK_CRC32),
    ".ko.zst": zstandard.compress,
}
ALIASES = (
    *(
        "pci:v*d*",
        "pci:v1d2",
        "pci:v1",
        "a-b",
        "a_b",
        "x[-]y",
        "x[a-c]y-z",
        "",
        "bad[",
        "bad]",
        "with space",
        "=",
        "a=b",
    ),
    *("devname:n", "devname:dir/n-m", "char-major-10-200", "block-major-7-*", "char-major-1-2-3"),
)
STRINGS = ("license=GPL", "softdep=pre: m1 post: m2-x", "softdep=", "weakdep=m3 m4", "alias", "softdep", "aliases=no")
LINES_OF_ORDER = ("kernel/none.ko", "./kernel/x.ko", "", "  ", "kernel//m0.ko", "kernel/m1.ko ")
LINES_OF_BUILTIN = ("kernel/x-y.ko", "kernel/z.ko.xz", "1bad", "kernel/x-y.ko", "kernel/a.b.ko")
BUILTIN_STRINGS = ("x_y.alias=a-b", "z.license=GPL", "z.alias=[a-b]-c", "z.alias=bad[", "q.alias=", "q.a=b")
RULES = (
    *(
        "search updates built-in extra",
        "search extra\tbuilt-in  updates",
        "search built-in",
        "search kernel \\",
        "search",
    ),
    *("override m0 * extra", "override m1 ^6\\.[0-9] updates", "override m2 5.* extra", "override m3"),
    *("external * /none", "exclude skip", "exclude", "bogus", "# comment", "include x"),
)


class Case:
    """One tree, laid down below `base`, and the words of a command line."""

    def __init__(self, seed: int, base: Path) -> None:
        self.dice = random.Random(seed)
        self.base = base
        self.directory = base / "lib/modules" / RELEASE
        self.words: list[str] = []
        configured = self.dice.random() < 0.5
        self.lay_modules(doubled=not configured)
        self.write("modules.builtin", "\n", LINES_OF_BUILTIN)
        self.write("modules.builtin.modinfo", "\0", BUILTIN_STRINGS)
        if configured:
            (base / "depmod.conf").write_text("".join(f"{rule}\n" for rule in self.some(RULES, 6)))
            self.words += ["-C", str(base / "depmod.conf")]
        self.choose_words()

    def some(self, things: tuple[str, ...] | list[str], most: int) -> list[str]:
        """Up to so many of these, in any order."""
        return self.dice.sample(list(things), min(self.dice.randint(0, most), len(things)))

    def write(self, name: str, end: str, pieces: tuple[str, ...]) -> None:
        """A file among the modules."""
        (self.directory / name).write_text("".join(piece + end for piece in self.some(pieces, len(pieces))))

    def lay_modules(self, *, doubled: bool) -> None:
        """Modules, some of them in two places if `doubled`, and modules.order."""
        dice = self.dice
        form = {"bits": dice.choice([64, 64, 64, 32]), "order": dice.choice("<<<>")}
        symbols = [f"s{number}" for number in range(dice.randint(1, 40))]
        order = []
        self.directory.mkdir(parents=True)
        for number in range(dice.randint(0, 25)):
            stem = f"m{dice.choice('-_')}{number}" if number % 2 else f"m{number}"
            places = ["kernel", "updates"] if doubled and dice.random() < 0.2 else [dice.choice(PLACES)]
            for place in places:
                ending = dice.choice(list(PACKED))
                image = self.module(symbols, number, **form).bytes()
                path = self.directory / f"{place}/{stem}{ending}"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(PACKED[ending](image))
                order.append(f"{place}/{stem}.ko")
        dice.shuffle(order)
        for line in self.some(LINES_OF_ORDER, 3):
            order.insert(dice.randint(0, len(order)), line)
        (self.directory / "modules.order").write_text("".join(f"{line}\n" for line in [*order, *order[:2]]))

    def module(self, symbols: list[str], number: int, **form: Any) -> Ko:
        """It has symbols of its own, sometimes also what others have, and needs symbols of later modules only."""
        dice = self.dice
        own = [symbol for at, symbol in enumerate(symbols) if at % 25 == number]
        later = [symbol for at, symbol in enumerate(symbols) if at % 25 > number]
        needs: dict[str, int | None] = dict.fromkeys(self.some([*later, "printk", ".dotted", "nobody"], 8), 1)
        recorded = ["module_layout", *self.some(list(needs), 99 if dice.random() < 0.8 else 2)]
        aliases = [f"alias={alias}" for alias in dice.choices(ALIASES, k=dice.randint(0, 6))]
        strings: list[str | bytes] = [*aliases, *dice.choices(STRINGS, k=3)]
        dice.shuffle(strings)
        return Ko(
            modinfo=strings,
            exports={symbol: dice.choice([1, 7]) for symbol in [*own, *self.some(["twice"], 1)]},
            needs=needs,
            weak=set(self.some(list(needs), 1)),
            first_versions=dict.fromkeys(recorded, 1) if dice.random() < 0.7 else {},
            crc_in_section=dice.random() < 0.3,
            crc_symbols=dice.random() < 0.8,
            **form,
        )

    def choose_words(self) -> None:
        """Options, and the files that they name."""
        symvers, system_map = self.base / "sv", self.base / "map"
        symvers.write_text("0x1\tprintk\tvmlinux\tE\n0x2\ts1\tfs/x\tE\n0x7\tmodule_layout\tvmlinux\tE\n")
        system_map.write_text("0 T __ksymtab_printk\n0 T ___ksymtab_s0\nbad\n")
        choices = ["-e", "-v", "-a", "-n", "-P_", f"-F{system_map}", f"-E{symvers}"]
        self.words += self.some(choices, 3)


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_as_kmod(tmp_path: Path, first: int) -> None:
    for seed in range(first, first + 20):
        folder = tmp_path / str(seed)
        case = Case(seed, folder / "base")
        ours, theirs = run_both(case.base, folder, case.words)
        assert ours.status == theirs.status, seed
        assert messages(ours.err) == messages(theirs.err), seed
        assert sorted(ours.out.splitlines()) == sorted(theirs.out.splitlines()), seed
        assert differing(folder) == [], seed
