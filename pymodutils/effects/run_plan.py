"""Carrying plans out: step by step, looking at the kernel again before each."""

from __future__ import annotations

from time import monotonic, sleep

from ..errors import CommandError, Error, InsertError, NotFoundError, RemoveError
from ..planning.steps import BUILTIN, COMMAND, SKIP, step_line
from ..records import Record
from .commands import run_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Protocol

    from ..planning.lookup import World
    from ..planning.removal import Steps
    from ..planning.steps import Step

    class Loader(Protocol):
        """What changes the kernel: `execute.Kernel`, or a fake of it."""

        def insert(
            self, path: str, parameters: str = "", *, ignore_modversions: bool = False, ignore_vermagic: bool = False
        ) -> None:
            """Load a file."""

        def remove(self, name: str, *, force: bool = False) -> None:
            """Unload a module."""


EEXIST, EAGAIN, ENOENT = 17, 11, 2
LONGEST_PAUSE = 60.0
"""Seconds; a removal that may wait for days shall not sleep through the moment."""


class Manner(Record):
    """How to carry out: `first_time` minds a module that is there (or gone) already.

    `wait` is the time in milliseconds that a removal may wait for users to let go.
    """

    first_time: bool = False
    ignore_modversions: bool = False
    ignore_vermagic: bool = False
    force_removal: bool = False
    wait: int = 0


class Runner:
    """Carries out steps. `show` gets the line of each step before it is done, `report` failures on the way."""

    def __init__(
        self,
        world: World,
        kernel: Callable[[], Loader],
        manner: Manner,
        environment: Mapping[str, str],
        show: Callable[[str], None],
        report: Callable[[Error], None],
    ) -> None:
        self.world = world
        self.kernel = kernel
        self.manner = manner
        self.environment = environment
        self.show = show
        self.report = report

    def insertion(self, steps: Iterable[Step]) -> None:
        """Carry out a plan that loads a module. Raises what made a required step fail."""
        for step in steps:
            try:
                self.insertion_step(step)
            except Error as error:
                if step.required and not self.is_loaded_error(error, step):
                    raise

    def is_loaded_error(self, error: Error, step: Step) -> bool:
        """Whether the kernel just says that somebody else loaded the module meanwhile."""
        if not isinstance(error, InsertError) or error.errno != EEXIST:
            return False
        return not (step.asked_for and self.manner.first_time)

    def insertion_step(self, step: Step) -> None:
        """One step: insert, run a command, or nothing. Raises `Error`."""
        manner = self.manner
        if step.action == SKIP or self.is_done(step):
            return
        line = step_line(step)
        if line is not None:
            self.show(line)
        if step.action == BUILTIN:
            return
        if step.action == COMMAND:
            self.command("install", step)
        elif step.path is None:
            missing = NotFoundError("no such module", module=step.module)
            self.report(missing)
            raise missing
        else:
            self.kernel().insert(
                step.path,
                step.arguments,
                ignore_modversions=manner.ignore_modversions,
                ignore_vermagic=manner.ignore_vermagic,
            )

    def is_done(self, step: Step) -> bool:
        """Whether an earlier step, or another process, has loaded the module since the plan was made.

        With --first-time that must not pass for our own doing: the kernel is left to say so.
        """
        if self.manner.first_time and step.asked_for:
            return False
        return self.world.in_kernel(step.module)

    def command(self, kind: str, step: Step) -> None:
        """Run a step's install or remove command. Raises `CommandError`, which has been reported."""
        text = step.command or ""
        if kind == "install":
            text = text.replace("$CMDLINE_OPTS", step.arguments)
        try:
            run_command(kind, text, step.module, self.environment, self.loaded())
        except CommandError as error:
            self.report(error)
            raise

    def loaded(self) -> list[str]:
        """The names of all loaded modules; none when that cannot be known."""
        try:
            return [module.name for module in self.world.live.modules()]
        except Error:
            return []

    def removal(self, steps: Steps, refuse: Callable[[Step], None]) -> bool:
        """Carry out a removal; whether the module is gone. `refuse` is told of a module left alone, and why."""
        done = True
        try:
            step = next(steps)
            while True:
                if step.action == SKIP:
                    refuse(step)
                else:
                    done = self.removal_step(step)
                step = steps.send(done)
        except StopIteration as end:
            return bool(end.value)

    def removal_step(self, step: Step) -> bool:
        """Remove one module, or run its remove command; failures are reported. Whether it is done."""
        if self.is_gone(step):
            return True
        line = step_line(step)
        if line is not None:
            self.show(line)
        try:
            if step.command is not None:
                self.command("remove", step)
            else:
                self.remove(step.module)
        except RemoveError as error:
            if error.errno == ENOENT and not self.manner.first_time:
                return True  # somebody else was quicker
            self.report(error)
            return False
        except Error:
            return False
        return True

    def is_gone(self, step: Step) -> bool:
        """Whether an earlier step has taken the module with it: with a holder goes what only that one needed."""
        if step.command is not None or (self.manner.first_time and step.asked_for):
            return False
        return self.world.live.state(step.module) is None

    def remove(self, name: str) -> None:
        """delete_module, again and again as long as the module is in use and time is left. Raises `RemoveError`."""
        end = monotonic() + self.manner.wait / 1000
        pause = 0.001
        while True:
            try:
                return self.kernel().remove(name, force=self.manner.force_removal)
            except RemoveError as error:
                left = end - monotonic()
                if error.errno != EAGAIN or left <= 0:
                    raise
            sleep(min(pause, left))
            pause = min(2 * pause, LONGEST_PAUSE)
