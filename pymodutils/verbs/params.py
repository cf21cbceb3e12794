# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod params: parameters of modules, their values now and at the next load; set and kept."""

from __future__ import annotations

import errno

from ..diagnosis.parameters import (
    OF_ALL_MODULES,
    ConfiguredValue,
    ModuleParameters,
    ParameterState,
    configured_values,
    module_parameters,
)
from ..diagnosis.status import BUILTIN, COMING, GOING, LIVE, state_of
from ..diagnostics import ERROR, WARNING, Diagnostic
from ..errors import (
    AmbiguousNameError,
    Error,
    FileError,
    LiveKernelNotAskedError,
    NotFoundError,
    ParameterError,
)
from ..formats.modinfo import parse_parameters
from ..formats.modprobeconf import parse_modprobe_conf
from ..formats.optionsfile import options_line
from ..formats.ownfile import is_sealed, sealed
from ..formats.parameters import parameter_value
from ..formats.parametertable import parameter_slots
from ..formats.parametervalues import can_be_passed, has_taken, same_value
from ..names import normalize_name
from ..observer import counted
from ..planning.lookup import MODULES_DEP, match, not_found
from ..records import Record
from ..state.modulefile import ModuleFile, elf_of
from ..state.ownfiles import OPTIONS_TITLE, options_path
from ..state.tree import BUILTIN_STRINGS
from .policy import EditedError
from .report import (
    CANNOT_TELL,
    Report,
    as_diagnostic,
    asked_names,
    head,
    modules_there,
    unlisted,
    unlisted_before,
    untold,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..context import Context
    from ..effects.policyfiles import Contents
    from ..formats.modinfo import Parameter
    from ..formats.parametertable import ParameterSlot
    from ..observer import Observer
    from ..planning.lookup import Match

IN_KERNEL = (LIVE, COMING, GOING, BUILTIN)

_READABLE = 0o444

UNSEEN, NOT_KEPT, OVERRULED = "unseen", "not-kept", "overruled"
"""Codes of `ParametersReport.warnings`: parameters without a file in /sys; a value that no line of modprobe.d can give;
one that another line overrules."""


class ParameterChange(Record):
    """A parameter that was set: its value before and after, as /sys shows them."""

    module: str
    name: str
    before: str | None
    after: str | None


class ParametersReport(Report):
    """The parameters of modules, and what was changed of them.

    `changes` are those that were set in the kernel. `written` are the files changed. `warnings` has what cannot be
    seen or kept.
    """

    modules: tuple[ModuleParameters, ...]
    changes: tuple[ParameterChange, ...] = ()
    written: tuple[str, ...] = ()
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def has_drift(self) -> bool:
        """Whether a parameter has another value than is configured."""
        return any(module.has_drift for module in self.modules)


def parameters(
    context: Context, names: str | Iterable[str] = (), *, changed: bool = False, observer: Observer | None = None
) -> ParametersReport:
    """Return the parameters of modules: live, configured, by default, with type and description.

    `names` are names, aliases or paths; without any, all modules with parameters that the kernel has, and those that
    the configuration gives some. `changed` leaves out what has the value that the configuration gives it, or its
    default where that gives none. `observer` hears of progress. What stands for nothing is an error of the report.
    """
    reader = _Reader(context)
    wanted = asked_names(names)
    targets = [pair for name in wanted for pair in reader.targets(name)] if wanted else reader.everything()
    found: list[ModuleParameters] = []
    for asked, module in counted(targets, "modules", observer):
        described = reader.read(asked, module)
        if changed:
            described = described.replace(params=tuple([one for one in described.params if one.is_changed]))
        if wanted or described.params:
            found.append(described)
    warnings = [warning for module in found if wanted and not changed for warning in about_unseen(module)]
    return ParametersReport(
        **head("params", context, dict.fromkeys(reader.errors)), modules=tuple(found), warnings=tuple(warnings)
    )


def set_parameter(context: Context, module: str, key: str, value: object) -> ParameterChange:
    """Give a parameter of a module in the kernel a value; return what it was and is.

    The value is a text, a number, a boolean or a list of these. It is checked by the parameter's type, written, and
    read back. Raises `NotFoundError` for a module that the kernel does not have, `ParameterError` for a parameter that
    there is not, that cannot be written, or that cannot have the value, `FileError` for what the kernel refuses, and
    `LiveKernelNotAskedError`.
    """
    return set_parameters(context, module, {key: value}).changes[0]


def set_parameters(context: Context, module: str, values: Mapping[str, object]) -> ParametersReport:
    """Give parameters of a module in the kernel values, all or none: when one is refused, the others are put back.

    All are checked before the first is written. Raises as `set_parameter` does.
    """
    from ..effects.parameters import write_parameter

    now = parameters_of(context, module)
    _require_kernel(context, now, module)
    _require_whole(context, now, module, values)
    texts = {key: parameter_value(value) for key, value in values.items()}
    wanted = [(settable(now, key, value), value) for key, value in texts.items()]
    done: list[tuple[ParameterState, ParameterChange]] = []
    try:
        for parameter, value in wanted:
            before = _shown(context, now.name, parameter)
            if before is not None and same_value(parameter.type, value, before):
                done.append((parameter, ParameterChange(now.name, parameter.name, before, before)))
                continue
            done.append((parameter, ParameterChange(now.name, parameter.name, before, None)))
            write_parameter(context.roots, now.name, parameter.name, value)
            after = _shown(context, now.name, parameter)
            done[-1] = parameter, ParameterChange(now.name, parameter.name, before, after)
            if after is not None and not has_taken(parameter.type, value, after):
                raise ParameterError(f"the kernel has {after} after {value} was written", parameter=parameter.name)
    except BaseException as error:
        _put_back(context, now.name, done)
        if isinstance(error, ParameterError):
            error.module = now.name
        raise
    after_all = parameters_of(context, module)
    return ParametersReport(
        **head("params", context), modules=(after_all,), changes=tuple([change for _, change in done])
    )


def save_parameters(
    context: Context, names: str | Iterable[str], keys: str | Sequence[str] = (), *, force: bool = False
) -> ParametersReport:
    """Keep the values that parameters of modules have now for the next load, in a file of modprobe.d for each module.

    That has what the rest of the configuration and the defaults in the module do not give already. With `keys` only
    these are kept, and those that the file has. A file that somebody edited is not overwritten without `force`. Raises
    `NotFoundError` for a module that the kernel does not have, `ParameterError` for a key that is no parameter,
    `EditedError`, `FileError`.
    """
    keys = asked_names(keys)
    modules: list[ModuleParameters] = []
    written: list[str] = []
    warnings: list[Diagnostic] = []
    for name in asked_names(names):
        now = parameters_of(context, name)
        _require_kernel(context, now, name)
        warnings += about_unseen(now)
        path = options_path(context.roots, now.name)
        rest = parameters_of(context, name, without=path)
        values = saved_values(context, now.name) if keys else {}
        _require_whole(context, now, name, keys)
        for key in keys:
            known_parameter(now, key)
        for parameter in rest.params:
            if keys and normalize_name(parameter.name) not in map(normalize_name, keys):
                continue
            if parameter.configured and not parameter.drift:
                values.pop(normalize_name(parameter.name), None)
                continue
            kept = parameter.to_keep
            if kept is not None:
                values[normalize_name(parameter.name)] = kept
            elif parameter.is_changed and parameter.live is not None:
                text = "has a value that no line of modprobe.d can give"
                warnings.append(Diagnostic(NOT_KEPT, WARNING, text, module=now.name, subject=parameter.name))
        written += write_options(context, now.name, values, force=force)
        after = parameters_of(context, name)
        warnings += _overruled(after, values, path)
        modules.append(after)
    return ParametersReport(
        **head("params", context), modules=tuple(modules), written=tuple(written), warnings=tuple(warnings)
    )


def configure_parameters(
    context: Context, module: str, values: Mapping[str, str], *, force: bool = False
) -> ParametersReport:
    """Have parameters of a module given values at its next load, by its own file of modprobe.d.

    The module need not be in the kernel, which neither is asked for values nor gets any: so this is for another system
    or release as well. Each value is checked by the type in the module's file. What the rest of the configuration gives
    already is not written, and what the file has of other parameters stays. A file that somebody edited is not
    overwritten without `force`. Raises `NotFoundError` for a module that there is not, `ParameterError` for a parameter
    that there is not, that cannot have the value, or that no file reaches, as in a module that is part of the kernel;
    `EditedError`, `FormatError` for a module that cannot be read, `FileError`.
    """
    now = parameters_of(context, module, strict=True)
    path = options_path(context.roots, now.name)
    rest = parameters_of(context, module, without=path)
    own = saved_values(context, now.name)
    for key, value in values.items():
        parameter = checked_value(rest, key, value)
        if now.state == BUILTIN:
            reason = f"part of the kernel: {now.name}.{key}={value} has to be on its command line"
            raise ParameterError(reason, parameter=parameter.name, module=now.name)
        name = normalize_name(parameter.name)
        own.pop(name, None)
        given = parameter.configured
        if given is None or not same_value(parameter.type, given.value, value):
            own[name] = value
    written = write_options(context, now.name, own, force=force)
    after = parameters_of(context, module)
    asked = {normalize_name(key): value for key, value in values.items()}
    return ParametersReport(
        **head("params", context),
        modules=(after,),
        written=tuple(written),
        warnings=tuple(_overruled(after, asked, path)),
    )


def _overruled(module: ModuleParameters, values: Mapping[str, str], path: str) -> Iterable[Diagnostic]:
    """Yield what is to be said of values that another line overrules."""
    for key, value in values.items():
        found = module.find(key)
        other = found.configured if found else None
        if found and other and other.file != path and not same_value(found.type, other.value, value):
            text = f"is {other.value} by a line that counts more"
            yield Diagnostic(
                OVERRULED, WARNING, text, module=module.name, subject=key, file=other.file, line=other.line
            )


def about_unseen(module: ModuleParameters) -> list[Diagnostic]:
    """Return what is to be said of parameters that have no file in /sys."""
    if not module.unseen:
        return []
    text = f"no file in /sys shows {', '.join(module.unseen)}: their values cannot be told, nor kept"
    return [Diagnostic(UNSEEN, WARNING, text, module=module.name)]


# --- files of our own


def saved_values(context: Context, name: str) -> dict[str, str]:
    """Return the parameters that our own file of modprobe.d gives a module, in its order. Raises `FileError`."""
    from ..state.files import read_or_none

    return _values_in(read_or_none(options_path(context.roots, name)) or b"", name)


def _values_in(data: bytes, name: str) -> dict[str, str]:
    rules, _ = parse_modprobe_conf(data, "")
    own = [rule for rule in rules if rule.kind == "options" and rule.key == name]
    return {key: value.value for key, value in configured_values(own).items()}


def options_file(name: str, values: Mapping[str, str]) -> bytes | None:
    """Return our own file of modprobe.d with these parameters of a module; None for none."""
    return sealed(OPTIONS_TITLE, options_line(name, values)) if values else None


def write_options(context: Context, name: str, values: Mapping[str, str], *, force: bool = False) -> list[str]:
    """Write our own file with these parameters of a module, or remove it; return the paths changed.

    Raises `EditedError`, unless `force`, and `FileError`.
    """
    from ..effects.policyfiles import change_files

    path = options_path(context.roots, name)

    def change(before: Contents) -> Contents:
        if before[path] is not None and _values_in(before[path] or b"", name) == values:
            return before
        require_own(path, before[path], OPTIONS_TITLE, force=force)
        return {path: options_file(name, values)}

    written = change_files([path], change, own_directories=())
    if written:
        context.refresh()
    return written


def require_own(path: str, data: bytes | None, title: str, *, force: bool) -> None:
    """Raise `EditedError` for a file that is not as kmod wrote it."""
    if data is not None and not force and not is_sealed(title, data):
        raise EditedError("somebody edited what kmod wrote; --force overwrites it", path=path)


# --- one module


def parameters_of(
    context: Context, name: str, *, without: str | None = None, strict: bool = False, unseen: bool = False
) -> ModuleParameters:
    """Return the parameters of one module; `without` is a file of the configuration that is not to count.

    Of a module's file that cannot be read nothing is known; with `strict` it is an error. So is a module in the kernel
    of which /sys shows no values, unless `unseen` allows it. Raises `NotFoundError`, `AmbiguousNameError`.
    """
    reader = _Reader(context, without=without)
    targets = reader.targets(name)
    if not targets:
        raise not_found(reader.system.tree, name)
    if len(targets) > 1:
        names = [module.name if module else asked for asked, module in targets]
        raise AmbiguousNameError(f"stands for several modules: {', '.join(names)}", asked=name, modules=names)
    module = targets[0][1]
    if module and unlisted_before(reader.system.tree, module.origin, name):
        raise not_found(reader.system.tree, name)
    found = reader.read(*targets[0])
    if strict and reader.unread:
        raise reader.unread
    if reader.unseen and not unseen:
        raise reader.unseen
    return found


def known_parameter(module: ModuleParameters, key: str) -> ParameterState:
    """Return a parameter by its name. Raises `ParameterError`."""
    found = module.find(key)
    if found is None:
        names = ", ".join(one.name for one in module.params) or "none"
        raise ParameterError(f"no such parameter; there are: {names}", parameter=key, module=module.name)
    return found


def checked_value(module: ModuleParameters, key: str, value: str) -> ParameterState:
    """Return the parameter that can have a value. Raises `ParameterError` for one that cannot be, or not have it."""
    parameter = known_parameter(module, key)
    said = parameter.refuses(value)
    if said is None and not can_be_passed(value):
        said = "a quote or a control character cannot be passed to the kernel"
    if said:
        raise ParameterError(f"{value}: {said}", parameter=parameter.name, module=module.name)
    return parameter


def settable(module: ModuleParameters, key: str, value: str) -> ParameterState:
    """Return the parameter that can be given a value in the running kernel. Raises `ParameterError`."""
    parameter = checked_value(module, key, value)
    if parameter.visible is False:
        reason = "no file in /sys: it can be given when the module is loaded, kmod reload"
        raise ParameterError(reason, parameter=parameter.name, module=module.name)
    if parameter.writable is False:
        reason = "cannot be changed in the running kernel, only when the module is loaded: kmod reload"
        raise ParameterError(reason, parameter=parameter.name, module=module.name)
    return parameter


def _require_kernel(context: Context, module: ModuleParameters, asked: str) -> None:
    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: it has no values now")
    if module.state not in IN_KERNEL:
        raise NotFoundError("not in the kernel: it has no values now", asked=asked, module=module.name)


def _require_whole(context: Context, module: ModuleParameters, asked: str, keys: Iterable[str]) -> None:
    """Raise why not all parameters of a module are known, if one that is asked for is not among them."""
    if any(module.find(key) is None for key in keys):
        parameters_of(context, asked, strict=True)


def _shown(context: Context, module: str, parameter: ParameterState) -> str | None:
    try:
        return context.live.attribute(module, f"parameters/{parameter.name}")
    except Error:  # one that can be written and not read
        return None


def _put_back(context: Context, module: str, done: Iterable[tuple[ParameterState, ParameterChange]]) -> None:
    """Undo what was written, as far as that can be done."""
    from ..effects.parameters import write_parameter

    for parameter, change in done:
        if change.before is not None and change.before != change.after:
            try:
                write_parameter(context.roots, module, parameter.name, change.before)
            except Error:
                continue


class _Reader:
    """Reads the parameters of modules; `errors` is what could not be found out.

    `unread` is why a module's file was not read, `unseen` why nothing is known of the values in the kernel.
    """

    def __init__(self, context: Context, *, without: str | None = None) -> None:
        self.context = context
        self.errors: list[Diagnostic] = []
        self.unread: Error | None = None
        self.unseen: FileError | None = None
        self.system = context.tolerant_system
        self.config = context.config.without_file(without) if without else context.config
        self._loaded = context.loaded_by_name()

    def everything(self) -> list[tuple[str, Match | None]]:
        """Return the modules whose parameters the kernel shows or the configuration gives."""
        self.errors += unlisted(self.system.tree)
        names = dict.fromkeys(self.context.live.parameter_owners())
        for name, module in self._loaded.items():
            if module.state == LIVE and not self.context.live.has_directory(name):
                names.setdefault(name)  # it may have some
        for rule in self.config.of("options"):
            found = self._match(rule.key)
            if found.path or found.builtin:
                names.setdefault(rule.key)
        return [(name, self._match(name)) for name in sorted(names)]

    def _match(self, name: str) -> Match:
        return match(self.system, name, None, MODULES_DEP)

    def targets(self, text: str) -> list[tuple[str, Match | None]]:
        """Return what a name, an alias or a path stands for; nothing, and an error, for what nothing knows."""
        found = modules_there(self.system, text, self.errors)
        if found is None:
            return []
        name = normalize_name(text)
        if not found and (name in self._loaded or self.context.live.has_directory(name)):
            self.errors += unlisted(self.system.tree, text)
            return [(text, None)]
        if not found:
            self.errors.append(as_diagnostic(not_found(self.system.tree, text)))
        return [(text, module) for module in found]

    def read(self, asked: str, found: Match | None) -> ModuleParameters:
        """Return the parameters of a module; those that the kernel shows also if the file cannot be read."""
        name = found.name if found else normalize_name(asked)
        state = state_of(self.system, found, name, self._loaded)
        described: list[Parameter] | None = None
        slots: dict[str, ParameterSlot] | None = None
        try:
            described, slots = self._file(name, found, state)
        except Error as error:
            self.unread = error
            self.errors.append(as_diagnostic(error, asked))
        configured = self._configured(name, found, state)
        live = self._live(name, state) if state in IN_KERNEL and self.context.live.is_asked else None
        module = module_parameters(name, state, described, slots, live, configured)
        if live is not None:
            self._tell_unread(module, live)
        return module

    def _live(self, name: str, state: str) -> dict[str, tuple[str | None, int | None]] | None:
        """Return value and permissions of each file in /sys; None, and an error, where these are not known."""
        kernel, place = self.context.live, f"{self.context.roots.sys}/module/{name}"
        try:
            values = kernel.known_parameters(name, builtin=state == BUILTIN)
        except FileError as error:
            self.unseen = error
        else:
            if values is not None:
                return {key: (value, kernel.parameter_mode(name, key)) for key, value in values.items()}
            self.unseen = FileError("is not there: the values of now are not known", path=place, errno=errno.ENOENT)
        if state in (LIVE, BUILTIN):  # of others it may come, or be gone
            self.errors.append(as_diagnostic(self.unseen).replace(module=name))
        return None

    def _tell_unread(self, module: ModuleParameters, live: Mapping[str, tuple[str | None, int | None]]) -> None:
        """Tell of values that cannot be read, where drift hangs on them; some files are only written to."""
        unread = []
        for parameter in module.params:
            value, mode = live.get(parameter.name, ("", None))
            if value is None and (mode is None or mode & _READABLE) and (parameter.configured or parameter.default):
                unread.append(parameter.name)
        if unread:
            text = f"cannot be read: {', '.join(unread)}; whether they have the values that they should is not known"
            place = f"{self.context.roots.sys}/module/{module.name}/parameters"
            self.errors.append(Diagnostic(CANNOT_TELL, ERROR, text, module=module.name, file=place))

    def _file(
        self, name: str, found: Match | None, state: str
    ) -> tuple[list[Parameter] | None, dict[str, ParameterSlot] | None]:
        path = found.path if found else None
        if path is None or state == BUILTIN:
            tree = self.system.tree
            why = untold(tree, BUILTIN_STRINGS, "which parameters modules in the kernel image have")
            if why and name not in self._loaded:
                self.unread = why
                self.errors.append(as_diagnostic(why))
                return None, None
            return parse_parameters(tree.builtin_modinfo(name) if tree.exists else []), None
        with ModuleFile(path) as module:
            return parse_parameters(module.modinfo()), parameter_slots(elf_of(module))

    def _configured(self, name: str, found: Match | None, state: str) -> dict[str, ConfiguredValue]:
        rules = self.config.options(name, found.alias if found else None)
        if state == BUILTIN:  # nothing of modprobe.d reaches one: it is there before any file is
            rules = [rule for rule in rules if not rule.line]
        values = configured_values(rules)
        return {key: value for key, value in values.items() if key not in OF_ALL_MODULES}
