"""Who hears of what happens in a run: how far it is, and what was wrong and could be got over."""

from __future__ import annotations

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

    With `wants_order` the facts that it sees are not shuffled.
    """

    quiet = True
    wants_order = False

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

    def progress(self, done: Callable[[], int], total: int) -> None:
        """Some more of `total` modules have been read; `done` tells how many, at a cost."""

    def resolved(self, inputs: Inputs, facts: Sequence[Facts], resolution: Resolution) -> None:
        """All modules were read, and it is known which one needs which."""
