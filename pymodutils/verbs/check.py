# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod check: can a module get in, and by which door?"""

from __future__ import annotations

import os

from ..diagnosis.check import (
    BOOT_LISTS,
    RULES,
    UDEV_RULES,
    BuiltinModule,
    Check,
    World,
    check_module,
)
from ..diagnosis.outcome import KernelRules
from ..diagnosis.status import UNKNOWN, state_of
from ..diagnostics import ERROR, Diagnostic
from ..errors import Error, MissingTreeError
from ..formats.kallsyms import initcalls
from ..names import normalize_name
from ..observer import counted
from ..planning.lookup import (
    MODULES_DEP,
    Match,
    match,
    names_unknown,
    not_found,
)
from ..state.config import UNREADABLE_FILE
from ..state.files import module_directory, read_or_none
from ..state.initramfs import read_image
from ..state.kernelfacts import read_kernel_facts
from ..state.modulefile import is_signed
from ..state.modulesload import read_modules_load
from ..state.system import System
from ..state.tree import WholeTree
from ..state.udevrules import read_udev_loads
from .report import (
    AUTO,
    NO_IMAGE,
    Report,
    as_diagnostic,
    for_same_system,
    head,
    is_unread,
    modules_there,
    several,
    unlisted,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..context import Context
    from ..formats.procmodules import LoadedModule
    from ..observer import Observer

    Name = str | os.PathLike[str] | Match


class CheckReport(Report):
    """Whether modules can get in; an alias of several modules gives several."""

    checks: tuple[Check, ...]

    @property
    def keeps_all_out(self) -> bool:
        """Whether every module is kept out, or is none."""
        return all(check.keeps_out for check in self.checks)


def check(
    context: Context,
    names: Name | Iterable[Name] = (),
    *,
    everything: bool = False,
    initrd: str = AUTO,
    observer: Observer | None = None,
) -> CheckReport:
    """Return whether modules can get in, by name, alias, path or `Match`, and by which doors.

    `everything` asks for all modules of the tree and all that are loaded. `initrd` is the initial file system to look
    into: a path, `auto` or `none`. `observer` hears of progress. What cannot be read is an error of the report.
    """
    return Checker(context, initrd=initrd, observer=observer).report(
        several(names), everything=everything, observer=observer
    )


def _noting(errors: list[Diagnostic]) -> Callable[[Error], None]:
    """Return what adds an index that cannot be used to `errors`.

    No method of the checker: it and the tree would keep each other, and the tree's descriptors, alive.
    """

    def note(error: Error) -> None:
        if not isinstance(error, MissingTreeError):  # said of each module
            errors.append(as_diagnostic(error))

    return note


class Checker:
    """What questions about several modules share."""

    def __init__(self, context: Context, *, initrd: str = AUTO, observer: Observer | None = None) -> None:
        self.context = context
        self.errors: list[Diagnostic] = []
        roots, live = context.roots, context.live
        self.system: System = System(WholeTree(roots, _noting(self.errors)), live, context.config)
        self.loaded: dict[str, LoadedModule] = context.loaded_by_name()
        at_boot, udev = read_modules_load(roots, live.text("cmdline")), read_udev_loads(roots)
        unread: dict[str, str] = {}
        for key, part in ((RULES, context.config), (BOOT_LISTS, at_boot), (UDEV_RULES, udev)):
            problems = [problem for problem in part.problems if is_unread(problem)]
            self.errors += problems
            if problems and problems[0].file:
                unread[key] = problems[0].file
        rules = KernelRules(read_kernel_facts(roots, live), is_signed, roots.proc, roots.sys)
        image = None if initrd == NO_IMAGE else read_image(roots, None if initrd == AUTO else initrd, observer)
        self.world: World = World(
            self.system, rules, load_lines=at_boot.lines, udev=udev.loads, image=image, unread=unread
        )
        self._symbols: list[bytes] | None = None
        self._why_no_symbols: list[str] = []

    def report(
        self, names: Iterable[Name], *, everything: bool = False, observer: Observer | None = None
    ) -> CheckReport:
        """Return the checks of what `names` stand for, and of `everything`."""
        wanted = [pair for name in names for pair in self.targets(name)]
        if everything:
            known = dict.fromkeys([*self.loaded, *self.system.tree.by_name])  # type: ignore[attr-defined]
            wanted += [(name, match(self.system, name, None, MODULES_DEP)) for name in known]
            self._note_no_list()
        checks: list[Check] = []
        for asked, found in counted(wanted, "modules", observer):
            checks.append(self.check(asked, found))
        if self.world.image and self.world.image.problem:
            problem = Error(self.world.image.problem, path=self.world.image.path)
            self.errors.append(as_diagnostic(problem))
        return CheckReport(**head("check", self.context, self.errors), checks=tuple(checks))

    def targets(self, name: Name) -> list[tuple[str, Match | None]]:
        """Return what a name, an alias or a path stands for; one without a match for what nothing knows."""
        if isinstance(name, Match):
            return [(name.alias or name.name, name)]
        text = name if isinstance(name, str) else os.path.abspath(name)
        found = modules_there(self.system, text, self.errors)
        if found is None:
            return []
        return [(text, module) for module in found] or [(text, None)]

    def check(self, asked: str, found: Match | None) -> Check:
        """Return whether one module can get in."""
        name = found.name if found else normalize_name(asked)
        state = state_of(self.system, found, name, self.loaded, asked)
        checked = check_module(self.world, asked, name, state, self.builtin)
        self._note_hidden_files(checked)
        if checked.remedy:
            checked = checked.replace(remedy=for_same_system(self.context, checked.remedy))
        if checked.state == UNKNOWN:
            self.errors.append(as_diagnostic(not_found(self.system.tree, asked)))
        if found is None and checked.verdict == "absent":
            return checked.replace(similar=tuple(self.context.similar(asked)))
        return checked

    def _note_no_list(self) -> None:
        """Take note of why nobody can tell which modules there are, where that is so."""
        tree = self.system.tree
        if not tree.exists:
            self.errors.append(as_diagnostic(names_unknown(tree.directory, "no module directory")))
        self.errors += unlisted(self.system.tree)

    def _note_hidden_files(self, checked: Check) -> None:
        """Take note of the files of modules that cannot be looked at, so that a door is not known."""
        doors = checked.doors
        for door in (doors.by_name, doors.as_dependency, doors.as_softdep):
            if door.open is None and door.by is not None and door.by.line is None:
                place, number = door.by, self.system.tree.file_problem(door.by.file)
                error = Diagnostic(UNREADABLE_FILE, ERROR, place.text, checked.name, place.file, errno=number)
                self.errors += [error] if error not in self.errors else []

    def builtin(self, name: str) -> BuiltinModule:
        """Return what starts a builtin module."""
        if self._symbols is None:
            self._symbols = list(self._symbol_lists())
        for symbols in self._symbols:
            found = initcalls(symbols, name)
            if found:
                return BuiltinModule(",".join(found))
        return BuiltinModule(None, "; ".join(self._why_no_symbols) or None)

    def _symbol_lists(self) -> Iterable[bytes]:
        """Yield the lists of the kernel's symbols, and take note of why there are none."""
        roots = self.context.roots
        release = roots.kernel_release
        places = [f"{roots.base}/boot/System.map-{release}", f"{module_directory(roots)}/System.map"]
        if self.context.live.is_asked:
            places.append(f"{roots.proc}/kallsyms")
        are_there = False
        for place in places:
            try:
                data = read_or_none(place)
            except Error as error:
                self._why_no_symbols.append(f"cannot read {error}")
                are_there = True
                continue
            if data is not None:
                are_there = True
                yield data
        if not are_there:
            self._why_no_symbols.append(f"there is no {places[0]}")
