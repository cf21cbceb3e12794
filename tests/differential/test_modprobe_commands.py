# SPDX-License-Identifier: LGPL-2.1-or-later
"""Install and remove commands that really run, by our modprobe and by the real one: environment, options, failures.

In the fake root's /home both leave what their commands print in out.txt. No line here loads a module. 5.19 is item 19
of docs/behaviour/5-details.md.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.common import BIN, Outcome
from tests.support.fakeroot import RELEASE, FakeRoot
from tests.support.modprobe_corpus import CONF, parse

SEEN = 'echo "[$MODPROBE_OPTIONS|$MODPROBE_MODULE|$CMDLINE_OPTS]" > out.txt'
INSTALL, REMOVE = f"install ghost {SEEN}\n", f"remove ghost {SEEN}\n"
FAILS = "install ghost exit 1\ninstall other echo other > out.txt\n"
CASES = [
    # What a command sees (5.19, 5.8, 5.35).
    ("ghost", INSTALL),
    ("ghost a=1 'b=c d' raw", INSTALL),
    ("ghost a=1", INSTALL + "options ghost x=1\noptions ghost y=2\n"),
    ("ghost", INSTALL + "options ghost x=1\n"),
    ("-v ghost a=1", INSTALL),
    ("-q ghost", INSTALL),
    ("-s ghost", INSTALL),
    ("-b -f ghost", INSTALL),
    ("-q -s -v ghost", INSTALL),
    ("-C ../etc/modprobe.d -v ghost", INSTALL),
    ("-C ../etc/modprobe.d -C '../x y' ghost", INSTALL),
    ("MODPROBE_OPTIONS=-q | ghost", INSTALL),
    ("MODPROBE_OPTIONS=-q | -v -C ../etc/modprobe.d -b ghost", INSTALL),
    ("MODPROBE_OPTIONS='-b -q' | -s ghost", INSTALL),
    ("alias-of-it", INSTALL + "alias alias-of-it ghost\noptions alias_of_it by=alias\n"),
    ("ghost a=1", "install ghost echo $CMDLINE_OPTS $CMDLINE_OPTS x$CMDLINE_OPTSy > out.txt\noptions ghost o=1\n"),
    ("ghost a=1", "install ghost echo '$CMDLINE_OPTS' ${CMDLINE_OPTS} > out.txt\noptions ghost o=1\n"),
    ("ghost", "install ghost echo 1 > out.txt; echo 2 >> out.txt\n"),
    ("-r ghost", REMOVE + "options ghost a=1\n"),
    ("-r -q ghost", REMOVE),
    ("-r -v ghost", "remove ghost echo gone '$CMDLINE_OPTS' > out.txt\n"),
    # What its end means (5.1, 5.2, 5.3, 5.33).
    ("ghost", "install ghost exit 1\n"),
    ("ghost a=1", 'install ghost echo "$CMDLINE_OPTS" > out.txt; exit 3\n'),
    ("ghost", "install ghost exit 256\n"),
    ("-q ghost", "install ghost exit 1\n"),
    ("-v ghost", "install ghost exit 1\n"),
    ("ghost", "install ghost nonexistent 2> out.txt\n"),
    ("-a ghost other", FAILS),
    ("-a other ghost", FAILS),
    ("both", FAILS + "alias both ghost\nalias both other\n"),
    ("both", FAILS + "alias both other\nalias both ghost\n"),
    ("-a both", FAILS + "alias both ghost\nalias both other\n"),
    ("-r ghost", "remove ghost exit 4\n"),
    ("-q -r ghost", "remove ghost exit 4\n"),
    ("-r ghost other", "remove ghost exit 4\nremove other echo other > out.txt\n"),
    ("-a -r ghost other", "remove ghost exit 4\nremove other echo other > out.txt\n"),
    ("-q -r ghost other", "remove ghost exit 4\nremove other echo other > out.txt\n"),
    ("-r no_such ghost", REMOVE),
    ("-q -r no_such ghost", REMOVE),
    ("-a -r no_such ghost", REMOVE),
    # Whether it runs at all.
    ("-D ghost", INSTALL),
    ("-R ghost", INSTALL),
    ("-n -v ghost", "install ghost echo never > out.txt\n"),
    ("-i ghost", INSTALL),
    ("-b ghost", INSTALL + "blacklist ghost\n"),
    ("zswap", "install zswap echo never > out.txt\n"),
    ("--first-time ghost", INSTALL),
    ("ghost", INSTALL + "softdep ghost pre: no_such\n"),
    ("-i -r ghost", REMOVE),
    ("-r -n -v ghost", "remove ghost echo never > out.txt\n"),
    ("ghost", REMOVE),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> FakeRoot:
    return FakeRoot(tmp_path_factory.mktemp("root"))


def both(root: FakeRoot, line: str, conf: str) -> list[tuple[Outcome, str | None]]:
    """What ours and kmod 34.2 did, and what their commands printed."""
    environment, words = parse(line)
    printed = root.path / "home/out.txt"
    found = []
    for run in (root.ours, lambda words, environment: root.kmod("kmod34", words, environment)):
        printed.unlink(missing_ok=True)
        with root.holding({CONF: conf}):
            outcome = run(words, environment)
        found.append((outcome, printed.read_text() if printed.exists() else None))
    return found


@pytest.mark.parametrize(("line", "conf"), CASES)
def test_a_command_runs_as_kmod_runs_it(root: FakeRoot, line: str, conf: str) -> None:
    ours, theirs = both(root, line, conf)
    assert ours == theirs


@pytest.mark.parametrize("kind", ["install", "remove"])
@pytest.mark.parametrize("signal", ["KILL", "TERM"])
def test_death_by_signal_is_a_failure(root: FakeRoot, kind: str, signal: str) -> None:
    """A known difference (5.3): for kmod it is success."""
    words = "ghost" if kind == "install" else "-r ghost"
    (ours, _), (theirs, _) = both(root, words, f"{kind} ghost kill -{signal} $$\n")
    assert (ours.status, theirs.status) == (1, 0)
    assert b"ghost" in ours.err


def test_a_parent_that_ignores_the_end_of_its_children(root: FakeRoot) -> None:
    """Daemons do, and what they start inherits it: the status of a command is known all the same."""
    conf = "install ghost exit 3\ninstall other echo other > out.txt\n"
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with root.holding({CONF: conf}):
            ours = root.ours(["-a", "ghost", "other"])
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert ours.status == 1
    assert ours.err == b"modprobe: ERROR: Error running install command 'exit 3' for module ghost: retcode 3\n" + (
        b"modprobe: ERROR: could not insert 'ghost': Invalid argument\n"
    )
    assert (root.path / "home/out.txt").read_text() == "other\n"


def test_a_variable_without_a_name(root: FakeRoot) -> None:
    """As only execve can pass it on."""
    program = (
        "import ctypes, os, sys; os.chdir(sys.argv[1])\n"
        "strings = lambda texts: (ctypes.c_char_p * (len(texts) + 1))(*map(os.fsencode, texts), None)\n"
        "environment = strings(['=x=y', 'PATH=/bin:/usr/bin'])\n"
        "ctypes.CDLL(None).execve(os.fsencode(sys.argv[2]), strings(sys.argv[2:]), environment)"
    )
    (root.path / "home/out.txt").unlink(missing_ok=True)
    with root.holding({CONF: "install ghost echo ran > out.txt\n"}):
        words: list[str | Path] = [sys.executable, "-c", program, root.path / "home", BIN / "modprobe"]
        words += ["-C", root.path / CONF, "-d", root.path, "-S", RELEASE, "ghost"]
        done = subprocess.run(words, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (root.path / "home/out.txt").read_text() == "ran\n"


def test_a_command_that_calls_itself_with_other_parameters_may_end(root: FakeRoot) -> None:
    """And if it never would, it is stopped."""
    ours = f"{sys.executable} -IS {BIN / 'modprobe'} -C {root.path / CONF} -d {root.path} -S {RELEASE}"
    with root.holding({CONF: f'install ghost test -n "$CMDLINE_OPTS" && echo done > out.txt || {ours} ghost x=1\n'}):
        done = root.ours(["ghost"])
    assert (done.status, done.err) == (0, b"")
    assert (root.path / "home/out.txt").read_text() == "done\n"
    with root.holding({CONF: f"install ghost {ours} ghost $CMDLINE_OPTS x=1\n"}):
        done = root.ours(["ghost"])
    assert (done.status, b"retcode 1" in done.err) == (1, True)


def test_an_interrupt_waits_for_the_command(root: FakeRoot) -> None:
    """One that cleans up before it ends is not left alone with that."""
    script = "trap : INT; : > started; while ! test -e stop; do :; done; echo ended > out.txt"
    home = root.path / "home"
    for name in ("started", "stop", "out.txt"):
        (home / name).unlink(missing_ok=True)
    with root.holding({CONF: f"install ghost {script}\n"}):
        words: list[str | Path] = [BIN / "modprobe", "-C", root.path / CONF, "-d", root.path, "-S", RELEASE, "ghost"]
        process = subprocess.Popen(words, cwd=home, stderr=subprocess.PIPE)
        while not (home / "started").exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        assert process.poll() is None
        (home / "stop").touch()
        assert process.wait(20) == 130
        assert process.stderr is not None
        process.stderr.close()
    assert (home / "out.txt").read_text() == "ended\n"
