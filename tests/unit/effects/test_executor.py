# SPDX-License-Identifier: LGPL-2.1-or-later
"""Carrying out what modprobe plans, on a pretended kernel that can refuse (tests/support/fakekernel.py)."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymodutils.effects import commands
from tests.support.common import Outcome, replace_call, run_inside
from tests.support.fakekernel import FakeKernel

CHAIN = {"a": [], "b": ["a"], "c": ["b", "a"], "other": [], "lonely": []}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    monkeypatch.delenv("MODPROBE_OPTIONS", raising=False)
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree(CHAIN, builtin=["inside"], aliases="al_*=c")
    return kernel


def modprobe(kernel: FakeKernel, words: str) -> Outcome:
    return run_inside("modprobe", words.split(), kernel.roots)


def error(text: str) -> bytes:
    return f"modprobe: ERROR: {text}\n".encode()


OK = Outcome(0, b"", b"")


# --- loading


def test_a_chain_is_loaded_from_its_bottom(kernel: FakeKernel) -> None:
    done = modprobe(kernel, "-v c x=1")
    assert done == Outcome(
        0, f"insmod {kernel.path('a')} \ninsmod {kernel.path('b')} \ninsmod {kernel.path('c')} x=1\n".encode(), b""
    )
    assert kernel.calls == [("finit", "a", ""), ("finit", "b", ""), ("finit", "c", "x=1")]
    assert modprobe(kernel, "-v c") == OK
    assert len(kernel.calls) == 3


def test_each_file_is_opened_once(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """And of a module that is not there nothing is opened below /sys."""
    opened: list[str] = []
    real = os.open

    def count(path: str, flags: int, *more: int, **named: Any) -> int:
        if not named:  # else it is `shutil`, by which the fake kernel tidies up
            opened.append(str(path))
        return real(path, flags, *more, **named)

    replace_call(monkeypatch, "open", count)
    assert modprobe(kernel, "-a c other lonely") == OK
    assert [opened.count(str(kernel.path(name))) for name in CHAIN] == [1] * len(CHAIN)
    assert [path for path in opened if path.endswith(("dep.bin", "builtin.bin"))] == [
        str(kernel.modules / f"modules.{name}.bin") for name in ("dep", "builtin")
    ]
    assert not [path for path in opened if path.startswith(str(kernel.sys)) and path.split("/")[-2] in ("c", "other")]


def test_a_sandbox_that_knows_no_faccessat2(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """There `access` says no to everything."""
    replace_call(monkeypatch, "access", lambda *_words, **_named: False)
    modprobe(kernel, "b")
    assert kernel.loaded == ["a", "b"]
    assert modprobe(kernel, "-v c").out == f"insmod {kernel.path('c')} \n".encode()


def test_only_what_is_missing_is_loaded(kernel: FakeKernel) -> None:
    modprobe(kernel, "b")
    del kernel.calls[:]
    assert modprobe(kernel, "c") == OK
    assert kernel.calls == [("finit", "c", "")]


@pytest.mark.parametrize(
    ("refused", "number", "text", "loaded"),
    [
        ("c", errno.ENOEXEC, "Exec format error", ["a", "b"]),
        ("c", errno.ENOENT, "Unknown symbol in module, or unknown parameter (see dmesg)", ["a", "b"]),
        ("b", errno.EINVAL, "Invalid argument", ["a"]),
        ("a", errno.ENOMEM, "Cannot allocate memory", []),
        ("a", errno.EPERM, "Operation not permitted", []),
    ],
)
def test_a_required_module_that_fails_ends_it(
    kernel: FakeKernel, refused: str, number: int, text: str, loaded: list[str]
) -> None:
    kernel.script[refused] = [number]
    assert modprobe(kernel, "c") == Outcome(1, b"", error(f"could not insert 'c': {text}"))
    assert kernel.loaded == loaded


@pytest.mark.parametrize("line", ["softdep c pre: other", "softdep b post: other", "softdep c pre: nothing other"])
def test_a_softdep_that_fails_is_passed_over(kernel: FakeKernel, line: str) -> None:
    kernel.configure(line)
    kernel.script["other"] = [errno.EIO]
    assert modprobe(kernel, "c") == OK
    assert kernel.loaded == ["a", "b", "c"]
    assert ("finit", "other", "") in kernel.calls


def test_a_softdep_is_tried_with_the_rest_of_its_own_dependencies(kernel: FakeKernel) -> None:
    kernel.configure("softdep other pre: c")
    kernel.script["a"] = [errno.EIO]
    assert modprobe(kernel, "other") == OK
    assert kernel.loaded == ["other"]
    assert [name for _, name, _ in kernel.calls] == ["a", "b", "c", "other"]


@pytest.mark.parametrize("module", ["a", "c"])
def test_a_module_that_another_process_loads_meanwhile_is_no_failure(kernel: FakeKernel, module: str) -> None:
    kernel.script[module] = [errno.EEXIST]
    kernel.script["b"] = [0]
    done = modprobe(kernel, "c" if module == "c" else "a")
    assert done == OK


def test_first_time_minds_only_the_module_asked_for(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EEXIST]
    assert modprobe(kernel, "--first-time c") == Outcome(
        1, b"", error("could not insert 'c': Module already in kernel")
    )
    kernel.script["other"] = [errno.EEXIST]
    kernel.configure("softdep lonely pre: other")
    assert modprobe(kernel, "--first-time lonely") == OK
    assert modprobe(kernel, "--first-time lonely").status == 1
    assert modprobe(kernel, "--first-time inside").err == error("could not insert 'inside': Module already in kernel")


@pytest.mark.parametrize("option", ["", "--first-time"])
def test_a_dependency_that_another_process_loads_meanwhile_is_no_failure(kernel: FakeKernel, option: str) -> None:
    def load_b_too(name: str) -> None:
        if name == "b":
            kernel.needs["b"] = ["a"]
            kernel._show()

    kernel.during = load_b_too
    assert modprobe(kernel, f"{option} c") == OK
    assert kernel.loaded == ["a", "b", "c"]


def test_first_time_loses_the_race_between_plan_and_step(kernel: FakeKernel) -> None:
    """Another process loads the module while its dependency is being loaded."""

    def load_c_too(name: str) -> None:
        if name == "b":
            kernel.needs["c"] = []
            kernel._show()

    kernel.during = load_c_too
    assert modprobe(kernel, "--first-time c") == Outcome(
        1, b"", error("could not insert 'c': Module already in kernel")
    )


@pytest.mark.parametrize(("option", "status"), [("", 0), ("--first-time", 1)])
def test_another_process_may_unload_the_module_first(kernel: FakeKernel, option: str, status: int) -> None:
    kernel.needs["other"] = []
    kernel._show()
    kernel.script["other"] = [errno.ENOENT]
    assert modprobe(kernel, f"-r {option} other").status == status


def test_without_finit_module_the_bytes_are_loaded(kernel: FakeKernel) -> None:
    kernel.has_finit = False
    assert modprobe(kernel, "b y=2") == OK
    assert kernel.calls == [("init", "a", ""), ("init", "b", "y=2")]


def test_enosys_from_the_module_itself_stays_a_failure(kernel: FakeKernel) -> None:
    kernel.script["a"] = [errno.ENOSYS, errno.ENOSYS]
    assert modprobe(kernel, "a") == Outcome(1, b"", error("could not insert 'a': Function not implemented"))
    assert [call[0] for call in kernel.calls] == ["finit", "init"]


# --- compressed files


@pytest.fixture
def xz_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """A kernel that decompresses xz itself."""
    kernel = FakeKernel(tmp_path, monkeypatch, compression="xz")
    kernel.tree(CHAIN)
    return kernel


def compress(kernel: FakeKernel, name: str, how: Callable[[bytes], bytes]) -> None:
    kernel.path(name).write_bytes(how(kernel.path(name).read_bytes()))


def test_a_file_the_kernel_can_decompress_goes_to_it_as_it_is(xz_kernel: FakeKernel) -> None:
    compress(xz_kernel, "a", lzma.compress)
    assert modprobe(xz_kernel, "b") == OK
    assert [call[:2] for call in xz_kernel.calls] == [("finit", "a"), ("finit", "b")]
    assert xz_kernel.flags == [4, 0]


def test_a_file_in_another_compression_is_decompressed_here(xz_kernel: FakeKernel) -> None:
    compress(xz_kernel, "a", gzip.compress)
    assert modprobe(xz_kernel, "b") == OK
    assert [call[:2] for call in xz_kernel.calls] == [("init", "a"), ("finit", "b")]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOEXEC, errno.ENOSYS])
def test_a_file_the_kernel_cannot_decompress_after_all_is_decompressed_here(xz_kernel: FakeKernel, number: int) -> None:
    compress(xz_kernel, "a", lzma.compress)
    xz_kernel.script["a"] = [number]
    assert modprobe(xz_kernel, "a") == OK
    assert [call[0] for call in xz_kernel.calls] == ["finit", "init"]


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOENT, errno.ENOMEM])
def test_other_refusals_are_not_tried_twice(xz_kernel: FakeKernel, number: int) -> None:
    compress(xz_kernel, "a", lzma.compress)
    xz_kernel.script["a"] = [number]
    assert modprobe(xz_kernel, "a").status == 1
    assert len(xz_kernel.calls) == 1


def test_what_is_refused_uncompressed_is_not_tried_twice(kernel: FakeKernel) -> None:
    kernel.script["a"] = [errno.EINVAL]
    assert modprobe(kernel, "a").status == 1
    assert len(kernel.calls) == 1


@pytest.mark.parametrize(
    ("option", "flags"), [("-f", 3), ("--force-modversion", 1), ("--force-vermagic", 2), ("-v", 0)]
)
def test_force_reaches_the_kernel_for_every_module(kernel: FakeKernel, option: str, flags: int) -> None:
    assert modprobe(kernel, f"{option} b").status == 0
    assert kernel.flags == [flags, flags]


# --- files that are gone


@pytest.mark.parametrize("gone", ["a", "b"])
def test_a_dependency_whose_file_is_gone_is_named_and_nothing_is_loaded(kernel: FakeKernel, gone: str) -> None:
    kernel.path(gone).unlink()
    done = modprobe(kernel, "c")
    assert done.status == 1
    assert done.err.count(b"\n") == 1
    assert str(kernel.path(gone)).encode() in done.err
    assert kernel.loaded == []
    assert kernel.calls == []


def test_the_file_of_a_loaded_dependency_is_not_needed(kernel: FakeKernel) -> None:
    modprobe(kernel, "b")
    kernel.path("a").unlink()
    assert modprobe(kernel, "c") == OK
    assert kernel.loaded == ["a", "b", "c"]


def test_a_softdep_whose_dependency_is_gone_is_passed_over(kernel: FakeKernel) -> None:
    kernel.configure("softdep other pre: c")
    kernel.path("a").unlink()
    done = modprobe(kernel, "other")
    assert done.status == 0
    assert kernel.loaded == ["other"]


def test_the_file_asked_for_is_gone(kernel: FakeKernel) -> None:
    kernel.path("c").unlink()
    done = modprobe(kernel, "c")
    assert done.status == 1
    assert done.err.startswith(b"modprobe: ERROR: could not insert 'c': ")


# --- commands


def test_an_install_command_runs_instead(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.configure(f"install b echo $MODPROBE_MODULE:$CMDLINE_OPTS: > {tmp_path}/ran\noptions b p=1")
    kernel.script["c"] = [errno.ENOENT]  # the command did not load b
    assert modprobe(kernel, "c").status == 1
    assert (tmp_path / "ran").read_text() == "b:p=1 :\n"
    assert [name for _, name, _ in kernel.calls] == ["a", "c"]


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("exit 3", "retcode 3"),
        ("kill -TERM $$", "killed by signal 15"),
        (f"kill -{signal.SIGSEGV:d} $$", "killed by signal 11"),
        ("no-such-program 2>/dev/null", "retcode 127"),
    ],
)
def test_a_command_that_fails_or_is_killed_is_a_failure(kernel: FakeKernel, command: str, reason: str) -> None:
    kernel.configure(f"install b {command}")
    done = modprobe(kernel, "c")
    assert done.status == 1
    assert f"for module b: {reason}".encode() in done.err
    assert done.err.endswith(error("could not insert 'c': Invalid argument"))
    assert kernel.loaded == ["a"]


def test_a_command_of_a_softdep_that_fails_is_passed_over(kernel: FakeKernel) -> None:
    kernel.configure("install other exit 3\nsoftdep c pre: other")
    done = modprobe(kernel, "c")
    assert done.status == 0
    assert b"retcode 3" in done.err
    assert kernel.loaded == ["a", "b", "c"]


@pytest.mark.parametrize("kind", ["install", "remove"])
def test_a_command_that_is_begun_again_and_gets_nowhere_is_refused(
    kernel: FakeKernel, kind: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As a modprobe in the command itself would, this one finds the command's own environment."""
    name, words = ("lonely", "lonely") if kind == "install" else ("other", "-r other")
    modprobe(kernel, "other")
    kernel.configure(f"{kind} {name} echo $PYMODUTILS_UNDER_WAY")
    assert modprobe(kernel, words) == OK
    monkeypatch.setenv("PYMODUTILS_UNDER_WAY", capfd.readouterr().out.strip())
    done = modprobe(kernel, words)
    assert done.status == 1
    assert name.encode() in done.err
    modprobe(kernel, "a")
    assert modprobe(kernel, words) == OK  # something has happened since


@pytest.mark.parametrize(
    "forged", ["9" * 5000, f"{'9' * 5000}::install:lonely:0", f"{'9' * 5000}:1:x", "1", ":::", "-1::x", "\udcff:1:x"]
)
def test_a_forged_variable_is_none(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, forged: str) -> None:
    kernel.configure("install lonely true")
    monkeypatch.setenv("PYMODUTILS_UNDER_WAY", forged)
    assert modprobe(kernel, "lonely") == OK


@pytest.mark.parametrize("gone", ["before", "after"])
def test_a_command_begun_again_is_known_although_proc_comes_or_goes(
    kernel: FakeKernel, gone: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An install command may mount /proc, or leave it behind in another root."""
    kernel.configure("install lonely echo $PYMODUTILS_UNDER_WAY")
    with monkeypatch.context() as patch:
        if gone == "before":
            patch.setattr(commands, "_start_of", lambda _pid: None)
        assert modprobe(kernel, "lonely") == OK
    monkeypatch.setenv("PYMODUTILS_UNDER_WAY", capfd.readouterr().out.strip())
    if gone == "after":
        monkeypatch.setattr(commands, "_start_of", lambda _pid: None)
    assert modprobe(kernel, "lonely").status == 1


def test_a_line_of_v_appears_before_what_its_command_prints(
    kernel: FakeKernel, capfd: pytest.CaptureFixture[str]
) -> None:
    """Through real descriptors, since the command writes there."""
    import sys

    from pymodutils.cli.console import Console
    from pymodutils.cli.main import guarded, load

    kernel.configure("install b echo command")
    console = Console("modprobe", os.fdopen(os.dup(1), "wb"), sys.stderr.buffer)
    guarded(console, lambda: load("modprobe")(["-v", "b"], console, kernel.roots))
    assert capfd.readouterr().out.splitlines() == [f"insmod {kernel.path('a')} ", "install echo command ", "command"]


# --- removing


def removed(kernel: FakeKernel) -> list[str]:
    return [call[1] for call in kernel.calls if call[0] == "delete"]


@pytest.fixture
def full(kernel: FakeKernel) -> FakeKernel:
    """a, b and c are loaded."""
    assert modprobe(kernel, "c") == OK
    del kernel.calls[:]
    return kernel


def test_what_nothing_needs_any_more_goes_too(full: FakeKernel) -> None:
    assert modprobe(full, "-r -v c") == Outcome(0, b"rmmod c\nrmmod b\n", b"")
    assert full.loaded == ["a"]  # as kmod: looked at before b went


def test_what_is_needed_elsewhere_stays(full: FakeKernel) -> None:
    full.hold("a")
    assert modprobe(full, "-r c") == OK
    assert full.loaded == ["a"]
    assert removed(full) == ["c", "b"]


def test_state_is_looked_at_again_before_each_removal(full: FakeKernel) -> None:
    """Somebody takes hold of b while c is being removed."""
    full.before_delete = lambda name: full.hold("b") if name == "c" else None
    assert modprobe(full, "-r c") == OK
    assert removed(full) == ["c"]
    assert full.loaded == ["a", "b"]


def test_a_module_in_use_is_refused(full: FakeKernel) -> None:
    assert modprobe(full, "-r a") == Outcome(1, b"", b"modprobe: FATAL: Module a is in use.\n")
    assert full.calls == []


def test_the_kernel_has_the_last_word_on_use(full: FakeKernel) -> None:
    full.script["c"] = [errno.EAGAIN]
    done = modprobe(full, "-r c")
    assert done == Outcome(1, b"", error("could not remove 'c': Resource temporarily unavailable"))
    assert full.loaded == ["a", "b", "c"]


def test_a_module_that_is_gone_meanwhile_is_no_failure(full: FakeKernel) -> None:
    def unload(name: str) -> None:
        del full.needs[name]
        full._show()

    full.before_delete = unload
    assert modprobe(full, "-r c") == OK
    assert full.loaded == ["a"]


def test_with_w_it_is_tried_again(full: FakeKernel) -> None:
    full.script["c"] = [errno.EAGAIN] * 3
    assert modprobe(full, "-r -w 5000 c") == OK
    assert removed(full) == ["c", "c", "c", "c", "b"]


def test_other_refusals_are_not_waited_for(full: FakeKernel) -> None:
    full.script["c"] = [errno.EBUSY]
    assert modprobe(full, "-r -w 5000 c") == Outcome(1, b"", error("could not remove 'c': Device or resource busy"))
    assert removed(full) == ["c"]


def test_the_wait_ends(full: FakeKernel) -> None:
    full.hold("c")
    done = modprobe(full, "-r -w 200 c")
    assert done == Outcome(1, b"", error("could not remove 'c': Resource temporarily unavailable"))
    assert len(removed(full)) > 2


def test_holders_are_removed_first_when_asked(full: FakeKernel) -> None:
    assert modprobe(full, "-r --remove-holders a") == OK
    assert removed(full) == ["c", "b", "a"]


def test_a_holder_that_stays_ends_it(full: FakeKernel) -> None:
    full.script["c"] = [errno.EBUSY]
    assert modprobe(full, "-r --remove-holders a") == Outcome(
        1, b"", error("could not remove 'c': Device or resource busy")
    )
    assert full.loaded == ["a", "b", "c"]


def test_failures_after_the_removal_are_passed_over(full: FakeKernel) -> None:
    full.script["b"] = [errno.EBUSY]
    assert modprobe(full, "-r c").status == 0
    assert full.loaded == ["a", "b"]


def test_softdeps_are_removed_both_ways(full: FakeKernel) -> None:
    modprobe(full, "-a other lonely")
    full.configure("softdep c pre: other post: lonely")
    assert modprobe(full, "-r -v c").out == b"rmmod lonely\nrmmod c\nrmmod b\nrmmod other\n"


@pytest.mark.parametrize(
    ("words", "done"),
    [
        ("-r other", OK),
        ("-r --first-time other", Outcome(1, b"", b"modprobe: FATAL: Module other is not in kernel.\n")),
        ("-r inside", Outcome(1, b"", b"modprobe: FATAL: Module inside is builtin.\n")),
        ("-r -q inside", Outcome(1, b"", b"")),
        ("-r nothing", Outcome(1, b"", b"modprobe: FATAL: Module nothing not found.\n")),
        ("-r -n -v c", Outcome(0, b"rmmod c\n", b"")),
    ],
)
def test_small_cases_of_removal(full: FakeKernel, words: str, done: Outcome) -> None:
    assert modprobe(full, words) == done
    assert full.calls == []


def test_a_remove_command_runs_instead(full: FakeKernel) -> None:
    full.configure("remove c true")
    assert modprobe(full, "-r -v c") == Outcome(0, b"remove true\n", b"")
    assert full.calls == []


@pytest.mark.parametrize("command", ["exit 2", "kill -KILL $$"])
def test_a_remove_command_that_fails_is_a_failure(full: FakeKernel, command: str) -> None:
    full.configure(f"remove c {command}")
    assert modprobe(full, "-r c") == Outcome(1, b"", b"modprobe: FATAL: Error running remove command for c\n")


def test_output_that_cannot_be_written_keeps_nothing_from_being_loaded(kernel: FakeKernel) -> None:
    import io

    from pymodutils.cli.console import Console
    from pymodutils.cli.main import guarded, load

    err = io.BytesIO()
    with open("/dev/full", "wb", buffering=0) as full:
        console = Console("modprobe", full, err)
        status = guarded(console, lambda: load("modprobe")(["-v", "c"], console, kernel.roots))
    assert (status, err.getvalue()) == (1, error("write error: No space left on device"))
    assert kernel.loaded == ["a", "b", "c"]
