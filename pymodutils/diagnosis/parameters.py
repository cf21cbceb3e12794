# SPDX-License-Identifier: LGPL-2.1-or-later
"""A module's parameters: what the module says of them, what the kernel has, what the configuration wants."""

from __future__ import annotations

from ..formats.cmdline import words
from ..formats.parametervalues import as_written, can_be_passed, elements, has_taken, refusal, same_value
from ..names import normalize_name
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..formats.modinfo import Parameter
    from ..formats.modprobeconf import Rule
    from ..formats.parametertable import ParameterSlot

OF_ALL_MODULES = ("dyndbg", "async_probe")
"""Parameters that the kernel takes for every module; they have no file in /sys."""

_READABLE, _WRITABLE = 0o444, 0o222
_FIXED_LENGTH = "string"


class ConfiguredValue(Record):
    """The value that the configuration gives a parameter, and where; `line` is None on the kernel command line.

    One that has no value in its line, as a boolean may, has `1`.
    """

    value: str
    file: str
    line: int | None

    @property
    def origin(self) -> str:
        """The place as `FILE:LINE`, or only the file."""
        return f"{self.file}:{self.line}" if self.line else self.file


class ParameterState(Record):
    """A parameter of a module; None is "not known".

    `type` is what the module states: `bool`, `invbool`, `bint`, `byte` to `ullong`, `hexint`, `charp`, `string`,
    `array of TYPE`, or a word of its own; None where it states none. `live` is what /sys shows. `configured` is what
    the next load gives it, `default` the value in the module's file. `writable` tells whether root can change it in
    the running kernel. `drift` tells whether `live` means something else than `configured`. `visible` tells whether
    it has a file in /sys. `count` is how many elements an array has now, `most` how many it can have, or the length
    of a text that is bounded.
    """

    name: str
    type: str | None
    description: str | None
    live: str | None
    configured: ConfiguredValue | None
    default: str | None
    writable: bool | None
    drift: bool | None
    visible: bool | None
    count: int | None
    most: int | None

    @property
    def is_changed(self) -> bool:
        """Whether it has another value than the configuration gives it, or than its default where that gives none."""
        if self.live is None:
            return False
        if self.configured:
            return bool(self.drift)
        return self.default is not None and not same_value(self.type, self.live, self.default)

    @property
    def to_keep(self) -> str | None:
        """What has to be said at the next load for the value of now, None where nothing has to be said, or can be."""
        if self.live is None or (self.configured is None and self.default is not None and not self.is_changed):
            return None
        value = as_written(self.type, self.live)
        return value if value is not None and can_be_passed(value) else None

    def has_live(self, value: str) -> bool:
        """Tell whether the kernel has a value now; an array that is always full may have more behind it."""
        if self.live is None:
            return False
        is_full = self.count is not None and self.count == self.most
        return same_value(self.type, self.live, value) or (is_full and has_taken(self.type, value, self.live))

    def refuses(self, value: str) -> str | None:
        """Return why the kernel does not take a value, None when it does, or reads it in its own way."""
        said = refusal(self.type or "", value)
        if said is None and self.most is not None and self.type is not None:
            if self.type == _FIXED_LENGTH and len(value.encode("utf-8", "surrogateescape")) > self.most:
                return f"longer than {self.most} bytes"
            if self.type.startswith("array of ") and len(value.split(",")) > self.most:
                return f"more than {self.most} elements"
        return said


class ModuleParameters(Record):
    """The parameters of a module. `state` is a word of `Status.state`."""

    name: str
    state: str
    params: tuple[ParameterState, ...]

    @property
    def has_drift(self) -> bool:
        """Whether one of them has another value than is configured."""
        return any(parameter.drift for parameter in self.params)

    @property
    def unseen(self) -> tuple[str, ...]:
        """The names of those that have no file in /sys: their values cannot be told, nor kept."""
        return tuple([parameter.name for parameter in self.params if parameter.visible is False])

    def find(self, name: str) -> ParameterState | None:
        """Return the parameter of that name; dashes count as underscores, as for the kernel."""
        wanted = normalize_name(name)
        return next((found for found in self.params if normalize_name(found.name) == wanted), None)


def module_parameters(
    name: str,
    state: str,
    described: Iterable[Parameter] | None,
    slots: Mapping[str, ParameterSlot] | None,
    live: Mapping[str, tuple[str | None, int | None]] | None,
    configured: Mapping[str, ConfiguredValue],
) -> ModuleParameters:
    """Return the parameters of a module.

    `described` is what .modinfo says, `slots` the table in its file; each None when not known. `live` has value and
    permissions of each file in /sys, None when the kernel does not have the module, does not show it, or is not asked.
    `configured` is by name, with underscores.
    """
    slots = slots or None  # a file with parameters has a table: an empty one tells nothing
    by_name = {parameter.name: parameter for parameter in described or ()}
    shown = {normalize_name(key): pair for key, pair in (live or {}).items()}
    table = {normalize_name(key): slot for key, slot in (slots or {}).items()}
    real = None if slots is None else {*table, *shown}
    names = [key for key in by_name if real is None or normalize_name(key) in real]
    known = {normalize_name(key) for key in names}
    for key in [*(slots or {}), *(live or {})]:
        if normalize_name(key) not in known:
            known.add(normalize_name(key))
            names.append(key)
    found = []
    for key in sorted(names):
        described_as, slot, pair = by_name.get(key), table.get(normalize_name(key)), shown.get(normalize_name(key))
        kind = (described_as and described_as.type) or (slot and slot.type) or None
        found.append(_parameter(key, kind, described_as, slot, pair, live is not None, configured))
    return ModuleParameters(name, state, tuple(found))


def _parameter(
    name: str,
    kind: str | None,
    described: Parameter | None,
    slot: ParameterSlot | None,
    shown: tuple[str | None, int | None] | None,
    is_shown: bool,
    configured: Mapping[str, ConfiguredValue],
) -> ParameterState:
    """Return what is known of one parameter.

    `shown` is its value and mode in /sys; `is_shown` tells whether /sys was asked.
    """
    value, mode = shown if shown else (None, None)
    if mode is None and slot:
        mode = slot.mode
    visible = bool(shown) if is_shown else None if slot is None else bool(slot.mode & _READABLE)
    wanted = configured.get(normalize_name(name))
    drift = None
    if wanted is None:
        drift = False if value is not None else None
    elif value is not None:
        drift = not same_value(kind, value, wanted.value)
    return ParameterState(
        name=name,
        type=kind,
        description=described.description if described else None,
        live=value,
        configured=wanted,
        default=slot.default if slot else None,
        writable=None if mode is None else bool(mode & _WRITABLE),
        drift=drift,
        visible=visible,
        count=len(elements(value)) if value is not None and (kind or "").startswith("array of ") else None,
        most=slot.most if slot else None,
    )


def configured_values(rules: Iterable[Rule]) -> dict[str, ConfiguredValue]:
    """Return what rules of the kind `options` give each parameter: of several values the last one counts."""
    found: dict[str, ConfiguredValue] = {}
    for rule in rules:
        for word in words(rule.text, unclosed=True):
            key, equals, value = word.partition("=")
            text = value.removeprefix('"').removesuffix('"') if equals else "1"
            found[normalize_name(key)] = ConfiguredValue(text, rule.file, rule.line)
    return found
