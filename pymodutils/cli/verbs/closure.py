# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod closure: what an image needs so that modules can be loaded there (kmod-closure(8))."""

from __future__ import annotations

from ...verbs.closure import closure
from ..console import CommandExit
from ..options import Option
from .frame import CANNOT_TELL, NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...diagnosis.closure import ClosureNode, MissingModule
    from ...roots import Roots
    from ...verbs.closure import ClosureReport
    from ..console import Console

SOURCES = ("loaded", "devices")
SOFT = ("pre", "post", "weak")
FAIL, WARN, LIST = MISSING = ("error", "warn", "list")

COMMAND_LINE = VerbLine(
    ["[options] NAME|ALIAS|FILE|=SUBDIR...", "[options] --from=SOURCE [NAME...]"],
    {
        "What is needed": (
            Option("sources", "", ("from",), "also all loaded modules, or those that the devices ask for", "SOURCE",
                   repeats=True, choices=SOURCES),
            Option("soft", "", ("soft",), "soft dependencies that count, of pre,post,weak (default: all)", "KINDS"),
            Option("shipped", "", ("shipped",), "take every softdep line that a module carries"),
        ),
        "What to show": (
            Option("missing", "", ("missing",), "what is missing is an error, a warning, or only listed", "HOW",
                   choices=MISSING),
            Option("why", "", ("why",), "show what wants each module"),
            Option("files0", "", ("files0",), "print only the paths for an archive, each ended by a NUL"),
            Option("compare", "", ("compare",), "show what this initial file system image lacks", "FILE"),
        ),
    },
    page="kmod-closure(8)",
    examples=["kmod closure --files0 btrfs virtio_blk virtio_pci"],
)  # fmt: skip

HEADER = ("MODULE", "FILE", "FIRMWARE", "OPTIONS")
MOST_REASONS = 4
"""Reasons that are shown of a module; of more it says how many."""


class ClosureOptions(VerbOptions):
    """What the options say."""

    sources: tuple[str, ...] = ()
    soft: str = ",".join(SOFT)
    shipped = False
    missing = FAIL
    why = False
    files0 = False
    compare: str | None = None

    def store(self, option: Option, value: str, console: Console) -> None:
        """Take in one option. Raises `CommandExit` for a value that there is not."""
        known = SOFT if option.name == "soft" else option.choices
        words = value.split(",") if option.name == "soft" and value else [value] if option.choices else []
        for word in words:
            if word not in known:
                console.error(f"--{option.long[0]}: '{word}' is none of {', '.join(known)}")
                raise CommandExit(CANNOT_TELL)
        super().store(option, value, console)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what an image needs; NO if something is missing, or the image compared lacks something."""
    options = ClosureOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: ClosureOptions) -> int:
    if not options.sources:
        verb.need_operand("module")
    report = closure(
        verb.context,
        verb.operands,
        sources=options.sources,
        soft=options.soft.split(",") if options.soft else (),
        shipped=options.shipped,
        compare=options.compare,
        observer=verb.progress,
    )
    if options.files0 and not options.json:
        verb.show(report, lambda _page: None)
        verb.console.write("".join(f"{path}\0" for path in report.files))
    else:
        verb.show(report, lambda page: _write(page, report, options))
    _say_missing(verb.console, report, options.missing)
    complete = report.is_complete or options.missing != FAIL
    return YES if complete and not report.lacks else NO


def _say_missing(console: Console, report: ClosureReport, how: str) -> None:
    for missing in report.missing:
        if missing.required and how != LIST:
            say = console.error if how == FAIL else console.warning
            say(f"{_missing_text(missing)}{_similar(missing)}")


def _missing_text(missing: MissingModule) -> str:
    if missing.path:
        wanted = f"{missing.name}, {missing.kind} of {missing.of}"
        whose = missing.name if missing.kind == "request" else wanted
        return f"{missing.path}: no such file, and the index lists it for {whose}"
    if missing.kind == "request":
        return f"{missing.name}: {_not_found(missing.name)}"
    return f"{missing.name}: module not found, {missing.kind} of {missing.of}"


def _wanted_by(missing: MissingModule) -> str:
    return "asked for" if missing.kind == "request" else f"{missing.kind} of {missing.of}"


def _not_found(asked: str) -> str:
    return "no module lies below that directory" if asked.startswith("=") else "module not found"


def _similar(missing: MissingModule) -> str:
    return f"; similar names: {', '.join(missing.similar)}" if missing.similar else ""


def _write(page: Page, report: ClosureReport, options: ClosureOptions) -> None:
    if report.lacks is not None:
        _write_lacks(page, report)
        return
    if options.why:
        page.table([_reasons(node) for node in report.nodes])
    elif report.nodes:
        page.table([_row(node, report.directory) for node in report.nodes], header=HEADER)
    without = [(node.name, firmware.pattern) for node in report.nodes for firmware in node.firmware if firmware.missing]
    if without:
        page.line()
        page.line("Firmware that is not there:")
        page.table(without, indent=2)
    absent = [missing for missing in report.missing if not missing.required or options.missing == LIST]
    if absent:
        page.line()
        page.line("Stands for no module:")
        page.table([(item.name, _wanted_by(item)) for item in absent], indent=2)
    if not report.nodes and (report.errors or report.missing):  # which is said, and nothing else was asked
        return
    page.line()
    plural = "" if len(report.nodes) == 1 else "s"
    page.line(f"{len(report.nodes)} module{plural}, {_size(report.size)} with firmware and configuration", FAINT)


def _row(node: ClosureNode, directory: str) -> list[object]:
    files = sum(len(firmware.files) > 0 for firmware in node.firmware)
    lacking = len(node.firmware) - files
    firmware = f"{files} found" if node.firmware else None
    if lacking:
        firmware = f"{files} found, {lacking} missing"
    return [
        node.name,
        node.path.removeprefix(f"{directory}/") if node.path else Cell("builtin", FAINT),
        Cell(firmware, UNSURE if lacking else "") if firmware else None,
        node.options,
    ]


def _reasons(node: ClosureNode) -> list[object]:
    texts = [_reason(reason.kind, reason.of) for reason in node.why[:MOST_REASONS]]
    if len(node.why) > MOST_REASONS:
        texts.append(f"{len(node.why) - MOST_REASONS} more")
    return [node.name, "; ".join(texts)]


def _reason(kind: str, of: str) -> str:
    if kind == "request":
        return f"asked for as {of}"
    return "loaded" if kind == "loaded" else f"{kind} of {of}"


def _write_lacks(page: Page, report: ClosureReport) -> None:
    if report.lacks:
        rows = [(Cell(lack.state, BAD), lack.kind, lack.path, lack.of) for lack in report.lacks]
        page.table(rows, header=("IN THE IMAGE", "KIND", "FILE", "MODULE"))
    else:
        page.line(f"{report.image} has all that is needed")


def _size(number: int) -> str:
    return f"{number / 1048576:.1f} MiB" if number >= 1 << 20 else f"{(number + 1023) // 1024} KiB"
