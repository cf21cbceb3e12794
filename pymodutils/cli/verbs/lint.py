# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod lint: mistakes in the rules about modules (kmod-lint(8))."""

from __future__ import annotations

from ...verbs.lint import lint, lint_rules
from ..console import escape_control
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.lint.sources import Finding
    from ...roots import Roots
    from ...verbs.lint import LintReport
    from ..console import Console

TEXT, JSON, GITHUB = FORMATS = ("text", "json", "github")

COMMAND_LINE = VerbLine(
    ["[options]", "--rules"],
    {
        "What to look at": (
            Option("initrd", "", ("initrd",),
                   "compare with this initial file system (auto: that of the kernel; none: no image)", "FILE"),
        ),
        "What to print": (
            Option("rules", "", ("rules",), "print what is looked for, and do nothing else"),
            Option("format", "", ("format",), "how to print findings; github is for workflows there", "FORMAT",
                   choices=FORMATS),
        )
    },
    page="kmod-lint(8)",
    examples=["kmod lint -C ./modprobe.d"],
)  # fmt: skip

STYLES = {"error": BAD, "warning": UNSURE, "note": FAINT}


class LintOptions(VerbOptions):
    """What the options of lint say."""

    rules = False
    format = TEXT
    initrd = "auto"


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what is wrong in the rules about modules; NO if there is more than notes."""
    options = LintOptions()

    def answer(verb: Verb) -> int:
        return _answer(verb, options)

    return run_verb(COMMAND_LINE, options, arguments, console, roots, answer)


def _answer(verb: Verb, options: LintOptions) -> int:
    if verb.operands:
        verb.refuse("lint takes no operands; with -C PATH it looks at a file or directory of your choice.")
    if options.format not in FORMATS:
        verb.refuse(f"unknown format '{options.format}'; there are: {' '.join(FORMATS)}.")
    if options.rules:
        if verb.json or options.format != TEXT:
            verb.refuse("the list of rules is text only: --rules goes with no other format.")
        page = verb.page()
        page.table(list(lint_rules().items()))
        verb.console.write(page.text())
        return YES
    report = lint(verb.context, initrd=options.initrd, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report, options.format), json=options.format == JSON)
    return YES if report.is_clean else NO


def _write(page: Page, report: LintReport, form: str) -> None:
    for finding in report.findings:
        if form == GITHUB:
            page.line(workflow_command(finding))
        else:
            page.cells(
                Cell(f"{finding.origin}: "),
                Cell(finding.level, STYLES[finding.level]),
                Cell(f": {finding.text} [{finding.rule}]"),
            )


def workflow_command(finding: Finding) -> str:
    """Return a finding as a command of GitHub's workflows, which shows it at the line."""
    command = "notice" if finding.level == "note" else finding.level
    properties = {"file": finding.file, "line": finding.line or 1, "title": f"kmod lint: {finding.rule}"}
    shown = ",".join(f"{name}={_escaped(str(value), ':,')}" for name, value in properties.items())
    return f"::{command} {shown}::{_escaped(finding.text)}"


def _escaped(text: str, more: str = "") -> str:
    text = escape_control(text).replace("%", "%25")
    for char in more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text
