# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a person at a terminal is told besides kmod's messages, and that nobody else is."""

from __future__ import annotations

import io
import subprocess
from pathlib import Path

import pytest

from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from pymodutils.context import Context
from pymodutils.roots import Roots
from tests.support.common import BIN, run_inside
from tests.support.fakekernel import FakeKernel


class Terminal(io.BytesIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    monkeypatch.delenv("MODPROBE_OPTIONS", raising=False)
    monkeypatch.delenv("DPKG_MAINTSCRIPT_NAME", raising=False)
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"btrfs": [], "snd_hda_intel": []}, builtin=["ext4"])
    return kernel


def at_a_terminal(words: list[str], roots: Roots) -> list[str]:
    """The lines that a command prints on standard error there."""
    err = Terminal()
    console = Console(words[0], io.BytesIO(), err)
    guarded(console, lambda: load(words[0])(words[1:], console, roots))
    return err.getvalue().decode().splitlines()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        ("modprobe btrsf", "Did you mean btrfs?"),
        ("modprobe BTRFS", "Did you mean btrfs?"),
        ("modprobe btrfs.ko", "Did you mean btrfs?"),
        ("modprobe -a btrsf", "Did you mean btrfs?"),
        ("modprobe -D snd-hda-intle", "Did you mean snd_hda_intel?"),
        ("modprobe -R exT4", "Did you mean ext4?"),
        ("modinfo btrsf", "Did you mean btrfs?"),
        ("insmod btrfs", "insmod takes the path of a file; by its name a module is loaded with: modprobe btrfs"),
        ("modprobe --no-such", "Try: modprobe --help"),
        ("lsmod -z", "Try: lsmod --help"),
        ("kmod list -z", "Try: kmod list --help"),
    ],
)
def test_a_hint_follows_the_message(kernel: FakeKernel, words: str, hint: str) -> None:
    message, shown = at_a_terminal(words.split(), kernel.roots)
    assert shown == f"  {hint}"
    elsewhere = run_inside(words.split()[0], words.split()[1:], kernel.roots)
    assert elsewhere.err.decode() == f"{message}\n"


def test_rmmod_names_what_is_loaded(kernel: FakeKernel) -> None:
    assert at_a_terminal(["rmmod", "btrsf"], kernel.roots) == ["rmmod: ERROR: Module btrsf is not currently loaded"]
    run_inside("modprobe", ["btrfs"], kernel.roots)
    assert at_a_terminal(["rmmod", "btrsf"], kernel.roots)[1:] == ["  Did you mean btrfs?"]


def test_nothing_is_near(kernel: FakeKernel) -> None:
    assert len(at_a_terminal(["modprobe", "zzzzzz"], kernel.roots)) == 1


@pytest.mark.parametrize("words", ["modprobe -q btrsf", "modprobe -s btrsf", "modinfo btrfs"])
def test_silence_stays_silence(kernel: FakeKernel, words: str) -> None:
    assert at_a_terminal(words.split(), kernel.roots) == []


def test_a_log_that_is_a_terminal(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DPKG_MAINTSCRIPT_NAME", "postinst")
    assert len(at_a_terminal(["modprobe", "btrsf"], kernel.roots)) == 1


def test_a_kernel_without_a_directory(kernel: FakeKernel) -> None:
    base = kernel.modules.parent
    base.joinpath("6.5").mkdir()
    lines = at_a_terminal(["modprobe", "-S", "7.0", "btrfs"], kernel.roots)
    assert lines[1] == f"  There is no {base}/7.0."
    assert set(lines[2].removeprefix(f"  Kernels with modules in {base}: ").split()) == {"6.1", "6.5"}
    assert len(lines) == 3
    nowhere = at_a_terminal(["modinfo", "-b", "/no/such", "btrfs"], kernel.roots)
    assert nowhere[1:] == [
        "  There is no /no/such/lib/modules/6.1.",
        "  No kernel has modules in /no/such/lib/modules.",
    ]


def test_the_running_kernel_was_removed(tmp_path: Path) -> None:
    shown = at_a_terminal(["modinfo", "btrfs"], Roots(module_dir=str(tmp_path)))
    assert shown[-1] == "  If the running kernel was upgraded or removed since boot, a reboot helps."


def test_a_directory_without_indexes(kernel: FakeKernel) -> None:
    for path in kernel.modules.glob("modules.*"):
        path.unlink()
    hint = at_a_terminal(["modprobe", "btrfs"], kernel.roots)[1]
    assert hint == f"  There are no indexes in {kernel.modules}. Make them: depmod -b {kernel.roots.base} 6.1"


def test_a_command_to_paste_is_quoted() -> None:
    roots = Roots(base="/mnt/old disk", module_dir="/usr/lib/modules", release="6.1")
    assert roots.depmod_command == "depmod -b '/mnt/old disk' -m /usr/lib/modules 6.1"
    assert Roots(release="6.1").depmod_command == "depmod 6.1"
    assert Roots(release="6.1; reboot").depmod_command == "depmod '6.1; reboot'"


def test_rmmod_names_the_first_user_of_a_module_in_use(kernel: FakeKernel) -> None:
    kernel.tree({"a": [], "b": ["a"]})
    Context(kernel.roots).load("b")
    message, *_explanation, last = at_a_terminal(["rmmod", "a"], kernel.roots)
    assert message == "rmmod: ERROR: Module a is in use by: b"
    assert last == "  Used by holder b. See: kmod who a"
    kernel.hold("b")
    message, *_explanation, last = at_a_terminal(["rmmod", "b"], kernel.roots)
    assert message == "rmmod: ERROR: Module b is in use"
    assert last == "  What uses it is not known. See: kmod who b"
    assert run_inside("rmmod", ["b"], kernel.roots).err.decode() == f"{message}\n"


def test_rmmod_looks_for_no_user_before_it_fails() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", "-IS", "-X", "importtime", str(BIN / "rmmod"), "nothing"], capture_output=True, text=True
    )
    assert "pymodutils.cli.rmmod" in done.stderr
    assert "pymodutils.verbs" not in done.stderr and "pymodutils.state.users" not in done.stderr


@pytest.mark.parametrize("words", ["status m", "check m", "closure m", "verify", "lint", "params m", "graph m"])
def test_a_verb_without_modules_names_the_kernels_that_have_some(kernel: FakeKernel, words: str) -> None:
    verb, *rest = words.split()
    lines = at_a_terminal(["kmod", verb, "-S", "7.0", *rest], kernel.roots)
    assert len(lines) == 2 and lines[1] == "  Kernels with modules there, for -S: 6.1"
    assert run_inside("kmod", [verb, "-S", "7.0", *rest], kernel.roots).err.count(b"\n") == 1


def test_a_verb_without_the_kernels_list_says_why(kernel: FakeKernel) -> None:
    (kernel.proc / "modules").unlink()
    for words in (["status"], ["check", "btrfs"], ["prune"]):
        assert at_a_terminal(["kmod", *words], kernel.roots)[-1].startswith(
            "  There is no proc file system. Mount it: "
        )
    for name in ("version", "filesystems"):
        (kernel.proc / name).touch()
    assert at_a_terminal(["kmod", "status"], kernel.roots)[1].startswith("  This kernel was built without modules")
    assert run_inside("kmod", ["status"], kernel.roots).err.count(b"\n") == 1
