# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod allow: deny all modules but those that are needed (kmod-allow(8))."""

from __future__ import annotations

from ...verbs.policy import allow
from ..options import Option
from . import rules
from .frame import Verb, VerbLine, run_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ..console import Console


class AllowOptions(rules.RuleOptions):
    """What the options of allow say."""

    source: str | None = None


COMMAND_LINE = VerbLine(
    ["[options] --from=FILE [NAME...]", "[options] NAME..."],
    {
        "Rules": (
            Option("source", "", ("from",), "begin a new list: lsmod for what is loaded now, or names in FILE", "FILE"),
            *rules.options(),
        )
    },
    page="kmod-allow(8)",
    examples=["kmod allow --from lsmod usb-storage vfat"],
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Write the rules that deny all modules but those allowed, and show whether they hold."""
    options = AllowOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: AllowOptions) -> int:
    if options.source is None:
        verb.need_operand("module")
    report = allow(
        verb.context,
        verb.operands,
        source=options.source,
        force=options.force,
        dry_run=options.dry_run,
        observer=verb.progress,
    )
    verb.show(report, lambda page: rules.write_changes(page, report, dry_run=options.dry_run))
    return rules.status_of(report)
