# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod status: where modules stand, and what the kernel's taint flags say."""

from __future__ import annotations

from ..diagnosis.status import ABSENT, UNKNOWN, Status
from ..errors import Error
from ..formats.taint import KernelTaint, kernel_taint
from ..planning.lookup import names_file, not_found
from ..state.description import describe_file
from ..state.look import Look
from ..state.modulefile import ModuleFile
from .report import Report, as_diagnostic, head, several, unlisted_before, unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..context import Context, Name
    from ..diagnostics import Diagnostic
    from ..observer import Observer


class StatusReport(Report):
    """Where modules stand; an alias of several modules gives several. `kernel_taint` is None when it is not known."""

    modules: tuple[Status, ...]
    kernel_taint: KernelTaint | None

    @property
    def are_in_kernel(self) -> bool:
        """Whether all of them are live or builtin."""
        return all(module.is_in_kernel for module in self.modules)


def status(context: Context, names: Name | Iterable[Name] = (), *, observer: Observer | None = None) -> StatusReport:
    """Return where modules stand: those that `names` stand for, or all loaded ones.

    A name that nothing knows is `absent` with names that resemble it, or `unknown` when there is no module directory
    to look in, or an index is missing or damaged that may know it, which is an error of the report as well. `observer`
    hears of progress.
    """
    wanted = several(names)
    modules: list[Status] = []
    errors: list[Diagnostic] = []
    if not wanted:
        modules = _statuses(context, None, errors, observer)
    for name in wanted:
        modules += _statuses(context, name, errors, observer)
    modules = [_with_similar(context, module) for module in modules]
    errors += [
        as_diagnostic(not_found(context.tolerant_system.tree, module.asked))
        for module in modules
        if module.state == UNKNOWN
    ]
    for module in modules:
        errors += unlisted_before(context.tolerant_system.tree, module.evidence[0].source, module.asked)
        errors += _unreadable_file(module)
    kernel_taint = _kernel_taint(context, errors)
    return StatusReport(
        **head("status", context, dict.fromkeys(errors)), modules=tuple(modules), kernel_taint=kernel_taint
    )


def _statuses(context: Context, name: Name | None, errors: list[Diagnostic], observer: Observer | None) -> list[Status]:
    try:
        return context.statuses(None if name is None else [name], observer=observer)
    except Error as error:
        errors.append(as_diagnostic(error))
        return []


def _unreadable_file(module: Status) -> list[Diagnostic]:
    """Return the error about a module that was asked for by its file, where the file says nothing."""
    if module.path is None or not names_file(module.asked):
        return []
    try:
        with ModuleFile(module.path) as file:
            describe_file(file, ("version",))
    except Error as error:
        return [as_diagnostic(error, module.asked)]
    return []


def _with_similar(context: Context, module: Status) -> Status:
    """Return a status with the names that resemble one that nothing knows."""
    if module.state != ABSENT:
        return module
    try:
        return module.replace(similar=tuple(context.similar(module.asked)))
    except Error:  # no index to look in
        return module


def _kernel_taint(context: Context, errors: list[Diagnostic]) -> KernelTaint | None:
    if not context.live.is_asked:
        return None
    look = Look(context.roots)
    text = look.text(f"{look.proc}/sys/kernel/tainted") or ""
    errors += unread(look)
    return kernel_taint(int(text)) if text.isdecimal() else None
