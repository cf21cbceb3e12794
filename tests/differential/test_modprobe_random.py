# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe compared with the real kmod with random configurations, kernels and requests: what no table thought of.

The same cases on every run; PYMODUTILS_SEED=N tries others.
"""

from __future__ import annotations

import os
import random
import shlex

import pytest

from tests.support.common import Outcome
from tests.support.fakeroot import RELEASE, FakeRoot, loaded
from tests.support.modprobe_corpus import CONF, DEPRECATED, for_kmod

FIRST = int(os.environ.get("PYMODUTILS_SEED", "1"))
CASES = 120

MODULES = ("btrfs xfs loop libcrc32c xor mii usbnet cdc_ether snd-hda-intel snd_hda_codec snd-pcm crc32c_generic zswap "
           "ext4 ghost none raid6_pq wishful").split()  # fmt: skip
ALIASES = ("fs-btrfs fs-xfs crc32c block-major-7-0 symbol:xor_symbol fs-ext4 zram-like my-alias "
           "usb:v0BDAp8153d1dc00dsc00dp00ic02isc06ip00in00").split()  # fmt: skip
PATTERNS = "a* l?op snd* [xm]* al-[0-9] *".split()
OPTIONS = ["a=1", "b=2", 'c="x y"', "d", "e='q r'", "f=\\g", "  g=1", "h=1\t i=2", "max=3 "]
COMMANDS = ["/bin/true", "echo x $CMDLINE_OPTS", "run  two ", "echo \\$x"]
JUNK = ["", "# comment", "#c\\", "  # indented", "options", "install x", "bogus line", "\toptions loop t=1",
        "alias bad[ x", "options loop x=1 \\\n y=2", "include /x"]  # fmt: skip
KERNEL_WORDS = ["quiet", "loop.max=1", "modprobe.blacklist=loop,xfs", '"mii.a=b c"', 'mii.z="q r"', "snd-pcm.k=v", "--",
                "a.b.c=d", "ghost.x=y", "k].a=1"]  # fmt: skip
# -r only with -n or -D: nothing here is to happen.
WAYS = ["-D", "-D", "-D", "-n", "-n", "-R", "-r -n", "-r -D", "-c", "-n --first-time", "-r -n --first-time", "-i -D",
        "-b -D", "-b -n", "-i -n", "-r -i -n", "-a -D", "-a -n", "-a -r -n", "-q -D", "-a -q -D", "-q -R"]  # fmt: skip


class Maker:
    """Makes cases of one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def name(self) -> str:
        return self.random.choice(MODULES + ALIASES)

    def pattern(self) -> str:
        return self.random.choice(MODULES + ALIASES + PATTERNS)

    def several(self, choices: list[str], most: int) -> list[str]:
        return [self.random.choice(choices) for _ in range(self.random.randint(1, most))]

    def line(self) -> str:
        kind = self.random.choice(
            "alias alias blacklist options options install remove softdep softdep weakdep junk".split()
        )
        if kind == "alias":
            return f"alias {self.pattern()} {self.name()}"
        if kind == "blacklist":
            return f"blacklist {self.pattern()}"
        if kind == "options":
            return f"options {self.pattern()} {' '.join(self.several(OPTIONS, 3))}"
        if kind in ("install", "remove"):
            return f"{kind} {self.pattern()} {self.random.choice(COMMANDS)}"
        if kind == "softdep":
            pre, post = (" ".join(self.several(MODULES + ALIASES, 3)) for _ in range(2))
            form = self.random.choice([f"pre: {pre}", f"pre: {pre} post: {post}", f"post: {post}", "x"])
            return f"softdep {self.pattern()} {form}"
        if kind == "weakdep":
            return f"weakdep {self.pattern()} {self.name()}"
        return self.random.choice(JUNK)

    def text(self, most: int) -> str:
        lines = [self.line() for _ in range(self.random.randint(1, most))]
        return "\n".join(lines) + self.random.choice(["\n", "\n", ""])

    def files(self) -> dict[str, str | bytes]:
        files: dict[str, str | bytes] = {CONF: self.text(9)}
        for name in ("etc/modprobe.d/zz.conf", "run/modprobe.d/a.conf", "lib/modprobe.d/b.conf"):
            if self.random.random() < 0.3:
                files[name] = self.text(3)
        if self.random.random() < 0.3:
            files["proc/cmdline"] = " ".join(self.several(KERNEL_WORDS, 5)) + "\n"
        for name in self.random.sample(MODULES, self.random.randint(0, 5)):
            if name not in ("zswap", "ext4"):
                choose = self.random.choice
                holders = ["usbnet"] if self.random.random() < 0.3 else []
                state = choose(["live", "live", "coming", "going"])
                files.update(loaded(name.replace("-", "_"), refcount=choose([0, 0, 1]), state=state, holders=holders))
        return files

    def words(self) -> list[str]:
        operands = [
            self.name() if self.random.random() < 0.9 else self.pattern() for _ in range(self.random.randint(1, 2))
        ]
        parameters = ["p=1"] if self.random.random() < 0.3 else []
        return ["-S", RELEASE, *self.random.choice(WAYS).split(), *operands, *parameters]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + 5))
def test_random_cases(root: FakeRoot, seed: int) -> None:
    maker, crashes = Maker(seed), 0
    for number in range(CASES):
        files, words = maker.files(), maker.words()
        with root.holding(files):
            ours, theirs = root.ours(words), root.kmod("kmod34", for_kmod(words))
        if theirs.status < 0:  # softdeps in a ring, while removing
            crashes += 1
            continue
        ours.err = DEPRECATED.sub(b"", ours.err)
        settings = "\n".join(f"{name}: {text!r}" for name, text in files.items() if "holders/" not in name)
        assert ours == theirs, f"{number}: modprobe {shlex.join(words)}\n{settings}"
    assert crashes < CASES / 10


def test_the_cases_are_of_all_kinds(root: FakeRoot) -> None:
    """A generator that makes only errors would test little."""
    maker, outcomes = Maker(FIRST), []
    for _ in range(CASES):
        with root.holding(maker.files()):
            outcomes.append(root.ours(maker.words()))
    good = [outcome for outcome in outcomes if outcome.status == 0 and outcome.out]
    assert CASES * 0.3 < len(good) < CASES * 0.9
    assert any(b"install " in outcome.out for outcome in good)
    assert any(b"rmmod " in outcome.out for outcome in good)
    assert Outcome(0, b"", b"") in outcomes
