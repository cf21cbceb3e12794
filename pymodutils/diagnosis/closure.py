# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which modules an image needs so that some of them can be loaded there: what each one wants, in load order."""

from __future__ import annotations

from ..formats.modinfo import names_list
from ..formats.softdep import parse_softdep
from ..names import module_name
from ..planning.lookup import MODULES_DEP, Match, softdep_targets
from ..planning.plan import DEPENDENCY, REQUEST, SOFTDEP_POST, SOFTDEP_PRE
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ..formats.modinfo import Field
    from ..formats.modprobeconf import Rule
    from ..state.system import System

PRE, POST, WEAK = SOFT = ("pre", "post", "weak")
"""Kinds of dependencies that a module can do without."""

MODULE, BUILTIN = "module", "builtin"
"""Words of `ClosureNode.kind`."""

WEAKDEP, LOADED, DEVICE = "weakdep", "loaded", "device"
"""Words of `Reason.kind` besides those of `Step.why`."""

_EMPTY: tuple[str, ...] = ()


class Reason(Record):
    """Why a module is in a closure: something wants it.

    `kind` is `request` (`of` is the operand), `loaded`, `device` (`of` is the device), `dependency` (of a module,
    directly or not), `softdep pre`, `softdep post` or `weakdep`.
    """

    of: str
    kind: str


class Firmware(Record):
    """A firmware file that a module may ask for, or a pattern of such files.

    `files` are those that the kernel takes, each link followed by the file that it leads to. `missing` tells that there
    is none.
    """

    pattern: str
    files: tuple[str, ...]
    missing: bool


class ClosureNode(Record):
    """A module of a closure.

    `kind` is `module` or `builtin`, which has no `path`. `options` are its parameters by the configuration.
    """

    name: str
    path: str | None
    kind: str
    why: tuple[Reason, ...]
    firmware: tuple[Firmware, ...]
    options: str


class MissingModule(Record):
    """Something that is wanted and stands for no module, or whose file is gone.

    `of` and `kind` are those of the first `Reason`. Without a `required` one, another module cannot be loaded or a
    request cannot be met. `path` is the file that is gone. `similar` has names that resemble one that was asked for.
    """

    name: str
    of: str
    kind: str
    required: bool
    path: str | None
    similar: tuple[str, ...]


class SoftDependencies(Record):
    """Names of what a module wants before it, after it, and perhaps (weakly)."""

    pre: tuple[str, ...] = ()
    post: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()

    @classmethod
    def of_strings(cls, fields: Iterable[Field]) -> SoftDependencies:
        """Return those that a module's .modinfo strings state, of all such strings."""
        pre: list[str] = []
        post: list[str] = []
        weak: list[str] = []
        for field in fields:
            if field.key == "softdep":
                softdep = parse_softdep(field.value)
                pre += softdep.pre
                post += softdep.post
            elif field.key == "weakdep":
                weak += names_list(field.value)
        return cls(tuple(pre), tuple(post), tuple(weak))


def shipped_softdeps(rules: Iterable[Rule], directory: str) -> dict[str, SoftDependencies]:
    """Return what modules themselves ship, of every line, by name; depmod wrote it in the module directory."""
    files = (f"{directory}/modules.softdep", f"{directory}/modules.weakdep")
    found: dict[str, SoftDependencies] = {}
    for rule in rules:
        if rule.file in files:
            old = found.get(rule.key, SoftDependencies())
            found[rule.key] = _with_rule(old, rule)
    return found


def _with_rule(old: SoftDependencies, rule: Rule) -> SoftDependencies:
    if rule.kind == "weakdep":
        return old.replace(weak=(*old.weak, *names_list(rule.text)))
    pre, post = rule.softdeps()
    return old.replace(pre=(*old.pre, *pre), post=(*old.post, *post))


class Closure:
    """Gathers modules with all that they want, each once, in an order in which they can be loaded.

    That is the order of modprobe's plans one after the other; a weak dependency comes after what wants it. `soft` says
    which soft dependencies count. Those of the configuration do, by its first line for a module; and `carried` of
    modules by name, whatever the configuration says of these.
    """

    def __init__(
        self,
        system: System,
        soft: Iterable[str] = SOFT,
        carried: Mapping[str, SoftDependencies] | None = None,
    ) -> None:
        self.matches: dict[str, Match] = {}
        """The modules by name, in load order."""
        self.why: dict[str, dict[Reason, None]] = {}
        self.missing: dict[tuple[str, str | None], MissingModule] = {}
        self._system = system
        self._soft = frozenset(soft)
        self._carried = dict(carried or {})
        self._visited: set[tuple[str, str | None]] = set()
        self._finished: set[str] = set()

    def carry(self, name: str, soft: SoftDependencies) -> None:
        """Let soft dependencies of a module count that no configuration tells of."""
        self._carried[name] = soft

    def add(self, module: Match, of: str, kind: str = REQUEST) -> None:
        """Add a module with all that it wants."""
        self._visit(module, Reason(of, kind))

    def add_missing(self, name: str, why: Reason, *, required: bool, path: str | None = None) -> None:
        """Note something that stands for no module, or for one whose file is gone."""
        old = self.missing.get((name, path))
        if old is None or (required and not old.required):
            self.missing[name, path] = MissingModule(name, why.of, why.kind, required, path, ())

    def is_required(self, name: str) -> bool:
        """Tell whether a module was asked for, or another one cannot be loaded without it."""
        kinds = {reason.kind for reason in self.why.get(name, ())}
        return not kinds.isdisjoint((REQUEST, LOADED, DEPENDENCY))

    def first_reason(self, name: str) -> Reason:
        """Return why a module is there, the first reason."""
        return next(iter(self.why[name]))

    def _visit(self, module: Match, why: Reason) -> None:
        self._note(module.name, why)
        key = module.name, module.alias
        if key in self._visited:
            return
        self._visited.add(key)
        for path in reversed(module.dependencies):
            name = module_name(path)
            self._note(name, Reason(module.name, DEPENDENCY))
            self._with_soft(Match(name, None, path, (), MODULES_DEP))
        self._with_soft(module)

    def _note(self, name: str, why: Reason) -> None:
        self.why.setdefault(name, {})[why] = None

    def _with_soft(self, module: Match) -> None:
        if module.name in self._finished:
            return
        # One that is at work is gone through again, as in modprobe's plans: what it wants may have to come before this.
        pre, post, weak = self._soft_of(module.name)
        self._visit_all(module.name, pre, SOFTDEP_PRE)
        self.matches.setdefault(module.name, module)
        self._visit_all(module.name, post, SOFTDEP_POST)
        self._visit_all(module.name, weak, WEAKDEP)
        self._finished.add(module.name)

    def _visit_all(self, of: str, names: Iterable[str], kind: str) -> None:
        found, missing = softdep_targets(self._system, list(names))
        why = Reason(of, kind)
        for name, _reason in missing:
            self.add_missing(name, why, required=False)
        for module in found:
            if module.path or module.builtin:
                self._visit(module, why)
            else:
                self.add_missing(module.name, why, required=False)

    def _soft_of(self, name: str) -> tuple[Iterable[str], Iterable[str], Iterable[str]]:
        """Return the names that a module wants before, after, and weakly."""
        config = self._system.config
        carried = self._carried.get(name, SoftDependencies())
        pre, post, weak = _EMPTY, _EMPTY, _EMPTY
        if PRE in self._soft or POST in self._soft:
            rule = config.first("softdep", name)
            before, after = rule.softdeps() if rule else ([], [])
            pre = tuple(dict.fromkeys((*before, *carried.pre))) if PRE in self._soft else ()
            post = tuple(dict.fromkeys((*after, *carried.post))) if POST in self._soft else ()
        if WEAK in self._soft:
            rule = config.first("weakdep", name)
            weak = tuple(dict.fromkeys((*(names_list(rule.text) if rule else ()), *carried.weak)))
        return pre, post, weak
