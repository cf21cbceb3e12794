# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod status: where modules stand (kmod-status(8))."""

from __future__ import annotations

from ...verbs.status import status
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.status import Status
    from ...roots import Roots
    from ...verbs.status import StatusReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] [NAME|ALIAS|FILE...]"],
    {},
    page="kmod-status(8)",
    examples=["kmod status nouveau fs-btrfs"],
)

HEADER = ("MODULE", "STATE", "SIZE", "REFS", "USED BY", "TAINT", "VERSION", "SIGNER", "NOTE")
STYLES = {"live": GOOD, "builtin": GOOD, "available": "", "absent": BAD, "unknown": UNSURE}


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show where modules stand; NO if one of those named is neither live nor builtin."""
    return run_verb(COMMAND_LINE, VerbOptions(), arguments, console, roots, _answer)


def _answer(verb: Verb) -> int:
    report = status(verb.context, verb.operands, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report, named=bool(verb.operands)))
    return YES if report.are_in_kernel or not verb.operands else NO


def _write(page: Page, report: StatusReport, *, named: bool) -> None:
    if report.modules:
        page.table([_row(module) for module in report.modules], header=HEADER, right=(2, 3))
    if named and report.modules:
        _write_evidence(page, report.modules)
    taint = report.kernel_taint
    if taint and taint.value:
        page.line()
        page.line(f"kernel taint {taint.value}:", UNSURE)
        page.table(list(zip(taint.flags, taint.names, strict=False)), indent=2)


def _write_evidence(page: Page, modules: Sequence[Status]) -> None:
    page.line()
    for module in modules:
        page.line(module.asked if module.asked == module.name else f"{module.asked}: {module.name}")
        page.table([(evidence.source, evidence.text) for evidence in module.evidence], indent=2)
        if module.denied_by:
            page.table([(module.denied_by.origin, f"denied: {module.denied_by.text}")], indent=2)
        if module.similar:
            page.line(f"  similar names: {', '.join(module.similar)}")


def _row(module: Status) -> list[object]:
    return [
        module.name,
        Cell(module.state, STYLES.get(module.state, UNSURE)),
        module.size,
        module.refcount,
        ",".join(module.holders or ()),
        Cell(module.taint.flags, UNSURE) if module.taint and module.taint.flags else None,
        module.version,
        Cell(module.signer, FAINT) if module.signer else None,
        Cell(" ".join(notes(module)), UNSURE),
    ]


def notes(module: Status) -> list[str]:
    """Return the words of the last column."""
    marks = {"stale": module.stale, "permanent": module.permanent, "denied": module.denied}
    return [word for word, holds in marks.items() if holds]
