"""modprobe: load and remove modules with all they need (contract 1 and 3)."""

from __future__ import annotations

import os

from ..errors import CompressionError, Error, FileError, MissingSupportError, NameSyntaxError
from ..planning.insertion import plan_insertion
from ..planning.lookup import World, from_path, is_path, lookup
from ..planning.steps import BAD_NAME, HOLDER, IN_USE, IS_BUILTIN, NOT_LOADED, REQUEST, SKIP, Request, step_line
from ..roots import Roots
from ..state.config import load_config
from ..state.live import LiveKernel
from ..state.tree import ModuleTree
from .common import Finished, parse_options
from .console import SILENT, WARNING, OutputError
from .modprobe_options import DEPRECATED, ENVIRONMENT, OPTIONS, Settings, split_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..effects.run_plan import Loader, Manner, Runner
    from ..planning.lookup import Found
    from ..planning.removal import Steps
    from ..planning.steps import Step
    from ..state.config import Config
    from .console import Console
    from .modprobe_json import Plans

ENOENT = 2


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Do what the options ask for; 1 if anything failed."""
    by_kernel = list(arguments[:-1]) == ["-q", "--"]  # the form that the kernel uses, and hardly anybody else
    settings = Settings(flags=set(), config=[], inherited=[], by_kernel=by_kernel)
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
        base = roots.base if settings.base is None else _absolute(settings.base)
        self.roots = roots.replace(base=base, release=settings.release or roots.release)
        self.removing = "remove" in flags
        # -R and -D only look, -n prints what -v would.
        self.dry = bool(flags & {"dry-run", "show-depends", "show-alias"})
        self.plans: Plans | None = None
        self.unwritten: OutputError | None = None
        self._kernel: Loader | None = None

    def run(self, operands: list[str]) -> int:
        """Do it; the status."""
        flags = self.flags
        if not operands and "show-config" not in flags:
            self.console.error("missing parameters. See -h.")
            return 1
        if "json" in flags and (not self.dry or "show-config" in flags):
            self.console.error("--json goes with -n, -D or -R.")
            return 1
        self.console.level = (SILENT if "quiet" in flags else WARNING) + self.settings.verbosity
        if flags & {"show-modversions", "show-exports"} and "show-config" not in flags:
            from .modprobe_show import show_symbols

            return show_symbols(operands[0], flags, self.roots, self.console)
        self.world = World(ModuleTree(self.roots), LiveKernel(self.roots), self.config())
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
            statuses = [self.remove(operand) for operand in operands]
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

    def unknown(self, operand: str, text: str) -> int:
        """An operand stands for nothing; the status."""
        if self.plans:
            self.plans.add_unknown(operand)
        self.fatal(text)
        return 1

    # --- loading

    def insert_all(self, operands: list[str]) -> list[int]:
        """Load every operand (-a); the status of each."""
        if self.settings.jobs > 1 and len(operands) > 1 and not self.dry:
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
            return [from_path(self.world, _absolute(operand))]
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
            if "first-time" in self.flags and not request.ignore_loaded and target.is_present(self.world):
                self.console.error(f"could not insert '{target.name}': Module already in kernel")
                return 1
            steps = plan_insertion(self.world, target, request)
            self.report_bad_names(steps)
            if self.plans:
                self.plans.add(operand, target, steps)
            elif self.dry:
                self.show_steps(steps)
            else:
                self.runner().insertion(steps)
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
        """What -n and -D print."""
        lines = [line for step in steps if (line := step_line(step)) is not None]
        self.console.write("".join(f"{line}\n" for line in lines))

    def runner(self) -> Runner:
        """What carries plans out. Imported here: looking must not pay for acting."""
        from ..effects.run_plan import Runner

        return Runner(self.world, self.kernel, self.manner(), self.environment(), self.show, self.report)

    def manner(self) -> Manner:
        """What the options say about carrying out."""
        from ..effects.run_plan import Manner

        flags = self.flags
        return Manner(
            first_time="first-time" in flags,
            ignore_modversions=bool(flags & {"force", "force-modversion"}),
            ignore_vermagic=bool(flags & {"force", "force-vermagic"}),
            force_removal="force" in flags,
            wait=self.settings.wait,
        )

    def kernel(self) -> Loader:
        """What acts on the kernel."""
        if self._kernel is None:
            from ..effects import execute

            self._kernel = execute.Kernel(self.roots)
        return self._kernel

    def act_through(self, kernel: Loader, world: World) -> None:
        """Take another kernel to act on, and what it is seen as."""
        self._kernel, self.world = kernel, world

    def environment(self) -> dict[str, str]:
        """The environment of commands: a modprobe in them gets our -q, -s, -v and -C."""
        environment = dict(os.environ)
        words = [environment[ENVIRONMENT]] if ENVIRONMENT in environment else []
        if self.settings.inherited:
            environment[ENVIRONMENT] = " ".join([*words, *self.settings.inherited])
        return environment

    def show(self, line: str) -> None:
        """A line of -v appears before its step runs, and before anything that a command prints.

        One that cannot be written does not keep a module from being loaded; the status tells of it at the end.
        """
        if self.console.level <= WARNING or self.unwritten:
            return
        try:
            self.console.write(line + "\n")
            self.console.flush()
        except OutputError as error:
            self.unwritten = error

    def report(self, error: Error) -> None:
        """A failure that does not by itself decide the status."""
        from ..errors import CommandError, NotFoundError, RemoveError

        if isinstance(error, CommandError):
            kind = "remove" if self.removing else "install"
            if self.removing:
                return self.fatal(f"Error running remove command for {error.module}")
            self.console.error(
                f"Error running {kind} command '{error.command}' for module {error.module}: {error.reason}"
            )
        elif isinstance(error, RemoveError):
            if error.errno == ENOENT:
                return self.fatal(f"Module {error.module} is not in kernel.")
            self.console.error(f"could not remove '{error.module}': {error.strerror}")
        elif isinstance(error, NotFoundError):
            self.console.error(f"could not find module by name='{error.module}'")
        return None

    # --- removing

    def remove(self, operand: str) -> int:
        """Remove every module that an operand stands for; the first failure ends it."""
        from ..planning.removal import plan_removal

        try:
            targets = lookup(self.world, operand)
        except NameSyntaxError:
            return 1
        if not targets:
            return self.unknown(operand, f"Module {operand} not found.")
        flags = self.flags
        request = Request(
            ignore_loaded="show-depends" in flags,
            ignore_commands="ignore-commands" in flags,
            remove_holders="remove-holders" in flags,
            wait=self.settings.wait > 0,
            first_time="first-time" in flags,
        )
        for target in targets:
            steps = plan_removal(self.world, target, request)
            gone = self.foresee(operand, target, steps) if self.dry else self.runner().removal(steps, self.refuse)
            if not gone:
                return 1
        return 0

    def foresee(self, operand: str, target: Found, steps: Steps) -> bool:
        """Show the steps of a removal; whether the module would be gone."""
        from ..planning.removal import foreseen

        found, gone = foreseen(steps)
        if self.plans:
            self.plans.add(operand, target, found)
        for step in found:
            if step.action == SKIP:
                self.refuse(step)
            elif not self.plans:
                self.show_steps([step])
        return gone

    def refuse(self, step: Step) -> None:
        """Say why nothing is done about a module."""
        if step.reason == BAD_NAME:
            self.report_bad_names([step])
        elif step.reason == IS_BUILTIN and step.why == REQUEST:
            self.fatal(f"Module {step.module} is builtin.")
        elif step.reason == IN_USE:
            self.fatal(f"Module {step.module} is in use.")
        elif step.reason == NOT_LOADED and step.why != HOLDER and "first-time" in self.flags:
            self.fatal(f"Module {step.module} is not in kernel.")


def _absolute(path: str) -> str:
    """The path from the root, with nothing resolved."""
    return path if not path or path.startswith("/") else f"{os.getcwd()}/{path}"


def joined(parameters: Sequence[str]) -> str:
    """Parameters as one string; empty ones at the beginning leave no space."""
    text = ""
    for parameter in parameters:
        text = f"{text} {quoted(parameter)}" if text else quoted(parameter)
    return text


def quoted(parameter: str) -> str:
    """A parameter as the kernel's parser wants it: a value with a space in double quotes, unless it is quoted."""
    name, equals, value = parameter.partition("=")
    if equals and " " in value and value[0] not in "'\"":
        return f'{name}="{value}"'
    return parameter
