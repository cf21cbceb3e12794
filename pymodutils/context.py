# SPDX-License-Identifier: LGPL-2.1-or-later
"""One system as a program sees it: modules on disk, configuration, running kernel, and what modprobe does."""

from __future__ import annotations

import errno
import posix
from _thread import allocate_lock  # `threading` would import much

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
from .names import module_name, normalize_name
from .osparts import absolute, is_path_like
from .planning.lookup import (
    FILE,
    MODULES_DEP,
    Match,
    is_path,
    lookup,
    match,
    match_file,
    names_file,
    not_found,
    require_regular,
)
from .planning.plan import ALREADY, Plan, PlanRequest, no_such_target
from .roots import Roots
from .state.live import LiveKernel, NoLiveKernel
from .state.system import NO_CONFIG, System
from .state.tree import ModuleTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from .diagnosis.status import Status
    from .diagnostics import Diagnostic
    from .effects.executor import Executor, Loader
    from .effects.prefetch import Prefetcher
    from .formats.modinfo import Field
    from .formats.procmodules import LoadedModule
    from .formats.textindex import DeviceNode
    from .observer import Observer
    from .planning.insertion import Planner
    from .planning.plan import Step, TargetPlan
    from .planning.removal import Steps
    from .state.config import Config
    from .state.description import ModuleInfo
    from .state.modulefile import ModuleFile
    from .state.tree import TreeModule

    Name = str | os.PathLike[str] | Match
    """What names a module: its name, an alias, the path of its file, or a `Match`."""

UNUSABLE_INDEX, MISSING_TREE = "unusable-index", "missing-tree"
UNREADABLE_MODULE, BAD_DEVICE_LINE = "unreadable-module", "bad-device-line"
"""Codes of diagnostics: an index that cannot be used; no module directory; a module that is not found or cannot be
described; a bad line of modules.devname."""


class Context:
    """One system: the modules on disk, the configuration, and, if it is the running system, its kernel.

    `roots` says where the system is. `config` has paths of files and directories, or one path, to read instead of the
    configuration directories (modprobe's -C). `live` True asks the kernel at `roots.proc` and `roots.sys`, False does
    not. Without it, the kernel is asked if `Roots.shows_kernel`. `on_problem` hears of what was wrong and could be got
    over; without it, an index that cannot be used is an error, and so is a module file in `infos`.

    A module is asked for by its name, an alias, the path of its file, or a `Match`. A path is a `Path`, or text that
    begins with `/` or `./`, or that has a slash and ends like a module's file. Dashes count as underscores.

    `tree` is the module directory, `live` the kernel, `config` the configuration. The context remembers configuration
    and indexes; `stale` tells when they have changed, `refresh` makes the next question read them again. It asks the
    kernel again at every question. Several threads may ask at the same time. A copy, also by pickle, is a new context
    for the same system.

    Questions raise `MissingTreeError` when they need a module directory that is not there, `FileError` for what cannot
    be read, and `FormatError` for what is damaged.
    """

    def __init__(
        self,
        roots: Roots | None = None,
        *,
        config: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
        live: bool | None = None,
        on_problem: Callable[[Diagnostic], None] | None = None,
    ) -> None:
        if roots is not None and not isinstance(roots, Roots):
            raise TypeError(f"a system is given by its Roots, not by {type(roots).__name__}: see Roots.of_system")
        self.roots: Roots = roots or Roots()
        # No method of this object: it and the tree would keep each other, and the tree's descriptors, alive.
        self._index_errors = _IndexErrors(on_problem) if on_problem else None
        self.tree: ModuleTree = ModuleTree(self.roots, self._index_errors)
        asks = self.roots.shows_kernel if live is None else live
        self.live: LiveKernel = LiveKernel(self.roots) if asks else NoLiveKernel(self.roots, forbidden=live is False)
        paths = [config] if isinstance(config, str) or is_path_like(config) else config or ()
        self.config_paths: tuple[str, ...] = tuple([posix.fspath(path) for path in paths])
        self._on_problem = on_problem
        self._config: Config | None = None
        self._config_lock = allocate_lock()
        # For questions that have an answer without a module directory, too.
        self._tolerant_tree = self.tree if on_problem else ModuleTree(self.roots, _raise_unless_missing)
        self._loader: Loader | None = None
        self._kernel: Loader | None = None
        self._executors: type[Executor] | None = None
        self._planner: Planner | None = None
        self._system: System | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:  # two contexts may share neither descriptors nor a lock
        live = True if self.live.is_asked else False if self.live.is_forbidden else None
        return _made_again, (type(self), self.roots, self.config_paths, live, self._on_problem)

    def close(self) -> None:
        """Close the indexes. The next question opens them again."""
        self.tree.refresh()
        self._tolerant_tree.refresh()

    # --- what it is

    @property
    def exists(self) -> bool:
        """Whether there is a module directory."""
        return self.tree.exists

    @property
    def stale(self) -> bool:
        """Whether an index or the configuration has changed since it was read."""
        config = self._config
        return self.tree.stale or self._tolerant_tree.stale or (config is not None and config.stale)

    def refresh(self) -> None:
        """Forget indexes and configuration, so that the next question reads them again."""
        self.close()
        self._config = self._planner = None
        if self._index_errors:
            self._index_errors.tree_is_missing = False

    @property
    def config(self) -> Config:
        """The configuration: modprobe.d, modules.softdep, modules.weakdep and the kernel command line.

        `on_problem` hears of what is wrong with it when it is read. `Config.problems` has it, too.
        """
        config = self._config
        if config is not None:
            return config
        with self._config_lock:
            if self._config is not None:
                return self._config
            from .state.config import read_config

            config = read_config(self.roots, self.config_paths, command_line=self.live.is_asked)
            self._config = config
        for problem in config.problems:
            self._report(problem)
        return config

    @property
    def system(self) -> System:
        """Tree, kernel and configuration together."""
        system = self._system
        if (
            system is None
            or system.config is not self._config
            or system.live is not self.live
            or system.tree is not self.tree
        ):
            system = self._system = System(self.tree, self.live, self.config)
        return system

    @property
    def tolerant_system(self) -> System:
        """The same for questions that have an answer without a module directory, too."""
        return System(self._tolerant_tree, self.live, self.config)

    @property
    def _bare_system(self) -> System:
        """The system without its configuration, which then need not be read."""
        return System(self.tree, self.live, NO_CONFIG)

    def _report(self, problem: Diagnostic) -> None:
        if self._on_problem is not None:
            self._on_problem(problem)

    # --- what is in it

    def loaded(self) -> list[LoadedModule]:
        """Return the modules in the kernel, newest first. Raises `LiveKernelNotAskedError`."""
        return self.live.modules()

    def available(self) -> list[TreeModule]:
        """Return the modules that are files of the tree, in the order of modules.dep.

        Raises `FileError` for a module directory without modules.dep.bin, in which depmod has not run. A context with
        `on_problem` calls that instead, and returns an empty list.
        """
        modules = self.tree.modules()
        if not modules:
            self._require_index("dep", "modules")
        return modules

    def _require_index(self, name: str, what: str) -> None:
        """Call `on_problem`, or raise, where an index is not there; damage was reported when it was read."""
        if not self.tree.exists or not self.tree.lacks_index(name) or name in self.tree.unusable_indexes:
            return
        why = f"cannot tell which {what} there are: {self.tree.why_unknown()}"
        error = FileError(why, path=self.tree.directory, errno=errno.ENOENT)
        if self._index_errors is None:
            raise error
        self._index_errors(error)

    def builtins(self) -> list[str]:
        """Return the names of the modules that are part of the kernel image, in byte order.

        Raises `FileError` for a module directory without modules.builtin.bin, or without the list that depmod makes it
        of, modules.builtin. A context with `on_problem` calls that instead, and returns an empty list.
        """
        names = self.tree.builtins()
        if not names:
            self._require_index("builtin", "builtin modules")
        return names

    def lookup(self, text: str | os.PathLike[str], *, configured: bool = True) -> list[Match]:
        """Return the modules that `text` stands for, as modprobe finds them; none when it stands for nothing.

        Text is a path only if it begins with `/` or `./`. Without `configured` the configuration takes no part, as in
        modinfo. Raises `FileError` when a path leads nowhere.
        """
        system = self.system if configured else self._bare_system
        if not isinstance(text, str) or is_path(text):
            return [_match_path(system, text)]
        return _look_up(system, text)

    def find(self, name: str) -> Match | None:
        """Return the module of exactly this name, a file or builtin; None when there is none."""
        found = match(self._bare_system, normalize_name(_text(name)), None, MODULES_DEP)
        return found if found.path or found.builtin else None

    def similar(self, text: str) -> list[str]:
        """Return known names that resemble `text`, best first. It reads the whole tree (about 20 ms)."""
        from .planning.similar import similar_names

        return similar_names(_text(text), [module.name for module in self.tree.modules()] + self.tree.builtins())

    def info(self, what: Name) -> ModuleInfo:
        """Return what a module says of itself.

        Raises `NotFoundError`, and `AmbiguousNameError` for an alias of several modules, which `infos` takes.
        """
        with _About(what):
            return self._describe(self._one(what), None)

    def infos(
        self, whats: Name | Iterable[Name] | None = None, fields: str | Iterable[str] | None = None
    ) -> Iterator[ModuleInfo]:
        """Yield what modules say of themselves: all modules of the tree, or those that `whats` stand for.

        With `fields`, names of fields of `ModuleInfo`, only these are worked out, and the others are None or empty.
        `on_problem` hears of a module that is not found or cannot be described; without it that is raised.
        """
        wanted = None if fields is None else frozenset([fields] if isinstance(fields, str) else fields)
        for what, found in self._described(whats):
            try:
                with _About(what):
                    described = self._describe(found, wanted)
            except Error as error:
                self._report_or_raise(error, found)
            else:
                yield described

    def _described(self, whats: Name | Iterable[Name] | None) -> Iterator[tuple[Name | None, Match]]:
        """Yield the modules that `infos` describes, each with what was asked for."""
        if whats is None:
            for module in self.available():
                yield None, Match(module.name, None, module.path, module.dependencies, MODULES_DEP)
            return
        for what in _names(whats):
            try:
                found = self._all(what)
            except NotFoundError as error:
                self._report_or_raise(error)
            else:
                for match_found in found:
                    yield what, match_found

    def _report_or_raise(self, error: Error, module: Match | None = None) -> None:
        """Let `on_problem` hear of a module that is left out; raise the error when nobody listens."""
        if self._on_problem is None:
            raise error
        from .diagnostics import ERROR, Diagnostic

        name = module.name if module else error.module
        self._report(
            Diagnostic(
                UNREADABLE_MODULE, ERROR, error.reason, name, error.path, error.line, error.asked, errno=error.errno
            )
        )

    def open(self, what: Name) -> ModuleFile:
        """Open a module's file. Raises `NotFoundError`, also for a builtin module, and `AmbiguousNameError`."""
        from .state.modulefile import ModuleFile

        found = self._one(what)
        if found.path is None:
            raise NotFoundError("is part of the kernel: it has no file", module=found.name, asked=_asked(what))
        with _About(what):
            return ModuleFile(found.path)

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
        for number, line in devname_lines(read_file(path)):
            node = parse_devname_line(line)
            if node is None:
                text = "a line that names no device file"
                self._report(Diagnostic(BAD_DEVICE_LINE, ERROR, text, file=path, line=number, subject=line))
            else:
                nodes.append(node)
        return nodes

    def builtin_fields(self, name: str) -> list[Field]:
        """Return the .modinfo strings of a builtin module."""
        return self.tree.builtin_modinfo(_text(name))

    def _describe(self, found: Match, fields: frozenset[str] | None) -> ModuleInfo:
        from .state.description import describe_builtin, describe_file
        from .state.modulefile import ModuleFile

        if found.path is None:
            return describe_builtin(found.name, self.builtin_fields(found.name), fields)
        with ModuleFile(found.path) as module:
            return describe_file(module, fields)

    def _one(self, what: Name) -> Match:
        found = self._all(what)
        if len(found) > 1:
            raise _ambiguous(what, [module.name for module in found])
        return found[0]

    def _all(self, what: Name) -> list[Match]:
        """Return the modules to describe, at least one. Raises `NotFoundError`."""
        if isinstance(what, Match):
            found = [what]
        elif _is_file(what):
            path = _text(what)
            return [Match(module_name(path), None, path, (), FILE)]  # what the file says needs no index
        else:
            found = self.lookup(what)
        found = [module for module in found if module.path or module.builtin]
        if not found:
            raise not_found(self._tolerant_tree, _asked(what))
        return found

    # --- where modules stand

    def status(self, what: Name) -> Status:
        """Return where a module stands: in the kernel, in the tree, or nowhere.

        A name that nothing knows is `absent`, or `unknown` if there is no tree, or an index that may know it is missing
        or damaged. Raises `AmbiguousNameError` for an alias of several modules, which `statuses` takes.
        """
        found = self.statuses([what])
        if len(found) > 1:
            raise _ambiguous(what, [status.name for status in found])
        return found[0]

    def statuses(self, whats: Name | Iterable[Name] | None = None, *, observer: Observer | None = None) -> list[Status]:
        """Return where modules stand: all loaded ones, newest first, or those that `whats` stand for.

        `observer` hears of progress. Raises `FileError` for a path where no file is, and, without `whats`,
        `LiveKernelNotAskedError`.
        """
        from .diagnosis.status import match_loaded, module_status
        from .observer import counted

        system = self.tolerant_system
        unread = self._unread if self._on_problem else None
        if whats is None:
            loaded = {module.name: module for module in self.loaded()}
            wanted: list[Name] = list(loaded)
        else:
            loaded, wanted = self.loaded_by_name(), list(_names(whats))
        found: list[Status] = []
        for what in counted(wanted, "modules", observer):
            name = "" if isinstance(what, Match) or _is_file(what) else normalize_name(_text(what))
            if name in loaded:
                found.append(module_status(system, _asked(what), match_loaded(system, name), name, loaded, unread))
                continue
            matches = self._matches(what, system)
            if matches and matches[0].origin == FILE:
                with _About(what):
                    require_regular(str(matches[0].path))
            if not matches:
                name = normalize_name(_asked(what))
                found.append(module_status(system, _asked(what), None, name, loaded, unread))
            found += [module_status(system, _asked(what), module, module.name, loaded, unread) for module in matches]
        return found

    def _unread(self, error: FileError) -> None:
        """Let `on_problem` hear of a file that cannot be read."""
        from .diagnostics import ERROR, Diagnostic
        from .state.config import UNREADABLE_FILE

        if self._on_problem is not None:
            self._on_problem(Diagnostic(UNREADABLE_FILE, ERROR, error.reason, file=error.path, errno=error.errno))

    def loaded_by_name(self) -> dict[str, LoadedModule]:
        """Return the loaded modules by name; none where no kernel is asked, or it cannot have modules."""
        if not self.live.is_asked:
            return {}
        try:
            return {module.name: module for module in self.loaded()}
        except FileError as error:
            if error.errno == errno.ENOENT and self.live.text("version"):
                return {}
            raise

    def _matches(self, what: Name, system: System) -> list[Match]:
        """Return the modules that a name or path stands for; none when it stands for nothing."""
        if isinstance(what, Match):
            return [what]
        if _is_file(what):
            return [_match_path(system, what)]
        return _look_up(system, _text(what))

    # --- what modprobe would do

    def plan_load(
        self,
        what: Name,
        parameters: str | Mapping[str, object] = "",
        *,
        ignore_loaded: bool = False,
        ignore_commands: bool = False,
        use_blacklist: bool = False,
    ) -> Plan:
        """Return what loading takes, without doing it.

        `parameters` are those of the module asked for: text, or a mapping of names to values. `ignore_loaded` plans as
        if nothing were loaded (modprobe -D). `ignore_commands` leaves the module's own install rule out (-i).
        `use_blacklist` lets blacklist rules hold for names, too (-b). What stands for nothing gives a plan with
        `missing`. Raises `TypeError` and `ValueError` for parameters that the kernel could not read.
        """
        planner = self._planner
        if planner is None:
            from .planning.insertion import Planner

            planner = self._planner = Planner()
        if parameters != "":
            from .formats.parameters import parameters_text

            parameters = parameters_text(parameters)
        asked = _asked(what)
        # Modprobe asks for thousands of plans at once: by position a request takes a third of the time.
        options = (ignore_loaded, ignore_commands, use_blacklist, False, False, False)
        request = PlanRequest(asked, False, parameters, *options)
        system = self.system
        parts = [planner.plan(system, target, request) for target in self._matches(what, system)]
        return Plan(request, tuple(parts)) if parts else no_such_target(request)

    def begin_batch(self) -> None:
        """Take files and rules for unchanged from now on, when plans are asked for: many plans have most in common.

        It is for programs that ask for thousands of plans and end; `refresh` ends it, too.
        """
        from .planning.insertion import Planner

        self._planner = Planner(files_stay=True)

    def plan_unload(
        self,
        what: Name,
        *,
        holders: bool = False,
        ignore_loaded: bool = False,
        ignore_commands: bool = False,
        waits: bool = False,
        first_time: bool = False,
        follow: bool = True,
    ) -> Plan:
        """Return what unloading takes if each step succeeds, without doing it.

        `holders` unloads the modules that use it, too. `waits` plans for a module in use as if it were let go.
        `ignore_loaded` plans as if the kernel had nothing to say. `ignore_commands` leaves remove rules and soft
        dependencies out. With `first_time` a module that is not loaded does not meet the request. Without `follow` each
        step is decided by the kernel as it is now, as `modprobe -r -n` does: then the plan lacks dependencies that are
        in use until the steps before are done.
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
        targets = self._matches(what, system)
        parts = [foresee_removal(system, target, request, follow=follow) for target in targets]
        return Plan(request, tuple(parts)) if parts else no_such_target(request)

    # --- doing it

    def load(
        self,
        what: Name | Plan,
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

        A plan is carried out as it is; a step is left out if its module is there by then. `parameters`,
        `ignore_commands` and `use_blacklist` are as in `plan_load`, and not for a plan, which has its own. `first_time`
        makes a module that is loaded already an error. `force` is both `ignore_modversions` and `ignore_vermagic`.
        `environment` is that of install commands. `observer` hears of each step. Of an alias all modules are tried, and
        the first error is raised after that.

        Blocks until the kernel and all commands are done. Raises `NotFoundError`, `InsertError`, `CommandError`,
        `FileError`, `LiveKernelNotAskedError`.
        """
        plan = self._plan_to_carry_out(what, parameters, ignore_commands, use_blacklist)
        if self._executors is None:
            from .effects.executor import Executor

            self._executors = Executor  # an import in a function takes as long as a look-up, every time
        executor = self._executors.of_loading(
            self.system,
            self._kernel_modules(),
            observer,
            first_time,
            force or ignore_modversions,
            force or ignore_vermagic,
            environment,
        )
        self._require_targets(plan)
        errors = [error for part in plan.parts if (error := _load(executor, part, first_time=first_time))]
        if errors:
            raise _with_asked(errors[0], plan.request.asked)
        return executor.done

    def _plan_to_carry_out(
        self, what: Name | Plan, parameters: str | Mapping[str, object], ignore_commands: bool, use_blacklist: bool
    ) -> Plan:
        """Return the plan that `load` is for: the given one, or one made for a name."""
        if not isinstance(what, Plan):
            return self.plan_load(what, parameters, ignore_commands=ignore_commands, use_blacklist=use_blacklist)
        if what.request.removal:
            raise ValueError("this plan is one for unloading")
        if parameters or ignore_commands or use_blacklist:
            raise ValueError("parameters and rules of a plan are decided when it is made")
        return what

    def unload(
        self,
        what: Name | Plan,
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

        A plan is carried out as it is; a step is left out if its module is gone by then. Without a plan each step is
        decided when the one before it is done. `holders` unloads the modules that use it, too. `wait` is how many
        seconds to wait for users to let go. `first_time` makes a module that is not loaded an error. `force` unloads a
        module in use, which may crash the machine. `environment` is that of remove commands. `observer` hears of each
        step. The first failure ends it.

        Blocks until the kernel and all commands are done. Raises `NotFoundError`, `RemoveError`, `CommandError`,
        `LiveKernelNotAskedError`.
        """
        from .effects.executor import Executor, ExecutorOptions

        options = ExecutorOptions(first_time=first_time, force_removal=force, wait=wait, environment=environment)
        executor = Executor(self.system, self._kernel_modules(), options, observer)
        if not isinstance(what, Plan):
            request = PlanRequest(
                asked=_asked(what),
                removal=True,
                ignore_commands=ignore_commands,
                holders=holders,
                waits=wait > 0,
                first_time=first_time,
            )
            removals = self._removals(what, executor.system, request)
        elif not what.request.removal:
            raise ValueError("this plan is one for loading")
        elif holders or ignore_commands:
            raise ValueError("holders and rules of a plan are decided when it is made")
        else:
            request = what.request
            removals = self._planned_removals(what)
        for removal in removals:
            error = executor.unload(removal)
            if error:
                raise _with_asked(error, request.asked)
        return executor.done

    def _removals(self, what: Name, system: System, request: PlanRequest) -> list[Steps]:
        """Return a removal for each module that a name stands for, decided step by step. Raises `NotFoundError`."""
        from .planning.removal import plan_removal

        targets = self._matches(what, system)
        if not targets:
            raise not_found(self._tolerant_tree, request.asked)
        return [plan_removal(system, target, request) for target in targets]

    def _planned_removals(self, plan: Plan) -> list[Steps]:
        """Return the removals of a plan. Raises `NotFoundError`."""
        from .effects.executor import given_steps

        self._require_targets(plan)
        return [given_steps(part.steps) for part in plan.parts]

    def prefetch(
        self,
        plans: Iterable[Plan],
        jobs: int,
        *,
        force: bool = False,
        ignore_modversions: bool = False,
        ignore_vermagic: bool = False,
    ) -> AbstractContextManager[None]:
        """Return a `with` block in which up to `jobs` modules of the plans are loaded at the same time.

        Within it the program calls `load` for one request after the other, as without it: what each call returns and
        raises is the same. The plans may be made one by one, by a generator, while the modules of the first ones load.
        A module of the plans that `load` does not come to is unloaded at the end. Meanwhile no other thread may use
        this context. Raises `LiveKernelNotAskedError`.
        """
        from .effects.executor import ExecutorOptions
        from .effects.prefetch import Prefetch, Prefetcher

        options = ExecutorOptions(
            ignore_modversions=force or ignore_modversions, ignore_vermagic=force or ignore_vermagic
        )
        prefetcher = Prefetcher(self._kernel_modules(), jobs, options, self.system.dependencies)
        return Prefetch(prefetcher, (step for plan in plans for step in plan.steps), self._load_through)

    def _load_through(self, prefetcher: Prefetcher | None) -> None:
        """Load through a prefetcher from now on, and see the kernel as it shows it; None ends that."""
        from .effects.prefetch import MaskedLiveKernel

        self._loader = prefetcher
        self.live = MaskedLiveKernel(self.roots, prefetcher) if prefetcher else LiveKernel(self.roots)

    def _kernel_modules(self) -> Loader:
        """Return what loads and unloads. Raises `LiveKernelNotAskedError`."""
        if not self.live.is_asked:
            raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is loaded")
        if self._kernel is None:
            from .effects.kernel import KernelModules

            self._kernel = KernelModules(self.roots)
        return self._loader or self._kernel

    def _require_targets(self, plan: Plan) -> None:
        """Raise `NotFoundError` for the plan of a request that stands for nothing."""
        if not plan.targets:
            raise not_found(self._tolerant_tree, plan.request.asked)


def _made_again(
    kind: type[Context],
    roots: Roots,
    config: tuple[str, ...],
    live: bool | None,
    on_problem: Callable[[Diagnostic], None] | None,
) -> Context:
    """Return a context for the same system, which has read nothing yet."""
    return kind(roots, config=config, live=live, on_problem=on_problem)


class _IndexErrors:
    """Tells `on_problem` of each index that cannot be used, and once of there being no module directory."""

    def __init__(self, on_problem: Callable[[Diagnostic], None]) -> None:
        self._on_problem = on_problem
        self.tree_is_missing = False

    def __call__(self, error: Error) -> None:
        from .diagnostics import ERROR, Diagnostic

        code = UNUSABLE_INDEX
        if isinstance(error, MissingTreeError):
            if self.tree_is_missing:
                return
            self.tree_is_missing = True
            code = MISSING_TREE
        self._on_problem(Diagnostic(code, ERROR, error.reason, file=error.path, line=error.line, errno=error.errno))


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


# --- names of modules


def _asked(what: Name) -> str:
    """Return what was asked for as text."""
    return (what.alias or what.name) if isinstance(what, Match) else _text(what)


def _text(what: str | os.PathLike[str]) -> str:
    """Return a name or path as text. Raises `TypeError`, for bytes as well."""
    text = posix.fspath(what) if is_path_like(what) else what
    if isinstance(text, str):
        return text
    raise TypeError(f"a module is asked for by text, a path or a Match, not {type(what).__name__}")


def _names(whats: Name | Iterable[Name]) -> Iterable[Name]:
    """Return the names asked for; one that stands alone is one name, not its letters."""
    return [whats] if isinstance(whats, (str, Match)) or is_path_like(whats) else whats


def _is_file(what: str | os.PathLike[str]) -> bool:
    """Tell whether a module is asked for by its file."""
    text = _text(what)
    return text is not what or names_file(text)


def _match_path(system: System, path: str | os.PathLike[str]) -> Match:
    """Return the module in a file. Raises `FileError` when there is none."""
    with _About(path):
        return match_file(system, absolute(_text(path)))


class _About:
    """Lets errors that are raised within tell what was asked for; they have the path in full."""

    def __init__(self, what: Name | None) -> None:
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Error) and self._what is not None:
            _with_asked(error, _asked(self._what))


def _with_asked(error: Error, asked: str) -> Error:
    """Return an error after letting it tell what was asked for, unless it does."""
    if error.asked is None:
        error.asked = asked
    return error


def _look_up(system: System, text: str) -> list[Match]:
    """Return the modules that a name or an alias stands for; none also for unmatched brackets."""
    try:
        return lookup(system, text)
    except NameSyntaxError:
        return []


def _ambiguous(what: Name, names: list[str]) -> AmbiguousNameError:
    return AmbiguousNameError(f"stands for several modules: {', '.join(names)}", asked=_asked(what), modules=names)


def _raise_unless_missing(error: Error) -> None:
    """Get over there being no module directory, and nothing else."""
    try:
        if not isinstance(error, MissingTreeError):
            raise error
    finally:
        del error  # which keeps this frame: a circle would keep the indexes open


# --- in one call


def loaded_modules(roots: Roots | None = None) -> list[LoadedModule]:
    """Return the modules in the kernel, newest first: `Context.loaded` in one call."""
    return LiveKernel(roots).modules()


def module_info(what: Name, roots: Roots | None = None) -> ModuleInfo:
    """Return what a module says of itself: `Context.info` in one call."""
    with Context(roots) as context:
        return context.info(what)
