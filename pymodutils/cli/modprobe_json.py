"""`modprobe --json`: what operands stand for and the plans for them, as data (docs/json.md)."""

from __future__ import annotations

from ..json_text import render
from ..planning.plan import PlanRequest, no_such_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..planning.lookup import Match
    from ..planning.plan import Plan


class Plans:
    """The plans of one run, in order."""

    def __init__(self) -> None:
        self.plans: list[dict[str, object]] = []

    def add(self, operand: str, plan: Plan) -> None:
        """Add what is done about one of the modules that an operand stands for."""
        self.plans += [{**document, "operand": operand} for document in plan.documents()]

    def add_match(self, operand: str, target: Match) -> None:
        """Add a module that an operand stands for, when only that was asked for."""
        names = {"module": target.name, "alias": target.alias, "origin": target.origin}
        self.plans.append({"operand": operand, **names, "steps": None, "missing": []})

    def add_unknown(self, operand: str) -> None:
        """Add an operand that stands for nothing."""
        self.add(operand, no_such_target(PlanRequest(operand)))

    def text(self) -> str:
        """Return the document."""
        return render({"plans": self.plans})
