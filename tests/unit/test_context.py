# SPDX-License-Identifier: LGPL-2.1-or-later
"""One system as a program sees it: what is in it, what modprobe would do, and doing it."""

from __future__ import annotations

import copy
import errno
import gc
import json
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard

import pymodutils
from pymodutils import (
    AmbiguousNameError,
    CommandError,
    Context,
    Diagnostic,
    Error,
    FileError,
    FormatError,
    IndexFormatError,
    InsertError,
    KernelModules,
    LiveKernelNotAskedError,
    Match,
    MissingTreeError,
    NotFoundError,
    Observer,
    RemoveError,
    Roots,
    Step,
)
from tests.support.fakekernel import FakeKernel
from tests.support.forgedsystem import forge_system
from tests.support.koforge import Ko

CHAIN = {"a": [], "b_b": ["a"], "c": ["b_b", "a"], "other": [], "lonely": []}
ALIASES = "pci:v1d*=c two=a two=other devname:net/tun=lonely"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree(CHAIN, builtin=["the_core"], aliases=ALIASES)
    return kernel


@pytest.fixture
def system(kernel: FakeKernel) -> Iterator[Context]:
    with Context(kernel.roots) as context:
        yield context


def names(things: list[Match] | list[Step]) -> list[str]:
    return [thing.name if isinstance(thing, Match) else thing.module for thing in things]


class Recorder(Observer):
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str, str | None]] = []

    def step_started(self, step: object) -> None:
        assert isinstance(step, Step)
        self.heard.append(("started", step.module, step.reason))

    def step_done(self, step: object, error: Exception | None) -> None:
        assert isinstance(step, Step)
        self.heard.append(("done", step.module, type(error).__name__ if error else None))


# --- what is in it


def test_what_is_loaded_on_disk_and_builtin(kernel: FakeKernel, system: Context) -> None:
    system.load("c")
    assert [module.name for module in system.loaded()] == ["c", "b_b", "a"]
    assert [module.name for module in system.available()] == list(CHAIN)
    assert system.builtins() == ["the_core"]
    assert system.exists


def test_names_are_looked_up_as_modprobe_does(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("alias mine-* other\nblacklist lonely\ninstall made /bin/true\n")
    (found,) = system.lookup("b-b")
    assert (found.name, found.alias, found.path, found.origin) == ("b_b", None, str(kernel.path("b_b")), "modules.dep")
    (found,) = system.lookup("pci:v1d2")
    assert (found.name, found.alias, found.origin, found.builtin) == ("c", "pci:v1d2", "modules.alias", False)
    (found,) = system.lookup("mine-1")
    assert (found.name, found.alias, found.origin) == ("other", "mine_*", f"{kernel.config}/test.conf:1")
    assert system.lookup("mine-1", configured=False) == []
    (found,) = system.lookup("the-core")
    assert (found.name, found.path, found.builtin) == ("the_core", None, True)
    (found,) = system.lookup("lonely")
    assert found.blacklisted == system.config.blacklisted("lonely") is not None
    (found,) = system.lookup("made")
    assert (found.command, found.builtin) == (system.config.install("made"), False)
    assert names(system.lookup("two")) == ["a", "other"]
    assert system.lookup("nothing") == system.lookup("bad[") == []


def test_files_are_looked_up_by_their_path(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    system = Context(kernel.roots)
    for path in (kernel.path("c"), str(kernel.path("c"))):
        (found,) = system.lookup(path)
        assert (found.name, found.path, found.origin) == ("c", str(kernel.path("c")), "file")
        assert [os.path.basename(path) for path in found.dependencies] == ["b_b.ko", "a.ko"]
    monkeypatch.chdir(kernel.modules.parent)
    assert system.lookup("6.1/c.ko") == []  # as modprobe, which wants a slash or a dot at its beginning
    for what in (Path("6.1/c.ko"), "./6.1/c.ko", "6.1/c.ko"):
        assert system.info(what).name == system.status(what).name == system.plan_load(what).targets[0].name == "c"
    with pytest.raises(FileNotFoundError) as error:
        system.lookup(Path("6.1/d.ko"))
    assert isinstance(error.value, FileError) and error.value.path == str(kernel.modules.parent / "6.1/d.ko")


def test_one_module_by_its_exact_name(system: Context) -> None:
    found = system.find("b-b")
    assert found is not None and found.name == "b_b"
    assert system.find("the_core") is not None
    assert system.find("pci:v1d2") is None and system.find("two") is None


@pytest.mark.parametrize("what", ["b_b", "b-b", "c", "pci:v1d2", "devname:net/tun"])
def test_information_by_name_and_alias(system: Context, what: str) -> None:
    expected = {"b-b": "b_b", "pci:v1d2": "c", "devname:net/tun": "lonely"}.get(what, what)
    info = system.info(what)
    assert (info.name, info.builtin) == (expected, False)
    assert system.info(system.lookup(what)[0]) == info
    with system.open(what) as file:
        assert file.name == expected


def test_information_about_a_builtin_module(kernel: FakeKernel, system: Context) -> None:
    (kernel.modules / "modules.builtin.modinfo").write_bytes(b"the_core.license=GPL\0")
    info = system.info("the-core")
    assert (info.name, info.builtin, info.filename, info.license) == ("the_core", True, None, "GPL")
    assert [field.value for field in system.builtin_fields("the-core")] == ["GPL"]
    with pytest.raises(NotFoundError, match="it has no file"):
        system.open("the-core")


def test_an_alias_of_several_modules(system: Context) -> None:
    for ask in (system.info, system.open, system.status):
        with pytest.raises(AmbiguousNameError) as error:
            ask("two")
        assert (error.value.asked, error.value.modules) == ("two", ("a", "other"))
        assert isinstance(error.value, LookupError)
    assert [info.name for info in system.infos(["two", "c"])] == ["a", "other", "c"]
    assert [status.name for status in system.statuses(["two", "c"])] == ["a", "other", "c"]


@pytest.mark.parametrize("ask", [Context.info, Context.open, Context.load, Context.unload])
def test_a_name_of_nothing(system: Context, ask: Callable[[Context, str], object]) -> None:
    with pytest.raises(LookupError) as error:
        ask(system, "lonly-X")
    assert isinstance(error.value, NotFoundError)
    assert (error.value.asked, error.value.module, error.value.errno) == ("lonly-X", "lonly_X", errno.ENOENT)
    assert str(error.value) == "lonly-X: module not found"
    assert error.value.similar == ("lonely",)


@pytest.mark.parametrize("ask", [Context.info, Context.open, Context.status, Context.lookup, Context.load])
@pytest.mark.parametrize("path", ["./nosuch.ko", "./text.ko", Path("folder.ko")], ids=str)
def test_an_error_about_a_file_tells_what_was_asked(
    kernel: FakeKernel, ask: Callable[[Context, object], object], path: str | Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = Context(kernel.roots)
    monkeypatch.chdir(kernel.modules)
    Path("text.ko").write_text("text")
    Path("folder.ko").mkdir()
    try:
        ask(system, path)
    except Error as error:
        assert error.asked == str(path) and error.path in (str(path), f"{kernel.modules}/{path}")
    else:
        assert ask not in (Context.info, Context.load) and "nosuch" not in str(path)  # those read no file
    with pytest.raises(Error) as caught:
        list(system.infos(path))
    assert caught.value.asked == str(path)


def test_an_error_of_a_request_tells_what_was_asked(tmp_path: Path) -> None:
    rules = "alias two-* shut\ninstall shut /bin/false\nremove shut /bin/false\n"
    roots = forge_system(tmp_path, {"shut": []}, files={"etc/modprobe.d/a.conf": rules}, loaded={"low": "0 - Live 0x0"})
    system = Context(roots)
    for ask in (system.load, system.unload, lambda what: system.load(system.plan_load(what))):
        with pytest.raises(CommandError) as error:
            ask("two-x")
        assert (error.value.asked, error.value.module) == ("two-x", "shut")
        assert str(error.value).startswith("shut: ")
    assert str(NotFoundError("gone", asked="a-b", module="a_b")) == "a-b: gone"


def test_a_match_of_nothing_has_no_information(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("alias empty nowhere\n")
    (found,) = system.lookup("empty")
    assert (found.path, found.builtin) == (None, False)
    with pytest.raises(NotFoundError):
        system.info(found)
    assert system.status(found).state == "absent"


def test_information_about_all_modules(kernel: FakeKernel, system: Context) -> None:
    assert [info.name for info in system.infos()] == list(CHAIN)
    kernel.path("other").write_bytes(b"no module")
    with pytest.raises(FormatError):
        list(system.infos())
    problems: list[Diagnostic] = []
    tolerant = Context(kernel.roots, on_problem=problems.append)
    assert [info.name for info in tolerant.infos()] == ["a", "b_b", "c", "lonely"]
    assert [(problem.code, problem.module, problem.file) for problem in problems] == [
        ("unreadable-module", "other", str(kernel.path("other")))
    ]
    assert [info.name for info in tolerant.infos(["nothing", "c"])] == ["c"]
    assert (problems[-1].code, problems[-1].subject) == ("unreadable-module", "nothing")


# --- a tree that is not there

QUESTIONS: list[Callable[[Context], object]] = [
    Context.available,
    Context.builtins,
    lambda system: system.lookup("a"),
    lambda system: system.find("a"),
    lambda system: system.similar("a"),
    lambda system: system.info("a"),
    lambda system: list(system.infos()),
    lambda system: system.open("a"),
    lambda system: system.builtin_fields("a"),
    lambda system: system.plan_load("a"),
    lambda system: system.plan_unload("a"),
    lambda system: system.load("a"),
    lambda system: system.unload("a"),
]


@pytest.mark.parametrize("number", range(len(QUESTIONS)))
def test_without_a_tree_what_needs_one_is_an_error(kernel: FakeKernel, number: int) -> None:
    system = Context(kernel.roots.replace(release="0.0"))
    assert not system.exists
    with pytest.raises(MissingTreeError) as error:
        QUESTIONS[number](system)
    assert isinstance(error.value, FileNotFoundError)
    assert error.value.path == error.value.filename == f"{kernel.modules.parent}/0.0"


def test_without_a_tree_what_needs_none_is_answered(kernel: FakeKernel) -> None:
    Context(kernel.roots).load("other")
    system = Context(kernel.roots.replace(release="0.0"))
    assert [module.name for module in system.loaded()] == ["other"]
    assert system.status("other").state == "live"
    assert system.status("nothing").state == "unknown"
    assert system.info(kernel.path("c")).name == "c"
    assert system.config.rules == ()


def test_a_program_may_get_over_there_being_no_tree(kernel: FakeKernel) -> None:
    problems: list[Diagnostic] = []
    system = Context(kernel.roots.replace(release="0.0"), on_problem=problems.append)
    assert system.available() == system.builtins() == system.lookup("a") == []
    assert [(problem.code, problem.file) for problem in problems] == [("missing-tree", f"{kernel.modules.parent}/0.0")]


@pytest.mark.parametrize("is_there", [False, True])
def test_without_an_index_nobody_knows_which_modules_there_are(kernel: FakeKernel, is_there: bool) -> None:
    index = kernel.modules / "modules.dep.bin"
    index.unlink()
    if is_there:
        index.touch()  # what a power cut leaves: depmod writes a header also where there are no modules
    for question in (lambda system: system.available(), lambda system: list(system.infos())):
        with pytest.raises(
            FileError, match=r"cannot tell which modules there are: no usable modules\.dep\.bin"
        ) as error:
            question(Context(kernel.roots))
        assert isinstance(error.value, FileNotFoundError)
        assert error.value.path == str(kernel.modules)
        problems: list[Diagnostic] = []
        assert question(Context(kernel.roots, on_problem=problems.append)) == []
        assert [(problem.code, problem.file) for problem in problems] == [("unusable-index", str(kernel.modules))]


def test_without_an_index_nobody_knows_which_builtin_modules_there_are(kernel: FakeKernel) -> None:
    index = kernel.modules / "modules.builtin.bin"
    index.write_bytes(b"")  # as kmod's depmod leaves it where there is no list of them
    with pytest.raises(FileError, match=r"cannot tell which builtin modules there are: no usable modules\.builtin$"):
        Context(kernel.roots).builtins()
    (kernel.modules / "modules.builtin").touch()
    assert Context(kernel.roots).builtins() == []
    index.unlink()
    with pytest.raises(FileError, match=r"cannot tell which builtin modules there are: .*modules\.builtin\.bin"):
        Context(kernel.roots).builtins()
    problems: list[Diagnostic] = []
    assert Context(kernel.roots, on_problem=problems.append).builtins() == []
    assert [problem.code for problem in problems] == ["unusable-index"]
    assert Context(kernel.roots).similar("lonly") == ["lonely"]


def test_a_damaged_index(kernel: FakeKernel) -> None:
    (kernel.modules / "modules.dep.bin").write_bytes(b"no index")
    with pytest.raises(IndexFormatError) as error:
        Context(kernel.roots).lookup("a")
    assert error.value.path == str(kernel.modules / "modules.dep.bin")
    for _ in range(2):  # an answer would be a guess, the second time, too
        system = Context(kernel.roots)
        with pytest.raises(IndexFormatError):
            system.status("a")
        with pytest.raises(IndexFormatError):
            system.status("a")
    problems: list[Diagnostic] = []
    system = Context(kernel.roots, on_problem=problems.append)
    assert names(system.lookup("pci:v1d2")) == ["c"]
    assert system.lookup("a") == []
    assert [problem.code for problem in problems] == ["unusable-index"]


# --- changes

CHANGES: dict[str, Callable[[FakeKernel], object]] = {
    "depmod ran": lambda kernel: kernel.tree({**CHAIN, "new": []}, aliases=ALIASES),
    "an index appeared": lambda kernel: kernel._index("builtin.alias", [("b_alias", "the_core")]),
    "an index vanished": lambda kernel: (kernel.modules / "modules.alias.bin").unlink(),
    "the tree vanished": lambda kernel: kernel.modules.rename(kernel.modules.with_name("gone")),
    "a file was changed": lambda kernel: kernel.configure("options a x=12\n"),
    "a file was changed in place to the same size": lambda kernel: kernel.configure("options a x=2\n"),
    "a file appeared": lambda kernel: (kernel.config / "new.conf").write_text("options b x=1\n"),
    "a file vanished": lambda kernel: (kernel.config / "test.conf").unlink(),
    "a directory appeared": lambda kernel: (kernel.config.parent.parent / "run/modprobe.d").mkdir(parents=True),
    "depmod wrote softdeps": lambda kernel: (kernel.modules / "modules.softdep").write_text("softdep a pre: b"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_seen(kernel: FakeKernel, change: str) -> None:
    kernel.configure("options a x=1\n")
    system = Context(kernel.roots)
    assert not system.stale
    system.lookup("nothing")  # asks all indexes
    assert system.lookup("a") and not system.stale
    CHANGES[change](kernel)
    assert system.stale
    system.refresh()
    assert not system.stale
    if change != "the tree vanished":
        assert bool(system.lookup("new")) == (change == "depmod ran")
        assert bool(system.lookup("pci:v1d2")) == (change != "an index vanished")
        assert system.lookup("a")
        assert not system.stale
    texts = {"a file was changed": ["x=12"], "a file was changed in place to the same size": ["x=2"]}
    expected = [] if change == "a file vanished" else texts.get(change, ["x=1"])
    assert [rule.text for rule in system.config.options("a")] == expected
    assert (system.config.softdep("a") is not None) == (change == "depmod wrote softdeps")


def test_the_kernel_is_asked_again(kernel: FakeKernel, system: Context) -> None:
    assert system.status("a").state == "available"
    system.load("a")
    assert system.status("a").state == "live" and not system.stale


def test_closed_it_opens_again(system: Context) -> None:
    system.lookup("a")
    system.close()
    assert not system.stale
    assert names(system.lookup("a")) == ["a"]


# --- whether the kernel is asked

RUNNING = os.uname().release


@pytest.mark.parametrize(
    ("roots", "live", "asked"),
    [
        (Roots(), None, True),
        (Roots(release=RUNNING), None, True),
        (Roots(base="/", config_root="/"), None, True),
        (Roots.of_system("/"), None, True),
        (Roots(release="0.0"), None, False),
        (Roots(base="/mnt"), None, False),
        (Roots(config_root="/mnt"), None, False),
        (Roots.of_system("/mnt", RUNNING), None, False),
        (Roots(base="/mnt", release="0.0", proc="/host/proc"), None, True),
        (Roots(base="/mnt", sys="/host/sys"), None, True),
        (Roots(base="/mnt"), True, True),
        (Roots(), False, False),
    ],
)
def test_when_the_kernel_is_asked(roots: Roots, live: bool | None, asked: bool) -> None:
    assert Context(roots, live=live).live.is_asked == asked
    if live is None:
        assert roots.shows_kernel == asked


def test_another_system_has_no_kernel(kernel: FakeKernel) -> None:
    Context(kernel.roots).load("a")
    system = Context(kernel.roots, live=False)
    for ask in (
        system.loaded,
        system.statuses,
        lambda: system.load("c"),
        lambda: system.unload("c"),
        lambda: system.prefetch([], 2),
    ):
        with pytest.raises(LiveKernelNotAskedError) as error:
            ask()
        assert isinstance(error.value, Error)
    assert system.status("a").state == "available"
    status = system.status("a")
    assert (status.refcount, status.parameters, status.holders) == (None, None, None)
    assert names(list(system.plan_load("b_b").steps)) == ["a", "b_b"]
    assert kernel.loaded == ["a"]


# --- configuration


def test_rules_and_where_they_stand(kernel: FakeKernel) -> None:
    kernel.configure(
        "options b-b x=1\nblacklist c\nalias al-* c\nsoftdep c pre: a post: other\nweakdep c lonely\n"
        "install a /bin/true\nremove a /bin/false\n"
    )
    config = Context(kernel.roots).config
    file = str(kernel.config / "test.conf")
    assert [(rule.kind, rule.key, rule.file, rule.line) for rule in config.rules] == [
        ("options", "b_b", file, 1), ("blacklist", "c", file, 2), ("alias", "al_*", file, 3), ("softdep", "c", file, 4),
        ("weakdep", "c", file, 5), ("install", "a", file, 6), ("remove", "a", file, 7),
    ]  # fmt: skip
    assert [rule.text for rule in config.options("b-b")] == ["x=1"]
    assert [rule.text for rule in config.aliases("al-1")] == ["c"]
    found = [config.blacklisted("c"), config.softdep("c"), config.weakdep("c"), config.install("a"), config.remove("a")]
    assert [rule and rule.origin for rule in found] == [f"{file}:{number}" for number in (2, 4, 5, 6, 7)]
    assert config.install("c") is config.blacklisted("b-b") is config.softdep("a") is None


def test_chosen_configuration(kernel: FakeKernel, tmp_path: Path) -> None:
    kernel.configure("options a x=1\n")
    (tmp_path / "my.conf").write_text("options a x=2\n")
    for config in ([tmp_path / "my.conf"], [str(tmp_path / "my.conf")], str(tmp_path / "my.conf")):
        assert [rule.text for rule in Context(kernel.roots, config=config).config.options("a")] == ["x=2"]


def test_problems_of_the_configuration_are_heard_once(kernel: FakeKernel) -> None:
    kernel.configure("frobnicate a\noptions a x=1\n")
    problems: list[Diagnostic] = []
    system = Context(kernel.roots, on_problem=problems.append)
    system.lookup("a")
    system.lookup("c")
    assert [(problem.code, problem.line, problem.subject) for problem in problems] == [("bad-line", 1, "frobnicate")]
    assert list(system.config.problems) == problems
    system.refresh()
    system.lookup("a")
    assert len(problems) == 2


def test_shadowed_files(kernel: FakeKernel) -> None:
    root = kernel.config.parent.parent
    for place in ("usr/lib", "run"):
        (root / place / "modprobe.d").mkdir(parents=True)
        (root / place / "modprobe.d/test.conf").write_text("options a x=2\n")
    (root / "usr/lib/modprobe.d/only.conf").write_text("options a x=3\n")
    for place in ("lib/modprobe.d", "usr/local/lib/modprobe.d"):  # as where /lib is a link to /usr/lib
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).symlink_to("/usr/lib/modprobe.d")  # of that system
    kernel.configure("options a x=1\n")
    config = Context(kernel.roots).config
    assert [rule.text for rule in config.options("a")] == ["x=3", "x=1"]
    shadowed = [(pair.file.removeprefix(str(root)), pair.by.removeprefix(str(root))) for pair in config.shadowed]
    assert shadowed == [
        ("/run/modprobe.d/test.conf", "/etc/modprobe.d/test.conf"),
        ("/usr/local/lib/modprobe.d/test.conf", "/etc/modprobe.d/test.conf"),
    ]
    (root / "run/modprobe.d/test.conf").unlink()
    assert len(config.shadowed) == 2  # as it was when it was read


def test_links_of_another_system_are_followed_in_it(kernel: FakeKernel) -> None:
    target = kernel.config.parent.parent / "opt/real.conf"
    target.parent.mkdir()
    target.write_text("options a x=1\n")
    (kernel.config / "link.conf").symlink_to("/opt/real.conf")
    system = Context(kernel.roots)
    assert [rule.origin for rule in system.config.options("a")] == [f"{kernel.config}/link.conf:1"]
    assert not system.stale
    target.write_text("options a x=22\n")
    assert system.stale


# --- where modules stand


def test_words_for_where_a_module_stands(kernel: FakeKernel, system: Context) -> None:
    system.load("b_b")
    for name, word in (("other", "coming"), ("lonely", "going")):
        KernelModules(kernel.roots).insert(str(kernel.path(name)))
        lines = (kernel.proc / "modules").read_text()
        shown = {"coming": "Loading", "going": "Unloading"}[word]
        (kernel.proc / "modules").write_text(lines.replace(f"{name} 16384 0 - Live", f"{name} 16384 0 - {shown}"))
        assert system.status(name).state == {module.name: module.state for module in system.loaded()}[name] == word
        kernel._show()
    assert {system.live.state("b-b"), system.status("b-b").state} == {"live"}
    states = [(status.name, status.state) for status in system.statuses(["b-b", "the-core", "c", "no-such", "bad["])]
    assert states == [
        ("b_b", "live"), ("the_core", "builtin"), ("c", "available"), ("no_such", "absent"), ("bad[", "absent"),
    ]  # fmt: skip
    status = system.status("b-b")
    assert (status.asked, status.is_in_kernel, status.holders, status.evidence[0].source) == (
        "b-b", True, (), "/proc/modules"
    )  # fmt: skip
    assert [status.name for status in system.statuses()] == [module.name for module in system.loaded()]


def test_the_kernel_takes_dashes_in_names(kernel: FakeKernel, system: Context) -> None:
    system.load("c")
    live = system.live
    assert (live.state("b-b"), live.refcount("b-b"), live.holders("b-b")) == ("live", 1, ["c"])
    assert live.attribute("b-b", "refcnt") == "1" and live.has_directory("b-b")
    KernelModules(kernel.roots).remove("c")
    KernelModules(kernel.roots).remove("b-b")
    assert kernel.loaded == ["a"]


# --- plans


def test_a_plan_for_loading_is_a_value(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("options a debug=1\nsoftdep c pre: nothing\n")
    plan = system.plan_load("pci:v1d2", {"x": [1, 2], "y": True, "z": "a b"})
    assert plan.request.parameters == 'x=1,2 y=Y z="a b"'
    assert plan.lines() == [
        f"insmod {kernel.path('a')} debug=1 ",
        f"insmod {kernel.path('b_b')} ",
        f'insmod {kernel.path("c")} x=1,2 y=Y z="a b"',
    ]
    assert names(list(plan.targets)) == ["c"] and plan.met
    assert [(missing.module, missing.reason, missing.required) for missing in plan.missing] == [
        ("nothing", "not found", False)
    ]
    assert {plan: 1}[pickle.loads(pickle.dumps(plan))] == 1
    assert plan == system.plan_load("pci:v1d2", 'x=1,2 y=Y z="a b"')
    document = json.loads(plan.to_json())
    assert document["schema"] == "pymodutils/1" and document["plans"][0]["operand"] == "pci:v1d2"
    assert [step["module"] for step in document["plans"][0]["steps"]] == ["a", "b_b", "nothing", "c"]


@pytest.mark.parametrize("reverse", [False, True])
def test_plans_of_a_batch_are_those_made_one_by_one(kernel: FakeKernel, reverse: bool) -> None:
    """Whatever softdeps, rules and missing files want of a dependency, and whatever asks for it first."""
    chain = {
        "a": [], "b_b": ["a"], "c": ["b_b", "a"], "d": ["a"], "e": ["d", "b_b", "a"], "gone": [], "f": ["gone"],
        "soft": ["a"], "g": ["soft", "a"], "own": [], "h": ["own"], "lonely": [], "itself": ["itself"], "i": ["itself"],
    }  # fmt: skip
    kernel.tree(chain, builtin=["the_core"], aliases=ALIASES)
    kernel.path("gone").unlink()
    kernel.configure(
        "softdep soft pre: b-b post: d\nsoftdep lonely pre: b-b\n"
        "softdep e pre: h the_core gone\noptions a x=1\noptions own-alias y=2\n"
        "install own /bin/true\nblacklist d\nalias own-alias own\n"
    )
    batch, kept = Context(kernel.roots), Context(kernel.roots)
    batch.begin_batch()
    wanted = [*chain, "pci:v1d2", "two", "own-alias", "the_core", "nothing"]
    for loaded, ignore_loaded in (("a", False), ("a", True), ("b_b", False)):
        Context(kernel.roots).load(loaded)  # what was planned before holds no longer
        for ignore_commands in (True, False):
            for name in reversed(wanted) if reverse else wanted:
                made, remembered, expected = [
                    context.plan_load(name, "p=1", ignore_loaded=ignore_loaded, ignore_commands=ignore_commands)
                    for context in (batch, kept, Context(kernel.roots))
                ]
                assert made == remembered == expected


def test_a_batch_ends_with_a_refresh(kernel: FakeKernel, system: Context) -> None:
    system.begin_batch()
    assert system.plan_load("b_b", ignore_loaded=True).met
    kernel.path("a").unlink()
    assert system.plan_load("b_b", ignore_loaded=True).met  # each file is looked at once
    system.refresh()
    assert not system.plan_load("b_b", ignore_loaded=True).met


def test_a_plan_for_nothing(system: Context) -> None:
    for plan in (system.plan_load("nothing"), system.plan_unload("nothing")):
        assert (plan.steps, plan.targets, plan.met, plan.lines()) == ((), (), False, [])
        assert [(missing.module, missing.required) for missing in plan.missing] == [("nothing", True)]
    with pytest.raises(NotFoundError) as error:
        system.load(system.plan_load("nothing"))
    assert error.value.asked == "nothing"
    with pytest.raises(NotFoundError):
        system.unload(system.plan_unload("nothing"))


def test_what_is_not_found_may_be_there_without_an_index(kernel: FakeKernel, system: Context) -> None:
    for ask in (system.info, system.load, system.unload):
        with pytest.raises(NotFoundError) as error:
            ask("lonly")
        assert error.value.certain and error.value.reason == "module not found" and error.value.similar == ("lonely",)
    (kernel.modules / "modules.alias.bin").unlink()
    system.refresh()
    for ask in (system.info, system.load, system.unload):
        with pytest.raises(NotFoundError, match=r"no usable modules\.alias\.bin") as error:
            ask("two")
        assert not error.value.certain and error.value.path == str(kernel.modules)
        assert not pickle.loads(pickle.dumps(error.value)).certain


def test_a_plan_is_carried_out_in_the_kernel_as_it_is_by_then(kernel: FakeKernel, system: Context) -> None:
    plan = system.plan_load("c")
    system.load("b_b")  # meanwhile
    assert names(system.load(plan)) == ["c"]
    assert system.load(plan) == []
    kernel.calls.clear()
    plan = system.plan_unload("c")
    assert plan.lines() == ["rmmod c", "rmmod b_b"]  # `a` is still in use when it is looked at
    KernelModules(kernel.roots).remove("c")  # meanwhile
    assert names(system.unload(plan)) == ["b_b"]
    assert kernel.loaded == ["a"] and system.unload(plan) == []


def test_a_plan_does_not_load_what_was_there_when_it_was_made(kernel: FakeKernel, system: Context) -> None:
    system.load("a")
    plan = system.plan_load("b_b")
    system.unload("a")
    with pytest.raises(InsertError) as error:
        system.load(plan)
    assert (error.value.module, error.value.errno, kernel.loaded) == ("b_b", errno.ENOENT, [])


def test_a_plan_for_unloading_foresees_what_it_brings_about(kernel: FakeKernel, system: Context) -> None:
    system.load("c")
    system.load("other")
    plan = system.plan_unload("b-b", holders=True)
    assert [(step.module, step.why, step.action) for step in plan.steps] == [
        ("c", "holder", "remove"), ("b_b", "dependency", "remove-if-unused"), ("a", "dependency", "remove-if-unused"),
    ]  # fmt: skip
    assert names(system.unload(plan)) == ["c", "b_b", "a"]
    assert kernel.loaded == ["other"]


def test_a_plan_for_unloading_without_foresight(system: Context) -> None:
    system.load("c")
    assert system.plan_unload("c", follow=False).lines() == ["rmmod c"]


def test_foresight_and_deed_agree(kernel: FakeKernel, system: Context) -> None:
    """Whatever is loaded, and however it hangs together."""
    kernel.configure("softdep c pre: other post: lonely\n")
    for loaded in (["c"], ["c", "other"], ["c", "lonely", "other"], ["b_b"], ["c"]):
        for name in loaded:
            system.load(name)
        for what in ("c", "b-b", "a", "other"):
            for holders in (False, True):
                plan, done = system.plan_unload(what, holders=holders), []
                before = list(kernel.loaded)
                try:
                    done = system.unload(what, holders=holders)
                except RemoveError:
                    assert not plan.met
                else:
                    assert plan.met, (what, before)
                    assert [step.module for step in plan.steps if step.action != "skip"] == names(done)
                for name in before:
                    system.load(name)


@pytest.mark.parametrize(
    "misuse",
    [
        lambda system, load, unload: system.load(unload),
        lambda system, load, unload: system.unload(load),
        lambda system, load, unload: system.load(load, "x=1"),
        lambda system, load, unload: system.load(load, use_blacklist=True),
        lambda system, load, unload: system.load(load, ignore_commands=True),
        lambda system, load, unload: system.unload(unload, holders=True),
        lambda system, load, unload: system.unload(unload, ignore_commands=True),
    ],
)
def test_plans_are_not_mistaken(kernel: FakeKernel, system: Context, misuse: Callable[..., object]) -> None:
    system.load("other")
    kernel.calls.clear()
    with pytest.raises(ValueError, match=r"^(this plan is|parameters|holders)"):
        misuse(system, system.plan_load("a"), system.plan_unload("other"))
    assert kernel.calls == []


# --- loading and unloading


def test_loading_and_unloading(kernel: FakeKernel, system: Context) -> None:
    steps = system.load("pci:v1d2", {"debug": 1})
    assert [(step.module, step.action, step.arguments) for step in steps] == [
        ("a", "insert", ""), ("b_b", "insert", ""), ("c", "insert", "debug=1"),
    ]  # fmt: skip
    assert system.load("c") == []
    assert names(system.unload("c")) == ["c", "b_b"]
    assert kernel.loaded == ["a"]


def test_errors_are_those_of_python(kernel: FakeKernel, system: Context) -> None:
    for number, kind in ((errno.EPERM, PermissionError), (errno.ENOENT, FileNotFoundError), (errno.EINVAL, OSError)):
        kernel.script["other"] = [number]
        with pytest.raises(kind) as error:
            system.load("other")
        assert isinstance(error.value, InsertError)
        assert (error.value.module, error.value.path, error.value.errno) == (
            "other", str(kernel.path("other")), number
        )  # fmt: skip
    system.load("other")
    with pytest.raises(FileExistsError):
        system.load("other", first_time=True)
    kernel.hold("other")
    with pytest.raises(BlockingIOError) as busy:
        system.unload("other")
    assert isinstance(busy.value, RemoveError) and busy.value.errno == errno.EAGAIN
    with pytest.raises(RemoveError) as error:
        system.unload("the-core")
    assert error.value.errno == errno.EPERM
    assert system.unload("lonely") == []
    with pytest.raises(FileNotFoundError):
        system.unload("lonely", first_time=True)


def test_of_an_alias_every_module_is_tried(kernel: FakeKernel, system: Context) -> None:
    kernel.script["a"] = [errno.EIO]
    with pytest.raises(InsertError) as error:
        system.load("two")
    assert (error.value.module, kernel.loaded) == ("a", ["other"])


def test_waiting_for_users(kernel: FakeKernel, system: Context) -> None:
    system.load("other")
    kernel.script["other"] = [errno.EAGAIN, errno.EAGAIN]
    assert names(system.unload("other", wait=10)) == ["other"]


def test_an_observer_hears_of_each_step(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("softdep c pre: other nothing\ninstall lonely exit 3\n")
    kernel.script["other"] = [errno.EIO]
    recorder = Recorder()
    system.load("c", observer=recorder)
    assert recorder.heard == [
        ("started", "a", None), ("done", "a", None), ("started", "b_b", None), ("done", "b_b", None),
        ("started", "nothing", "not found"), ("done", "nothing", None), ("started", "other", None),
        ("done", "other", "InsertError"), ("started", "c", None), ("done", "c", None),
    ]  # fmt: skip
    recorder = Recorder()
    with pytest.raises(CommandError) as error:
        system.load("lonely", observer=recorder)
    assert (error.value.status, error.value.command, error.value.module) == (3, "exit 3", "lonely")
    assert recorder.heard[-1] == ("done", "lonely", "CommandError")
    recorder = Recorder()
    system.unload("c", observer=recorder)
    assert [name for what, name, _ in recorder.heard if what == "started"] == ["nothing", "c", "b_b", "other"]


def test_a_file_is_loaded_also_under_the_name_of_a_builtin_module(kernel: FakeKernel, system: Context) -> None:
    Ko(modinfo=["license=GPL", "name=the_core", "depends="]).write(kernel.path("the_core"))
    assert names(system.load(kernel.path("the_core"))) == ["the_core"]
    assert kernel.loaded == ["the_core"]


def test_loading_ahead_changes_nothing_but_the_time(kernel: FakeKernel, system: Context) -> None:
    plans = [system.plan_load(name) for name in ("c", "other", "lonely")]
    kernel.script["other"] = [errno.EIO]
    before = system.live
    with system.prefetch(plans, 2):
        assert names(system.load("c")) == ["a", "b_b", "c"]
        with pytest.raises(InsertError):
            system.load("other")
    assert kernel.loaded == ["a", "b_b", "c"]  # `lonely` was not come to
    assert type(system.live) is type(before)


# --- a good guest


def test_signals_and_threads_are_the_programs_own(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("install other exit 0\nremove other exit 0\n")
    numbers = [number for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
    before = [signal.getsignal(number) for number in numbers]
    folder, environment = os.getcwd(), dict(os.environ)
    during: list[list[object]] = []

    class Watch(Observer):
        def step_started(self, step: object) -> None:
            during.append([signal.getsignal(number) for number in numbers])

    failures: list[BaseException] = []

    def work() -> None:
        try:
            system.load("other", observer=Watch())
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    system.load("other", observer=Watch())
    assert not failures and during == [before, before]
    assert [signal.getsignal(number) for number in numbers] == before
    assert (os.getcwd(), dict(os.environ)) == (folder, environment)


def test_nothing_is_printed(kernel: FakeKernel, capfd: pytest.CaptureFixture[str]) -> None:
    kernel.configure("frobnicate\n")
    (kernel.modules / "modules.alias.bin").write_bytes(b"no index")
    system = Context(kernel.roots, on_problem=lambda problem: None)
    system.load("c")
    system.unload("c", first_time=True)
    system.statuses()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("what", [None, 5, b"a", [], {}], ids=repr)
@pytest.mark.parametrize(
    "ask",
    [
        *(Context.lookup, Context.find, Context.similar, Context.info, Context.open, Context.status, Context.plan_load),
        *(Context.plan_unload, Context.load, Context.unload, Context.builtin_fields),
    ],
    ids=lambda ask: ask.__name__,
)
def test_what_is_no_name_of_a_module(system: Context, ask: Callable[[Context, object], object], what: object) -> None:
    with pytest.raises(TypeError, match=f"a module is asked for by text, a path or a Match, not {type(what).__name__}"):
        ask(system, what)


def test_one_name_where_several_may_be_asked_for(system: Context) -> None:
    assert [info.name for info in system.infos("b-b")] == ["b_b"]
    assert [status.name for status in system.statuses("b-b")] == ["b_b"]
    assert [info.name for info in system.infos(system.lookup("c")[0])] == ["c"]


@pytest.mark.parametrize("parameters", [None, ["x=1"], b"x=1"], ids=repr)
def test_what_are_no_parameters(system: Context, parameters: Any) -> None:
    with pytest.raises(TypeError, match="parameters are text or a mapping of names to values, not "):
        system.plan_load("a", parameters)


@pytest.mark.parametrize("parameters", ["x=1\0y=2", {"x": "1\0"}, {"x\0": 1}], ids=repr)
def test_parameters_end_where_the_kernel_would_end_them(system: Context, parameters: Any) -> None:
    for ask in (system.plan_load, system.load):
        with pytest.raises(ValueError, match="NUL character"):
            ask("a", parameters)


@pytest.mark.parametrize("value", [b"1", [1, b"2"], bytearray(b"1")], ids=repr)
def test_bytes_are_no_value_of_a_parameter(system: Context, value: object) -> None:
    with pytest.raises(TypeError, match="not byte"):
        system.plan_load("a", {"x": value})


def test_a_directory_is_no_module(system: Context, tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        system.status(tmp_path)


@pytest.mark.parametrize("path", ["/", "//", "/etc/", "./"])
def test_every_question_says_the_same_of_a_path_without_a_name(system: Context, path: str) -> None:
    for ask in (system.lookup, system.info, system.status, system.open):
        with pytest.raises(FileError) as error:
            ask(path)
        assert (error.value.errno, error.value.reason) == (errno.EISDIR, "Is a directory")


def test_a_system_is_given_by_its_roots(kernel: FakeKernel, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a system is given by its Roots, not by str"):
        Context("/mnt")  # type: ignore[arg-type]
    assert Context(Roots.of_system(tmp_path, "6.1")).available()


@pytest.mark.parametrize("on_problem", [None, lambda problem: None], ids=["raises", "reports"])
def test_indexes_are_closed_with_the_last_reference(
    kernel: FakeKernel, on_problem: Callable[[Diagnostic], None] | None
) -> None:
    """A program may have put off the garbage collector, which alone finds objects that refer to each other."""
    gc.collect()
    gc.disable()
    try:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            assert Context(kernel.roots, on_problem=on_problem).lookup("two")
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        gc.enable()


def test_several_threads_may_ask(kernel: FakeKernel) -> None:
    """Each gets the answer that it would get alone, also while another one refreshes."""
    kernel.configure("alias mine-* other\noptions c x=1\n")
    kernel.path("lonely").write_bytes(zstandard.compress(kernel.path("lonely").read_bytes() + bytes(1 << 20)))
    heard: list[Diagnostic] = []
    system = Context(kernel.roots, on_problem=heard.append)
    ask: list[Callable[[], object]] = [
        lambda: system.lookup("pci:v1d2"),
        lambda: system.lookup("mine-1"),
        lambda: system.plan_load("c"),
        lambda: [module.name for module in system.available()],
        system.builtins,
        lambda: system.info("b-b"),
        lambda: system.info("lonely"),
        lambda: system.info("devname:net/tun"),
        lambda: system.status("the-core"),
    ]
    expected = [question() for question in ask]
    wrong: list[object] = []
    start = threading.Barrier(len(ask) + 1)

    def work(number: int) -> None:
        start.wait()
        for _ in range(100):
            try:
                answer = ask[number]()
            except BaseException as error:
                answer = error
            if answer != expected[number]:
                wrong.append((number, answer))

    threads = [threading.Thread(target=work, args=[number]) for number in range(len(ask))]
    for thread in threads:
        thread.start()
    start.wait()
    for _ in range(50):
        system.refresh()
        _ = system.stale
    for thread in threads:
        thread.join()
    assert wrong == [] and heard == []


FORBIDDEN: dict[str, Callable[[Context], object]] = {
    "devices": pymodutils.devices,
    "autoload": lambda system: pymodutils.autoload(system, dry_run=True),
    "closure": lambda system: pymodutils.closure(system, sources="devices"),
    "loaded": Context.loaded,
    "prune": pymodutils.prune,
    "graph": pymodutils.graph,
}


@pytest.mark.parametrize("verb", FORBIDDEN)
@pytest.mark.parametrize("duplicate", [lambda system: system, copy.copy], ids=["itself", "copy"])
def test_a_program_may_forbid_to_look_at_this_machine(
    kernel: FakeKernel, verb: str, duplicate: Callable[[Context], Context]
) -> None:
    with pytest.raises(LiveKernelNotAskedError):
        FORBIDDEN[verb](duplicate(Context(kernel.roots, live=False)))


def test_another_kernel_of_this_machine_is_not_forbidden() -> None:
    """Its devices are this machine's."""
    for live, expected in ((None, False), (False, True)):
        system = Context(Roots(release="0.0"), live=live)
        assert not system.live.is_asked
        assert (system.live.is_forbidden, copy.copy(system).live.is_forbidden) == (expected, expected)
    assert not Context(Roots()).live.is_forbidden
