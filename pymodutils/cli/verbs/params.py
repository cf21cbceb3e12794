# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod params: show, set and keep parameters of modules (kmod-params(8))."""

from __future__ import annotations

from ...shellwords import command
from ...verbs.params import configure_parameters, parameters, save_parameters, set_parameters
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import FAINT, STRONG, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.parameters import ParameterState
    from ...roots import Roots
    from ...verbs.params import ParametersReport
    from ..console import Console
    from .page import Page


class ParamsOptions(VerbOptions):
    """What the options of params say."""

    changed = False
    save = False
    force = False


COMMAND_LINE = VerbLine(
    ["[options] [NAME...]", "[options] NAME PARAMETER=VALUE...", "[options] --save NAME... [PARAMETER=VALUE...]"],
    {
        "Parameters": (
            Option("changed", "c", ("changed",), "only those with another value than is configured, or by default"),
            Option("save", "s", ("save",), "keep the values for the next load, in a file of modprobe.d"),
            Option("force", "f", ("force",), "write also over a file that somebody edited"),
        )
    },
    page="kmod-params(8)",
    examples=["kmod params --changed snd_hda_intel"],
)

MOST_EQUAL = 4
"""Equal elements of an array that are shown one by one; JSON has all."""

HEADER = ("PARAMETER", "TYPE", "LIVE", "CONFIGURED", "DEFAULT", "NOTE", "DESCRIPTION")


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show parameters, or set them; NO if one has another value than is configured."""
    options = ParamsOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: ParamsOptions) -> int:
    names = [word for word in verb.operands if "=" not in word]
    words = [word for word in verb.operands if "=" in word]
    if (words or options.save) and not names:
        verb.refuse("missing module. See kmod params --help.")
    if words and len(names) > 1:
        verb.refuse("which module are these parameters of? One at a time. See kmod params --help.")
    report: ParametersReport | None = None
    values = {key: value for key, _, value in (word.partition("=") for word in words)}
    if words and options.save and not verb.context.live.is_asked:
        report = configure_parameters(verb.context, names[0], values, force=options.force)
    else:
        if words:
            report = set_parameters(verb.context, names[0], values)
        if options.save:
            saved = save_parameters(verb.context, names, list(values), force=options.force)
            report = saved.replace(changes=report.changes if report else ())
    if report is None:
        shown = parameters(verb.context, names, changed=options.changed, observer=verb.progress)
        verb.show(shown, lambda page: _write(page, shown, options))
        return NO if shown.has_drift else YES
    changed = report
    verb.show(changed, lambda page: _write_changes(page, changed, options))
    return NO if changed.warnings and options.save else YES


def _write(page: Page, report: ParametersReport, options: ParamsOptions) -> None:
    for number, module in enumerate(report.modules):
        if number:
            page.line()
        page.cells(Cell(module.name, STRONG), Cell(f"  {module.state}"))
        if module.params:
            page.table([_row(parameter) for parameter in module.params], header=HEADER, indent=2)
        elif any(error.file for error in report.errors):
            page.line("  no parameter was seen, but not all could be read")
        else:
            page.line("  none is changed" if options.changed else "  no parameters")
    _write_warnings(page, report)


def _row(parameter: ParameterState) -> list[object]:
    configured = parameter.configured
    return [
        parameter.name,
        parameter.type,
        _in_column(parameter.live),
        f"{_shown(configured.value)}  {configured.origin}" if configured else None,
        _in_column(parameter.default),
        Cell(" ".join(notes(parameter)), UNSURE if parameter.drift else FAINT),
        Cell(parameter.description or "-", FAINT),
    ]


def _in_column(value: str | None) -> str | None:
    """Return a value as the table has it: an array of many equal elements would make it hundreds of columns wide."""
    elements = (value or "").split(",")
    if len(elements) > MOST_EQUAL and len(set(elements)) == 1:
        return f"{len(elements)} times {_shown(elements[0])}"
    return _shown(value)


def _shown(value: str | None) -> str | None:
    return '""' if value == "" else value


def notes(parameter: ParameterState) -> list[str]:
    """Return the words of the column that says what is to be known of a parameter."""
    marks = {"DRIFT": parameter.drift, "unseen": parameter.visible is False, "read-only": parameter.writable is False}
    return [word for word, holds in marks.items() if holds and (word != "read-only" or parameter.visible)]


def _write_changes(page: Page, report: ParametersReport, options: ParamsOptions) -> None:
    for change in report.changes:
        if change.before == change.after:
            page.line(f"{change.module}.{change.name}: {_shown(change.after) or '-'} already")
        else:
            page.line(f"{change.module}.{change.name}: {_shown(change.before) or '-'} -> {_shown(change.after) or '-'}")
    for path in report.written:
        page.line(f"wrote {path}")
    if options.save and not report.written:
        page.line("nothing to keep: the next load gives these values")
    for module in report.modules:
        for parameter in module.params:
            changed = [change.name for change in report.changes if change.module == module.name]
            if parameter.name in changed and not options.save and parameter.is_changed:
                keep = command("kmod params --save", module.name)
                page.line(f"the next load gives {_next(parameter)}; to keep it: {keep}")
    _write_warnings(page, report)


def _next(parameter: ParameterState) -> str:
    value = parameter.configured.value if parameter.configured else parameter.default
    return f"{parameter.name}={value}" if value is not None else f"{parameter.name} its default"


def _write_warnings(page: Page, report: ParametersReport) -> None:
    for warning in report.warnings:
        about = f"{warning.module}.{warning.subject}" if warning.subject else warning.module
        place = f"  {warning.file}:{warning.line}" if warning.line else f"  {warning.file}" if warning.file else ""
        page.line(f"warning: {about}: {warning.text}{place}", UNSURE)
