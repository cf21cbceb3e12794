# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who hears what happens while something long goes on: loading, removing, depmod, and the long verbs."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeVar

    from .diagnostics import Diagnostic

    Thing = TypeVar("Thing")


class Observer:
    """Hears everything and does nothing; programs override what they want to hear.

    Nothing that an observer does changes the work, unless it raises: then the work ends there.
    """

    def step_started(self, step: object) -> None:
        """Hear that a step begins: a `Step` of a plan, or the name of a stage of depmod or of a verb."""

    def step_done(self, step: object, error: Exception | None) -> None:
        """Hear that a step has ended; `error` is None if it succeeded."""

    def progress(self, done: int, total: int, what: str) -> None:
        """Hear that `done` of `total` things named `what` are done; `total` is 0 while it is not known."""

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Hear of something wrong that does not stop the work."""


def counted(things: Sequence[Thing], what: str, observer: Observer | None) -> Iterator[Thing]:
    """Yield things; let the observer hear before each one how many are done, and at the end that all are."""
    for done, thing in enumerate(things):
        if observer:
            observer.progress(done, len(things), what)
        yield thing
    if observer and things:
        observer.progress(len(things), len(things), what)
