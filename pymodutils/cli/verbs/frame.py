# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all verbs of kmod share: where to look, how they answer, and their exit status (docs/verbs.md)."""

from __future__ import annotations

import errno
import os
import time

from ...context import Context
from ...errors import NotFoundError
from ...observer import Observer
from ...roots import Roots
from ..console import CommandExit
from ..main import attempt
from ..options import HELP, JSON, VERSION, CommandLine, CommandOptions, Option, absolute
from .page import Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import TypeVar

    from ...diagnostics import Diagnostic
    from ...verbs.report import Report
    from ..console import Console

    Rep = TypeVar("Rep", bound=Report)

YES, NO, CANNOT_TELL = 0, 1, 2
"""Exit status of a verb: yes, or nothing found wrong; no, or something found; it could not be found out."""

WHERE = (
    Option("root", "", ("root",), "ask about the whole other system below DIR", "DIR"),
    Option("set_version", "S", ("set-version",), "take the modules of kernel VERSION", "VERSION"),
    Option("dirname", "d", ("dirname",), "look in DIR/lib/modules", "DIR"),
    Option("module_dir", "m", ("moduledir",), "look in DIR, not in /lib/modules", "DIR"),
    Option("config", "C", ("config",), "read this file or directory instead of the configuration directories", "PATH",
           repeats=True),
)  # fmt: skip
"""Options that tell which system is meant."""


class VerbOptions(CommandOptions):
    """What the options of a verb say: those of all verbs. A verb with its own has a subclass."""

    root: str | None = None
    set_version = ""
    dirname: str | None = None
    module_dir = ""
    config: tuple[str, ...] = ()


class VerbLine(CommandLine):
    """What a verb accepts: its own options, then those of all verbs. A mistake ends with the status CANNOT_TELL."""

    def __init__(
        self,
        usage: Sequence[str],
        groups: Mapping[str, tuple[Option, ...]],
        *,
        page: str,
        notes: str = "",
        examples: Sequence[str] = (),
    ) -> None:
        common = {"Where to look": WHERE, "Output": (JSON, VERSION, HELP)}
        super().__init__(usage, {**groups, **common}, page=page, notes=notes, examples=examples)

    def read(self, arguments: Sequence[str], console: Console, options: CommandOptions) -> list[str]:
        """Store what the options say, and return the operands."""
        try:
            return super().read(arguments, console, options)
        except CommandExit as end:
            raise CommandExit(CANNOT_TELL if end.status else YES) from None


class Verb:
    """One run of a verb: what was asked for, the system that it is about, and how to answer."""

    def __init__(self, operands: list[str], options: VerbOptions, console: Console, roots: Roots) -> None:
        self.operands = operands
        self.console = console
        self._problems: list[Diagnostic] = []
        if "" in operands:  # a script's variable without a value: `check` would call it absent, and all well
            self.refuse("an operand is empty")
        for path in options.config:  # modprobe passes over it; lint would find nothing wrong with what is not there
            if not os.path.lexists(absolute(path)):
                self.refuse(f"{path}: {os.strerror(errno.ENOENT)}")
        for directory in (options.root, options.dirname):  # likewise: nothing is denied there, and no rule is wrong
            if directory and not os.path.isdir(absolute(directory)):
                self.refuse(f"{directory}: {_why_no_directory(absolute(directory))}")
        self.context: Context = Context(
            chosen_roots(options, roots),
            config=[absolute(path) for path in options.config],
            on_problem=self._problems.append,
        )
        self.progress: Progress = Progress(console)
        """An observer that shows on a terminal how far the work is."""
        self.failed: bool = False
        """Whether something could not be found out."""
        self.json: bool = options.json
        """Whether the answer is to be JSON."""
        self.troubled: set[str] = set()
        """Files and directories that errors were printed about."""
        self.has_shown: bool = False
        """Whether a document or a text was printed."""

    def need_operand(self, what: str) -> None:
        """Raise `CommandExit`, after a word about it, when there is no operand."""
        if not self.operands:
            self.refuse(f"missing {what}. See kmod {self.console.argv0} --help.")

    def refuse(self, reason: str) -> None:
        """Say why this cannot be answered, and raise `CommandExit`."""
        self.console.error(reason)
        raise CommandExit(CANNOT_TELL, reason)

    def page(self) -> Page:
        """Return an empty page for text."""
        return Page(colour=self.console.shows_colour())

    def show(self, report: Report, write: Callable[[Page], None], *, json: bool = False) -> None:
        """Print a report: as JSON (with `json`, or --json), or as the text that `write` puts on a page; then errors."""
        report = self.whole(report)
        self.has_shown = True
        if json or self.json:
            self.console.write(report.to_json())
        else:
            page = self.page()
            write(page)
            self.console.write(page.text())
        self.show_errors(report)

    def whole(self, report: Rep) -> Rep:
        """Return a report with what was wrong with the configuration and the indexes among its errors."""
        return report.with_problems(self._problems)

    def show_errors(self, report: Report) -> None:
        """Print what could not be found out, for a verb that prints the rest itself."""
        self.failed = bool(report.errors)
        for error in report.errors:
            place = f"{error.file}:{error.line}" if error.file and error.line else error.file
            subject = None if _is_same_path(error.subject, error.file) else error.subject
            about = ": ".join([part for part in (subject, place, error.text) if part])
            # Of a module that was not found there is no file: it was looked for in the module directory.
            self.troubled.add(self.context.tree.directory if error.code == "not-found" else error.file or "")
            say = self.console.warning if error.severity == "warning" else self.console.error
            say(about)


def run_verb(
    line: VerbLine,
    options: VerbOptions,
    arguments: Sequence[str],
    console: Console,
    roots: Roots | None,
    answer: Callable[[Verb], int],
    *,
    streams: bool = False,
) -> int:
    """Read the command line, let `answer` answer, and return the exit status.

    That is what `answer` returns, CANNOT_TELL when something could not be found out: the report has errors, an error
    was raised, or an operand is missing. Where there is no answer, --json prints a document with the reason alone,
    unless the verb `streams` lines.
    """
    made: list[Verb] = []
    wrong: list[tuple[Exception, str]] = []

    def run() -> int:
        operands = line.read(arguments, console, options)
        verb = Verb(operands, options, console, roots or Roots())
        made.append(verb)
        with verb.context:
            try:
                status = answer(verb)
            except NotFoundError as error:
                if not error.similar:
                    raise
                text = f"{error}; similar names: {', '.join(error.similar)}"
                console.error(text)
                wrong.append((error, text))
                return CANNOT_TELL
        console.flush()
        return CANNOT_TELL if verb.failed else status

    status = attempt(console, run, CANNOT_TELL, lambda error, text: wrong.append((error, text)))
    if status == CANNOT_TELL and made and console.helps_a_person():
        _hint(made[0], wrong[0][0] if wrong else None)
    wants_json = options.json or getattr(options, "format", None) == "json"
    if wrong and wants_json and not streams and not any(verb.has_shown for verb in made):

        def write() -> int:
            console.write(_without_answer(line, chosen_roots(options, roots or Roots()), *wrong[0]))
            console.flush()
            return status

        return attempt(console, write, CANNOT_TELL)
    return status


def _is_same_path(subject: str | None, file: str | None) -> bool:
    """Tell whether what was asked for is the file itself, perhaps by a relative path."""
    return bool(subject and file) and os.path.abspath(subject or "") == os.path.abspath(file or "")


def _hint(verb: Verb, error: Exception | None) -> None:
    """Print for a person what helps where no modules are found: which kernels have some, or that /proc is missing."""
    from ..hints import no_directory, no_module_list

    troubled = verb.troubled | {str(getattr(error, "path", ""))}
    roots = verb.context.roots
    if f"{roots.proc}/modules" in troubled:
        no_module_list(roots, verb.console)
    elif verb.context.tree.directory in troubled and not verb.context.exists:
        no_directory(verb.context, verb.console)


def _without_answer(line: VerbLine, roots: Roots, error: Exception, text: str) -> str:
    """Return the document of a verb that has no answer: its head, with the reason."""
    from ...verbs.report import Report

    name = line.page.removeprefix("kmod-").partition("(")[0]
    return Report.without_answer(name, roots, error, text).to_json()


def chosen_roots(options: VerbOptions, roots: Roots) -> Roots:
    """Return the system that the options mean."""
    root = "" if options.root is None else absolute(options.root).rstrip("/")
    if root:
        roots = Roots.of_system(root)
    if options.dirname is not None:
        roots = roots.replace(base=options.dirname and absolute(options.dirname))
    if options.module_dir:
        roots = roots.replace(module_dir=absolute(options.module_dir).rstrip("/"))
    return roots.replace(release=options.set_version or roots.release or (root and _only_release(roots)))


def _why_no_directory(path: str) -> str:
    try:
        os.stat(path)
    except OSError as error:
        return error.strerror or str(error)
    return os.strerror(errno.ENOTDIR)


def _only_release(roots: Roots) -> str:
    """Return the kernel of another system, if it has just one; its name is seldom that of the running one."""
    try:
        with os.scandir(roots.base + roots.module_dir) as entries:
            found = [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return ""
    return found[0] if len(found) == 1 else ""


class Progress(Observer):
    """Shows how far long work is: one line on a terminal, from half a second after the start on."""

    AFTER = 0.5
    EVERY = 0.1

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next = time.monotonic() + self.AFTER

    def progress(self, done: int, total: int, what: str) -> None:
        """Show that `done` of `total` things named `what` are done."""
        now = time.monotonic()
        if now >= self._next:
            shown = self._console.has_terminal() and os.environ.get("TERM", "dumb") != "dumb"
            self._next = now + self.EVERY if shown else float("inf")
            if shown:
                self._console.status_line(f"{done} of {total} {what}" if total else f"{done} {what}")
