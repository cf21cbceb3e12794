# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod decode on what real kernels write when a module fails, with the module's source; compared with addr2line."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import Context, DecodeReport, Frame, Roots, decode
from tests.support import assets
from tests.support.common import need
from tests.support.schemas import check_document
from tests.vm import ownmodules
from tests.vm.harness import Guest, GuestDied

SOURCE = (ownmodules.SOURCES / "pmt_oops.c").read_text().splitlines()
FAULT = "/proc/pmt_oops"


def here(mark: str) -> int:
    (number,) = [number for number, line in enumerate(SOURCE, 1) if f"/* here: {mark} */" in line]
    return number


EXPECTED = {
    "null": ("oops", ["store", "null"], "call null"),
    "inlined": ("oops", ["store", "inlined"], "call inlined"),
    "bug": ("bug", ["bug"], "call bug"),
    "warn": ("warning", ["warn"], "call warn"),
}
"""Of each fault the kind, the lines of the instruction from the inside out, and the line of the call."""


def lines(frame: Frame) -> list[int | None]:
    assert all(Path(line.file or "").name == "pmt_oops.c" for line in frame.lines), frame
    return [line.line for line in frame.lines]


def pc_of(report: DecodeReport) -> Frame:
    return next(frame for frame in report.frames if frame.kind == "pc" and frame.module)


def test_real_faults(boot_own: Callable[..., Guest], kernel: str) -> None:
    """One boot for all: nothing can be unloaded any more afterwards."""
    need(shutil.which("addr2line"), "addr2line (tests/install-packages)")
    guest = boot_own(modules=[])
    debug = ownmodules.build(kernel) / ownmodules.DEBUG
    since_unloaded(guest)
    guest.run(["insmod", guest.own("pmt_oops")]).check()
    whole: list[str] = []
    for fault, (kind, inner, call) in EXPECTED.items():
        log = guest.run(f"(echo {fault} > {FAULT}) 2>/dev/null; true", timeout=60).log
        whole += log
        report = decode(Context(Roots(module_dir="/nowhere")), "\n".join(log), debug=str(debug))
        trace = report.traces[0]
        assert (trace.kind, trace.kernel) == (kind, assets.release(kernel)), log
        assert report.suspect and report.suspect.module == "pmt_oops"
        assert report.taint and set("OE") <= set(report.taint.flags)
        assert trace.registers["RSP"] > 1 << 47 and trace.machine == "x86-64"
        frame = pc_of(report)
        assert (frame.match, lines(frame)) == ("exact", [here(mark) for mark in inner]), (fault, frame)
        caller = next(
            frame for frame in report.frames if (frame.symbol or "").startswith("pmt_oops_write") and frame.reliable
        )
        assert (caller.match, lines(caller)) == ("exact", [here(call), here("write")]), (fault, caller)
        for found in (frame, caller):
            assert said_by_addr2line(debug / "pmt_oops.ko", found) == [(line.file, line.line) for line in found.lines]
    shown = guest.tool("ours", ["kmod", "symbols", "--json", "pmt_oops_write"]).check()
    (symbol,) = check_document(shown.stdout)["symbols"]
    assert (symbol["module"], symbol["exported"], symbol["address"][:2]) == ("pmt_oops", False, "0x")
    shown = guest.tool("ours", ["kmod", "symbols", "--json", f"{int(symbol['address'], 16) + 5:#x}"]).check()
    assert (json.loads(shown.stdout)["symbols"][0]["name"], json.loads(shown.stdout)["symbols"][0]["offset"]) == (
        "pmt_oops_write", 5,
    )  # fmt: skip
    in_guest(guest, whole)
    in_init_section(guest, debug)
    stack_overflow(guest, debug)


def since_unloaded(guest: Guest) -> None:
    """A thread comes back to code that is no more: its address has no symbol, and nothing is looked up."""
    log = guest.run(f"insmod {guest.own('pmt_gone')} && rmmod pmt_gone && sleep 4", timeout=60).log
    report = decode(Context(Roots(module_dir="/nowhere")), "\n".join(log))
    trace = report.traces[0]
    assert (trace.kind, trace.comm, trace.last_unloaded) == ("oops", "pmt_gone", "pmt_gone"), log
    frame = next(frame for frame in report.frames if frame.kind == "pc")
    assert (frame.symbol, frame.module, frame.file, frame.match, frame.lines) == (None, None, None, None, ())
    assert frame.address and trace.title.endswith(f"page fault for address: {frame.address:016x}"), trace
    assert report.suspect and report.suspect.module == "pmt_gone" and "unloaded last" in report.suspect.reason


def stack_overflow(guest: Guest, debug: Path) -> None:
    """Nothing runs after it: the text is what the console has."""
    with pytest.raises(GuestDied):
        guest.run(f"echo deep > {FAULT}", timeout=60)
    _, found, text = guest._console.read_text(errors="replace").partition("stack guard page was hit")
    assert found
    report = decode(Context(Roots(module_dir="/nowhere")), f"BUG: TASK {found}{text}", debug=str(debug))
    trace = report.traces[0]
    assert (trace.kind, trace.kernel) == ("oops", guest.release) and trace.title.startswith("BUG: TASK stack guard")
    assert report.suspect and report.suspect.module == "pmt_oops"
    calls = [frame for frame in report.frames if frame.symbol == "fault_deep" and frame.kind == "call"]
    assert len(calls) > 5 and all((frame.match, lines(frame)) == ("exact", [here("deep")]) for frame in calls), text


def said_by_addr2line(path: Path, frame: Frame) -> list[tuple[str | None, int | None]]:
    place = (frame.section_offset or 0) - (frame.kind == "call")
    command = ["addr2line", "-i", "-e", str(path), "-j", str(frame.section), hex(place)]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    places = [line.partition(" (")[0].rpartition(":") for line in found]
    return [(file, int(number)) for file, _, number in places]


def in_guest(guest: Guest, log: list[str]) -> None:
    """The installed module there is without debugging data, and the machine without pyelftools."""
    guest.put("/tmp/log", "\n".join(log).encode())
    done = guest.tool("ours", ["kmod", "decode", "--json", "/tmp/log"]).check()
    document = check_document(done.stdout)
    assert len(document["traces"]) == len(EXPECTED)
    frames = [frame for frame in document["frames"] if frame["module"] == "pmt_oops"]
    assert {(frame["match"], len(frame["lines"])) for frame in frames} == {("exact", 0)}
    assert all(frame["file"].endswith("/extra/pmt_oops.ko") for frame in frames)
    assert [note["code"] for note in document["notes"]] == ["no-debugging-data"]


def in_init_section(guest: Guest, debug: Path) -> None:
    """A module cannot be loaded twice: under another name it is the same code."""
    guest.run("sed 's/pmt_oops/pmt_ooqs/g' < " + guest.own("pmt_oops") + " > /tmp/pmt_ooqs.ko").check()
    log = guest.run(["insmod", "/tmp/pmt_ooqs.ko", "how=init"], timeout=60).log
    text = "\n".join(log).replace("pmt_ooqs", "pmt_oops")
    frame = pc_of(decode(Context(Roots(module_dir="/nowhere")), text, debug=str(debug)))
    assert (frame.section, frame.match, lines(frame)) == (".init.text", "exact", [here("init")])
