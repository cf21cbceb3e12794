# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod reload: unload a module and load it again, with all that uses it, or leave everything as it was."""

from __future__ import annotations

from ..diagnosis.carries import with_holders
from ..diagnosis.outcome import KernelRules
from ..diagnosis.reload import Member, ReloadStep, member_of
from ..diagnosis.status import BUILTIN, LIVE, denial
from ..diagnostics import ERROR, WARNING, Diagnostic
from ..errors import Error, InsertError, LiveKernelNotAskedError, ParameterError, RemoveError
from ..formats.parameters import parameter_value
from ..frozendict import FrozenDict
from ..planning.lookup import names_file
from ..shellwords import command
from ..state.kernelfacts import read_kernel_facts
from ..state.modulefile import ModuleFile
from .carried import carried
from .params import about_unseen, checked_value, parameters_of
from .report import CANNOT_TELL, Report, asked_names, head, unlisted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..context import Context
    from ..diagnosis.parameters import ModuleParameters
    from ..diagnosis.status import Status
    from ..effects.reloading import Reloading
    from ..effects.reloadrecord import ReloadRecords
    from ..observer import Observer

NOT_LOADED, IS_BUILTIN, PERMANENT, IN_USE = "not-loaded", "builtin", "permanent", "in-use"
CARRIES_CALLER, DENIED, NO_FILE, KERNEL_REFUSES = "carries-caller", "denied", "no-file", "kernel-refuses"
CANNOT_KEEP, UNFINISHED, BAD_PARAMETER = "cannot-keep", "unfinished", "bad-parameter"
UNLOAD_FAILED, LOAD_FAILED, DIFFERS, NOT_RESTORED = "unload-failed", "load-failed", "differs", "not-restored"
INTERRUPTED, BUSY = "interrupted", "busy"
"""Codes of `ReloadReport.error`."""

OTHER_BUILD = "other-build"
"""Code of `ReloadReport.warnings`, with `unseen`, `in-use` and `differs`: the file is not what is loaded."""


class ReloadReport(Report):
    """What a reload did, or would do.

    `steps` are in order; those that brought the old state back are marked. `before` and `after` are the parameters of
    all its modules, by module and name. `rolled_back` tells whether the old state is back after a failure: None where
    nothing had to be brought back, False where that failed. `error` is what kept the reload from being done; None after
    success, and in a plan that nothing speaks against. `warnings` is what is to be known before.
    """

    module: str
    steps: tuple[ReloadStep, ...]
    before: Mapping[str, Mapping[str, str]]
    after: Mapping[str, Mapping[str, str | None]]
    rolled_back: bool | None
    error: Diagnostic | None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def is_done(self) -> bool:
        """Whether nothing failed, and nothing was refused."""
        return self.error is None


def reload(
    context: Context,
    name: str,
    parameters: Mapping[str, object] | None = None,
    *,
    plan: bool = False,
    force: bool = False,
    observer: Observer | None = None,
) -> ReloadReport:
    """Unload a module and all that use it, and load them again with the parameters that they have now.

    `parameters` are new ones of the module asked for. `plan` only says what would be done, and what speaks against it.
    If a step fails, the old modules and parameters are brought back before this returns. If this process dies, a record
    below /run/pymodutils says what to do, and `resume_reload` does it. What carries the caller, what a rule keeps out,
    and values that cannot be kept are refused without `force`. `observer` hears of each step, a `ReloadStep`.

    Blocks as long as the kernel takes. Raises `NotFoundError`, `AmbiguousNameError`, `LiveKernelNotAskedError`, and
    `FileError` when the record cannot be written; nothing is unloaded then.
    """
    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is loaded")
    new = {key: parameter_value(value) for key, value in (parameters or {}).items()}
    (name,) = asked_names([name])
    job = _Job(context, name, new, force=force)
    if job.error or plan:
        return job.report(job.planned())
    from ..effects.reloadrecord import BusyError, ReloadRecords

    try:
        with ReloadRecords(context.roots) as records:
            if job.module in records.names():
                text = f"an earlier reload was cut short: {command('kmod reload --resume', job.module)}"
                job.error = _diagnostic(UNFINISHED, text, job.module, file=records.path(job.module))
                return job.report(job.planned())
            return job.carry_out(records, observer)
    except BusyError as error:
        job.error = _diagnostic(BUSY, error.reason, job.module, file=error.path)
        return job.report(job.planned())


def resume_reload(
    context: Context, names: str | Iterable[str] = (), *, observer: Observer | None = None
) -> list[ReloadReport]:
    """Bring back what reloads that were cut short had unloaded, by their records; all, or those of some modules.

    A reload whose modules all are as before is forgotten. Raises `LiveKernelNotAskedError`, `FileError`, and `Error`
    while another reload is at work.
    """
    from ..effects.kernel import KernelModules
    from ..effects.reloading import Reloading, values_of
    from ..effects.reloadrecord import ReloadRecords
    from ..names import normalize_name

    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is loaded")
    wanted = [normalize_name(name) for name in asked_names(names)]
    reports = []
    with ReloadRecords(context.roots) as records:
        for module in records.names():
            if wanted and module not in wanted:
                continue
            members = records.read(module)
            before = values_of(context.live, members)
            reloading = Reloading(KernelModules(context.roots), context.live, members, {}, observer)
            error = None
            try:
                reloading.restore()
            except Error as failure:
                error = _diagnostic(NOT_RESTORED, str(failure), module, file=records.path(module))
            else:
                records.remove(module)
            reports.append(
                ReloadReport(
                    **head("reload", context),
                    module=module,
                    steps=tuple(reloading.steps),
                    before=_frozen(before),
                    after=_frozen(values_of(context.live, members)),
                    rolled_back=error is None,
                    error=error,
                    warnings=tuple(reloading.warnings),
                )
            )
    return reports


class _Job:
    """One reload: what speaks against it is `error`."""

    def __init__(self, context: Context, name: str, new: Mapping[str, str], *, force: bool) -> None:
        self.context = context
        self.new = dict(new)
        self.error: Diagnostic | None = None
        self.rolled_back: bool | None = None
        self.warnings: list[Diagnostic] = []
        self.members: list[Member] = []
        own = parameters_of(context, name)
        self.module = own.name
        path = name if names_file(name) else None
        self.error = self._state_refusal(own)
        if self.error:
            return
        holders = {module.name: module.holders for module in context.loaded_by_name().values()}
        family = with_holders(own.name, holders)[::-1]  # the module first, as they are loaded
        self.error = self._collect(family, own, path) or self._family_refusal(force=force)

    def _state_refusal(self, own: ModuleParameters) -> Diagnostic | None:
        if own.state == BUILTIN:
            return _diagnostic(IS_BUILTIN, "is part of the kernel: it cannot be unloaded", own.name)
        if own.state != LIVE:
            return _diagnostic(NOT_LOADED, "is not in the kernel, or not ready: there is nothing to reload", own.name)
        for key, value in self.new.items():
            try:
                checked_value(own, key, value)
            except ParameterError as error:
                return _diagnostic(BAD_PARAMETER, f"{error.parameter}: {error.reason}", own.name)
        return None

    def _collect(self, family: Sequence[str], own: ModuleParameters, path: str | None) -> Diagnostic | None:
        """Read what has to be kept of each module, and return what says that one cannot come back."""
        for name in family:
            status = self.context.status(path if path and name == own.name else name)
            described = own if name == own.name else parameters_of(self.context, name)
            self.warnings += about_unseen(described)
            if status.path is None:
                for problem in unlisted(self.context.tolerant_system.tree, name):
                    raise Error(problem.text, module=name, path=problem.file)
                text = "is no file of this kernel's modules: to be loaded again it has to be named by its path"
                return _diagnostic(NO_FILE, text, name)
            if status.permanent:
                return _diagnostic(PERMANENT, "cannot be unloaded: it has no exit function", name)
            if status.stale:
                text = "is another build than the loaded module, which cannot come back"
                self.warnings.append(Diagnostic(OTHER_BUILD, WARNING, text, module=name, file=status.path))
            options = " ".join(rule.text for rule in self.context.config.options(name))
            self.members.append(member_of(described, status.path, options))
            refusal = self._use_refusal(status) or self._kernel_refusal(name, status.path) or _file_refusal(status)
            if refusal:
                return refusal
        return None

    def _use_refusal(self, status: Status) -> Diagnostic | None:
        """Return what says that a module is in use; of one that others need, nobody can tell before these are gone."""
        holders, count = status.holders or (), status.refcount or 0
        if count and not holders:
            return _diagnostic(IN_USE, f"is in use: {count} references, none by modules", status.name)
        if count > len(holders):
            text = f"has {count} references, more than the modules that need it: it may be in use by others"
            self.warnings.append(Diagnostic(IN_USE, WARNING, text, module=status.name))
        return None

    def _kernel_refusal(self, name: str, path: str) -> Diagnostic | None:
        facts = read_kernel_facts(self.context.roots, self.context.live)
        roots = self.context.roots
        refusal = KernelRules(facts, _is_signed, roots.proc, roots.sys).refusal(name, path)
        if refusal is None:
            return None
        text = f"the kernel would not take it again: {refusal.text}"
        return _diagnostic(KERNEL_REFUSES, text, name, file=refusal.file, line=refusal.line)

    def _family_refusal(self, *, force: bool) -> Diagnostic | None:
        if force:
            return None
        for one in carried(self.context, self.module):
            text = f"carries {one.what}; --force reloads it all the same"
            return _diagnostic(CARRIES_CALLER, text, one.module, file=one.evidence)
        for member in self.members:
            is_denied, place = denial(self.context.system, member.name)
            if is_denied and place:
                text = f"is denied, and would come back all the same by --force: {place.text}"
                return _diagnostic(DENIED, text, member.name, file=place.file, line=place.line)
            if member.lost:
                text = f"has values that cannot be given at loading: {', '.join(member.lost)}; --force gives them up"
                return _diagnostic(CANNOT_KEEP, text, member.name)
        return None

    def reloading(self, observer: Observer | None = None) -> Reloading:
        from ..effects.kernel import KernelModules
        from ..effects.reloading import Reloading

        kernel = KernelModules(self.context.roots)
        return Reloading(kernel, self.context.live, self.members, self.new, observer)

    def planned(self) -> list[ReloadStep]:
        return self.reloading().planned() if self.members else []

    def carry_out(self, records: ReloadRecords, observer: Observer | None) -> ReloadReport:
        """Do it, or bring the old state back."""
        records.write(self.module, self.members)
        work = self.reloading(observer)
        try:
            work.run()
        except Error as error:
            self.error = _failure(error, self.module)
            self._restore(work, records)
        except BaseException:  # an interrupt: bring back what there was, and go on dying
            self._restore(work, records)
            raise
        else:
            records.remove(self.module)
        self.warnings += work.warnings
        return self.report(work.steps)

    def _restore(self, work: Reloading, records: ReloadRecords) -> None:
        self.rolled_back = True
        try:
            work.restore()
        except Error as error:
            self.rolled_back = False
            before = f"{self.error.text}; " if self.error else ""
            text = f"{before}and the old state could not be brought back: {error}; kmod reload --resume tries again"
            self.error = _diagnostic(NOT_RESTORED, text, self.module, file=records.path(self.module))
        else:
            records.remove(self.module)

    def report(self, steps: Sequence[ReloadStep]) -> ReloadReport:
        from ..effects.reloading import values_of

        before = {member.name: member.before for member in self.members}
        after = values_of(self.context.live, self.members) if any(step.done for step in steps) else {}
        return ReloadReport(
            **head("reload", self.context),
            module=self.module,
            steps=tuple(steps),
            before=_frozen(before),
            after=_frozen(after),
            rolled_back=self.rolled_back,
            error=self.error,
            warnings=tuple(dict.fromkeys(self.warnings)),
        )


def _failure(error: Error, module: str) -> Diagnostic:
    from ..effects.reloading import DiffersError

    code = CANNOT_TELL
    if isinstance(error, RemoveError):
        code = UNLOAD_FAILED
    elif isinstance(error, InsertError):
        code = LOAD_FAILED
    elif isinstance(error, DiffersError):
        code = DIFFERS
    text = {UNLOAD_FAILED: "cannot be unloaded", LOAD_FAILED: "cannot be loaded"}.get(code, "")
    text = f"{text}: {error.reason}" if text else error.reason
    return Diagnostic(code, ERROR, text, module=error.module or module, file=error.path, errno=error.errno)


def _diagnostic(code: str, text: str, module: str, *, file: str | None = None, line: int | None = None) -> Diagnostic:
    return Diagnostic(code, ERROR, text, module=module, file=file, line=line)


def _frozen(values: Mapping[str, Mapping[str, str | None]]) -> FrozenDict:
    return FrozenDict({name: FrozenDict(of) for name, of in values.items()})


def _file_refusal(status: Status) -> Diagnostic | None:
    """Return what says that a module's file cannot be read whole."""
    try:
        with ModuleFile(status.path or "") as module:
            module.image()
    except Error as error:
        return _diagnostic(NO_FILE, f"could not be loaded again: {error.reason}", status.name, file=error.path)
    return None


def _is_signed(path: str) -> bool | None:
    try:
        with ModuleFile(path) as module:
            return module.signature() is not None
    except Error:
        return None
