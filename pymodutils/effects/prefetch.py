# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loading several modules at the same time (`modprobe -a -j N`).

The program's own loop stays as it is: one operand after the other, step by step, so that messages and results are those
of serial work. This loads ahead of it: modules that its plans will come to, each as soon as what must come before it is
loaded, in threads (the kernel does the work, and ctypes lets other threads run meanwhile). When the loop arrives at a
step it is told what the kernel said; until then it sees a kernel without that module.
"""

from __future__ import annotations

import errno
from _thread import allocate_lock, start_new_thread  # `threading` would import much

from ..errors import Error, InsertError
from ..names import module_name, normalize_name
from ..planning.plan import INSERT
from ..state.live import LiveKernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from collections.abc import Callable, Iterable, Sequence

    from ..planning.plan import Step
    from ..roots import Roots
    from .executor import ExecutorOptions, Loader


class _Task:
    """A module to load ahead; `behind` are the tasks that wait for it, `held_back` counts those that it waits for."""

    def __init__(self, step: Step, before: list[_Task]) -> None:
        self.name = step.module
        self.path = step.path or ""
        self.parameters = step.arguments
        self.before = before
        self.behind: list[_Task] = []
        self.held_back = 0
        self.has_ended = False
        self.end: LockType = allocate_lock()  # released when it has ended
        self.end.acquire()
        self.loaded = False  # by us
        self.error: BaseException | None = None  # what the kernel said; None also for one that was not tried

    def may_be_tried(self) -> bool:
        """Tell whether all that comes before is there. If not, serial work decides what that means."""
        return all(other.there for other in self.before)

    @property
    def there(self) -> bool:
        """Tell whether the module is in the kernel, loaded by us or by somebody else."""
        return self.loaded or (isinstance(self.error, InsertError) and self.error.errno == errno.EEXIST)


class _Ready:
    """The tasks that nothing holds back, first in first out; who finds none sleeps until there is one."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._tasks: list[_Task] = []
        self._taken = 0
        self._sleepers: list[LockType] = []  # of each thread that sleeps, what wakes it
        self._closed = False

    def add(self, tasks: Iterable[_Task]) -> None:
        """Take tasks in, and wake a sleeper for each."""
        with self._lock:
            for task in tasks:
                self._tasks.append(task)
                if self._sleepers:
                    self._sleepers.pop().release()

    def take(self) -> _Task | None:
        """Return the next task, sleep as long as there is none; None after `close`."""
        while True:
            with self._lock:
                if self._closed:
                    return None
                if self._taken < len(self._tasks):
                    self._taken += 1
                    return self._tasks[self._taken - 1]
                wakeup = allocate_lock()
                wakeup.acquire()
                self._sleepers.append(wakeup)
            wakeup.acquire()

    def close(self) -> None:
        """Give out no more tasks, and wake all sleepers."""
        with self._lock:
            self._closed = True
            for wakeup in self._sleepers:
                wakeup.release()
            self._sleepers.clear()


class Prefetcher:
    """A `Loader` that may have loaded a module already when it is asked to.

    `dependencies` tells the names of a module's hard dependencies; of `options` the `ignore_*` count.
    """

    def __init__(
        self, kernel: Loader, jobs: int, options: ExecutorOptions, dependencies: Callable[[str], Sequence[str]]
    ) -> None:
        self._kernel = kernel
        self._jobs = jobs
        self._options = options
        self._dependencies = dependencies
        self._tasks: dict[str, _Task] = {}  # by module; those that the loop has not come to yet
        self._ready = _Ready()
        self._changing = allocate_lock()  # held while a task ends, or learns what it waits for
        self._threads: list[LockType] = []  # of each a lock that it releases at its end

    def start(self, steps: Iterable[Step]) -> None:
        """Load the steps that load a module ahead, given in serial order. The first begin while others are given."""
        for step in steps:
            if step.action == INSERT and step.path is not None and step.module not in self._tasks:
                if len(self._threads) < self._jobs and not self._start_thread() and not self._threads:
                    return  # the loop does it all
                names = (*step.after, *self._dependencies(step.module))
                task = _Task(step, [self._tasks[name] for name in names if name in self._tasks])
                self._tasks[step.module] = task
                self._line_up(task)

    def _line_up(self, task: _Task) -> None:
        """Let a new task wait for those before it that have not ended."""
        with self._changing:
            for other in task.before:
                if not other.has_ended:
                    other.behind.append(task)
                    task.held_back += 1
            held_back = task.held_back
        if not held_back:
            self._ready.add([task])

    def _start_thread(self) -> bool:
        """Start a thread, and tell whether that was possible."""
        end = allocate_lock()
        end.acquire()
        try:
            start_new_thread(self._work, (end,))
        except RuntimeError:  # no memory for more, or not allowed
            return False
        self._threads.append(end)
        return True

    def is_hidden(self, name: str) -> bool:
        """Tell whether the loop must not see this module in the kernel yet."""
        return normalize_name(name) in self._tasks

    def finish(self) -> None:
        """Begin nothing more, and wait until nothing is under way; take out what serial work would not have loaded."""
        self._ready.close()
        for end in self._threads:
            end.acquire()
        for task in reversed(self._tasks.values()):
            self._take_out(task)
        self._threads, self._tasks = [], {}

    # --- what the loop asks for

    def insert(
        self, path: str, parameters: str = "", *, ignore_modversions: bool = False, ignore_vermagic: bool = False
    ) -> None:
        """Load a file, or wait for its having been loaded ahead. Raises as `KernelModules` does."""
        task = self._tasks.pop(module_name(path), None)
        if task is not None:
            task.end.acquire()
            if (task.path, task.parameters) != (path, parameters):
                self._take_out(task)
            elif task.error:
                raise task.error
            elif task.loaded:
                return
        self._kernel.insert(path, parameters, ignore_modversions=ignore_modversions, ignore_vermagic=ignore_vermagic)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Unload a module."""
        self._kernel.remove(name, force=force)

    # --- the threads

    def _work(self, end: LockType) -> None:
        try:
            while task := self._ready.take():
                self._load(task)
        finally:
            end.release()

    def _load(self, task: _Task) -> None:
        if task.may_be_tried():
            try:
                self._kernel.insert(
                    task.path,
                    task.parameters,
                    ignore_modversions=self._options.ignore_modversions,
                    ignore_vermagic=self._options.ignore_vermagic,
                )
                task.loaded = True
            except BaseException as error:  # whatever it is, the loop raises it where serial work would have
                task.error = error
        self._end(task)

    def _end(self, task: _Task) -> None:
        """Wake the loop if it waits for the task, and let those go that only this one held back."""
        free: list[_Task] = []
        with self._changing:
            task.has_ended = True
            for other in task.behind:
                other.held_back -= 1
                if not other.held_back:
                    free.append(other)
        task.end.release()
        if free:
            self._ready.add(free)

    def _take_out(self, task: _Task) -> None:
        if task.loaded:
            try:
                self._kernel.remove(task.name)
            except Error:
                return  # in use already, or not made to be removed


class MaskedLiveKernel(LiveKernel):
    """The live kernel as serial work would see it: without what is loaded ahead of it."""

    def __init__(self, roots: Roots, prefetcher: Prefetcher) -> None:
        super().__init__(roots)
        self._prefetcher = prefetcher

    def state(self, name: str) -> str | None:
        """Return what `LiveKernel.state` does, None for a module that is loaded ahead."""
        return None if self._prefetcher.is_hidden(name) else super().state(name)


class Prefetch:
    """A `with` block in which the modules of `steps` are loaded ahead; `load_through` puts the prefetcher to work."""

    def __init__(
        self, prefetcher: Prefetcher, steps: Iterable[Step], load_through: Callable[[Prefetcher | None], None]
    ) -> None:
        self._prefetcher = prefetcher
        self._steps = steps
        self._load_through = load_through

    def __enter__(self) -> None:
        self._load_through(self._prefetcher)
        try:
            self._prefetcher.start(self._steps)
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_error: object) -> None:
        try:
            self._prefetcher.finish()
        finally:
            self._load_through(None)
