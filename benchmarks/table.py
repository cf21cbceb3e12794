# SPDX-License-Identifier: LGPL-2.1-or-later
"""The one table: a line for each row of the registry, on a terminal or as Markdown."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.measuring import NotMeasured, Outcomes
from benchmarks.peers import KMODS, OURS, PEERS
from benchmarks.registry import Budget, Row

COLUMNS = (OURS, *PEERS)
HEAD = ("work", "unit", OURS, "±", *COLUMNS[1:], "other", "ratio", "quartiles", "to", "budget", "")
ON_TERMINAL = {"work": 43, OURS: 7, "unit": 8, "±": 4, "ratio": 5, "to": 14, "budget": 8, "": 4}
"""The columns of the terminal's form and their widths; the rest stands below."""
LEFT = frozenset(("work", "unit", "to", ""))


@dataclass(frozen=True)
class Result:
    """What was measured for a row, by column."""

    row: Row
    outcomes: Outcomes
    note: str = ""

    @property
    def over(self) -> bool:
        """Whether a budget is exceeded."""
        return any(line[-1] == OVER for line in lines(self))


OVER = "OVER"
MISSING = "-"


def lines(result: Result) -> Iterator[tuple[str, ...]]:
    """The cells of its lines: one for each budget, the values in the first only."""
    row, outcomes = result.row, result.outcomes
    values = [_value(outcomes, name, row) for name in COLUMNS]
    others = [name for name in row.peers if name not in COLUMNS]
    other = _value(outcomes, others[0], row) if others else ""
    first = [row.name, row.unit, values[0], _spread(outcomes), *values[1:], other]
    for number, budget in enumerate(row.budgets or (None,)):
        cells = ["" for _ in first] if number else first
        to = _yardstick(outcomes, budget.to if budget else (*KMODS, *row.peers))
        ratios = _ratios(outcomes, to) if to else []
        ratio = statistics.median(ratios) if ratios else None
        shown = (f"{ratio:.2f}", _quartiles(ratios), to) if ratio is not None else ("", "", "")
        yield (*cells, *shown, str(budget or ""), OVER if budget and _exceeds(outcomes, budget, ratio) else "")


def _exceeds(outcomes: Outcomes, budget: Budget, ratio: float | None) -> bool:
    if budget.to:
        return ratio is not None and not budget.holds(ratio)
    return bool(taken(outcomes)) and not budget.holds(statistics.median(taken(outcomes)))


def taken(outcomes: Outcomes, name: str = OURS) -> list[float]:
    """The numbers of a column; none if it was not measured."""
    found = outcomes.get(name)
    return found if isinstance(found, list) else []


def _yardstick(outcomes: Outcomes, names: tuple[str, ...]) -> str:
    """The first of some columns that was measured, if ours was."""
    return next((name for name in names if taken(outcomes, name) and taken(outcomes)), "")


def _ratios(outcomes: Outcomes, to: str) -> list[float]:
    """Ours by another's, round by round: what slows the machine for a while slows both of a round."""
    return [one / other for one, other in zip(taken(outcomes), taken(outcomes, to), strict=False)]


def _quartiles(ratios: list[float]) -> str:
    if len(ratios) < 2:
        return ""
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{low:.2f} {high:.2f}"


def _spread(outcomes: Outcomes) -> str:
    """Half of the distance of the quartiles of ours, as a part of the median."""
    ours = taken(outcomes)
    if len(ours) < 2:
        return ""
    low, middle, high = statistics.quantiles(ours, n=4, method="inclusive")
    return f"{(high - low) / 2 / abs(middle):.0%}" if middle else ""


def _value(outcomes: Outcomes, name: str, row: Row) -> str:
    if name != OURS and name not in row.peers:
        return ""
    if not (numbers := taken(outcomes, name)):
        return MISSING
    value = statistics.median(numbers)
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def reasons(result: Result, general: dict[str, str]) -> Iterator[str]:
    """Why columns of a row have no number, unless that is said of the peer in general; and the row's note."""
    for name, outcome in result.outcomes.items():
        if isinstance(outcome, NotMeasured) and f"not measured: {outcome}" not in general.values():
            yield f"{result.row.name}: {name} not measured: {outcome}"
    if result.note:
        yield f"{result.row.name}: {result.note}"


def terminal(cells: tuple[str, ...]) -> str:
    """A line of the table in at most 100 columns, and one below it for what others took and the ratio's quartiles."""
    shown = dict(zip(HEAD, cells, strict=True))
    line = " ".join(
        f"{shown[name]:<{width}}" if name in LEFT else f"{shown[name]:>{width}}" for name, width in ON_TERMINAL.items()
    )
    below = ", ".join(f"{name} {shown[name]}" for name in (*COLUMNS[1:], "other", "quartiles") if shown[name])
    return line.rstrip() + (f"\n    {below}" if below and cells != HEAD else "")


def markdown(results: list[Result]) -> str:
    """The table in Markdown."""
    rows = [HEAD, tuple(":--" if name in LEFT else "--:" for name in HEAD)]
    rows += [line for result in results for line in lines(result)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
