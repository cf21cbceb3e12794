# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod deny, undeny, allow and policy: rules that keep modules out, written and then put to the test."""

from __future__ import annotations

import os
import time

from ..diagnostics import WARNING, Diagnostic
from ..errors import Error, FileError, FormatError, LiveKernelNotAskedError, MissingTreeError
from ..formats.cmdline import MODULE_BLACKLIST, MOST_TEXT_BYTES
from ..formats.modprobeconf import parse_modprobe_conf
from ..formats.policy import (
    MOST_NAME_BYTES,
    Allowlist,
    Denial,
    Policy,
    compile_rules,
    is_module_name,
    is_ours,
    parse_policy,
    with_allowlist,
    with_denials,
    without_denials,
)
from ..names import decode, encode, is_pattern, normalize_name
from ..planning.lookup import not_found
from ..records import Record
from ..shellwords import command
from ..state.config import read_config
from ..state.files import read_chosen, read_or_none
from ..state.live import NoLiveKernel
from ..state.policy import compiled_path, policy_path
from ..state.system import System
from ..state.tree import WholeTree
from .report import AUTO, CANNOT_TELL, Report, as_diagnostic, asked_names, head, unlisted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from ..context import Context
    from ..diagnosis.allowlist import PolicyChange
    from ..diagnosis.check import Check
    from ..effects.policyfiles import Contents
    from ..formats.watchlog import LoggedModule
    from ..observer import Observer
    from ..roots import Roots

LOADED_NOW, IS_BUILTIN, OLD_IMAGE, DOOR_OPEN = "loaded-now", "builtin", "initramfs-older", "door-open"
UNKNOWN_MODULE, NOT_DENIED, WAS_EDITED, OUTDATED = "unknown-module", "not-denied", "edited", "outdated"
DENIES_LOADED, WOULD_DENY, TOO_LONG = "denies-loaded", "would-deny", "too-long"
"""Codes of `PolicyReport.warnings`."""

_TOO_LONG = (
    f"the list for the kernel command line has {{}} bytes: of more than {MOST_TEXT_BYTES} the kernel ignores all of "
    f"{MODULE_BLACKLIST}="
)

LSMOD = "lsmod"
"""The source of an allowlist that is the list of the loaded modules."""


class PolicyRule(Record):
    """A module that is denied, why and since when, and where the rule stands; None for one that is not written."""

    name: str
    reason: str | None
    file: str | None
    line: int | None
    date: str | None = None


class PolicyReport(Report):
    """What a policy says, what was written, whether it holds, and what another kernel would change.

    `allowed` are the names of the allowlist, None if there is none. `written` are the files changed. `verified` is what
    `check` says of each module. `cmdline` is what stops insmod, too: a parameter of the kernel's command line.
    """

    rules: tuple[PolicyRule, ...] = ()
    allowed: tuple[str, ...] | None = None
    written: tuple[str, ...] = ()
    verified: tuple[Check, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()
    diff: tuple[PolicyChange, ...] = ()
    cmdline: str | None = None

    @property
    def holds(self) -> bool:
        """Whether nothing was found wrong: no warnings, no changes, and every module is kept out."""
        return not self.warnings and not self.diff and all(check.keeps_out for check in self.verified)


class EditedError(FileError):
    """A file that kmod writes was changed by somebody else; `force` writes it all the same."""


def deny(
    context: Context,
    names: str | Iterable[str],
    *,
    reason: str | None = None,
    cmdline: bool = False,
    force: bool = False,
    dry_run: bool = False,
    initrd: str = AUTO,
    observer: Observer | None = None,
) -> PolicyReport:
    """Keep modules out from now on; return what was written, and by which doors they can get in all the same.

    `reason` is kept with the rule. Denying again changes nothing, unless there is another reason. `cmdline` adds the
    kernel parameter that stops insmod, too. `force` overwrites a file that somebody edited; `dry_run` writes nothing.
    `observer` hears of progress. Raises `Error` for what is no name of a module, `EditedError`, and `FileError`.
    """
    wanted = _names(names)
    today = _today()

    def edit(text: str, policy: Policy) -> str:
        known = {denial.name: denial.reason for denial in policy.denied}
        changed = [name for name in wanted if name not in known or reason not in (None, known[name])]
        return with_denials(text, [Denial(name, reason or known.get(name), today) for name in changed])

    job = _Job(context, force=force, dry_run=dry_run, initrd=initrd)
    warnings, errors = _about_names(context, wanted)
    job.change(edit, lambda policy: all(map(policy.denial, wanted)))
    return job.report("deny", wanted, warnings, errors, cmdline=cmdline, observer=observer)


def undeny(
    context: Context,
    names: str | Iterable[str] = (),
    *,
    everything: bool = False,
    force: bool = False,
    dry_run: bool = False,
    initrd: str = AUTO,
    observer: Observer | None = None,
) -> PolicyReport:
    """Take denials back; `everything` takes all of them back, the allowlist included.

    A module that only the allowlist denies becomes allowed. The files have afterwards the bytes that they had before
    the denial. Raises as `deny` does.
    """
    wanted = _names(names)
    warnings: list[Diagnostic] = []

    def edit(text: str, policy: Policy) -> str:
        if everything:
            return with_allowlist(without_denials(text, [denial.name for denial in policy.denied]), None)
        allow = policy.allow
        denied = [denial.name for denial in policy.denied]
        for name in wanted:
            if name in denied:
                continue
            if allow and name not in allow.modules:
                allow = allow.replace(modules=(*allow.modules, name))
            else:
                from ..planning.similar import similar_names  # which imports re

                similar = similar_names(name, denied)
                more = f"; similar ones that are: {', '.join(similar)}" if similar else ""
                warnings.append(Diagnostic(NOT_DENIED, WARNING, f"was not denied{more}", module=name))
        text = without_denials(text, [name for name in wanted if name in denied])
        return with_allowlist(text, allow) if allow != policy.allow else text

    job = _Job(context, force=force, dry_run=dry_run, initrd=initrd)
    job.change(edit, lambda policy: not any(map(policy.denial, wanted)) and not (everything and policy != Policy()))
    return job.report("undeny", wanted, warnings, keeps_out=False, observer=observer)


def allow(
    context: Context,
    names: str | Iterable[str] = (),
    *,
    source: str | None = None,
    force: bool = False,
    dry_run: bool = False,
    initrd: str = AUTO,
    observer: Observer | None = None,
) -> PolicyReport:
    """Allow modules, with all that they need, and deny all others of every kernel that is installed.

    `source` begins a new allowlist: `lsmod` for what is loaded now, or a file with a name on each line (what lsmod
    printed will do). Without it the names are added to the list that there is. Raises as `deny` does.
    """
    wanted = _names(names)
    today = _today()
    begun = None if source is None else [*_names_from(context, source), *wanted]

    def edit(text: str, policy: Policy) -> str:
        before = policy.allow
        if begun is None and before is None:
            raise Error("there is no allowlist to add to: --from says what it begins with")
        modules = tuple(sorted({*(before.modules if before and begun is None else ()), *(begun or wanted)}))
        if before and modules == tuple(sorted(before.modules)) and source in (None, before.source):
            return text
        return with_allowlist(text, Allowlist(modules, source or (before.source if before else None), today))

    job = _Job(context, force=force, dry_run=dry_run, initrd=initrd)
    policy = job.change(
        edit, lambda policy: policy.allow is not None and {*wanted, *(begun or ())} <= {*policy.allow.modules}
    )
    warnings, errors = _about_names(context, list(policy.allow.modules if policy.allow else ()), denied=False)
    return job.report("allow", None, warnings, errors, observer=observer)


def policy_show(context: Context) -> PolicyReport:
    """Return the policy: its rules and where they stand, and the allowlist."""
    job = _Job(context)
    return job.report("policy", (), [])


def policy_verify(context: Context, *, initrd: str = AUTO, observer: Observer | None = None) -> PolicyReport:
    """Return whether the rules that are written are those of the policy, and whether they keep each module out."""
    job = _Job(context, initrd=initrd)
    warnings = []
    expected = job.compiled(job.policy)
    if job.data is not None and not is_ours(job.data):
        warnings.append(Diagnostic(WAS_EDITED, WARNING, "somebody edited what kmod wrote", file=job.paths[1]))
    elif job.data != expected:
        text = "has other rules than the policy gives for the installed kernels; kmod deny or allow writes it again"
        warnings.append(Diagnostic(OUTDATED, WARNING, text, file=job.paths[1]))
    return job.report("policy", None, warnings, observer=observer)


def policy_diff(context: Context, release: str) -> PolicyReport:
    """Return what another kernel's tree would change for the policy, before it is booted.

    Raises `MissingTreeError` when it has no module directory.
    """
    from ..diagnosis.allowlist import changes

    job = _Job(context)
    other = _system(context.roots.replace(release=release))
    if not other.tree.exists:
        raise MissingTreeError("there is no module directory", path=other.tree.directory)
    allowed = job.policy.allow.modules if job.policy.allow else None
    denied = [rule.name for rule in job.rules()]
    ours = _system(context.roots)
    diff = changes(ours, other, allowed, denied)
    report = job.report("policy", (), [])
    errors = dict.fromkeys([*report.errors, *unlisted(ours.tree), *unlisted(other.tree)])
    return report.replace(diff=tuple(diff), errors=tuple(errors))


def policy_audit(
    context: Context, modules: str | Iterable[str] | None = None, *, log: str | Iterable[str] | None = None
) -> PolicyReport:
    """Return what the policy would deny of modules that were loaded; nothing is denied, and nothing written.

    `modules` are names. `log` is a text, or its lines, that `kmod watch --json` printed, or that has a name in each
    line: then the report says who asked, too. Without either, the modules that are loaded now are meant. Raises
    `LiveKernelNotAskedError` where only they could tell and another system is meant.
    """
    from ..formats.watchlog import LoggedModule, parse_watch_log

    job = _Job(context)
    wanted = [LoggedModule(normalize_name(name)) for name in asked_names(modules or ())]
    wanted += [] if log is None else parse_watch_log(log.splitlines() if isinstance(log, str) else log)
    if modules is None and log is None:
        if not context.live.is_asked:
            raise LiveKernelNotAskedError(
                "this is another system or release than the running one: its kernel is not asked"
            )
        wanted = [LoggedModule(name) for name in context.loaded_by_name()]
    denied = {denial.name: denial for denial in job.denials(job.policy)}
    by_name: dict[str, list[LoggedModule]] = {}
    for one in wanted:
        if one.name in denied:
            by_name.setdefault(one.name, []).append(one)
    warnings = [
        Diagnostic(WOULD_DENY, WARNING, f"would be denied: {denied[name].reason or 'by name'}{_askers(found)}", name)
        for name, found in by_name.items()
    ]
    report = job.report("policy", (), warnings)
    if log is not None and not wanted:
        nothing = Diagnostic(
            CANNOT_TELL, WARNING, "no module is named in what was recorded: nothing can be said of any"
        )
        report = report.replace(errors=(*report.errors, nothing))
    return report


def _today() -> str:
    return time.strftime("%Y-%m-%d")


def _askers(wanted: list[LoggedModule]) -> str:
    """Return who asked for a module, and how often."""
    requests = [one for one in wanted if one.asked is not None]
    if not requests:
        return ""
    first = requests[0]
    often = f", the first of {len(requests)} requests" if len(requests) > 1 else ""
    return f"; asked for as {first.asked} by {first.by}{often}"


# --- what they share


class _Job:
    """One change of a policy, or one look at it."""

    def __init__(self, context: Context, *, force: bool = False, dry_run: bool = False, initrd: str = AUTO) -> None:
        self.context = context
        self.paths = policy_path(context.roots), compiled_path(context.roots)
        self.force = force
        self.dry_run = dry_run
        self.initrd = initrd
        self.written: list[str] = []
        self._systems: list[System] | None = None
        text, self.data = read_or_none(self.paths[0]), read_or_none(self.paths[1])
        self.policy = parse_policy(text or b"", self.paths[0])

    def change(self, edit: Callable[[str, Policy], str], is_done: Callable[[Policy], bool]) -> Policy:
        """Edit the policy's text, compile it, and write both files; return the new policy.

        `is_done` tells whether the edited text says what was wanted: that of somebody else may not be made of tables.
        """
        from ..effects.policyfiles import change_files

        def new_contents(before: Contents) -> Contents:
            source, compiled = (before[path] for path in self.paths)
            if compiled is not None and not self.force and not is_ours(compiled):
                raise EditedError("somebody edited what kmod wrote; --force overwrites it", path=self.paths[1])
            old = decode(source or b"")
            text = edit(old, parse_policy(source or b"", self.paths[0]))
            try:
                self.policy = parse_policy(encode(text), self.paths[0])
                is_good = is_done(self.policy)
            except FormatError:  # it was a policy before: what is to change stands there, written in another way
                is_good = False
            if not is_good:
                raise FormatError("has no tables of its own for these modules: edit it by hand", path=self.paths[0])
            self._require_lists()
            new = None if not text and text != old else source if text == old else encode(text)
            return {self.paths[0]: new, self.paths[1]: self.compiled(self.policy)}

        if self.dry_run:
            contents = {path: read_or_none(path) for path in self.paths}
            self.data = new_contents(contents)[self.paths[1]]
        else:
            self.written = change_files(self.paths, new_contents)
            self.data = read_or_none(self.paths[1])
            self.context.refresh()
        return self.policy

    def _require_lists(self) -> None:
        """Raise `Error` for an allowlist where nobody can tell what it denies: the old rules are better than none."""
        trees = [self.context.tolerant_system.tree, *(system.tree for system in self.systems())]
        for tree in trees if self.policy.allow else ():
            if tree.exists and tree.lacks_index("dep"):
                raise Error("cannot tell which modules there are: no usable modules.dep.bin", path=tree.directory)

    def denials(self, policy: Policy) -> list[Denial]:
        """Return all that a policy denies, by name and by the allowlist."""
        from ..formats.policy import NOT_ALLOWED

        found = list(policy.denied)
        if policy.allow:
            own = {denial.name for denial in found}
            names = self.not_allowed(policy.allow.modules)
            found += [Denial(name, NOT_ALLOWED, policy.allow.date) for name in names if name not in own]
        return found

    def compiled(self, policy: Policy) -> bytes | None:
        """Return the file that a policy is compiled into; None when it denies nothing."""
        names = self.not_allowed(policy.allow.modules) if policy.allow else []
        if not policy.denied and not names:
            return None
        return compile_rules(policy.denied, names, policy.allow.date if policy.allow else None)

    def not_allowed(self, allowed: Sequence[str]) -> list[str]:
        """Return the modules that an allowlist denies."""
        from ..diagnosis.allowlist import not_allowed

        return not_allowed(self.systems(), allowed)

    def systems(self) -> list[System]:
        """Return the systems of all installed kernels, or of the release that was asked for, without kernels."""
        if self._systems is None:
            roots = self.context.roots
            releases = [roots.release] if roots.release else installed_releases(roots)
            self._systems = [_system(roots.replace(release=release)) for release in releases]
        return self._systems

    def rules(self) -> list[PolicyRule]:
        """Return the rules that are written, and those of the policy that are not."""
        found: dict[str, PolicyRule] = {}
        rules, _ = parse_modprobe_conf(self.data or b"", self.paths[1])
        lines = (self.data or b"").count(b"\n")
        by_name = {denial.name: denial for denial in self.policy.denied}
        for rule in rules:
            if rule.kind == "install" and lines and not is_pattern(rule.key):
                own = by_name.get(rule.key)
                reason = own.reason if own else self._allow_reason()
                allow = self.policy.allow
                date = own.date if own else allow.date if allow else None
                found[rule.key] = PolicyRule(rule.key, reason, rule.file, rule.line, date)
        for denial in self.policy.denied:
            found.setdefault(denial.name, PolicyRule(denial.name, denial.reason, None, None, denial.date))
        return list(found.values())

    def _allow_reason(self) -> str | None:
        from ..formats.policy import NOT_ALLOWED

        return NOT_ALLOWED if self.policy.allow else None

    def report(
        self,
        verb: str,
        names: Sequence[str] | None,
        warnings: list[Diagnostic],
        errors: Sequence[Diagnostic] = (),
        *,
        keeps_out: bool = True,
        cmdline: bool = False,
        observer: Observer | None = None,
    ) -> PolicyReport:
        """Return the report, with the checks of `names` (None: of all that are denied) and what to say about them."""
        rules = self.rules()
        names = [rule.name for rule in rules] if names is None else names
        if self.policy.allow:  # what it denies is made of all modules of these
            errors = [*errors, *(error for system in self.systems() for error in unlisted(system.tree))]
        checks: tuple[Check, ...] = ()
        if names:
            from .check import Checker

            checker = Checker(self.context, initrd=self.initrd, observer=observer)
            checked = checker.report(names, observer=observer)
            checks, errors = checked.checks, [*errors, *checked.errors]
            if keeps_out:
                warnings = [*warnings, *(warning for check in checks for warning in _about(check))]
        listed = ",".join(names) if cmdline else ""
        if len(listed) > MOST_TEXT_BYTES:
            warnings = [*warnings, Diagnostic(TOO_LONG, WARNING, _TOO_LONG.format(len(listed)))]
        return PolicyReport(
            **head(verb, self.context, dict.fromkeys(errors)),
            rules=tuple(rules),
            allowed=self.policy.allow.modules if self.policy.allow else None,
            written=tuple(self.written),
            verified=checks,
            warnings=tuple(warnings),
            cmdline=f"{MODULE_BLACKLIST}={listed}" if listed else None,
        )


def _about(check: Check) -> Iterable[Diagnostic]:
    """Yield what is to be said of a module that is denied and can be, or get, in the kernel all the same."""
    from ..diagnosis.check import IN

    name = check.name
    if check.verdict == "builtin":
        how = check.remedy or "the function that starts it cannot be found out"
        yield Diagnostic(IS_BUILTIN, WARNING, f"is part of the kernel, beyond modprobe's rules: {how}", module=name)
    if check.verdict == IN:
        # Of a remedy that denies and then unloads, only the latter is left to do.
        how = (check.remedy or command("modprobe -r", name)).rpartition(" && ")[2]
        yield Diagnostic(LOADED_NOW, WARNING, f"is in the kernel now: {how}", module=name)
    for field in check.doors.__match_args__:
        door = getattr(check.doors, field)
        if door.open and field == "initramfs":
            text = f"can still be loaded in {door.via[0]}, which has an older copy of the rules"
            yield Diagnostic(OLD_IMAGE, WARNING, text, module=name, file=door.via[0])
        elif door.open and field != "insmod":
            text = f"can still get in {field.replace('_', ' ')}" + (f": {door.note}" if door.note else "")
            file, line = (door.by.file, door.by.line) if door.by else (None, None)
            yield Diagnostic(DOOR_OPEN, WARNING, text, module=name, file=file, line=line)


def _about_names(
    context: Context, names: list[str], *, denied: bool = True
) -> tuple[list[Diagnostic], list[Diagnostic]]:
    """Return what is to be said of names that no module of the tree has, and errors for those of which nobody knows."""
    found: list[Diagnostic] = []
    errors: list[Diagnostic] = []
    if not context.exists:
        return found, errors
    known = set(context.loaded_by_name())
    for name in names:
        if name not in known and context.find(name) is None:
            error = not_found(context.tree, name)
            if not error.certain:
                errors.append(as_diagnostic(error))
                continue
            more = _meant(context, name) if denied else ""
            text = f"no module of this kernel has that name{more}"
            found.append(Diagnostic(UNKNOWN_MODULE, WARNING, text, module=name))
    return found, errors


def _meant(context: Context, name: str) -> str:
    """Return what somebody may mean who denies a name that no module has."""
    modules = [found.name for found in context.lookup(name, configured=False)]
    if modules:  # which other names of them, and dependencies, still bring in
        return f", which is an alias: {command('kmod deny', *modules)}"
    similar = context.similar(name)
    return f"; similar: {', '.join(similar)}" if similar else ""


def _names(names: str | Iterable[str]) -> list[str]:
    """Return names as the kernel spells them. Raises `Error` for what cannot be one."""
    found = []
    for text in asked_names(names):
        if not is_module_name(text):
            text = text or "an empty text"
            raise Error(f"is no name of a module: letters, digits, - and _, {MOST_NAME_BYTES} at most", asked=text)
        found.append(normalize_name(text))
    return list(dict.fromkeys(found))


def _names_from(context: Context, source: str) -> list[str]:
    """Return the names that an allowlist begins with."""
    if source == LSMOD:
        return [module.name for module in context.loaded()]
    names = []
    for line in decode(read_chosen(source)).splitlines():
        words = line.partition("#")[0].split()
        if words and words[:2] != ["Module", "Size"]:
            names.append(words[0])
    return _names(names)


def installed_releases(roots: Roots) -> list[str]:
    """Return the releases that have a module directory with indexes, in byte order."""
    top = f"{roots.base}{roots.module_dir}"
    try:
        names = sorted(os.listdir(top), key=os.fsencode)
    except OSError:
        return []
    return [name for name in names if os.path.isfile(f"{top}/{name}/modules.dep.bin")]


def _system(roots: Roots) -> System:
    """Return the system of a release as a policy sees it: without a kernel, and without the policy's own rules."""
    config = read_config(roots, command_line=False).without_file(compiled_path(roots))
    return System(WholeTree(roots, lambda _error: None), NoLiveKernel(roots), config)
