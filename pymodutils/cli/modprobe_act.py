"""modprobe carries plans out: what the options say about it, and what is said while it happens.

Apart from the rest, because looking (-n, -D, -R) must not pay for acting.
"""

from __future__ import annotations

import os

from ..effects.run_plan import Manner, Runner
from ..errors import CommandError, NotFoundError, RemoveError
from .console import WARNING, OutputError
from .modprobe_options import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..effects.run_plan import Loader
    from ..errors import Error
    from ..planning.lookup import World
    from .modprobe import Session

ENOENT = 2


class Actor:
    """Acts for one run of modprobe."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._kernel: Loader | None = None

    def runner(self) -> Runner:
        """What carries plans out."""
        world = self._session.world
        return Runner(world, self.kernel, self.manner(), self.environment(), self.show, self.report)

    def manner(self) -> Manner:
        """What the options say about carrying out."""
        flags = self._session.flags
        return Manner(
            first_time="first-time" in flags,
            ignore_modversions=bool(flags & {"force", "force-modversion"}),
            ignore_vermagic=bool(flags & {"force", "force-vermagic"}),
            force_removal="force" in flags,
            wait=self._session.settings.wait,
        )

    def kernel(self) -> Loader:
        """What acts on the kernel."""
        if self._kernel is None:
            from ..effects import execute

            self._kernel = execute.Kernel(self._session.roots)
        return self._kernel

    def act_through(self, kernel: Loader, world: World) -> None:
        """Take another kernel to act on, and what it is seen as."""
        self._kernel, self._session.world = kernel, world

    def environment(self) -> dict[str, str]:
        """The environment of commands: a modprobe in them gets our -q, -s, -v and -C."""
        environment = dict(os.environ)
        environment.pop("", None)  # an entry that begins with `=`, which nobody can pass on
        words = [environment[ENVIRONMENT]] if ENVIRONMENT in environment else []
        inherited = self._session.settings.inherited
        if inherited:
            environment[ENVIRONMENT] = " ".join([*words, *inherited])
        return environment

    def show(self, line: str) -> None:
        """A line of -v appears before its step runs, and before anything that a command prints.

        One that cannot be written does not keep a module from being loaded; the status tells of it at the end.
        """
        session, console = self._session, self._session.console
        if console.level <= WARNING or session.unwritten:
            return
        try:
            console.write(line + "\n")
            console.flush()
        except OutputError as error:
            session.unwritten = error

    def report(self, error: Error) -> None:
        """A failure that does not by itself decide the status."""
        session, console = self._session, self._session.console
        if isinstance(error, CommandError) and session.removing:
            session.fatal(f"Error running remove command for {error.module}")
        elif isinstance(error, CommandError):
            console.error(f"Error running install command '{error.command}' for module {error.module}: {error.reason}")
        elif isinstance(error, RemoveError) and error.errno == ENOENT:
            session.fatal(f"Module {error.module} is not in kernel.")
        elif isinstance(error, RemoveError):
            console.error(f"could not remove '{error.module}': {error.strerror}")
        elif isinstance(error, NotFoundError):
            console.error(f"could not find module by name='{error.module}'")
