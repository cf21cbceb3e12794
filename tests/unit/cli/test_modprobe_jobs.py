# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -a -j N on a pretended kernel: side by side where nothing forbids it, and as if one after the other."""

from __future__ import annotations

import _thread
import errno
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pymodutils.effects import prefetch
from pymodutils.effects.prefetch import Prefetcher
from tests.support.common import Outcome, run_inside
from tests.support.fakekernel import FakeKernel

TREE = {"a": [], "b": ["a"], "c": ["b", "a"], "d": ["a"], "x": [], "y": [], "z": [], "late": ["x"]}
PATIENCE = 20  # seconds; only a failing test takes them


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., FakeKernel]:
    monkeypatch.delenv("MODPROBE_OPTIONS", raising=False)
    made: list[FakeKernel] = []

    def make(tree: dict[str, list[str]] = TREE) -> FakeKernel:
        made.append(FakeKernel(tmp_path / f"kernel{len(made)}", monkeypatch))
        made[-1].tree(tree, builtin=["inside"], aliases="al_*=c")
        return made[-1]

    return make


def modprobe(kernel: FakeKernel, words: str) -> Outcome:
    return run_inside("modprobe", words.split(), kernel.roots)


class Watch:
    """What is loading at the same time: records the largest number, and which began before which ended."""

    def __init__(self, kernel: FakeKernel, wait_for: int = 1, linger: float = 0) -> None:
        self.loading: set[str] = set()
        self.together: list[frozenset[str]] = []
        self._wait_for, self._linger = wait_for, linger
        self._changed = threading.Condition()
        kernel.during = self

    def __call__(self, name: str) -> None:
        """Called while a module loads; the first ones stay until as many as wanted are loading."""
        with self._changed:
            self.loading.add(name)
            self.together.append(frozenset(self.loading))
            self._changed.notify_all()
            enough = self._changed.wait_for(lambda: self.most() >= self._wait_for, PATIENCE)
        time.sleep(self._linger)
        with self._changed:
            self.loading.discard(name)
        assert enough, f"never more than {self.most()} at once"

    def most(self) -> int:
        return max(map(len, self.together))


def test_independent_modules_load_at_the_same_time(make: Callable[..., FakeKernel]) -> None:
    kernel = make()
    watch = Watch(kernel, wait_for=3)
    assert modprobe(kernel, "-a -j 3 x y z") == Outcome(0, b"", b"")
    assert watch.most() == 3
    assert sorted(kernel.loaded) == ["x", "y", "z"]


def test_dependencies_of_different_modules_load_at_the_same_time(make: Callable[..., FakeKernel]) -> None:
    kernel = make()
    watch = Watch(kernel, wait_for=2)
    assert modprobe(kernel, "-a -j 2 late c") == Outcome(0, b"", b"")
    assert watch.together[1] == {"x", "a"}


def test_dependencies_of_one_module_load_at_the_same_time(make: Callable[..., FakeKernel]) -> None:
    kernel = make({"one": [], "two": [], "both": ["two", "one"]})
    watch = Watch(kernel, wait_for=2)
    assert modprobe(kernel, "-a -j 2 both") == Outcome(0, b"", b"")
    assert watch.together[1] == {"one", "two"}


@pytest.mark.parametrize("words", ["-a x y z", "-a -j 1 x y z", "-a -j2 x"])
def test_otherwise_one_at_a_time(make: Callable[..., FakeKernel], words: str) -> None:
    kernel = make()
    watch = Watch(kernel)
    assert modprobe(kernel, words).status == 0
    assert watch.most() == 1


def test_no_more_than_asked_for(make: Callable[..., FakeKernel]) -> None:
    kernel = make({f"m{number}": [] for number in range(30)})
    watch = Watch(kernel, wait_for=4, linger=0.02)
    assert modprobe(kernel, "-a -j 4 " + " ".join(f"m{number}" for number in range(30))).status == 0
    assert watch.most() == 4


def test_a_module_comes_after_what_it_needs(make: Callable[..., FakeKernel]) -> None:
    """The fake kernel refuses a module whose dependencies are not there."""
    kernel = make()
    watch = Watch(kernel)
    assert modprobe(kernel, "-a -j 8 c d late b a al-1") == Outcome(0, b"", b"")
    assert sorted(kernel.loaded) == ["a", "b", "c", "d", "late", "x"]
    assert len(kernel.calls) == 6
    for together in watch.together:
        assert not {"a", "b"} <= together
        assert not {"a", "d"} <= together
        assert not {"b", "c"} <= together


@pytest.mark.parametrize(
    ("config", "before", "after"),
    [("softdep x pre: y", "y", "x"), ("softdep x post: y", "x", "y"), ("softdep a pre: z", "z", "a")],
)
def test_softdeps_keep_their_order(make: Callable[..., FakeKernel], config: str, before: str, after: str) -> None:
    kernel = make()
    kernel.configure(config)
    events: list[str] = []

    def record(name: str) -> None:
        events.append(f"{name} begins")
        time.sleep(0.1 if name == before else 0)  # time enough for another one to begin
        events.append(f"{name} ends")

    kernel.during = record
    assert modprobe(kernel, "-a -j 8 x c").status == 0
    assert events.index(f"{before} ends") < events.index(f"{after} begins")


def test_nothing_is_loaded_ahead_of_a_command(make: Callable[..., FakeKernel], tmp_path: Path) -> None:
    kernel = make()
    seen = tmp_path / "seen"
    kernel.configure(f"install y sort {kernel.proc}/modules > {seen}")
    assert modprobe(kernel, "-a -j 8 x a y z d").status == 0
    assert [line.split()[0] for line in seen.read_text().splitlines()] == ["a", "x"]
    assert sorted(kernel.loaded) == ["a", "d", "x", "z"]


def test_a_command_does_not_see_what_is_taken_out_again(make: Callable[..., FakeKernel], tmp_path: Path) -> None:
    kernel = make({"one": [], "two": [], "both": ["two", "one"], "y": []})
    kernel.script["one"] = [errno.EIO]
    kernel.configure(f"install y cat {kernel.proc}/modules > {tmp_path}/seen")
    modprobe(kernel, "-a -j 2 both y")
    assert ("finit", "two", "") in kernel.calls
    assert (tmp_path / "seen").read_text() == ""


def test_what_a_command_loads_is_seen_by_the_rest(make: Callable[..., FakeKernel]) -> None:
    kernel = make()
    kernel.configure(f"install y mkdir {kernel.sys}/x && echo live > {kernel.sys}/x/initstate")
    assert modprobe(kernel, "-a -j 8 y x z").status == 0
    assert [call[1] for call in kernel.calls] == ["z"]


# --- as if one after the other


def plain(text: bytes) -> bytes:
    """Without the number of the kernel in paths."""
    return text.replace(b"kernel0", b"kernel").replace(b"kernel1", b"kernel")


def both(make: Callable[..., FakeKernel], words: str, prepare: Callable[[FakeKernel], object]) -> None:
    """The same serially and in parallel: outcome, what is loaded, and each call at most once."""
    outcomes = []
    for jobs in ("", "-j 4 "):
        kernel = make()
        prepare(kernel)
        done = modprobe(kernel, f"-a {jobs}{words}")
        outcomes.append((done.status, plain(done.out), plain(done.err), sorted(kernel.loaded)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("words", ["-v c late d", "-v d c b a x late", "no_such x gone y", "-q no_such x", "-v -i c z"])
def test_messages_are_the_same(make: Callable[..., FakeKernel], words: str) -> None:
    both(make, words, lambda kernel: kernel.configure("softdep c pre: y"))


@pytest.mark.parametrize(
    "script",
    [
        {"a": [errno.EIO]},
        {"a": [errno.EIO, errno.EIO, errno.EIO, errno.EIO]},
        {"b": [errno.EINVAL]},
        {"x": [errno.EEXIST]},
        {"x": [errno.ENOMEM], "y": [errno.EPERM]},
        {"late": [errno.ENOENT]},
    ],
    ids=str,
)
@pytest.mark.parametrize("words", ["c d late", "late y x", "x y z c", "--first-time x c x"])
def test_failures_are_the_same(make: Callable[..., FakeKernel], script: dict[str, list[int]], words: str) -> None:
    def prepare(kernel: FakeKernel) -> None:
        kernel.script = {name: list(numbers) for name, numbers in script.items()}

    both(make, words, prepare)


def test_what_serial_work_would_not_have_loaded_is_taken_out_again(
    make: Callable[..., FakeKernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`both` needs `one`, then `two`, which is loading by the time that `one` fails."""
    tree = {"one": [], "two": [], "both": ["two", "one"]}
    kernel = make(tree)
    kernel.script["one"] = [errno.EIO]
    watch = Watch(kernel)
    done = modprobe(kernel, "-a -j 2 both both")
    assert done.status == 1  # although the second time all goes well
    assert sorted(kernel.loaded) == ["both", "one", "two"]
    kernel = make(tree)
    kernel.script["one"] = [errno.EIO] * 2
    watch = Watch(kernel)
    load = kernel._load

    def load_after_two(call: str, name: str, content: bytes, parameters: bytes) -> None:
        end = time.monotonic() + PATIENCE
        while name == "one" and not watch.together:
            assert time.monotonic() < end, "two was never loading"
            time.sleep(0.001)
        load(call, name, content, parameters)

    monkeypatch.setattr(kernel, "_load", load_after_two)
    done = modprobe(kernel, "-a -j 2 both inside")
    assert done.status == 1
    assert watch.together == [{"two"}]
    assert kernel.loaded == []
    assert ("delete", "two") in kernel.calls


def test_a_missing_file_is_told_in_its_place(make: Callable[..., FakeKernel]) -> None:
    both(make, "x c y", lambda kernel: kernel.path("a").unlink())


def test_options_of_the_first_way_in_count(make: Callable[..., FakeKernel]) -> None:
    both(make, "-v other y x", lambda kernel: kernel.configure("alias other x\noptions other p=1\noptions x q=2"))


def test_what_was_loaded_ahead_with_other_options_is_loaded_again(make: Callable[..., FakeKernel]) -> None:
    """Serial work never comes to x as a dependency, since `one` fails before it."""

    def prepare(kernel: FakeKernel) -> None:
        kernel.tree({"one": [], "x": [], "both": ["x", "one"]})
        kernel.configure("alias other x\noptions other p=1\noptions x q=2")
        kernel.script["one"] = [errno.EIO]

    both(make, "-v both other", prepare)
    kernel = make()
    prepare(kernel)
    modprobe(kernel, "-a -j 2 both other")
    assert [call[2] for call in kernel.calls if call[:2] == ("finit", "x")] == ["q=2 ", "p=1 q=2 "]


def test_force_is_the_same(make: Callable[..., FakeKernel]) -> None:
    kernel = make()
    assert modprobe(kernel, "-a -j 4 -f c x").status == 0
    assert set(kernel.flags) == {3}


@pytest.mark.parametrize("seed", range(10))
def test_random_trees_and_failures(make: Callable[..., FakeKernel], seed: int) -> None:
    chance = random.Random(seed)
    tree: dict[str, list[str]] = {}
    for number in range(25):
        direct = [f"m{other}" for other in range(number) if chance.random() < 0.12]
        needed = [other for other in tree if other in direct or any(other in tree[near] for near in direct)]
        tree[f"m{number}"] = needed[::-1]  # the last loads first
    softdeps = [f"softdep m{chance.randrange(25)} {chance.choice(('pre', 'post'))}: m{chance.randrange(25)}"
                for _ in range(5)]  # fmt: skip
    failing = {f"m{chance.randrange(25)}": [chance.choice((errno.EIO, errno.EEXIST))] * 50 for _ in range(2)}
    pauses = {name: chance.random() * 0.004 for name in tree}
    operands = " ".join(chance.sample(sorted(tree), 12))

    def run(jobs: str) -> tuple[object, ...]:
        kernel = make(tree)
        kernel.configure("\n".join(softdeps))
        kernel.script = {name: list(numbers) for name, numbers in failing.items()}
        kernel.during = lambda name: time.sleep(pauses[name])
        done = modprobe(kernel, f"-a -v {jobs} {operands}")
        return done.status, plain(done.out), plain(done.err), sorted(kernel.loaded)

    assert run("") == run("-j 5")


@pytest.mark.parametrize("value", ["0", "-1", "x", "", "1.5", "٣"])
def test_a_bad_number(make: Callable[..., FakeKernel], value: str) -> None:
    kernel = make()
    done = run_inside("modprobe", ["-a", "-j", value, "x"], kernel.roots)
    assert done == Outcome(1, b"", f"modprobe: ERROR: unexpected jobs value '{value}'.\n".encode())
    assert kernel.calls == []


@pytest.mark.parametrize("words", ["-a -n -j 4 -v x y", "-a -D -j 4 x y", "-a -R -j 4 x y", "-r -a -j 4 x y"])
def test_where_nothing_is_loaded_it_has_no_effect(make: Callable[..., FakeKernel], words: str) -> None:
    kernel = make()
    assert modprobe(kernel, words).status == 0
    assert kernel.calls == []


def test_an_interrupt_ends_what_is_loading_ahead(
    make: Callable[..., FakeKernel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is under way comes to its end; nothing else is begun, and what serial work had not come to is taken out."""
    names = [f"m{number}" for number in range(12)]
    kernel = make({name: [] for name in names})
    watch = Watch(kernel)
    interrupted = threading.Event()
    real = Prefetcher.insert

    def during(name: str) -> None:
        watch(name)
        if name not in ("m0", "m1"):
            interrupted.wait(PATIENCE)

    def insert(self: Prefetcher, *arguments: Any, **named: Any) -> None:
        real(self, *arguments, **named)
        interrupted.set()
        raise KeyboardInterrupt

    kernel.during = during

    monkeypatch.setattr(Prefetcher, "insert", insert)
    assert modprobe(kernel, f"-a -j 2 {' '.join(names)}").status == 130
    tried = [call[1] for call in kernel.calls if call[0] == "finit"]
    assert "m0" in tried and len(tried) < 8  # two under way, and what they made way for before the threads noticed
    assert kernel.loaded == ["m0"]


@pytest.mark.parametrize("started", [0, 1])
def test_without_threads_it_is_one_at_a_time(
    make: Callable[..., FakeKernel], monkeypatch: pytest.MonkeyPatch, started: int
) -> None:
    kernel = make()
    left = iter(range(started))

    def start(work: Callable[..., None], arguments: tuple[Any, ...]) -> int:
        if next(left, None) is None:
            raise RuntimeError("can't start new thread")
        return _thread.start_new_thread(work, arguments)

    monkeypatch.setattr(prefetch, "start_new_thread", start)
    assert modprobe(kernel, "-a -j 3 x y z") == Outcome(0, b"", b"")
    assert sorted(kernel.loaded) == ["x", "y", "z"]
