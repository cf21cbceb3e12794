# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the caller would lose with a module, since it stands on it: asked by the verbs that unload modules."""

from __future__ import annotations

from ..diagnosis.carries import Carried, carried_by
from ..errors import Error, FileError, MissingTreeError
from ..names import normalize_name
from ..planning.lookup import names_unknown
from ..state.caller import read_supports
from ..state.look import Look

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context


def carried(context: Context, name: str, pid: int | None = None, behind: ModulesBehind | None = None) -> list[Carried]:
    """Return what the caller stands on and would lose with a module and all that need it; nothing for most modules.

    `pid` is another process to ask about. `behind` knows aliases that were looked up before. Raises `FileError` for
    /proc/modules, and `Error` where nothing was found and nobody can tell: an index is missing or damaged, or something
    of /proc or /sys cannot be read.
    """
    holders = {module.name: module.holders for module in context.loaded_by_name().values()}
    behind = behind or ModulesBehind(context)
    look = Look(context.roots)
    found = carried_by(name, read_supports(look, pid), holders, behind)
    problem = behind.problem or not_seen(look)
    if problem and not found:
        raise problem
    return found


def not_seen(look: Look) -> FileError | None:
    """Return what says that the caller may stand on more than was seen; None where all could be read."""
    for path, error in look.unread.items():
        reason = f"{error.reason}: what the caller works by is not known"
        return FileError(reason, path=path, errno=error.errno)
    return None


class ModulesBehind:
    """Tells which modules an alias of the kernel stands for; rules of the configuration do not count.

    `problem` is set once an alias was asked for that nothing is found for, while an index is missing or damaged that
    may know it.
    """

    def __init__(self, context: Context) -> None:
        self.problem: Error | None = None
        self._context = context
        self._known: dict[str, list[str]] = {}

    def __call__(self, alias: str) -> list[str]:
        """Return the names of the modules; one that nothing knows still stands for a module of its own name."""
        if alias not in self._known:
            self._known[alias] = self._look_up(alias) or [normalize_name(alias)]
        return self._known[alias]

    def _look_up(self, alias: str) -> list[str]:
        try:
            found = [match.name for match in self._context.lookup(alias, configured=False)]
            why = None if found else self._context.tree.why_unknown(alias)
        except MissingTreeError:
            return []
        except Error as error:  # a damaged index
            self._note(error.reason, error.path)
            return []
        if why and self._context.exists:
            self._note(why, self._context.tree.directory)
        return found

    def _note(self, why: str, path: str | None) -> None:
        if self.problem is None:
            self.problem = names_unknown(path, why)
