# SPDX-License-Identifier: LGPL-2.1-or-later
"""What reloading a module takes: which others go with it, what each is loaded with, and whether all came back."""

from __future__ import annotations

from ..diagnostics import WARNING, Diagnostic
from ..formats.parameters import parameter_word
from ..formats.parametervalues import as_written, can_be_passed, has_taken, is_standard, same_value
from ..frozendict import FrozenDict
from ..names import normalize_name
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from .parameters import ModuleParameters

UNLOAD, LOAD, COMPARE = "unload", "load", "compare"
"""Words of `ReloadStep.action`."""

DIFFERS = "differs"
"""Code of a diagnostic: a parameter has another value after the module was loaded again."""


class ReloadStep(Record):
    """One thing to do with one module.

    `action` is `unload`, `load` or `compare`. `parameters` are what it is loaded with, besides those that the
    configuration gives it. `undo` marks steps that bring the old state back. `done` tells whether it was done, `error`
    why it failed.
    """

    action: str
    module: str
    parameters: str = ""
    undo: bool = False
    done: bool = False
    error: str | None = None


class Member(Record):
    """A module that is unloaded and loaded again.

    `path` is its file. `options` is what the configuration gives it. `before` are the values of its parameters, by
    name, and `types` their types. `kept` has what must be said for the values of now, of types that the kernel itself
    reads; `tried` of those that the module reads, which may not take what it shows. `lost` are those that nobody can
    give: their values cannot be written down.
    """

    name: str
    path: str
    options: str
    before: Mapping[str, str]
    types: Mapping[str, str | None]
    kept: Mapping[str, str]
    tried: Mapping[str, str]
    lost: tuple[str, ...] = ()

    def arguments(self, new: Mapping[str, str] | None = None, *, with_tried: bool = True) -> str:
        """Return what the module is loaded with: its options, then the values of now, then new ones."""
        values = {**self.kept, **(self.tried if with_tried else {})}
        return join(self.options, {**_without(values, new or {}), **(new or {})})

    def shown(self, new: Mapping[str, str] | None = None) -> str:
        """Return the same without the options."""
        return join("", {**_without({**self.kept, **self.tried}, new or {}), **(new or {})})


def join(options: str, values: Mapping[str, str]) -> str:
    """Return parameters as the kernel takes them: text, and behind it values by name."""
    words = [parameter_word(key, value) for key, value in values.items()]
    return " ".join([*([options] if options else []), *words])


def _without(values: Mapping[str, str], others: Mapping[str, str]) -> dict[str, str]:
    names = set(map(normalize_name, others))
    return {key: value for key, value in values.items() if normalize_name(key) not in names}


def member_of(parameters: ModuleParameters, path: str, options: str) -> Member:
    """Return what has to be kept of a module that the kernel has."""
    kept: dict[str, str] = {}
    tried: dict[str, str] = {}
    lost: list[str] = []
    for parameter in parameters.params:
        if parameter.live is None and parameter.visible:  # its value cannot be read
            lost.append(parameter.name)
        if parameter.live is None or (parameter.drift is False and parameter.configured):
            continue
        value = as_written(parameter.type, parameter.live)
        is_default = parameter.default is not None and same_value(parameter.type, parameter.live, parameter.default)
        if is_default and parameter.configured is None:
            continue
        if value is not None and can_be_passed(value):
            (kept if is_standard(parameter.type) else tried)[parameter.name] = value
        elif value is not None or parameter.configured:
            lost.append(parameter.name)
    shown = [parameter for parameter in parameters.params if parameter.live is not None]
    return Member(
        parameters.name,
        path,
        options,
        FrozenDict({parameter.name: parameter.live for parameter in shown}),
        FrozenDict({parameter.name: parameter.type for parameter in shown}),
        FrozenDict(kept),
        FrozenDict(tried),
        tuple(lost),
    )


def differences(
    member: Member, after: Mapping[str, str | None], new: Mapping[str, str] | None = None
) -> list[Diagnostic]:
    """Return which parameters have other values than they had, or than the new ones.

    One whose value the module itself reads and shows, or that could not be given, is only a note: severity `warning`
    in place of `error`.
    """
    wanted = {normalize_name(key): value for key, value in (new or {}).items()}
    found = []
    for key, before in member.before.items():
        kind, value = member.types.get(key), after.get(key)
        expected = wanted.get(normalize_name(key))
        if value is not None:
            if expected is None and same_value(kind, before, value):
                continue
            if expected is not None and has_taken(kind, expected, value):
                continue
        firm = expected is not None or (is_standard(kind) and key not in member.lost)
        text = f"is {value or '-'}, not {before if expected is None else expected}"
        found.append(Diagnostic(DIFFERS, "error" if firm else WARNING, text, module=member.name, subject=key))
    return found
