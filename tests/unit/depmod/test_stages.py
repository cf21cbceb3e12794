# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each stage of depmod alone: settings, scan, resolve, order, render."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from types import TracebackType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.depmod import render
from pymodutils.depmod.errors import CycleError
from pymodutils.depmod.factcodec import (
    decode_fields,
    decode_names,
    encode_fields,
    encode_names,
    facts_from_fields,
    facts_to_fields,
)
from pymodutils.depmod.facts import ModuleFacts
from pymodutils.depmod.findings import Findings
from pymodutils.depmod.inputs import gather_inputs
from pymodutils.depmod.kernel_symbols import parse_symvers, parse_system_map
from pymodutils.depmod.messages import decode_extracts, encode_extracts
from pymodutils.depmod.observer import RunObserver
from pymodutils.depmod.order import full_dependencies, topological_order
from pymodutils.depmod.pipeline import BuildRequest, build_files
from pymodutils.depmod.resolve import (
    direct_dependencies,
    find_owners,
    look_up_names,
    resolve_symbols,
)
from pymodutils.depmod.scan import scan, scan_files, sort_modules
from pymodutils.depmod.settings import DEFAULT, DepmodSettings, apply_rules, python_regex
from pymodutils.depmod.stamps import Stamp
from pymodutils.depmod.symbol_ids import SymbolIds, padded, unpack_ids
from pymodutils.depmod.versions import Versions
from pymodutils.diagnostics import Diagnostic
from pymodutils.errors import FileError, FormatError
from pymodutils.formats.depmodconf import parse_depmod_conf
from pymodutils.observer import Observer
from tests.support.common import replace_call
from tests.support.koforge import Ko

# --- settings


def settings(text: str, release: str = "6.1.0-56-amd64") -> tuple[DepmodSettings, list[Diagnostic]]:
    problems: list[Diagnostic] = []
    rules, _ = parse_depmod_conf(text.encode(), "x.conf")
    return apply_rules(rules, release, problems), problems


def test_no_search_line_means_updates() -> None:
    assert settings("")[0] == DEFAULT
    assert settings("search a b\nsearch built-in\n")[0].search == [b"a", b"b", b"built-in"]


@pytest.mark.parametrize(
    ("pattern", "matches"),
    [
        ("*", True),
        ("6.1", True),
        ("^6\\.1\\.", True),
        ("^5", False),
        ("amd64$", True),
        ("amd$", False),
        ("[[:digit:]]+\\.1", True),
        ("(5|6)\\.1", True),
        ("6.{3}0-5", True),
        ("[^0-9]md", True),
        ("[^a-z]md", False),
        ("a[m]d", True),
        ("[]a]md", True),
    ],
)
def test_kernel_patterns(pattern: str, matches: bool) -> None:
    found, problems = settings(f"override a {pattern} extra\n")
    assert bool(found.overrides) is matches
    assert not problems


@pytest.mark.parametrize("pattern", ["(", "[a", "a{2,1}", "*a"])
def test_a_bad_kernel_pattern_is_a_problem(pattern: str) -> None:
    found, problems = settings(f"external {pattern} /x\n")
    assert found.external == []
    assert [problem.line for problem in problems] == [1]


@given(st.text("ab.*+?^$()[]{}|\\01,:-", max_size=12))
def test_any_pattern_gives_a_regex_or_a_problem(pattern: str) -> None:
    python_regex(pattern)
    if pattern and " " not in pattern:
        settings(f"override a {pattern} extra\n")


# --- scan


def test_scan_in_byte_order_whatever_the_directory_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ["kernel/b.ko", "kernel/a/z.ko.xz", "updates/b.ko", "a.ko.gz", "B.ko.zst"]
    for path in paths:
        Ko().write(tmp_path / path)
    expected = [b"B.ko.zst", b"a.ko.gz", b"kernel/a/z.ko.xz", b"updates/b.ko"]
    real = os.scandir
    dice = random.Random(1)

    class Shuffled:
        def __init__(self, path: bytes) -> None:
            with real(path) as entries:
                self.entries = dice.sample(found := list(entries), len(found))

        def __enter__(self) -> Iterator[os.DirEntry[bytes]]:
            return iter(self)

        def __iter__(self) -> Iterator[os.DirEntry[bytes]]:
            return iter(self.entries)

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None: ...

    replace_call(monkeypatch, "scandir", Shuffled)
    for _ in range(20):
        found = scan(os.fsencode(tmp_path), DEFAULT)
        assert [path for _, path in found.modules] == expected
        assert found.duplicates == [(b"b", b"updates/b.ko", b"kernel/b.ko")]


def test_of_equal_rank_the_first_in_byte_order_wins(tmp_path: Path) -> None:
    for place in ("zebra", "extra", "Extra", "extra/deep"):
        Ko().write(tmp_path / place / "a.ko")
    assert scan(os.fsencode(tmp_path), DEFAULT).modules == [(b"a", b"Extra/a.ko")]
    listed = DEFAULT.replace(search=[b"zebra", b"built-in"])
    assert scan(os.fsencode(tmp_path), listed).modules == [(b"a", b"zebra/a.ko")]


def test_links_in_a_circle_come_to_an_end(tmp_path: Path) -> None:
    Ko().write(tmp_path / "kernel/a.ko")
    (tmp_path / "kernel/up").symlink_to(tmp_path)
    (tmp_path / "kernel/self").symlink_to(tmp_path / "kernel")
    names = [name for name, _ in scan(os.fsencode(tmp_path), DEFAULT).modules]
    assert names == [b"a"]


def test_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileError) as error:
        scan(os.fsencode(tmp_path / "none"), DEFAULT)
    assert error.value.errno == 2


def test_files_outside_keep_their_whole_path(tmp_path: Path) -> None:
    inside = Ko().write(tmp_path / "in/kernel/a.ko")
    outside = Ko().write(tmp_path / "out/b.ko")
    found = scan_files(os.fsencode(tmp_path / "in"), [os.fsencode(outside), os.fsencode(inside)])
    assert found.modules == [(b"b", os.fsencode(outside)), (b"a", b"kernel/a.ko")]


def test_modules_order_comes_first() -> None:
    modules = [(b"a", b"kernel/a.ko.xz"), (b"b", b"kernel/b.ko"), (b"c", b"kernel/c.ko.zst")]
    problems: list[Diagnostic] = []
    lines = b"kernel/c.ko\nkernel/none.ko\nkernel/c.ko\nkernel/a.ko\n"
    ordered = sort_modules(modules, lines, "modules.order", problems)
    assert [name for name, _ in ordered] == [b"c", b"a", b"b"]
    assert sort_modules(modules, None, "", problems) == sort_modules(modules, b"", "", problems) == modules
    assert not problems
    assert sort_modules(modules, b"kernel/b.ko\nkernel/c.ko", "modules.order", problems) == modules
    assert [(problem.code, problem.line) for problem in problems] == [("bad-order-file", 2)]


# --- resolve


def test_a_symbol_belongs_to_the_last_that_exports_it() -> None:
    owners, duplicates = find_owners([b"f\0g", b"", b"f", b"h\0f"])
    assert owners == {b"f": 3, b"g": 0, b"h": 3}
    assert duplicates == [(b"f", 2, 0), (b"f", 3, 2)]


def test_dependencies_in_order_of_first_need() -> None:
    owners = {b"f": 3, b"g": 0, b"h": 3, b"dot": 1}
    assert direct_dependencies([b"h", b"unknown", b"g", b"f"], owners) == [3, 0]
    assert direct_dependencies([], owners) == []
    assert direct_dependencies(look_up_names([b"x", b".dot"], b""), owners) == [1]
    assert direct_dependencies(look_up_names([b"_g", b"._f"], b"_"), owners) == [0, 3]


def test_dependencies_by_number() -> None:
    symbols = SymbolIds([b"old", b"f"])
    facts = [fact(b"f\0g"), fact(b"", symbols.pack([padded(b"new"), padded(b"g"), padded(b"f")])), fact(b"new")]
    resolution = resolve_symbols(facts, symbols.all_names(symbols.new_names()))
    assert resolution.dependencies == [[], [2, 0], []]
    assert resolution.owners == {b"f": 0, b"g": 0, b"new": 2}


def fact(exports: bytes, needs: bytes = b"") -> ModuleFacts:
    return ModuleFacts((exports, needs, b"", b"", b"", b""))


names = st.binary(min_size=1, max_size=60).map(lambda name: name.replace(b"\0", b"x"))


@given(st.lists(names, unique=True), st.lists(names), st.lists(names))
def test_two_processes_number_symbols_by_turns(known: list[bytes], one: list[bytes], other: list[bytes]) -> None:
    first, second = SymbolIds(known), SymbolIds(known)
    second.use_odd_ids()
    here, there = first.pack(list(map(padded, one))), second.pack(list(map(padded, other)))
    table = first.all_names(first.new_names(), decode_names(encode_names(second.new_names())))
    assert table[: len(known)] == known
    assert [table[number] for number in unpack_ids(here)] == one
    assert [table[number] for number in unpack_ids(there)] == other
    assert unpack_ids(first.pack(list(map(padded, one)))) == unpack_ids(here)


def test_symbols_of_the_kernel() -> None:
    problems: list[Diagnostic] = []
    assert parse_system_map(b"0 T __ksymtab_a\n0 T b\nbad\n0 T x__ksymtab_c", "map", problems) == {b"a": 0}
    assert [problem.line for problem in problems] == [3]
    text = b"0x10\ta\tvmlinux\tEXPORT\nzz\tb\tvmlinux\tEXPORT\n0x1\tc\tdrivers/c\tEXPORT\n\n"
    assert parse_symvers(text, "sv", problems) == {b"a": 16}
    assert [problem.line for problem in problems] == [3, 2]


# --- order

graphs = st.integers(1, 8).flatmap(
    lambda count: st.lists(st.lists(st.integers(0, count - 1), unique=True, max_size=4), min_size=count, max_size=count)
)


@given(graphs)
def test_full_dependencies_or_a_cycle(graph: list[list[int]]) -> None:
    names = [b"m%d" % number for number in range(len(graph))]
    reach = [_reachable(graph, start) for start in range(len(graph))]
    if any(start in reached for start, reached in enumerate(reach)):
        with pytest.raises(CycleError) as error:
            full_dependencies(graph, names)
        assert error.value.cycles
        for cycle in error.value.cycles:
            steps = [int(name[1:]) for name in cycle]
            assert steps[0] == steps[-1]
            assert all(after in graph[before] for before, after in pairwise(steps))
        return
    full = full_dependencies(graph, names)
    assert [set(direct) for direct in full] == reach
    rank = {module: place for place, module in enumerate(topological_order(graph, graph.__getitem__)[0])}
    for direct in full:
        assert direct == sorted(direct, key=rank.__getitem__)
        for place, module in enumerate(direct):
            assert not _reachable(graph, module) & set(direct[:place])  # the last must be loaded first


def test_the_order_of_first_need_decides_among_those_free_at_once() -> None:
    graph = [[2, 1, 3], [], [], []]
    assert topological_order(graph, [[1, 2, 3]].__getitem__)[0] == [0, 3, 2, 1]
    assert topological_order(graph, [[3, 2, 1]].__getitem__)[0] == [0, 1, 2, 3]


def _reachable(graph: list[list[int]], start: int) -> set[int]:
    found: set[int] = set()
    pending = list(graph[start])
    while pending:
        module = pending.pop()
        if module not in found:
            found.add(module)
            pending += graph[module]
    return found


# --- what travels between processes and into the cache

FIELDS = st.lists(st.binary(max_size=5), max_size=6)
JOINED = st.lists(st.text("abc", min_size=1).map(str.encode), max_size=3).map(b"\0".join)
FACTS = st.tuples(*[JOINED] * 6).map(ModuleFacts)
STAMPS = st.tuples(*[st.integers(0, 2**63)] * 5)


@given(FIELDS)
def test_fields_survive(fields: list[bytes]) -> None:
    assert decode_fields(encode_fields(fields)) == fields


@given(st.lists(FACTS, max_size=4))
def test_facts_survive(facts: list[ModuleFacts]) -> None:
    assert facts_from_fields(decode_fields(encode_fields(facts_to_fields(facts)))) == facts


@given(st.dictionaries(st.integers(0, 2**32 - 1), st.tuples(STAMPS, FACTS), max_size=4), st.lists(names))
def test_extracts_survive(extracts: dict[int, tuple[Stamp, ModuleFacts]], symbols: list[bytes]) -> None:
    versions: dict[int, Versions] = {number: (dict.fromkeys(symbols, number), {b"x": 0}) for number in extracts}
    assert decode_extracts(encode_extracts(extracts, symbols, versions)) == (extracts, symbols, versions)


def test_facts_that_do_not_add_up() -> None:
    with pytest.raises(FormatError):
        facts_from_fields([b""] * 7)


@given(st.binary(max_size=40))
def test_damaged_fields_are_an_error(data: bytes) -> None:
    with suppress(FormatError):
        decode_fields(data)


# --- render


def test_texts_of_one_module() -> None:
    strings = b"alias=b-*\0softdep=pre: x\0alias=devname:d/n\0weakdep=w\0alias=char-major-1-2\0aliased=no"
    assert render.alias_text([b"m"], [strings]).endswith(
        b"\nalias b-* m\nalias devname:d/n m\nalias char-major-1-2 m\n"
    )
    assert render.info_text(b"", b"softdep", [b"m"], [strings]) == b"softdep m pre: x\n"
    assert render.info_text(b"", b"weakdep", [b"m"], [strings]) == b"weakdep m w\n"
    assert render.devname_text([b"m"], [strings], []).endswith(b"\nm d/n c1:2\n")


def test_numbers_of_devices_are_read_as_in_c() -> None:
    """More digits than Python turns into a number when asked."""
    strings = b"alias=devname:n\0alias=char-major-" + b"9" * 5000 + b"-" + b"0" * 5000 + b"7"
    assert render.devname_text([b"m"], [strings], []).endswith(b"\nm n c4294967295:7\n")


# --- all together


class Listener(Observer):
    def __init__(self) -> None:
        self.heard: list[Diagnostic] = []

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self.heard.append(diagnostic)


def test_the_same_bytes_twice(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        Ko(modinfo=[f"alias={name}*"], exports={name: 1}, needs={"a": 1} if name != "a" else {}).write(
            tmp_path / f"kernel/{name}.ko"
        )
    made = []
    for _ in range(2):
        listener = Listener()
        observer = RunObserver(listener)
        inputs = gather_inputs(str(tmp_path), DEFAULT, None, observer)
        made.append(build_files(BuildRequest(inputs), Findings(), observer).files)
        assert [problem.code for problem in listener.heard] == ["missing-build-file"] * 3
        assert not observer.quiet
    assert made[0] == made[1]
    assert list(made[0]) == list(render.FILES)
