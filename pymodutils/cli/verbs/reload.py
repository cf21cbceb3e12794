# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod reload: unload a module and load it again, or leave everything as it was (kmod-reload(8))."""

from __future__ import annotations

from ...verbs.reload import reload, resume_reload
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, STRONG, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.reload import ReloadStep
    from ...roots import Roots
    from ...verbs.reload import ReloadReport
    from ..console import Console
    from .page import Page


class ReloadOptions(VerbOptions):
    """What the options of reload say."""

    plan = False
    force = False
    resume = False


COMMAND_LINE = VerbLine(
    ["[options] NAME [PARAMETER=VALUE...]", "[options] --resume [NAME...]"],
    {
        "Reloading": (
            Option("plan", "n", ("plan",), "only show what would be done, and what speaks against it"),
            Option("force", "f", ("force",), "also what carries the caller, is denied, or loses values"),
            Option("resume", "r", ("resume",), "bring back what a reload that was cut short had unloaded"),
        )
    },
    page="kmod-reload(8)",
    examples=["kmod reload snd_hda_intel power_save=0"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Reload a module; NO if it is refused, or the old state is back."""
    options = ReloadOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: ReloadOptions) -> int:
    names = [word for word in verb.operands if "=" not in word]
    words = [word for word in verb.operands if "=" in word]
    if options.resume:
        if words or options.plan:
            verb.refuse("--resume brings back what there was: it takes names only. See kmod reload --help.")
        return _resume(verb, names)
    if not names:
        verb.refuse("missing module. See kmod reload --help.")
    if len(names) > 1:
        verb.refuse("one module at a time. See kmod reload --help.")
    values = {key: value for key, _, value in (word.partition("=") for word in words)}
    report = reload(verb.context, names[0], values, plan=options.plan, force=options.force, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report, is_plan=options.plan))
    return YES if report.is_done else NO


def _resume(verb: Verb, names: Sequence[str]) -> int:
    reports = resume_reload(verb.context, names, observer=verb.progress)
    status = YES
    for report in reports:
        verb.show(report, lambda page, report=report: _write(page, report, is_plan=False))  # type: ignore[misc]
        status = status if report.is_done else NO
    if not reports and not verb.json:  # which has an object for each
        verb.console.write("no reload was cut short\n")
    return status


def _write(page: Page, report: ReloadReport, *, is_plan: bool) -> None:
    page.line(report.module, STRONG)
    page.table([_row(step, is_plan=is_plan) for step in report.steps], indent=2)
    for warning in report.warnings:
        about = f"{warning.module}.{warning.subject}" if warning.subject else warning.module
        page.line(f"warning: {about}: {warning.text}{f'  {warning.file}' if warning.file else ''}", UNSURE)
    error = report.error
    if error:
        place = f"  {error.file}:{error.line}" if error.line else f"  {error.file}" if error.file else ""
        page.line(f"{error.module}: {error.text}{place}", BAD)
    if error and report.rolled_back is None:
        page.line("nothing was unloaded")
    elif error:
        page.line(*(("the old state is back", GOOD) if report.rolled_back else ("the old state is not back", BAD)))
    elif report.rolled_back:
        page.line("everything is as it was before the reload", GOOD)
    elif not is_plan:
        page.line("reloaded", GOOD)


def _row(step: ReloadStep, *, is_plan: bool) -> list[object]:
    action = f"back: {step.action}" if step.undo else step.action
    state = Cell("", FAINT) if is_plan else Cell("done", GOOD) if step.done else Cell(step.error or "not done", BAD)
    return (
        [action, step.module, Cell(step.parameters), state] if not is_plan else [action, step.module, step.parameters]
    )
