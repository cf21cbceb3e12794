# SPDX-License-Identifier: LGPL-2.1-or-later
"""What judges the numbers of benchmarks/: the table, its budgets, the README that keeps it."""

from __future__ import annotations

from collections import Counter
from datetime import date
from itertools import chain, pairwise, permutations
from pathlib import Path

import pytest

from benchmarks import readme, registry, table
from benchmarks.__main__ import PARTS
from benchmarks.measuring import NotMeasured, Outcomes, Run, interleaved, orders
from benchmarks.peers import BARE, GIT, KMOD34, KMODS, OURS, PEERS, THREADS, Peers
from benchmarks.registry import Budget, Row

TWO = Row("work", (GIT, THREADS), (Budget(9, KMODS), Budget(0.7, (THREADS,))))
KMOD = Row("work", (KMOD34, GIT), (Budget(2.0, KMODS),))
MISSING = NotMeasured("it is not here")


@pytest.mark.parametrize(
    ("row", "outcomes", "over"),
    [
        (KMOD, {OURS: [4.0], GIT: [2.0], KMOD34: [1.0]}, False),
        (KMOD, {OURS: [4.1], GIT: [2.0], KMOD34: [9.0]}, True),
        (KMOD, {OURS: [4.1], GIT: MISSING, KMOD34: [2.0]}, True),
        (KMOD, {OURS: [4.1], GIT: MISSING, KMOD34: MISSING}, False),
        (KMOD, {OURS: MISSING, GIT: [1.0]}, False),
        (Row("work", (), (Budget(500),)), {OURS: [400.0, 501.0, 502.0]}, True),
        (Row("work", (), (Budget(500),)), {OURS: [499.0]}, False),
        (Row("work", (), (Budget(2000, at_least=True),)), {OURS: [1999.0]}, True),
        (TWO, {OURS: [8], GIT: [9], THREADS: [10]}, True),
    ],
)  # fmt: skip
def test_a_budget_is_judged(row: Row, outcomes: Outcomes, over: bool) -> None:
    assert table.Result(row, outcomes).over == over


def test_a_line_shows_median_spread_ratio_and_what_is_missing() -> None:
    outcomes: Outcomes = {OURS: [10.0, 12.0, 14.0], GIT: [5.0, 6.0, 7.0], KMOD34: MISSING}
    (cells,) = table.lines(table.Result(KMOD, outcomes))
    shown = dict(zip(table.HEAD, cells, strict=True))
    assert (shown[OURS], shown["±"], shown[GIT], shown[KMOD34]) == ("12.0", "8%", "6.00", table.MISSING)
    assert (shown["ratio"], shown["quartiles"], shown["to"], shown["budget"]) == ("2.00", "2.00 2.00", GIT, "2")
    assert list(table.reasons(table.Result(KMOD, outcomes), {})) == ["work: kmod 34.2 not measured: it is not here"]


def test_a_ratio_is_taken_within_each_round() -> None:
    """The machine is twice as fast for some rounds, and slows down between the two of the last one."""
    outcomes: Outcomes = {OURS: [24.0, 12.0, 12.0, 24.0, 12.0], GIT: [20.0, 10.0, 10.0, 20.0, 20.0]}
    (cells,) = table.lines(table.Result(KMOD, outcomes))
    assert dict(zip(table.HEAD, cells, strict=True))["ratio"] == "1.20"


def test_what_fails_stops_nothing_else() -> None:
    calls = []

    def fails() -> float:
        calls.append("fails")
        raise NotMeasured("broken")

    found = interleaved({OURS: lambda: 1.0, GIT: fails, KMOD34: MISSING}, 3)
    assert found[OURS] == [1.0, 1.0, 1.0]
    assert (str(found[GIT]), found[KMOD34], calls) == ("broken", MISSING, ["fails"])


@pytest.mark.parametrize("count", range(1, 9))
def test_each_rival_has_each_place_and_each_neighbour_equally_often(count: int) -> None:
    labels = [str(number) for number in range(count)]
    once = list(orders(labels, count))
    assert {tuple(sorted(column)) for column in zip(*once, strict=True)} == {tuple(sorted(labels))}
    rows = list(orders(labels, count * (1 + count % 2)))
    neighbours = Counter(pair for row in rows for pair in pairwise(row))
    assert set(neighbours) == set(permutations(labels, 2)) and len(set(neighbours.values())) <= 1


def test_one_command_under_two_names_comes_out_equal() -> None:
    """On a machine that gets hot, and tired: what runs after much work is slower, and so is whatever runs later."""
    state = {"heat": 0.0, "clock": 0.0}

    def work(amount: float) -> Run:
        def run() -> float:
            state["clock"] += 1
            taken = amount * (1 + state["heat"]) + 0.001 * state["clock"]
            state["heat"] = 0.01 * amount
            return taken

        return run

    rivals = {"a": 10.0, "much": 80.0, "b": 10.0, "little": 1.0}
    found = interleaved({name: work(amount) for name, amount in rivals.items()}, 16)
    one, other = (sum(table.taken(found, name)) for name in "ab")
    assert one == pytest.approx(other, rel=0.02)
    in_one_order = [[run() for run in map(work, rivals.values())] for _ in range(16)]
    one, _, other, _ = map(sum, zip(*in_one_order, strict=True))
    assert other > one * 1.5  # so the machine would tell


def test_a_row_fits_a_terminal() -> None:
    for row in chain.from_iterable(registry.ROWS.values()):
        outcomes: Outcomes = {name: [43210.0, 43211.0, 43212.0] for name in (OURS, *row.peers)}
        for cells in table.lines(table.Result(row, outcomes)):
            line, *below = table.terminal(cells).split("\n")
            assert max(map(len, (line, *below))) <= 100
            assert all(len(cells[table.HEAD.index(name)]) <= width for name, width in table.ON_TERMINAL.items())


def test_every_row_has_a_name_of_its_own_and_columns_that_there_are() -> None:
    for rows in registry.ROWS.values():
        assert len({row.name for row in rows}) == len(rows)
        for row in rows:
            assert len([peer for peer in row.peers if peer not in PEERS]) <= 1
            assert all(budget.to == KMODS or set(budget.to) <= {BARE, *row.peers} for budget in row.budgets)


def test_every_row_belongs_to_a_part() -> None:
    assert PARTS.keys() == registry.ROWS.keys()


@pytest.mark.parametrize("source", [None, "/nowhere", "."])
def test_a_source_that_cannot_be_built_is_a_reason(
    source: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KMOD_SOURCE", raising=False)
    if source:
        monkeypatch.setenv("KMOD_SOURCE", source)
    peers = Peers(tmp_path)
    assert isinstance(peers.find(GIT), NotMeasured) and isinstance(peers.find(THREADS), NotMeasured)
    assert all(about.startswith("not measured: ") for about in peers.known().values())


def test_the_readme_keeps_the_last_table_alone(tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(f"before\n{readme.START}{readme.END}after\n")
    for number in (1.0, 2.0):
        result = table.Result(KMOD, {OURS: [number], GIT: [1.0]})
        readme.write([result], {"machine": "some"}, date(2026, 1, 2), path)
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and text.count(readme.START) == 1
    assert "Measured on 2026-01-02." in text and "- machine: some" in text
    assert "| 2.00 |" in text and "| work | ms | 1.00 |" not in text
