# SPDX-License-Identifier: LGPL-2.1-or-later
"""A few threads that do things side by side, begun in the order in which they are given."""

from __future__ import annotations

import threading
import time
from collections import deque

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Workers:
    """Carries out calls in up to `most` threads, which begin when they are needed.

    What a call raises is kept, and raised again by `wait`.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._busy = 0
        self._threads: list[threading.Thread] = []
        self._ends = False
        self._error: BaseException | None = None

    def give(self, call: Callable[[], None]) -> None:
        """Have something done as soon as a thread is free."""
        with self._changed:
            self._waiting.append(call)
            if self._busy + len(self._waiting) > len(self._threads) < self._most:
                self._begin()
            self._changed.notify_all()

    def wait(self) -> None:
        """Wait until nothing is left to do. Raises what a call raised."""
        with self._changed:
            while (self._waiting or self._busy) and not self._error:
                self._changed.wait()
            if self._error:
                error, self._error = self._error, None
                raise error

    def check(self) -> None:
        """Raise what a call raised."""
        with self._changed:
            if self._error:
                error, self._error = self._error, None
                raise error

    @property
    def left(self) -> int:
        """How many calls are not done with."""
        with self._changed:
            return self._busy + len(self._waiting)

    def end(self, seconds: float) -> bool:
        """Begin no further work; tell whether all that was begun ended within that time."""
        end = time.monotonic() + seconds
        with self._changed:
            self._ends = True
            self._waiting.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _begin(self) -> None:
        thread = threading.Thread(target=self._run, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no memory for more, or not allowed
            if not self._threads:
                raise
            self._most = len(self._threads)
        else:
            self._threads.append(thread)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._ends:
                    self._changed.wait()
                if self._ends:
                    return
                call = self._waiting.popleft()
                self._busy += 1
            try:
                call()
            except BaseException as error:
                self._error = error
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()
