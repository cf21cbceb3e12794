"""modprobe: load and remove modules with all they need (contract 1 and 3)."""

from __future__ import annotations

import os

from ..errors import CompressionError, Error, FileError, MissingSupportError, NameSyntaxError, NotFoundError
from ..formats.modprobeconf import BadLine, RetiredDirective
from ..planning.insertion import plan_insertion
from ..planning.lookup import Found, World, from_path, is_path, lookup
from ..planning.steps import Request
from ..roots import Roots
from ..state.config import load_config
from ..state.live import LiveKernel
from ..state.tree import ModuleTree
from .common import Finished, parse_options
from .console import SILENT, WARNING
from .modprobe_options import ENVIRONMENT, OPTIONS, Settings, milliseconds, split_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..effects.run_plan import Loader, Runner
    from ..planning.steps import Step
    from .console import Console

EEXIST, ENOENT = 17, 2
UNKNOWN_SYMBOL = "Unknown symbol in module, or unknown parameter (see dmesg)"


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Do what the options ask for; 1 if anything failed."""
    settings = Settings(flags=set(), config=[], deprecated=[], inherited=[])
    arguments = [*split_environment(os.environ.get(ENVIRONMENT, "")), *arguments]
    usage = f"{console.name} [options] MODULE [PARAMETER=VALUE...]\n\t{console.name} [options] -a [-r] MODULE..."
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, settings.set)
        return _Session(settings, console, roots or Roots()).run(operands)
    except Finished as end:
        return end.status


class _Session:
    """One run of modprobe."""

    def __init__(self, settings: Settings, console: Console, roots: Roots) -> None:
        self.settings = settings
        self.flags = flags = settings.flags
        self.console = console
        console.level = (SILENT if "quiet" in flags else WARNING) + settings.verbosity
        base = roots.base if settings.base is None else _absolute(settings.base)
        self.roots = roots.replace(base=base, release=settings.release or roots.release)
        self.removing = "remove" in flags
        # -R and -D only look; -n prints what -v would.
        self.dry = bool(flags & {"dry-run", "show-depends", "show-alias"})
        self.shows = bool(flags & {"dry-run", "show-depends"}) or console.level > WARNING
        self.wait = 0
        self._kernel: Loader | None = None
        self.documents: list[dict[str, object]] = []

    def run(self, operands: list[str]) -> int:
        for old, new in self.settings.deprecated:
            self.console.warning(f"option --{old} is deprecated, use --{new}")
        self.check_wait()
        if not operands and "show-config" not in self.flags:
            self.console.error("missing parameters. See -h.")
            return 1
        if self.flags & {"show-modversions", "show-exports"}:
            from .modprobe_show import show_symbols

            return show_symbols(operands[0], self.flags, self.roots, self.console)
        config = load_config(self.roots, self.settings.config)
        for problem in config.problems:
            self.console.raw_error(f"libkmod: ERROR: {config_message(problem)}")
        self.world = World(ModuleTree(self.roots), LiveKernel(self.roots), config)
        if "show-config" in self.flags:
            from .modprobe_show import show_config

            return show_config(self.world, self.console)
        status = self.work(operands)
        if "json" in self.flags:
            from .json_text import render

            self.console.write(render({"plans": self.documents}))
        return status

    def check_wait(self) -> None:
        text = self.settings.wait
        if text is None:
            return
        value = milliseconds(text)
        if value is None:
            self.console.error(f"unexpected wait value '{text}'.")
            raise Finished(1)
        self.wait = value

    def work(self, operands: list[str]) -> int:
        """Load or remove the operands; the status."""
        if self.removing:
            statuses = [self.remove(operand) for operand in operands]
        elif "all" in self.flags:
            statuses = [self.insert(operand, "") for operand in operands]
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

    # --- loading

    def insert(self, operand: str, parameters: str) -> int:
        """Load every module that an operand stands for; the status is the last one's."""
        try:
            targets = self.find(operand)
        except FileError as error:
            self.fatal(f"Failed to get module from path {operand}: {error.strerror}")
            return 1
        if not targets:
            self.fatal(f"Module {operand} not found in directory {self.roots.modules}")
            return 1
        flags = self.flags
        if "show-alias" in flags and "json" not in flags:
            self.console.write("".join(f"{target.name}\n" for target in targets))
            return 0
        request = Request(
            parameters=parameters,
            ignore_loaded="show-depends" in flags,
            ignore_commands="ignore-commands" in flags,
            use_blacklist="use-blacklist" in flags,
        )
        status = 0
        for target in targets:
            status = self.insert_one(operand, target, request)
        return status

    def find(self, operand: str) -> list[Found]:
        if is_path(operand):
            try:
                os.stat(operand)
            except OSError as error:
                raise FileError.of(error, operand) from None
            return [from_path(self.world, _absolute(operand))]
        try:
            return lookup(self.world, operand)
        except NameSyntaxError:
            return []

    def insert_one(self, operand: str, target: Found, request: Request) -> int:
        try:
            if "first-time" in self.flags and not request.ignore_loaded and self.world.in_kernel(target.name):
                self.console.error(f"could not insert '{target.name}': Module already in kernel")
                return 1
            steps = plan_insertion(self.world, target, request)
            if "json" in self.flags:
                self.document(operand, target, steps)
            elif not self.dry or self.shows:
                self.execute(steps)
        except Error as error:
            if isinstance(error, (CompressionError, MissingSupportError)):
                self.console.error(error.reason)
            self.console.error(f"could not insert '{target.name}': {insert_failure(error)}")
            return 1
        return 0

    def execute(self, steps: list[Step]) -> None:
        if self.dry:
            from ..planning.steps import step_line

            for step in steps:
                line = step_line(step)
                if line is not None:
                    self.console.write(line + "\n")
            return
        self.runner().insertion(steps)

    def runner(self) -> Runner:
        """What carries plans out. Imported here: looking must not pay for acting."""
        from ..effects.run_plan import Manner, Runner

        flags = self.flags
        manner = Manner(
            dry=self.dry,
            first_time="first-time" in flags,
            ignore_loaded="show-depends" in flags,
            ignore_modversions=bool(flags & {"force", "force-modversion"}),
            ignore_vermagic=bool(flags & {"force", "force-vermagic"}),
            force_removal="force" in flags,
            wait=self.wait,
        )
        return Runner(self.world, self.kernel, manner, self.environment(), self.show, self.report)

    def kernel(self) -> Loader:
        if self._kernel is None:
            from ..effects import execute

            self._kernel = execute.Kernel(self.roots)
        return self._kernel

    def environment(self) -> dict[str, str]:
        """The environment of commands: a modprobe in them gets our -q, -s, -v and -C."""
        environment = dict(os.environ)
        words = [environment[ENVIRONMENT]] if ENVIRONMENT in environment else []
        if self.settings.inherited:
            environment[ENVIRONMENT] = " ".join([*words, *self.settings.inherited])
        return environment

    def show(self, line: str) -> None:
        """A line of -v appears before its step runs, and before anything that a command prints."""
        if self.shows:
            self.console.write(line + "\n")
            self.console.flush()

    def report(self, error: Error) -> None:
        """A failure that does not by itself decide the status."""
        from ..errors import CommandError, RemoveError

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
            self.fatal(f"Module {operand} not found.")
            return 1
        flags = self.flags
        request = Request(
            ignore_loaded="show-depends" in flags,
            ignore_commands="ignore-commands" in flags,
            remove_holders="remove-holders" in flags,
            wait=self.wait > 0,
        )
        for target in targets:
            if not self.runner().removal(plan_removal(self.world, target, request), self.refuse):
                return 1
        return 0

    def refuse(self, step: Step) -> None:
        """Say why nothing is done about a module."""
        from ..planning.removal import IN_USE, IS_BUILTIN

        if step.reason == IS_BUILTIN:
            self.fatal(f"Module {step.module} is builtin.")
        elif step.reason == IN_USE:
            self.fatal(f"Module {step.module} is in use.")
        elif "first-time" in self.flags:
            self.fatal(f"Module {step.module} is not in kernel.")

    # --- JSON

    def document(self, operand: str, target: Found, steps: list[Step]) -> None:
        missing = [step.module for step in steps if step.action == "insert" and step.path is None]
        self.documents.append(
            {"request": operand, "module": target.name, "alias": target.alias, "steps": steps, "missing": missing}
        )


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


def insert_failure(error: Error) -> str:
    """Why a module was not loaded, in modprobe's words."""
    if isinstance(error, FileError):
        return str(error)
    if error.errno == EEXIST:
        return "Module already in kernel"
    return UNKNOWN_SYMBOL if error.errno == ENOENT else error.strerror


def config_message(problem: Error) -> str:
    """What is wrong with the configuration, as libkmod says it."""
    if isinstance(problem, BadLine):
        return (
            f"kmod_config_parse: {problem.path} line {problem.line}: ignoring bad line starting with '{problem.reason}'"
        )
    if isinstance(problem, RetiredDirective):
        return f"kmod_config_parse: {problem.path}: command {problem.reason} is deprecated and not parsed anymore"
    if problem.errno == 21:  # EISDIR
        return f"conf_files_filter_out: Directories inside directories are not supported: {problem.path}"
    if problem.errno == ENOENT:
        return f"conf_files_filter_out: Cannot stat directory entry: {problem.path}"
    return f"kmod_config_new: {problem}"
