# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the tests that compare commands share: cases as data, states to start from, spoilt module files, syslog."""

from __future__ import annotations

import dataclasses
import lzma
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.vm.harness import Comparison, Guest, Result, Setup, compare

OWN = "/opt/pmt"
BROKEN = "/opt/broken"  # not emptied by a reset
PARAMETERS = "cd /sys/module/pmt_params/parameters && grep . *"


@dataclasses.dataclass(frozen=True)
class Case:
    """One command, and what it must do: compared with the real kmod's, and with what is written here."""

    name: str
    command: str  # split at spaces; see `words` for those with spaces in them
    error: str = ""  # stderr, without the command's name and without "ERROR: "
    setup: Setup = ()
    config: str = ""  # the text of a file in /etc/modprobe.d
    status: int | None = None  # default: 1 if there is an error
    modules: str | None = None  # the names loaded afterwards, in the order of loading
    options: dict[str, Any] = dataclasses.field(default_factory=dict)
    words: tuple[str, ...] = ()
    kmod30: bool = False  # compare with kmod 30 too
    once: bool = False  # does not depend on the kernel
    after: str | None = None


def cases(*all_cases: Case) -> pytest.MarkDecorator:
    marked = [pytest.param(case, marks=[pytest.mark.one_kernel] if case.once else []) for case in all_cases]
    return pytest.mark.parametrize("case", marked, ids=[case.name for case in all_cases])


def load(*names: str) -> list[list[str]]:
    """Setup: load modules of ours; a name may be followed by parameters."""
    return [["insmod", f"{OWN}/{words[0]}.ko", *words[1:]] for words in map(str.split, names)]


def until(state: str) -> str:
    """Wait until /proc/modules matches."""
    return f"until grep -q '{state}' /proc/modules; do sleep 0.05; done"


def start_loading(guest: Guest) -> None:
    """Setup: pmt_slow is being loaded, until released."""
    guest.start(["insmod", guest.own("pmt_slow"), "hold_init=1", "hold_exit=1"])
    guest.run(until("^pmt_slow.*Loading")).check()


def start_unloading(guest: Guest) -> None:
    """Setup: pmt_slow, loaded with hold_exit=1, is being unloaded."""
    guest.start(["rmmod", "pmt_slow"])
    guest.run(until("^pmt_slow.*Unloading")).check()


def hold(guest: Guest) -> None:
    """Setup: keep the device of pmt_held open."""
    guest.start("exec sleep 1000 < /dev/pmt_held", timeout=1000)
    guest.run(until("^pmt_held [0-9]* 1 ")).check()


def do(guest: Guest, case: Case) -> Comparison:
    """Run a case with ours and the real ones, and compare."""
    tools = ["ours", "kmod34", *(["kmod30"] if case.kmod30 and guest.kernel == "6.1" else [])]
    command = [*case.command.split(), *case.words]
    setup = [configure(case.config), *case.setup] if case.config else case.setup
    done = compare(guest, command, setup, tools=tools, after=case.after, **case.options)
    done = _without_build_id(done) if command[0] == "modinfo" else done
    done.assert_same()
    assert done.ours.stderr.decode() == "".join(map(_message(command[0]), case.error.splitlines())), str(done)
    assert done.ours.status == (bool(case.error) if case.status is None else case.status), str(done)
    if case.modules is not None:
        assert list(reversed(done.ours.modules)) == case.modules.split(), str(done)
    return done


def _message(command: str) -> Callable[[str], str]:
    """What turns a line of `Case.error` into what the command prints."""

    def line(text: str) -> str:
        return f"{command}: {text}\n" if text.startswith(("FATAL: ", "WARNING: ")) else f"{command}: ERROR: {text}\n"

    return line


def configure(text: str, name: str = "test.conf") -> Callable[[Guest], object]:
    """Setup: a file in /etc/modprobe.d."""
    return lambda guest: guest.put(f"/etc/modprobe.d/{name}", text.encode())


def _without_build_id(done: Comparison) -> Comparison:
    """kmod shows the build-id only after 34.2."""
    stdout = re.sub(rb"(?m)^build-id:.*\n(\t\t.*\n)*", b"", done.ours.stdout)
    return dataclasses.replace(done, results=done.results | {"ours": dataclasses.replace(done.ours, stdout=stdout)})


# --- broken modules


def wrong_vermagic(content: bytes) -> bytes:
    """Another word in the vermagic than the release, which the kernel skips where symbol versions vouch for it."""
    assert b" preempt mod_unload" in content
    return content.replace(b" preempt mod_unload", b" nothing mod_unload")


def wrong_crc(content: bytes) -> bytes:
    """Another CRC for pmt_a_value: records of __versions are an unsigned long and a name of 56 bytes."""
    name = b"pmt_a_value".ljust(56, b"\0")
    place = content.index(name) - 8
    (crc,) = struct.unpack_from("<Q", content, place)
    return content[:place] + struct.pack("<Q", crc ^ 1) + content[place + 8 :]


def broken_files(own: Callable[[str], bytes]) -> dict[str, bytes]:
    a, b = own("pmt_a.ko"), own("pmt_b.ko")
    return {
        "text.ko": b"just some text\n" * 20,
        "empty.ko": b"",
        "truncated.ko": a[: len(a) // 2],
        "header.ko": a[:64],
        "machine.ko": a[:18] + struct.pack("<H", 183) + a[20:],
        "vermagic.ko": wrong_vermagic(a),
        "crc.ko": wrong_crc(b),
        "truncated.ko.gz": own("pmt_a.ko.gz")[:-200],
        "truncated.ko.xz": own("pmt_a.ko.xz")[:-200],
        "truncated.ko.zst": own("pmt_a.ko.zst")[:-200],
        "text.ko.xz": lzma.compress(b"just some text\n", check=lzma.CHECK_CRC32),
        "vermagic.ko.xz": lzma.compress(wrong_vermagic(a), check=lzma.CHECK_CRC32),
        "misnamed.ko": own("pmt_a.ko.xz"),
        "misnamed.ko.xz": a,
        "plain-xz.ko.xz": lzma.compress(a, check=lzma.CHECK_CRC64),
    }


# --- syslog

_LISTENER = """
import socket
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("/dev/log")
while (text := server.recv(4096).decode().rstrip("\\0\\n")) != "end":
    print(text)
os.unlink("/dev/log")
"""
_END = "import socket; socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'end', '/dev/log')"


def read_syslog(guest: Guest, action: Callable[[], Result]) -> tuple[Result, list[str]]:
    """Do something after a reset, with a pretended syslogd; what that one got, without time and process number."""
    guest.reset()
    listener = guest.start([], python=_LISTENER)
    guest.run("until test -S /dev/log; do sleep 0.05; done").check()
    result = action()
    guest.python(_END).check()
    lines = listener.wait().check().stdout.decode().splitlines()
    return result, [
        re.sub(r"^(<\d+>)[A-Z][a-z]{2} [ \d]\d [\d:]{8} (\w+)(\[\d+\])?", r"\1TIME \2", line) for line in lines
    ]


def syslog(guest: Guest, tool: str, command: Sequence[str]) -> tuple[Result, list[str]]:
    """Run a command and read what it tells syslog."""
    return read_syslog(guest, lambda: guest.tool(tool, command))
