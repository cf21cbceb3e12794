# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod explain: would it work, and what stands in the way (kmod-explain(8))?"""

from __future__ import annotations

from ...formats.parameters import join_parameters
from ...verbs.explain import explain
from ..explanations import WIDTH, block
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, GOOD, STRONG, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.explain import ExplainReport
    from ..console import Console
    from .page import Page

REMOVE = Option("remove", "r", ("remove",), "tell what stands in the way of unloading")


class ExplainOptions(VerbOptions):
    """What the options of explain say."""

    remove = False


COMMAND_LINE = VerbLine(
    ["[options] NAME|ALIAS|FILE... [PARAMETER=VALUE...]", "[options] -r NAME..."],
    {"What to explain": (REMOVE,)},
    page="kmod-explain(8)",
    examples=["kmod explain ./datadev.ko"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what stands in the way of loading modules, or of unloading them; YES for nothing."""
    options = ExplainOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: ExplainOptions) -> int:
    verb.need_operand("module")
    names, words = split_operands(verb.operands)
    action = "unload" if options.remove else "load"
    report = explain(verb.context, names, parameters=join_parameters(words), action=action)
    verb.show(report, lambda page: _write(page, verb.whole(report), options))
    return YES if report.is_clear else NO


def split_operands(operands: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the names, and the parameters among the operands: words with a `=` behind the first that are no path."""
    words = [word for word in operands[1:] if "=" in word and "/" not in word.partition("=")[0]]
    return [word for number, word in enumerate(operands) if not number or word not in words], words


def _write(page: Page, report: ExplainReport, options: ExplainOptions) -> None:
    asked = list(dict.fromkeys(module.asked for module in report.modules))
    for text in asked:
        names = [module.name for module in report.modules if module.asked == text]
        found = [explanation for explanation in report.explanations if explanation.asked == text]
        word = "unloading" if options.remove else "loading"
        verdict = Cell(_nothing(report, text, options), UNSURE if report.errors else GOOD)
        if found:
            verdict = Cell(f"something stands in the way of {word} it", BAD)
        page.cells(Cell(text, STRONG), Cell(": "), verdict)
        for explanation in found:
            for label, line in block(explanation, asked=names[0]):
                page.cells(Cell(f"  {label:<{WIDTH}}", "" if explanation.certain else UNSURE), Cell(line))
    if report.log_problem and report.explanations:
        page.cells(Cell(f"  {'note:':<{WIDTH}}"), Cell(f"{report.log_problem}; this is from files alone"))


def _nothing(report: ExplainReport, asked: str, options: ExplainOptions) -> str:
    states = {module.state for module in report.modules if module.asked == asked}
    if "builtin" in states:
        return "part of the kernel"
    if "live" in states and not options.remove:
        return "in the kernel"
    return "nothing was found in the way, but not all could be read" if report.errors else "nothing stands in the way"
