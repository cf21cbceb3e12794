# SPDX-License-Identifier: LGPL-2.1-or-later
"""Show what deny, undeny, allow and policy have done or found."""

from __future__ import annotations

from .doors import headline, open_doors
from .frame import NO, YES, VerbOptions
from .page import FAINT, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...verbs.policy import PolicyReport
    from ..options import Option
    from .page import Page

FORCE = ("force", "f", ("force",), "write also over a file that somebody edited")
DRY_RUN = ("dry_run", "n", ("dry-run",), "write nothing")
MOST_LINES = 20
"""Modules that are listed one by one; of more, only those with something to say."""


class RuleOptions(VerbOptions):
    """What the options of verbs that write rules say."""

    force = False
    dry_run = False


def options() -> tuple[Option, ...]:
    """Return the options of verbs that write rules."""
    from ..options import Option

    return Option(*FORCE), Option(*DRY_RUN)


def write_changes(page: Page, report: PolicyReport, *, dry_run: bool = False) -> None:
    """Put on a page what was written, whether it holds, and what is to be said about it."""
    for path in report.written:
        page.line(f"wrote {path}")
    if dry_run:
        page.line("nothing written; this is how it stands without that:")
    elif not report.written:
        page.line("nothing to change")
    write_findings(page, report, dry_run=dry_run)
    if report.cmdline:
        page.line("on the kernel command line, against insmod and the initramfs, too:")
        page.line(f"  {report.cmdline}")


def write_findings(page: Page, report: PolicyReport, *, dry_run: bool = False) -> None:
    """Put on a page whether the rules hold; what is open now tells nothing of rules that are not written."""
    shown = report.verified
    if len(shown) > MOST_LINES:
        shown = tuple([check for check in shown if not check.keeps_out])
        page.line(f"{len(report.verified) - len(shown)} of {len(report.verified)} modules are kept out")
    if shown:
        page.table([[*headline(check), Cell(", ".join(open_doors(check)))] for check in shown])
    for warning in report.warnings:
        if dry_run and warning.code == "door-open":
            continue
        place = f"  {warning.file}:{warning.line}" if warning.line else f"  {warning.file}" if warning.file else ""
        page.line(f"warning: {warning.module + ': ' if warning.module else ''}{warning.text}{place}", UNSURE)
    if dry_run or report.verb == "undeny":  # which leaves doors open because somebody wants that
        return
    for command in dict.fromkeys(check.remedy for check in shown if check.remedy and not check.keeps_out):
        page.line(f"next: {command}")


def write_rules(page: Page, report: PolicyReport) -> None:
    """Put the policy on a page."""
    if report.allowed is not None:
        page.line(f"allowed, with all that they need: {' '.join(report.allowed)}")
    if not report.rules:
        page.line("nothing is denied")
    rows = []
    for rule in report.rules:
        place = f"{rule.file}:{rule.line}" if rule.file else Cell("not written", UNSURE)
        rows.append([rule.name, rule.date, Cell(rule.reason or "-", "" if rule.reason else FAINT), place])
    if rows:
        page.table(rows, header=("MODULE", "SINCE", "REASON", "RULE"))


def status_of(report: PolicyReport) -> int:
    """Return the exit status for a report."""
    return YES if report.holds else NO
