# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever goes wrong, a command ends with one line and a status that scripts understand."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pymodutils.cli import console as console_module
from pymodutils.cli.console import Console, escape_control
from pymodutils.roots import Roots
from tests.robustness.trees import RELEASE, command_lines, make_tree, start
from tests.support.common import BIN, REPO, fail_calls, run_inside
from tests.support.koforge import Ko

WORDS = [" ".join(words[:1] + words[-1:]).split("/")[0] for words in command_lines(Path("/x"))]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path)


def assert_tidy(done: subprocess.CompletedProcess[bytes], words: list[str]) -> None:
    assert b"Traceback" not in (done.stderr or b""), done.stderr.decode()
    assert b"Exception" not in (done.stderr or b"")
    assert done.returncode in (0, 1), (words, done)


# --- faults inside


FAULTS: list[tuple[BaseException, int, str]] = [
    (OSError(errno.EIO, os.strerror(errno.EIO)), 1, "Input/output error"),
    (OSError(errno.EMFILE, os.strerror(errno.EMFILE)), 1, "Too many open files"),
    (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), 1, "Permission denied"),
    (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), 1, "emory"),
    (MemoryError(), 1, "out of memory"),
    (RecursionError(), 1, "nested too deeply"),
    (ZeroDivisionError("a bug"), 1, "internal error: ZeroDivisionError: a bug"),
    (KeyboardInterrupt(), 130, ""),
]


FUNCTIONS = "open pread read stat fstat lstat listdir scandir mkdir write utime fsync link rename unlink".split()


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("fault", "status", "text"), FAULTS, ids=[type(fault[0]).__name__ for fault in FAULTS])
def test_any_exception_becomes_one_line(
    tree: Path, monkeypatch: pytest.MonkeyPatch, function: str, fault: BaseException, status: int, text: str
) -> None:
    """Every command with every fault in every system call that it makes; some do not make it, or can do without."""
    roots = Roots(base=str(tree), release=RELEASE, proc=str(tree / "proc"), sys=str(tree / "sys"))
    for words in command_lines(tree):
        with monkeypatch.context() as patch:
            calls = fail_calls(patch, function, fault)
            done = run_inside(words[0], words[1:], roots)
        assert b"Traceback" not in done.err
        assert done.status in ((status, 0, 1) if isinstance(fault, OSError) else (status,)) if calls else (0, 1), words
        if calls and not isinstance(fault, OSError):
            assert text.encode() in done.err
            assert done.err.count(b"\n") == (text != "")


def test_output_that_fails_late_is_told_once(tree: Path) -> None:
    """More than a buffer: the write fails first, and the flush must not complain again."""
    path = Ko(modinfo=[f"author={'x' * 50_000}"]).write(tree / "big.ko")
    with open("/dev/full", "wb") as full:
        done = start(["modinfo", str(path)], stdout=full)
    assert (done.returncode, done.stderr) == (1, b"modinfo: ERROR: write error: No space left on device\n")


# --- streams


def broken_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


STREAMS: dict[str, Callable[[], int]] = {
    "full": lambda: os.open("/dev/full", os.O_WRONLY),
    "broken pipe": broken_pipe,
    "read-only": lambda: os.open("/dev/null", os.O_RDONLY),
}


@pytest.mark.parametrize("number", range(len(WORDS)), ids=WORDS)
@pytest.mark.parametrize("stream", STREAMS)
def test_output_that_cannot_be_written_is_a_failure(tree: Path, number: int, stream: str) -> None:
    words = command_lines(tree)[number]
    usual = start(words)
    descriptor = STREAMS[stream]()
    try:
        done = start(words, stdout=descriptor)
    finally:
        os.close(descriptor)
    assert_tidy(done, words)
    assert done.returncode == (1 if usual.stdout else usual.returncode)
    if usual.stdout and usual.returncode == 0:
        assert done.stderr.count(b"\n") == usual.stderr.count(b"\n") + (stream != "broken pipe")


@pytest.mark.parametrize("stream", STREAMS)
def test_messages_that_cannot_be_written_change_nothing_else(tree: Path, stream: str) -> None:
    for words in (["modinfo", "nope", str(tree / "lib/modules" / RELEASE / "kernel/a.ko")], ["modprobe", "-a", "x"]):
        usual = start(words)
        descriptor = STREAMS[stream]()
        try:
            done = start(words, stderr=descriptor)
        finally:
            os.close(descriptor)
        assert usual.stderr
        assert (done.returncode, done.stdout) == (usual.returncode, usual.stdout)


def test_bytes_that_are_no_utf_8_pass_through(tree: Path) -> None:
    (tree / "modprobe.d/y.conf").write_bytes(b"alias \xff\xfe a\noptions a x=J\xf6rg\xc3\xb6\n")
    for locale in ("C", "POSIX", "C.UTF-8", "de_DE.ISO-8859-1"):
        environment = {"LC_ALL": locale}
        done = start(["modprobe", "-C", str(tree / "modprobe.d"), "-c"], env=environment)
        assert b"\nalias \xff\xfe a\noptions a x=1\noptions a x=J\xf6rg\xc3\xb6\n" in b"\n" + done.stdout
        done = start(["modprobe", "-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d"), "-R", b"\xff\xfe"],
                     env=environment)  # fmt: skip
        assert (done.stdout, done.returncode) == (b"a\n", 0)


# --- memory


STARVED = """
import resource, sys
pages = int(open("/proc/self/statm").read().split()[0])
sys.argv = {words!r}
__file__ = sys.argv[0]
code = compile(open(__file__).read(), __file__, "exec")
limit = pages * resource.getpagesize() + {kibibytes} * 1024
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
exec(code)
"""


@pytest.mark.parametrize("kibibytes", [0, 128, 512, 900, 1536, 2000, 2600, 3000, 3500, 4000, 5000, 6000])
def test_memory_that_runs_out(tree: Path, kibibytes: int) -> None:
    """From where the interpreter is ready to where most commands can do their work."""
    ended_early = 0
    for words in command_lines(tree)[1:-1]:
        code = STARVED.format(words=[str(BIN / words[0]), *words[1:]], kibibytes=kibibytes)
        done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code], capture_output=True, timeout=60)
        assert_tidy(done, words)
        assert b"internal error" not in done.stderr, (words, done)
        if b"emory" in done.stderr.replace(bytes(tree), b""):
            ended_early += 1
            assert done.stderr.count(b"\n") == 1 and done.stderr.endswith(b": out of memory\n"), (words, done)
    assert ended_early or kibibytes > 512


def test_a_module_larger_than_memory(tree: Path) -> None:
    path = Ko(extra_sections={b".big": bytes(200 << 20)}).write(tree / "a.ko")
    subprocess.run(["gzip", "-1", path], check=True)
    limit = 100 << 20
    done = start(["modinfo", f"{path}.gz"], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
    assert (done.returncode, done.stderr) == (1, b"modinfo: ERROR: out of memory\n")


# --- interrupts


def test_an_interrupt_while_a_command_works(tree: Path) -> None:
    (tree / "modprobe.d/y.conf").write_text("install stop kill -INT $PPID; exec sleep 9 >/dev/null 2>&1\n")
    words = ["modprobe", "-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d"), "stop"]
    done = start(words, start_new_session=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


def test_an_interrupt_that_the_caller_ignores_stays_ignored(tree: Path) -> None:
    (tree / "modprobe.d/y.conf").write_text("install stop kill -INT $PPID; exit 3\n")
    words = ["modprobe", "-q", "-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d"), "stop"]
    done = start(words, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert done.returncode == 1


AT_IMPORT = """
import os, signal, sys
def interrupt(event, arguments):
    if event == "exec" and arguments[0].co_filename.endswith({file!r}):
        os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(interrupt)
sys.argv = [{program!r}]
__file__ = {program!r}
exec(compile(open(__file__).read(), __file__, "exec"))
"""


@pytest.mark.parametrize("file", ["__init__.py", "cli/main.py", "cli/lsmod.py", "roots.py"])
def test_an_interrupt_while_starting(file: str) -> None:
    code = AT_IMPORT.format(file=f"pymodutils/{file}", program=str(BIN / "lsmod"))
    done = subprocess.run(["/usr/bin/python3", "-IS", "-c", code], capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, b"", b"")


# --- a broken installation


@pytest.mark.parametrize(
    ("file", "content"),
    [("cli/main.py", "syntax error here"), ("cli/lsmod.py", "import nothing_of_that_name"), ("errors.py", None)],
)
def test_a_broken_installation_is_one_line(tmp_path: Path, file: str, content: str | None) -> None:
    shutil.copytree(BIN, tmp_path / "bin", symlinks=True)
    shutil.copytree(REPO / "pymodutils", tmp_path / "pymodutils", ignore=shutil.ignore_patterns("__pycache__"))
    damaged = tmp_path / "pymodutils" / file
    damaged.unlink() if content is None else damaged.write_text(content)
    done = start(["lsmod"], tmp_path / "bin")
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (1, b"", 1), done.stderr
    assert b"Traceback" not in done.stderr


# --- names that try to be more than names


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\x0ab"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\x7f\x00", "a\\x7f\\x00"),
        ("\x9b2J", "\\x9b2J"),  # the same sequence as one character of C1
        ("\udc9b2J", "\\x9b2J"),  # and as a stray byte
        ("\u202etxet", "\\u202etxet"),
        ("\u2028", "\\u2028"),
        ("\U000e0001", "\\U000e0001"),
        ("\udcff\tö 漢", "\udcff\tö 漢"),
    ],
)
def test_names_are_shown_escaped_in_messages(text: str, shown: str) -> None:
    assert escape_control(text) == shown
    done = run_inside("modinfo", ["-m", text])
    assert done.err == f"modinfo: ERROR: Module name {shown} not found.\n".encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", ["a\nb\x1b[2J\x9b\u202e", "\udcff"])
def test_names_are_escaped_in_json(tmp_path: Path, name: str) -> None:
    path = Ko(modinfo=[f"author={name}"]).write(tmp_path / f"{name}.ko")
    done = run_inside("modinfo", ["--json", str(path)])
    text = done.out.decode("ascii")
    assert set(text) - set("\n") == {char for char in text if " " <= char <= "~"}
    (module,) = json.loads(text)["modules"]
    assert (module["name"], module["filename"], module["authors"]) == (name.replace("-", "_"), str(path), [name])


@pytest.fixture
def syslog(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[object, ...]]]:
    """What would be sent to syslog: the real functions refuse text that is no UTF-8, and NULs."""
    import syslog

    sent: list[tuple[object, ...]] = []
    monkeypatch.setattr(syslog, "openlog", lambda *words: sent.append((words[0].encode(),)))
    monkeypatch.setattr(syslog, "syslog", lambda level, text: sent.append((level, text.encode())))
    yield sent


def test_syslog_takes_any_name(syslog: list[tuple[object, ...]]) -> None:
    console = Console("mod\udcffprobe")
    console.syslog = True
    console.error("Module a\udcff\n\0 is bad")
    assert syslog == [(b"mod\\udcffprobe",), (console_module.ERROR, b"ERROR: Module a\\udcff\\x0a\\x00 is bad\n")]


def test_a_python_of_ones_own_is_no_different(tree: Path) -> None:
    """Started as an argument of an interpreter, from a file whose name is no UTF-8."""
    place = tree / os.fsdecode(b"l\xff")
    place.symlink_to(BIN / "kmod")
    done = subprocess.run([sys.executable, "-I", str(place), "--no-such"], capture_output=True)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"Traceback" not in done.stderr
