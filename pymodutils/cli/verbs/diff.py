# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod diff: what differs between two modules or two trees (kmod-diff(8))."""

from __future__ import annotations

from ...verbs.diff import diff
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.moduledifference import Change
    from ...roots import Roots
    from ...verbs.diff import DiffReport
    from ..console import Console

FIELDS = ("module", "path", "export", "need", "parameter", "depends", "weakdep", "alias", "firmware", "vermagic")
"""Fields that completions offer; any other key of .modinfo is one as well."""

COMMAND_LINE = VerbLine(
    ["[options] FILE FILE", "[options] DIRECTORY|RELEASE DIRECTORY|RELEASE"],
    {
        "What to show": (
            Option("fields", "", ("field",), "only changes of this field", "FIELD", repeats=True, choices=FIELDS),
            Option("needed_by", "", ("needed-by",), "only changes of exports that this module needs", "FILE",
                   repeats=True),
        ),
    },
    page="kmod-diff(8)",
    examples=["kmod diff --field=export 6.1.0-55-amd64 6.1.0-56-amd64"],
)  # fmt: skip

HEADER = ("MODULE", "CHANGE", "FIELD", "NAME", "BEFORE", "AFTER")
STYLES = {"added": GOOD, "removed": BAD, "changed": UNSURE}


class DiffOptions(VerbOptions):
    """What the options say."""

    fields: tuple[str, ...] = ()
    needed_by: tuple[str, ...] = ()


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what differs; NO if something does."""
    options = DiffOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: DiffOptions) -> int:
    verb.need_operand("module or tree")
    if len(verb.operands) != 2:
        verb.refuse("two modules or two trees are compared. See kmod diff --help.")
    before, after = verb.operands
    report = diff(verb.context, before, after, needed_by=options.needed_by, observer=verb.progress)
    if options.fields:
        changes = tuple([change for change in report.changes if change.field in options.fields])
        report = report.replace(changes=changes)
    verb.show(report, lambda page: _write(page, report))
    return NO if report.changes else YES


def _write(page: Page, report: DiffReport) -> None:
    if report.changes:
        page.table([_row(change) for change in report.changes], header=HEADER)
        page.line()
    page.line(_summary(report), FAINT)


def _row(change: Change) -> list[object]:
    values = [None if value == change.name else value for value in (change.before, change.after)]
    return [change.module, Cell(change.kind, STYLES[change.kind]), change.field, change.name, *values]


def _summary(report: DiffReport) -> str:
    if not report.changes:
        return "nothing was found to differ, but not all could be read" if report.errors else "nothing differs"
    counts: dict[str, int] = {}
    for change in report.changes:
        counts[change.kind] = counts.get(change.kind, 0) + 1
    return ", ".join(f"{counts[kind]} {kind}" for kind in STYLES if kind in counts)
