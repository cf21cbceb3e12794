# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify: would this tree load? (kmod-verify(8))."""

from __future__ import annotations

import gc

from ...verbs.verify import verify
from ..options import Option, absolute
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.verify import VerifyReport
    from ..console import Console

AUTO, NO_KEYS = "auto", "none"

COMMAND_LINE = VerbLine(
    ["[options] [FILE...]"],
    {
        "What to verify with": (
            Option("keys", "", ("keys",), "keys of signatures: auto (default), none, or a file with certificates",
                   "FILE", repeats=True),
            Option("symbols", "", ("symbols",), "file that tells what the kernel exports", "FILE"),
        ),
    },
    page="kmod-verify(8)",
    examples=["kmod verify -S 6.12.0-1-amd64"],
)  # fmt: skip


class VerifyOptions(VerbOptions):
    """What the options of verify say."""

    keys: tuple[str, ...] = ()
    symbols: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show why modules would not load, and which indexes are not as depmod would write them; NO if there is any."""
    gc.disable()  # as for depmod: most of what is made here is kept to the end
    options = VerifyOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: VerifyOptions) -> int:
    keys = [key if key in (AUTO, NO_KEYS) else absolute(key) for key in options.keys]
    report = verify(
        verb.context,
        verb.operands,
        keys=keys or AUTO,
        symbols=None if options.symbols is None else absolute(options.symbols),
        observer=verb.progress,
    )
    roots = verb.context.roots
    verb.show(report, lambda page: _write(page, report, roots) if report.modules or not verb.operands else None)
    return YES if report.is_clean else NO


def _write(page: Page, report: VerifyReport, roots: Roots) -> None:
    for module in report.modules:
        for problem in module.problems:
            page.cells(Cell(f"{module.path}: "), Cell(problem.text, BAD), Cell(f" [{problem.code}]"))
    for name, state in report.wrong_indexes.items():
        page.cells(Cell(f"{name}: "), Cell(state, BAD))
    for note in report.notes:
        page.line(f"note: {note}", FAINT)
    page.line(_summary(report), GOOD if report.is_clean and not report.errors else "")
    page.line(_means(report), FAINT)
    if report.wrong_indexes:
        page.line(f"next: {roots.depmod_command}")


def _summary(report: VerifyReport) -> str:
    count = len(report.modules)
    parts = [
        f"{count} module{'' if count == 1 else 's'}",
        f"{sum(module.ok for module in report.modules)} without problems",
    ]
    states: dict[str, int] = {}
    for module in report.modules:
        state = module.signature.state or "not verified"
        states[state] = states.get(state, 0) + 1
    if states:
        parts.append("signatures " + ", ".join(f"{state} {number}" for state, number in states.items()))
    if report.indexes:
        wrong = len(report.wrong_indexes)
        parts.append(
            f"indexes {f'{wrong} of {len(report.indexes)} not as depmod would write them' if wrong else 'current'}"
        )
    return "; ".join(parts)


def _means(report: VerifyReport) -> str:
    keys = (
        f"{len(report.keys)} from {', '.join(dict.fromkeys(key.source for key in report.keys))}"
        if report.keys
        else "none"
    )
    return f"symbols of the kernel: {report.symbols or 'not known'}; keys: {keys}"
