# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod decode: what an oops or a stack trace says, with source files and lines (kmod-decode(8))."""

from __future__ import annotations

import os

from ...verbs.decode import decode
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, STRONG, UNSURE, Cell, Page
from .reading import STANDARD_INPUT, read_operand

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...formats.oops import Trace
    from ...roots import Roots
    from ...verbs.decode import DecodeReport, Frame
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options] [FILE|-]"],
    {
        "Where debugging data is": (
            Option("debug", "", ("debug",), "also look in DIR, ask the debuginfod server at URL, or, for the word "
                   "debuginfod, those of DEBUGINFOD_URLS", "DIR", repeats=True),
            Option("vmlinux", "", ("vmlinux",), "take FILE for the kernel itself", "FILE"),
        ),
    },
    page="kmod-decode(8)",
    examples=["kmod decode --debug=debuginfod console.log"],
)  # fmt: skip

MOST_BYTES = 1 << 28
"""Bytes of a log that are read."""
STYLES = {"exact": GOOD, "ambiguous": UNSURE, "mismatch": BAD}
MOST_INSTRUCTIONS = 3
"""Instructions that are shown before and after the faulting one."""


class DecodeOptions(VerbOptions):
    """What the options say."""

    debug: tuple[str, ...] = ()
    vmlinux: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what a log says of faults; NO if there is none in it."""
    options = DecodeOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: DecodeOptions) -> int:
    if len(verb.operands) > 1:
        verb.refuse("one log is decoded at a time. See kmod decode --help.")
    path = verb.operands[0] if verb.operands else STANDARD_INPUT
    if not verb.operands and os.isatty(0):
        verb.refuse("missing log. See kmod decode --help.")
    report = decode(verb.context, _text(path), debug=options.debug, vmlinux=options.vmlinux, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report))
    if not report.traces:
        verb.console.error(f"{path}: no oops or stack trace in it")
    return YES if report.traces else NO


def _text(path: str) -> str:
    """Return the text of a log; bytes that are no UTF-8 are kept. Raises `FileError`."""
    return read_operand(path, MOST_BYTES).decode("utf-8", "surrogateescape")


def _write(page: Page, report: DecodeReport) -> None:
    for number, trace in enumerate(report.traces):
        if number:
            page.line()
        _write_head(page, trace)
        frames = [frame for frame in report.frames if frame.trace == number]
        if frames:
            page.line()
            page.table([row for frame in frames for row in _rows(frame)], indent=2)
        _write_code(page, report, number)
        found = next((suspect for suspect in report.suspects if suspect.trace == number), None)
        if found:
            page.line()
            page.cells(Cell("  suspect: "), Cell(found.module or "the kernel", STRONG), Cell(f": {found.reason}"))
    if report.notes:
        page.line()
    for note in report.notes:
        page.line(": ".join([part for part in (note.module, note.file, note.text) if part]), FAINT)


def _write_head(page: Page, trace: Trace) -> None:
    page.cells(Cell(f"line {trace.line}  ", FAINT), Cell(trace.title or "stack trace", STRONG))
    facts: list[tuple[str, str]] = []
    if trace.comm or trace.pid is not None:
        pid = "" if trace.pid is None else f"[{trace.pid}]"
        facts.append(("process", f"{trace.comm or ''}{pid}" + ("" if trace.cpu is None else f" on CPU {trace.cpu}")))
    if trace.kernel:
        facts.append(("kernel", trace.kernel))
    taint = trace.tainted
    if taint is not None:
        facts += [("taint", f"{letter}  {name}") for letter, name in zip(taint.flags, taint.names, strict=False)]
    if trace.last_unloaded:
        facts.append(("unloaded last", trace.last_unloaded))
    if trace.unloaded_tainted:
        facts.append(
            ("unloaded, tainted", " ".join([f"{module.name}({module.taint})" for module in trace.unloaded_tainted]))
        )
    if facts:
        page.table(facts, indent=2)


def _rows(frame: Frame) -> list[list[object]]:
    """Return the rows of a frame: the innermost place first, then those of the calls that were inlined around it."""
    mark = {"pc": "=>", "lock": "lock"}.get(frame.kind, "" if frame.reliable else "?")
    place = f"{frame.address:#x}" if frame.symbol is None else f"{frame.symbol}+{frame.offset:#x}/{frame.length:#x}"
    match = Cell(frame.match or "", STYLES.get(frame.match or "", ""))
    first = [Cell(mark), place, frame.module or Cell("kernel", FAINT), match]
    if frame.alternatives:
        places = [_source(lines.file, lines.line) for other in frame.alternatives for lines in other.lines[:1]]
        # Copies of a header's function: all of them are at one place of the source.
        sources = places[:1] if len(set(places)) == 1 else [f"either {place}" for place in dict.fromkeys(places)]
    else:
        sources = [
            _source(line.file, line.line) + (f"  {line.function}, inlined" if line.inlined else "")
            for line in frame.lines
        ]
    if not sources:
        sources = [f"{frame.section}+{frame.section_offset:#x}" if frame.section_offset is not None else ""]
    rows: list[list[object]] = [[*first, Cell(sources[0])]]
    rows += [[Cell(""), Cell(""), Cell(""), Cell(""), Cell(source)] for source in sources[1:]]
    return rows


def _source(file: str | None, line: int | None) -> str:
    return f"{file or '?'}:{line or '?'}"


def _write_code(page: Page, report: DecodeReport, number: int) -> None:
    own = [instruction for instruction in report.instructions or () if instruction.trace == number]
    at = next((index for index, instruction in enumerate(own) if instruction.faulting), None)
    if at is not None:
        page.line()
        near = own[max(at - MOST_INSTRUCTIONS, 0) : at + MOST_INSTRUCTIONS + 1]
        page.table([["=>" if item.faulting else Cell(""), item.code.hex(" "), item.text] for item in near], indent=2)
    trace = report.traces[number]
    if trace.registers and trace.kind != "hung-task":
        page.line()
        names = [f"{name}={value:0{_digits(trace, name)}x}" for name, value in trace.registers.items()]
        page.table(_in_columns(names, 4), indent=2)


def _digits(trace: Trace, name: str) -> int:
    return 8 if trace.machine in ("x86", "arm") or name in ("EFLAGS", "pstate") else 16


def _in_columns(words: list[str], count: int) -> list[list[object]]:
    padded = [*words, *[""] * (-len(words) % count)]
    return [[Cell(word) for word in padded[start : start + count]] for start in range(0, len(padded), count)]
