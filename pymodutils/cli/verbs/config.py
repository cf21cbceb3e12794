# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod config: the rules about modules that are in force (kmod-config(8))."""

from __future__ import annotations

from ...diagnostics import Place
from ...verbs.config import config
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import FAINT, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.rules import RuleStatus
    from ...roots import Roots
    from ...verbs.config import ConfigReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] [NAME|ALIAS...]"],
    {},
    page="kmod-config(8)",
    examples=["kmod config snd-hda-intel"],
)

MOST_SHADOWED = 3
"""Shadowed rules that a note names; of more it says how many."""

HEADER = ("RULE", "ABOUT", "VALUE", "PLACE", "NOTE")


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show rules; NO if there is none about the names given."""
    return run_verb(COMMAND_LINE, VerbOptions(), arguments, console, roots, _answer)


def _answer(verb: Verb) -> int:
    report = config(verb.context, verb.operands)
    verb.show(report, lambda page: _write(page, verb.whole(report)))
    return YES if report.rules or not report.asked else NO


def _write(page: Page, report: ConfigReport) -> None:
    shadows: dict[str, list[Place]] = {}
    for rule in report.rules:
        if rule.shadowed_by:
            place = Place(rule.file, rule.line, rule.value)
            shadows.setdefault(rule.shadowed_by.origin, []).append(place)
    if report.rules:
        page.table([_row(rule, shadows.get(rule.origin, [])) for rule in report.rules], header=HEADER)
    elif report.asked:
        so_far = ", as far as could be read" if report.errors else ""
        page.line(f"no rule about {', '.join(report.asked)}{so_far}")
    if report.similar:
        page.line(f"similar names: {', '.join(report.similar)}")
    unread = [(file.file, f"shadowed by {file.shadowed_by}") for file in report.files if file.shadowed_by]
    if unread and not report.asked:
        page.line()
        page.line("Files that are not read:")
        page.table(unread, indent=2)


def _row(rule: RuleStatus, shadows: Sequence[Place]) -> list[object]:
    style = FAINT if rule.effective is False else ""
    texts = (rule.kind, rule.key, rule.value, rule.origin)
    return [*(Cell(text, style) for text in texts), Cell(note(rule, shadows), UNSURE)]


def note(rule: RuleStatus, shadows: Sequence[Place]) -> str:
    """Return what is to be said of whether a rule counts; nothing for one that simply does."""
    if rule.shadowed_by:
        return f"does not count: {_from(rule, rule.shadowed_by)} does"
    if rule.effective is False:
        has_dash = rule.kind in ("blacklist", "module_blacklist") and "-" in rule.key
        why = "module names have no dash there" if has_dash else "the module is part of the kernel image"
        return f"does not count: {why}"
    if rule.effective is None:
        return "not read by systemd"
    if len(shadows) > MOST_SHADOWED:
        return f"shadows {len(shadows)} rules"
    return f"shadows {', '.join(_from(rule, place) for place in shadows)}" if shadows else ""


def _from(rule: RuleStatus, place: Place) -> str:
    """Return a place as one says it where a rule stands."""
    return f"line {place.line}" if place.file == rule.file and place.line else place.origin
