# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod check: can a module get in, and by which door (kmod-check(8))?"""

from __future__ import annotations

from ...verbs.check import check
from ..options import Option
from .doors import headline, open_doors, write_check
from .frame import CANNOT_TELL, NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.check import CheckReport
    from ..console import Console
    from .page import Page

ALL = Option("everything", "a", ("all",), "check all modules, a line for each")
INITRD = Option(
    "initrd", "", ("initrd",), "look into this initial file system (auto: that of the kernel; none: no image)", "FILE"
)


class CheckOptions(VerbOptions):
    """What the options of check say."""

    everything = False
    initrd = "auto"


COMMAND_LINE = VerbLine(
    ["[options] NAME|ALIAS|FILE...", "[options] --all"],
    {"What to check": (ALL, INITRD)},
    page="kmod-check(8)",
    examples=["kmod check sctp dccp usb-storage"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show whether modules can get in; YES if every one is blocked or absent."""
    options = CheckOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: CheckOptions) -> int:
    if not options.everything:
        verb.need_operand("module")
    report = check(
        verb.context,
        verb.operands,
        everything=options.everything,
        initrd=options.initrd,
        observer=verb.progress,
    )
    verb.show(report, lambda page: _write(page, report, options))
    if any(check.verdict is None for check in report.checks):
        return CANNOT_TELL
    return YES if report.keeps_all_out else NO


def _write(page: Page, report: CheckReport, options: CheckOptions) -> None:
    if options.everything:
        page.table([[*headline(check), Cell(", ".join(open_doors(check)))] for check in report.checks])
        return
    for number, one in enumerate(report.checks):
        if number:
            page.line()
        write_check(page, one)
