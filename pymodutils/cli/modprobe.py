"""modprobe: load and remove modules with all they need (contract 1 and 3)."""

from __future__ import annotations

import os

from ..errors import CompressionError, Error, FileError, MissingSupportError, NameSyntaxError
from ..planning.insertion import plan_insertion
from ..planning.lookup import World, from_path, is_path, lookup
from ..planning.steps import ALREADY, BAD_NAME, Request, step_line
from ..roots import Roots
from ..state.config import load_config
from ..state.live import LiveKernel
from ..state.tree import ModuleTree
from .common import Finished, absolute, parse_options, quoted
from .console import SILENT, WARNING, OutputError
from .modprobe_options import DEPRECATED, ENVIRONMENT, OPTIONS, Settings, split_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..planning.lookup import Found
    from ..planning.steps import Step
    from ..state.config import Config
    from .console import Console
    from .modprobe_act import Actor
    from .modprobe_json import Plans


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Do what the options ask for; 1 if anything failed."""
    by_kernel = list(arguments[:-1]) == ["-q", "--"]  # the form that the kernel uses, and hardly anybody else
    settings = Settings(by_kernel=by_kernel)
    arguments = [*split_environment(os.environ.get(ENVIRONMENT, "")), *arguments]
    usage = f"{console.name} [options] MODULE [PARAMETER=VALUE...]\n\t{console.name} [options] -a [-r] MODULE..."
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, lambda *option: _take(settings, console, *option))
        return Session(settings, console, roots or Roots()).run(operands)
    except Finished as end:
        return end.status


def _take(settings: Settings, console: Console, name: str, value: str) -> None:
    """One option; what is wrong with it is said when it is met, as kmod does."""
    if name in DEPRECATED:
        old, name = DEPRECATED[name], name[4:]
        console.warning(f"option --{old} is deprecated, use --{name}")
    try:
        settings.set(name, value)
    except ValueError:
        console.error(f"unexpected {name} value '{value}'.")
        raise Finished(1) from None


class Session:
    """One run of modprobe."""

    def __init__(self, settings: Settings, console: Console, roots: Roots) -> None:
        self.settings = settings
        self.flags = flags = settings.flags
        self.console = console
        base = roots.base if settings.base is None else settings.base and absolute(settings.base)
        self.roots = roots.replace(base=base, release=settings.release or roots.release)
        self.removing = "remove" in flags
        # -R and -D only look, -n prints what -v would.
        self.dry = bool(flags & {"dry-run", "show-depends", "show-alias"})
        self.plans: Plans | None = None
        self.unwritten: OutputError | None = None
        self._actor: Actor | None = None

    def run(self, operands: list[str]) -> int:
        """Do it; the status."""
        flags = self.flags
        if "to-syslog" in flags:
            self.console.syslog = True
        if not operands and "show-config" not in flags:
            self.console.error("missing parameters. See -h.")
            return 1
        if "json" in flags and (not self.dry or "show-config" in flags):
            self.console.error("--json goes with -n, -D or -R.")
            return 1
        self.console.level = (SILENT if "quiet" in flags else WARNING) + self.settings.verbosity
        if flags & {"show-modversions", "show-exports"} and "show-config" not in flags:
            from .modprobe_show import show_symbols

            return show_symbols(self, operands[0])
        self.world = World(ModuleTree(self.roots, self.console.go_without), LiveKernel(self.roots), self.config())
        if "show-config" in flags:
            from .modprobe_show import show_config

            return show_config(self.world, self.console)
        status = self.work_as_json(operands) if "json" in flags else self.work(operands)
        if self.unwritten:
            raise self.unwritten
        return status

    def config(self) -> Config:
        """The configuration; what is wrong with it is told, even with -q."""
        config = load_config(self.roots, self.settings.config)
        if config.problems:
            from .modprobe_messages import config_message

            for problem in config.problems:
                self.console.raw_error(f"libkmod: ERROR: {config_message(problem)}")
        return config

    def work_as_json(self, operands: list[str]) -> int:
        """As `work`, with the plans as one document, whatever goes wrong."""
        from .modprobe_json import Plans

        self.plans = Plans()
        try:
            return self.work(operands)
        except Finished as end:
            return end.status
        finally:
            self.console.write(self.plans.text())

    def work(self, operands: list[str]) -> int:
        """Load or remove the operands; the status."""
        if self.removing:
            from .modprobe_remove import remove

            statuses = [remove(self, operand) for operand in operands]
        elif "all" in self.flags:
            statuses = self.insert_all(operands)
        else:
            statuses = [self.insert(operands[0], joined(operands[1:]))]
        return max(statuses)

    def fatal(self, text: str) -> None:
        """What ends the command; with -a only a warning, with -q nothing at all."""
        if "all" in self.flags:
            return self.console.warning(text)
        if "quiet" in self.flags:
            return None
        self.console.fatal(text)
        raise Finished(1)

    def actor(self) -> Actor:
        """What acts. Imported here: looking must not pay for it."""
        if self._actor is None:
            from .modprobe_act import Actor

            self._actor = Actor(self)
        return self._actor

    def unknown(self, operand: str, text: str) -> int:
        """An operand stands for nothing; the status."""
        if self.plans:
            self.plans.add_unknown(operand)
        self.fatal(text)
        return 1

    # --- loading

    def insert_all(self, operands: list[str]) -> list[int]:
        """Load every operand (-a); the status of each."""
        if self.settings.jobs > 1 and not self.dry:
            from .modprobe_jobs import insert_all

            return insert_all(self, operands, self.settings.jobs)
        return [self.insert(operand, "") for operand in operands]

    def insert(self, operand: str, parameters: str) -> int:
        """Load every module that an operand stands for; the status is the last one's."""
        try:
            targets = self.find(operand)
        except FileError as error:
            return self.unknown(operand, f"Failed to get module from path {operand}: {error.strerror}")
        if not targets:
            return self.unknown(operand, f"Module {operand} not found in directory {self.roots.modules}")
        if "show-alias" in self.flags:
            self.show_names(operand, targets)
            return 0
        status = 0
        for target in targets:
            status = self.insert_one(operand, target, self.request(parameters))
        return status

    def request(self, parameters: str) -> Request:
        """What the options say about planning."""
        flags = self.flags
        return Request(
            parameters=parameters,
            ignore_loaded="show-depends" in flags,
            ignore_commands="ignore-commands" in flags,
            use_blacklist="use-blacklist" in flags,
        )

    def find(self, operand: str) -> list[Found]:
        """The modules that an operand stands for. Raises `FileError` for a path; a name from the kernel is none."""
        if is_path(operand) and not self.settings.by_kernel:
            return [from_path(self.world, absolute(operand))]
        try:
            return lookup(self.world, operand)
        except NameSyntaxError:
            return []

    def show_names(self, operand: str, targets: list[Found]) -> None:
        """What -R prints."""
        if not self.plans:
            return self.console.write("".join(f"{target.name}\n" for target in targets))
        for target in targets:
            self.plans.add(operand, target, None)

    def insert_one(self, operand: str, target: Found, request: Request) -> int:
        """Load one module with all it needs, or show how; the status."""
        try:
            steps = plan_insertion(self.world, target, request)
            self.report_bad_names(steps)
            if self.plans:
                self.plans.add(operand, target, steps)
            if "first-time" in self.flags and steps[-1].asked_for and steps[-1].reason == ALREADY:
                self.console.error(f"could not insert '{target.name}': Module already in kernel")
                return 1
            if self.dry:
                self.show_steps(steps)
            else:
                self.actor().runner().insertion(steps)
        except Error as error:
            from .modprobe_messages import insert_failure

            if self.plans and isinstance(error, FileError):
                self.plans.add_impossible(operand, target, error)
            if isinstance(error, (CompressionError, MissingSupportError)):
                self.console.error(error.reason)
            self.console.error(f"could not insert '{target.name}': {insert_failure(error)}")
            return 1
        return 0

    def report_bad_names(self, steps: list[Step]) -> None:
        """Tell of names in softdep lines that cannot be ones."""
        for step in steps:
            if step.reason == BAD_NAME:
                self.console.error(f"failed to lookup dependency '{step.module}', continuing anyway.")

    def show_steps(self, steps: list[Step]) -> None:
        """What -n and -D print; with --json the plans are printed at the end."""
        if self.plans:
            return
        lines = [line for step in steps if (line := step_line(step)) is not None]
        self.console.write("".join(f"{line}\n" for line in lines))


def joined(parameters: Sequence[str]) -> str:
    """Parameters as one string; empty ones at the beginning leave no space."""
    text = ""
    for parameter in parameters:
        text = f"{text} {quoted(parameter)}" if text else quoted(parameter)
    return text
