"""What modprobe says while modules are loaded and removed.

Apart from the rest, because looking (-n, -D, -R) must not pay for it.
"""

from __future__ import annotations

from _signal import (  # type: ignore[import-not-found]  # `signal` imports enum
    SIG_DFL,
    SIG_IGN,
    SIGCHLD,
    SIGINT,
    default_int_handler,
    getsignal,
    signal,
)

from ..errors import CommandError, NotFoundError, RemoveError
from ..observer import Observer
from ..planning.plan import BAD_NAME, HOLDER, IN_USE, IS_BUILTIN, NOT_LOADED, REQUEST, SKIP, Step
from .console import WARNING, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .modprobe import Session

ENOENT = 2


class Reporter(Observer):
    """Tells of one run of modprobe, and takes interrupts in while a command runs."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._interrupts: list[int] = []
        self._collects = False
        if getsignal(SIGCHLD) == SIG_IGN:
            signal(SIGCHLD, SIG_DFL)  # else there would be no status to wait for: a process passes that on

    def step_started(self, step: object) -> None:
        """Show the line of -v before its step runs, and before anything that a command prints."""
        if not isinstance(step, Step):
            return
        if step.action == SKIP:
            if self._session.removing:
                self.refuse(step)
            return
        line = step.line()
        if line is not None:
            self.show(line)
        if step.command is not None:
            self._collects = self._collect_interrupts()

    def step_done(self, step: object, error: Exception | None) -> None:
        """Tell of a failure that does not by itself decide the status."""
        if self._collects:
            signal(SIGINT, default_int_handler)
            self._collects = False
        if self._interrupts:
            raise KeyboardInterrupt
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

    def show(self, line: str) -> None:
        """Show a line of -v.

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

    def refuse(self, step: Step) -> None:
        """Say why nothing is done about a module that was to be removed."""
        session = self._session
        if step.reason == BAD_NAME:
            session.report_bad_names([step])
        elif step.reason == IS_BUILTIN and step.why == REQUEST:
            session.fatal(f"Module {step.module} is builtin.")
        elif step.reason == IN_USE:
            session.fatal(f"Module {step.module} is in use.")
        elif step.reason == NOT_LOADED and step.why != HOLDER and "first-time" in session.flags:
            session.fatal(f"Module {step.module} is not in kernel.")

    def _collect_interrupts(self) -> bool:
        """Take interrupts in instead of being ended by them; tell whether that can be done.

        The command got them as well, and may clean up before it ends: modprobe does not leave it alone with that.
        """
        if getsignal(SIGINT) is not default_int_handler:
            return False  # they are ignored, or somebody else's business
        try:
            signal(SIGINT, lambda number, _frame: self._interrupts.append(number))
        except ValueError:
            return False  # in another thread than the first, which gets no interrupts
        return True
