"""`modprobe --json`: what operands stand for and the plans for them, as data (man/pymodutils-json.5)."""

from __future__ import annotations

from ...planning.plan import Missing, Plan, PlanRequest, TargetPlan
from ...records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...planning.lookup import Match


class PlansDocument(Record):
    """The document: an object for each module that an operand stands for."""

    plans: list[dict[str, Any]]


class Plans:
    """Collects the plans of one run, in order."""

    def __init__(self) -> None:
        self._plans: list[dict[str, Any]] = []

    def add(self, operand: str, plan: Plan) -> None:
        """Add what is done about what an operand stands for."""
        self._plans += [{**document, "operand": operand} for document in plan.documents()]

    def add_unknown(self, operand: str) -> None:
        """Add an operand that stands for nothing."""
        missing = Missing(operand, None, "request", None, True, "not found")
        self.add(operand, Plan(PlanRequest(operand), (TargetPlan(None, (), False, missing),)))

    def add_match(self, operand: str, target: Match) -> None:
        """Add a module that an operand stands for, when only that was asked for."""
        names = {"module": target.name, "alias": target.alias, "origin": target.origin}
        self._plans.append({"operand": operand, **names, "steps": None, "missing": []})

    def text(self) -> str:
        """Return the document."""
        return PlansDocument(self._plans).to_json()
