# SPDX-License-Identifier: LGPL-2.1-or-later
"""How causes are shown: `cause:`, `evidence:` and `next:`, after a command's own messages and by `kmod explain`."""

from __future__ import annotations

from ..names import module_name, normalize_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..diagnosis.causes.case import Explanation
    from ..verbs.explain import ExplainReport

WIDTH = 10
"""Columns of the labels."""


def block(explanation: Explanation, *, asked: str | None = None) -> Iterator[tuple[str, str]]:
    """Yield label and text of each line; a line that goes on with the one before has an empty label."""
    cause = explanation.text
    is_known = asked is None or explanation.module in ("", module_name(asked), normalize_name(asked))
    if not is_known:
        cause = f"{explanation.module}: {cause}"
    yield "cause:" if explanation.certain else "perhaps:", cause
    for number, evidence in enumerate(explanation.evidence):
        yield "" if number else "evidence:", f"{evidence.source}: {_quoted(evidence.source, evidence.text)}"
    for number, command in enumerate(explanation.next):
        yield "" if number else "next:", command


def lines(report: ExplainReport, asked: str | None = None) -> list[str]:
    """Return the lines that explain a failure, without the indent."""
    found = [
        f"{label:<{WIDTH}}{text}"
        for explanation in report.explanations
        for label, text in block(explanation, asked=asked)
    ]
    if found and report.log_problem:
        found.append(f"{'note:':<{WIDTH}}{report.log_problem}; this is from files alone")
    return found


def _quoted(source: str, text: str) -> str:
    return f'"{text}"' if source == "kernel log" else text
