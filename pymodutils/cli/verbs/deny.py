# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod deny: keep modules out (kmod-deny(8))."""

from __future__ import annotations

from ...verbs.policy import deny
from ..options import Option
from . import rules
from .frame import Verb, VerbLine, run_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ..console import Console


class DenyOptions(rules.RuleOptions):
    """What the options of deny say."""

    reason: str | None = None
    cmdline = False


COMMAND_LINE = VerbLine(
    ["[options] NAME..."],
    {
        "Rules": (
            Option("reason", "r", ("reason",), "why; kept with the rule, and said to those who are refused", "TEXT"),
            Option("cmdline", "", ("cmdline",), "print the kernel parameter that stops insmod, too"),
            *rules.options(),
        )
    },
    page="kmod-deny(8)",
    examples=['kmod deny --reason "not used here" sctp dccp rds tipc'],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Write the rules that keep modules out, and show whether they hold."""
    options = DenyOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: DenyOptions) -> int:
    verb.need_operand("module")
    report = deny(
        verb.context,
        verb.operands,
        reason=options.reason,
        cmdline=options.cmdline,
        force=options.force,
        dry_run=options.dry_run,
        observer=verb.progress,
    )
    verb.show(report, lambda page: rules.write_changes(page, report, dry_run=options.dry_run))
    return rules.status_of(report)
