# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod symbols: who exports a symbol, who uses it, where it is (kmod-symbols(8))."""

from __future__ import annotations

from ...verbs.symbols import symbols
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import FAINT, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.symbols import KernelSymbol, SymbolsReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] [NAME|0xADDRESS|PATTERN...]"],
    {"What to show": (Option("everywhere", "a", ("all",), "modules that are not loaded, too"),)},
    page="kmod-symbols(8)",
    examples=["kmod symbols 'nf_nat_*'"],
)

HEADER = ("SYMBOL", "MODULE", "CRC", "LICENCE", "NAMESPACE", "ADDRESS", "USED BY")

MOST_USERS = 12
"""Users of a symbol that are shown; JSON has all."""


class SymbolsOptions(VerbOptions):
    """What the options say."""

    everywhere = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show symbols; NO if one of what was asked for is not there."""
    options = SymbolsOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: SymbolsOptions) -> int:
    report = symbols(verb.context, verb.operands, everywhere=options.everywhere, observer=verb.progress)
    modules = "module" if options.everywhere or not verb.context.live.is_asked else "loaded module"
    nothing = None if verb.operands or report.errors else f"no {modules} exports a symbol"
    verb.show(report, lambda page: _write(page, report, nothing))
    found = {symbol.asked for symbol in report.symbols}
    for asked in verb.operands:
        if asked not in found and asked not in [error.subject for error in report.errors]:
            verb.console.error(f"{asked}: no such symbol")
    return YES if found.issuperset(verb.operands) else NO


def _write(page: Page, report: SymbolsReport, nothing: str | None) -> None:
    if report.symbols:
        page.table([_row(symbol) for symbol in report.symbols], header=HEADER)
    elif nothing:
        page.line(nothing)
    if report.similar:
        page.line(f"similar names: {', '.join(report.similar)}")
    if report.symbols and report.hidden:
        page.line()
        page.line("The kernel shows no addresses to this user (kptr_restrict).", FAINT)


def _row(symbol: KernelSymbol) -> list[object]:
    offset = "" if symbol.offset is None else f"+{symbol.offset:#x}"
    licence = {True: Cell("GPL", UNSURE), False: "any"}.get(symbol.gpl) if symbol.gpl is not None else None
    return [
        f"{symbol.name}{offset}",
        symbol.module,
        None if symbol.crc is None else f"{symbol.crc:#010x}",
        Cell("not exported", FAINT) if symbol.exported is False else licence,
        symbol.namespace,
        None if symbol.address is None else f"{symbol.address:016x}",
        _users(symbol.users or ()),
    ]


def _users(names: Sequence[str]) -> str:
    more = len(names) - MOST_USERS
    return ",".join(names[:MOST_USERS]) + (f" and {more} more" if more > 0 else "")
