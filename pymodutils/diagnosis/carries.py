# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether a module carries the caller: the file systems, the connection or the terminal that it works by."""

from __future__ import annotations

from ..names import normalize_name
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ..state.caller import Support


class Carried(Record):
    """One thing that would break with a module.

    `kind` is `file-system`, `connection` or `terminal`; `what` names it. `module` is the one that carries it: the
    module asked about, or one that needs that. `evidence` is where it was seen.
    """

    kind: str
    what: str
    module: str
    evidence: str


def carried_by(
    name: str,
    supports: Iterable[Support],
    holders: Mapping[str, Iterable[str]],
    stand_for: Callable[[str], Iterable[str]],
) -> list[Carried]:
    """Return what would break if a module were unloaded, together with all loaded modules that need it.

    `supports` is what the caller stands on, `holders` has for each loaded module those that need it, and `stand_for`
    tells which modules an alias stands for.
    """
    family = with_holders(normalize_name(name), holders)
    found = []
    for support in supports:
        carriers = [normalize_name(module) for module in support.modules]
        carriers += [normalize_name(module) for alias in support.aliases for module in stand_for(alias)]
        module = next((module for module in carriers if module in family), None)
        if module:
            found.append(Carried(support.kind, support.what, module, support.evidence))
    return found


def with_holders(name: str, holders: Mapping[str, Iterable[str]]) -> list[str]:
    """Return a module and, before it, all that need it, directly or through others: the order in which they can go."""
    found: dict[str, None] = {}
    begun: set[str] = set()

    def visit(module: str) -> None:
        if module not in begun:
            begun.add(module)
            for holder in holders.get(module, ()):
                visit(holder)
            found[module] = None

    visit(name)
    return list(found)
