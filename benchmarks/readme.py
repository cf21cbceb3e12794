# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keep the last table in README.md, between two marks."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from benchmarks import table
from benchmarks.plots import FOLDER, TITLES, file_name

PATH = Path(__file__).with_name("README.md")
START, END = "<!-- made by python -m benchmarks --write -->\n", "<!-- end of what is made -->\n"


def write(results: list[table.Result], facts: dict[str, str], day: date, path: Path = PATH) -> None:
    """Replace what the last run left."""
    before, _, rest = path.read_text().partition(START)
    _, _, after = rest.partition(END)
    shown = [result for result in results if not result.row.plot]
    lines = [f"Measured on {day}.\n", *(f"- {name}: {fact}" for name, fact in facts.items()), "", table.markdown(shown)]
    said = [f"- {line}" for result in results for line in table.reasons(result, facts)]
    pictures = [f"![{title}]({FOLDER.name}/{file_name(plot)})" for plot, (title, _) in TITLES.items()]
    made = "\n".join([*lines, *said, "", *pictures, ""])
    path.write_text(f"{before}{START}\n{made}\n{END}{after}")
