# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod prune: loaded modules that nobody uses and that carry nothing, and unloading them."""

from __future__ import annotations

from ..diagnosis.carries import carried_by
from ..diagnosis.who import PruneCandidate, prunable
from ..effects.kernel import KernelModules
from ..errors import Error, LiveKernelNotAskedError
from ..observer import counted
from ..state.caller import read_supports
from ..state.look import Look
from ..state.users import Question, read_uses
from ..state.users.use import INTERFACE, NETFILTER
from .carried import ModulesBehind, not_seen
from .report import Report, as_diagnostic, head
from .who import makes_links, unknown, uses_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..observer import Observer
    from ..state.users import Seen

_TABLES = "nf_tables"
"""The module whose tables take no reference of it."""


class PruneReport(Report):
    """The modules that nothing holds, in the order in which they can go, and those that went.

    `loaded` is how many modules there are, those that went among them; None for a kernel that cannot have modules.
    """

    loaded: int | None
    candidates: tuple[PruneCandidate, ...]
    removed: tuple[str, ...]

    @property
    def removable(self) -> tuple[str, ...]:
        """The names of those without which nothing is lost."""
        return tuple([candidate.module for candidate in self.candidates if candidate.removable])


def prune(context: Context, *, remove: bool = False, observer: Observer | None = None) -> PruneReport:
    """Return the loaded modules that nobody uses, and what would be lost with each; with `remove`, unload them.

    Those that would be missed stay: a module with an interface, a bound device, a console, or one that the caller
    stands on. So do all of which nobody can tell who uses them or what they carry, since something of /proc or /sys
    cannot be read, or an index is missing or damaged. What cannot be seen or unloaded is in `errors`. `observer` hears
    of progress. Raises `LiveKernelNotAskedError` for another system.
    """
    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: its kernel is not asked")
    loaded = context.loaded_by_name()
    seen = read_uses(context.roots, Question(None))
    look, behind = Look(context.roots), ModulesBehind(context)
    supports = read_supports(look)
    holders = {module.name: module.holders for module in loaded.values()}

    def carried(name: str) -> str | None:
        found = carried_by(name, supports, holders, behind)
        return f"carries the {found[0].what}" if found else None

    def unsure(name: str) -> str | None:
        return "cannot tell what it carries" if behind.problem or look.unread else _hidden_user(context, seen, name)

    candidates = prunable(uses_of(context, seen, loaded, behind), carried, unsure)
    hidden = not_seen(look)
    errors = unknown(seen)
    errors += [as_diagnostic(hidden)] if hidden else []
    errors += [as_diagnostic(behind.problem)] if behind.problem else []
    removed: list[str] = []
    going = [candidate.module for candidate in candidates if candidate.removable] if remove else []
    for name in counted(going, "modules", observer):
        try:
            KernelModules(context.roots).remove(name)
            removed.append(name)
        except Error as error:
            errors.append(as_diagnostic(error, name))
    return PruneReport(
        **head("prune", context, errors),
        loaded=len(loaded) if loaded or context.live.text("modules") is not None else None,
        candidates=tuple(candidates),
        removed=tuple(removed),
    )


def _hidden_user(context: Context, seen: Seen, name: str) -> str | None:
    """Return why nobody can tell whether somebody uses a module that has no references; None if that is known."""
    for path in seen.look.unread:
        return f"cannot tell who uses it: {path} cannot be read"
    for one in seen.unknown:
        is_hidden = (
            one.hides is None
            or (INTERFACE in one.hides and makes_links(context, name))
            or (NETFILTER in one.hides and name == _TABLES)
        )
        if is_hidden:
            return f"cannot tell who uses it: {one.text}"
    return None
