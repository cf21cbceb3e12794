# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod extend: the indexes of a module directory and what lies over it (kmod-extend(8))."""

from __future__ import annotations

from ...verbs.extend import extend
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import FAINT, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.extend import ExtendReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] --base=DIR --outdir=DIR OVERLAY..."],
    {
        "What to do": (
            Option("base", "", ("base",), "the module directory that the overlays lie over", "DIR"),
            Option("outdir", "", ("outdir",), "write the indexes here", "DIR"),
            Option("trusted", "", ("trust-base",), "the base needs no symbol that only an overlay exports"),
            Option("force", "", ("force",), "also write fewer modules than the base has"),
        ),
    },
    page="kmod-extend(8)",
    examples=["kmod extend --base=/usr --outdir=/run/modules /run/extensions/nvidia"],
)

MOST_NAMES = 8
"""Names of modules that a line has; of more it says how many."""


class ExtendOptions(VerbOptions):
    """What the options say."""

    base = ""
    outdir = ""
    trusted = False
    force = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Write the indexes; NO if that was refused."""
    options = ExtendOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: ExtendOptions) -> int:
    if not options.base or not options.outdir:
        verb.refuse("--base and --outdir are needed. See kmod extend --help.")
    verb.need_operand("overlay")
    report = extend(
        verb.context,
        options.base,
        verb.operands,
        options.outdir,
        configuration=options.config or None,
        trusted=options.trusted,
        force=options.force,
        observer=verb.progress,
    )
    verb.show(report, lambda page: _write(page, report))
    if report.refused:
        verb.console.error(
            f"refused: {report.modules} modules are fewer than the {report.base_modules} of {report.base}; "
            "--force writes them"
        )
    return NO if report.refused else YES


def _write(page: Page, report: ExtendReport) -> None:
    if not report.refused:
        kept = report.modules - len(report.own)
        counts = f"{kept} of the base, {len(report.own)} of overlays, {len(report.replaced)} replaced"
        page.line(f"{report.modules} modules in {report.outdir}: {counts}")
    if report.reason:
        page.line(f"all of the base were read: {report.reason}", FAINT)
    else:
        page.line(f"{report.read} modules of the base were read", FAINT)
    rows = [(title, _some(names)) for title, names in (("own", report.own), ("replaced", report.replaced)) if names]
    if rows:
        page.table(rows)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"{' '.join(names[:MOST_NAMES])}{more}"
