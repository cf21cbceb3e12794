# SPDX-License-Identifier: LGPL-2.1-or-later
"""Can a module get in, and by which door? Each door is a question to the planner that loads modules.

Facts about the kernel: docs/behaviour/7-kernel-facts.md, 1 to 3 and 13.
"""

from __future__ import annotations

from ..diagnostics import Place
from ..errors import NameSyntaxError
from ..formats.fnmatch import fnmatch
from ..names import is_pattern, module_name, normalize_alias
from ..planning.insertion import plan_insertion
from ..planning.lookup import MODULES_DEP, lookup, match, softdep_targets
from ..planning.plan import PlanRequest
from ..planning.shellcommands import LOADS, effect_of
from ..records import Record
from ..shellwords import command
from .askers import ANY_USER, NAMESPACE_ROOT, is_modalias, who_asks
from .outcome import KernelRules, foresee
from .rules import knows_softdeps, softdeps_in_effect
from .status import ABSENT, BUILTIN, COMING, GOING, LIVE, UNKNOWN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ..formats.modprobeconf import Rule
    from ..planning.lookup import Match
    from ..state.initramfs import Image
    from ..state.kernelfacts import KernelFacts
    from ..state.modulesload import LoadLine
    from ..state.system import System
    from ..state.tree import WholeTree
    from ..state.udevrules import UdevLoad
    from .outcome import Outcome

IN, CAN_GET_IN, BLOCKED = "in", "can-get-in", "blocked"
"""Words of `Check.verdict`, with `builtin` and `absent` of `Status.state`."""


class Door(Record):
    """One way in for a module.

    `open` tells whether the module itself comes in that way; None when there is no such way, or when it cannot be told.
    `by` is the rule that decides. `via` is what leads here: aliases, modules, places; of an open door those through
    which the module comes in. `side_loads` are other modules that come in although this one does not. `note` says what
    else is to be known.
    """

    open: bool | None
    by: Place | None = None
    via: tuple[str, ...] = ()
    side_loads: tuple[str, ...] = ()
    note: str | None = None

    @property
    def is_closed(self) -> bool:
        """Whether nothing can come in: the door is closed, or does not exist."""
        return self.open is False or (self.open is None and self.by is None and self.note is None)


NO_DOOR = Door(None)


class Doors(Record):
    """All ways in.

    `by_name` is modprobe with the module's name, `by_alias` modprobe with an alias, as the kernel calls it;
    `as_dependency` and `as_softdep` are requests for other modules; `udev` is udev's own loader, when a device or a
    rule asks for the module; `modules_load` is what is loaded at boot by name; `insmod` is root with the file;
    `initramfs` is modprobe in the initial file system, with the copy of the configuration that is there.
    """

    by_name: Door
    by_alias: Door
    as_dependency: Door
    as_softdep: Door
    udev: Door
    modules_load: Door
    insmod: Door
    initramfs: Door


NO_DOORS = Doors(*[NO_DOOR] * 8)


class BuiltinModule(Record):
    """What is known of a builtin module: the functions that start it, joined by commas, None when not found.

    `initcall_blacklist=` on the kernel command line takes them. `note` says why they were not found.
    """

    initcall: str | None
    note: str | None = None


class Check(Record):
    """Whether a module can get in. `state` is a word of `Status.state`.

    `verdict` is `in` (the kernel has it now), `can-get-in`, `blocked` (every door but insmod is closed), `builtin`,
    `absent`, or None when that cannot be told. `remedy` is the next step as a command, or a boot parameter.
    """

    asked: str
    name: str
    state: str
    verdict: str | None
    doors: Doors
    kernel: KernelFacts
    builtin: BuiltinModule | None
    remedy: str | None
    similar: tuple[str, ...] = ()

    @property
    def keeps_out(self) -> bool:
        """Whether the module is kept out: it is blocked, or there is none."""
        return self.verdict in (BLOCKED, ABSENT)


RULES, BOOT_LISTS, UDEV_RULES = "rules", "boot lists", "udev rules"
"""Keys of `World.unread`."""


class World:
    """What the doors are asked about: a system, and what loads modules in it. It remembers what comes of requests.

    `unread` has a file that should have been read and could not be, by what it is part of: RULES, BOOT_LISTS or
    UDEV_RULES. Then it is not known of a door whether it is open.
    """

    def __init__(
        self,
        system: System,
        kernel: KernelRules,
        *,
        load_lines: Sequence[LoadLine] = (),
        udev: Sequence[UdevLoad] = (),
        image: Image | None = None,
        unread: Mapping[str, str] | None = None,
    ) -> None:
        self.system = system
        self.kernel = kernel
        self.load_lines = load_lines
        self.udev = udev
        self.image = image
        self.unread: Mapping[str, str] = unread or {}
        self._outcomes: dict[tuple[str, bool], Outcome] = {}
        self._dependents: Mapping[str, list[str]] | None = None
        self._softdep_owners: dict[str, list[str]] | None = None
        self._alias_rules: list[Rule] | None = None
        self._own_commands: list[Rule] | None = None
        self._lines: list[tuple[LoadLine, list[Match]]] | None = None
        self._by_rule: dict[str, list[str]] | None = None

    @property
    def tree(self) -> WholeTree:
        """The module tree."""
        return self.system.tree  # type: ignore[return-value]

    def outcome(self, name: str, *, use_blacklist: bool = False) -> Outcome:
        """Return what comes of a request for a module, by its name, or as if by an alias."""
        key = name, use_blacklist
        if key not in self._outcomes:
            self._outcomes[key] = self._request(name, use_blacklist)
        return self._outcomes[key]

    def _request(self, name: str, use_blacklist: bool) -> Outcome:
        if use_blacklist and not self.system.config.blacklisted(name):
            return self.outcome(name)  # nothing else tells the two requests apart
        target = match(self.system, name, None, MODULES_DEP)
        request = PlanRequest(name, ignore_loaded=True, use_blacklist=use_blacklist)
        return foresee(self.system, self.kernel, plan_insertion(self.system, target, request))

    def unlisted(self, index: str, what: str) -> str | None:
        """Return that nobody can tell `what`, if modules.INDEX.bin lists it and cannot be used, else None."""
        if not self.tree.lacks_index(index):
            return None
        return f"cannot tell {what}: no usable modules.{index}.bin"

    def is_closed_by_rule(self, name: str, door: Door) -> bool:
        """Tell whether a rule closes a door, whatever a missing index may list."""
        if door.by is None:
            outcome = self.outcome(name)
            return (
                outcome.open_for(name) is False
                and outcome.decider(name) is not None
                and knows_softdeps(self.system, name)
            )
        return door.by.text.startswith("blacklist ") or knows_softdeps(self.system, name)

    def dependents(self, name: str) -> list[str]:
        """Return the modules that depend on one, in the order of the tree."""
        if self._dependents is None:
            found: dict[str, list[str]] = {}
            for module in self.tree.by_name.values():
                for path in module.dependencies:
                    found.setdefault(module_name(path), []).append(module.name)
            self._dependents = found
        return self._dependents.get(name, [])

    def softdep_owners(self, name: str) -> list[str]:
        """Return the modules whose softdep rule names one."""
        if self._softdep_owners is None:
            self._softdep_owners = {}
            for rule in self.system.config.of("softdep"):
                before, after = rule.softdeps()
                if before or after:
                    targets = softdep_targets(self.system, before + after)[0]
                    for target in dict.fromkeys(found.name for found in targets):
                        self._softdep_owners.setdefault(target, []).extend(self._owners(rule))
        return self._softdep_owners.get(name, [])

    def _owners(self, rule: Rule) -> list[str]:
        """Return the modules of the tree for which a softdep rule counts."""
        names: Iterable[str] = [rule.key]
        if is_pattern(rule.key):
            names = [name for name in self.tree.by_name if fnmatch(rule.key, name)]
        config = self.system.config
        return [name for name in names if self.tree.find(name) and config.first("softdep", name) == rule]

    def config_aliases(self, name: str) -> list[str]:
        """Return the patterns of the alias rules that lead to a module."""
        return [rule.key for rule in self._aliases() if rule.text == name]

    def _aliases(self) -> list[Rule]:
        if self._alias_rules is None:
            self._alias_rules = self.system.config.of("alias")
        return self._alias_rules

    def finds(self, alias: str, name: str) -> tuple[bool, Place | None]:
        """Tell whether a request for an alias of the tree comes to the module, and which rule comes before it."""
        text = _sample(alias)
        for rule in self._aliases():
            if rule.key == text or (is_pattern(rule.key) and fnmatch(rule.key, text)):
                try:
                    return name in [found.name for found in lookup(self.system, text)], rule.place
                except NameSyntaxError:
                    return False, rule.place
        if self.tree.find(text):
            return text == name, Place(f"{self.tree.directory}/{MODULES_DEP}", None, text)
        for kind in ("install", "remove"):
            own = self.system.config.literal(kind, text)
            if own:
                return False, own.place
        return True, None

    def commands_that_load(self, name: str) -> list[Rule]:
        """Return install rules of other names whose commands load a module, whatever its own rules say."""
        if self._own_commands is None:
            rules = self.system.config.of("install")
            self._own_commands = [rule for rule in rules if "modprobe" in rule.text or "insmod" in rule.text]
        return [
            rule for rule in self._own_commands if not fnmatch(rule.key, name) and effect_of(rule.text, name) == LOADS
        ]

    def boot_lines(self, name: str) -> list[tuple[LoadLine, Match]]:
        """Return the lines that have a module loaded at boot, and how each names it."""
        if self._lines is None:
            self._lines = [(line, _lookup(self.system, line.text if line.by_systemd else line.name))
                           for line in self.load_lines]  # fmt: skip
        return [(line, found) for line, matches in self._lines for found in matches if found.name == name]

    def udev_rules(self, name: str) -> list[str]:
        """Return the places of udev rules that name a module or an alias of it."""
        if self._by_rule is None:
            self._by_rule = {}
            for load in self.udev:
                for text in load.modules:
                    for found in _lookup(self.system, text):
                        self._by_rule.setdefault(found.name, []).append(load.origin)
        return self._by_rule.get(name, [])


def _lookup(system: System, text: str) -> list[Match]:
    try:
        return lookup(system, text)
    except NameSyntaxError:
        return []


def _sample(pattern: str) -> str:
    """Return a text that a pattern of an alias matches: wildcards become zeros, brackets their first character."""
    if not is_pattern(pattern):
        return normalize_alias(pattern) if "]" not in pattern else pattern
    out = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        end = pattern.find("]", at + 2) if char == "[" else -1
        if end > 0:
            char, at = pattern[at + 1], end
        out.append("0" if char in "*?" else char)
        at += 1
    return "".join(out).replace("-", "_")


# --- the doors


def _by_name(world: World, name: str) -> Door:
    return _door(world, name, world.outcome(name))


def _door(world: World, name: str, outcome: Outcome, via: Iterable[str] = ()) -> Door:
    """Return a door for which a request for the module itself decides."""
    is_open = outcome.open_for(name)
    by, note = outcome.decider(name), None
    if is_open:
        ignored = world.system.config.first("install", name)
        soft = softdeps_in_effect(world.system, name) if ignored else None
        if soft and ignored and effect_of(ignored.text, name) != LOADS:
            by, note = soft.place, f"soft dependencies switch off the install rule at {ignored.origin}"
        return Door(True, by, tuple(via), (), note)
    if is_open is None:
        note = _unknown(by)
    elif by is None and world.tree.find(name) is None:
        note = "no index lists it"
    return Door(is_open, by, tuple(via), outcome.loaded, note)


def _by_alias(world: World, name: str) -> Door:
    """Return the door of those who ask by an alias, as the kernel does; blacklist rules hold for them."""
    reached: list[str] = []
    hidden_by: Place | None = None
    for alias in world.tree.aliases(name):
        found, before = world.finds(alias, name)
        if found:
            reached.append(alias)
        else:
            hidden_by = hidden_by or before
    aliases = [*world.config_aliases(name), *reached]
    commands = world.commands_that_load(name)
    if commands and world.kernel.refusal(name, None) is None:
        return Door(True, commands[0].place, tuple(rule.key for rule in commands), (), "this command loads it")
    unlisted = world.unlisted("alias", "which aliases lead to it")
    if not aliases and not unlisted:
        return Door(False, hidden_by, (), (), "no alias leads to it" if hidden_by is None else None)
    rule = world.system.config.blacklisted(name)
    if rule:
        return Door(False, rule.place, tuple(aliases))
    door = _door(world, name, world.outcome(name, use_blacklist=True), aliases)
    if unlisted and door.open is not False and not world.config_aliases(name):
        return Door(None, None, (), (), unlisted)
    if door.note is None and (door.open or door.side_loads):
        return door.replace(note=_askers(aliases))
    return door


def _askers(aliases: Iterable[str]) -> str | None:
    """Return who without root can have the kernel ask for one of the aliases, and how."""
    for alias in aliases:
        asker = who_asks(alias)
        if asker and asker[0] in (ANY_USER, NAMESPACE_ROOT):
            return f"{asker[0]} can ask for {alias}, by {asker[1]}"
    return None


def _as_dependency(world: World, name: str) -> Door:
    return _with_others(world, name, world.dependents(name), "no module depends on it")


def _as_softdep(world: World, name: str) -> Door:
    return _with_others(world, name, world.softdep_owners(name), "no softdep rule names it")


def _with_others(world: World, name: str, others: list[str], nobody: str) -> Door:
    """Return a door that requests for other modules open."""
    if not others:
        unlisted = world.unlisted("dep", "what needs it")
        return Door(None if unlisted else False, None, (), (), unlisted or nobody)
    outcomes = {other: world.outcome(other) for other in others}
    opening = [other for other, outcome in outcomes.items() if outcome.open_for(name)]
    if opening:
        return Door(True, None, tuple(opening))
    unknown = [other for other, outcome in outcomes.items() if outcome.open_for(name) is None]
    if unknown:
        by = outcomes[unknown[0]].decider(name)
        return Door(None, by, tuple(unknown), (), _unknown(by))
    deciders = [place for outcome in outcomes.values() if (place := outcome.decider(name))]
    return Door(False, deciders[0] if deciders else None, tuple(others))


def _unknown(by: Place | None) -> str | None:
    """Return why it cannot be told what comes of a rule; a file that cannot be looked at says so itself."""
    return "nobody can say what that command does" if by and by.line is not None else None


def _udev(world: World, name: str) -> Door:
    """Ask as udev's libkmod does: blacklist rules hold for names as well as for aliases."""
    via = [alias for alias in (*world.config_aliases(name), *world.tree.aliases(name)) if is_modalias(alias)]
    via += world.udev_rules(name)
    rule = world.system.config.blacklisted(name)
    if rule:
        return Door(False, rule.place, tuple(via))
    door = _door(world, name, world.outcome(name, use_blacklist=True), via)
    nobody = world.unlisted("alias", "which devices ask for it") or "no device and no rule asks for it here"
    return door if via or door.note else door.replace(note=nobody)


def _modules_load(world: World, name: str) -> Door:
    lines = world.boot_lines(name)
    if not lines:
        return Door(False, None, (), (), "not listed")
    places = tuple(line.origin for line, _ in lines)
    doors = []
    for line, found in lines:
        rule = world.system.config.blacklisted(name) if line.by_systemd or found.alias else None
        if rule:
            doors.append(Door(False, rule.place, places))
        else:
            doors.append(_door(world, name, world.outcome(name), places))
    return min(doors, key=lambda door: (True, None, False).index(door.open))


def _insmod(world: World, name: str) -> Door:
    entry = world.tree.find(name)
    path = entry.path if entry else None
    via = (path,) if path else ()
    refusal = world.kernel.refusal(name, path)
    if refusal:
        return Door(False, refusal, via)
    unknown = world.kernel.unknown_file()
    if unknown is None:
        return Door(True, None, via)
    asked = world.system.live.is_asked
    return Door(None, None, via, (), f"{unknown} cannot be read" if asked else "the running kernel is not asked")


def _initramfs(world: World, name: str) -> Door:
    image = world.image
    if image is None:
        return NO_DOOR
    via = (image.path,)
    if image.problem:
        return Door(None, None, via, (), image.problem)
    found = image.system.tree.find(name) if image.system else None
    if image.system and found is None and image.system.tree.lacks_index("dep"):
        return Door(None, None, via, (), "cannot tell which modules are in it: no usable modules.dep.bin")
    if image.system is None or found is None:
        return Door(False, None, via, (), "it is not in the image")
    facts = world.kernel.facts.replace(modules_disabled=None)
    rules = KernelRules(facts, lambda _path: None)
    inside = World(image.system, rules)
    door = _door(inside, name, inside.outcome(name), via)
    if door.open and door.by is None and world.outcome(name).open_for(name) is False:
        return door.replace(note="the configuration in the image has no such rule")
    return door


DOORS: tuple[tuple[str, Callable[[World, str], Door]], ...] = (
    ("by_name", _by_name),
    ("by_alias", _by_alias),
    ("as_dependency", _as_dependency),
    ("as_softdep", _as_softdep),
    ("udev", _udev),
    ("modules_load", _modules_load),
    ("insmod", _insmod),
    ("initramfs", _initramfs),
)
"""The fields of `Doors`, and who answers for each."""

NOT_MODPROBES = "insmod"
"""The door that no rule of modprobe's closes; it takes root and the file."""


# --- the answer


def check_module(
    world: World, asked: str, name: str, state: str, describe_builtin: Callable[[str], BuiltinModule]
) -> Check:
    """Return whether the module `name` can get in; `describe_builtin` finds what starts a builtin one."""
    facts = world.kernel.facts
    if state == BUILTIN:
        builtin = describe_builtin(name)
        remedy = f"initcall_blacklist={builtin.initcall}" if builtin.initcall else None
        return Check(asked, name, state, BUILTIN, NO_DOORS, facts, builtin, remedy)
    if state in (ABSENT, UNKNOWN):
        return Check(asked, name, state, ABSENT if state == ABSENT else None, NO_DOORS, facts, None, None)
    doors = Doors(**{field: _as_far_as_known(world, name, field, door(world, name)) for field, door in DOORS})
    verdict = _verdict(state, doors)
    return Check(asked, name, state, verdict, doors, facts, None, _remedy(world, name, verdict, doors))


_NOT_BY_RULES = ("insmod", "initramfs")
_LISTED_IN = {"modules_load": BOOT_LISTS, "udev": UDEV_RULES}


def _as_far_as_known(world: World, name: str, field: str, door: Door) -> Door:
    """Return a door as far as it is known: what a file says that could not be read may open it, or close it.

    A blacklist rule closes it whatever the others say, if there is one for this way in. What an index lists that is
    missing or damaged may open a door that no rule closes.
    """
    if field in _NOT_BY_RULES:
        return door
    why = world.tree.why_unknown() if door.open is False and world.tree.exists else None
    if why and not world.is_closed_by_rule(name, door):
        door = door.replace(open=None, note=f"cannot tell: {why}")
    blacklisted = door.by is not None and door.by.text.startswith("blacklist ")
    rules, listed = world.unread.get(RULES), world.unread.get(_LISTED_IN.get(field, ""))
    if rules and not blacklisted:
        return door.replace(open=None, note=f"{rules} cannot be read")
    if listed and not door.via:
        is_open = None if field == "modules_load" else door.open
        return door.replace(open=is_open, note=f"{listed} cannot be read")
    return door


def _verdict(state: str, doors: Doors) -> str | None:
    if state in (LIVE, COMING, GOING):
        return IN
    others = [getattr(doors, field) for field, _ in DOORS if field != NOT_MODPROBES]
    if any(door.open for door in others):
        return CAN_GET_IN
    return BLOCKED if all(door.is_closed for door in others) else None


def _remedy(world: World, name: str, verdict: str | None, doors: Doors) -> str | None:
    """Return the next step: rules where they leave a door open, then unloading, then a new initial file system."""
    steps = []
    if not all(getattr(doors, field).is_closed for field, _ in DOORS if field not in (NOT_MODPROBES, "initramfs")):
        steps.append(command("kmod deny", name))
    if verdict == IN:
        steps.append(command("modprobe -r" if world.tree.find(name) else "rmmod", name))
    if not steps and not doors.initramfs.is_closed and world.image and world.image.renewal:
        steps.append(world.image.renewal)
    return " && ".join(steps) or None
