# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod undeny: take denials back (kmod-deny(8))."""

from __future__ import annotations

from ...verbs.policy import undeny
from ..options import Option
from . import rules
from .frame import YES, Verb, VerbLine, run_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ..console import Console


class UndenyOptions(rules.RuleOptions):
    """What the options of undeny say."""

    everything = False


COMMAND_LINE = VerbLine(
    ["[options] NAME...", "[options] --all"],
    {
        "Rules": (
            Option("everything", "a", ("all",), "take all denials back, and the allowlist"),
            *rules.options(),
        )
    },
    page="kmod-undeny(8)",
    examples=["kmod undeny sctp"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Take denials back."""
    options = UndenyOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: UndenyOptions) -> int:
    if not options.everything:
        verb.need_operand("module")
    report = undeny(
        verb.context,
        verb.operands,
        everything=options.everything,
        force=options.force,
        dry_run=options.dry_run,
        observer=verb.progress,
    )
    verb.show(report, lambda page: rules.write_changes(page, report, dry_run=options.dry_run))
    return YES
