# SPDX-License-Identifier: LGPL-2.1-or-later
"""What modprobe decides: look-up, insertion and removal on fake trees, each sentence as rows of a table.

Sentences in quotes are those of docs/behaviour/3-resolution.md; 5.7 is item 7 of docs/behaviour/5-details.md. A row is
configuration, state of the kernel and request, and the steps expected of them. Nothing is read but the configuration's
text; what steps do is tested elsewhere (unit/effects/test_executor.py), how they look next to kmod's too
(differential/test_modprobe_corpus.py).
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from pymodutils.errors import Error, FileError, MissingTreeError, NameSyntaxError
from pymodutils.formats.fnmatch import fnmatch
from pymodutils.formats.modprobeconf import parse_modprobe_conf
from pymodutils.names import normalize_alias
from pymodutils.planning.insertion import plan_insertion
from pymodutils.planning.lookup import Match, is_path, lookup, match_file
from pymodutils.planning.plan import Missing, PlanRequest, Step, TargetPlan
from pymodutils.planning.removal import MOST_VISITS, foresee_removal, plan_removal
from pymodutils.roots import Roots
from pymodutils.state.config import Config
from pymodutils.state.live import LiveKernel
from pymodutils.state.system import System
from pymodutils.state.tree import ModuleTree, TreeModule

# Modules and their hard dependencies, the last loads first. `lost` is listed, and its file is not there.
TREE = {
    "alone": "",
    "base": "",
    "mid": "base",
    "top": "mid base",
    "other": "base",
    "extra": "",
    "extra2": "",
    "lost": "",
    "needs_lost": "lost",
    "a_dash": "",
    "both": "",
}
ALIASES = [("al-top", "top"), ("pci:v*d1", "alone"), ("pci:v*", "extra"), ("two", "alone"), ("two", "extra"),
           ("mid", "alone"), ("cmd", "alone"), ("inside", "alone"), ("al-inside2", "alone")]  # fmt: skip
SYMBOLS = [("symbol:base_function", "base"), ("symbol:twice", "base"), ("symbol:twice", "mid")]
BUILTIN = {"inside", "both"}
BUILTIN_ALIASES = [("al-inside*", "inside"), ("al-missing", "nowhere")]


class FakeTree:
    """What ModuleTree answers, from tables."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.unusable_indexes: set[str] = set()

    def path(self, name: str) -> str:
        return f"{self.folder}/{name}.ko"

    def find(self, name: str) -> TreeModule | None:
        if name not in TREE:
            return None
        return TreeModule(name, self.path(name), tuple(self.path(other) for other in TREE[name].split()))

    def has_file(self, path: str) -> bool:
        return Path(path).exists()

    def modules_by_alias(self, text: str) -> list[str]:
        return [name for key, name in ALIASES if fnmatch(normalize_alias(key), text)]

    def modules_by_symbol(self, text: str) -> list[str]:
        return [name for key, name in SYMBOLS if key == text]

    def is_builtin(self, name: str) -> bool:
        return name in BUILTIN

    def builtins_by_alias(self, text: str) -> list[str]:
        return [name for key, name in BUILTIN_ALIASES if fnmatch(normalize_alias(key), text)]


class FakeLive:
    """What LiveKernel answers, from words like `base:2<top` (name, reference count, holders) or `base=coming`."""

    def __init__(self, words: str) -> None:
        self.states: dict[str, str] = {}
        self.counts: dict[str, int] = {}
        self.held: dict[str, list[str]] = {}
        for word in words.split():
            module, _, holders = word.partition("<")
            module, _, state = module.partition("=")
            name, _, count = module.partition(":")
            self.states[name] = state or "live"
            self.held[name] = holders.split(",") if holders else []
            self.counts[name] = int(count) if count else len(self.held[name])

    def state(self, name: str) -> str | None:
        return self.states.get(name)

    def refcount(self, name: str) -> int | None:
        return self.counts.get(name)

    def holders(self, name: str) -> list[str]:
        return self.held.get(name, [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    for name in TREE:
        if name != "lost":
            (folder / f"{name}.ko").touch()
    return folder


def world(folder: Path, conf: str = "", live: str = "") -> System:
    rules, problems = parse_modprobe_conf("\n".join(conf.split("; ")).encode(), "x.conf")
    assert not problems
    return System(FakeTree(folder), FakeLive(live), Config(rules))  # type: ignore[arg-type]


# --- finding modules for a string


FOUND = [
    # "Anything else is normalised"
    ("", "a-dash", ["a_dash - modules.dep"]),
    ("", "a_dash", ["a_dash - modules.dep"]),
    ("", "al-top", ["top al_top modules.alias"]),
    # 1 "every alias line whose pattern matches; several matches = several modules"
    ("alias x top; alias x? extra; alias xy base", "xy", ["extra x? x.conf:2", "base xy x.conf:3"]),
    ("alias x-[a-c] top", "x-b", ["top x_[a-c] x.conf:1"]),
    # ... and it hides everything behind it, a real module too
    ("alias top extra", "top", ["extra top x.conf:1"]),
    ("alias top top", "top", ["top top x.conf:1"]),
    ("alias symbol:base_function extra", "symbol:base_function", ["extra symbol:base_function x.conf:1"]),
    ("alias inside extra", "inside", ["extra inside x.conf:1"]),
    # ... is not followed further (5.10)
    ("alias a b; alias b top", "a", ["b a x.conf:1"]),
    ("alias a al-top", "a", ["al_top a x.conf:1"]),
    # 2 "modules.dep (exact name)", before an install line and modules.alias
    ("install mid true", "mid", ["mid - modules.dep"]),
    ("", "both", ["both - modules.dep"]),
    ("", "mi?", []),
    ("", "t*p", []),
    # 3 "modules.symbols (only symbol:...)"
    ("", "symbol:base_function", ["base symbol:base_function modules.symbols"]),
    ("", "symbol:twice", ["base symbol:twice modules.symbols", "mid symbol:twice modules.symbols"]),
    ("", "symbol:nothing", []),
    # 4 "exact name of an install, else remove line", before modules.alias and modules.builtin
    ("install cmd true", "cmd", ["cmd - x.conf:1 install"]),
    ("remove cmd true", "cmd", ["cmd - x.conf:1 remove"]),
    ("remove cmd true; install cmd true", "cmd", ["cmd - x.conf:2 install"]),
    ("install c?d true", "cmd", ["alone cmd modules.alias"]),  # 5.12: found by its literal name only
    ("install inside true", "inside", ["inside - x.conf:1 install"]),
    ("install x-[a-b] true", "x-[a-b]", ["x_[a_b] - x.conf:1 install"]),
    ("install x.y-z true", "x.y-z", ["x - x.conf:1 install"]),
    # 5 "modules.alias patterns", before modules.builtin
    ("", "pci:v8d1", ["alone pci:v8d1 modules.alias", "extra pci:v8d1 modules.alias"]),
    ("", "two", ["alone two modules.alias", "extra two modules.alias"]),
    ("", "inside", ["alone inside modules.alias"]),
    # 6 and 7
    ("", "al-inside2", ["alone al_inside2 modules.alias"]),
    ("", "al-inside3", ["inside al_inside3 modules.builtin.alias"]),
    ("", "al-missing", ["nowhere al_missing modules.builtin.alias"]),
    # "Nothing"
    ("", "no_such", []),
    ("blacklist no_such; options no_such a=1; softdep no_such pre: top", "no_such", []),
    ("", "", []),
    ("", "top.ko", []),  # 5.13: without a slash it is a name
]


@pytest.mark.parametrize(("conf", "text", "expected"), FOUND)
def test_what_a_string_stands_for(folder: Path, conf: str, text: str, expected: list[str]) -> None:
    def shown(found: Match) -> str:
        words = [found.name, found.alias or "-", found.origin, found.command.kind if found.command else ""]
        return " ".join(words).rstrip()

    assert [shown(found) for found in lookup(world(folder, conf), text)] == expected


def test_a_module_that_is_only_builtin_is_found_by_its_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "ALIASES", [])
    assert [found.origin for found in lookup(world(folder), "inside")] == ["modules.builtin"]


def test_a_name_with_a_colon_is_not_looked_for_in_modules_dep(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TREE, "a:b", "")
    assert lookup(world(folder), "a:b") == []


@pytest.mark.parametrize("text", ["bad[", "bad]", "]["])
def test_unmatched_brackets_are_an_error(folder: Path, text: str) -> None:
    with pytest.raises(NameSyntaxError):
        lookup(world(folder), text)


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("/x.ko", True),
        ("./x.ko", True),
        ("./", True),
        ("x.ko", False),
        ("../x.ko", False),
        (".", False),
        ("a/b", False),
    ],
)
def test_what_is_a_path(text: str, yes: bool) -> None:
    assert is_path(text) is yes


def test_a_file_takes_its_dependencies_from_the_index(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "mid.ko.xz"
    path.touch()
    found = match_file(world(folder), str(path))
    assert (found.name, found.alias, found.path, found.origin) == ("mid", None, str(path), "file")
    assert found.dependencies == (f"{folder}/base.ko",)
    for wrong, number in (tmp_path / "none.ko", errno.ENOENT), (Path("/"), errno.EISDIR):
        with pytest.raises(FileError) as raised:
            match_file(world(folder), str(wrong))
        assert raised.value.errno == number


def test_a_missing_index_is_no_error(tmp_path: Path) -> None:
    roots = Roots(base=str(tmp_path), release="6.1")
    Path(roots.modules).mkdir(parents=True)
    empty = System(ModuleTree(roots), LiveKernel(roots), Config())
    assert [lookup(empty, text) for text in ("top", "pci:v1", "symbol:x")] == [[], [], []]


def test_a_missing_tree_is_an_error_that_can_be_got_over(tmp_path: Path) -> None:
    roots = Roots(base=str(tmp_path), release="6.1")
    with pytest.raises(MissingTreeError) as raised:
        lookup(System(ModuleTree(roots), LiveKernel(roots), Config()), "top")
    assert (raised.value.path, raised.value.errno) == (roots.modules, 2)
    errors: list[Error] = []
    tolerant = ModuleTree(roots, errors.append)
    assert lookup(System(tolerant, LiveKernel(roots), Config()), "top") == []
    assert {type(error).__name__ for error in errors} == {"MissingTreeError"}  # also a FileNotFoundError


# --- loading


def request_of(words: list[str]) -> tuple[PlanRequest, list[str]]:
    """The request that options stand for, and the operands."""
    flags = {"-D": "ignore_loaded", "-i": "ignore_commands", "-b": "use_blacklist", "-H": "holders",
             "-w": "waits", "-1": "first_time"}  # fmt: skip
    chosen = {flags[word]: True for word in words if word in flags}
    operands = [word for word in words if word not in flags]
    return PlanRequest(operands[0], parameters=" ".join(operands[1:]), **chosen), operands


def short(step: Step) -> str:
    """A step in a few words: action, module, reason, command, arguments, and why unless it was asked for."""
    words = [step.action, step.module]
    if step.action == "skip":
        words.append(f"({step.reason})")
    if step.command is not None:
        words.append(f"`{step.command}`")
    if step.arguments and step.action in ("insert", "command"):
        words.append(step.arguments)
    if not step.asked_for:
        words.append(f"<{step.why}>")
    return " ".join(words)


def insertion(folder: Path, conf: str, live: str, words: str) -> list[Step]:
    request, _ = request_of(words.split())
    here = world(folder, conf, live)
    return [step for plan in insertions(here, request) for step in plan.steps]


def insertions(here: System, request: PlanRequest) -> list[TargetPlan]:
    return [plan_insertion(here, target, request) for target in lookup(here, request.asked)]


CHAIN = ["insert base <dependency>", "insert mid <dependency>", "insert top"]
BASE = "insert base <dependency>"
LOADS = [
    # "Depth-first: for every hard dependency (from modules.dep, last one first) ... then the same for the module"
    ("", "", "alone", ["insert alone"]),
    ("", "", "top", CHAIN),
    # "its soft pre modules' plans, itself, its soft post modules' plans"
    ("softdep alone pre: extra post: extra2", "", "alone",
     ["insert extra <softdep pre>", "insert alone", "insert extra2 <softdep post>"]),
    ("softdep alone pre: extra extra2", "", "alone",
     ["insert extra <softdep pre>", "insert extra2 <softdep pre>", "insert alone"]),
    ("softdep base pre: extra post: extra2", "", "mid",
     ["insert extra <softdep pre>", BASE, "insert extra2 <softdep post>", "insert mid"]),
    ("softdep mid pre: extra", "", "top",
     [BASE, "insert extra <softdep pre>", "insert mid <dependency>", "insert top"]),
    ("softdep alone pre: other", "", "alone", [BASE, "insert other <softdep pre>", "insert alone"]),
    # "With -i the module itself is added without its softdeps and its install command is ignored; dependencies keep
    # theirs"
    ("softdep mid pre: extra; install mid run", "", "-i mid", [BASE, "insert mid"]),
    ("softdep base pre: extra; install extra run", "", "-i mid",
     ["command extra `run` <softdep pre>", BASE, "insert mid"]),
    ("install base run", "", "-i mid", ["command base `run` <dependency>", "insert mid"]),
    # "A module that has softdeps in effect is loaded directly even if an install command exists"
    ("softdep alone pre: extra; install alone run", "", "alone", ["insert extra <softdep pre>", "insert alone"]),
    ("softdep alone post: extra; install alone run", "", "alone", ["insert alone", "insert extra <softdep post>"]),
    ("softdep alone pre: no_such; install alone run", "", "alone",
     ["skip no_such (not found) <softdep pre>", "command alone `run`"]),
    ("softdep alone pre:; install alone run", "", "alone", ["command alone `run`"]),
    # "Softdeps of a softdep module are followed; cycles are cut because each module is visited once"
    ("softdep alone pre: extra; softdep extra pre: extra2", "", "alone",
     ["insert extra2 <softdep pre>", "insert extra <softdep pre>", "insert alone"]),
    ("softdep alone pre: extra; softdep extra pre: alone", "", "alone", ["insert extra <softdep pre>", "insert alone"]),
    ("softdep alone pre: alone", "", "alone", ["insert alone"]),
    ("softdep alone pre: extra post: extra", "", "alone", ["insert extra <softdep pre>", "insert alone"]),
    ("softdep base pre: top", "", "top", CHAIN),
    # ... and it has its parameters wherever it stands
    ("softdep base post: top", "", "mid z=9",
     [BASE, BASE, "insert mid z=9", "insert top <softdep post>", "insert mid z=9"]),
    # 5.7 "'visited' is per (name, alias)"
    ("softdep alone pre: extra two", "", "alone",
     ["insert extra <softdep pre>", "insert extra <softdep pre>", "insert alone <softdep pre>", "insert alone"]),
    # 5.5 "First softdep line for a name wins"; 5.12 the key is an fnmatch pattern against the module's name
    ("softdep alone pre: extra; softdep alone pre: extra2", "", "alone",
     ["insert extra <softdep pre>", "insert alone"]),
    ("softdep al* pre: extra; softdep alone pre: extra2", "", "alone", ["insert extra <softdep pre>", "insert alone"]),
    ("softdep [ab]lone pre: extra", "", "alone", ["insert extra <softdep pre>", "insert alone"]),
    ("softdep al-top pre: extra", "", "al-top", CHAIN),
    ("install al* run; install alone never", "", "alone", ["command alone `run`"]),
    ("softdep alone pre: al-top", "", "alone", [*CHAIN[:2], "insert top <softdep pre>", "insert alone"]),
    # 5.6 a line without pre: or post: is kept as an empty one
    ("softdep alone extra; softdep alone pre: extra2", "", "alone", ["insert alone"]),
    # 5.21 a name with an unmatched bracket in a softdep line
    ("softdep alone pre: bad[ extra", "", "alone",
     ["skip bad[ (unmatched bracket) <softdep pre>", "insert extra <softdep pre>", "insert alone"]),
    # "Weak dependencies are information only: they are never loaded"
    ("weakdep alone extra", "", "alone", ["insert alone"]),
    # "already in the kernel (live or builtin): skipped"
    ("", "base", "mid", ["skip base (already in the kernel) <dependency>", "insert mid"]),
    ("", "base=coming", "mid", [BASE, "insert mid"]),
    ("softdep alone pre: inside", "", "alone", ["insert alone <softdep pre>", "insert alone"]),
    ("softdep alone pre: both", "", "alone", ["skip both (already in the kernel) <softdep pre>", "insert alone"]),
    ("softdep alone pre: extra; install alone run", "extra", "alone",
     ["skip extra (already in the kernel) <softdep pre>", "insert alone"]),
    # "install command and not ignored: run it; else insert"
    ("install alone run", "", "alone", ["command alone `run`"]),
    ("install alone run", "", "-i alone", ["insert alone"]),
    ("install base run", "", "mid", ["command base `run` <dependency>", "insert mid"]),
    ("install base run", "base", "mid", ["skip base (already in the kernel) <dependency>", "insert mid"]),
    ("install ghost run", "", "ghost", ["command ghost `run`"]),
    ("install ghost run", "", "-i ghost", ["insert ghost"]),
    ("install alone run $CMDLINE_OPTS now; options alone a=1", "", "alone b=2",
     ["command alone `run $CMDLINE_OPTS now` a=1 b=2"]),
    ("remove alone run", "", "alone", ["insert alone"]),
    ("remove ghost run", "", "ghost", ["insert ghost"]),
    # "every options line whose name equals the module's name or the alias it was found by, in config order, joined by
    # spaces, then (for the module itself only) the parameters from the command line"
    ("options alone a=1; options alone b=2 c=3", "", "alone", ["insert alone a=1 b=2 c=3 "]),
    ("options alone a=1", "", "alone z=9", ["insert alone a=1 z=9"]),
    ("", "", "alone z=9 y", ["insert alone z=9 y"]),
    ("options base a=1; options mid b=1", "", "mid z=9", ["insert base a=1  <dependency>", "insert mid b=1 z=9"]),
    ("options al_top a=1; options top b=1; options al-top c=1", "", "al-top",
     [*CHAIN[:2], "insert top a=1 b=1 c=1 "]),
    ("options al_top a=1", "", "top", CHAIN),
    ("options al* a=1", "", "alone", ["insert alone"]),
    ("alias x* alone; options x* a=1; options xy b=1", "", "xy", ["insert alone a=1 "]),
    ("softdep alone pre: two; options two a=1", "", "alone",
     ["insert extra a=1  <softdep pre>", "insert alone a=1  <softdep pre>", "insert alone"]),
    # "Before planning: module already live or builtin -> done"
    ("softdep alone pre: extra", "alone", "alone", ["skip alone (already in the kernel)"]),
    ("", "top", "top", ["skip top (already in the kernel)"]),
    ("", "", "both", ["skip both (already in the kernel)"]),
    ("", "", "al-inside3", ["skip inside (already in the kernel)"]),
    ("", "alone=going", "alone", ["insert alone"]),
    # "Blacklisted: if it was found through an alias (5 or 7, or a config alias), silently nothing"
    ("blacklist top", "", "al-top", ["skip top (blacklisted)"]),
    ("blacklist alone", "", "two", ["skip alone (blacklisted)", "insert extra"]),
    ("blacklist alone; alias x alone", "", "x", ["skip alone (blacklisted)"]),
    ("blacklist base", "", "symbol:base_function", ["skip base (blacklisted)"]),
    # "by its own name, only with -b"; 5.11 "-b tests the named module only: softdeps and dependencies load anyway"
    ("blacklist top", "", "top", CHAIN),
    ("blacklist top", "", "-b top", ["skip top (blacklisted)"]),
    ("blacklist base", "", "-b top", CHAIN),
    ("blacklist extra; softdep alone pre: extra", "", "-b alone", ["insert extra <softdep pre>", "insert alone"]),
    ("blacklist t*; blacklist al_top", "", "-b top", CHAIN),  # 5.12: never a pattern
    ("blacklist alone; install alone run", "", "-b alone", ["skip alone (blacklisted)"]),
    # 5.10: an alias to a module that does not exist gives a step that fails
    ("alias x nowhere", "", "x", ["insert nowhere"]),
    ("alias x nowhere", "", "-D x", ["insert nowhere"]),
    ("alias x y; alias y top", "", "x", ["insert y"]),
    ("alias x ghost; install ghost run", "", "x", ["command ghost `run`"]),
    # "-D ignores what is loaded and shows the whole plan; -n leaves out what is loaded"
    ("", "top mid base", "-D top", CHAIN),
    ("", "", "-D both", ["insert both"]),
    ("", "", "-D al-inside3", ["builtin inside"]),
    ("softdep alone pre: al-inside3", "alone", "-D alone", ["builtin inside <softdep pre>", "insert alone"]),
    ("blacklist top", "top", "-D al-top", ["skip top (blacklisted)"]),
    # 5.22 stale indexes: the module's own file, that of a soft dependency's dependency, that of a loaded dependency
    ("", "", "lost", ["insert lost"]),
    ("softdep alone pre: needs_lost extra", "", "alone",
     ["skip needs_lost (file of a dependency is missing) <softdep pre>", "insert extra <softdep pre>", "insert alone"]),
    ("", "lost", "needs_lost", ["skip lost (already in the kernel) <dependency>", "insert needs_lost"]),
]  # fmt: skip


@pytest.mark.parametrize(("conf", "live", "words", "expected"), LOADS)
def test_loading(folder: Path, conf: str, live: str, words: str, expected: list[str]) -> None:
    assert [short(step) for step in insertion(folder, conf, live, words)] == expected


@pytest.mark.parametrize(
    ("live", "words"), [("", "needs_lost"), ("", "-D needs_lost"), ("", "-i needs_lost"), ("lost", "-D needs_lost")]
)
def test_a_dependency_without_its_file_ends_it(folder: Path, live: str, words: str) -> None:
    (plan,) = insertions(world(folder, live=live), request_of(words.split())[0])
    lost = Missing("lost", f"{folder}/lost.ko", "dependency", "modules.dep", True, "file of a dependency is missing")
    assert (plan.steps, plan.met, plan.impossible, plan.missing) == ((), False, lost, (lost,))


def test_required_are_the_module_and_its_hard_dependencies(folder: Path) -> None:
    steps = insertion(folder, "softdep top pre: extra; softdep base pre: other post: no_such", "", "top")
    assert {step.module: step.required for step in steps} == {
        "base": True, "mid": True, "top": True, "extra": False, "other": False, "no_such": False,
    }  # fmt: skip


def test_every_step_tells_where_it_is_from(folder: Path) -> None:
    steps = insertion(folder, "softdep top pre: extra al-inside3; install extra run; blacklist y", "", "-D al-top")
    assert [(step.module, step.why, step.origin, step.reason) for step in steps] == [
        ("base", "dependency", "modules.dep", None),
        ("mid", "dependency", "modules.dep", None),
        ("extra", "softdep pre", "x.conf:1", "install line at x.conf:2"),
        ("inside", "softdep pre", "x.conf:1", "part of the kernel"),
        ("top", "request", "modules.alias", None),
    ]
    (blacklisted,) = insertion(folder, "options y z; blacklist top", "", "al-top")
    assert blacklisted.origin == "x.conf:2"


def test_a_step_names_what_must_be_done_with_before(folder: Path) -> None:
    steps = insertion(folder, "softdep top pre: extra post: extra2", "", "top")
    assert {step.module: set(step.after) for step in steps} == {
        "base": set(), "mid": set(), "extra": {"mid", "base"}, "top": {"mid", "base", "extra"}, "extra2": {"top"},
    }  # fmt: skip


def test_a_file_is_planned_as_its_module_and_never_taken_for_a_builtin(folder: Path, tmp_path: Path) -> None:
    here = world(folder, "options mid a=1; softdep mid pre: extra; blacklist mid", "")
    for name in ("mid", "both"):
        (tmp_path / f"{name}.ko").touch()
    steps = plan_insertion(here, match_file(here, str(tmp_path / "mid.ko")), PlanRequest("mid", parameters="b=2")).steps
    assert [step.line() for step in steps] == [
        f"insmod {folder}/base.ko ", f"insmod {folder}/extra.ko ", f"insmod {tmp_path}/mid.ko a=1 b=2",
    ]  # fmt: skip
    assert [
        short(step)
        for step in plan_insertion(here, match_file(here, str(tmp_path / "both.ko")), PlanRequest("x")).steps
    ] == ["insert both"]
    (skipped,) = plan_insertion(
        here, match_file(here, str(tmp_path / "mid.ko")), PlanRequest("mid", use_blacklist=True)
    ).steps
    assert skipped.reason == "blacklisted"
    there = world(folder, "", "mid")
    (skipped,) = plan_insertion(there, match_file(there, str(tmp_path / "mid.ko")), PlanRequest("mid")).steps
    assert skipped.reason == "already in the kernel"


# --- removing


def removal(folder: Path, conf: str, live: str, words: str) -> tuple[list[str], bool]:
    request, operands = request_of(words.split())
    here = world(folder, conf, live)
    (target,) = lookup(here, operands[0])
    plan = foresee_removal(here, target, request, follow=False)
    return [short(step) for step in plan.steps], plan.met


LOADED = "base:2<mid,top mid<top top extra extra2 alone"
REMOVES = [
    # "delete_module", "hard dependencies whose count is now 0 are removed too" (the last of the list first)
    ("", LOADED, "alone", ["remove alone"], True),
    ("", "top mid base", "top",
     ["remove top", "remove-if-unused base <dependency>", "remove-if-unused mid <dependency>"], True),
    ("", "top mid base:1", "top", ["remove top", "remove-if-unused mid <dependency>"], True),
    ("", "top base", "top", ["remove top", "remove-if-unused base <dependency>"], True),
    ("", "top mid base", "al-top",
     ["remove top", "remove-if-unused base <dependency>", "remove-if-unused mid <dependency>"], True),
    # "remove command (if any and not -i) replaces 3 and 4"
    ("remove top run", "top:3 mid base", "top", ["remove top `run`"], True),
    ("remove top run", "", "top", ["remove top `run`"], True),
    ("remove t?p run", "top", "top", ["remove top `run`"], True),
    ("remove ghost run", "", "ghost", ["remove ghost `run`"], True),
    ("remove top run", "top", "-i top", ["remove top"], True),
    ("remove top run", "", "-i top", ["skip top (not in the kernel)"], True),
    ("remove top a $CMDLINE_OPTS b; options top x=1", "top", "top", ["remove top `a  b`"], True),
    ("install top run", "top", "top", ["remove top"], True),
    ("install ghost run", "", "ghost", ["skip ghost (not in the kernel)"], True),
    ("remove both run", "", "both", ["remove both `run`"], True),
    # "not loaded -> status 0 (with --first-time: 1)"
    ("", "", "top", ["skip top (not in the kernel)"], True),
    ("", "", "-1 top", ["skip top (not in the kernel)"], False),
    ("", "alone", "-1 alone", ["remove alone"], True),
    ("", "top=going", "top", ["remove top"], True),
    # "builtin -> Module X is builtin. 1"
    ("", "", "both", ["skip both (part of the kernel)"], False),
    ("", "both", "both", ["skip both (part of the kernel)"], False),
    # 1 "post-softdeps in reverse order (errors ignored)" ... 5 "pre-softdeps in reverse order (ignored)"
    ("softdep alone pre: base mid post: extra extra2", "alone base mid extra extra2", "alone",
     ["remove extra2 <softdep post>", "remove extra <softdep post>", "remove alone",
      "remove mid <softdep pre>", "remove-if-unused base <dependency>", "remove base <softdep pre>"], True),
    ("softdep alone pre: extra post: extra2", "alone extra:1 extra2:1", "alone",
     ["skip extra2 (in use) <softdep post>", "remove alone", "skip extra (in use) <softdep pre>"], True),
    ("softdep alone pre: both post: extra", "alone", "alone",
     ["skip extra (not in the kernel) <softdep post>", "remove alone",
      "skip both (part of the kernel) <softdep pre>"], True),
    ("softdep alone pre: extra; softdep extra pre: extra2", "alone extra extra2", "alone",
     ["remove alone", "remove extra <softdep pre>", "remove extra2 <softdep pre>"], True),
    ("softdep alone pre: extra; softdep extra pre: alone", "alone extra", "alone",
     ["remove alone", "remove extra <softdep pre>"], True),
    ("softdep alone pre: alone post: alone", "alone", "alone", ["remove alone"], True),
    ("softdep alone pre: no_such bad[ post: bad]", "alone", "alone",
     ["skip no_such (not found) <softdep pre>", "skip bad[ (unmatched bracket) <softdep pre>",
      "skip bad] (unmatched bracket) <softdep post>", "remove alone"], True),
    ("softdep alone pre: extra; remove alone run", "alone extra", "alone",
     ["remove alone `run`", "remove extra <softdep pre>"], True),
    ("softdep alone pre: extra post: extra2", "alone extra extra2", "-i alone", ["remove alone"], True),
    ("softdep alone pre: extra post: extra2", "extra extra2", "alone", ["skip alone (not in the kernel)"], True),
    ("weakdep alone extra", "alone extra", "alone", ["remove alone"], True),
    # 2 "with --remove-holders the holders, recursively (error stops)"
    ("", "base:1<mid mid:1<top top", "-H base",
     ["remove top <holder>", "skip mid (in use) <holder>"], False),
    ("", "base:0<mid mid:0<top top", "-H base",
     ["remove top <holder>", "remove-if-unused base <dependency>", "remove-if-unused mid <dependency>",
      "remove mid <holder>", "remove-if-unused base <dependency>", "remove base"], True),
    ("", "base:1<mid mid:5", "-H base", ["skip mid (in use) <holder>"], False),
    ("remove mid run", "base:0<mid mid:5", "-H base", ["remove mid `run` <holder>", "remove base"], True),
    # 3 "count > 0 and no -w: in use"; 5.24 "-n -r -w N skips the in-use check"
    ("", LOADED, "base", ["skip base (in use)"], False),
    ("", "alone:1", "alone", ["skip alone (in use)"], False),
    ("", "alone:1", "-w alone", ["remove alone"], True),
    # -D as for loading: as if everything were there
    ("", "", "-D mid", ["remove mid"], True),
    ("softdep alone pre: extra post: both", "", "-D alone",
     ["remove both <softdep post>", "remove alone", "remove extra <softdep pre>"], True),
    ("", "alone:4", "-D alone", ["remove alone"], True),
    # blacklists and options say nothing about removal
    ("blacklist top; options top a=1", "top", "-b al-top", ["remove top"], True),
    ("alias x nowhere", "", "x", ["skip nowhere (not in the kernel)"], True),
]  # fmt: skip


@pytest.mark.parametrize(("conf", "live", "words", "expected", "gone"), REMOVES)
def test_removing(folder: Path, conf: str, live: str, words: str, expected: list[str], gone: bool) -> None:
    assert removal(folder, conf, live, words) == (expected, gone)


def test_holders_go_first_and_what_only_they_needed_with_them(folder: Path) -> None:
    here = world(folder, live="base:2<mid,top mid:1<top top")
    (target,) = lookup(here, "base")
    plan = foresee_removal(here, target, PlanRequest("base", holders=True))
    assert ([step.module for step in plan.steps if step.action == "remove"], plan.met) == (["top", "base"], True)
    assert [step.action for step in plan.steps if step.module == "mid"][:1] == ["remove-if-unused"]


def test_a_ring_of_many_is_not_gone_through_in_every_order(folder: Path) -> None:
    ring = ["base", "mid", "top", "other", "extra", "extra2", "needs_lost"]  # 7 modules have 5040 orders
    rules = [f"softdep {name} post: {' '.join(other for other in ring if other != name)}" for name in ring]
    conf = "; ".join(["softdep alone pre: a_dash post: base", *rules])
    steps, gone = removal(folder, conf, " ".join([*ring, "alone", "a_dash"]), "alone")
    assert MOST_VISITS < len([step for step in steps if step.startswith("remove ")]) < MOST_VISITS + 20
    assert gone and steps[-1].startswith("remove a_dash")  # to which it comes when the limit is reached
    assert {step.split()[1] for step in steps} == {*ring, "alone", "a_dash"}


def test_only_the_module_itself_must_go(folder: Path) -> None:
    here = world(folder, "softdep mid pre: no_such", "mid base")
    (target,) = lookup(here, "mid")
    steps = foresee_removal(here, target, PlanRequest("mid")).steps
    assert {step.module: step.required for step in steps} == {"no_such": False, "mid": True, "base": False}


@pytest.mark.parametrize(
    ("step", "line"),
    [
        (Step("insert", "m", path="/m.ko"), "insmod /m.ko "),
        (Step("insert", "m", path="/m.ko", options="a=1"), "insmod /m.ko a=1 "),
        (Step("insert", "m", path="/m.ko", options="a=1", parameters="b=2"), "insmod /m.ko a=1 b=2"),
        (Step("insert", "m", path="/m.ko", parameters="b=2"), "insmod /m.ko b=2"),
        (Step("insert", "m"), None),
        (Step("builtin", "m"), "builtin m"),
        (Step("command", "m", command="run $CMDLINE_OPTS", options="a=1"), "install run $CMDLINE_OPTS a=1 "),
        (Step("command", "m", path="/m.ko", command="run"), "install run "),
        (Step("remove", "m", path="/m.ko", options="a=1"), "rmmod m"),
        (Step("remove", "m", command="run"), "remove run"),
        (Step("remove-if-unused", "m"), "rmmod m"),
        (Step("skip", "m", path="/m.ko", reason="blacklisted"), None),
    ],
)
def test_how_a_step_is_shown(step: Step, line: str | None) -> None:
    """5.8: lines end in a space when there are no options, `$CMDLINE_OPTS` is shown as it is."""
    assert step.line() == line


def test_each_removal_is_decided_by_the_state_before_it(folder: Path) -> None:
    """5.24: removing one changes the next."""
    here = world(folder, "", "top mid:1<top base:2<mid,top")
    (target,) = lookup(here, "top")
    kernel: FakeLive = here.live  # type: ignore[assignment]
    done: list[str] = []

    def carry_out() -> Iterator[str]:
        steps = plan_removal(here, target, PlanRequest("top"))
        step = next(steps)
        while True:
            yield step.module
            del kernel.states[step.module]
            for other in TREE[step.module].split():
                kernel.counts[other] -= 1
            try:
                step = steps.send(True)
            except StopIteration:
                return

    done += carry_out()
    assert done == ["top", "mid"]  # base was asked about while mid still held it


@pytest.mark.parametrize(
    ("conf", "words", "failing", "expected"),
    [
        ("softdep alone pre: extra post: extra2", "alone", "extra2", (["extra2", "alone", "extra"], True)),
        ("softdep alone pre: extra post: extra2", "alone", "alone", (["extra2", "alone"], False)),
        ("softdep alone pre: extra post: extra2", "alone", "extra", (["extra2", "alone", "extra"], True)),
        ("remove alone run; softdep alone pre: extra", "alone", "alone", (["alone"], False)),
        ("", "-H base", "mid", (["mid"], False)),
        ("", "top", "base", (["top", "base", "mid"], True)),
    ],
)
def test_which_failures_end_a_removal(
    folder: Path, conf: str, words: str, failing: str, expected: tuple[list[str], bool]
) -> None:
    request, operands = request_of(words.split())
    here = world(folder, conf, "alone extra extra2 base:0<mid mid top")
    (target,) = lookup(here, operands[0])
    steps = plan_removal(here, target, request)
    tried = []
    try:
        step = next(steps)
        while True:
            tried.append(step.module)
            step = steps.send(step.module != failing)
    except StopIteration as end:
        assert (tried, end.value) == expected
