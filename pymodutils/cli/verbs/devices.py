# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod devices: which driver each device has, and which modules could drive it (kmod-devices(8))."""

from __future__ import annotations

from ...verbs.devices import devices
from ..options import Option
from .frame import NO, YES, Verb, VerbLine, VerbOptions, run_verb
from .page import BAD, FAINT, GOOD, UNSURE, Cell, Page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.devices import Device, DeviceCandidate, DevicesReport
    from ..console import Console

COMMAND_LINE = VerbLine(
    ["[options]"],
    {"What to show": (Option("unhandled", "", ("unhandled",), "only devices on a bus that no driver is bound to"),)},
    page="kmod-devices(8)",
    examples=["kmod devices --unhandled"],
)

HEADER = ("DEVICE", "DRIVER", "MODULE", "STATE", "KEPT OUT BY", "MODALIAS")
STYLES = {"live": GOOD, "builtin": GOOD, "available": "", "absent": BAD}


class DevicesOptions(VerbOptions):
    """What the options say."""

    unhandled = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show devices; NO if some are unhandled, and these were asked for."""
    options = DevicesOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: DevicesOptions) -> int:
    if verb.operands:
        verb.refuse(f"shows all devices, not {' '.join(verb.operands)}. See kmod devices --help.")
    report = devices(verb.context, unhandled=options.unhandled, observer=verb.progress)
    verb.show(report, lambda page: _write(page, report))
    return NO if options.unhandled and report.devices else YES


def _write(page: Page, report: DevicesReport) -> None:
    rows = [row for device in report.devices for row in _rows(device)]
    if rows:
        page.table(rows, header=HEADER)
    else:
        page.line("no such device")


def _rows(device: Device) -> list[list[object]]:
    """Return a row for each candidate; the first one tells of the device, too."""
    first: list[object] = [device.path, Cell(device.driver, GOOD) if device.driver else None]
    modalias = Cell(device.modalias, FAINT)
    if not device.candidates:
        return [[*first, None, None, None, modalias]]
    rows = [[Cell(""), Cell(""), *_cells(candidate), Cell("")] for candidate in device.candidates]
    rows[0][:2], rows[0][-1] = first, modalias
    return rows


def _cells(candidate: DeviceCandidate) -> list[object]:
    by = Cell(candidate.by.origin, BAD) if candidate.by else None
    return [candidate.module, Cell(candidate.state, STYLES.get(candidate.state, UNSURE)), by]
