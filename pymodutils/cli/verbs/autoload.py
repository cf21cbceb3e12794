# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod autoload, or kerneld: load the modules that devices ask for (kmod-autoload(8))."""

from __future__ import annotations

import os
import signal

from ...observer import Observer
from ...verbs.autoload import AutoloadedModule, Autoloader
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, Cell
from .readiness import Readiness, go_to_background, leave_terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

    from ...roots import Roots
    from ...verbs.autoload import AutoloadReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options]"],
    {
        "What to do": (
            Option("coldplug", "", ("coldplug",), "end when the devices that are there now are done with"),
            Option("daemon", "", ("daemon",), "go to the background when that is so"),
            Option("dry_run", "n", ("dry-run",), "show what would be loaded for the devices that are there now"),
            Option("jobs", "j", ("jobs",), "load up to N modules side by side (default 4)", "N"),
            Option("ready_fd", "", ("ready-fd",), "write a line end to descriptor N when it is ready", "N"),
        )
    },
    page="kmod-autoload(8)",
    examples=["kmod autoload --coldplug -j 8"],
)

STYLES = {"loaded": GOOD, "would-load": GOOD, "denied": FAINT, "failed": BAD}


class AutoloadOptions(VerbOptions):
    """What the options say."""

    coldplug = False
    daemon = False
    dry_run = False
    jobs = "4"
    ready_fd: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Load modules for devices; NO if one that was there at the beginning could not be loaded."""
    options = AutoloadOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: AutoloadOptions) -> int:
    if verb.operands:
        verb.refuse(f"loads for all devices, not {' '.join(verb.operands)}. See kmod autoload --help.")
    jobs = _number(verb, options.jobs, 1)
    descriptor = -1 if options.ready_fd is None else _descriptor(verb, options.ready_fd)
    follow = not options.dry_run and (options.daemon or not options.coldplug)
    to_parent = go_to_background() if follow and options.daemon else -1
    service = _Service(verb, options, Readiness(descriptor), to_parent)
    with Autoloader(verb.context, follow=follow, jobs=jobs, dry_run=options.dry_run, observer=service) as loader:
        return service.work(loader, follow=follow)


def _number(verb: Verb, text: str, least: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 5) or int(text) < least:
        verb.refuse(f"no number to go by: {text}")
    return int(text)


def _descriptor(verb: Verb, text: str) -> int:
    number = _number(verb, text, 0)
    try:
        os.fstat(number)
    except OSError:
        verb.refuse(f"no open descriptor: {text}")
    return number


class _Service(Observer):
    """What the command says and hears while modules are loaded."""

    def __init__(self, verb: Verb, options: AutoloadOptions, readiness: Readiness, to_parent: int) -> None:
        self._verb = verb
        self._says_lines = not options.json
        self._readiness = readiness
        self._to_parent = to_parent
        self._is_ready = False
        self._wants_status = False

    def work(self, loader: Autoloader, *, follow: bool) -> int:
        """Do what was asked for, and return the status."""
        if not follow:
            loader.coldplug()
            self._ready()
            return self._finish(loader.report())
        before = {}
        wake, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        written = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, self._end)
            before[signal.SIGUSR1] = signal.signal(signal.SIGUSR1, self._want_status)
            loader.coldplug()
            self._ready()
            while True:
                self._tell_status(loader)
                loader.turn(None, wake)
                self._drain(wake)
        except KeyboardInterrupt:
            self._readiness.tell("STOPPING=1")
        finally:
            for known, handler in before.items():
                signal.signal(known, handler)
            signal.set_wakeup_fd(written)
            os.close(wake)
            os.close(write)
        self._finish(loader.report())
        return YES

    def _ready(self) -> None:
        """Tell those who wait that the devices that were there are done with."""
        if self._is_ready:
            return
        self._is_ready = True
        self._verb.console.flush()
        if self._to_parent >= 0:
            leave_terminal()
            self._verb.console.syslog = True
            os.write(self._to_parent, b"\n")
            os.close(self._to_parent)
        self._readiness.ready()

    def _finish(self, report: AutoloadReport) -> int:
        self._verb.show(report, lambda page: None)
        return NO if report.failed else YES

    def step_done(self, step: object, error: Exception | None) -> None:
        """Say what came of a module."""
        if not isinstance(step, AutoloadedModule):
            return
        if error is not None:
            self._verb.console.error(f"{step.module}: {step.error} (for {step.device})")
        elif self._says_lines and step.outcome in STYLES:
            page = self._verb.page()
            by = f" by {step.by.origin}" if step.by else ""
            word = Cell(step.outcome.replace("-", " "), STYLES[step.outcome])
            page.cells(word, Cell(f" {step.module}{by} for {step.device}"))
            self._verb.console.write(page.text())
            self._verb.console.flush()

    def _end(self, _number: int, _frame: FrameType | None) -> NoReturn:
        """End once: a second signal must not disturb the end of the loads under way."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    def _want_status(self, _number: int, _frame: FrameType | None) -> None:
        self._wants_status = True

    def _tell_status(self, loader: Autoloader) -> None:
        """Say what was done so far, when somebody has asked for it."""
        if self._wants_status:
            self._wants_status = False
            text = status_line(loader.report())
            self._verb.console.warning(text)
            self._readiness.tell(f"STATUS={text}")

    @staticmethod
    def _drain(wake: int) -> None:
        try:
            while os.read(wake, 64):
                pass
        except BlockingIOError:
            return


def status_line(report: AutoloadReport) -> str:
    """Return what was done so far, in a line."""
    counts = dict.fromkeys(("loaded", "present", "denied", "failed"), 0)
    for module in report.modules:
        counts[module.outcome] = counts.get(module.outcome, 0) + 1
    modules = ", ".join(f"{count} {word}" for word, count in counts.items())
    return (
        f"modules: {modules}; {report.aliases} modaliases, {report.unmatched} of no module; {report.events} events, "
        f"{report.foreign} foreign messages; devices looked at {report.coldplugs} times"
    )
