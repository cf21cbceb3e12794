# SPDX-License-Identifier: LGPL-2.1-or-later
"""Details of modprobe (docs/behaviour/5-details.md, 1 to 25 and 33 to 35) that no table of other files has.

Where the others are: decisions in unit/planning/test_planning.py; output, options and configuration in
differential/test_modprobe_corpus.py; install and remove commands in differential/test_modprobe_commands.py; carrying
out in unit/effects/test_executor.py.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from pathlib import Path

import pytest

from pymodutils.cli import console as console_module
from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from pymodutils.cli.modprobe import show
from pymodutils.cli.modprobe.execution import Execution
from pymodutils.cli.modprobe.reporter import _config_message
from pymodutils.diagnostics import ERROR, Diagnostic
from pymodutils.errors import CompressionError
from pymodutils.formats import modprobeconf
from pymodutils.roots import Roots
from pymodutils.state import kernellog
from tests.support.common import BIN, Outcome, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.koforge import Ko


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


def test_fatal_ends_it_and_with_a_it_is_a_warning(kernel: FakeKernel) -> None:
    assert modprobe(kernel, "no_such") == Outcome(1, b"", not_found(kernel, "FATAL", "no_such"))
    assert modprobe(kernel, "-a no_such c") == Outcome(1, b"", not_found(kernel, "WARNING", "no_such"))
    assert kernel.loaded == ["c"]
    assert modprobe(kernel, "-r no_such c") == Outcome(1, b"", b"modprobe: FATAL: Module no_such not found.\n")
    assert kernel.loaded == ["c"]


def test_with_q_there_is_no_message_and_work_goes_on(kernel: FakeKernel) -> None:
    assert modprobe(kernel, "-q -a no_such c") == Outcome(1, b"", b"")
    assert kernel.loaded == ["c"]
    assert modprobe(kernel, "-q -r no_such c") == Outcome(1, b"", b"")
    assert kernel.loaded == []


def test_the_kernel_asks_for_no_files(kernel: FakeKernel) -> None:
    path = str(kernel.path("c"))
    assert modprobe(kernel, f"-q -- {path}") == Outcome(1, b"", b"")
    assert kernel.loaded == []
    assert modprobe(kernel, f"-q {path}").status == 0
    assert kernel.loaded == ["c"]


def test_after_a_command_an_interrupt_ends_it_again(kernel: FakeKernel) -> None:
    kernel.configure("install c /bin/true\n")
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert modprobe(kernel, "c").status == 0
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_why_a_file_cannot_be_unpacked_is_a_line_of_its_own(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*_arguments: object) -> None:
        raise CompressionError("xz: it is cut off", path="/c.ko.xz", module="c")

    monkeypatch.setattr(Execution, "load", damaged)
    reason, refusal = modprobe(kernel, "c").err.splitlines()
    assert reason == b"modprobe: ERROR: xz: it is cut off"
    assert refusal.startswith(b"modprobe: ERROR: could not insert 'c': ")


def test_the_status_of_an_alias_is_that_of_its_last_module(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EINVAL]
    assert modprobe(kernel, "some").status == 0
    kernel.script["d"] = [0, errno.EINVAL]
    modprobe(kernel, "-r c")
    modprobe(kernel, "-r d")
    assert modprobe(kernel, "some").status == 1
    assert kernel.loaded == ["c"]


def test_with_a_any_failure_counts(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EINVAL]
    assert modprobe(kernel, "-a c d").status == 1
    assert kernel.loaded == ["d"]


def test_what_is_loaded_or_builtin_is_done(kernel: FakeKernel) -> None:
    for words in ("inside", "-n inside"):
        assert modprobe(kernel, words) == Outcome(0, b"", b"")
    assert modprobe(kernel, "--first-time inside") == Outcome(
        1, b"", b"modprobe: ERROR: could not insert 'inside': Module already in kernel\n"
    )
    assert kernel.calls == []


def test_an_alias_that_leads_nowhere_is_a_failure(kernel: FakeKernel) -> None:
    """Only what is just shown (-n, -D) is silent about it; an alias is not followed by another one."""
    kernel.configure("alias x nowhere\nalias y z\nalias z c\n")

    def failure(name: str) -> bytes:
        text = "Unknown symbol in module, or unknown parameter (see dmesg)"
        return (
            f"modprobe: ERROR: could not find module by name='{name}'\n"
            f"modprobe: ERROR: could not insert '{name}': {text}\n"
        ).encode()

    assert modprobe(kernel, "x") == Outcome(1, b"", failure("nowhere"))
    assert modprobe(kernel, "y") == Outcome(1, b"", failure("z"))
    assert modprobe(kernel, "-a x y c") == Outcome(1, b"", failure("nowhere") + failure("z"))
    assert modprobe(kernel, "-q x") == Outcome(1, b"", b"")
    for words in ("-n x", "-D x", "-n --first-time x"):
        assert modprobe(kernel, words) == Outcome(0, b"", b"")
    assert kernel.loaded == ["c"]


def test_blacklists_stop_aliases_and_with_b_names(kernel: FakeKernel) -> None:
    kernel.configure("blacklist c\nblacklist a\n")
    assert modprobe(kernel, "one") == Outcome(0, b"", b"")
    assert modprobe(kernel, "-b c") == Outcome(0, b"", b"")
    assert kernel.loaded == []
    assert modprobe(kernel, "-b b") == Outcome(0, b"", b"")
    assert kernel.loaded == ["a", "b"]


def test_a_path_is_loaded_from_that_file(kernel: FakeKernel, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere/b.ko"
    other.parent.mkdir()
    other.write_bytes(kernel.path("b").read_bytes())
    assert modprobe(kernel, f"-v {other}").out == f"insmod {kernel.path('a')} \ninsmod {other} \n".encode()
    assert kernel.loaded == ["a", "b"]


def test_getopt_names_the_program_as_typed(kernel: FakeKernel) -> None:
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
def test_modprobe_works_with_closed_descriptors_and_hardly_an_environment(
    closed: tuple[int, ...], environment: dict[str, str]
) -> None:
    """The form in which the kernel starts it. Nobody has such a module."""
    actions = [(os.POSIX_SPAWN_CLOSE, fd) for fd in closed]
    command = [str(BIN / "modprobe"), "-q", "--", "pymodutils-no-such-module"]
    pid = os.posix_spawn(command[0], command, environment, file_actions=actions)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


@pytest.mark.parametrize("words", ["-R -r", "-r -R", "-R --remove-holders"])
def test_to_show_aliases_means_nothing_to_a_removal(kernel: FakeKernel, words: str) -> None:
    """kmod looks at -R where it loads modules; a status of 0 without a removal would be a lie."""
    assert run_inside("modprobe", ["a"], kernel.roots).status == 0
    done = run_inside("modprobe", [*words.split(), "a"], kernel.roots)
    assert (done.status, done.out, kernel.loaded) == (0, b"", [])


@pytest.mark.parametrize(
    ("words", "says"),
    [("-q", False), ("-q -v", False), ("-q -vv", True), ("-vv -q", False), ("-vvv -q -v", False), ("-qvvv -r", True)],
)
def test_each_v_behind_a_q_shows_one_more_kind_of_message(kernel: FakeKernel, words: str, says: bool) -> None:
    done = run_inside("modprobe", [*words.split(), "nope"], kernel.roots)
    assert (done.status, done.err.startswith(b"modprobe: FATAL: Module nope not found")) == (1, says)


@pytest.mark.parametrize("given", [None, "C", "POSIX", "", "C.UTF-8", "xx_XX"], ids=str)
@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LC_ALL": "C"}], ids=str)
def test_commands_see_the_locale_that_modprobe_was_started_with(
    tmp_path: Path, given: str | None, locale: dict[str, str]
) -> None:
    """In the C locale, that of the boot, Python sets LC_CTYPE for itself."""
    config = tmp_path / "a.conf"
    config.write_text("install pymodutils_none echo ${LC_CTYPE-unset}.\n")
    environment = {**MINIMAL, **locale, **({} if given is None else {"LC_CTYPE": given})}
    words = [str(BIN / "modprobe"), "-C", str(config), "pymodutils_none"]
    done = subprocess.run(words, capture_output=True, env=environment, check=True)
    assert done.stdout.decode() == f"{'unset' if given is None else given}.\n"


def test_output_that_goes_nowhere_is_a_failure(kernel: FakeKernel) -> None:
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
def test_the_words_for_what_the_kernel_refuses(kernel: FakeKernel, number: int, text: str) -> None:
    kernel.script["c"] = [number]
    message = f"modprobe: ERROR: could not insert 'c': {text}\n".encode()
    assert modprobe(kernel, "c") == Outcome(1, b"", message)
    kernel.script["a"] = [number]
    assert modprobe(kernel, "b") == Outcome(1, b"", message.replace(b"'c'", b"'b'"))


def test_eexist_is_success_and_force_does_not_remove_what_is_used(kernel: FakeKernel) -> None:
    kernel.script["c"] = [errno.EEXIST]
    assert modprobe(kernel, "c") == Outcome(0, b"", b"")
    modprobe(kernel, "b")
    assert modprobe(kernel, "-r -f a") == Outcome(1, b"", b"modprobe: FATAL: Module a is in use.\n")
    assert modprobe(kernel, "-r -w 20 a") == Outcome(
        1, b"", b"modprobe: ERROR: could not remove 'a': Resource temporarily unavailable\n"
    )


def test_options_come_from_files_then_the_kernel_then_the_request(kernel: FakeKernel) -> None:
    kernel.configure("options c file=1\n")
    (kernel.proc / "cmdline").write_text("quiet c.kernel=2\n")
    modprobe(kernel, "c request=3")
    assert kernel.calls == [("finit", "c", "file=1 kernel=2 request=3")]


# --- what cannot be used, and is done without


@pytest.mark.parametrize("index", ["builtin", "alias", "builtin.alias", "symbols"])
def test_an_index_that_is_damaged_is_done_without(kernel: FakeKernel, index: str) -> None:
    """A module that needs it for nothing is loaded, and so is the next one; the message names the file."""
    path = Path(kernel.modules) / f"modules.{index}.bin"
    path.write_bytes(b"garbage, long enough for a header")
    complaint = f"modprobe: ERROR: {path}: damaged index: bad magic number\n".encode()
    done = modprobe(kernel, "-a b no_such c")
    assert (done.status, set(kernel.loaded) >= {"a", "b", "c"}) == (1, True)
    known = {complaint, not_found(kernel, "WARNING", "no_such")}
    assert set(done.err.splitlines(keepends=True)) <= known
    assert done.err.count(complaint) == (index != "symbols")
    done = modprobe(kernel, "-r -a b c")
    assert (done.status, set(kernel.loaded) & {"b", "c"}) == (0, set())
    shown = modprobe(kernel, "-c")
    assert shown.status == 0
    assert shown.err == (complaint if index in ("alias", "symbols") else b"")


def test_without_the_index_of_files_nothing_is_loaded_and_that_is_a_failure(kernel: FakeKernel) -> None:
    """An alias leads to a module whose file nobody knows: it may exist, unlike one that an alias just names."""
    path = Path(kernel.modules) / "modules.dep.bin"
    path.write_bytes(b"garbage, long enough for a header")
    kernel.configure("alias mine c")
    for name in ("c", "one", "mine"):
        done = modprobe(kernel, name)
        assert (done.status, kernel.loaded) == (1, [])
        assert f"{path}: damaged index: bad magic number".encode() in done.err
        assert modprobe(kernel, f"-q {name}").status == 1


def test_an_index_that_cannot_be_opened_is_no_path_that_was_asked_for(kernel: FakeKernel) -> None:
    path = Path(kernel.modules) / "modules.alias.bin"
    path.unlink()
    path.symlink_to(path)
    done = modprobe(kernel, "no_such")
    assert done == Outcome(
        1,
        b"",
        f"modprobe: ERROR: {path}: Too many levels of symbolic links\n".encode()
        + not_found(kernel, "FATAL", "no_such"),
    )


def test_an_unreadable_kernel_command_line_stops_nothing(kernel: FakeKernel) -> None:
    path = Path(kernel.roots.proc) / "cmdline"
    path.unlink(missing_ok=True)
    path.mkdir()
    done = modprobe(kernel, "c")
    assert (done.status, kernel.loaded) == (0, ["c"])
    assert done.err == f"libkmod: ERROR: kmod_config_new: {path}: Is a directory\n".encode()


def test_a_name_longer_than_that_of_any_file(kernel: FakeKernel) -> None:
    long = "x" * 300
    kernel.configure(f"install {long} true")
    modprobe(kernel, "c")
    assert modprobe(kernel, f"-r -a {long} c").status == 0
    assert kernel.loaded == []


def test_white_space_in_the_path_of_a_dependency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only spaces and tabs part paths in modules.dep; Unicode knows more."""
    tree = Path(tmp_path / "lib/modules/6.6.6")
    for place in ("a\x1cb", "c\u00a0d", "e\u3000f"):
        Ko(exports={"s": 1}).write(tree / "kernel" / place / "low.ko")
        Ko(needs={"s": 1}).write(tree / "kernel/high.ko")
        assert run_inside("depmod", ["-C", "/none", "-b", str(tmp_path), "6.6.6"]).status == 0
        done = run_inside("modprobe", ["-C", "/none", "-d", str(tmp_path), "-S", "6.6.6", "-D", "high"])
        assert done.out.decode() == f"insmod {tree}/kernel/{place}/low.ko \ninsmod {tree}/kernel/high.ko \n"
        (tree / "kernel" / place / "low.ko").unlink()


def test_soft_dependencies_that_all_name_one_another_are_removed_in_time(kernel: FakeKernel) -> None:
    names = [f"m{number}" for number in range(12)]
    kernel.tree({name: [] for name in names})
    kernel.configure(f"softdep m* post: {' '.join(names)}")
    done = modprobe(kernel, "-r -D m0")
    assert done.status == 0
    assert len(done.out.splitlines()) < 1000
    assert set(done.out.splitlines()) == {f"rmmod {name}".encode() for name in names}


def test_kmod_takes_two_dashes_before_its_command(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/modules").write_text("a 1 0 - Live 0x0\n")
    roots = Roots(proc=str(tmp_path / "proc"))
    assert run_inside("kmod", ["--", "list"], roots) == run_inside("kmod", ["list"], roots)


@pytest.mark.parametrize("operand", ["/", "./", ".."])
def test_rmmod_of_a_path_that_gives_no_name(operand: str, kernel: FakeKernel) -> None:
    done = run_inside("rmmod", [operand, "c"], kernel.roots)
    assert done.status == 1
    lines = done.err.decode().splitlines()
    assert lines == [f"rmmod: ERROR: could not use module {operand}: No such file or directory",
                     "rmmod: ERROR: Module c is not currently loaded"]  # fmt: skip


def test_an_endless_wait_has_short_pauses(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a number of seconds that no clock has."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 100:
            kernel.script["c"] = [0]

    modprobe(kernel, "c")
    kernel.script["c"] = [errno.EAGAIN] * 200
    monkeypatch.setattr("pymodutils.effects.executor.sleep", sleep)
    assert modprobe(kernel, f"-r -w {2**63 - 1} c").status == 0
    assert max(pauses) == 60
    done = modprobe(kernel, f"-r -w {2**64} c")
    assert (done.status, done.err) == (1, f"modprobe: ERROR: unexpected wait value '{2**64}'.\n".encode())


def test_words_that_commands_have_for_themselves() -> None:
    """They may take nothing but public names from below, so that these stand twice, and are the same."""
    assert show.KINDS == modprobeconf.KINDS
    assert console_module.KMSG == kernellog.KMSG


@pytest.mark.parametrize("number", [-1, -5, 2**64 - 1])
def test_a_wait_that_ends_in_the_past(kernel: FakeKernel, number: int) -> None:
    """kmod adds the number to its clock in 64 bits."""
    modprobe(kernel, "c")
    kernel.script["c"] = [errno.EAGAIN] * 200
    done = modprobe(kernel, f"-r -w {number} c")
    assert done == Outcome(1, b"", b"modprobe: ERROR: could not remove 'c': Resource temporarily unavailable\n")
    assert len(kernel.script["c"]) > 190


@pytest.mark.parametrize(
    ("code", "number", "line"),
    [
        ("unreadable-directory", errno.EACCES, "conf_files_list: opendir(/x): Permission denied"),
        (
            "unusable-entry",
            errno.EISDIR,
            "conf_files_filter_out: Directories inside directories are not supported: /x",
        ),
        ("unusable-entry", errno.ELOOP, "conf_files_filter_out: Cannot stat directory entry: /x"),
        ("retired-directive", None, "kmod_config_parse: /x: command include is deprecated and not parsed anymore"),
        ("bad-line", None, "kmod_config_parse: /x line 7: ignoring bad line starting with 'include'"),
        ("unreadable-file", errno.EACCES, "kmod_config_new: /x: Permission denied"),
    ],
)
def test_what_is_wrong_with_the_configuration_is_said_as_libkmod_does(code: str, number: int | None, line: str) -> None:
    text = os.strerror(number) if number else ""
    problem = Diagnostic(code, ERROR, text, file="/x", line=7, subject="include", errno=number)
    assert _config_message(problem) == line
