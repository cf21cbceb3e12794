"""Contract 5, items 1 to 25 and 33 to 35: the ones that no table of other files has.

Where the others are: decisions 4 to 12, 22, 24 in test_planning.py; output and options 6 to 8, 13 to 18, 20, 21, 35 in
test_modprobe_corpus.py; commands 1 to 3, 19, 33 in test_modprobe_commands.py; carrying out 3, 23, 34 in
test_run_plan.py.
"""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest

from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from tests.conftest import BIN, Outcome, run_inside
from tests.fakekernel import FakeKernel


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    monkeypatch.delenv("MODPROBE_OPTIONS", raising=False)
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"a": [], "b": ["a"], "c": [], "d": []}, builtin=["inside"], aliases="some=c some=d one=c")
    return kernel


def modprobe(kernel: FakeKernel, words: str) -> Outcome:
    return run_inside("modprobe", words.split(), kernel.roots)


def not_found(kernel: FakeKernel, label: str, name: str) -> bytes:
    return f"modprobe: {label}: Module {name} not found in directory {kernel.modules}\n".encode()


def test_1_fatal_ends_it_with_a_it_is_a_warning(kernel: FakeKernel) -> None:
    assert modprobe(kernel, "no_such") == Outcome(1, b"", not_found(kernel, "FATAL", "no_such"))
    assert modprobe(kernel, "-a no_such c") == Outcome(1, b"", not_found(kernel, "WARNING", "no_such"))
    assert kernel.loaded == ["c"]
    assert modprobe(kernel, "-r no_such c") == Outcome(1, b"", b"modprobe: FATAL: Module no_such not found.\n")
    assert kernel.loaded == ["c"]


def test_1_with_q_there_is_no_message_and_work_goes_on(kernel: FakeKernel) -> None:
    assert modprobe(kernel, "-q -a no_such c") == Outcome(1, b"", b"")
    assert kernel.loaded == ["c"]
    assert modprobe(kernel, "-q -r no_such c") == Outcome(1, b"", b"")
    assert kernel.loaded == []


def test_2_the_status_of_an_alias_is_that_of_its_last_module(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EINVAL]
    assert modprobe(kernel, "some").status == 0
    kernel.script["d"] = [0, errno.EINVAL]
    modprobe(kernel, "-r c")
    modprobe(kernel, "-r d")
    assert modprobe(kernel, "some").status == 1
    assert kernel.loaded == ["c"]


def test_2_with_a_any_failure_counts(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EINVAL]
    assert modprobe(kernel, "-a c d").status == 1
    assert kernel.loaded == ["d"]


def test_9_what_is_loaded_or_builtin_is_done(kernel: FakeKernel) -> None:
    for words in ("inside", "-n inside"):
        assert modprobe(kernel, words) == Outcome(0, b"", b"")
    assert modprobe(kernel, "--first-time inside") == Outcome(
        1, b"", b"modprobe: ERROR: could not insert 'inside': Module already in kernel\n"
    )
    assert kernel.calls == []


def test_10_an_alias_that_leads_nowhere_is_no_failure(kernel: FakeKernel) -> None:
    kernel.configure("alias x nowhere\nalias y z\nalias z c\n")
    assert modprobe(kernel, "x") == Outcome(0, b"", b"")
    assert modprobe(kernel, "y") == Outcome(0, b"", b"")
    assert modprobe(kernel, "-a x y c") == Outcome(0, b"", b"")
    assert kernel.loaded == ["c"]


def test_11_blacklists_stop_aliases_and_with_b_names(kernel: FakeKernel) -> None:
    kernel.configure("blacklist c\nblacklist a\n")
    assert modprobe(kernel, "one") == Outcome(0, b"", b"")
    assert modprobe(kernel, "-b c") == Outcome(0, b"", b"")
    assert kernel.loaded == []
    assert modprobe(kernel, "-b b") == Outcome(0, b"", b"")
    assert kernel.loaded == ["a", "b"]


def test_13_a_path_is_loaded_from_that_file(kernel: FakeKernel, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere/b.ko"
    other.parent.mkdir()
    other.write_bytes(kernel.path("b").read_bytes())
    assert modprobe(kernel, f"-v {other}").out == f"insmod {kernel.path('a')} \ninsmod {other} \n".encode()
    assert kernel.loaded == ["a", "b"]


def test_18_getopt_names_the_program_as_typed(kernel: FakeKernel) -> None:
    import io

    err = io.BytesIO()
    console = Console("/some/where/modprobe", io.BytesIO(), err)
    assert guarded(console, lambda: load("modprobe")(["--rem"], console, kernel.roots)) == 1
    assert err.getvalue() == (
        b"/some/where/modprobe: option '--rem' is ambiguous; possibilities: "
        b"'--remove' '--remove-dependencies' '--remove-holders'\n"
    )


MINIMAL = {"HOME": "/", "TERM": "linux", "PATH": "/sbin:/usr/sbin:/bin:/usr/bin"}


@pytest.mark.parametrize("environment", [MINIMAL, {}], ids=["as the kernel's", "empty"])
@pytest.mark.parametrize("closed", [(0, 1, 2), (0,), (1,), (2,), ()], ids=str)
def test_25_it_works_with_closed_descriptors_and_hardly_an_environment(
    closed: tuple[int, ...], environment: dict[str, str]
) -> None:
    """The form in which the kernel starts it. Nobody has such a module."""
    actions = [(os.POSIX_SPAWN_CLOSE, fd) for fd in closed]
    command = [str(BIN / "modprobe"), "-q", "--", "pymodutils-no-such-module"]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_25_output_that_goes_nowhere_is_a_failure(kernel: FakeKernel) -> None:
    words = ["-d", str(kernel.modules.parents[2]), "-S", "6.1", "-C", "/nothing", "-D", "c"]
    shown = subprocess.run([BIN / "modprobe", *words], capture_output=True, env=MINIMAL)
    assert (shown.returncode, shown.stdout) == (0, f"insmod {kernel.path('c')} \n".encode())
    pid = os.posix_spawn(
        BIN / "modprobe", ["modprobe", *words], MINIMAL,
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/full", os.O_WRONLY, 0), (os.POSIX_SPAWN_CLOSE, 2)],
    )  # fmt: skip
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ENOEXEC, "Exec format error"),
        (errno.EINVAL, "Invalid argument"),
        (129, "Key was rejected by service"),
        (errno.EPERM, "Operation not permitted"),
        (errno.ESRCH, "No such process"),
        (errno.ERANGE, "Numerical result out of range"),
        (errno.ENOENT, "Unknown symbol in module, or unknown parameter (see dmesg)"),
    ],
)
def test_33_what_the_kernel_refuses(kernel: FakeKernel, number: int, text: str) -> None:
    kernel.script["c"] = [number]
    message = f"modprobe: ERROR: could not insert 'c': {text}\n".encode()
    assert modprobe(kernel, "c") == Outcome(1, b"", message)
    kernel.script["a"] = [number]
    assert modprobe(kernel, "b") == Outcome(1, b"", message.replace(b"'c'", b"'b'"))


def test_34_eexist_is_success_and_force_does_not_remove_what_is_used(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EEXIST]
    assert modprobe(kernel, "c") == Outcome(0, b"", b"")
    modprobe(kernel, "b")
    assert modprobe(kernel, "-r -f a") == Outcome(1, b"", b"modprobe: FATAL: Module a is in use.\n")
    assert modprobe(kernel, "-r -w 20 a") == Outcome(
        1, b"", b"modprobe: ERROR: could not remove 'a': Resource temporarily unavailable\n"
    )


def test_35_options_come_from_files_then_the_kernel_then_the_request(kernel: FakeKernel) -> None:
    kernel.configure("options c file=1\n")
    (kernel.proc / "cmdline").write_text("quiet c.kernel=2\n")
    modprobe(kernel, "c request=3")
    assert kernel.calls == [("finit", "c", "file=1 kernel=2 request=3")]
