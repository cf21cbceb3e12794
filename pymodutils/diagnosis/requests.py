# SPDX-License-Identifier: LGPL-2.1-or-later
"""What comes of a module request of the kernel: what modprobe does when the kernel asks it for an alias."""

from __future__ import annotations

from ..errors import Error, NameSyntaxError
from ..planning.insertion import plan_insertion
from ..planning.lookup import is_available, lookup
from ..planning.plan import BLACKLISTED, PlanRequest
from ..records import Record
from .outcome import foresee

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..diagnostics import Place
    from ..planning.lookup import Match
    from ..state.system import System
    from .outcome import KernelRules

LOADED, DENIED, NOT_FOUND, FAILED = "loaded", "denied", "not-found", "failed"
"""Words of `RequestOutcome.outcome`: a module is in the kernel; a rule keeps it out; nothing has that alias; it did not
come although no rule keeps it out."""


class RequestOutcome(Record):
    """What comes of a request. `modules` are those that the alias stands for. `by` is the rule that decides.

    `outcome` is None when it cannot be told: an install rule runs a command of its own, or an index is damaged.
    """

    modules: tuple[str, ...]
    outcome: str | None
    by: Place | None = None


def foresee_request(system: System, rules: KernelRules, alias: str) -> RequestOutcome:
    """Return what comes of a request by the rules and the files there are, whatever is loaded now."""
    try:
        found = lookup(system, alias)
        parts = [foresee_match(system, rules, module) for module in found]
    except NameSyntaxError:
        return RequestOutcome((), NOT_FOUND)
    except Error:
        return RequestOutcome((), None)
    if not parts:
        return RequestOutcome((), NOT_FOUND)
    words = [part.outcome for part in parts]
    best = next((word for word in (LOADED, None, DENIED, FAILED) if word in words), None)
    names = tuple(dict.fromkeys(module.name for module in found))
    return RequestOutcome(names, best, next(part.by for part in parts if part.outcome == best))


def is_met(system: System, alias: str, modules: tuple[str, ...]) -> bool:
    """Tell whether a module of those that an alias stands for is in the kernel now."""
    try:
        return any(system.is_available(name) for name in modules) or any(
            is_available(system, module) for module in lookup(system, alias)
        )
    except Error:
        return False


def foresee_match(system: System, rules: KernelRules, module: Match) -> RequestOutcome:
    """Return what comes of a request that found this module, whatever is loaded now."""
    names = (module.name,)
    if module.builtin:
        return RequestOutcome(names, LOADED)
    if not module.path and not module.command:  # an alias rule that leads nowhere: `alias net-pf-3 off`
        by = next((rule.place for rule in system.config.aliases(module.alias or "") if rule.text == module.name), None)
        return RequestOutcome(names, DENIED if by else NOT_FOUND, by)
    plan = plan_insertion(system, module, PlanRequest(module.alias or module.name, ignore_loaded=True))
    if plan.steps and plan.steps[0].reason == BLACKLISTED and module.blacklisted:
        return RequestOutcome(names, DENIED, module.blacklisted.place)
    if plan.impossible:
        return RequestOutcome(names, FAILED)
    outcome = foresee(system, rules, plan)
    decider, is_open = outcome.decider(module.name), outcome.open_for(module.name)
    if is_open:
        return RequestOutcome(names, LOADED)
    return RequestOutcome(names, None if is_open is None else DENIED if decider else FAILED, decider)
