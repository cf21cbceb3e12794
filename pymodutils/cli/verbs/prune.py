# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod prune: modules that nobody uses (kmod-prune(8))."""

from __future__ import annotations

from ...shellwords import command
from ...verbs.prune import prune
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import GOOD, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.prune import PruneReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options]"],
    {"What to do": (Option("remove", "", ("remove",), "unload what nobody would miss"),)},
    page="kmod-prune(8)",
    examples=["kmod prune"],
)


class PruneOptions(VerbOptions):
    """The options of prune."""

    remove = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show the modules that nobody uses; NO if some can go and did not."""
    options = PruneOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: PruneOptions) -> int:
    if verb.operands:
        verb.refuse("prune takes no names: rmmod unloads a module that you name")
    report = prune(verb.context, remove=options.remove, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report))
    return YES if set(report.removable) <= set(report.removed) else NO


def _write(page: Page, report: PruneReport) -> None:
    rows = []
    for candidate in report.candidates:
        gone = candidate.module in report.removed
        word = "removed" if gone else "can go" if candidate.removable else "stays"
        style = GOOD if candidate.removable else UNSURE
        rows.append([Cell(word, style), candidate.module, candidate.reason])
    if rows:
        page.table(rows)
    elif report.loaded is None:
        page.line("this kernel cannot have modules: it is built without them")
    else:
        page.line("every loaded module is in use" if report.loaded else "no module is loaded")
    if report.removable and not report.removed:
        page.line(f"order: {command('rmmod', *report.removable)}")
