"""One system as a program sees it: modules on disk, configuration, running kernel, and what modprobe does."""

from __future__ import annotations

import errno
import os

from .errors import (
    AmbiguousNameError,
    Error,
    FileError,
    InsertError,
    LiveKernelNotAskedError,
    MissingTreeError,
    NameSyntaxError,
    NotFoundError,
)
from .names import normalize_name
from .planning.lookup import FILE, MODULES_DEP, Match, is_path, lookup, match, match_file
from .planning.plan import ALREADY, Plan, PlanRequest, no_such_target
from .roots import Roots
from .state.live import LiveKernel, NoLiveKernel
from .state.system import NoConfig, System
from .state.tree import ModuleTree, file_stamp

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from .diagnosis.status import Status
    from .diagnostics import Diagnostic
    from .effects.executor import Executor, Loader, LoadOptions
    from .effects.prefetch import Prefetch, Prefetcher
    from .formats.modinfo import Field
    from .formats.procmodules import LoadedModule
    from .formats.textindex import DeviceNode
    from .observer import Observer
    from .planning.plan import Step, TargetPlan
    from .state.config import Config
    from .state.description import ModuleInfo
    from .state.modulefile import ModuleFile
    from .state.tree import FileStamp, TreeModule

    Name = str | os.PathLike[str] | Match
    """What names a module: its name, an alias, the path of its file (a `Path`, or text with a slash), or a `Match`."""

UNUSABLE_INDEX, MISSING_TREE, BAD_DEVICE_LINE = "unusable-index", "missing-tree", "bad-device-line"
"""Codes of diagnostics: an index that cannot be used; no module directory; a bad line of modules.devname."""


class Context:
    """One system: the modules on disk, the configuration, and, if it is the running system, its kernel.

    `roots` says where the system is. `config` has paths of files and directories to read instead of the configuration
    directories (modprobe's -C). The kernel at `roots.proc` and `roots.sys` is asked when it runs the release that is
    meant and `roots` points to no other system, or when `roots` names other places than /proc and /sys; `live` True
    asks it always, False never. `on_problem` hears of what was wrong and could be got over; without it, an index that
    cannot be used is an error.

    It remembers the configuration and the indexes; `stale` tells when they have changed, `refresh` reads them again. It
    asks the kernel again at every question. Several threads may ask at the same time. Dashes count as underscores in
    every name. Questions raise `MissingTreeError` when they need a module directory that is not there, `FileError` for
    what cannot be read, and `FormatError`s for what is damaged.
    """

    def __init__(
        self,
        roots: Roots | None = None,
        *,
        config: Sequence[str] | None = None,
        live: bool | None = None,
        on_problem: Callable[[Diagnostic], None] | None = None,
    ) -> None:
        self.roots = roots or Roots()
        self.tree = ModuleTree(self.roots, self._on_index_error if on_problem else None)
        asks = self.roots.shows_kernel if live is None else live
        self.live = LiveKernel(self.roots) if asks else NoLiveKernel(self.roots)
        self._config_paths = tuple(config or ())
        self._on_problem = on_problem
        self._config: Config | None = None
        self._config_stamps: dict[str, FileStamp] = {}
        self._loader: Loader | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the indexes. The next question opens them again."""
        self.tree.refresh()

    # --- what it is

    @property
    def exists(self) -> bool:
        """Whether there is a module directory."""
        return self.tree.exists

    @property
    def stale(self) -> bool:
        """Whether an index or the configuration has changed since it was read."""
        stamps = list(self._config_stamps.items())
        return self.tree.stale or any(file_stamp(path) != stamp for path, stamp in stamps)

    def refresh(self) -> None:
        """Forget indexes and configuration, so that the next question reads them again."""
        self.tree.refresh()
        self._config, self._config_stamps = None, {}

    @property
    def config(self) -> Config:
        """The configuration: modprobe.d, modules.softdep, modules.weakdep and the kernel command line."""
        if self._config is None:
            from .state.config import config_places, read_config

            places = config_places(self.roots, self._config_paths)
            stamps = {place: file_stamp(place) for place in places}
            config = read_config(self.roots, self._config_paths, command_line=self.live.is_asked)
            self._config_stamps = stamps | {file: file_stamp(file) for file in config.files}
            self._config = config
            for problem in config.problems:
                self._report(problem)
        return self._config

    @property
    def system(self) -> System:
        """Tree, kernel and configuration together, as planning and diagnosis take them."""
        return System(self.tree, self.live, self.config)

    @property
    def tolerant_system(self) -> System:
        """The system for questions that have an answer without a module directory or with damaged indexes, too.

        `on_problem` hears of the indexes that cannot be used.
        """
        return System(ModuleTree(self.roots, self._on_index_error), self.live, self.config)

    @property
    def _bare_system(self) -> System:
        """The system without its configuration, which then need not be read."""
        return System(self.tree, self.live, NoConfig())

    def _report(self, problem: Diagnostic) -> None:
        if self._on_problem is not None:
            self._on_problem(problem)

    def _on_index_error(self, error: Error) -> None:
        from .diagnostics import ERROR, Diagnostic

        code = MISSING_TREE if isinstance(error, MissingTreeError) else UNUSABLE_INDEX
        self._report(Diagnostic(code, ERROR, error.reason, file=error.path, line=error.line, errno=error.errno))

    # --- what is in it

    def loaded(self) -> list[LoadedModule]:
        """Return the modules in the kernel, newest first. Raises `LiveKernelNotAskedError`."""
        return self.live.modules()

    def available(self) -> list[TreeModule]:
        """Return the modules that are files of the tree, in the order of modules.dep."""
        return self.tree.modules()

    def builtins(self) -> list[str]:
        """Return the names of the modules that are part of the kernel image, in byte order."""
        return self.tree.builtins()

    def lookup(self, text: str, *, configured: bool = True) -> list[Match]:
        """Return the modules that `text` stands for, as modprobe finds them; none when it stands for nothing.

        `text` is a name, an alias, or a path that begins with `/` or `./`. Without `configured` the configuration takes
        no part, as in modinfo. Raises `FileError` when a path leads nowhere.
        """
        if is_path(text):
            return [self.match_file(text, configured=configured)]
        try:
            return lookup(self.system if configured else self._bare_system, text)
        except NameSyntaxError:
            return []

    def find(self, name: str) -> Match | None:
        """Return the module of exactly this name, a file or builtin; None when there is none."""
        found = match(self._bare_system, normalize_name(name), None, MODULES_DEP)
        return found if found.path or found.builtin else None

    def match_file(self, path: str | os.PathLike[str], *, configured: bool = True) -> Match:
        """Return the module in a file of the tree or anywhere. Raises `FileError` when there is no such file.

        Without `configured` nothing is said about blacklist rules.
        """
        text = os.fspath(path)
        system = self.system if configured else self._bare_system
        return match_file(system, text if text.startswith("/") else f"{os.getcwd()}/{text}")

    def similar(self, text: str) -> list[str]:
        """Return known names that resemble `text`, best first; it reads the whole tree (about 20 ms)."""
        from .planning.similar import similar_names

        return similar_names(text, [module.name for module in self.available()] + self.builtins())

    def open(self, what: Name) -> ModuleFile:
        """Open a module's file. Raises `NotFoundError`, also for a builtin module, and `AmbiguousNameError`."""
        from .state.modulefile import ModuleFile

        found = self._one(what)
        if found.path is None:
            raise NotFoundError("is part of the kernel: it has no file", module=found.name, asked=_asked(what))
        return ModuleFile(found.path)

    def info(self, what: Name) -> ModuleInfo:
        """Return what a module says of itself.

        An alias of several modules is an `AmbiguousNameError`; `infos` takes it. Raises `NotFoundError` as well.
        """
        return self._describe(self._one(what), None)

    def infos(self, whats: Iterable[Name] | None = None, fields: Iterable[str] | None = None) -> Iterator[ModuleInfo]:
        """Yield what modules say of themselves: all modules of the tree, or those that `whats` stand for.

        With `fields` (names of `ModuleInfo`'s) only these are worked out, and the others are None or empty.
        """
        wanted = None if fields is None else frozenset(fields)
        if whats is None:
            for module in self.available():
                yield self._describe(Match(module.name, None, module.path, module.dependencies, MODULES_DEP), wanted)
            return
        for what in whats:
            for found in self._all(what):
                yield self._describe(found, wanted)

    def device_nodes(self) -> list[DeviceNode]:
        """Return the device files that make the kernel load a module when a program opens them (modules.devname).

        `on_problem` hears of bad lines (code `bad-device-line`, the line as `subject`). Raises `FileError`, also when
        there is no modules.devname.
        """
        from .diagnostics import ERROR, Diagnostic
        from .formats.textindex import devname_lines, parse_devname_line
        from .state.files import read_file

        path = f"{self.tree.directory}/modules.devname"
        nodes: list[DeviceNode] = []
        for number, line in devname_lines(read_file(path, os.O_NONBLOCK)):  # a pipe put there must not stop a boot
            node = parse_devname_line(line)
            if node is None:
                text = "a line that names no device file"
                self._report(Diagnostic(BAD_DEVICE_LINE, ERROR, text, file=path, line=number, subject=line))
            else:
                nodes.append(node)
        return nodes

    def builtin_fields(self, name: str) -> list[Field]:
        """Return the .modinfo strings of a builtin module."""
        return self.tree.builtin_modinfo(name)

    def status(self, what: Name) -> Status:
        """Return where a module stands: in the kernel, in the tree, or nowhere.

        A name that nothing knows is `absent`, or `unknown` if there is no tree to look in. Raises `AmbiguousNameError`
        for an alias of several modules; `statuses` takes it.
        """
        found = self.statuses([what])
        if len(found) > 1:
            names = [status.name for status in found]
            raise AmbiguousNameError("stands for several modules", asked=_asked(what), modules=names)
        return found[0]

    def statuses(self, whats: Iterable[Name] | None = None, *, observer: Observer | None = None) -> list[Status]:
        """Return where modules stand: all loaded ones, newest first, or those that `whats` stand for.

        `observer` hears of progress. Raises `FileError` for a path where no file is, and, without `whats`,
        `LiveKernelNotAskedError`.
        """
        from .diagnosis.status import module_status

        system = self.tolerant_system
        if whats is None:
            loaded = {module.name: module for module in self.loaded()}
            wanted: list[Name] = [match(system, name, None, MODULES_DEP) for name in loaded]
        else:
            loaded, wanted = self._loaded_by_name(), list(whats)
        found: list[Status] = []
        for done, what in enumerate(wanted):
            if observer:
                observer.progress(done, len(wanted), "modules")
            matches = self._matches_for_status(system, what)
            if not matches:
                name = normalize_name(_asked(what))
                found.append(module_status(system, _asked(what), None, name, loaded))
            found += [module_status(system, _asked(what), module, module.name, loaded) for module in matches]
        return found

    def _loaded_by_name(self) -> dict[str, LoadedModule]:
        """Return the loaded modules by name; none where no kernel is asked, or it cannot have modules."""
        if not self.live.is_asked:
            return {}
        try:
            return {module.name: module for module in self.loaded()}
        except FileError as error:
            if error.errno == errno.ENOENT and self.live.text("version"):
                return {}
            raise

    def _matches_for_status(self, system: System, what: Name) -> list[Match]:
        if isinstance(what, Match):
            return [what]
        if not isinstance(what, str) or "/" in what:
            return [match_file(system, os.path.abspath(os.fspath(what)))]
        try:
            return lookup(system, what)
        except NameSyntaxError:
            return []

    def _describe(self, found: Match, fields: frozenset[str] | None) -> ModuleInfo:
        from .state.description import describe_builtin, describe_file
        from .state.modulefile import ModuleFile

        if found.path is None:
            return describe_builtin(found.name, self.builtin_fields(found.name))
        with ModuleFile(found.path) as module:
            return describe_file(module)

    def _one(self, what: Name) -> Match:
        found = self._all(what)
        if len(found) > 1:
            names = [module.name for module in found]
            raise AmbiguousNameError("stands for several modules", asked=_asked(what), modules=names)
        return found[0]

    def _all(self, what: Name) -> list[Match]:
        """Return the modules that a name stands for, at least one. Raises `NotFoundError`."""
        if isinstance(what, Match):
            return [what]
        if not isinstance(what, str) or "/" in what:
            return [Match(_file_name(what), None, os.fspath(what), (), FILE)]
        found = [module for module in self.lookup(what) if module.path or module.builtin]
        if not found:
            raise self._not_found(what)
        return found

    def _not_found(self, asked: str) -> NotFoundError:
        try:
            similar = self.similar(asked)
        except Error:
            similar = []
        return NotFoundError("module not found", asked=asked, module=normalize_name(asked), similar=similar)

    # --- what modprobe would do

    def plan_load(
        self,
        what: str | Match,
        parameters: str | Mapping[str, object] = "",
        *,
        ignore_loaded: bool = False,
        ignore_commands: bool = False,
        use_blacklist: bool = False,
    ) -> Plan:
        """Return what loading takes, by name, alias, path or `Match`, without doing it.

        `parameters` are those of the module asked for. `ignore_loaded` plans as if nothing were loaded (modprobe -D),
        `ignore_commands` without the module's own install rule (-i); `use_blacklist` lets blacklist rules hold for
        names as well (-b). What stands for nothing gives a plan with `missing`.
        """
        from .planning.insertion import plan_insertion

        if not isinstance(parameters, str):
            from .formats.parameters import parameters_text

            parameters = parameters_text(parameters)
        request = PlanRequest(
            asked=_asked(what),
            parameters=parameters,
            ignore_loaded=ignore_loaded,
            ignore_commands=ignore_commands,
            use_blacklist=use_blacklist,
        )
        system = self.system
        parts = [plan_insertion(system, target, request) for target in self._targets(what)]
        return Plan(request, tuple(parts)) if parts else no_such_target(request)

    def plan_unload(
        self,
        what: str | Match,
        *,
        holders: bool = False,
        ignore_loaded: bool = False,
        ignore_commands: bool = False,
        waits: bool = False,
        first_time: bool = False,
    ) -> Plan:
        """Return what unloading takes, if each step succeeds and the kernel stays as it is, without doing it.

        `holders` unloads the modules that use it, too. `waits` plans for a module in use as if it were let go.
        `ignore_loaded`, `ignore_commands` are as in `plan_load`; with `first_time` a module that is not loaded does not
        meet the request.
        """
        from .planning.removal import foresee_removal

        request = PlanRequest(
            asked=_asked(what),
            removal=True,
            ignore_loaded=ignore_loaded,
            ignore_commands=ignore_commands,
            holders=holders,
            waits=waits,
            first_time=first_time,
        )
        system = self.system
        parts = [foresee_removal(system, target, request) for target in self._targets(what)]
        return Plan(request, tuple(parts)) if parts else no_such_target(request)

    def _targets(self, what: str | Match) -> list[Match]:
        return [what] if isinstance(what, Match) else self.lookup(what)

    # --- doing it

    def load(
        self,
        what: str | Match | Plan,
        parameters: str | Mapping[str, object] = "",
        *,
        first_time: bool = False,
        force: bool = False,
        ignore_modversions: bool = False,
        ignore_vermagic: bool = False,
        ignore_commands: bool = False,
        use_blacklist: bool = False,
        environment: Mapping[str, str] | None = None,
        observer: Observer | None = None,
    ) -> list[Step]:
        """Load modules with all they need, as modprobe does; return the steps that changed something.

        A plan is carried out as it is; each step is left out if its module is there by then. `first_time` makes a
        module that is loaded already an error; `force` is both `ignore_modversions` and `ignore_vermagic`.
        `environment` is that of install commands. Of an alias all modules are tried, and the first error is raised
        after that. Blocks until the kernel and all commands are done. Raises `NotFoundError`, `InsertError`,
        `CommandError`, `FileError`, `LiveKernelNotAskedError`.
        """
        from .effects.executor import LoadOptions

        plan = what
        if not isinstance(plan, Plan):
            plan = self.plan_load(plan, parameters, ignore_commands=ignore_commands, use_blacklist=use_blacklist)
        options = LoadOptions(
            first_time=first_time,
            ignore_modversions=force or ignore_modversions,
            ignore_vermagic=force or ignore_vermagic,
            environment=environment,
        )
        executor = self._executor(options, observer)
        return self._carry_out(plan, executor, lambda part: _load(executor, part, first_time=first_time))

    def unload(
        self,
        what: str | Match | Plan,
        *,
        holders: bool = False,
        wait: float = 0.0,
        first_time: bool = False,
        force: bool = False,
        ignore_commands: bool = False,
        environment: Mapping[str, str] | None = None,
        observer: Observer | None = None,
    ) -> list[Step]:
        """Unload modules and what only they needed, as `modprobe -r` does; return the steps that changed something.

        A plan is carried out as it is; by name, each step is decided when the one before it is done. `holders` unloads
        the modules that use it, too. `wait` is how many seconds to wait for users to let go. `first_time` makes a
        module that is not loaded an error; `force` unloads a module in use, which may crash the machine. Blocks until
        the kernel and all commands are done. Raises `NotFoundError`, `RemoveError`, `CommandError`,
        `LiveKernelNotAskedError`.
        """
        from .effects.executor import LoadOptions, given_steps
        from .planning.removal import plan_removal

        options = LoadOptions(first_time=first_time, force_removal=force, wait=wait, environment=environment)
        executor = self._executor(options, observer)
        if isinstance(what, Plan):
            return self._carry_out(what, executor, lambda part: executor.unload(given_steps(part.steps)))
        request = PlanRequest(
            asked=_asked(what),
            removal=True,
            ignore_commands=ignore_commands,
            holders=holders,
            waits=wait > 0,
            first_time=first_time,
        )
        targets = self._targets(what)
        if not targets:
            raise self._not_found(request.asked)
        for target in targets:
            error = executor.unload(plan_removal(executor.system, target, request))
            if error:
                raise error
        return executor.done

    def prefetch(
        self,
        plans: Iterable[Plan],
        jobs: int,
        *,
        force: bool = False,
        ignore_modversions: bool = False,
        ignore_vermagic: bool = False,
    ) -> Prefetch:
        """Return a `with` block in which up to `jobs` modules of the plans are loaded at the same time.

        Within it the program calls `load` for one request after the other, as without it. A module of the plans that
        `load` does not come to is unloaded at the end.
        """
        from .effects.executor import LoadOptions
        from .effects.kernel import KernelModules
        from .effects.prefetch import Prefetch, Prefetcher

        options = LoadOptions(ignore_modversions=force or ignore_modversions, ignore_vermagic=force or ignore_vermagic)
        prefetcher = Prefetcher(self._loader or KernelModules(self.roots), jobs, options, self.system.dependencies)
        return Prefetch(prefetcher, [step for plan in plans for step in plan.steps], self._load_through)

    def _load_through(self, prefetcher: Prefetcher | None) -> None:
        """Load through a prefetcher from now on, and see the kernel as it shows it; None ends that."""
        from .effects.prefetch import MaskedLiveKernel

        self._loader = prefetcher
        self.live = MaskedLiveKernel(self.roots, prefetcher) if prefetcher else LiveKernel(self.roots)

    def _executor(self, options: LoadOptions, observer: Observer | None) -> Executor:
        from .effects.executor import Executor
        from .effects.kernel import KernelModules

        if not self.live.is_asked:
            raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is loaded")
        return Executor(self.system, self._loader or KernelModules(self.roots), options, observer)

    def _carry_out(self, plan: Plan, executor: Executor, carry_out: Callable[[TargetPlan], Error | None]) -> list[Step]:
        """Carry out each part of a plan; raise the first error when all were tried."""
        if not plan.targets:
            raise self._not_found(plan.request.asked)
        errors = [error for part in plan.parts if (error := carry_out(part))]
        if errors:
            raise errors[0]
        return executor.done


def _load(executor: Executor, part: TargetPlan, *, first_time: bool) -> Error | None:
    """Carry out one part of a plan; return what made it fail."""
    last = part.steps[-1] if part.steps else None
    if first_time and last and last.asked_for and last.reason == ALREADY:
        return InsertError(ALREADY, module=last.module, path=last.path, errno=errno.EEXIST)
    try:
        executor.load(part)
    except Error as error:
        return error
    return None


def _asked(what: Name) -> str:
    """Return what was asked for as text."""
    return (what.alias or what.name) if isinstance(what, Match) else os.fspath(what)


def _file_name(path: str | os.PathLike[str]) -> str:
    from .names import module_name

    return module_name(os.fspath(path))


def loaded_modules(roots: Roots | None = None) -> list[LoadedModule]:
    """Return the modules in the kernel, newest first: `Context.loaded` in one call."""
    return LiveKernel(roots).modules()


def module_info(what: Name, roots: Roots | None = None) -> ModuleInfo:
    """Return what a module says of itself: `Context.info` in one call."""
    with Context(roots) as context:
        return context.info(what)
