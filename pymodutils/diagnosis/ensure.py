# SPDX-License-Identifier: LGPL-2.1-or-later
"""How a module stands, how it is to stand, and what it takes to get there. Nothing here changes anything."""

from __future__ import annotations

from ..diagnostics import ERROR, Diagnostic, Place
from ..formats.modprobeconf import Rule
from ..formats.optionsfile import options_line
from ..formats.parametervalues import can_be_passed, same_value
from ..formats.wantedstate import ANY, DENIED, LOADED, UNLOADED
from ..formats.wantedstate import AVAILABLE as WANTED_AVAILABLE
from ..frozendict import FrozenDict
from ..names import normalize_name
from ..records import Record
from .parameters import configured_values
from .status import ABSENT, AVAILABLE, BUILTIN, COMING, GOING, LIVE, UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..formats.wantedstate import WantedModule
    from .parameters import ConfiguredValue, ModuleParameters

UNDENY, DENY, WRITE_OPTIONS, WRITE_AT_BOOT = "undeny", "deny", "write-options", "write-at-boot"
SET, UNLOAD, LOAD = "set", "unload", "load"
"""Words of `EnsureAction.action`, in the order in which they are done."""

ABSENT_MODULE, IS_BUILTIN, DENIED_ELSEWHERE, IN_USE, PERMANENT = "absent", "builtin", "denied", "in-use", "permanent"
CARRIES_CALLER, LISTED_ELSEWHERE, OPTIONS_ELSEWHERE, OVERRULED = (
    "carries-caller", "listed-elsewhere", "options-elsewhere", "overruled",
)  # fmt: skip
UNKNOWN_PARAMETER, BAD_VALUE, NO_DEVICE, LOAD_FAILED = "unknown-parameter", "bad-value", "no-device", "load-failed"
UNLOAD_FAILED, SET_FAILED, NOT_WRITTEN, NOT_REACHED = "unload-failed", "set-failed", "not-written", "not-reached"
CANNOT_TELL = "cannot-tell"
"""Codes of `EnsureResult.error`."""

IN_KERNEL = (LIVE, COMING, GOING)


class ModuleCondition(Record):
    """How a module stands.

    `state` is a word of `Status.state`. `denied` tells whether a rule keeps it from being loaded by its name, and
    `at_boot` whether it is loaded at each boot, by modules-load.d, /etc/modules or the kernel command line.
    `parameters` are values in the kernel, and `options` configured ones; both have only those that are asked about.
    """

    state: str
    denied: bool | None
    at_boot: bool
    parameters: Mapping[str, str]
    options: Mapping[str, str]


class EnsureAction(Record):
    """One thing to do: a word for it, what it is done to (a file, `PARAMETER=VALUE`), and whether it was done."""

    action: str
    what: str
    done: bool = False


class EnsureChange(Record):
    """One thing that is not as before: `state`, `denied`, `at_boot`, `parameters.NAME` or `options.NAME`."""

    field: str
    before: str | None
    after: str | None


class EnsureResult(Record):
    """What was done, or would be, for one module.

    `before` and `after` are how it stands; with nothing done, `after` is what would come of it. `diff` is what is
    different. `reboot_needed` tells that the rest comes with the next boot, or with the next load of the module:
    it cannot be unloaded now, or takes a parameter only when it is loaded. `error` is what keeps it from being as
    wanted.
    """

    module: str
    changed: bool
    before: ModuleCondition
    after: ModuleCondition
    diff: tuple[EnsureChange, ...]
    actions: tuple[EnsureAction, ...]
    reboot_needed: bool
    error: Diagnostic | None


class Facts(Record):
    """What is known of a module: what a decision rests on.

    `is_live` tells whether the kernel is asked. `parameters` are all there are. `rules` are the `options` rules for
    it, in their order, and `own_path` the file of those that are ours. `policy_denies` tells whether rules of the
    policy keep it out, `in_policy` whether the policy wants them; `denied_by` is another rule that does, and
    `needs` one that keeps out a module that it needs and that nobody wants in. `listed_by`
    are the places that have it loaded at boot, of which ours is in `own_list`. `refcount`, `holders` and `permanent`
    are those of a loaded module, `carries` is what the caller would lose with it. `similar` are names that resemble
    one that no module has. `not_known` says what nobody can tell: whether there is such a module, or what it carries.
    `may_be_builtin` tells whether the index is missing or damaged that lists those that are part of the kernel.
    """

    name: str
    is_live: bool
    parameters: ModuleParameters
    rules: tuple[Rule, ...]
    own_path: str
    policy_denies: bool
    in_policy: bool
    denied_by: Place | None
    needs: Place | None
    listed_by: tuple[Place, ...]
    own_list: str
    refcount: int
    holders: tuple[str, ...]
    permanent: bool
    carries: str | None
    similar: tuple[str, ...] = ()
    not_known: str | None = None
    may_be_builtin: bool = False

    @property
    def state(self) -> str:
        """A word of `Status.state`."""
        return self.parameters.state

    @property
    def is_listed_by_us(self) -> bool:
        """Whether our own list has it loaded at boot."""
        return any(place.file == self.own_list for place in self.listed_by)

    def configured(self, own: Mapping[str, str] | None = None) -> dict[str, ConfiguredValue]:
        """Return the parameters that are configured, or would be with `own` in our file."""
        rules = list(self.rules)
        if own is not None:
            rules = [rule for rule in rules if rule.file != self.own_path]
            at = next((at for at, rule in enumerate(rules) if _comes_behind(rule, self.own_path)), len(rules))
            text = options_line(self.name, own).strip().partition(f"options {self.name} ")[2].replace("\\\\", "\\")
            rules[at:at] = [Rule("options", self.name, text, self.own_path, 1)] if own else []
        if self.state == BUILTIN:
            rules = [rule for rule in rules if not rule.line]
        return configured_values(rules)

    @property
    def own_values(self) -> dict[str, str]:
        """The parameters that our own file gives."""
        own = [rule for rule in self.rules if rule.file == self.own_path]
        return {key: value.value for key, value in configured_values(own).items()}


def _comes_behind(rule: Rule, path: str) -> bool:
    return not rule.line or rule.file.rpartition("/")[2] > path.rpartition("/")[2]


class Decision(Record):
    """What it takes to bring a module where it is wanted, as in `EnsureResult`; our file of options gets `own`.

    `lists` tells whether our list of what is loaded at boot gets the module, if it is written. `to_set` are parameters.
    """

    module: str
    before: ModuleCondition
    after: ModuleCondition
    actions: tuple[EnsureAction, ...]
    own: Mapping[str, str] | None
    lists: bool
    to_set: Mapping[str, str]
    reboot_needed: bool
    error: Diagnostic | None

    def has(self, action: str) -> bool:
        """Tell whether an action is among them."""
        return any(one.action == action for one in self.actions)


def condition(facts: Facts, wanted: WantedModule) -> ModuleCondition:
    """Return how a module stands."""
    configured = facts.configured()
    keys = [normalize_name(key) for key in wanted.parameters or {}]
    live = {normalize_name(one.name): one.live for one in facts.parameters.params}
    options = {key: value.value for key, value in configured.items() if key in keys or wanted.options_exactly}
    return ModuleCondition(
        facts.state,
        None if facts.state == BUILTIN else facts.policy_denies or facts.denied_by is not None,
        bool(facts.listed_by),
        FrozenDict({key: value for key in keys if (value := live.get(key)) is not None}),
        FrozenDict(options),
    )


def decide(facts: Facts, wanted: WantedModule, going: Iterable[str] = ()) -> Decision:
    """Return what it takes; `going` are modules that are to be unloaded as well."""
    return _Decider(facts, wanted, set(going)).decide()


class _Decider:
    """Decides about one module, step by step; the first step that finds an error ends it."""

    def __init__(self, facts: Facts, wanted: WantedModule, going: set[str]) -> None:
        self.facts = facts
        self.wanted = wanted
        self.going = going
        self.actions: list[EnsureAction] = []
        self.error: Diagnostic | None = None
        self.reboot_needed = False
        self.own: dict[str, str] | None = None
        self.lists = False
        self.to_set: dict[str, str] = {}
        self.before = condition(facts, wanted)
        self.after = self.before

    def decide(self) -> Decision:
        for step in (self.check_state, self.check_parameters, self.policy, self.options, self.at_boot, self.live_values,
                     self.loading):  # fmt: skip
            step()
            if self.error:  # then nothing at all is done for this module
                self.actions, self.after, self.reboot_needed, self.own, self.to_set = [], self.before, False, None, {}
                break
        return Decision(
            self.facts.name,
            self.before,
            self.after,
            tuple(self.actions),
            None if self.own is None else FrozenDict(self.own),
            self.lists,
            FrozenDict(self.to_set),
            self.reboot_needed,
            self.error,
        )

    def fail(self, code: str, text: str, place: Place | None = None, subject: str | None = None) -> None:
        """Note why the module cannot be as it is wanted."""
        file, line = (place.file, place.line) if place else (None, None)
        self.error = Diagnostic(code, ERROR, text, module=self.facts.name, file=file, line=line, subject=subject)

    def add(self, action: str, what: str) -> None:
        """Add an action to those that it takes."""
        self.actions.append(EnsureAction(action, what))

    def check_state(self) -> None:
        """See whether the module can be where it is wanted at all."""
        facts, wanted = self.facts, self.wanted.state
        needed = wanted in (LOADED, WANTED_AVAILABLE) or bool(self.wanted.at_boot) or bool(self.wanted.parameters)
        if facts.state == ABSENT and needed:
            near = f"; similar: {', '.join(facts.similar)}" if facts.similar else ""
            return self.fail(ABSENT_MODULE, f"there is no such module for this kernel{near}")
        cannot_tell = wanted in (UNLOADED, DENIED) and (
            facts.may_be_builtin or (not facts.is_live and wanted == UNLOADED)
        )
        if facts.state == UNKNOWN and (needed or cannot_tell):
            return self.fail(CANNOT_TELL, facts.not_known or "cannot tell where it stands")
        if wanted in (UNLOADED, DENIED) and facts.state == BUILTIN:
            return self.fail(IS_BUILTIN, "is part of the kernel: only its command line keeps it from starting")
        comes_in = wanted == LOADED and facts.state not in (BUILTIN, *IN_KERNEL)
        if comes_in or wanted == WANTED_AVAILABLE or self.wanted.at_boot:
            if facts.denied_by:
                return self.fail(DENIED_ELSEWHERE, f"is kept out: {facts.denied_by.text}", facts.denied_by)
            if facts.needs:
                return self.fail(DENIED_ELSEWHERE, f"what it needs is kept out: {facts.needs.text}", facts.needs)
        return None

    @property
    def _has_values(self) -> bool:
        """Whether the module is in the kernel and stays there, so that its values of now count."""
        facts, stays = self.facts, self.wanted.state not in (UNLOADED, DENIED)
        return facts.is_live and facts.state in (*IN_KERNEL, BUILTIN) and stays

    def check_parameters(self) -> None:
        for key, value in (self.wanted.parameters or {}).items():
            found = self.facts.parameters.find(key)
            if found is None:
                return self.fail(UNKNOWN_PARAMETER, f"has no parameter {key}", subject=key)
            said = found.refuses(value) or (None if can_be_passed(value) else "a quote or a control character in it")
            if said:
                return self.fail(BAD_VALUE, f"{key}={value}: {said}", subject=key)
            if self._has_values and found.live is None and found.visible is not False:
                return self.fail(CANNOT_TELL, f"cannot tell which value {key} has now: /sys does not show it")
        return None

    def policy(self) -> None:
        wanted = self.wanted.state
        lifts = wanted in (LOADED, WANTED_AVAILABLE) or bool(self.wanted.at_boot)
        if wanted == DENIED and not self.facts.policy_denies:
            self.add(DENY, self.facts.name)
            self.after = self.after.replace(denied=True)
        elif lifts and (self.facts.policy_denies or self.facts.in_policy):
            self.add(UNDENY, self.facts.name)
            self.after = self.after.replace(denied=self.facts.denied_by is not None)

    def options(self) -> None:
        """Decide what our file of options has: what others do not give already."""
        values = self.wanted.parameters
        if values is None:
            return
        others = self.facts.configured({})
        before = self.facts.own_values
        own = {} if self.wanted.options_exactly else dict(before)
        for key, value in values.items():
            found = self.facts.parameters.find(key)
            kind, name = (found.type, found.name) if found else (None, key)
            given = others.get(normalize_name(key))
            for old in [old for old in own if normalize_name(old) == normalize_name(key)]:
                del own[old]
            if given is None or not same_value(kind, given.value, value):
                own[normalize_name(name)] = value
        after = self.facts.configured(own)
        self._check_options(values, after)
        if self.error:
            return
        if own != before:
            self.own = own
            self.add(WRITE_OPTIONS, self.facts.own_path)
        shown = {normalize_name(key) for key in values}
        options = {key: one.value for key, one in after.items() if key in shown or self.wanted.options_exactly}
        self.after = self.after.replace(options=FrozenDict(options))

    def _check_options(self, values: Mapping[str, str], after: Mapping[str, ConfiguredValue]) -> None:
        """See whether what is wanted would be what counts."""
        for key, value in values.items():
            found = self.facts.parameters.find(key)
            counts = after.get(normalize_name(key))
            if self.facts.state == BUILTIN:
                if counts is None or not same_value(found.type if found else None, counts.value, value):
                    text = f"is part of the kernel: {self.facts.name}.{key}={value} has to be on its command line"
                    return self.fail(IS_BUILTIN, text, subject=key)
            elif counts is not None and not same_value(found.type if found else None, counts.value, value):
                place = Place(counts.file, counts.line, f"{key}={counts.value}")
                return self.fail(OVERRULED, f"{key} is {counts.value} by a line that counts more", place, key)
        if self.wanted.options_exactly:
            known = {normalize_name(key) for key in values}
            for key, counts in after.items():
                if key not in known:
                    place = Place(counts.file, counts.line, f"{key}={counts.value}")
                    text = f"another file gives {key}={counts.value}"
                    return self.fail(OPTIONS_ELSEWHERE, text, place, key)
        return None

    def at_boot(self) -> None:
        facts = self.facts
        wanted = self.wanted.at_boot
        if self.wanted.state == DENIED and wanted is None and facts.is_listed_by_us:
            wanted = False  # our own list must not ask for what our own policy denies
            others = facts.listed_by
        else:
            others = () if wanted is None else facts.listed_by
        if wanted is None or (wanted and (facts.listed_by or facts.state == BUILTIN)):
            return
        elsewhere = next((place for place in others if place.file != facts.own_list), None)
        if not wanted and elsewhere and self.wanted.at_boot is False:
            return self.fail(LISTED_ELSEWHERE, "another file has it loaded at boot", elsewhere)
        if wanted or facts.is_listed_by_us:
            self.add(WRITE_AT_BOOT, facts.own_list)
            self.lists = bool(wanted)
            self.after = self.after.replace(at_boot=bool(wanted) or elsewhere is not None)
        return None

    def live_values(self) -> None:
        """Decide which parameters to set in the kernel, and which must wait for the next load."""
        facts = self.facts
        if not self._has_values:
            return
        now = dict(self.after.parameters)
        for key, value in (self.wanted.parameters or {}).items():
            found = facts.parameters.find(key)
            if found is None:
                continue
            if found.live is None:
                unknown = found.visible is False
                self.reboot_needed = self.reboot_needed or (unknown and self.own is not None and key in self.own)
            elif not found.has_live(value):
                if found.writable:
                    self.to_set[found.name] = value
                    self.add(SET, f"{found.name}={value}")
                    now[normalize_name(key)] = value
                else:
                    self.reboot_needed = True
        self.after = self.after.replace(parameters=FrozenDict(now))

    def loading(self) -> None:
        facts, wanted = self.facts, self.wanted.state
        if not facts.is_live or wanted in (ANY, WANTED_AVAILABLE):
            return
        if wanted == LOADED:
            if facts.state not in (LIVE, BUILTIN):
                self.add(LOAD, facts.name)
                values = {normalize_name(key): value for key, value in (self.wanted.parameters or {}).items()}
                self.after = self.after.replace(state=LIVE, parameters=FrozenDict(values))
            return
        if facts.state in IN_KERNEL:
            refusal = self._unload_refusal()
            if refusal is None:
                self.add(UNLOAD, facts.name)
                self.after = self.after.replace(state=AVAILABLE, parameters=FrozenDict())
            elif wanted == DENIED:
                self.reboot_needed = True  # the rules hold from the next boot on
            else:
                self.fail(*refusal)

    def _unload_refusal(self) -> tuple[str, str] | None:
        facts = self.facts
        if facts.permanent:
            return PERMANENT, "cannot be unloaded: it has no exit function"
        staying = [holder for holder in facts.holders if holder not in self.going]
        if staying:
            return IN_USE, f"is in use by {', '.join(staying)}"
        if facts.refcount > len(facts.holders):
            return IN_USE, f"is in use: {facts.refcount} references, {len(facts.holders)} by modules"
        if facts.carries:
            return CARRIES_CALLER, f"carries {facts.carries}"
        if facts.not_known:
            return CANNOT_TELL, facts.not_known
        return None


def changes(before: ModuleCondition, after: ModuleCondition) -> list[EnsureChange]:
    """Return what is different between two conditions."""
    found = []
    for field in ("state", "denied", "at_boot"):
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            found.append(EnsureChange(field, _word(old), _word(new)))
    for field in ("parameters", "options"):
        one, other = getattr(before, field), getattr(after, field)
        for key in sorted({*one, *other}):
            if one.get(key) != other.get(key):
                found.append(EnsureChange(f"{field}.{key}", one.get(key), other.get(key)))
    return found


def _word(value: object) -> str | None:
    return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def unload_order(holders: Mapping[str, Sequence[str]], names: Iterable[str]) -> list[str]:
    """Return modules in an order in which they can be unloaded: what needs another goes before it."""
    from .carries import with_holders

    found: dict[str, None] = {}
    wanted = list(names)
    for name in wanted:
        for one in with_holders(name, holders):
            if one in wanted:
                found.setdefault(one)
    return list(found)
