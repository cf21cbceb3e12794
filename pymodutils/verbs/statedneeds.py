# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a module's file states that it needs: asked by the verbs that take a file from outside of the tree."""

from __future__ import annotations

import os

from ..diagnosis.closure import SoftDependencies
from ..formats.modinfo import names_list
from ..names import normalize_name
from ..records import Record
from ..state.modulefile import ModuleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..planning.lookup import Match
    from ..state.system import System


class StatedNeeds(Record):
    """What a file states that it needs.

    `dependencies` are the files of its hard dependencies and of all that these need, as in modules.dep. `missing` are
    the names in its `depends` that are neither in the tree nor builtin. `soft` are its soft dependencies.
    """

    dependencies: tuple[str, ...]
    missing: tuple[str, ...]
    soft: SoftDependencies


def stated_needs(system: System, module: Match) -> StatedNeeds | None:
    """Return what the file of a module states; None for a file of the tree, of which the indexes tell.

    Raises `Error` for a file that cannot be read.
    """
    entry = system.tree.find(module.name)
    if module.path is None or (entry and os.path.realpath(entry.path) == os.path.realpath(module.path)):
        return None
    with ModuleFile(module.path) as file:
        fields = file.modinfo()
    dependencies: dict[str, None] = {}
    missing: list[str] = []
    for name in [name for field in fields if field.key == "depends" for name in names_list(field.value)]:
        other = system.tree.find(name)
        if other:
            dependencies.update(dict.fromkeys((other.path, *other.dependencies)))
        elif not system.tree.is_builtin(name):
            missing.append(normalize_name(name))
    return StatedNeeds(tuple(dependencies), tuple(missing), SoftDependencies.of_strings(fields))
