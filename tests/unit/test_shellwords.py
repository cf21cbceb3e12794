# SPDX-License-Identifier: LGPL-2.1-or-later
"""Commands that are printed name what they are about when they are pasted into a shell, whatever bytes that has."""

from __future__ import annotations

import ast
import errno
import os
import random
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pymodutils import Context, Roots
from pymodutils.cli.console import escape_control
from pymodutils.errors import InsertError
from pymodutils.roots import MODULE_DIR
from pymodutils.shellwords import command, word
from pymodutils.verbs.explain import explain
from pymodutils.verbs.report import for_same_system
from pymodutils.verbs.who import who
from tests.support.common import REPO, need, run_inside
from tests.support.forgedsystem import forge_system
from tests.support.koforge import Ko
from tests.unit.verbs.test_who import mount, process

PACKAGE = REPO / "pymodutils"
ODD = [
    "", " ", "a b", "a'b", 'a"b', "a\nb", "a\tb", "a\rb", "\x1b[31mred", "\x7f", "\x011", "a\\b", "\\", "'", "#x",
    "a;b", "$HOME `id` $(id) !!", "*?[a]", "{a,b}", "=ls", "~root", "a && b", "é", "\u202eabc", "\u00a0",
    "\udcff\udc80", "-x", "--",
]  # fmt: skip
SHELLS = [name for name in ("bash", "zsh", "busybox") if shutil.which(name)]


def pasted(shell: str, line: str, program: str = "show") -> list[str]:
    """The operands that a shell hands to a program."""
    need(shell in SHELLS, shell)
    words = [shell, "sh"] if shell == "busybox" else [shell]
    script = f"{program}() {{ printf '%s\\0' \"$@\"; }}\n{line}\n"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/nowhere"}
    done = subprocess.run([*words, "-c", os.fsencode(script)], capture_output=True, env=environment, check=True)
    return os.fsdecode(done.stdout).split("\0")[:-1]


@pytest.mark.parametrize("shell", SHELLS)
def test_words_come_through_a_shell(shell: str) -> None:
    draw = random.Random(7)
    drawn = [os.fsdecode(bytes(draw.choices(range(1, 256), k=draw.randrange(1, 20)))) for _ in range(300)]
    texts = [*ODD, *drawn]
    line = " ".join(["show", *map(word, texts)])
    assert pasted(shell, line) == texts
    assert escape_control(line) == line  # as it is printed


def test_plain_words_stay_as_they_are() -> None:
    for text in ("snd-hda-intel", "/lib/modules/6.1.0+/kernel/x.ko.xz", "a=b", "user@host:1,2%"):
        assert word(text) == text
    assert " && " not in word("a && b")  # which stands between commands


def test_an_operand_that_looks_like_an_option() -> None:
    assert command("modprobe -r", "x", "a b") == "modprobe -r x 'a b'"
    assert pasted("bash", command("show", "-x")) == ["--", "-x"]


def test_steps_for_another_system_keep_their_words(tmp_path: Path) -> None:
    root = f"{tmp_path}/it's a\nroot"
    Path(root + MODULE_DIR, "6.1").mkdir(parents=True)
    context = Context(Roots.of_system(root, "6.1"))
    steps = for_same_system(context, f"{command('kmod deny', 'a && b')} && {command('depmod', '6.1')}")
    assert steps is not None
    first, second = steps.split(" && ")
    assert pasted("bash", first, "kmod") == ["deny", f"--root={root}", "a && b"]
    assert pasted("bash", second, "depmod") == ["-b", root, "6.1"]


@pytest.mark.parametrize("name", ["a b", "a\nb", "\x1b[2J", "it's", "\udcff", "$(id)"])
def test_what_ends_a_use_names_it(tmp_path: Path, name: str) -> None:
    point = "".join(f"\\{ord(char):03o}" if char in " \n\t\\" else char for char in name)
    lines = mount(1, 0, "8:1", "/", "ext3", "/dev/sda1") + mount(2, 1, "0:9", f"/{point}", "ext4", "none")
    files: dict[str, str | bytes] = {key: text.encode("utf-8", "surrogateescape") if "mountinfo" in key else text
                                     for key, text in process(1, "init", {}, mountinfo=lines).items()}  # fmt: skip
    roots = forge_system(tmp_path, {"ext4": ["alias=fs-ext4"]}, files=files, loaded={"ext4": "1 - Live 0x0"})
    (step,) = [step for step in who(Context(roots), "ext4").order if "umount" in step]
    assert pasted("bash", step, "umount") == [f"/{name}"]
    shown = run_inside("kmod", ["who", "ext4"], roots).out.decode("utf-8", "surrogateescape")
    assert step in shown


STARTS = re.compile(
    r"(?:^|[ :;(])(?:rmmod|modprobe|insmod|depmod|modinfo|dkms|mokutil|apt|dnf|dmesg \\| grep|make|chroot|dot|umount"
    r"|swapoff|mount|systemctl|kmod (?!needs)[a-z-]+)(?: install| stop| autoinstall| -t| proc| tracefs| -[^ ]+)* $"
)
"""What a text ends with where the next word of it is an operand of a command."""
QUOTED = ("word", "command")


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_command_is_printed_with_a_bare_name_in_it(path: Path) -> None:
    """But for the lines of modprobe -n, which are those of kmod to the byte."""
    if path.name == "plan.py":
        return
    for text in [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.JoinedStr)]:
        for before, value in zip(text.values, text.values[1:], strict=False):
            if not isinstance(before, ast.Constant) or not isinstance(value, ast.FormattedValue):
                continue
            called = value.value.func if isinstance(value.value, ast.Call) else value.value
            is_quoted = isinstance(called, ast.Name) and called.id in (*QUOTED, "subject")
            assert is_quoted or not STARTS.search(str(before.value)), f"{path}:{text.lineno}: {ast.unparse(text)}"


def test_the_step_after_a_failure_names_the_file(tmp_path: Path) -> None:
    path = str(tmp_path / "a b\n\x1b" / "x.ko")
    context = Context(Roots(base=str(tmp_path), release="6.1", proc=str(tmp_path)))
    Path(tmp_path, "filesystems").write_text("")
    Path(path).parent.mkdir()
    Ko(modinfo=["license=GPL", "name=x"]).write(Path(path))
    error = InsertError("Required key not available", errno=errno.ENOKEY, module="x", path=path)
    steps = [step for found in explain(context, error).explanations for step in found.next if "sign-file" in step]
    assert [pasted("bash", step, step.split()[0])[-1] for step in steps] == [path]
