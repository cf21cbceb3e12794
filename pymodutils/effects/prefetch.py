# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loading several modules at the same time (`modprobe -a -j N`).

The program's own loop stays as it is: one operand after the other, step by step, so that messages and results are those
of serial work. This loads ahead of it: modules that its plans will come to, each as soon as what must come before it is
loaded, in threads (the kernel does the work, and ctypes lets other threads run meanwhile). When the loop arrives at a
step it is told what the kernel said; until then it sees a kernel without that module.
"""

from __future__ import annotations

import errno
import threading

from ..errors import Error, InsertError
from ..names import module_name, normalize_name
from ..planning.plan import INSERT
from ..state.live import LiveKernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..planning.plan import Step
    from ..roots import Roots
    from .executor import Loader, LoadOptions


class _Task:
    """A module to load ahead, after those in `before`."""

    def __init__(self, step: Step, before: list[_Task]) -> None:
        self.name = step.module
        self.path = step.path or ""
        self.parameters = step.arguments
        self.before = before
        self.ended = False
        self.loaded = False  # by us
        self.error: BaseException | None = None  # what the kernel said; None also for one that was not tried

    @property
    def there(self) -> bool:
        """Tell whether the module is in the kernel, loaded by us or by somebody else."""
        return self.loaded or (isinstance(self.error, InsertError) and self.error.errno == errno.EEXIST)


class Prefetcher:
    """A `Loader` that may have loaded a module already when it is asked to.

    `dependencies` tells the names of a module's hard dependencies; of `options` the `ignore_*` count.
    """

    def __init__(
        self, kernel: Loader, jobs: int, options: LoadOptions, dependencies: Callable[[str], Sequence[str]]
    ) -> None:
        self._kernel = kernel
        self._jobs = jobs
        self._options = options
        self._dependencies = dependencies
        self._changed = threading.Condition()
        self._waiting: list[_Task] = []  # in serial order
        self._tasks: dict[str, _Task] = {}  # by module; those that the loop has not come to yet
        self._threads: list[threading.Thread] = []

    def start(self, steps: Iterable[Step]) -> None:
        """Begin with the steps that load a module, given in serial order."""
        for step in steps:
            if step.action == INSERT and step.path is not None and step.module not in self._tasks:
                names = (*step.after, *self._dependencies(step.module))
                before = [self._tasks[name] for name in names if name in self._tasks]
                self._tasks[step.module] = _Task(step, before)
        self._waiting = list(self._tasks.values())
        for _ in range(min(self._jobs, len(self._waiting))):
            thread = threading.Thread(target=self._work, daemon=True)
            try:
                thread.start()
            except RuntimeError:  # no memory for more, or not allowed
                break
            self._threads.append(thread)
        if not self._threads:
            self._waiting, self._tasks = [], {}  # the loop does it all

    def is_hidden(self, name: str) -> bool:
        """Tell whether the loop must not see this module in the kernel yet."""
        return normalize_name(name) in self._tasks

    def finish(self) -> None:
        """Begin nothing more, and wait until nothing is under way; take out what serial work would not have loaded."""
        with self._changed:
            self._waiting.clear()  # where the loop came to its end there is nothing left
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
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
            with self._changed:
                self._changed.wait_for(lambda: task.ended)
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

    def _work(self) -> None:
        while task := self._next():
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

    def _next(self) -> _Task | None:
        """Return the first task that nothing holds back; None when none is left."""
        with self._changed:
            while self._waiting:
                for task in list(self._waiting):
                    if not all(other.ended for other in task.before):
                        continue
                    self._waiting.remove(task)
                    if all(other.there for other in task.before):
                        return task
                    task.ended = True  # not tried: serial work decides what a failure before it means
                    self._changed.notify_all()
                if self._waiting:
                    self._changed.wait()
        return None

    def _end(self, task: _Task) -> None:
        with self._changed:
            task.ended = True
            self._changed.notify_all()

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
        self, prefetcher: Prefetcher, steps: Sequence[Step], load_through: Callable[[Prefetcher | None], None]
    ) -> None:
        self._prefetcher = prefetcher
        self._steps = steps
        self._load_through = load_through

    def __enter__(self) -> None:
        self._load_through(self._prefetcher)
        self._prefetcher.start(self._steps)

    def __exit__(self, *_error: object) -> None:
        try:
            self._prefetcher.finish()
        finally:
            self._load_through(None)
