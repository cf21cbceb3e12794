# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe as the kernel's own helper: /proc/sys/kernel/modprobe names ours, and the kernel needs a module.

The kernel starts it without descriptors 0 to 2 and with HOME, TERM and PATH as its only environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.vm.cases import configure, read_syslog
from tests.vm.harness import TOOLS, Guest, Result

MOUNT_OVERLAY = """
for name in "lower", "upper", "work":
    os.makedirs("/tmp/o/" + name)
write("/tmp/o/lower/file", b"below")
mount("overlay", "/tmp/o/merged", "overlay", "lowerdir=/tmp/o/lower,upperdir=/tmp/o/upper,workdir=/tmp/o/work")
print(read("/tmp/o/merged/file"))
"""
OPEN_SOCKET = """
import socket
socket.socket(socket.AF_CAN, socket.SOCK_RAW, socket.CAN_RAW)
print("open")
"""
TRIGGERS = {
    "file system": (MOUNT_OVERLAY, "overlay", "below\n"),
    "socket family and protocol": (OPEN_SOCKET, "can_raw", "open\n"),
}


def become_helper(tool: str, *words: str) -> Callable[[Guest], object]:
    """Have the kernel start a tool's modprobe; through a script that records how, if there are more words."""
    path = f"{TOOLS[tool]('')[2]}/modprobe"
    return lambda guest: guest.run(f"echo {path} > /proc/sys/kernel/modprobe").check()


def both(guest: Guest, code: str, *setup: Callable[[Guest], object]) -> tuple[Result, Result]:
    """The same done with our modprobe as the helper, and with the real one."""
    results = []
    for tool in ("ours", "kmod34"):
        guest.reset()
        for step in (become_helper(tool), *setup):
            step(guest)
        results.append(guest.python(code))
    return results[0], results[1]


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_kernel_gets_the_module_it_needs(guest: Guest, trigger: str) -> None:
    code, module, output = TRIGGERS[trigger]
    ours, real = both(guest, code)
    assert ours.check().stdout.decode() == output
    assert module in ours.modules
    assert (ours.status, ours.stdout, list(ours.modules)) == (real.status, real.stdout, list(real.modules))


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_blacklisted_module_is_not_loaded(guest: Guest, trigger: str) -> None:
    code, module, _ = TRIGGERS[trigger]
    ours, real = both(guest, code, configure(f"blacklist {module}"))
    assert (ours.status, list(ours.modules)) == (real.status, list(real.modules))
    assert module not in ours.modules


def test_options_and_install_commands_count(guest: Guest) -> None:
    """A command gets no more descriptors than modprobe has, which is none that leads anywhere."""
    text = "install overlay echo $MODPROBE_OPTIONS > /tmp/options; modprobe -i overlay\noptions overlay redirect_dir=on"
    ours, real = both(
        guest, MOUNT_OVERLAY + "print(read('/sys/module/overlay/parameters/redirect_dir'), read('/tmp/options'))",
        configure(text),
    )  # fmt: skip
    assert ours.check().stdout == b"below\nY\n -q\n\n"
    assert real.stdout == ours.stdout


def test_what_nobody_has_is_asked_for_in_vain(guest: Guest) -> None:
    """modprobe exits with 1 and no word, and the kernel goes on."""
    code = "mount('x', '/tmp/x', 'no_such_fs')"
    ours, real = both(guest, code)
    assert ours.status == real.status == 1
    assert ours.stderr.splitlines()[-1] == real.stderr.splitlines()[-1]
    assert b"No such device" in ours.stderr
    assert ours.log == real.log


def test_many_at_once(guest: Guest) -> None:
    code = """
import subprocess
kinds = ["overlay", "vfat", "iso9660", "squashfs", "xfs", "ext4", "msdos"]
for kind in kinds:
    if not os.fork():
        try:
            mount("none", "/tmp/" + kind, kind)
        finally:
            os._exit(0)
for kind in kinds:
    os.wait()
print(sorted(set(kinds) - {"iso9660"} - set(modules())))
"""
    ours, real = both(guest, code)
    assert ours.check().stdout == real.check().stdout == b"[]\n"
    assert ours.modules.keys() == real.modules.keys()


# --- messages


def logged(guest: Guest, tool: str, *setup: Callable[[Guest], object]) -> list[str]:
    """What a tool's modprobe, started by the kernel, tells syslog when overlay is needed."""

    def need_overlay() -> Result:
        become_helper(tool)(guest)
        for step in setup:
            step(guest)
        return guest.python(MOUNT_OVERLAY)

    _, lines = read_syslog(guest, need_overlay)
    return lines


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    "text",
    [
        "frobnicate overlay",
        "install overlay exit 3",
        "options overlay redirect_dir=maybe",
        "softdep overlay pre: no_such",
        "install overlay modprobe no_such",
    ],
)
def test_the_kernel_asks_for_silence_and_gets_it(guest: Guest, text: str) -> None:
    assert logged(guest, "ours", configure(text)) == logged(guest, "kmod34", configure(text))


@pytest.mark.one_kernel
@pytest.mark.parametrize("tool", ["ours", "kmod34"])
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("no_such", "<26>TIME modprobe: FATAL: Module no_such not found in directory /lib/modules/RELEASE"),
        ("pmt_fail error=5", "<27>TIME modprobe: ERROR: could not insert 'pmt_fail': Input/output error"),
        ("-a no_such", "<28>TIME modprobe: WARNING: Module no_such not found in directory /lib/modules/RELEASE"),
        ("-r no_such", "<26>TIME modprobe: FATAL: Module no_such not found."),
    ],
)
def test_without_standard_error_messages_go_to_syslog(guest: Guest, tool: str, words: str, expected: str) -> None:
    def run() -> Result:
        return guest.tool(tool, ["modprobe", *words.split()], close=[0, 1, 2], env={"PATH": "/bin"})

    result, lines = read_syslog(guest, run)
    assert result.status == 1
    assert lines == [expected.replace("RELEASE", guest.release)]


@pytest.mark.one_kernel
@pytest.mark.parametrize("closed", [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]], ids=str)
@pytest.mark.parametrize("words", ["pmt_c", "-v pmt_c", "-r -v pmt_dash", "-v pmt_params", "no_such"])
def test_any_descriptor_may_be_closed(guest: Guest, closed: list[int], words: str) -> None:
    """Nothing that is opened meanwhile may be taken for standard output."""
    guest.put("/etc/modprobe.d/test.conf", b"install pmt_params cat; echo output; echo message >&2\n")
    guest.run(["insmod", guest.own("pmt-dash")]).check()
    result = guest.tool("ours", ["modprobe", *words.split()], close=closed)
    wrote = "-v" in words and 1 in closed
    assert (result.status == 0) == (words != "no_such" and not wrote), str(result)
    assert re.fullmatch(rb"((insmod|rmmod|install) .*\n)*(output\n)?", result.stdout)
    assert guest.run(f"cd /usr/lib/modules/{guest.release} && head -c4 modules.dep.bin | od -An -tx1").stdout == (
        b" b0 07 f4 57\n"
    )
