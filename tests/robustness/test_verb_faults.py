# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whatever goes wrong, a verb of kmod ends with one line and the status that says nothing was found out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pymodutils.roots import Roots
from tests.robustness.test_no_traceback import FAULTS, FUNCTIONS, STREAMS
from tests.robustness.test_not_files import lines, make_system
from tests.robustness.trees import RELEASE, make_tree, start, verb_lines
from tests.support.common import fail_calls, run_inside
from tests.support.koforge import Ko

WORDS = [" ".join([*words[:2], *words[-1:]]).split("/")[0] for words in verb_lines(Path("/x"))]
CANNOT_TELL = 2


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    base = make_tree(tmp_path)
    (base / "modprobe.d/x.conf").write_text("options a x=1\ninstall b /bin/false\nblacklist nosuch\nnonsense\n")
    return base


def roots_of(tree: Path) -> Roots:
    return Roots(base=str(tree), release=RELEASE, config_root=str(tree), proc=str(tree / "proc"), sys=str(tree / "sys"))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("fault", "status", "text"), FAULTS, ids=[type(fault[0]).__name__ for fault in FAULTS])
def test_any_exception_becomes_one_line(
    tree: Path, monkeypatch: pytest.MonkeyPatch, function: str, fault: BaseException, status: int, text: str
) -> None:
    """Every verb with every fault in every system call that it makes; some do not make it, or can do without."""
    for words in verb_lines(tree):
        with monkeypatch.context() as patch:
            calls = fail_calls(patch, function, fault)
            done = run_inside(words[0], words[1:], roots_of(tree))
        assert b"Traceback" not in done.err
        if not calls or isinstance(fault, OSError):
            assert done.status in (0, 1, CANNOT_TELL), words
        else:
            assert done.status == (CANNOT_TELL if status == 1 else status), words
            assert text.encode() in done.err
            assert done.err.count(b"\n") == (text != "")


@pytest.mark.parametrize("number", range(len(WORDS)), ids=WORDS)
@pytest.mark.parametrize("stream", STREAMS)
def test_an_answer_that_cannot_be_written_is_no_answer(tree: Path, number: int, stream: str) -> None:
    words = verb_lines(tree)[number]
    usual = start(words)
    assert usual.stdout
    descriptor = STREAMS[stream]()
    try:
        done = start(words, stdout=descriptor)
    finally:
        os.close(descriptor)
    assert done.returncode == CANNOT_TELL
    assert b"Traceback" not in done.stderr
    assert done.stderr.count(b"\n") == usual.stderr.count(b"\n") + (stream != "broken pipe")


@pytest.mark.parametrize(
    "verb", ["check", "status", "graph --format=dot", "who", "explain", "closure", "verify", "params", "diff GOOD"]
)
def test_what_is_no_regular_file_is_no_module(tree: Path, verb: str) -> None:
    """A directory, a pipe that nobody writes to, a device without end: one line, and never a hang."""
    (tree / "proc").mkdir()
    (tree / "proc/modules").touch()
    os.mkfifo(tree / "pipe.ko")
    (tree / "folder.ko").mkdir()
    good = str(next((tree / "lib/modules" / RELEASE).rglob("*.ko")))
    for path, reason in ((tree / "folder.ko", "directory"), (tree / "pipe.ko", "regular file"), ("/dev/zero", "file")):
        words = [*verb.replace("GOOD", good).split(), str(path)]
        done = run_inside("kmod", words, roots_of(tree))
        assert done.status == (1 if verb == "explain" else 2)
        assert ("" if good in words and reason == "directory" else reason) in (
            done.out if verb == "explain" else done.err
        ).decode()
        assert verb == "explain" or not done.out  # nothing is said of a module that is none


def test_a_record_without_lines_is_not_read_for_ever(tree: Path) -> None:
    done = run_inside("kmod", ["policy", "audit", "/dev/zero"], roots_of(tree))
    assert (done.status, done.err) == (2, b"kmod: ERROR: /dev/zero: File too large\n")
    done = run_inside("kmod", ["policy", "audit", "/proc/self/mem"], roots_of(tree))
    assert (done.status, done.err) == (2, b"kmod: ERROR: /proc/self/mem: Input/output error\n")


@pytest.mark.parametrize("index", ["dep", "alias", "symbols", "builtin", "builtin.alias"])
def test_damaged_indexes(tree: Path, index: str) -> None:
    """Random bytes in place of a part of each index: an answer, or word that there is none; never a crash."""
    path = tree / "lib/modules" / RELEASE / f"modules.{index}.bin"
    good = path.read_bytes()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, len(good) - 1), st.binary(min_size=1, max_size=8))
    def check(at: int, piece: bytes) -> None:
        path.write_bytes(good[:at] + piece + good[at + len(piece) :])
        for words in verb_lines(tree):
            done = run_inside(words[0], words[1:], roots_of(tree))
            assert done.status in (0, 1, CANNOT_TELL), words
            assert b"internal error" not in done.err, (words, done.err)

    check()


def test_configuration_of_any_bytes(tree: Path) -> None:
    pieces = st.sampled_from(
        [b"options", b"softdep", b"alias", b"install", b"blacklist", b" ", b"\t", b"\n", b"\\", b"\\\n", b"\r\n", b"#",
         b"a", b"b", b"c", b"nosuch", b"pre:", b"post:", b"x=", b'"', b"[", b"]", b"*", b"/bin/false", b"\0", b"\xff"]
    )  # fmt: skip

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(pieces | st.binary(max_size=3), max_size=30).map(b"".join))
    def check(content: bytes) -> None:
        (tree / "modprobe.d/x.conf").write_bytes(content)
        for words in verb_lines(tree):
            done = run_inside(words[0], words[1:], roots_of(tree))
            assert done.status in (0, 1, CANNOT_TELL), words
            assert b"internal error" not in done.err, (words, content, done.err)

    check()


def test_lists_of_any_bytes(tree: Path) -> None:
    """modules-load.d, udev rules and the kernel command line."""
    places = [tree / "etc/modules-load.d/x.conf", tree / "etc/udev/rules.d/x.rules", tree / "proc/cmdline"]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
    pieces = st.sampled_from(
        [b"a", b"c", b"-", b",", b"=", b'"', b"'", b" ", b"\n", b"\\\n", b"module_blacklist=", b"modules_load=", b"\0",
         b"modprobe.blacklist=", b'RUN{builtin}+="kmod load', b"$env{MODALIAS}", b'KERNEL=="', b"\x1c", b"\xff", b"#"]
    )  # fmt: skip

    @settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.lists(pieces, max_size=20).map(b"".join))
    def check(content: bytes) -> None:
        for place in places:
            place.write_bytes(content)
        for words in (["config"], ["config", "--json", "a"], ["lint"], ["lint", "--json"], ["status", "a"]):
            done = run_inside("kmod", words, roots_of(tree))
            assert done.status in (0, 1, CANNOT_TELL), words
            assert b"internal error" not in done.err, (words, content, done.err)

    check()


TURNING = "\u202e\u2066\u200b\ufeff\u2028\u2029\u00ad\U000e0041\x1b\x85\x9b"
"""Characters that turn, hide or break a line of a terminal."""


def test_no_verb_prints_what_turns_or_hides_text(tmp_path: Path) -> None:
    """Wherever it is from: names, paths, rules, fields of modules, the kernel's lists, logs, operands."""
    tree = tmp_path / f"system{TURNING}"
    tree.mkdir()
    roots = make_system(tree)
    rules = "options b y={}\nalias x{} b\nblacklist q{}\nsoftdep a pre: w{}\ninstall b /bin/true {}\nnonsense {}\n"
    (tree / f"etc/modprobe.d/n{TURNING}.conf").write_text(rules.replace("{}", TURNING))
    (tree / "etc/modules-load.d/l.conf").write_text(f"n{TURNING}\n")
    (tree / "etc/udev/rules.d/u.rules").write_text(f'ACTION=="{TURNING}", RUN{{builtin}}+="kmod load a{TURNING}"\n')
    (tree / "proc/cmdline").write_text(f"module_blacklist=x{TURNING} a.x={TURNING}\n")
    (tree / "proc/modules").write_text(f"a 16384 0 - Live 0x0\nb{TURNING} 16384 0 - Live 0x0\n")
    (tree / "sys/module/a/parameters/x").write_text(TURNING)
    (tree / "log").write_text(f"Oops: 0000 [#1] {TURNING}\nRIP: 0010:a{TURNING}+0x1/0x2 [a]\nCall Trace:\n b+0x3/0x4\n")
    fields = [f"{key}={TURNING}" for key in ("license", "description", "author", "vermagic", "firmware", "depends")]
    Ko(modinfo=[*fields, f"parm=x:an {TURNING}"], exports={f"sym{TURNING}": 1}).write(
        tree / "lib/modules" / RELEASE / "kernel/a.ko"
    )
    asked = [["kmod", verb, f"b{TURNING}"] for verb in ("status", "explain", "check", "config", "params", "closure",
             "graph", "symbols", "deny", "who", "reload", "decode", "verify", "policy", f"x{TURNING}")]  # fmt: skip
    shown = 0
    for words in [*lines(tree), *asked]:
        if words[0] != "kmod" or words[1] in ("list", "static-nodes"):  # they print bytes as kmod does
            continue
        done = run_inside(words[0], words[1:], roots)
        text = (done.out + done.err).decode("utf-8", "surrogateescape")
        assert not set(TURNING) & set(text), (words, text)
        shown += "202e" in text
    assert shown > 40
