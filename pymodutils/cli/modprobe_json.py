"""`modprobe --json`: what operands stand for and the plans for them, as data (docs/json.md)."""

from __future__ import annotations

import os

from ..planning.steps import FILE_MISSING, INSERT, MISSING
from ..records import Record
from ..json_text import render

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import FileError
    from ..planning.lookup import Found
    from ..planning.steps import Step

UNKNOWN = "not found"
FILE_GONE = "file is missing"


class Missing(Record):
    """Something a plan would need: a module's name, its file where known, who wanted it, what is wrong."""

    module: str
    path: str | None
    why: str
    origin: str | None
    required: bool
    reason: str


class Plans:
    """The plans of one run, in order."""

    def __init__(self) -> None:
        self.plans: list[dict[str, object]] = []

    def add(self, operand: str, target: Found, steps: list[Step] | None) -> None:
        """What is done about `target`; `steps` None when only the look-up was asked for."""
        self._append(operand, target, steps, [missing for step in steps or () if (missing := _missing(step))])

    def add_impossible(self, operand: str, target: Found, error: FileError) -> None:
        """A module that is not loaded because a dependency's file is gone."""
        missing = Missing(error.module or "", error.path, "dependency", "modules.dep", True, FILE_MISSING)
        self._append(operand, target, [], [missing])

    def add_unknown(self, operand: str) -> None:
        """An operand that stands for nothing."""
        self._append(operand, None, None, [Missing(operand, None, "request", None, True, UNKNOWN)])

    def _append(self, operand: str, target: Found | None, steps: list[Step] | None, missing: list[Missing]) -> None:
        self.plans.append(
            {
                "operand": operand,
                "module": target and target.name,
                "alias": target and target.alias,
                "origin": target and target.origin,
                "steps": steps,
                "missing": missing,
            }
        )

    def text(self) -> str:
        """The document."""
        return render({"plans": self.plans})


def _missing(step: Step) -> Missing | None:
    reason = step.reason if step.reason in MISSING else None
    if step.action == INSERT and step.path and not os.path.exists(step.path):
        reason = FILE_GONE
    if reason is None:
        return None
    return Missing(step.module, step.path, step.why, step.origin, step.required, reason)
