# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the caller stands on, joined: asked by the verbs that unload modules."""

from __future__ import annotations

from ..diagnosis.carries import Carried, carried_by
from ..errors import Error
from ..names import normalize_name
from ..state.caller import read_supports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..context import Context


def carried(context: Context, name: str, pid: int | None = None) -> list[Carried]:
    """Return what the caller stands on and would lose with a module and all that need it; nothing for most modules.

    `pid` is another process to ask about. Raises `FileError` for /proc/modules.
    """
    holders = {module.name: module.holders for module in context.loaded_by_name().values()}
    return carried_by(name, read_supports(context.roots, pid), holders, modules_behind(context))


def modules_behind(context: Context) -> Callable[[str], list[str]]:
    """Return what tells which modules an alias of the kernel stands for; rules of the configuration do not count."""
    known: dict[str, list[str]] = {}

    def stand_for(alias: str) -> list[str]:
        if alias not in known:
            try:
                known[alias] = [match.name for match in context.lookup(alias, configured=False)]
            except Error:  # a damaged index; without one, a module still has its own name
                known[alias] = []
            known[alias] = known[alias] or [normalize_name(alias)]
        return known[alias]

    return stand_for
