# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `--json` prints: the documents of the commands, but for depmod's (man/pymodutils-json.5, docs/schemas)."""

from __future__ import annotations

from ..planning.plan import Missing, Plan, PlanRequest, TargetPlan
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, Self

    from ..diagnosis.causes.case import Explanation
    from ..errors import Error
    from ..formats.modprobeconf import Rule
    from ..formats.textindex import DeviceNode
    from ..planning.lookup import Match
    from ..planning.plan import Step


class Failure(Record):
    """Why something failed: `text` as in the message, `reason` more precisely, and where.

    `explanations` are its causes, where failures are explained (--explain).
    """

    text: str
    reason: str
    errno: int | None
    module: str | None
    path: str | None
    explanations: tuple[Explanation, ...] = ()

    @classmethod
    def of(cls, error: Error, explanations: tuple[Explanation, ...] = ()) -> Self:
        """Make it of an error."""
        return cls(error.strerror, error.reason, error.errno, error.module, error.path, explanations)


# --- insmod, rmmod, static-nodes


class Inserted(Record):
    """A module file that insmod was to load, and what became of it."""

    path: str
    name: str
    parameters: str
    loaded: bool
    error: Failure | None


class Removed(Record):
    """A module that rmmod was to unload, and what became of it."""

    asked: str
    name: str
    removed: bool
    error: Failure | None


class ResultsDocument(Record):
    """The document of insmod and rmmod."""

    modules: list[Inserted] | list[Removed]


class NodesDocument(Record):
    """The document of static-nodes."""

    nodes: list[DeviceNode]


# --- modprobe


class ConfigDocument(Record):
    """The document of modprobe -c: the rules, kind by kind, and the indexes of aliases and of symbols."""

    rules: list[dict[str, Any]]
    aliases: list[dict[str, str]]
    symbols: list[dict[str, str]]

    @classmethod
    def of(cls, rules: Iterable[Rule], aliases: Iterable[tuple[str, str]], symbols: Iterable[tuple[str, str]]) -> Self:
        """Make the document of rules, and of (key, module) pairs of the indexes."""
        return cls(
            [
                {"kind": rule.kind, "key": rule.key, "value": rule.text, "file": rule.file, "line": rule.line}
                for rule in rules
            ],
            [{"pattern": pattern, "module": module} for pattern, module in aliases],
            [{"name": name.removeprefix("symbol:"), "module": module} for name, module in symbols],
        )


class SymbolsDocument(Record):
    """The document of modprobe --show-exports and --show-modversions: the modules that an operand stands for."""

    modules: list[dict[str, Any]]

    @classmethod
    def of(cls, operand: str, modules: Iterable[tuple[Match, Iterable[tuple[str, int]]]]) -> Self:
        """Make the document of modules and their symbols, each a name and a CRC."""
        return cls(
            [
                {
                    "asked": operand,
                    "name": match.name,
                    "path": match.path,
                    "symbols": [{"name": name, "crc": crc} for name, crc in symbols],
                }
                for match, symbols in modules
            ]
        )


class PlansDocument(Record):
    """The document of loading and unloading, done or only shown: a plan for each module that an operand stands for."""

    plans: list[dict[str, Any]]


class Plans:
    """Collects the plans of one run, in order, and what became of each."""

    def __init__(self) -> None:
        self._plans: list[dict[str, Any]] = []

    def add(self, operand: str, plan: Plan) -> None:
        """Add what is planned for what an operand stands for."""
        self._plans += [{**document, "operand": operand, "done": None, "error": None} for document in plan.documents()]

    def add_unknown(self, operand: str) -> None:
        """Add an operand that stands for nothing."""
        missing = Missing(operand, None, "request", None, True, "not found")
        self.add(operand, Plan(PlanRequest(operand), (TargetPlan(None, (), False, missing),)))

    def add_match(self, operand: str, target: Match) -> None:
        """Add a module that an operand stands for, when only that was asked for."""
        self.add(operand, Plan(PlanRequest(operand), (TargetPlan(target, ()),)))
        self._plans[-1]["steps"] = None

    def carried_out(self, done: Sequence[Step], error: Error | None) -> None:
        """Say of the last plan which of its steps were done, and what made it fail."""
        self._plans[-1]["done"] = done
        if error:
            self.refused(error)

    def refused(self, error: Error) -> None:
        """Say what made the last plan fail."""
        if self._plans:
            self._plans[-1]["error"] = Failure.of(error)

    def explained(self, explanations: tuple[Explanation, ...]) -> None:
        """Say what caused the failure of the last plan."""
        last = self._plans[-1] if self._plans else {}
        if isinstance(last.get("error"), Failure):
            last["error"] = last["error"].replace(explanations=explanations)

    def failed(self, operand: str, target: Match, error: Error) -> None:
        """Say what made the plan for a module fail, also when there is no plan."""
        last = self._plans[-1] if self._plans else {}
        if (last.get("operand"), last.get("module")) != (operand, target.name):
            self.add(operand, Plan(PlanRequest(operand), (TargetPlan(target, (), False),)))
        self.refused(error)

    def document(self) -> PlansDocument:
        """Return the document."""
        return PlansDocument(self._plans)
