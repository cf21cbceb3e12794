# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod watch: who asks for modules, and what comes of it (kmod-watch(8))."""

from __future__ import annotations

import signal
import time
from contextlib import closing

from ...verbs.watch import watch
from ..options import Option
from .frame import YES, Progress, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, UNSURE, Cell

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType
    from typing import NoReturn

    from ...diagnostics import Diagnostic
    from ...roots import Roots
    from ...verbs.watch import WatchEvent
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options]"],
    {
        "What to watch": (
            Option("requests", "", ("requests",), "what the kernel asks modprobe for"),
            Option("loads", "", ("loads",), "modules that are loaded and unloaded"),
            Option("refs", "", ("refs",), "who takes and gives back references of module NAME", "NAME"),
            Option("seconds", "", ("seconds",), "end after N seconds, not only when interrupted", "N"),
        )
    },
    page="kmod-watch(8)",
    examples=["kmod watch --requests --seconds=60"],
)

STYLES = {"loaded": GOOD, "denied": BAD, "not-found": FAINT, "failed": BAD}
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Signals that end watching as it should end: the instance is taken away, and the status is that of success."""


class WatchOptions(VerbOptions):
    """What the options say."""

    requests = False
    loads = False
    refs: str | None = None
    seconds: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show what happens with modules until it is time to end, or a signal says so."""
    options = WatchOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options), streams=True)


class _Notes(Progress):
    """Says what the library lets one know."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._to = console

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        self._to.warning(f"{diagnostic.file}: {diagnostic.text}")


def _answer(verb: Verb, options: WatchOptions) -> int:
    if verb.operands:
        verb.refuse(f"watches everything, not {' '.join(verb.operands)}. See kmod watch --help.")
    if options.refs == "":
        verb.refuse("--refs takes the name of a module. See kmod watch --help.")
    what = [name for name in ("requests", "loads") if getattr(options, name)]
    if not what and options.refs is None:
        what = ["requests", "loads"]
    seconds = None if options.seconds is None else _seconds(verb, options.seconds)
    before = {}
    try:
        for number in ENDS:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background
                before[number] = signal.signal(number, _end)
        notes = _Notes(verb.console)
        with closing(watch(verb.context, what, refs=options.refs, seconds=seconds, observer=notes)) as events:
            for event in events:
                verb.console.write(event.to_json_line() if options.json else _text(verb, event))
                verb.console.flush()
    except KeyboardInterrupt:
        pass
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return YES


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    """End once: a second signal must not disturb the tidying up."""
    for number in ENDS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _seconds(verb: Verb, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 1e9:
        verb.refuse(f"no number of seconds: {text}")
    return seconds


def _text(verb: Verb, event: WatchEvent) -> str:
    """Return an event as a line."""
    page = verb.page()
    clock = time.strftime("%H:%M:%S", time.localtime(event.time)) + f".{int(event.time * 1000) % 1000:03}"
    start = Cell(f"{clock}  ", FAINT)
    if event.event == "lost":
        page.cells(start, Cell(f"lost {'some' if event.lost is None else event.lost} events", UNSURE))
        return page.text()
    who = f"{event.comm or '-'}[{event.pid}] uid {'-' if event.uid is None else event.uid}"
    site = f" ({event.call_site})" if event.call_site else ""
    if event.event == "request":
        page.cells(start, Cell(f"request {event.asked} by {who}{site} -> "),
                   Cell(_outcome(event), STYLES.get(event.outcome or "", UNSURE)))  # fmt: skip
        return page.text()
    count = "" if event.refcount is None else f", references {event.refcount}"
    taint = f" ({event.taint})" if event.taint else ""
    page.cells(start, Cell(f"{event.event} {event.module}{taint} by {who}{site}{count}"))
    return page.text()


def _outcome(event: WatchEvent) -> str:
    """Return what came of a request, in words."""
    if event.outcome == "loaded":
        return f"loaded {' '.join(event.modules)}"
    word = {None: "not known", "not-found": "not found"}.get(event.outcome, event.outcome or "")
    return f"{word} {event.by.origin}" if event.by else word
