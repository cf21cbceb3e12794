"""modprobe: load and remove modules with all they need (contract 1 and 3)."""

from __future__ import annotations

import os

from ..context import Context
from ..errors import CompressionError, Error, FileError, MissingSupportError
from ..formats.parameters import join_parameters
from ..planning.plan import ALREADY, BAD_NAME
from ..roots import Roots
from .common import Finished, absolute, parse_options
from .console import SILENT, WARNING, OutputError
from .modprobe_options import DEPRECATED, ENVIRONMENT, OPTIONS, Settings, split_environment

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..diagnostics import Diagnostic
    from ..planning.lookup import Match
    from ..planning.plan import Plan, Step
    from .console import Console
    from .modprobe_json import Plans
    from .modprobe_report import Reporter


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
        self.context = Context(self.roots, config=settings.config, live=True, on_problem=self.problem)
        self.plans: Plans | None = None
        self.unwritten: OutputError | None = None
        self._reporter: Reporter | None = None

    def run(self, operands: list[str]) -> int:
        """Do it; return the status."""
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
        config = self.context.config  # read first: what is wrong with it is told before anything else
        if "show-config" in flags:
            from .modprobe_show import show_config

            return show_config(config, self.context.tree, self.console)
        status = self.work_as_json(operands) if "json" in flags else self.work(operands)
        if self.unwritten:
            raise self.unwritten
        return status

    def problem(self, problem: Diagnostic) -> None:
        """Tell of something that could be got over."""
        from .modprobe_messages import show_problem

        show_problem(problem, self.console)

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
        """Load or remove the operands; return the status."""
        if self.removing:
            from .modprobe_remove import remove

            statuses = [remove(self, operand) for operand in operands]
        elif "all" in self.flags:
            statuses = self.insert_all(operands)
        else:
            statuses = [self.insert(operands[0], join_parameters(operands[1:]))]
        return max(statuses)

    def fatal(self, text: str) -> None:
        """Say what ends the command; with -a it is only a warning, with -q nothing at all."""
        if "all" in self.flags:
            return self.console.warning(text)
        if "quiet" in self.flags:
            return None
        self.console.fatal(text)
        raise Finished(1)

    def reporter(self) -> Reporter:
        """Return what tells of loading and removing. Imported here: looking must not pay for it."""
        if self._reporter is None:
            from .modprobe_report import Reporter

            self._reporter = Reporter(self)
        return self._reporter

    def environment(self) -> Mapping[str, str]:
        """Return the environment of commands: a modprobe in them gets our -q, -s, -v and -C."""
        environment = dict(os.environ)
        environment.pop("", None)  # an entry that begins with `=`, which nobody can pass on
        words = [environment[ENVIRONMENT]] if ENVIRONMENT in environment else []
        if self.settings.inherited:
            environment[ENVIRONMENT] = " ".join([*words, *self.settings.inherited])
        return environment

    def unknown(self, operand: str, text: str) -> int:
        """Tell that an operand stands for nothing; return the status."""
        if self.plans:
            self.plans.add_unknown(operand)
        self.fatal(text)
        return 1

    # --- loading

    def insert_all(self, operands: list[str]) -> list[int]:
        """Load every operand (-a); return the status of each."""
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
            status = self.insert_one(operand, target, parameters)
        return status

    def find(self, operand: str) -> list[Match]:
        """Return the modules that an operand stands for. Raises `FileError` for a path; the kernel asks for none."""
        if self.settings.by_kernel and operand.startswith(("/", "./")):
            return []
        return self.context.lookup(operand)

    def plan(self, target: Match, parameters: str = "") -> Plan:
        """Return the plan for a module, as the options say."""
        return self.context.plan_load(
            target,
            parameters,
            ignore_loaded="show-depends" in self.flags,
            ignore_commands="ignore-commands" in self.flags,
            use_blacklist="use-blacklist" in self.flags,
        )

    def show_names(self, operand: str, targets: list[Match]) -> None:
        """Show what -R prints."""
        if not self.plans:
            return self.console.write("".join(f"{target.name}\n" for target in targets))
        for target in targets:
            self.plans.add_match(operand, target)

    def insert_one(self, operand: str, target: Match, parameters: str) -> int:
        """Load one module with all it needs, or show how; return the status."""
        try:
            plan = self.plan(target, parameters)
            self.report_bad_names(plan.steps)
            if self.plans:
                self.plans.add(operand, plan)
            gone = plan.parts[0].impossible
            if gone:
                raise FileError(gone.reason, path=gone.path, module=gone.module, errno=2)
            if self.dry:
                if "first-time" in self.flags and plan.steps[-1].asked_for and plan.steps[-1].reason == ALREADY:
                    self.console.error(f"could not insert '{target.name}': Module already in kernel")
                    return 1
                self.show_steps(plan)
            else:
                self.load(plan)
        except Error as error:
            from .modprobe_messages import insert_failure

            if isinstance(error, (CompressionError, MissingSupportError)):
                self.console.error(error.reason)
            self.console.error(f"could not insert '{target.name}': {insert_failure(error)}")
            return 1
        return 0

    def load(self, plan: Plan) -> None:
        """Carry a plan out."""
        flags = self.flags
        self.context.load(
            plan,
            first_time="first-time" in flags,
            ignore_modversions=bool(flags & {"force", "force-modversion"}),
            ignore_vermagic=bool(flags & {"force", "force-vermagic"}),
            environment=self.environment(),
            observer=self.reporter(),
        )

    def report_bad_names(self, steps: Sequence[Step]) -> None:
        """Tell of names in softdep lines that cannot be ones."""
        for step in steps:
            if step.reason == BAD_NAME:
                self.console.error(f"failed to lookup dependency '{step.module}', continuing anyway.")

    def show_steps(self, plan: Plan) -> None:
        """Show what -n and -D print; with --json the plans are printed at the end."""
        if not self.plans:
            self.console.write("".join(f"{line}\n" for line in plan.lines()))
