# SPDX-License-Identifier: LGPL-2.1-or-later
"""Do at the same time what mostly waits for a disk, in threads that end with it."""

from __future__ import annotations

from _thread import allocate_lock, start_new_thread  # `threading` would import much

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence


def together(actions: Sequence[Callable[[], None]]) -> Iterator[BaseException | None]:
    """Start all actions, then yield what each one raised as it ends, in their order.

    What cannot have a thread of its own is done before the next one begins.
    """
    calls = list(map(_Call, actions))
    for call in calls[:-1]:
        try:
            start_new_thread(call.run, ())
        except RuntimeError:  # too many threads
            call.run()
    for call in calls[-1:]:
        call.run()
    for call in calls:
        yield call.wait()


class _Call:
    """An action that another thread may run."""

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._error: BaseException | None = None
        self._runs = allocate_lock()
        self._runs.acquire()

    def run(self) -> None:
        try:
            self._action()
        except BaseException as error:
            self._error = error
        finally:
            self._runs.release()

    def wait(self) -> BaseException | None:
        self._runs.acquire()
        return self._error
