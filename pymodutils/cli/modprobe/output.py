# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where modprobe's answers go: lines and documents to standard output, all else to the reporter."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...diagnostics import Diagnostic
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

    @property
    def reporter(self) -> Reporter:
        """The reporter of steps and failures."""
        if self._reporter is None:
            from .reporter import Reporter

            self._reporter = Reporter(self._options, self.console)
        return self._reporter

    def problem(self, problem: Diagnostic) -> None:
        """Report what could be got over."""
        self.reporter.problem(problem)

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
