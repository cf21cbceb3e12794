# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod reload: the same modules with the same parameters afterwards, whatever happens between."""

from __future__ import annotations

import errno
import json
import os
import signal
from pathlib import Path

import pytest

from pymodutils import (
    Context,
    LiveKernelNotAskedError,
    NotFoundError,
    ReloadReport,
    deny,
    reload,
    resume_reload,
)
from pymodutils.effects.reloadrecord import BusyError, ReloadRecords, unfinished
from tests.support.common import replace_call, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.schemas import check_document

RW, RO = 0o644, 0o444
TREE: dict[str, list[str]] = {"base": [], "mid": ["base"], "top": ["mid", "base"], "side": ["base"], "alone": []}


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    """base < mid < top, base < side; each with parameters that were changed."""
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.parameters = {
        "base": {
            "x": ("int", RW, "0"),
            "text": ("charp", RO, "(null)"),
            "own": ("", RW, "auto"),
            "hid": ("int", 0, "7"),
        },
        "mid": {"y": ("bool", RO, "N")},
        "top": {"z": ("charp", RO, "a")},
    }
    kernel.tree(TREE, builtin=["printk"])
    kernel.configure("options base text=configured\n")
    with Context(kernel.roots) as context:
        context.load("base", "x=5")
        context.load("mid", "y=Y")
        context.load("top", {"z": "two words"})
        context.load("side")
    kernel.calls.clear()
    return kernel


BEFORE = {
    "base": {"x": "5", "text": "configured", "own": "auto"},
    "mid": {"y": "Y"},
    "top": {"z": "two words"},
    "side": {},
}


def values(kernel: FakeKernel) -> dict[str, dict[str, str | None]]:
    with Context(kernel.roots) as context:
        return {name: context.live.parameters(name) for name in sorted(kernel.loaded)}


def as_before(kernel: FakeKernel) -> bool:
    return values(kernel) == dict(sorted(BEFORE.items()))


def do(kernel: FakeKernel, name: str = "base", *, plan: bool = False, force: bool = False, x: str = "") -> ReloadReport:
    with Context(kernel.roots) as context:
        return reload(context, name, {"x": x} if x else {}, plan=plan, force=force)


def records(kernel: FakeKernel) -> list[Path]:
    return sorted(Path(kernel.roots.config_root, "run/pymodutils").glob("reload-*"))


def test_holders_go_first_and_come_last_with_their_parameters(kernel: FakeKernel) -> None:
    report = do(kernel, x="6")
    assert report.is_done and report.rolled_back is None
    assert [call[:2] for call in kernel.calls] == [
        ("delete", "top"), ("delete", "mid"), ("delete", "side"), ("delete", "base"),
        ("finit", "base"), ("finit", "side"), ("finit", "mid"), ("finit", "top"),
    ]  # fmt: skip
    given = {call[1]: call[2] for call in kernel.calls if call[0] == "finit"}
    assert given == {"base": "text=configured own=auto x=6", "side": "", "mid": "y=Y", "top": 'z="two words"'}
    assert report.before["base"]["x"] == "5" and report.after["base"]["x"] == "6"
    assert [step.action for step in report.steps] == ["unload"] * 4 + ["load"] * 4 + ["compare"] * 4
    assert all(step.done and not step.undo for step in report.steps)
    assert records(kernel) == []
    assert [(warning.code, warning.module) for warning in report.warnings] == [("unseen", "base")]


def test_without_new_parameters_nothing_is_different(kernel: FakeKernel) -> None:
    assert do(kernel, "mid").is_done
    assert as_before(kernel)
    assert [call[:2] for call in kernel.calls] == [
        ("delete", "top"), ("delete", "mid"), ("finit", "mid"), ("finit", "top"),
    ]  # fmt: skip


def test_a_plan_says_all_and_does_nothing(kernel: FakeKernel) -> None:
    report = do(kernel, "base", plan=True, x="6")
    assert report.is_done and not any(step.done for step in report.steps)
    assert [(step.action, step.module) for step in report.steps][:4] == [
        ("unload", "top"), ("unload", "mid"), ("unload", "side"), ("unload", "base"),
    ]  # fmt: skip
    assert (kernel.calls, records(kernel)) == ([], [])


@pytest.mark.parametrize("which", range(4))
@pytest.mark.parametrize("what", ["unload", "load"])
def test_any_step_that_fails_brings_everything_back(kernel: FakeKernel, what: str, which: int) -> None:
    order = ["top", "mid", "side", "base"] if what == "unload" else ["base", "side", "mid", "top"]
    name = order[which]
    kernel.script[name] = [errno.EAGAIN] if what == "unload" else [0, errno.EIO]
    report = do(kernel, x="6")
    assert report.error and report.error.code == f"{what}-failed" and report.error.module == name
    assert report.rolled_back is True
    assert as_before(kernel)
    assert [step.error is None for step in report.steps].count(False) == 1
    assert records(kernel) == []


def test_a_failing_init_with_the_new_parameters(kernel: FakeKernel) -> None:
    kernel.script["base"] = [0, errno.ENODEV, errno.ENODEV]  # with what it shows of its own types, and without
    report = do(kernel, x="99")
    assert (report.error and report.error.errno, report.rolled_back) == (errno.ENODEV, True)
    assert as_before(kernel)


def test_a_value_that_the_module_shows_and_does_not_take(kernel: FakeKernel) -> None:
    kernel.script["base"] = [0, errno.EINVAL]
    report = do(kernel, x="6")
    assert report.is_done
    assert [call[2] for call in kernel.calls if call[:2] == ("finit", "base")] == [
        "text=configured own=auto x=6", "text=configured x=6",
    ]  # fmt: skip


def test_a_parameter_that_is_not_as_wanted_is_a_failure(kernel: FakeKernel) -> None:
    def spoil(name: str) -> None:
        kernel.parameters["base"]["x"] = ("int", 0, "0") if name == "base" else ("int", RW, "0")

    kernel.during = spoil
    report = do(kernel, "base", x="6")
    assert report.error and report.error.code in ("differs", "not-restored")


def test_what_the_module_makes_of_a_value_of_its_own_is_a_warning(kernel: FakeKernel) -> None:
    (kernel.sys / "base/parameters/own").write_text("odd\n")
    kernel.during = lambda name: None
    kernel.script["base"] = [0, errno.EINVAL]
    report = do(kernel)
    assert report.is_done
    assert ("differs", "own") in [(warning.code, warning.subject) for warning in report.warnings]


def test_if_nothing_helps_it_says_so_and_keeps_the_record(kernel: FakeKernel) -> None:
    kernel.script["base"] = [0] + [errno.EIO] * 2
    report = do(kernel)
    assert (report.rolled_back, report.error and report.error.code) == (False, "not-restored")
    assert report.error and "; and the old state could not be brought back: " in report.error.text  # after what failed
    assert [path.name for path in records(kernel)] == ["reload-base.json"]
    with Context(kernel.roots) as context:
        (again,) = resume_reload(context)
    assert again.rolled_back and again.is_done and as_before(kernel) and records(kernel) == []


@pytest.mark.parametrize(
    ("name", "new", "code"),
    [
        ("printk", {}, "builtin"), ("alone", {}, "not-loaded"), ("base", {"x": "y"}, "bad-parameter"),
        ("base", {"nosuch": "1"}, "bad-parameter"), ("base", {"x": "4294967296"}, "bad-parameter"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(kernel: FakeKernel, name: str, new: dict[str, str], code: str) -> None:
    with Context(kernel.roots) as context:
        report = reload(context, name, new)
    assert (report.error and report.error.code, report.rolled_back, kernel.calls) == (code, None, [])


def test_one_in_use_is_refused_before_its_holders_go(kernel: FakeKernel) -> None:
    kernel.hold("top")
    report = do(kernel)
    assert (report.error and (report.error.code, report.error.module), kernel.calls) == (("in-use", "top"), [])
    kernel.hold("top", 0)
    kernel.hold("base")  # nobody can tell beforehand whose it is
    report = do(kernel)
    assert report.error and report.error.code == "unload-failed" and as_before(kernel)
    assert "in-use" in [warning.code for warning in report.warnings]


def test_one_that_could_not_come_back_is_refused(kernel: FakeKernel) -> None:
    (kernel.proc / "sys/kernel").mkdir(parents=True)
    (kernel.proc / "sys/kernel/modules_disabled").write_text("1\n")
    assert (do(kernel).error or BEFORE).code == "kernel-refuses"  # type: ignore[union-attr]
    (kernel.proc / "sys/kernel/modules_disabled").write_text("0\n")
    good = kernel.path("mid").read_bytes()
    kernel.path("mid").write_bytes(b"")
    assert do(kernel, plan=True).is_done  # it is read as bytes: the kernel will say what is wrong
    kernel.path("mid").unlink()
    report = do(kernel)
    assert report.error and report.error.code == "no-file" and kernel.calls == []
    kernel.path("mid").write_bytes(good)
    with Context(kernel.roots) as context:
        deny(context, "mid")
    report = do(kernel)
    assert report.error and (report.error.code, report.error.module, report.error.line) == ("denied", "mid", 5)
    assert do(kernel, force=True).is_done and as_before(kernel)


def test_values_that_cannot_be_given_are_not_lost_without_a_word(kernel: FakeKernel) -> None:
    (kernel.sys / "top/parameters/z").write_text('a "quoted" word\n')
    report = do(kernel, "top")
    assert report.error and report.error.code == "cannot-keep" and kernel.calls == []
    assert do(kernel, "top", force=True).is_done


def test_what_carries_the_caller_is_refused(kernel: FakeKernel) -> None:
    own = kernel.proc / str(os.getpid())
    own.mkdir()
    (own / "mountinfo").write_text("2 1 8:1 / / rw - mid /dev/sda1 rw\n")
    report = do(kernel)
    assert report.error and (report.error.code, report.error.module) == ("carries-caller", "mid")
    assert report.error.file == f"{own}/mountinfo:1" and kernel.calls == []
    assert do(kernel, "side").is_done
    assert do(kernel, force=True).is_done


def test_another_system_and_an_unknown_name(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context, pytest.raises(NotFoundError):
        reload(context, "nosuch")
    with Context(kernel.roots, live=False) as context:
        for call in (reload, resume_reload):
            with pytest.raises(LiveKernelNotAskedError):
                call(context, "base")


def test_a_second_one_does_not_wait(kernel: FakeKernel) -> None:
    with ReloadRecords(kernel.roots):
        assert (do(kernel).error or BEFORE).code == "busy"  # type: ignore[union-attr]
    assert kernel.calls == [] and do(kernel).is_done


def test_one_that_is_refused_leaves_nothing_open(kernel: FakeKernel) -> None:
    with ReloadRecords(kernel.roots):
        before = os.listdir("/proc/self/fd")
        for _ in range(2):
            with pytest.raises(BusyError), ReloadRecords(kernel.roots):
                pass
        assert os.listdir("/proc/self/fd") == before


def test_other_files_are_no_records(kernel: FakeKernel) -> None:
    folder = Path(kernel.roots.config_root, "run/pymodutils")
    folder.mkdir(parents=True)
    with ReloadRecords(kernel.roots) as records:
        for name in ("base.json", Path(records.path("base")).name, f"{Path(records.path('mid')).name}.old"):
            Path(records.folder, name).touch()
        assert unfinished(records.folder) == ["base"]


def test_where_no_record_can_be_written_nothing_is_unloaded(kernel: FakeKernel) -> None:
    Path(kernel.roots.config_root, "run").write_text("")
    done = run_inside("kmod", ["reload", "base"], kernel.roots)
    assert (done.status, done.err.count(b"\n"), kernel.calls) == (2, 1, [])


# --- cut short


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the process can catch it."""


@pytest.mark.parametrize("at", range(9))
def test_after_a_kill_at_any_step_the_next_one_brings_everything_back(kernel: FakeKernel, at: int) -> None:
    """In a process of its own, which really dies; what it did to the pretended kernel is done here as well."""
    script = [*(("delete", name) for name in ("top", "mid", "side", "base")),
              *(("finit", name) for name in ("base", "side", "mid", "top"))]  # fmt: skip
    with Context(kernel.roots) as context:
        from pymodutils.verbs.reload import _Job

        job = _Job(context, "base", {"x": "6"}, force=False)
        with ReloadRecords(kernel.roots) as log:
            log.write("base", job.members)
        for what, name in script[:at]:
            if what == "delete":
                kernel.delete_module(name.encode(), os.O_NONBLOCK)
            else:
                member = next(member for member in job.members if member.name == name)
                context._kernel_modules().insert(member.path, member.arguments({"x": "6"} if name == "base" else {}))
    assert do(kernel, plan=False).error is not None  # not loaded, or the record is there
    kernel.calls.clear()
    done = run_inside("kmod", ["reload", "--resume"], kernel.roots)
    assert (done.status, done.err) == (0, b"")
    assert as_before(kernel) and records(kernel) == []
    assert run_inside("kmod", ["reload", "--resume"], kernel.roots).out == b"no reload was cut short\n"
    assert run_inside("kmod", ["reload", "--resume", "--json"], kernel.roots).out == b""


def test_a_process_that_is_killed_leaves_the_record(kernel: FakeKernel) -> None:
    pid = os.fork()
    if not pid:
        kernel.during = lambda name: os.kill(os.getpid(), signal.SIGKILL) if name == "base" else None
        try:
            do(kernel, x="6")
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    (path,) = records(kernel)
    content = json.loads(path.read_bytes())
    assert (content["module"], content["next"]) == ("base", "kmod reload --resume base")
    assert [one["name"] for one in content["modules"]] == ["base", "side", "mid", "top"]
    kernel.needs.clear()  # as the other process left it
    kernel._shown.clear()
    kernel._show()
    with Context(kernel.roots) as context:
        (report,) = resume_reload(context, ["base"])
    assert report.is_done and as_before(kernel) and records(kernel) == []


def test_an_interrupt_brings_everything_back_first(kernel: FakeKernel) -> None:
    def interrupt(name: str) -> None:
        if name == "mid":
            kernel.during = lambda _name: None
            raise KeyboardInterrupt

    kernel.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        do(kernel)
    assert as_before(kernel) and records(kernel) == []


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"modules": [{}]}', '{"modules": [{"name": 1}]}', "\xff"])
def test_a_damaged_record_is_one_line(kernel: FakeKernel, content: str) -> None:
    folder = Path(kernel.roots.config_root, "run/pymodutils")
    folder.mkdir(parents=True)
    (folder / "reload-base.json").write_bytes(content.encode("latin-1"))
    done = run_inside("kmod", ["reload", "--resume"], kernel.roots)
    assert (done.status, done.err.count(b"\n"), done.out) == (2, 1, b"")
    assert b"no record of a reload" in done.err and as_before(kernel)


def test_a_pipe_in_place_of_a_record_stops_nobody(kernel: FakeKernel) -> None:
    folder = Path(kernel.roots.config_root, "run/pymodutils")
    folder.mkdir(parents=True)
    os.mkfifo(folder / "reload-base.json")
    assert run_inside("kmod", ["reload", "--resume"], kernel.roots).status == 2


def test_a_module_that_comes_back_by_itself_is_given_its_parameters(kernel: FakeKernel) -> None:
    kernel.script["mid"] = [0, errno.EEXIST]
    assert do(kernel, "mid").is_done and as_before(kernel)


# --- the command


def test_the_documents(kernel: FakeKernel) -> None:
    for words, status in (
        (["base", "x=6"], 0), (["--plan", "base"], 0), (["base", "x=y"], 1), (["printk"], 1), (["nosuch"], 2),
        (["--force", "top", "z=b"], 0),
    ):  # fmt: skip
        done = run_inside("kmod", ["reload", "--json", *words], kernel.roots)
        assert done.status == status, words
        if status != 2:
            check_document(done.out)
    kernel.script["base"] = [0] + [errno.EIO] * 2
    assert run_inside("kmod", ["reload", "--json", "base"], kernel.roots).status == 1
    assert check_document(run_inside("kmod", ["reload", "--resume", "--json"], kernel.roots).out)["rolled_back"]


def test_the_text(kernel: FakeKernel) -> None:
    kernel.script["mid"] = [0, errno.EIO]
    done = run_inside("kmod", ["reload", "base", "x=6"], kernel.roots)
    lines = done.out.decode().splitlines()
    assert (done.status, done.err, lines[0], lines[-1]) == (1, b"", "base", "the old state is back")
    assert lines[-2].startswith("mid: cannot be loaded: Input/output error")
    assert ["back:", "load", "base"] in [line.split()[:3] for line in lines]


@pytest.mark.parametrize("words", [[], ["x=1"], ["base", "mid"], ["--resume", "x=1"], ["--resume", "--plan"]])
def test_mistakes(kernel: FakeKernel, words: list[str]) -> None:
    assert run_inside("kmod", ["reload", *words], kernel.roots).status == 2
    assert kernel.calls == []


@pytest.mark.parametrize("function", ["open", "read", "listdir", "stat", "fsync", "rename", "unlink"])
def test_any_call_that_fails_leaves_the_modules_in_place(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Each call in turn, once: the old state, the new one, or word that the old one could not be brought back."""
    real = getattr(os, function)
    for number in range(1, 400):
        calls: list[int] = []

        def failing(*arguments: object, _calls: list[int] = calls, _at: int = number, **named: object) -> object:
            if not kernel._lock.locked():  # else it is one of the pretended kernel's own
                _calls.append(1)
                if len(_calls) == _at:
                    raise OSError(errno.EIO, "Input/output error")
            return real(*arguments, **named)

        with monkeypatch.context() as patch:
            replace_call(patch, function, failing)
            done = run_inside("kmod", ["reload", "mid", "y=N"], kernel.roots)
        assert done.status in (0, 1, 2) and b"internal error" not in done.err, (function, number, done.err)
        said_so = b"could not be brought back" in done.out and records(kernel)
        assert set(kernel.loaded) == set(BEFORE) or said_so, (function, number, done.out)
        if said_so:
            assert run_inside("kmod", ["reload", "--resume"], kernel.roots).status == 0
        for path in records(kernel):
            path.unlink()
        kernel.lay_parameters("mid", "y=Y")
        if len(calls) < number:
            break
    assert number > 1
