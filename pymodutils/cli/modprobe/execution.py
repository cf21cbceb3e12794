# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe carries plans out as the options say. Apart from `load`, because looking must not pay for acting."""

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

from ...errors import Error
from ...observer import Observer
from ...osparts import environ
from ...planning.plan import Step
from .options import ENVIRONMENT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...planning.lookup import Match
    from ...planning.plan import Plan
    from .options import ModprobeOptions
    from .reporter import Reporter


LOCALE = "LC_CTYPE"
PYTHONS_OWN = ("C.UTF-8", "C.utf8", "UTF-8")
"""What Python sets `LOCALE` to, for itself and all that it starts, when it is started in the C locale (PEP 538)."""


class Execution(Observer):
    """Loads and unloads, lets the reporter hear of each step, and takes interrupts in while a command runs."""

    def __init__(self, context: Context, options: ModprobeOptions, reporter: Reporter) -> None:
        self._context = context
        self._options = options
        self._reporter = reporter
        self._environment = environment(options)
        self._done: list[Step] = []
        self._interrupts: list[int] = []
        self._collects_interrupts = False
        reporter.mark_kernel_log()
        if getsignal(SIGCHLD) == SIG_IGN:
            signal(SIGCHLD, SIG_DFL)  # else there would be no status to wait for: a process passes that on

    def load(self, plan: Plan) -> None:
        """Load what a plan says. Raises `Error`."""
        options = self._options
        with self:
            self._context.load(
                plan,
                first_time=options.first_time,
                ignore_modversions=options.force or options.force_modversion,
                ignore_vermagic=options.force or options.force_vermagic,
                environment=self._environment,
                observer=self,
            )

    def unload(self, target: Match) -> None:
        """Unload a module and what only it needed. Raises `Error`."""
        options = self._options
        with self:
            self._context.unload(
                target,
                holders=options.remove_holders,
                wait=options.wait / 1000,
                first_time=options.first_time,
                force=options.force,
                ignore_commands=options.ignore_commands,
                environment=self._environment,
                observer=self,
            )

    def __enter__(self) -> None:
        self._done = []

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        self._reporter.carried_out(self._done, error if isinstance(error, Error) else None)

    def step_started(self, step: object) -> None:
        """Report a step before it is done, and before anything that its command prints."""
        if isinstance(step, Step):
            self._reporter.step_started(step)
            if step.command is not None:
                self._collects_interrupts = self._collect_interrupts()

    def step_done(self, step: object, error: Exception | None) -> None:
        """Report how a step has ended. Raises `KeyboardInterrupt` for one that came while its command ran."""
        if self._collects_interrupts:
            signal(SIGINT, default_int_handler)
            self._collects_interrupts = False
        if self._interrupts:
            raise KeyboardInterrupt
        if error:
            self._reporter.step_failed(error)
        elif isinstance(step, Step) and step.action not in ("skip", "builtin"):
            self._done.append(step)

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


def environment(options: ModprobeOptions) -> dict[str, str]:
    """Return the environment of install and remove commands: a modprobe in them gets our -q, -s, -v and -C."""
    variables = dict(environ())
    variables.pop("", None)  # an entry that begins with `=`, which nobody can pass on
    if variables.get(LOCALE) in PYTHONS_OWN:
        _take_back_locale(variables)
    if options.inherited:
        given = [variables[ENVIRONMENT]] if ENVIRONMENT in variables else []
        variables[ENVIRONMENT] = " ".join([*given, *options.inherited])
    return variables


def _take_back_locale(variables: dict[str, str]) -> None:
    """Put `LOCALE` back to what this process was started with; the programs of a command sort and match by it."""
    try:
        with open("/proc/self/environ", "rb") as file:  # what Python changes later does not show there
            started_with = file.read().decode("utf-8", "surrogateescape").split("\0")
    except OSError:
        started_with = []  # no /proc yet, so the system is booting, and nobody has set a locale
    del variables[LOCALE]
    for entry in started_with:
        name, equals, value = entry.partition("=")
        if name == LOCALE and equals:
            variables[LOCALE] = value
