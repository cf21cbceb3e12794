# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod ensure: modules as they are wanted, in the kernel, at boot, in their parameters and in the policy."""

from __future__ import annotations

import errno
import os
from functools import partial

from ..diagnosis.ensure import (
    CANNOT_TELL,
    DENY,
    IN_KERNEL,
    LOAD,
    LOAD_FAILED,
    NO_DEVICE,
    NOT_REACHED,
    NOT_WRITTEN,
    SET,
    SET_FAILED,
    UNDENY,
    UNLOAD,
    UNLOAD_FAILED,
    WRITE_AT_BOOT,
    WRITE_OPTIONS,
    Decision,
    EnsureResult,
    Facts,
    changes,
    condition,
    decide,
    unload_order,
)
from ..diagnosis.ensure import DENIED_ELSEWHERE as DENIED_CODE
from ..diagnosis.status import denial
from ..diagnostics import ERROR, Diagnostic, Place
from ..errors import CommandError, Error, FileError, FormatError, InsertError, NotFoundError
from ..formats.modulesload import parse_modules_load
from ..formats.ownfile import sealed
from ..formats.wantedstate import AVAILABLE, DENIED, LOADED, UNLOADED, WantedModule, parse_wanted, wanted_modules
from ..names import normalize_name
from ..observer import Observer
from ..state.files import read_chosen
from ..state.modulesload import read_modules_load
from ..state.ownfiles import AT_BOOT_TITLE, at_boot_path, options_path
from ..state.policy import compiled_path
from ..state.system import System
from .carried import ModulesBehind, carried
from .params import parameters_of, require_own, set_parameters, write_options
from .policy import deny, policy_show, undeny
from .report import NO_IMAGE, Report, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from ..context import Context
    from ..diagnosis.parameters import ModuleParameters
    from ..effects.policyfiles import Contents

DENY_REASON = "wanted so by kmod ensure"


class EnsureReport(Report):
    """What was done, or would be, so that modules are as wanted; a result for each, in the order of the wishes.

    `checked` tells that nothing was changed on purpose. `written` are the files changed.
    """

    results: tuple[EnsureResult, ...]
    checked: bool
    written: tuple[str, ...] = ()

    @property
    def changed(self) -> bool:
        """Whether something was changed, or would be."""
        return any(result.changed for result in self.results)

    @property
    def is_reached(self) -> bool:
        """Whether no module has an error; what a reboot is needed for counts as reached."""
        return all(result.error is None for result in self.results)

    @property
    def reboot_needed(self) -> bool:
        """Whether the rest comes with the next boot, or the next load, of some module."""
        return any(result.reboot_needed for result in self.results)


def ensure(
    context: Context,
    wanted: str | Mapping[str, Any] | Sequence[WantedModule],
    *,
    check: bool = False,
    force: bool = False,
    observer: Observer | None = None,
) -> EnsureReport:
    """Bring modules into the state that is wanted; a second time nothing changes.

    `wanted` is TOML, the same as a mapping, or `WantedModule`s. `check` changes nothing and says what would be. First
    all files are written, each whole or not at all, then parameters are set, modules unloaded and loaded. Files of
    others are never written; `force` overwrites one of kmod's own that somebody edited. For another system or release
    only files count. A module that cannot be as wanted has an error in its result, and nothing is done for it; the
    others are brought where they are wanted. `observer` hears of each action.

    Blocks as long as the kernel takes. Raises `FormatError` for wishes that are none, `FileError` for files that cannot
    be read.
    """
    wishes = _wishes(wanted)
    run = _Run(context, wishes, force=force, observer=observer)
    return run.foresee() if check else run.carry_out()


def _wishes(wanted: str | Mapping[str, Any] | Sequence[WantedModule]) -> list[WantedModule]:
    if isinstance(wanted, str):
        return parse_wanted(wanted)
    if isinstance(wanted, (list, tuple)):
        return list(wanted)
    return wanted_modules(wanted)  # type: ignore[arg-type]


class _Run:
    """One run: what is known of the modules, what has been done, and what went wrong."""

    def __init__(
        self, context: Context, wishes: Sequence[WantedModule], *, force: bool, observer: Observer | None
    ) -> None:
        self.context = context
        self.wishes = {wish.name: wish for wish in wishes}
        self.force = force
        self.observer: Observer = observer or Observer()
        self.written: list[str] = []
        self.done: set[tuple[str, str, str]] = set()
        self.errors: dict[str, Diagnostic] = {}
        self.pending: set[str] = set()  # what has to wait for a reboot although it was tried

    # --- what is known

    def facts(self) -> dict[str, Facts]:
        """Return what is known of the modules now."""
        context = self.context
        loaded = context.loaded_by_name()
        listed = self._listed_at_boot()
        policy = policy_show(context).rules
        denied = {rule.name for rule in policy if rule.file}
        in_policy = {rule.name for rule in policy}
        others = context.config.without_file(compiled_path(context.roots))
        system = System(context.tolerant_system.tree, context.live, others)
        found = {}
        behind = ModulesBehind(context)  # all ask for the same aliases: those of what the caller stands on
        for name, wish in self.wishes.items():
            module = loaded.get(name)
            parameters, similar, not_known = _parameters(context, name)
            carries = None
            if module and wish.state in (UNLOADED, DENIED):
                carries, not_known = self._carries(name, behind)
            found[name] = Facts(
                name=name,
                is_live=context.live.is_asked,
                parameters=parameters,
                rules=tuple(context.config.options(name)),
                own_path=options_path(context.roots, name),
                policy_denies=name in denied,
                in_policy=name in in_policy,
                denied_by=denial(system, name)[1],
                needs=self._denied_need(name),
                listed_by=tuple(listed.get(name, ())),
                own_list=at_boot_path(context.roots),
                refcount=(module.refcount or 0) if module else 0,
                holders=module.holders if module else (),
                permanent=module.permanent if module else False,
                carries=carries,
                similar=similar,
                not_known=not_known,
                may_be_builtin=system.tree.exists and system.tree.lacks_index("builtin"),
            )
        return found

    def _listed_at_boot(self) -> dict[str, list[Place]]:
        """Return by module the lines that load it at boot."""
        listed: dict[str, list[Place]] = {}
        for line in read_modules_load(self.context.roots, self.context.live.text("cmdline")).lines:
            name = normalize_name(line.text if line.by_systemd else line.name)
            listed.setdefault(name, []).append(Place(line.file, line.line or None, line.text))
        return listed

    def _denied_need(self, name: str) -> Place | None:
        """Return the rule that keeps out a module that this one needs; not of one that is there, or wanted in here."""
        system = self.context.tolerant_system
        for needed in system.dependencies(name):
            wish = self.wishes.get(needed)
            if system.is_available(needed) or (wish and (wish.at_boot or wish.state in (LOADED, AVAILABLE))):
                continue
            place = denial(system, needed)[1]
            if place:
                return place
        return None

    def _carries(self, name: str, behind: ModulesBehind) -> tuple[str | None, str | None]:
        """Return what the caller would lose with a module, and why nobody can tell."""
        try:
            return next((one.what for one in carried(self.context, name, behind=behind)), None), None
        except Error as error:
            return None, str(error) if isinstance(error, FileError) else error.reason

    def decisions(self, facts: Mapping[str, Facts]) -> dict[str, Decision]:
        """Return what it takes. A module whose holders cannot go either is decided about again."""
        going = {name for name, wish in self.wishes.items() if wish.state in (UNLOADED, DENIED)}
        while True:
            found = {name: decide(facts[name], wish, going) for name, wish in self.wishes.items()}
            staying = {name for name in going if facts[name].state in IN_KERNEL and not found[name].has(UNLOAD)}
            if not staying:
                return found
            going -= staying

    # --- doing it

    def foresee(self) -> EnsureReport:
        """Return what would be done."""
        decisions = self.decisions(self.facts())
        results = [_result(decision, decision.after, decision.error) for decision in decisions.values()]
        return EnsureReport(**head("ensure", self.context, _not_known(results)), results=tuple(results), checked=True)

    def carry_out(self) -> EnsureReport:
        """Do it, and look at what has come of it."""
        first = self.facts()
        decisions = self.decisions(first)
        self._write_files(decisions)
        self._set_values(decisions)
        self._unload(decisions)
        self._load(decisions)
        if not self.done and not self.errors:  # nothing to do: nothing has changed
            now, left = first, decisions
        else:
            self.context.refresh()
            now = self.facts()
            left = self.decisions(now)
        results = [self._outcome(decision, now[name], left[name]) for name, decision in decisions.items()]
        return EnsureReport(
            **head("ensure", self.context, _not_known(results)),
            results=tuple(results),
            checked=False,
            written=tuple(self.written),
        )

    def _outcome(self, decision: Decision, now: Facts, left: Decision) -> EnsureResult:
        name = decision.module
        after = condition(now, self.wishes[name])
        actions = tuple([one.replace(done=(name, one.action, one.what) in self.done) for one in decision.actions])
        error = decision.error or self.errors.get(name)
        if error is None and name not in self.pending and (left.actions or left.error):
            rest = left.error.text if left.error else ", ".join(f"{one.action} {one.what}" for one in left.actions)
            error = Diagnostic(NOT_REACHED, ERROR, f"is not as wanted: {rest}", module=name)
        reboot = decision.reboot_needed or left.reboot_needed or name in self.pending
        changed = any(one.done for one in actions)
        return EnsureResult(
            name, changed, decision.before, after, tuple(changes(decision.before, after)), actions, reboot, error
        )

    def _do(
        self, decisions: Sequence[Decision], action: str, work: Callable[[], object], code: str = NOT_WRITTEN
    ) -> bool:
        """Carry out one action for some modules at once; tell whether it was done."""
        ours = [(decision.module, one) for decision in decisions for one in decision.actions if one.action == action]
        error: Error | None = None
        for _, one in ours:
            self.observer.step_started(one)
        try:
            work()
        except Error as failure:
            error = failure
            self.errors.update({name: _failure(failure, name, code) for name, _ in ours})
        for name, one in ours:
            if error is None:
                self.done.add((name, one.action, one.what))
            self.observer.step_done(one, error)
        return error is None

    def _left(self, decisions: Mapping[str, Decision], action: str) -> list[Decision]:
        """Return the modules for which an action has to be done, but those for which one before has failed."""
        return [one for name, one in decisions.items() if one.has(action) and name not in self.errors]

    def _write_files(self, decisions: Mapping[str, Decision]) -> None:
        """Write the policy, then the options, then the list for boots."""
        for action, change in ((UNDENY, undeny), (DENY, _deny)):
            ours = self._left(decisions, action)
            if ours:
                self._do(ours, action, partial(self._policy, change, [one.module for one in ours]))
        for decision in self._left(decisions, WRITE_OPTIONS):
            self._do([decision], WRITE_OPTIONS, partial(self._options, decision))
        ours = self._left(decisions, WRITE_AT_BOOT)
        if ours:
            self._do(ours, WRITE_AT_BOOT, partial(self._at_boot, {one.module: one.lists for one in ours}))

    def _policy(self, change: Callable[..., Any], names: Sequence[str]) -> None:
        report = change(self.context, names, force=self.force, initrd=NO_IMAGE)
        self._note(report.written)

    def _options(self, decision: Decision) -> None:
        self._note(write_options(self.context, decision.module, dict(decision.own or {}), force=self.force))

    def _at_boot(self, listed: Mapping[str, bool]) -> None:
        self._note(_change_list(self.context, listed, force=self.force))

    def _note(self, paths: Iterable[str]) -> None:
        self.written += [path for path in paths if path not in self.written]

    def _set_values(self, decisions: Mapping[str, Decision]) -> None:
        for one in self._left(decisions, SET):
            self._do([one], SET, partial(set_parameters, self.context, one.module, one.to_set), SET_FAILED)

    def _unload(self, decisions: Mapping[str, Decision]) -> None:
        wanted = [one.module for one in self._left(decisions, UNLOAD)]
        if not wanted:
            return
        holders = {module.name: module.holders for module in self.context.loaded_by_name().values()}
        for name in unload_order(holders, wanted):
            done = self._do([decisions[name]], UNLOAD, partial(_unload_alone, self.context, name), UNLOAD_FAILED)
            if not done and self.wishes[name].state == DENIED and self.errors[name].code == UNLOAD_FAILED:
                del self.errors[name]  # the rules hold from the next boot on
                self.pending.add(name)

    def _load(self, decisions: Mapping[str, Decision]) -> None:
        for one in self._left(decisions, LOAD):
            self._do([one], LOAD, partial(self.context.load, one.module), LOAD_FAILED)


def _deny(context: Context, names: Sequence[str], **options: Any) -> object:
    return deny(context, names, reason=DENY_REASON, **options)


def _unload_alone(context: Context, name: str) -> None:
    """Unload a module, and nothing else that it had needed."""
    plan = context.plan_unload(name)
    parts = [part.replace(steps=tuple([step for step in part.steps if step.asked_for])) for part in plan.parts]
    context.unload(plan.replace(parts=tuple(parts)))


def _parameters(context: Context, name: str) -> tuple[ModuleParameters, tuple[str, ...], str | None]:
    """Return the parameters of a module; of one that nothing knows its state alone, and names that resemble it.

    The last is why nobody can tell whether there is such a module.
    """
    from ..diagnosis.parameters import ModuleParameters
    from ..diagnosis.status import ABSENT, UNKNOWN

    try:
        return parameters_of(context, name, unseen=True), (), None
    except NotFoundError as error:
        state, why = (ABSENT, None) if error.certain else (UNKNOWN, error.reason)
        return ModuleParameters(name, state, ()), error.similar, why


def _not_known(results: Iterable[EnsureResult]) -> list[Diagnostic]:
    """Return what could not be found out of modules, for the errors of the report."""
    errors = [result.error for result in results]
    return [error.replace(subject=error.module) for error in errors if error and error.code == CANNOT_TELL]


def _result(decision: Decision, after: Any, error: Diagnostic | None) -> EnsureResult:
    return EnsureResult(
        decision.module,
        bool(decision.actions),
        decision.before,
        after,
        tuple(changes(decision.before, after)),
        decision.actions,
        decision.reboot_needed,
        error,
    )


def _change_list(context: Context, listed: Mapping[str, bool], *, force: bool) -> list[str]:
    """Put modules on our list of those that are loaded at boot, or take them off; return the paths changed."""
    from ..effects.policyfiles import change_files

    path = at_boot_path(context.roots)

    def change(before: Contents) -> Contents:
        data = before[path]
        require_own(path, data, AT_BOOT_TITLE, force=force)
        names = {normalize_name(text) for _, text in parse_modules_load(data or b"")}
        new = (names | listed.keys()) - {name for name, is_listed in listed.items() if not is_listed}
        if new == names:
            return before
        return {path: sealed(AT_BOOT_TITLE, "".join(f"{name}\n" for name in sorted(new))) if new else None}

    return change_files([path], change, own_directories=())


def _failure(error: Error, module: str, code: str) -> Diagnostic:
    """Return an error as that of a result."""
    if isinstance(error, InsertError) and error.errno == errno.ENODEV:
        code = NO_DEVICE
    elif isinstance(error, CommandError) and code == LOAD_FAILED:
        code = DENIED_CODE
    text = error.reason
    if code == NO_DEVICE:
        text = "found no device that it could drive"
    elif error.module and error.module != module:
        text = f"{error.module}: {text}"
    return Diagnostic(code, ERROR, text, module=module, file=error.path, line=error.line, errno=error.errno)


def read_wanted(path: str | os.PathLike[str]) -> list[WantedModule]:
    """Return what a TOML file wants of modules. Raises `FileError`, `FormatError`."""
    path = os.fspath(path)
    return wanted_in(read_chosen(path), path)


def wanted_in(data: bytes, path: str | None = None) -> list[WantedModule]:
    """Return what the bytes of a TOML file want of modules; `path` is for errors. Raises `FormatError`."""
    try:
        return parse_wanted(data.decode(), path)
    except UnicodeDecodeError:
        raise FormatError("no TOML: it is not in UTF-8", path=path) from None
