# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod policy: what is denied and allowed, whether it holds, and what another kernel changes (kmod-policy(8))."""

from __future__ import annotations

import errno
import os

from ...context import Context
from ...errors import FileError
from ...verbs.policy import policy_audit, policy_diff, policy_show, policy_verify
from ..options import Option
from . import rules
from .frame import Verb, VerbLine, VerbOptions, run_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...roots import Roots
    from ...verbs.policy import PolicyReport
    from ..console import Console
    from .page import Page

MOST_LINE = 1 << 20
ACTIONS = ("show", "verify", "diff", "audit")


class PolicyOptions(VerbOptions):
    """What the options of policy say."""

    log: str | None = None


COMMAND_LINE = VerbLine(
    ["[options] show", "[options] verify", "[options] diff -S RELEASE [OLD-RELEASE]", "[options] audit [FILE]"],
    {"Audit": (Option("log", "", ("log",), "the same as an operand FILE of audit", "FILE"),)},
    page="kmod-policy(8)",
    examples=["kmod policy diff -S 6.12.0-1-amd64"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show, verify or compare the policy."""
    options = PolicyOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options, roots))


def _answer(verb: Verb, options: PolicyOptions, roots: Roots | None) -> int:
    verb.need_operand("action")
    action, *rest = verb.operands
    if action not in ACTIONS or (rest and action not in ("diff", "audit")) or len(rest) > 1:
        verb.refuse(f"no such action: {' '.join(verb.operands)}. See kmod policy --help.")
    if action == "diff":
        report = _diff(verb, options, rest[0] if rest else "", roots)
    elif action == "audit":
        log = rest[0] if rest else options.log
        report = policy_audit(verb.context, log=None if log is None else _lines(log))
    else:
        report = policy_show(verb.context) if action == "show" else policy_verify(verb.context, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report, action))
    return rules.status_of(report)


def _diff(verb: Verb, options: PolicyOptions, old: str, roots: Roots | None) -> PolicyReport:
    if not options.set_version:
        verb.refuse("which kernel? diff -S RELEASE")
    old = old or (roots.release if roots else "")
    before = Context(verb.context.roots.replace(release=old), config=options.config or None)
    with before:
        if not before.exists:
            verb.refuse(f"{before.tree.directory}: no module directory to compare with: name the other release, too")
        return policy_diff(before, options.set_version)


def _lines(path: str) -> Iterator[str]:
    """Yield the lines of a list of modules, or of what `kmod watch --json` printed; `-` is standard input.

    Raises `FileError`, also for a line that is as long as no such list has one.
    """
    place = 0 if path == "-" else path
    try:
        with open(place, encoding="utf-8", errors="surrogateescape", closefd=place != 0) as stream:
            while line := stream.readline(MOST_LINE):
                if len(line) == MOST_LINE:
                    raise FileError(os.strerror(errno.EFBIG), path=path, errno=errno.EFBIG)
                yield line
    except OSError as error:
        raise error if isinstance(error, FileError) else FileError.of(error, path) from None


def _write(page: Page, report: PolicyReport, action: str) -> None:
    if action == "show":
        rules.write_rules(page, report)
    elif action == "diff":
        rows = [[change.module, change.change, "denied now" if change.denied else "", " ".join(change.needed_by)]
                for change in report.diff]  # fmt: skip
        if rows:
            page.table(rows, header=("MODULE", "CHANGE", "", "NEEDED BY, OR NEW NAME"))
        else:
            page.line("nothing changes for the policy")
    else:
        rules.write_findings(page, report)
        if not report.warnings and not report.verified:
            page.line("nothing would be denied" if action == "audit" else "nothing is denied")
