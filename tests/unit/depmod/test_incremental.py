# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs with a cache give the same bytes as runs without, whatever happened in between."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pymodutils.depmod import cache, parallel, pipeline
from pymodutils.depmod.extractor import WORTH_A_PROCESS
from pymodutils.depmod.inputs import BUILD_FILES
from pymodutils.depmod.render import FILES
from pymodutils.depmod.share import SharedWork
from pymodutils.depmod.stamps import NO_STAMP, Stamp, trusted
from pymodutils.diagnostics import Diagnostic
from pymodutils.effects import indexes
from pymodutils.effects.indexes import IndexJob, IndexUpdate, update_indexes
from pymodutils.effects.publish import Directory
from pymodutils.observer import Observer
from tests.support.common import replace_call
from tests.support.koforge import Ko

LONG_AGO = 10**18
"""In 2001."""


class Watch:
    """Time for the code under test: each run takes place an hour after the one before, so that files have aged."""

    def __init__(self) -> None:
        self.now = time.time_ns()

    def time_ns(self) -> int:
        self.now += 3600 * 10**9
        return self.now


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr(indexes, "time", watch)
    return watch


class Tree:
    """A module directory, and runs of depmod on it."""

    def __init__(self, folder: Path) -> None:
        self.directory = folder / "modules"
        self.full = folder / "full"
        self.caches = folder / "caches"
        self.directory.mkdir(parents=True)
        for name in BUILD_FILES:
            (self.directory / name).touch()

    def run(
        self, *, use_cache: bool = True, out: Path | None = None, observer: Observer | None = None, **more: Any
    ) -> IndexUpdate | None:
        """A run; None when it had nothing to do."""
        caches = str(self.caches) if use_cache else None
        job = IndexJob(str(self.directory), str(out or self.directory), "6.6.6", cache_directory=caches, **more)
        return update_indexes(job, observer)

    @property
    def cache(self) -> Path:
        """The one cache file."""
        (found,) = self.caches.iterdir()
        return found

    def files(self, folder: Path | None = None) -> dict[str, bytes]:
        return {name: ((folder or self.directory) / name).read_bytes() for name in FILES}

    def put(self, path: str, module: Ko) -> None:
        """Lay a module into the tree, whose time of change is long ago, as packages do."""
        written = module.write(self.directory / path)
        os.utime(written, ns=(1, LONG_AGO))

    def same_as_full(self) -> bool:
        self.run(use_cache=False, out=self.full)
        return self.files() == self.files(self.full)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    for name in "abc":
        Ko(modinfo=[f"alias={name}*"], exports={name: 1}, needs={"a": 1}).write(tree.directory / f"kernel/{name}.ko")
    Ko(modinfo=["alias=only"]).write(tree.directory / "kernel/a.ko")
    return tree


def test_nothing_changed(tree: Tree) -> None:
    first = tree.run()
    assert first is not None
    assert first.reused == 0
    before = {path.name: path.stat() for path in tree.directory.iterdir()}
    assert tree.run() is None
    after = {path.name: path.stat() for path in tree.directory.iterdir()}
    assert {name: status.st_ino for name, status in before.items()} == {n: status.st_ino for n, status in after.items()}


def test_only_what_changed_is_read(tree: Tree) -> None:
    tree.run()
    Ko(modinfo=["alias=new"]).write(tree.directory / "kernel/b.ko")
    again = tree.run()
    assert again is not None
    assert again.reused == 2
    assert b"alias new b" in tree.files()["modules.alias"]
    assert tree.same_as_full()


def swap(one: Path, other: Path) -> None:
    aside = one.with_name("aside")
    one.rename(aside)
    other.rename(one)
    aside.rename(other)


CHANGES: dict[str, Callable[[Path], object]] = {
    "added": lambda kernel: Ko(exports={"d": 1}).write(kernel / "d.ko"),
    "added in a new directory": lambda kernel: Ko().write(kernel / "deep/er/d.ko"),
    "added next to it": lambda kernel: Ko().write(kernel.parent / "extra/d.ko"),
    "removed": lambda kernel: (kernel / "b.ko").unlink(),
    "replaced": lambda kernel: Ko(modinfo=["alias=q*"], exports={"b": 1}).write(kernel / "b.ko"),
    "renamed": lambda kernel: (kernel / "b.ko").rename(kernel / "z.ko"),
    "swapped": lambda kernel: swap(kernel / "b.ko", kernel / "c.ko"),
    "order": lambda kernel: (kernel.parent / "modules.order").write_text("kernel/c.ko\n"),
    "builtin": lambda kernel: (kernel.parent / "modules.builtin").write_text("kernel/x.ko\n"),
    "builtin.modinfo": lambda kernel: (kernel.parent / "modules.builtin.modinfo").write_bytes(b"x.alias=y\0"),
    "an index replaced": lambda kernel: (kernel.parent / "modules.dep").write_text("x:\n"),
    "an index removed": lambda kernel: (kernel.parent / "modules.alias.bin").unlink(),
    "an index edited": lambda kernel: (kernel.parent / "modules.dep").open("a").write("#\n"),
    "a directory linked": lambda kernel: (kernel.parent / "linked").symlink_to(kernel),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_noticed(tree: Tree, change: str) -> None:
    tree.run()
    assert tree.run() is None
    CHANGES[change](tree.directory / "kernel")
    assert tree.run() is not None
    assert tree.same_as_full()


RULES = {
    "search": "search built-in updates\n",
    "override": "override a 6.6.6 kernel\n",
    "exclude": "exclude updates\n",
    "prefix": "",
}


@pytest.mark.parametrize("what", RULES)
def test_other_settings_are_noticed(tree: Tree, tmp_path: Path, what: str) -> None:
    tree.put("updates/a.ko", Ko(modinfo=["alias=new"], exports={"_x": 2}))
    (rules := tmp_path / "rules.conf").write_text(RULES[what])
    settings: dict[str, Any] = {"configuration": [str(rules)], "symbol_prefix": "_" if what == "prefix" else ""}
    tree.run()
    before = tree.files()
    assert tree.run(**settings) is not None
    tree.run(use_cache=False, out=tree.full, **settings)
    assert tree.files() == tree.files(tree.full)
    assert tree.files() != before
    tree.run()
    assert tree.same_as_full()


def wait_for_a_tick(path: Path) -> None:
    """Until what is changed now gets another time than `path` has."""
    with tempfile.NamedTemporaryFile(dir=path.parents[2]) as scratch:
        while os.stat(scratch.name).st_ctime_ns <= path.stat().st_ctime_ns:
            time.sleep(0.001)
            scratch.write(b"x")
            scratch.flush()


def retouch(path: Path, change: Callable[[bytes], bytes]) -> None:
    """Change a file in place, in more than one tick of the clock, and put its time of change back."""
    status = path.stat()
    wait_for_a_tick(path)
    path.write_bytes(change(path.read_bytes()))
    os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))


def add_behind_the_back(tree: Tree) -> None:
    """A file, with the directory's time put back, as rsync and tar do."""
    status = (tree.directory / "kernel").stat()
    wait_for_a_tick(tree.directory)
    tree.put("kernel/d.ko", Ko())
    os.utime(tree.directory / "kernel", ns=(status.st_mtime_ns, status.st_mtime_ns))


def other(data: bytes) -> bytes:
    """Of module b, another one of equal length."""
    return data.replace(b"alias=b*", b"alias=x*")


BEHIND_THE_BACK: dict[str, Callable[[Tree], object]] = {
    "rewritten": lambda tree: retouch(tree.directory / "kernel/b.ko", other),
    "added": add_behind_the_back,
    "order": lambda tree: retouch(tree.directory / "modules.order", lambda data: data.replace(b"/a", b"/c")),
    "builtin": lambda tree: retouch(tree.directory / "modules.builtin", lambda data: data.replace(b"x", b"y")),
    "a link led nowhere": lambda tree: Ko().write(tree.directory / "../later/d.ko"),
}


@pytest.mark.parametrize("change", BEHIND_THE_BACK)
def test_a_change_that_leaves_times_is_noticed(tree: Tree, change: str) -> None:
    (tree.directory / "modules.order").write_text("kernel/a.ko\n")
    (tree.directory / "modules.builtin").write_text("kernel/x.ko\n")
    if change == "a link led nowhere":
        (tree.directory / "kernel/link").symlink_to("../../later")
    tree.put("kernel/b.ko", Ko(modinfo=["alias=b*"], exports={"b": 1}))
    tree.run()
    BEHIND_THE_BACK[change](tree)
    assert tree.run() is not None
    assert tree.same_as_full()


def test_a_link_to_nowhere_is_told_of_each_time(tree: Tree) -> None:
    (tree.directory / "kernel/up").symlink_to("..")
    tree.run()
    assert tree.run() is None
    (tree.directory / "kernel/notes").symlink_to("nowhere")
    tree.run()
    again = tree.run()
    assert again is not None
    assert again.reused == 3


@pytest.mark.parametrize("what", ["modules", "order"])
def test_a_change_while_the_run_is_at_work_is_noticed(tree: Tree, watch: Watch, what: str) -> None:
    """Of a file that is put in place, with an old time, when what it replaces has just been read."""
    (tree.directory / "modules.order").write_text("kernel/c.ko\n")

    class Late(Observer):
        def step_started(self, step: object) -> None:
            if step != "extract":
                return
            if what == "order":
                retouch(tree.directory / "modules.order", lambda data: data.replace(b"/c", b"/b"))
            else:
                add_behind_the_back(tree)

    for path in [tree.directory, *tree.directory.rglob("*")]:
        os.utime(path, ns=(1, LONG_AGO))
    watch.now = time.time_ns() - 3600 * 10**9  # the run begins now
    tree.run(observer=Late())
    watch.now += 3600 * 10**9
    assert tree.run() is not None
    assert tree.same_as_full()


def test_a_change_while_waiting_for_another_run_is_noticed(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.run()
    real = Directory.lock

    def lock(self: Directory, *arguments: Callable[[], None]) -> None:
        real(self, *arguments)
        Ko(modinfo=["alias=late"]).write(tree.directory / "updates/late.ko")

    monkeypatch.setattr(Directory, "lock", lock)
    assert tree.run() is not None
    assert b"alias late late" in tree.files()["modules.alias"]


def shuffled(needs: str, alias: str) -> Ko:
    """A module whose versions stand in one order, whatever that of its symbols is."""
    versions = dict.fromkeys(["module_layout", *"vwxyz"], 1)
    return Ko(modinfo=[f"alias={alias}"], needs=dict.fromkeys(needs, 1), first_versions=versions)


def test_another_order_of_symbols_is_noticed(tree: Tree) -> None:
    """A module built again with the same versions: the dependencies are the same ones, in another order."""
    for name in "vwxyz":
        tree.put(f"kernel/{name}.ko", Ko(exports={name: 1}))
    tree.put("kernel/user.ko", shuffled("vwxyz", "one"))
    tree.run()
    before = tree.files()["modules.dep"]
    tree.put("kernel/user.ko", shuffled("zvywx", "two"))
    assert tree.run() is not None
    assert tree.files()["modules.dep"] != before
    assert tree.same_as_full()
    tree.put("kernel/user.ko", shuffled("xvywz", "three"))
    assert tree.run() is not None
    assert tree.same_as_full()


def check_built_again(tree: Tree, monkeypatch: pytest.MonkeyPatch, *, exporters: str, needs: tuple[str, str]) -> None:
    """A module that needs symbols in one order, then the other: no symbols are resolved for that."""
    for name in exporters:
        Ko(exports={name: 1}).write(tree.directory / f"kernel/{name}.ko")
    shuffled(needs[0], "one").write(tree.directory / "kernel/user.ko")
    tree.run()
    shuffled(needs[1], "two").write(tree.directory / "kernel/user.ko")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "resolve_symbols", None)
        assert tree.run() is not None
    assert tree.same_as_full()


def test_the_order_of_symbols_that_decides_nothing_is_not_asked_for(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Built again, a module with one dependency leaves modules.dep as it is, and no symbols are resolved."""
    check_built_again(tree, monkeypatch, exporters="v", needs=("vwxyz", "zvywx"))


def test_the_same_order_of_symbols_is_known_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it decides something."""
    check_built_again(tree, monkeypatch, exporters="vwxyz", needs=("zvywx", "zvywx"))
    Ko().write(tree.directory / "kernel/another.ko")
    with monkeypatch.context() as patch:
        patch.setattr(SharedWork, "undefined_symbols", None)
        assert tree.run() is not None
    assert tree.same_as_full()


def test_many_modules_built_again_with_the_same_aliases(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that two processes read them, and the files made of .modinfo strings are taken over."""
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    for needed in "ab":
        for number in range(2 * WORTH_A_PROCESS):
            module = Ko(modinfo=[f"alias=x{number}*"], exports={f"s{number}": 1}, needs={needed: 1})
            module.write(tree.directory / f"kernel/many/m{number}.ko")
        assert tree.run() is not None
        assert tree.same_as_full()


def test_an_unpacked_module_that_says_wrongly_what_it_needs(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order of its symbols is asked for all the same, and decides."""
    for name in "vwxyz":
        Ko(exports={name: 1}).write(tree.directory / f"kernel/{name}.ko")
    asked: list[int] = []
    real = SharedWork.undefined_symbols

    def ask(work: SharedWork, position: int) -> Sequence[bytes]:
        asked.append(position)
        return real(work, position)

    monkeypatch.setattr(SharedWork, "undefined_symbols", ask)
    orders = []
    for depends in ("", "v,w,x,y,z"):
        module = replace(shuffled("zvywx", "user"), modinfo=[f"depends={depends}"])
        (tree.directory / "kernel/user.ko.gz").write_bytes(gzip.compress(module.bytes()))
        tree.run(use_cache=False)
        orders.append((tree.files()["modules.dep"], len(asked)))
    assert orders[0] == orders[1]
    assert len(asked) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b"kernel/a.ko", b"kernel/x.ko"),
        lambda data: data.replace(b"cache %d " % cache.FORMAT, b"cache %d " % (cache.FORMAT - 1)),
        lambda data: data.replace(b"alias=b*", b"alias=c*"),
        lambda data: data + b"x",
        lambda data: bytes(len(data)),
        lambda data: data[:200] + bytes(20) + data[220:],
    ],
    ids=["empty", "cut", "half", "changed", "another format", "facts changed", "longer", "zeros", "hole"],
)
def test_a_damaged_cache_changes_nothing(tree: Tree, damage: Callable[[bytes], bytes]) -> None:
    tree.run()
    path = tree.cache
    whole = path.read_bytes()
    retouch(path, damage)
    assert path.read_bytes() != whole
    Ko(modinfo=["alias=new"]).write(tree.directory / "kernel/b.ko")
    assert tree.run() is not None
    assert tree.same_as_full()


def test_random_damage_changes_nothing(tree: Tree) -> None:
    tree.run()
    path = tree.cache
    whole, status = path.read_bytes(), path.stat()
    dice = random.Random(1)
    for _ in range(30):
        data = bytearray(whole)
        data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
        path.write_bytes(data)
        os.utime(path, ns=(status.st_mtime_ns, status.st_mtime_ns))
        tree.run()
        assert tree.same_as_full()


@pytest.mark.parametrize("other", ["version", "machine", "module directory"])
def test_a_cache_of_another_kind_is_not_used(tree: Tree, monkeypatch: pytest.MonkeyPatch, other: str) -> None:
    tree.run()
    if other == "version":
        monkeypatch.setattr(cache, "__version__", "0.0")
    elif other == "machine":
        system, node, release, version, machine = os.uname()
        replace_call(monkeypatch, "uname", lambda: os.uname_result((system, node, release, version, f"{machine}x")))
    else:
        moved = tree.directory.rename(tree.directory.with_name("moved"))
        tree.directory = moved
    again = tree.run()
    assert again is not None
    assert again.reused == 0


def test_a_cache_others_may_write_is_not_used(tree: Tree) -> None:
    tree.run()
    tree.cache.chmod(0o666)
    again = tree.run()
    assert again is not None
    assert again.reused == 0


def test_a_broken_module_is_read_again(tree: Tree) -> None:
    """What made it unreadable may be gone (a missing library), and the complaint must be made again."""
    (tree.directory / "kernel/b.ko").write_text("broken")
    tree.run()
    again = tree.run()
    assert again is not None
    assert again.reused == 2


def test_fresh_files_are_read_again(tree: Tree, watch: Watch) -> None:
    """Changed within the clock's tick, a file may look the same."""
    watch.now = time.time_ns() - 3600 * 10**9
    tree.run()
    watch.now = time.time_ns() - 3600 * 10**9
    again = tree.run()
    assert again is not None
    assert again.reused == 0


NAMES = st.sampled_from(["a", "b", "c", "d-e", "f", "g", "h"])
PLACES = st.sampled_from(["kernel", "updates", "extra/deep"])
STRINGS = ["alias=x*", "alias=y", "softdep=pre: a", "alias=devname:n", "alias=char-major-1-2"]
SYMBOLS = "stuvwxyz"
EARLY = "stuv"


@st.composite
def modules(draw: st.DrawFn) -> Ko:
    """A module that exports a symbol and, if that is a late one, needs all early ones: no circles. Often shuffled."""
    letter = draw(st.sampled_from(SYMBOLS))
    needs = draw(st.permutations(EARLY)) if letter not in EARLY else []
    order = draw(st.sampled_from([needs, sorted(needs)]))
    return Ko(
        modinfo=draw(st.lists(st.sampled_from(STRINGS))),
        exports={letter: 1},
        needs=dict.fromkeys(needs, 1),
        first_versions=dict.fromkeys(["module_layout", *order], 1) if draw(st.booleans()) else {},
    )


MODULES = modules()
ACTIONS = st.sampled_from(["write", "write", "write", "rebuild", "rebuild", "remove", "touch", "order", "run"])
STEPS = st.lists(st.tuples(ACTIONS, PLACES, NAMES, MODULES), max_size=16)


@settings(max_examples=60)
@given(STEPS)
def test_any_sequence_of_changes(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, str, Ko]]
) -> None:
    tree = Tree(tmp_path_factory.mktemp("tree"))
    tree.run()
    laid: dict[Path, Ko] = {}
    for action, place, name, module in [*steps, ("run", "", "", Ko())]:
        path = tree.directory / place / f"{name}.ko"
        if action == "rebuild" and path in laid:  # with its symbols in another order
            needs = dict(reversed(laid[path].needs.items()))
            module = replace(laid[path], modinfo=module.modinfo, needs=needs)
        if action in ("write", "rebuild"):
            laid[path] = module
            module.write(path)
        elif action == "remove":
            path.unlink(missing_ok=True)
        elif action == "touch" and path.exists():
            path.touch()
        elif action == "order":
            (tree.directory / "modules.order").write_text(f"{place}/{name}.ko\n")
        elif action == "run":
            tree.run()
            assert tree.same_as_full()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "elsewhere"


def test_each_output_directory_has_a_cache_of_its_own(tree: Tree, elsewhere: Path) -> None:
    tree.run()
    tree.run(out=elsewhere)
    assert len(list(tree.caches.iterdir())) == 2
    assert tree.run(out=elsewhere) is None
    assert tree.run() is None
    assert sorted(path.name for path in elsewhere.iterdir()) == sorted(FILES)


def test_the_cache_of_a_kernel_that_is_gone_goes_with_the_next_run(tree: Tree, tmp_path: Path) -> None:
    other = Tree(tmp_path / "other")
    other.caches = tree.caches
    other.run()
    tree.run()
    assert len(list(tree.caches.iterdir())) == 2
    shutil.rmtree(other.directory)
    (tree.caches / "depmod-1-00000000.cache").write_bytes(b"damaged")
    (tree.caches / "of somebody else").touch()
    Ko().write(tree.directory / "kernel/new.ko")
    tree.run()
    assert len(list(tree.caches.glob("depmod-*"))) == 1
    assert (tree.caches / "of somebody else").exists()


def test_a_cache_that_cannot_be_kept_is_no_failure(tree: Tree) -> None:
    tree.caches.touch()
    heard: list[Diagnostic] = []

    class Listener(Observer):
        def diagnostic(self, diagnostic: Diagnostic) -> None:
            heard.append(diagnostic)

    assert tree.run(observer=Listener()) is not None
    assert [(problem.code, problem.severity) for problem in heard] == [("no-cache", "note")]
    assert tree.same_as_full()


# --- times that prove nothing

NOW = 1_800_000_000_123_456_789
GOOD: Stamp = (10, 1_700_000_000_500_000_000, 7, 1_750_000_000_600_000_000, 3)


@pytest.mark.parametrize(
    ("place", "value"),
    [(1, 0), (1, 10**9), (1, 1_600_000_000 * 10**9), (3, 1_750_000_000 * 10**9), (1, NOW), (3, NOW), (3, NOW - 10**9)],
    ids=["no time", "Nix", "a reproducible build", "whole seconds", "now", "changed now", "changed a second ago"],
)
def test_a_time_that_proves_nothing(place: int, value: int) -> None:
    assert trusted(GOOD, NOW, [1_600_000_000]) == GOOD
    stamp = (*GOOD[:place], value, *GOOD[place + 1 :])
    assert trusted(stamp, NOW, [1_600_000_000]) == NO_STAMP  # type: ignore[arg-type]


class Status:
    """A file's status with other times and another inode."""

    def __init__(self, status: os.stat_result, times: dict[str, int]) -> None:
        self._status = status
        self.st_ino = 7
        self.__dict__.update(times)

    def __getattr__(self, name: str) -> object:
        return getattr(self._status, name)


IMAGES = {
    "all in whole seconds": ({"st_mtime_ns": LONG_AGO, "st_ctime_ns": LONG_AGO}, 0),
    "all files of one time": ({"st_mtime_ns": 1_600_000_000 * 10**9, "st_ctime_ns": LONG_AGO + 5}, 0),
    "times that only a running system gives": ({"st_mtime_ns": LONG_AGO + 1, "st_ctime_ns": LONG_AGO + 5}, 3),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_an_image_that_takes_the_place_of_another_is_read(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Size, inode and all times are the same; the last of the images there cannot be."""
    times, reused = IMAGES[kind]
    stat, fstat = os.stat, os.fstat

    def image_stat(path: Any, **named: Any) -> object:
        found = stat(path, **named)
        return Status(found, times) if isinstance(path, bytes) else found

    def image_fstat(fd: int) -> object:
        is_module = os.readlink(f"/proc/self/fd/{fd}").endswith(".ko")
        return Status(fstat(fd), times) if is_module else fstat(fd)

    tree.put("kernel/b.ko", Ko(modinfo=["alias=b*"], exports={"b": 1}))
    with monkeypatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1600000000")
        replace_call(patch, "stat", image_stat)
        replace_call(patch, "fstat", image_fstat)
        tree.run()
        (tree.directory / "modules.dep").unlink()
        again = tree.run()
    assert again is not None
    assert again.reused == reused


def test_nothing_is_kept_of_a_read_only_file_system(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    class Flags:
        f_flag = os.ST_RDONLY

    replace_call(monkeypatch, "statvfs", lambda path: Flags)
    tree.run(out=tree.full)
    assert not tree.caches.exists()


def test_pipes_in_the_cache_directory_stop_nobody(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.caches.mkdir(exist_ok=True)
    os.mkfifo(tree.caches / "depmod-6.6-00000000.cache")
    assert cache.stale_caches(str(tree.caches)) == ["depmod-6.6-00000000.cache"]


def test_a_file_system_that_numbers_its_files_as_it_likes_does_not_stop_the_run(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "samestat", lambda _one, _other: False)
    tree.put("kernel/b.ko", Ko(exports={"b": 1}))
    assert tree.run(out=tree.full) is not None
    assert (tree.full / "modules.dep").exists()
    assert not list(tree.full.rglob(".depmod-lock"))
