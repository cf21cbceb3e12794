"""Who hears of what happens in a run: how far it is, and what was wrong and could be got over."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..errors import Error
    from .extract import Facts
    from .pipeline import Inputs
    from .render import LeftOut
    from .resolve import Resolution


class Observer:
    """Hears nothing; to be overridden. `quiet` tells whether there was nothing wrong so far.

    `seconds` has the wall time of each stage: scan, extract, resolve, order, render, publish. With `wants_order` the
    facts that it sees are not shuffled.
    """

    wants_order = False

    def __init__(self) -> None:
        self.quiet = True
        self.seconds: dict[str, float] = {}
        self._stage = ""
        self._since = 0.0

    def begin(self, stage: str) -> None:
        """A stage begins, and the one before has ended; `stage` is empty at the end of the run."""
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = now - self._since
        self._stage, self._since = stage, now

    def tell(self, problem: Error | LeftOut) -> None:
        """Something is wrong; the run goes on."""
        self.quiet = False
        self.problem(problem)

    def problem(self, problem: Error | LeftOut) -> None:
        """Called by `tell`."""

    def waiting(self) -> None:
        """Another run is at work in the same directory."""

    def gathered(self, inputs: Inputs) -> None:
        """The modules are known, and will now be read."""

    def progress(self, done: Callable[[], int] | None = None, total: int = 0) -> None:
        """The stage goes on. `done` tells, at a cost, how many of `total` things have been done, if that is known."""

    def resolved(self, inputs: Inputs, facts: Sequence[Facts], resolution: Resolution) -> None:
        """All modules were read, and it is known which one needs which."""
