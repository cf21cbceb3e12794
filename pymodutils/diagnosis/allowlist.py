# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an allowlist allows: modules with all that they need, in one kernel's tree."""

from __future__ import annotations

from ..errors import NameSyntaxError
from ..formats.conflines import words
from ..names import module_name
from ..planning.lookup import lookup
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..state.system import System
    from ..state.tree import WholeTree

NEEDED, RENAMED, NOW_BUILTIN, GONE, NEW, NOW_MODULE = "needed", "renamed", "builtin", "gone", "new", "module"
"""Words of `PolicyChange.change`: an allowed module needs it now; its aliases are another module's; it is part of the
kernel; nothing is left of it; it is there for the first time, so that no rule is about it; it is no longer builtin."""

LIKENESS = 0.5
"""The part of its aliases that another module must have to count as the same one with another name."""


class PolicyChange(Record):
    """What another kernel's tree changes for a policy; `change` is one of the words above.

    `needed_by` are modules of the policy that need it, or the new name of a renamed one. `denied` tells whether the
    rules that are written now keep it out.
    """

    module: str
    change: str
    needed_by: tuple[str, ...]
    denied: bool


def closure(system: System, names: Iterable[str]) -> dict[str, set[str]]:
    """Return the modules that are files and belong to `names`, and for each those of `names` that need it.

    A name or alias brings its modules, their dependencies, and what softdep and weakdep rules want with them.
    """
    needed: dict[str, set[str]] = {}
    for root in names:
        waiting, seen = [root], {root}
        while waiting:
            for found in _direct(system, waiting.pop()):
                needed.setdefault(found, set()).add(root)
                if found not in seen:
                    seen.add(found)
                    waiting.append(found)
    return needed


def _direct(system: System, text: str) -> list[str]:
    """Return the modules that a text stands for, and those that they need at first hand."""
    found: list[str] = []
    try:
        targets = [target for target in lookup(system, text) if target.path]
    except NameSyntaxError:
        return []
    for target in targets:
        found.append(target.name)
        found += map(module_name, target.dependencies)
        softdep, weakdep = system.config.first("softdep", target.name), system.config.first("weakdep", target.name)
        before, after = softdep.softdeps() if softdep else ([], [])
        for name in (*before, *after, *(words(weakdep.text) if weakdep else ())):
            try:
                found += [other.name for other in lookup(system, name) if other.path]
            except NameSyntaxError:
                continue
    return found


def not_allowed(systems: Iterable[System], names: Iterable[str]) -> list[str]:
    """Return the modules of all the trees that an allowlist denies: those that no allowed one needs in any of them."""
    names = list(names)
    all_modules: set[str] = set()
    allowed: set[str] = set(names)
    for system in systems:
        all_modules |= set(_tree(system).by_name)
        allowed |= set(closure(system, names))
    return sorted(all_modules - allowed)


def _tree(system: System) -> WholeTree:
    return system.tree  # type: ignore[return-value]


def changes(old: System, new: System, allowed: Iterable[str] | None, denied: Iterable[str]) -> list[PolicyChange]:
    """Return what a policy meets in another kernel's tree.

    `allowed` are the names of the allowlist, None if there is none. `denied` are the modules that the rules written now
    keep out.
    """
    now_denied = set(denied)
    found: list[PolicyChange] = []
    before, after = _tree(old).by_name, _tree(new).by_name
    ours = set(allowed) if allowed is not None else now_denied
    for name in sorted(ours):
        if name in after:
            if name not in before and _tree(old).is_builtin(name):
                found.append(PolicyChange(name, NOW_MODULE, (), name in now_denied))
        elif _tree(new).is_builtin(name):
            if not _tree(old).is_builtin(name):
                found.append(PolicyChange(name, NOW_BUILTIN, (), name in now_denied))
        elif name in before:
            successor = _successor(old, new, name)
            found.append(PolicyChange(name, RENAMED if successor else GONE, (successor,) if successor else (),
                                name in now_denied))  # fmt: skip
    if allowed is not None:
        was, will = closure(old, ours), closure(new, ours)
        found += [
            PolicyChange(name, NEEDED, tuple(sorted(will[name])), name in now_denied)
            for name in sorted(set(will) - set(was) - ours)
        ]
        fresh = set(after) - set(before) - set(will) - now_denied
        found += [PolicyChange(name, NEW, (), False) for name in sorted(fresh)]
    return found


def _successor(old: System, new: System, name: str) -> str | None:
    """Return the module of the new tree that is not in the old one and has most of a module's aliases."""
    aliases = _tree(old).aliases(name)
    counts: dict[str, int] = {}
    candidates = set(_tree(new).by_name) - set(_tree(old).by_name)
    for candidate in candidates:
        shared = len(set(aliases) & set(_tree(new).aliases(candidate)))
        if shared:
            counts[candidate] = shared
    best = max(sorted(counts), key=lambda other: counts[other], default=None)
    return best if best and counts[best] > LIKENESS * len(set(aliases)) else None
