# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: has the kernel refuse modules for every reason that there is, and has each refusal explained.

    python3.11 -IS explaining.py      one line of JSON for each attempt

Each phase runs twice: with the kernel's log, and in a process that may not read it (mode `files`). Phases after `open`
cannot be undone: `lockdown`, `enforced`, `disabled`, each on top of those before.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

sys.path.insert(0, "/opt/pymodutils")

from pymodutils import Context, Error, KernelModules, ModuleFile, deny, explain, undeny

OWN, MADE = "/opt/pmt", "/tmp/made"
CONFIG = "/etc/modprobe.d/test.conf"
CAPABILITY_VERSION, CAP_SYS_ADMIN, CAP_SYSLOG = 0x20080522, 21, 34
RUN = {"phase": "", "mode": ""}


def own(name: str) -> str:
    return f"{OWN}/{name}.ko"


def read(path: str) -> bytes:
    with open(path, "rb") as stream:
        return stream.read()


def write(path: str, content: bytes) -> str:
    with open(path, "wb") as stream:
        stream.write(content)
    return path


def made(name: str, content: bytes) -> str:
    """A changed module in a folder of its own, under its own name."""
    folder = f"{MADE}/{len(os.listdir(MADE))}"
    os.mkdir(folder)
    return write(f"{folder}/{name}", content)


def patched(name: str, old: bytes, new: bytes) -> str:
    content = read(own(name))
    assert old in content and len(old) == len(new), (name, old)
    return made(f"{name}.ko", content.replace(old, new))


def other_version(name: str, symbol: bytes) -> str:
    """A module that wants another version of a symbol than there is: a record of __versions ends with the name."""
    content = bytearray(read(own(name)))
    at = content.find(b"\0" * 4 + symbol + b"\0") + 4
    assert at > 8, symbol
    content[at - 8] ^= 0xFF
    return made(f"{name}.ko", bytes(content))


def insmod(path: str, parameters: str = "") -> None:
    KernelModules().insert(path, parameters)


def rmmod(name: str) -> None:
    KernelModules().remove(name)


def modprobe(name: str, parameters: str = "") -> None:
    Context().load(name, parameters)


def configure(text: str) -> None:
    write(CONFIG, text.encode())


def clear() -> None:
    """Unload what an attempt has left, and forget the configuration."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(CONFIG)
    for name in ("pmt_nsuser", "pmt_ns", "pmt_c", "pmt_b", "pmt_z", "pmt_a", "pmt_params", "pmt_held", "pmt_dash"):
        with contextlib.suppress(Error):
            rmmod(name)


def position() -> int | None:
    try:
        fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
    except PermissionError:
        return None
    os.lseek(fd, 0, os.SEEK_END)
    return fd


def attempt(label: str, action: Callable[[], object], *, asked: str | None = None, parameters: str = "") -> None:
    """Do what the kernel refuses, and print how that is explained: by the log's position, and by its times."""
    time.sleep(0.15)  # what is closer together counts as one attempt where no position was kept
    fd = position()
    try:
        action()
    except Error as error:
        began = time.monotonic()
        report = explain(Context(), error, asked=asked, parameters=parameters, kernel_log=fd)
        seconds = time.monotonic() - began
        same = True
        if fd is not None:
            later = explain(Context(), error, asked=asked, parameters=parameters)
            by_log = any(proof.source == "kernel log" for cause in report.explanations for proof in cause.evidence)
            same = later.explanations == report.explanations or not by_log
        show(label, report, errno=error.errno, seconds=seconds, same=same)
    else:
        print(json.dumps({**RUN, "label": label, "codes": "no failure", "texts": [], "read": None}), flush=True)
    finally:
        if fd is not None:
            os.close(fd)
        clear()


def show(label: str, report: Any, **more: Any) -> None:
    causes = [[cause.code, cause.certain] for cause in report.explanations]
    texts = [cause.text for cause in report.explanations]
    evidence = [f"{proof.source}: {proof.text}" for cause in report.explanations for proof in cause.evidence]
    line = {
        **RUN,
        "label": label,
        "codes": causes,
        "texts": texts,
        "evidence": evidence,
        "read": report.log_read,
        **more,
    }
    print(json.dumps(line), flush=True)


def ask(label: str, name: str, **named: Any) -> None:
    show(label, explain(Context(), name, **named), same=True)


def signed() -> str:
    """A module of the distribution, signed by a key that this kernel knows."""
    found = Context().tree.find("dummy")
    assert found
    with ModuleFile(found.path) as module:
        return made("dummy.ko", module.image())


def with_unknown_key() -> str:
    return made("pmt_dash.ko", read(own("pmt-dash")) + read("/tmp/signature"))


def when_open() -> None:
    attempt("vermagic", lambda: insmod(patched("pmt_a", b" SMP preempt", b" SMP zreempt")))
    attempt("layout", lambda: insmod(other_version("pmt_a", b"module_layout")))
    insmod(own("pmt_a"))
    attempt("version", lambda: insmod(other_version("pmt_b", b"pmt_a_value")))
    attempt("provider", lambda: insmod(own("pmt_b")), asked="./pmt_b.ko")
    attempt("nowhere", lambda: insmod(own("pmt_missing")))
    attempt("gpl", lambda: insmod(own("pmt_closed")))
    insmod(own("pmt_ns"))
    attempt("namespace", lambda: insmod(patched("pmt_nsuser", b"import_ns=PMT", b"xmport_ns=PMT")))
    configure("install pmt_a /bin/true\n")
    attempt("kept out", lambda: modprobe("pmt_b"), asked="pmt_b")
    insmod(own("pmt_a"))
    attempt("duplicate", lambda: insmod(made("pmt_z.ko", read(own("pmt_a")).replace(b"pmt_a\0", b"pmt_z\0"))))
    attempt("EIO", lambda: insmod(own("pmt_fail"), "error=5"), parameters="error=5")
    attempt("EINVAL", lambda: insmod(own("pmt_fail"), "error=22"), parameters="error=22")
    attempt("no device", lambda: insmod(own("pmt_nodev")))
    attempt("value", lambda: insmod(own("pmt_params"), "number=x"), parameters="number=x")
    attempt("range", lambda: insmod(own("pmt_params"), "called=-1"), parameters="called=-1")
    attempt("text", lambda: insmod(made("pmt_a.ko", b"text, and long enough to be read as one by all\n" * 9)))
    attempt("empty", lambda: insmod(made("pmt_a.ko", b"")))
    attempt("cut off", lambda: insmod(made("pmt_a.ko", read(own("pmt_a"))[:5000])))
    attempt("machine", lambda: insmod(made("pmt_a.ko", read(own("pmt_a"))[:18] + b"\xb7" + read(own("pmt_a"))[19:])))
    attempt("xz", lambda: insmod(made("pmt_a.ko.xz", read(own("pmt_a") + ".xz")[:-40])))
    insmod(own("pmt_a"))
    attempt("loaded", lambda: insmod(own("pmt_a")))
    insmod(own("pmt_a"))
    insmod(own("pmt_b"))
    attempt("used", lambda: rmmod("pmt_a"))
    insmod(own("pmt_held"))
    with open("/dev/pmt_held", "rb"):
        attempt("held", lambda: rmmod("pmt_held"))
    insmod(own("pmt_noexit")) if not os.path.isdir("/sys/module/pmt_noexit") else None
    attempt("no exit", lambda: rmmod("pmt_noexit"))
    attempt("builtin", lambda: Context().unload(Context().builtins()[0]))
    attempt("boot", lambda: insmod(own("pmt_slow2")))
    attempt("typed", lambda: modprobe("pmt_parmas"))
    configure("install pmt_a /bin/false\n")
    attempt("install", lambda: modprobe("pmt_b"), asked="pmt_b")
    deny(Context(), "pmt_dash", reason="not here")
    attempt("denied", lambda: modprobe("pmt_dash"))
    undeny(Context(), "pmt_dash")
    content = bytearray(read(signed()))
    content[len(content) // 2] ^= 1
    attempt("changed", lambda: insmod(made("dummy.ko", bytes(content))))
    ask("ask good", "pmt_c")
    ask("ask signed", "dummy")
    ask("ask file", own("pmt_b"))
    ask("ask parameter", "pmt_params", parameters="nosuch=1")
    ask("ask boot", "pmt_slow2")


def when_locked_down() -> None:
    if "[integrity]" not in read("/sys/kernel/security/lockdown").decode():
        write("/sys/kernel/security/lockdown", b"integrity")
    attempt("unsigned", lambda: insmod(own("pmt_a")))
    attempt("unknown key", lambda: insmod(with_unknown_key()))
    ask("ask unsigned", "pmt_a")
    ask("ask signed", "dummy")


def when_enforced() -> None:
    write("/sys/module/module/parameters/sig_enforce", b"Y")
    attempt("unsigned", lambda: insmod(own("pmt_a")))
    attempt("unknown key", lambda: insmod(with_unknown_key()))
    ask("ask unsigned", "pmt_a")


def when_disabled() -> None:
    write("/proc/sys/kernel/modules_disabled", b"1")
    attempt("disabled", lambda: insmod(signed()))
    ask("ask disabled", "dummy")


PHASES = {"open": when_open, "lockdown": when_locked_down, "enforced": when_enforced, "disabled": when_disabled}


def without_log() -> None:
    """Give up what lets a process read the kernel's log; older kernels let CAP_SYS_ADMIN do so as well."""
    libc = ctypes.CDLL(None, use_errno=True)
    header, sets = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, sets) == 0
    for capability in (CAP_SYSLOG, CAP_SYS_ADMIN):
        for kind in range(3):
            sets[3 * (capability // 32) + kind] &= ~(1 << capability % 32)
    assert libc.capset(header, sets) == 0, ctypes.get_errno()


def main() -> None:
    write("/proc/sys/kernel/dmesg_restrict", b"1")
    os.makedirs(MADE)
    for phase, run in PHASES.items():
        clear()
        began = time.monotonic()
        RUN.update(phase=phase, mode="log")
        run()
        pid = os.fork()
        if not pid:
            status = 1
            try:
                without_log()
                RUN["mode"] = "files"
                run()
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
        print(f"{phase}: {time.monotonic() - began:.1f} s", file=sys.stderr)


main()
