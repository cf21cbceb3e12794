# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where modprobe's answers go: lines and documents to standard output, all else to the reporter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...context import Context
    from ...diagnostics import Diagnostic
    from ...planning.lookup import Match
    from ...planning.plan import Plan
    from ...records import Record
    from ..console import Console
    from .options import ModprobeOptions
    from .reporter import Reporter


class Output:
    """Prints what was asked for, and has the reporter for all else: looking has nothing to report as a rule."""

    def __init__(self, options: ModprobeOptions, console: Console) -> None:
        self._options = options
        self.console: Console = console
        self._reporter: Reporter | None = None
        self.context: Context | None = None
        """The system in which failures are explained; None where they are not."""

    @property
    def explains(self) -> bool:
        """Whether failures are explained."""
        return self.console.explains(self._options.explain) and not (
            self._options.quiet and self._options.explain != "always"
        )

    @property
    def reporter(self) -> Reporter:
        """The reporter of steps and failures."""
        if self._reporter is None:
            from .reporter import Reporter

            self._reporter = Reporter(self._options, self.console)
        self._reporter.context = self.context
        return self._reporter

    def problem(self, problem: Diagnostic) -> None:
        """Report what could be got over."""
        self.reporter.problem(problem)

    def remark(self, target: Match, plan: Plan) -> None:
        """Say in a line why a success changed nothing, or that parameters did not count."""
        last = plan.steps[-1] if plan.steps else None
        if self.context is None or last is None or self._options.quiet:
            return
        parameters = plan.request.parameters
        is_there = last.reason == "already in the kernel"
        if last.asked_for and (last.reason == "blacklisted" or last.action == "command" or (is_there and parameters)):
            from ..explaining import remark

            remark(self.context, target, parameters, self.console)
        elif not is_there and (parameters or any(step.options for step in plan.steps)):
            records = self.console.records_since_mark()
            if any(b": unknown parameter '" in record for record in records):
                from ..explaining import remark_ignored

                remark_ignored(target.name, records, self.console)

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines; with --json a document is printed instead, at the end."""
        if not self._options.json:
            self.console.write("".join([f"{line}\n" for line in lines]))

    def document(self, document: Record) -> None:
        """Print the JSON document."""
        self.console.write(document.to_json())

    def finish(self) -> None:
        """Raise the `OutputError` that a line of -v met."""
        if self._reporter:
            self._reporter.raise_unwritten()
