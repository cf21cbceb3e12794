# SPDX-License-Identifier: LGPL-2.1-or-later
"""Carrying plans out: step by step, looking at the kernel again before each."""

from __future__ import annotations

import errno
from time import monotonic, sleep

from ..errors import DeniedError, Error, FileError, InsertError, NotFoundError, RemoveError
from ..observer import Observer
from ..osparts import environ
from ..planning.lookup import FILE
from ..planning.plan import BUILTIN, COMMAND, INSTALL_LINE, IS_BUILTIN, NOT_LOADED, SKIP
from ..records import Record
from .commands import run_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from typing import Protocol, Self

    from ..planning.plan import Step, TargetPlan
    from ..planning.removal import Steps
    from ..state.system import System

    class Loader(Protocol):
        """Changes the kernel: `KernelModules`, or something that stands for it."""

        def insert(
            self, path: str, parameters: str = "", *, ignore_modversions: bool = False, ignore_vermagic: bool = False
        ) -> None:
            """Load a file."""

        def remove(self, name: str, *, force: bool = False) -> None:
            """Unload a module."""


LONGEST_PAUSE = 60.0
"""Seconds. A removal that may wait for days must not sleep through the moment."""


class ExecutorOptions(Record):
    """How to carry a plan out.

    `first_time` makes a module that is there (or gone) already an error. `wait` is the time in seconds that a removal
    may wait for users to let go. `environment` is that of install and remove commands, by default this process's.
    """

    first_time: bool = False
    ignore_modversions: bool = False
    ignore_vermagic: bool = False
    force_removal: bool = False
    wait: float = 0.0
    environment: Mapping[str, str] | None = None


class Executor:
    """Carries out steps on one system. `observer` hears of each; `done` are the steps that changed something."""

    def __init__(
        self, system: System, kernel: Loader, options: ExecutorOptions, observer: Observer | None = None
    ) -> None:
        self.system = system
        self.kernel = kernel
        self.options = options
        self.observer: Observer = observer or Observer()
        self.done: list[Step] = []

    # --- loading

    @classmethod
    def of_loading(
        cls,
        system: System,
        kernel: Loader,
        observer: Observer | None,
        first_time: bool,
        ignore_modversions: bool,
        ignore_vermagic: bool,
        environment: Mapping[str, str] | None,
    ) -> Self:
        """Return what carries out plans that load modules; options are those of `ExecutorOptions`."""
        options = ExecutorOptions(first_time, ignore_modversions, ignore_vermagic, False, 0.0, environment)
        return cls(system, kernel, options, observer)

    def load(self, plan: TargetPlan) -> None:
        """Carry out a plan that loads a module. Raises what made a required step fail."""
        gone = plan.impossible
        if gone:
            raise FileError(gone.reason, path=gone.path, module=gone.module, errno=errno.ENOENT)
        for step in plan.steps:
            if step.action == SKIP:
                self.observer.step_started(step)
                self.observer.step_done(step, None)
            elif not self._is_loaded(step):
                self._load_step(step)

    def _is_loaded(self, step: Step) -> bool:
        """Tell whether an earlier step, or another process, has loaded the module since the plan was made.

        With `first_time` that must not pass for our own doing: the kernel is left to say so.
        """
        if self.options.first_time and step.asked_for:
            return False
        if step.origin == FILE:  # a file given by its path never stands for a builtin module
            return self.system.is_live(step.module)
        return self.system.is_available(step.module)

    def _load_step(self, step: Step) -> None:
        """Carry out one step and tell the observer; raise its error if the plan cannot go on without it."""
        self.observer.step_started(step)
        try:
            self._insert(step)
        except Error as error:
            if self._was_loaded_meanwhile(error, step):
                self.observer.step_done(step, None)
                return
            self.observer.step_done(step, error)
            if step.required:
                raise
            return
        if step.action != BUILTIN:
            self.done.append(step)
        self.observer.step_done(step, None)

    def _was_loaded_meanwhile(self, error: Error, step: Step) -> bool:
        """Tell whether the kernel just says that another process has loaded the module."""
        if not isinstance(error, InsertError) or error.errno != errno.EEXIST:
            return False
        return not (step.asked_for and self.options.first_time)

    def _insert(self, step: Step) -> None:
        """Load a file, run an install command, or do nothing for a builtin module. Raises `Error`."""
        if step.action == BUILTIN:
            return
        if step.action == COMMAND:
            self._command("install", step)
        elif step.path is None:
            raise NotFoundError("no such module", module=step.module)
        else:
            self.kernel.insert(
                step.path,
                step.arguments,
                ignore_modversions=self.options.ignore_modversions,
                ignore_vermagic=self.options.ignore_vermagic,
            )

    def _command(self, kind: str, step: Step) -> None:
        """Run a step's install or remove command. Raises `CommandError`."""
        text = step.command or ""
        if kind == "install":
            _raise_denial(step)
            text = text.replace("$CMDLINE_OPTS", step.arguments)
        environment = environ() if self.options.environment is None else self.options.environment
        run_command(kind, text, step.module, environment, self._loaded_names())

    def _loaded_names(self) -> list[str]:
        """Return the names of all loaded modules; none when that cannot be known."""
        try:
            return [module.name for module in self.system.live.modules()]
        except Error:
            return []

    # --- unloading

    def unload(self, steps: Steps) -> Error | None:
        """Carry out a removal; return what kept the module from going, None when it is gone."""
        failure: Error | None = None
        try:
            step = next(steps)
            while True:
                error = self._unload_step(step)
                failure = error or failure
                step = steps.send(error is None)
        except StopIteration as end:
            if end.value:
                return None
            return failure or RemoveError("not removed", module=step.module)

    def _unload_step(self, step: Step) -> Error | None:
        """Carry out one step and tell the observer; return what made it fail."""
        if step.action == SKIP:
            self.observer.step_started(step)
            self.observer.step_done(step, None)
            return _refusal(step)
        if self._is_gone(step):
            return None
        self.observer.step_started(step)
        try:
            if step.command is None:
                self._remove(step.module)
            else:
                self._command("remove", step)
        except RemoveError as error:
            if error.errno == errno.ENOENT and not self.options.first_time:
                self.observer.step_done(step, None)  # another process was quicker
                return None
            self.observer.step_done(step, error)
            return error
        except Error as error:
            self.observer.step_done(step, error)
            return error
        self.done.append(step)
        self.observer.step_done(step, None)
        return None

    def _is_gone(self, step: Step) -> bool:
        """Tell whether an earlier step has taken the module with it: with a holder goes what only that one needed."""
        if step.command is not None or (self.options.first_time and step.asked_for):
            return False
        return self.system.live.state(step.module) is None

    def _remove(self, name: str) -> None:
        """Call delete_module as long as the module is in use and time is left. Raises `RemoveError`."""
        end = monotonic() + self.options.wait
        pause = 0.001
        while True:
            try:
                return self.kernel.remove(name, force=self.options.force_removal)
            except RemoveError as error:
                left = end - monotonic()
                if error.errno != errno.EAGAIN or left <= 0:
                    raise
            sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)


def _raise_denial(step: Step) -> None:
    """Raise `DeniedError` for an install command that is a policy's: there is nothing to run."""
    file, _, line = (step.reason or "").removeprefix(INSTALL_LINE).rpartition(":")
    if step.command != "/bin/false" or not line.isdecimal():
        return
    from ..state.policy import is_compiled, reason_at

    if is_compiled(file):
        reason = reason_at(file, int(line))
        raise DeniedError(command=step.command, module=step.module, path=file, line=int(line), denial=reason)


def _refusal(step: Step) -> Error | None:
    """Return what a step that leaves its module alone means for what asked for it."""
    if step.reason == NOT_LOADED:
        return RemoveError(step.reason, module=step.module, errno=errno.ENOENT)
    if step.reason == IS_BUILTIN:
        return RemoveError(step.reason, module=step.module, errno=errno.EPERM)
    return RemoveError(step.reason or "not removed", module=step.module, errno=errno.EAGAIN)


def given_steps(steps: Iterable[Step]) -> Generator[Step, bool, bool]:
    """Yield the steps of a removal that was planned before; the value returned says whether the module is gone."""
    for step in steps:
        done = yield step
        if not done and step.required and step.reason != NOT_LOADED:
            return False
    return True
