# SPDX-License-Identifier: LGPL-2.1-or-later
"""What lies in the place of a file and is none: no command waits for it, reads it for ever, or breaks."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest

from pymodutils.roots import Roots
from tests.robustness.trees import RELEASE, command_lines, make_tree, start, verb_lines
from tests.support.common import BIN, run_inside

SECONDS = 30
"""Time for what takes less than one, on a machine that does other things as well."""
_opened: set[str] | None = None


def _hear(event: str, arguments: tuple[object, ...]) -> None:
    if _opened is not None and event == "open" and isinstance(arguments[0], str):
        _opened.add(arguments[0])


sys.addaudithook(_hear)


class Hang(BaseException):
    """A command that does not end; no `Exception`, so that nothing takes it for one of its own."""


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise `Hang` in what takes longer than any answer does."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Hang

    usual = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, usual)


def make_system(base: Path) -> Roots:
    """A system with a file in each place where one is looked for, as far as the lines below come by."""
    make_tree(base)
    files = {
        "etc/modprobe.d/y.conf": "options b y=1\n",
        "etc/depmod.d/z.conf": "search updates\n",
        "etc/modules-load.d/l.conf": "a\n",
        "etc/modules": "b\n",
        "etc/udev/rules.d/u.rules": 'ACTION=="add", RUN{builtin}+="kmod load a"\n',
        "proc/modules": "a 16384 0 - Live 0x0\n",
        "proc/cmdline": "quiet module_blacklist=x\n",
        "proc/kallsyms": "ffffffff81000000 T start\n",
        "proc/version": f"Linux version {RELEASE}\n",
        "proc/sys/kernel/tainted": "0\n",
        "proc/sys/kernel/osrelease": f"{RELEASE}\n",
        "proc/sys/kernel/modprobe": "/sbin/modprobe\n",
        "proc/sys/kernel/modules_disabled": "0\n",
        "sys/module/a/initstate": "live\n",
        "sys/module/a/refcnt": "0\n",
        "sys/module/a/taint": "\n",
        "sys/module/a/coresize": "16384\n",
        "sys/module/a/parameters/x": "1\n",
        f"boot/initrd.img-{RELEASE}": "no image\n",
        f"boot/vmlinuz-{RELEASE}": "no kernel\n",
        f"boot/config-{RELEASE}": "CONFIG_MODULES=y\n",
        f"boot/System.map-{RELEASE}": "ffffffff81000000 T start\n",
        f"lib/modules/{RELEASE}/modules.softdep": "softdep a pre: c\n",
        f"lib/modules/{RELEASE}/modules.dep": "kernel/a.ko:\nkernel/b.ko: kernel/a.ko\n",
        f"lib/modules/{RELEASE}/build/Module.symvers": "0x00000001\tstart\tvmlinux\tEXPORT_SYMBOL\t\n",
    }
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text)
    return Roots(base=str(base), release=RELEASE, config_root=str(base), proc=str(base / "proc"), sys=str(base / "sys"))


def lines(base: Path) -> list[list[str]]:
    """One run of each command and verb."""
    modules = str(base / "lib/modules" / RELEASE)
    image = str(base / f"boot/initrd.img-{RELEASE}")
    own = [
        ["modprobe", "-n", "-v", "b"],
        ["modprobe", "--show-depends", "b"],
        ["modprobe", "-c"],
        ["depmod", "-n", "-e", "-F", str(base / f"boot/System.map-{RELEASE}"), RELEASE],
        ["kmod", "check", "--json", "b"],
        ["kmod", "config", "b"],
        ["kmod", "lint", f"--initrd={image}"],
        ["kmod", "lint"],
        ["kmod", "status", "a"],
        ["kmod", "who", "a"],
        ["kmod", "prune"],
        ["kmod", "explain", "b"],
        ["kmod", "devices"],
        ["kmod", "verify"],
        ["kmod", "params"],
        ["kmod", "params", "--changed"],
        ["kmod", "symbols", "sym"],
        ["kmod", "closure", "b", f"--image={image}"],
        ["kmod", "closure", "b"],
        ["kmod", "diff", modules, modules],
        ["kmod", "extend", f"--base={modules}", modules, f"--outdir={base / 'out'}"],
        ["kmod", "policy", "show"],
        ["kmod", "policy", "verify"],
        ["kmod", "reload", "--plan", "a"],
        ["kmod", "ensure", "--check", str(base / "wishes.toml")],
        ["kmod", "graph", "b"],
    ]
    return [*command_lines(base), *verb_lines(base), *own]


def pipe_of_nobody(path: str) -> None:
    os.mkfifo(path)


def pipe_of_somebody_silent(path: str) -> None:
    os.mkfifo(path)
    _held.append(os.open(path, os.O_RDWR))


def device_without_end(path: str) -> None:
    os.symlink("/dev/zero", path)


def empty_device(path: str) -> None:
    os.symlink("/dev/null", path)


def listening(path: str) -> None:
    folder = os.open(os.path.dirname(path), os.O_PATH)  # the path of a socket may have 108 bytes
    try:
        socket.socket(socket.AF_UNIX).bind(f"/proc/self/fd/{folder}/{os.path.basename(path)}")
    finally:
        os.close(folder)


def larger_than_the_disk(path: str) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 42)


def circle(path: str) -> None:
    os.symlink(path, path)


PIPES = (pipe_of_nobody, pipe_of_somebody_silent)
_held: list[int] = []
KINDS: list[Callable[[str], None]] = [
    pipe_of_nobody, pipe_of_somebody_silent, device_without_end, empty_device, os.mkdir, listening,
    larger_than_the_disk, circle,
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_no_command_waits_or_breaks(tmp_path: Path, kind: Callable[[str], None]) -> None:
    """Each file that a command opens is replaced in turn, and the command has to end as it does for a broken one."""
    global _opened
    system = tmp_path / "system"
    roots = make_system(system)
    kept = tmp_path / "kept"
    shutil.copytree(system, kept, symlinks=True)

    def restore() -> None:
        shutil.rmtree(system)
        shutil.copytree(kept, system, symlinks=True)

    wrong: list[tuple[list[str], str, int | None, bytes]] = []
    tried: set[tuple[str, ...]] = set()  # once for each command: in JSON a verb reads what it reads anyway
    for words in lines(system):
        _opened = set()
        run_inside(words[0], words[1:], roots)
        opened, _opened = _opened, None
        restore()
        for path in sorted(opened):
            of_kept = path.replace(str(system), str(kept), 1)
            if not path.startswith(f"{system}/") or not os.path.isfile(of_kept):
                continue
            if kind in PIPES and path in words and not path.endswith(".ko"):
                continue  # somebody named it, and is waited for
            case = (*[word for word in words if word[0] != "-"][:3], path)
            if case in tried:
                continue
            tried.add(case)
            os.unlink(path)
            kind(path)
            try:
                with no_hang():
                    done = run_inside(words[0], words[1:], roots)
                if done.status not in (0, 1, 2) or b"internal error" in done.err:
                    wrong.append((words, path, done.status, done.err))
            except Hang:
                wrong.append((words, path, None, b"hangs"))
            while _held:
                os.close(_held.pop())
            if os.path.isdir(path):
                os.rmdir(path)
            elif os.path.lexists(path):
                os.unlink(path)
            shutil.copy2(of_kept, path)
        restore()
    assert not wrong
    assert len(tried) > 200


def fed(path: Path, data: bytes) -> threading.Thread:
    """Make a named pipe whose writer comes late, and writes its bytes in pieces."""
    os.mkfifo(path)

    def write() -> None:
        with open(path, "wb", buffering=0) as file:
            for at in range(0, len(data), 7):
                file.write(data[at : at + 7])
                time.sleep(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    return thread


NAMED = {
    "ensure": ("wishes.toml", ["kmod", "ensure", "--check", "--json", "FILE"]),
    "allow": ("list", ["kmod", "allow", "--json", "--from=FILE"]),
    "decode": ("log", ["kmod", "decode", "--json", "FILE"]),
    "audit": ("list", ["kmod", "policy", "audit", "--json", "FILE"]),
    "-C": ("modprobe.d/x.conf", ["modprobe", "-C", "FILE", "-c"]),
    "depmod -C": ("depmod.conf", ["depmod", "-n", "-C", "FILE", RELEASE]),
    "depmod -F": ("System.map", ["depmod", "-n", "-e", "-F", "FILE", RELEASE]),
}


@pytest.mark.parametrize("case", NAMED)
def test_a_pipe_that_somebody_named_is_read_to_its_end(tmp_path: Path, case: str) -> None:
    name, words = NAMED[case]
    file = tmp_path / "system" / name
    words = [word.replace("FILE", str(file)) for word in words]

    def made() -> Roots:
        shutil.rmtree(tmp_path / "system", ignore_errors=True)
        roots = make_system(tmp_path / "system")
        if not file.exists():
            file.write_text("search built-in\nb\n" if case == "depmod -C" else "a\nb\n")
        return roots

    usual = run_inside(words[0], words[1:], made())
    roots = made()
    data = file.read_bytes()
    file.unlink()
    with no_hang():
        writer = fed(file, data)
        done = run_inside(words[0], words[1:], roots)
        writer.join()
    assert (done.status, done.out, done.err) == (usual.status, usual.out, usual.err)
    assert done.out
    assert done.status < 2


@pytest.mark.parametrize("words", [["ensure", "--check", "-"], ["decode", "-"], ["policy", "audit", "-"]])
def test_standard_input_without_end_or_closed(tmp_path: Path, words: list[str]) -> None:
    make_system(tmp_path)
    with open("/dev/zero", "rb") as zero:
        done = start(["kmod", *words], stdin=zero, timeout=SECONDS)
    assert (done.returncode, done.stderr) == (2, b"kmod: ERROR: -: File too large\n")
    done = start(["sh", "-c", 'exec "$@" <&-', "sh", str(BIN / "kmod"), *words], Path("/bin"), timeout=SECONDS)
    assert done.returncode in (0, 1, 2)
    assert b"internal error" not in done.stderr
