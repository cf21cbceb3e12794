# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod who: who uses a module (kmod-who(8))."""

from __future__ import annotations

from ...verbs.who import who
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...state.users.use import Process
    from ...verbs.who import Watched, WhoReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] NAME"],
    {
        "What to do": (
            Option("watch", "", ("watch",), "then watch for N seconds who takes and gives back references", "N"),
        )
    },
    page="kmod-who(8)",
    examples=["kmod who loop"],
)


_WHERE = {"builtin": "part of the kernel", "live": "loaded, and not counted"}

MOST_PROCESSES = 8
"""Processes of one user to show; JSON has all."""


class WhoOptions(VerbOptions):
    """The options of who."""

    watch: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show who uses a module; NO if somebody does."""
    options = WhoOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: WhoOptions) -> int:
    verb.need_operand("module name")
    if len(verb.operands) > 1:
        verb.refuse("one module at a time, please")
    seconds = 0.0 if options.watch is None else _seconds(verb, options.watch)
    report = who(verb.context, verb.operands[0], watch=seconds, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report))
    if report.is_used and not (seconds and report.watched is None):  # what could not be seen changes nothing about that
        verb.failed = False
    return NO if report.is_used else YES


def _seconds(verb: Verb, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < 1e9:
        verb.refuse(f"no number of seconds: {text}")
    return seconds


def _write(page: Page, report: WhoReport) -> None:
    page.line(f"{report.module}: {_references(report)}")
    _write_users(page, report)
    if report.unaccounted:
        count = report.unaccounted
        page.line(f"  {count} reference{'' if count == 1 else 's'} not accounted for", UNSURE)
    if report.is_used or report.would_lose:
        title = "order" if report.all_is_known else "order, as far as it is known"
        page.line(f"  {title}: {'; '.join(report.order) or 'it cannot be unloaded'}")
    if report.watched is not None:
        _write_watched(page, report.watched)


def _write_users(page: Page, report: WhoReport) -> None:
    """Put on a page who uses the module, and what would be lost with it."""
    rows: list[list[object]] = []
    for user in report.users:
        style = BAD if user.holds else FAINT
        shown = "unknown processes" if user.processes is None else _processes(user.processes)
        word = "holds" if user.holds else "uses"
        rows.append([Cell(word, style), user.family, user.what, shown, Cell(user.evidence, FAINT)])
    for loss in report.would_lose:
        what, _, detail = loss.partition(": ")
        rows.append([Cell("would lose", UNSURE), "", what, detail, ""])
    if rows:
        blank = Cell("")
        page.table([[blank if entry == "" else entry for entry in row] for row in rows], indent=2)


def _write_watched(page: Page, watched: Sequence[Watched]) -> None:
    """Put on a page which references were taken and given back while the module was watched."""
    if not watched:
        page.line("  no reference was taken meanwhile")
        return
    page.line("  references taken and given back meanwhile:")
    page.table([_watched_row(one) for one in watched], indent=4)


def _watched_row(one: Watched) -> list[object]:
    how_often = f"{one.count} times" if one.count > 1 else "once"
    return [one.event, one.call_site, f"{one.comm or '?'}[{one.pid}]", how_often]


def _references(report: WhoReport) -> str:
    """Return how often a module is used. Where not all could be seen, that nobody uses it is not known."""
    holders = f"{len(report.holders)} by modules" if report.holders else "none by modules"
    count = report.refcount
    if report.is_used:
        if count is None:
            return "used, and cannot be unloaded"
        return f"{count} reference{'' if count == 1 else 's'}" + (f", {holders}" if count else "")
    where = "0 references" if count is not None else _WHERE.get(report.state, "not loaded")
    return f"{where}: {'nobody was seen who uses it, but not all could be seen' if report.errors else 'nobody uses it'}"


def _processes(processes: Sequence[Process]) -> str:
    shown = [_process(process) for process in processes[:MOST_PROCESSES]]
    if len(processes) > MOST_PROCESSES:
        shown.append(f"and {len(processes) - MOST_PROCESSES} more")
    return ", ".join(shown)


def _process(process: Process) -> str:
    text = f"{process.name or '?'}[{process.pid}]"
    text += f" {process.user}" if process.user else ""
    return text if process.fd is None else f"{text} fd {process.fd}"
