# SPDX-License-Identifier: LGPL-2.1-or-later
"""Draw how the costs grow into plots/: one SVG for each plot of the registry, by matplotlib (extra `bench`).

    python -m benchmarks --write

The same numbers give the same bytes.
"""

from __future__ import annotations

import re
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.peers import GIT, KMOD34, OURS
from benchmarks.table import Result, taken

FOLDER = Path(__file__).parent / "plots"
STYLES = {
    OURS: ("#0b6e4f", "o", "pymodutils"),
    GIT: ("#c1440e", "s", "kmod, git"),
    KMOD34: ("#6b7280", "^", "kmod 34.2"),
}
TITLES = {
    "depmod": ("depmod: all modules of a tree", "modules in the tree"),
    "modprobe -D": ("modprobe -D: one module of a tree, indexes not in memory", "modules in the tree"),
    "kmod check": ("kmod check: one module of a tree", "modules in the tree"),
    "modinfo": ("modinfo: many names in one call", "names"),
    "modprobe -a -D": ("modprobe -a -D: many names in one call", "names"),
}


def file_name(plot: str) -> str:
    """The name of the picture of a plot."""
    return f"{re.sub(r'[^a-z]+', '-', plot.lower())}.svg"


@dataclass
class Line:
    """The points of one column: where, the medians, how far below and above them the quartiles are."""

    places: list[int] = field(default_factory=list)
    middles: list[float] = field(default_factory=list)
    below: list[float] = field(default_factory=list)
    above: list[float] = field(default_factory=list)


def draw(results: list[Result], folder: Path = FOLDER) -> None:
    """Write the pictures of those plots that have points of ours."""
    plots: dict[str, list[Result]] = {}
    for result in results:
        if result.row.plot:
            plots.setdefault(result.row.plot, []).append(result)
    folder.mkdir(exist_ok=True)
    for plot, points in plots.items():
        lines = {name: line for name in STYLES if (line := _line(points, name)).places}
        if OURS in lines:
            _draw(plot, lines, folder / file_name(plot))


def _line(points: list[Result], name: str) -> Line:
    line = Line()
    for point in points:
        if numbers := taken(point.outcomes, name):
            low, middle, high = statistics.quantiles(numbers * 2, n=4, method="inclusive")
            line.places.append(point.row.at)
            line.middles.append(middle)
            line.below.append(middle - low)
            line.above.append(high - middle)
    return line


def _draw(plot: str, lines: dict[str, Line], path: Path) -> None:
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    title, across = TITLES[plot]
    with pyplot.rc_context({"svg.hashsalt": "pymodutils", "svg.fonttype": "none", "font.family": "sans-serif",
                            "font.size": 11}):  # fmt: skip
        figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
        for name, line in lines.items():
            colour, marker, label = STYLES[name]
            spread = (line.below, line.above)
            axes.plot(line.places, line.middles, color=colour, marker=marker, label=label)
            axes.errorbar(line.places, line.middles, spread, fmt="none", ecolor=colour, capsize=3)
        axes.set(title=title, xlabel=across, ylabel="milliseconds (median, quartiles)", xscale="log")
        values = [value for line in lines.values() for value in line.middles]
        if max(values) > 5 * min(values):
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0, 1.15 * max(values))
        places = sorted({place for line in lines.values() for place in line.places})
        axes.set_xticks(places, [f"{place:,}" for place in places])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.grid(color="#dddddd", linewidth=0.6)
        axes.margins(x=0.06)
        axes.legend(frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
        pyplot.close(figure)
