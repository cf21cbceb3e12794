# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever stops depmod: the old files or the new ones are there, each whole, and the next run tidies up."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymodutils.depmod import extractor
from pymodutils.depmod.render import FILES
from pymodutils.effects import indexes, together
from pymodutils.effects.publish import Directory
from tests.support import assets
from tests.support.common import BIN, Outcome, need, replace_call, run_inside
from tests.support.compare import RELEASE
from tests.support.koforge import Ko

Hook = Callable[[str], None]


class Tree:
    """A module directory with indexes, and a module more than these know."""

    def __init__(self, base: Path) -> None:
        self.base = base
        self.directory = base / "lib/modules" / RELEASE
        self.words = ["-C", "/var/empty/none", "-b", str(base), RELEASE]
        for name in "ab":
            Ko(modinfo=[f"alias={name}*"], exports={name: 1}).write(self.directory / f"kernel/{name}.ko")
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (self.directory / name).touch()
        assert self.depmod().status == 0
        self.old = self.files()
        Ko(modinfo=["alias=c*", "softdep=pre: a"], needs={"a": 1}, exports={"c": 1}).write(
            self.directory / "kernel/c.ko"
        )

    def depmod(self) -> Outcome:
        return run_inside("depmod", self.words)

    def files(self) -> dict[str, bytes]:
        return {name: (self.directory / name).read_bytes() for name in FILES if (self.directory / name).exists()}

    def rest(self) -> list[str]:
        """What runs leave next to the files."""
        return sorted(path.name for path in self.directory.iterdir() if path.name.startswith("."))

    def check_usable(self) -> None:
        words = ["-C", "/var/empty/none", "-d", str(self.base), "-S", RELEASE, "-D", "b"]
        assert run_inside("modprobe", words).out == f"insmod {self.directory}/kernel/b.ko \n".encode()

    def check_next_run(self) -> None:
        assert self.depmod().status == 0
        assert self.rest() == []
        made = self.files()
        assert b"kernel/c.ko: kernel/a.ko" in made["modules.dep"]
        assert self.depmod().status == 0
        assert self.files() == made


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def with_hook(monkeypatch: pytest.MonkeyPatch, hook: Hook) -> None:
    monkeypatch.setattr(indexes, "Directory", lambda path: Directory(path, hook))


def all_boundaries(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every moment between two changes to the directory, as a run that replaces all files meets them."""
    met: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        tree = Tree(tmp_path_factory.mktemp("boundaries"))
        with_hook(patch, met.append)
        assert tree.depmod().status == 0
    return met


def test_killed_at_every_boundary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    boundaries = all_boundaries(tmp_path_factory)
    assert len(boundaries) > 40
    for number, boundary in enumerate(boundaries):
        tree = Tree(tmp_path_factory.mktemp("killed"))

        def die(met: str, boundary: str = boundary) -> None:
            if met == boundary:
                os.kill(os.getpid(), signal.SIGKILL)

        child = os.fork()
        if child == 0:
            vars(indexes)["Directory"] = lambda path: Directory(path, die)
            tree.depmod()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        found = tree.files()
        tree.check_usable()
        tree.check_next_run()
        new = tree.files()
        assert all(found[name] in (tree.old[name], new[name]) for name in FILES)
        if number < boundaries.index("before rename modules.dep"):
            assert found == tree.old


@pytest.mark.parametrize("errno", [28, 5], ids=["ENOSPC", "EIO"])
def test_an_error_at_every_boundary(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, errno: int
) -> None:
    """The old set is there, all of it."""
    for boundary in all_boundaries(tmp_path_factory):
        tree = Tree(tmp_path_factory.mktemp("failing"))

        def fail(met: str, boundary: str = boundary) -> None:
            if met == boundary:
                raise OSError(errno, os.strerror(errno))

        with pytest.MonkeyPatch.context() as patch:
            with_hook(patch, fail)
            done = tree.depmod()
        assert tree.rest() == []
        tree.check_usable()
        place = boundary.partition("modules.")
        path = f"{tree.directory}/{''.join(place[1:])}".rstrip("/") if place[1] else f"{tree.directory}/"
        expected = f"depmod: ERROR: could not write {path}: {os.strerror(errno)}; the old files are left in place\n"
        assert (done.status, done.err.decode()) == (1, expected)
        assert tree.files() == tree.old
        tree.check_next_run()


def test_an_interrupt_at_every_boundary(tmp_path_factory: pytest.TempPathFactory) -> None:
    for boundary in all_boundaries(tmp_path_factory):
        tree = Tree(tmp_path_factory.mktemp("interrupted"))

        def interrupt(met: str, boundary: str = boundary) -> None:
            if met == boundary:
                raise KeyboardInterrupt

        with pytest.MonkeyPatch.context() as patch:
            with_hook(patch, interrupt)
            done = tree.depmod()
        assert (done.status, done.err) == (130, b"")
        assert tree.rest() == []
        assert tree.files() == tree.old
        tree.check_next_run()


def test_a_first_run_that_fails_leaves_nothing(tree: Tree) -> None:
    for name in FILES:
        (tree.directory / name).unlink()

    def fail(met: str) -> None:
        if met == "before flush":
            raise OSError(5, os.strerror(5))

    with pytest.MonkeyPatch.context() as patch:
        with_hook(patch, fail)
        assert tree.depmod().status == 1
    assert (tree.files(), tree.rest()) == ({}, [])
    tree.check_next_run()


@pytest.mark.parametrize("call", ["utime", "fsync", "link"])
def test_a_file_system_that_does_not_offer_a_call(tree: Tree, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    """Times of one's own choice, flushing a directory, second names for a file."""
    real = getattr(os, call)
    refused = []

    def refuse(*arguments: Any, **_named: Any) -> None:
        if call == "fsync" and not stat.S_ISDIR(os.fstat(arguments[0]).st_mode):
            real(*arguments)
            return
        refused.append(call)
        raise OSError(22, os.strerror(22))

    with monkeypatch.context() as patch:
        replace_call(patch, call, refuse)
        done = tree.depmod()
    assert refused
    assert (done.status, done.err, tree.rest()) == (0, b"", [])
    assert b"kernel/c.ko: kernel/a.ko" in tree.files()["modules.dep"]
    tree.check_next_run()


def refuse_links(*_arguments: object, **_named: object) -> None:
    raise OSError(1, os.strerror(1))


@pytest.mark.parametrize("cause", ["no links", "no way back"])
def test_files_that_cannot_be_put_back_are_told_of(tree: Tree, monkeypatch: pytest.MonkeyPatch, cause: str) -> None:
    """Without second names for files, or when the disk fails for good; nothing is lost that could be used."""
    real = os.rename
    calls = []

    def rename(source: str, target: str, **named: int) -> None:
        calls.append(source)
        if len(calls) == 3 or (cause == "no way back" and source == ".depmod-old.modules.dep"):
            raise OSError(5, os.strerror(5))
        real(source, target, **named)

    with monkeypatch.context() as patch:
        replace_call(patch, "rename", rename)
        if cause == "no links":
            replace_call(patch, "link", refuse_links)
        done = tree.depmod()
    assert done.status == 1
    assert done.err.decode() == (
        f"depmod: ERROR: could not write {tree.directory}/modules.alias: Input/output error; "
        "some files are new and some are old: run depmod again\n"
    )
    found = tree.files()
    new = [name for name in FILES if found[name] != tree.old[name]]
    if cause == "no links":
        assert new == ["modules.dep", "modules.dep.bin"]
    else:
        assert (new, tree.rest()) == (["modules.dep"], [".depmod-old.modules.dep"])
    tree.check_next_run()


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077])
def test_modes_are_those_of_kmod(tree: Tree, umask: int) -> None:
    modes = []
    for program, out in ([BIN / "depmod"], "ours"), (assets.kmod34_argv("depmod"), "kmod"):
        words = [*program, "-o", str(tree.base / out), *tree.words]
        subprocess.run(words, check=True, umask=umask)
        modes.append({path.relative_to(tree.base / out): path.stat().st_mode for path in (tree.base / out).rglob("*")})
        modes[-1][Path()] = (tree.base / out).stat().st_mode
    assert modes[0] == modes[1]
    assert len(modes[0]) == len(FILES) + 4


def test_through_a_link_to_the_module_directory(tree: Tree) -> None:
    real = tree.directory.rename(tree.base / "real")
    tree.directory.symlink_to(real)
    assert tree.depmod().status == 0
    assert tree.directory.is_symlink()
    assert b"kernel/c.ko: kernel/a.ko" in (real / "modules.dep").read_bytes()


def in_namespace(tree: Tree, mount: str) -> subprocess.CompletedProcess[bytes]:
    """Run depmod with something mounted for it alone."""
    need(os.geteuid() == 0, "root")
    script = f'{mount} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-ec", script, "sh", str(BIN / "depmod"), *tree.words]
    return subprocess.run(command, capture_output=True)


def test_a_read_only_directory(tree: Tree) -> None:
    done = in_namespace(tree, f"mount --bind {tree.base} {tree.base} && mount -o remount,bind,ro {tree.base}")
    assert done.returncode == 1
    assert b"Read-only file system" in done.stderr
    assert tree.files() == tree.old


def test_a_full_disk(tree: Tree) -> None:
    """A small file system in memory, with the old set in it and room for a part of the new one."""
    out = tree.base / "out"
    small = out / "lib/modules" / RELEASE
    small.mkdir(parents=True)
    tree.words[:0] = ["-o", str(out)]
    fill = f"cp {tree.directory}/modules.* {small}/ && head -c 4M /dev/zero >{small}/full 2>&- || true"
    look = f"cksum {small}/modules.* | sed s,{small},, >{tree.base}/sums"
    prepare = f"mount -t tmpfs -o size=96k none {out}; mkdir -p {small}; {fill}"
    script = f'{prepare}; "$@" || echo status $?; {look}; ls -A {small}'
    need(os.geteuid() == 0, "root")
    command = ["unshare", "--mount", "sh", "-ec", script, "sh", str(BIN / "depmod"), *tree.words]
    done = subprocess.run(command, capture_output=True)
    assert b"status 1" in done.stdout
    assert b"No space left on device" in done.stderr
    assert b"\n.depmod" not in done.stdout
    sums = {line.split()[2]: line.split()[:2] for line in (tree.base / "sums").read_text().splitlines()}
    for name in FILES:
        ours = subprocess.run(["cksum", tree.directory / name], capture_output=True, text=True).stdout.split()[:2]
        assert sums[f"/{name}"] == ours


def test_a_directory_replaced_by_a_link(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was opened is written to; nothing goes where the link leads."""
    elsewhere = tree.base / "elsewhere"
    elsewhere.mkdir()
    moved = tree.base / "moved"

    def swap(boundary: str) -> None:
        if boundary == "before create modules.dep":
            tree.directory.rename(moved)
            tree.directory.symlink_to(elsewhere)

    with_hook(monkeypatch, swap)
    tree.depmod()
    assert list(elsewhere.iterdir()) == []
    assert b"kernel/c.ko: kernel/a.ko" in (moved / "modules.dep").read_bytes()


def test_a_module_that_changes_while_it_is_read(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was read last counts in this run; the next one reads it again."""
    real: Callable[..., object] = vars(extractor)["extract"]

    def extract(*arguments: object, **named: object) -> object:
        found = real(*arguments, **named)
        Ko(modinfo=["alias=later*"], exports={"b": 1}).write(tree.directory / "kernel/b.ko")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(extractor, "extract", extract)
        assert tree.depmod().status == 0
    assert tree.depmod().status == 0
    assert b"alias later* b" in tree.files()["modules.alias"]
    tree.check_next_run()


def test_all_is_flushed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed = []
    real = os.fsync

    def fsync(fd: int) -> None:
        flushed.append(os.readlink(f"/proc/self/fd/{fd}").rpartition("/")[2])
        real(fd)

    replace_call(monkeypatch, "fsync", fsync)
    assert tree.depmod().status == 0
    *files, directory = flushed
    assert (sorted(files), directory) == (sorted(f".depmod-new.{name}" for name in FILES), RELEASE)


def test_threads_that_cannot_be_started(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(together, "start_new_thread", refuse)
    test_all_is_flushed(tree, monkeypatch)
    assert tree.rest() == []


@pytest.mark.parametrize("name", [FILES[0], FILES[5], FILES[-1]])
def test_a_file_that_cannot_be_flushed_is_named(tree: Tree, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = os.fsync

    def fsync(fd: int) -> None:
        if os.readlink(f"/proc/self/fd/{fd}").endswith(f"-new.{name}"):
            raise OSError(5, os.strerror(5))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    done = tree.depmod()
    assert (done.status, tree.files(), tree.rest()) == (1, tree.old, [])
    assert f"{name}: Input/output error".encode() in done.err


def test_a_clock_that_goes_backwards(tree: Tree) -> None:
    for name in (*FILES, "kernel", "kernel/a.ko", "kernel/b.ko"):
        os.utime(tree.directory / name, (4_000_000_000, 4_000_000_000))
    Ko(modinfo=["alias=new*"], exports={"b": 1}).write(tree.directory / "kernel/b.ko")
    assert tree.depmod().status == 0
    assert b"alias new* b" in tree.files()["modules.alias"]
    tree.check_next_run()
