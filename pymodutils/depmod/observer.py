# SPDX-License-Identifier: LGPL-2.1-or-later
"""Between a run's stages and the observer that hears of them."""

from __future__ import annotations

import time

from ..diagnostics import NOTE
from ..observer import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..diagnostics import Diagnostic
    from ..errors import Error


class RunObserver(Observer):
    """Passes on what happens in a run, measures its stages, and knows whether anything was wrong.

    `quiet` says that there was nothing wrong so far. `seconds` has the wall time of each stage that has ended: scan,
    extract, resolve, order, render, publish.
    """

    def __init__(self, observer: Observer) -> None:
        self.quiet: bool = True
        self.seconds: dict[str, float] = {}
        self._observer = observer
        self._stage = ""
        self._since = 0.0

    def begin(self, stage: str) -> None:
        """End the stage before and begin this one."""
        self.end()
        self._stage = stage
        self._since = time.perf_counter()
        self._observer.step_started(stage)

    def end(self, error: Error | None = None) -> None:
        """End the stage that is at work, if there is one, by this error if it failed."""
        if self._stage:
            stage, self._stage = self._stage, ""
            self.seconds[stage] = time.perf_counter() - self._since
            self._observer.step_done(stage, error)

    def progress(self, done: int, total: int, what: str) -> None:
        """Pass on how far the stage is."""
        self._observer.progress(done, total, what)

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Pass on what is to be said; the run goes on."""
        self.quiet = self.quiet and diagnostic.severity == NOTE
        self._observer.diagnostic(diagnostic)
