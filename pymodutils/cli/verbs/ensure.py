# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod ensure: bring modules into the state that a file wants (kmod-ensure(8))."""

from __future__ import annotations

from ...shellwords import command
from ...verbs.ensure import ensure, read_wanted, wanted_in
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, GOOD, STRONG, UNSURE, Cell
from .reading import STANDARD_INPUT, read_operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.ensure import EnsureResult
    from ...roots import Roots
    from ...verbs.ensure import EnsureReport
    from ..console import Console
    from .page import Page

MOST_BYTES = 1 << 26
"""Bytes of standard input that are read."""

OF_THE_KERNEL = ("loaded", "unloaded")
"""Wishes that only the kernel can tell of."""


class EnsureOptions(VerbOptions):
    """What the options of ensure say."""

    check = False
    force = False


COMMAND_LINE = VerbLine(
    ["[options] FILE"],
    {
        "Changes": (
            Option("check", "n", ("check",), "change nothing, and tell what would be"),
            Option("force", "f", ("force",), "write also over files of kmod's own that somebody edited"),
        )
    },
    page="kmod-ensure(8)",
    notes="FILE is TOML with a table [module.NAME] for each module; - reads standard input.",
    examples=["kmod ensure --check /etc/pymodutils/modules.toml"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Bring modules where they are wanted; NO if one is not there, or with --check if something would be changed."""
    options = EnsureOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: EnsureOptions) -> int:
    verb.need_operand("file")
    if len(verb.operands) > 1:
        verb.refuse("one file at a time. See kmod ensure --help.")
    (path,) = verb.operands
    is_file = path != STANDARD_INPUT
    wanted = read_wanted(path) if is_file else wanted_in(read_operand(path, MOST_BYTES), "standard input")
    report = ensure(verb.context, wanted, check=options.check, force=options.force, observer=verb.progress)
    unasked = set() if verb.context.live.is_asked else {wish.name for wish in wanted if wish.state in OF_THE_KERNEL}
    verb.show(report, lambda page: _write(page, report, unasked))
    return YES if report.is_reached and not (report.checked and report.changed) else NO


def _write(page: Page, report: EnsureReport, unasked: set[str]) -> None:
    for result in report.results:
        _write_result(page, result, checked=report.checked)
        if result.module in unasked and not result.error:
            page.line(
                "  by its files; whether it is loaded is not known, since the running kernel is not asked", UNSURE
            )
    for path in report.written:
        page.line(f"wrote {path}")


def _write_result(page: Page, result: EnsureResult, *, checked: bool) -> None:
    page.cells(Cell(result.module, STRONG), Cell("  "), _headline(result, checked=checked))
    rows = [[change.field, change.before, "->", change.after] for change in result.diff]
    if rows:
        page.table(rows, indent=2)
    if checked or result.error:
        for action in result.actions:
            word = "would" if checked else "done:" if action.done else "not done:"
            page.line(f"  {word} {action.action} {action.what}")
    if result.reboot_needed:
        page.line(f"  the rest comes with the next boot, or by: {command('kmod reload', result.module)}", UNSURE)
    error = result.error
    if error:
        place = f"  {error.file}:{error.line}" if error.line else f"  {error.file}" if error.file else ""
        page.line(f"  {error.code}: {error.text}{place}", BAD)


def _headline(result: EnsureResult, *, checked: bool) -> Cell:
    if result.error:
        return Cell("NOT AS WANTED", BAD)
    if result.changed:
        return Cell("would be changed" if checked else "changed", UNSURE)
    return Cell("as wanted" if not result.reboot_needed else "as wanted after a reboot", GOOD)
