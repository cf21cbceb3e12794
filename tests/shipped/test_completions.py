# SPDX-License-Identifier: LGPL-2.1-or-later
"""Completions, asked of the real shells for the files that `make install` puts down."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import pytest

from pymodutils.cli import registry
from tests.support.common import REPO, need, run_inside
from tests.support.koforge import Ko

KERNEL = "6.1.0-test"
MODULES = {
    "loop": ["parm=max_loop:Devices\nat first: more later", "parmtype=max_loop:int", "parmtype=max_part:int"],
    "snd-hda-codec": [],
    "snd-hda-intel": ["parm=model:Which one."],
}
LSMOD = """#!/bin/sh
echo 'Module                  Size  Used by'
echo 'snd_hda_intel          12345  0'
echo 'loop                     123  1'
"""

Complete = Callable[[Sequence[str]], list[set[str]]]


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where everything is installed."""
    need(shutil.which("make"), "make")
    folder = tmp_path_factory.mktemp("installed")
    make = ["make", "-s", "-f", "packaging.mk", "install-files", "install-links"]
    subprocess.run([*make, f"PREFIX={folder}", f"SYSCONFDIR={folder}/etc", "DESTDIR="], cwd=REPO, check=True)
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system with two kernels, and a `lsmod` that tells of two modules."""
    base = tmp_path_factory.mktemp("system")
    kernel = base / "lib/modules" / KERNEL
    for name, strings in MODULES.items():
        Ko(modinfo=["license=GPL", *strings]).write(kernel / f"kernel/{name}.ko")
    kernel.joinpath("modules.builtin").write_text("kernel/lib/lzo-rle.ko\n")
    assert run_inside("depmod", ["-b", str(base), KERNEL]).status == 0
    base.joinpath("lib/modules/6.12.1").mkdir()
    for folder in (base, kernel / "kernel"):
        folder.joinpath("notes.txt").touch()
    base.joinpath("empty").mkdir()
    lsmod = base / "bin/lsmod"
    lsmod.parent.mkdir()
    lsmod.write_text(LSMOD)
    lsmod.chmod(0o755)
    return base


@pytest.fixture(scope="module")
def environment(prefix: Path, system: Path) -> dict[str, str]:
    path = f"{system}/bin:{prefix}/sbin:{prefix}/bin:/usr/bin:/bin"
    return {"PATH": path, "HOME": str(prefix), "TERM": "dumb", "LC_ALL": "C.UTF-8", "XDG_DATA_DIRS": f"{prefix}/share"}


# --- the shells

BASH = r"""
set -u
complete_line() { # the words as readline divides them
    local rest=$1
    COMP_LINE=$1 COMP_POINT=${#1} COMP_WORDS=()
    while [[ $rest ]]; do
        if [[ $rest =~ ^[=:]+ || $rest =~ ^[^=:[:blank:]]+ ]]; then
            COMP_WORDS+=("${BASH_REMATCH[0]}")
        else
            [[ $rest =~ ^[[:blank:]]+ ]]
        fi
        rest=${rest#"${BASH_REMATCH[0]}"}
    done
    [[ $1 == *[=:[:blank:]] ]] && COMP_WORDS+=("")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _pymodutils "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" ""
    ((${#COMPREPLY[@]})) && printf '%s\n' "${COMPREPLY[@]}"
    echo ----
}
source "$1/share/bash-completion/completions/pymodutils"
for line in "${@:2}"; do complete_line "$line"; done
"""

FISH = "for line in $argv; complete -C$line | string replace -r '\\t.*' ''; echo ----; end"

# compadd is asked what it would offer. Every answer ends with a line of its own, for which the test waits.
ZSH = r"""
PS1= LISTMAX=10000 fpath=($ZSH_FUNCTIONS $fpath)
unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D
compadd() {
  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
    local -a offered_now
    builtin compadd -A offered_now "$@"
    all_offered+=($offered_now)
  fi
  builtin compadd "$@"
}
answer() {
  all_offered=()
  zle complete-word
  print -rl -- $all_offered ---- >>$ANSWERS
  BUFFER=
}
zle -N answer
bindkey '^I' answer
print ready >>$ANSWERS
"""


class Terminal:
    """A shell that believes to talk to a person."""

    def __init__(self, command: Sequence[str], environment: dict[str, str], folder: Path) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execvpe(command[0], list(command), environment)
        termios.tcsetwinsize(self.fd, (200, 1000))  # nothing wraps, no question whether to list that much
        self.screen = b""

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def wait(self, condition: Callable[[], bool]) -> None:
        """Until the condition holds; what appears on the screen goes to `screen`."""
        end = time.monotonic() + 30
        shown = select.poll()  # select.select takes no descriptor beyond 1,024, and other tests leave files open
        shown.register(self.fd, select.POLLIN)
        while not condition():
            assert time.monotonic() < end, self.screen.decode()
            if shown.poll(20):
                self.screen += os.read(self.fd, 65536)

    def close(self) -> None:
        os.close(self.fd)  # which hangs up
        os.waitpid(self.pid, 0)


def normal(line: str) -> str:
    """An answer without what shells differ in: how much of the word is repeated, and signs at the end."""
    if not line.startswith("--") or not line.endswith("="):
        line = re.sub(r"^--[\w-]+=", "", line)
    return line.rstrip("/=").rpartition("/")[2]


def answers(text: str) -> list[set[str]]:
    return [{normal(line) for line in block.splitlines()} for block in text.split("----\n")[:-1]]


@pytest.fixture(scope="module", params=["bash", "zsh", "fish"])
def complete(
    request: pytest.FixtureRequest,
    prefix: Path,
    system: Path,
    environment: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Complete:
    """What a shell offers for the beginnings of command lines."""
    shell: str = request.param
    need(shutil.which(shell), shell)

    def quietly(command: Sequence[str | Path], lines: Sequence[str]) -> list[set[str]]:
        done = subprocess.run(
            [*command, *lines], env=environment, cwd=system / "empty", stdin=subprocess.DEVNULL,
            capture_output=True, text=True,
        )  # fmt: skip
        assert done.stderr == ""
        return answers(done.stdout)

    def bash(lines: Sequence[str]) -> list[set[str]]:
        return quietly(["bash", "-c", BASH, "bash", prefix], lines)

    def fish(lines: Sequence[str]) -> list[set[str]]:
        return quietly(["fish", "-c", FISH], lines)

    def zsh(lines: Sequence[str]) -> list[set[str]]:
        folder = tmp_path_factory.mktemp("zsh")
        script, file = folder / "script", folder / "answers"
        script.write_text(ZSH)
        file.touch()
        own = {"ZSH_FUNCTIONS": f"{prefix}/share/zsh/site-functions", "ANSWERS": str(file)}
        terminal = Terminal(["zsh", "-f", "-i"], {**environment, **own}, system / "empty")
        terminal.type(f"source {script}\n")
        terminal.wait(lambda: "ready" in file.read_text())
        for count, line in enumerate(lines, 1):
            terminal.type(f"{line}\t")
            terminal.wait(lambda count=count: file.read_text().count("----\n") == count)  # type: ignore[misc]
        terminal.close()
        assert b"No such" not in terminal.screen and b"not found" not in terminal.screen
        return answers(file.read_text().removeprefix("ready\n"))

    return {"bash": bash, "zsh": zsh, "fish": fish}[shell]


# --- options

COMMANDS = {"kmod": "kmod"}
COMMANDS |= {link: command.module for link, command in registry.LINKS.items()}
COMMANDS |= {f"kmod {command.name}": command.module for command in registry.VERBS if command.name != "help"}


def test_options_are_those_of_help(complete: Complete) -> None:
    offered = complete([f"{command} -" for command in COMMANDS])
    for (command, module), found in zip(COMMANDS.items(), offered, strict=True):
        table = import_module(f"pymodutils.cli.{module}").COMMAND_LINE.options
        expected = {f"-{letter}" for option in table for letter in option.short}
        expected |= {f"--{name}" for option in table for name in option.long}
        assert found == expected, command


def test_the_files_are_up_to_date() -> None:
    """As test_options_are_those_of_help, and for the descriptions as well."""
    command = [sys.executable, str(REPO / "completions/update.py"), "--check"]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert (result.stdout, result.returncode) == ("", 0)


def test_an_option_that_is_missing_is_noticed(tmp_path: Path) -> None:
    folder = tmp_path / "completions"
    for name in ("completions", "debian", "initramfs", "python-build"):
        shutil.copytree(REPO / name, tmp_path / name)
    shutil.copy(REPO / "packaging.mk", tmp_path)
    tmp_path.joinpath("pymodutils").symlink_to(REPO / "pymodutils")
    fish = folder / "fish"
    fish.write_text(fish.read_text().replace(" -l first-time", "", 1))
    check = subprocess.run([sys.executable, folder / "update.py", "--check"], stdout=subprocess.PIPE, text=True)
    assert check.returncode == 1 and check.stdout.startswith(f"{fish} is not up to date")
    subprocess.run([sys.executable, folder / "update.py"], check=True)
    assert fish.read_text() == (REPO / "completions/fish").read_text()


# --- everything else

ALL = {"loop", "lzo_rle", "snd_hda_codec", "snd_hda_intel"}
LOADED = {"loop", "snd_hda_intel"}
PARAMETERS = {"max_loop", "max_part"}
FILES = {"loop.ko", "snd-hda-codec.ko", "snd-hda-intel.ko"}
KERNELS = {KERNEL, "6.12.1"}

# Command lines, where @ is the system's directory, and what is offered. `modprobe!` is modprobe for that kernel.
CASES: dict[str, set[str]] = {
    "modprobe! ": ALL,
    "modprobe! l": {"loop", "lzo_rle"},
    "modprobe! snd_hda_i": {"snd_hda_intel"},
    "modprobe! nosuch": set(),
    "modprobe! loop ": PARAMETERS,
    "modprobe! -v loop max_l": {"max_loop"},
    "modprobe! loop max_loop=3 max_p": {"max_part"},
    "modprobe! loop max_loop=": set(),
    "modprobe! snd-hda-intel ": {"model"},
    "modprobe! nosuch ": set(),
    "modprobe! -a loop snd_hda_c": {"snd_hda_codec"},
    "modprobe! --all loop snd_hda_c": {"snd_hda_codec"},
    "modprobe! -va loop snd_hda_c": {"snd_hda_codec"},
    "modprobe! @/lib/modules/6.1.0-test/kernel/l": {"loop.ko"},
    "modprobe! @/lib/modules/6.1.0-test/kernel/loop.ko ": PARAMETERS,
    "modprobe --dirname=@ --set-version=6.1.0-test loop max": PARAMETERS,
    "modprobe -d@ -S6.1.0-test lo": {"loop"},
    "modprobe -d @ -S ": KERNELS,
    "modprobe -d @ --set-version=6.12": {"6.12.1"},
    "modprobe -w ": set(),
    "modprobe --dirname=@/lib/m": {"modules"},
    "modprobe -d @/l": {"lib"},
    "modprobe -C @/no": {"notes.txt"},
    "modprobe --first": {"--first-time"},
    "modprobe -r ": LOADED,
    "modprobe --remove l": {"loop"},
    "modprobe -vr loop ": LOADED,
    "modprobe -d @/nowhere -S 1.2 ": set(),
    "/sbin/modprobe -r ": LOADED,
    "rmmod ": LOADED,
    "rmmod -f loop snd": {"snd_hda_intel"},
    "insmod @/lib/modules/6.1.0-test/kernel/": FILES,
    "insmod @/lib/modules/6.1.0-test/kernel/loop.ko ": PARAMETERS,
    "insmod -f @/lib/modules/6.1.0-test/kernel/loop.ko max_p": {"max_part"},
    "modinfo -b @ -k 6.1.0-test ": ALL,
    "modinfo -b @ -k 6.1.0-test lz": {"lzo_rle"},
    "modinfo -b @ -k 6.1.0-test loop sn": {"snd_hda_codec", "snd_hda_intel"},
    "modinfo @/lib/modules/6.1.0-test/kernel/snd": FILES - {"loop.ko"},
    "modinfo -b @ -k ": KERNELS,
    "modinfo -F de": {"depends", "description"},
    "modinfo --field=fi": {"filename", "firmware"},
    "depmod -b @ ": KERNELS,
    "depmod --basedir=@ 6.12": {"6.12.1"},
    "depmod -b @ 6.1.0-test @/lib/modules/6.1.0-test/kernel/lo": {"loop.ko"},
    "depmod -F @/no": {"notes.txt"},
    "kmod ": {command.name for command in registry.VERBS},
    "kmod stati": {"static-nodes"},
    "kmod policy ": {"show", "verify", "diff", "audit"},
    "kmod check -d @ -S 6.1.0-test snd_hda_i": {"snd_hda_intel"},
    "kmod deny -d @ -S 6.1.0-test snd_hda_i": {"snd_hda_intel"},
    "kmod status --root=@ -S 6.1.0-test snd_hda_i": {"snd_hda_intel"},
    "kmod status -d @ -S 6.1.0-test loop lz": {"lzo_rle"},
    "kmod status -d @ -S 6.12": {"6.12.1"},
    "kmod static-nodes -f ": {"human", "tmpfiles", "devname"},
    "kmod static-nodes --format=t": {"tmpfiles"},
}


def test_answers(complete: Complete, system: Path) -> None:
    place = f"modprobe -d {system} -S {KERNEL}"
    lines = [line.replace("modprobe!", place).replace("@", str(system)) for line in CASES]
    found = dict(zip(CASES, complete(lines), strict=True))
    assert found == CASES


def test_names_continue_as_they_begin(complete: Complete, system: Path) -> None:
    """A dash typed stays one; zsh does that itself, taking both signs for the same."""
    (found,) = complete([f"modprobe -d {system} -S {KERNEL} snd-hda_i"])
    assert found <= {"snd-hda_intel", "snd-hda-intel", "snd_hda_intel"} and found


def test_commands_outside_path_are_found(complete: Complete, environment: dict[str, str], system: Path) -> None:
    """For users whose PATH lacks /usr/sbin: behind sudo, but in bash directly, as sudo takes bash-completion there."""
    need(Path("/usr/sbin/modinfo").exists(), "/usr/sbin/modinfo")
    sudo = system / "sudo/sudo"
    sudo.parent.mkdir(exist_ok=True)
    sudo.write_text("#!/bin/sh\n")
    sudo.chmod(0o755)
    line = f"insmod {system}/lib/modules/{KERNEL}/kernel/loop.ko "
    path = environment["PATH"]
    environment["PATH"] = f"{sudo.parent}:/usr/bin:/bin"
    try:
        (found,) = complete([line if complete.__name__ == "bash" else f"sudo {line}"])
    finally:
        environment["PATH"] = path
    assert found == PARAMETERS


def test_bash_with_other_word_breaks(prefix: Path, environment: dict[str, str], system: Path) -> None:
    """Where = and : do not divide words, answers have the whole word."""
    need(shutil.which("bash"), "bash")
    script = """
        source "$1"
        COMP_WORDBREAKS=$' \\t\\n'
        COMP_WORDS=(modprobe "--dirname=$2/l" after)
        COMP_CWORD=1 COMP_LINE="modprobe --dirname=$2/l after" COMP_POINT=$((19 + ${#2} + 2))
        _pymodutils modprobe "${COMP_WORDS[1]}" modprobe
        echo "${COMPREPLY[@]}"
    """
    completions = prefix / "share/bash-completion/completions/pymodutils"
    command = ["bash", "-c", script, "bash", str(completions), str(system)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (f"--dirname={system}/lib\n", "")


def test_bash_completion_takes_ours(prefix: Path, environment: dict[str, str], system: Path) -> None:
    """At a terminal, with Debian's bash-completion, which has files of its own for some of the commands."""
    start = Path("/usr/share/bash-completion/bash_completion")
    need(start.exists(), "bash-completion")
    own = {"BASH_COMPLETION_COMPAT_DIR": f"{prefix}/etc/bash_completion.d", "PS1": "$ "}
    terminal = Terminal(["bash", "--norc", "--noprofile", "-i"], {**environment, **own}, system / "empty")
    terminal.type(f"source {start}; echo rea''dy\n")
    terminal.wait(lambda: b"ready" in terminal.screen)
    for line, full in (
        (f"modprobe -d {system} -S {KERNEL} snd-hda-i", f"modprobe -d {system} -S {KERNEL} snd-hda-intel |"),
        (f"modprobe --dirname={system} --set-v", f"modprobe --dirname={system} --set-version=|"),
        (f"modprobe -d {system} -S {KERNEL} loop max_l", f"modprobe -d {system} -S {KERNEL} loop max_loop=|"),
        (f"insmod {system}/lib/modules/{KERNEL}/ker", f"insmod {system}/lib/modules/{KERNEL}/kernel/|"),
        ("sudo modprobe -r lo", "sudo modprobe -r loop |"),
        ("depmod -o ~/sh", "depmod -o ~/share/|"),
    ):
        terminal.screen = b""
        terminal.type(f"{line}\t|\x01echo 'got: \x05'\n")  # quotes the line that the tab has completed
        terminal.wait(lambda: re.search(rb"\ngot: .*\|\r?\n", terminal.screen) is not None)
        assert f"\ngot: {full}" in terminal.screen.decode().replace("\r", "")
    terminal.close()
