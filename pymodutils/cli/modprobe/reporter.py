# SPDX-License-Identifier: LGPL-2.1-or-later
"""What modprobe reports: steps, failures in kmod's words and how far each ends the work, plans as JSON."""

from __future__ import annotations

import errno
import posix

from ...errors import (
    CommandError,
    CompressionError,
    DeniedError,
    FileError,
    MissingSupportError,
    NotFoundError,
    RemoveError,
)
from ..console import CRITICAL, WARNING, CommandExit, OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...diagnosis.causes.case import Explanation
    from ...diagnostics import Diagnostic
    from ...errors import Error
    from ...planning.lookup import Match
    from ...planning.plan import Plan, Step
    from ..console import Console
    from ..documents import Plans
    from .options import ModprobeOptions

UNKNOWN_SYMBOL = "Unknown symbol in module, or unknown parameter (see dmesg)"

# Reasons of steps that do nothing.
_BAD_NAME, _IN_USE, _IS_BUILTIN, _NOT_LOADED = "unmatched bracket", "in use", "part of the kernel", "not in the kernel"


class Reporter:
    """Speaks for one run of modprobe."""

    def __init__(self, options: ModprobeOptions, console: Console) -> None:
        self._options = options
        self._removes = options.removes
        self._console = console
        self._plans: Plans | None = None
        self._unwritten: OutputError | None = None
        self.context: Context | None = None
        """The system in which failures are explained; None where they are not."""
        self._explanations: tuple[Explanation, ...] = ()
        if options.json:
            from ..documents import Plans

            self._plans = Plans()

    # --- plans

    def found(self, operand: str, targets: list[Match]) -> None:
        """Note the modules that an operand stands for, for the JSON document of -R."""
        if self._plans:
            for target in targets:
                self._plans.add_match(operand, target)

    def planned(self, operand: str, plan: Plan) -> None:
        """Note a plan for the JSON document, and report names in softdep lines that cannot be ones."""
        if not plan.request.removal:
            for step in plan.steps:
                if step.reason == _BAD_NAME:
                    self.left_alone(step)
        if self._plans:
            self._plans.add(operand, plan)

    def write_plans(self) -> None:
        """Print the JSON document."""
        if self._plans:
            self._console.write(self._plans.document().to_json())

    def carried_out(self, done: list[Step], error: Error | None) -> None:
        """Note what became of the last plan for the JSON document."""
        if self._plans:
            self._plans.carried_out(done, error)
            self._plans.explained(self._explanations)

    # --- why

    def mark_kernel_log(self) -> None:
        """Remember where the kernel's log ends, if a failure will be explained."""
        if self.context:
            self._console.mark_kernel_log()

    def _explain(self, error: Error, asked: str | None = None, parameters: str = "") -> None:
        """Print why something failed, unless near names were shown."""
        if self.context and not self._console.has_hinted():
            from ..explaining import explain_failure

            action = "unload" if self._options.removes else "load"
            self._explanations = explain_failure(
                error, self.context, self._console, asked=asked, parameters=parameters, action=action
            )

    # --- what happens

    def step_started(self, step: Step) -> None:
        """Print the line of -v for a step, and report why one does nothing when removing.

        A line that cannot be written does not keep a module from being loaded; `raise_unwritten` comes at the end.
        """
        shows = self._console.level > WARNING and not self._unwritten and not self._plans
        if not shows and not self._removes:
            return
        line = step.line()
        if line is None:
            if self._removes:
                self.left_alone(step)
        elif shows:
            try:
                self._console.write(line + "\n")
                self._console.flush()
            except OutputError as error:
                self._unwritten = error

    def raise_unwritten(self) -> None:
        """Raise the `OutputError` that a line of -v met."""
        if self._unwritten:
            raise self._unwritten

    def step_failed(self, error: Exception) -> None:
        """Report a step's failure, which does not by itself decide the status."""
        console = self._console
        if isinstance(error, CommandError) and self._removes:
            self.fatal(f"Error running remove command for {error.module}", error)
        elif isinstance(error, DeniedError):
            why = f": {error.denial}" if error.denial else ""
            console.error(f"{error.module} is denied by {error.path}:{error.line}{why}")
        elif isinstance(error, CommandError):
            console.error(f"Error running install command '{error.command}' for module {error.module}: {error.reason}")
        elif isinstance(error, RemoveError) and error.errno == errno.ENOENT:
            self._not_in_kernel(error.module)
        elif isinstance(error, RemoveError):
            console.error(f"could not remove '{error.module}': {error.strerror}")
            self._explain(error)
        elif isinstance(error, NotFoundError):
            console.error(f"could not find module by name='{error.module}'")

    def left_alone(self, step: Step) -> None:
        """Report why nothing is done about a module."""
        if step.reason == _BAD_NAME:
            self._console.error(f"failed to lookup dependency '{step.module}', continuing anyway.")
        elif step.reason == _IS_BUILTIN and step.why == "request":
            self.fatal(f"Module {step.module} is builtin.", _refused(step, errno.EPERM))
        elif step.reason == _IN_USE:
            self.fatal(f"Module {step.module} is in use.", _refused(step, errno.EAGAIN))
        elif step.reason == _NOT_LOADED and step.why != "holder" and self._options.first_time:
            self._not_in_kernel(step.module)

    def _not_in_kernel(self, name: str | None) -> None:
        error = RemoveError(_NOT_LOADED, module=name, errno=errno.ENOENT)
        self.fatal(f"Module {name} is not in kernel.", error)

    # --- what goes wrong; each returns the status

    def fatal(self, text: str, error: Error | None = None) -> int:
        """Report what ends the command: with -a it is only a warning, with -q nothing at all. Raises `CommandExit`.

        Nothing ends where nothing is said. `error` is what is explained after that.
        """
        ends = not self._options.all and self._console.level >= CRITICAL
        if ends:
            self._console.fatal(text)
        elif self._options.all:
            self._console.warning(text)
        if error:
            self._refused(error)
        if ends:
            raise CommandExit(1)
        return 1

    def _refused(self, error: Error, asked: str | None = None) -> None:
        """Note what made the last plan fail for the JSON document, and explain it."""
        if self._plans:
            self._plans.refused(error)
        self._explain(error, asked)
        if self._plans:
            self._plans.explained(self._explanations)

    def not_found(self, operand: str, context: Context) -> int:
        """Report an operand that stands for nothing."""
        where = "." if self._removes else f" in directory {context.tree.directory}"
        try:
            return self._unknown(operand, f"Module {operand} not found{where}")
        finally:
            if not self._options.quiet and self._console.helps_a_person():
                from ..hints import module_not_found

                module_not_found(operand, context, self._console)
            self._refused(NotFoundError("module not found", asked=operand))

    def no_name(self, operand: str) -> int:
        """Note an operand that cannot be a name. kmod says nothing of it."""
        if self._plans:
            self._plans.add_unknown(operand)
            self._plans.refused(NotFoundError("unmatched bracket", asked=operand))
        return 1

    def no_such_file(self, operand: str, error: FileError) -> int:
        """Report a path where no module file is."""
        number = errno.ENOENT if error.errno == errno.EISDIR else error.errno  # kmod looks for the name of a module
        try:
            return self._unknown(operand, f"Failed to get module from path {operand}: {posix.strerror(number or 0)}")
        finally:
            self._refused(error, operand)

    def _unknown(self, operand: str, text: str) -> int:
        if self._plans:
            self._plans.add_unknown(operand)
        return self.fatal(text)

    def not_loaded(self, operand: str, target: Match, error: Error, parameters: str = "") -> int:
        """Report why a module that was asked for was not loaded."""
        if self._plans:
            self._plans.failed(operand, target, error)
        if isinstance(error, CompressionError):
            self._console.error(error.reason)
        self._console.error(f"could not insert '{target.name}': {_refusal(error)}")
        self._explain(error, operand, parameters)
        if self._plans:
            self._plans.explained(self._explanations)
        return 1

    def unreadable_symbols(self, what: str, name: str, error: Error) -> int:
        """Report a module file that cannot be read."""
        if isinstance(error, CompressionError):
            self._console.error(error.reason)
        why = error.reason if isinstance(error, MissingSupportError) else error.strerror
        return self.no_symbols(what, name, why)

    def no_symbols(self, what: str, name: str, why: str) -> int:
        """Report a module whose symbols cannot be shown."""
        return self.fatal(f"could not get {what} of {name}: {why}")

    def problem(self, problem: Diagnostic) -> None:
        """Report what could be got over: about the configuration as libkmod says it, even with -q; about an index."""
        if problem.code in ("unusable-index", "missing-tree"):
            self._console.on_problem(problem)
        elif problem.code == "carriage-return":  # kmod says nothing, so that -q silences it
            self._console.warning(f"{problem.file} line {problem.line}: {problem.text}; see kmod lint")
        else:
            self._console.write_stderr_line(f"libkmod: ERROR: {_config_message(problem)}")


def _refusal(error: Error) -> str:
    """Return why a module was not loaded."""
    if isinstance(error, FileError) and error.errno == errno.ENOENT:
        return str(error)  # which file is missing; kmod takes it for an unknown symbol
    if isinstance(error, MissingSupportError):
        return error.reason  # what to install
    if error.errno == errno.EEXIST:
        return "Module already in kernel"
    return UNKNOWN_SYMBOL if error.errno == errno.ENOENT else error.strerror


def _config_message(problem: Diagnostic) -> str:
    """Return what is wrong with the configuration, as libkmod says it."""
    file, subject = problem.file, problem.subject
    if problem.code == "bad-line":
        return f"kmod_config_parse: {file} line {problem.line}: ignoring bad line starting with '{subject}'"
    if problem.code == "retired-directive":
        return f"kmod_config_parse: {file}: command {subject} is deprecated and not parsed anymore"
    if problem.code == "bad-module-name":
        return (
            f"kcmdline_parse_result: Ignoring bad option on kernel command line while parsing module name: '{subject}'"
        )
    if problem.code == "unreadable-directory":
        return f"conf_files_list: opendir({file}): {problem.text}"
    if problem.code == "unusable-entry" and problem.errno == errno.EISDIR:
        return f"conf_files_filter_out: Directories inside directories are not supported: {file}"
    if problem.code == "unusable-entry":
        return f"conf_files_filter_out: Cannot stat directory entry: {file}"
    return f"kmod_config_new: {file}: {problem.text}"


def _refused(step: Step, number: int) -> RemoveError:
    """Return the error that stands for a step that leaves its module alone."""
    return RemoveError(step.reason or "", module=step.module, errno=number)
