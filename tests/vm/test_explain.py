# SPDX-License-Identifier: LGPL-2.1-or-later
"""What real kernels refuse, and how that is explained: by the kernel's log, and from files alone. One boot each."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.koforge import pkcs7, signature
from tests.vm.harness import Guest

PROGRAM = "/opt/explaining.py"
PYTHON = ["/usr/bin/python3.11", "-IS", PROGRAM]

Codes = list[list[Any]]


def sure(code: str) -> Codes:
    return [[code, True]]


def unsure(*codes: str) -> Codes:
    return [[code, False] for code in codes]


OPEN: dict[str, tuple[Codes, Codes, str]] = {
    "vermagic": (sure("vermagic"), sure("vermagic"), "another configuration"),
    "layout": (sure("symbol-version"), sure("symbol-version"), "module_layout"),
    "version": (sure("symbol-version"), sure("symbol-version"), "another version of pmt_a_value"),
    "provider": (sure("unknown-symbol"), sure("unknown-symbol"), "exported by pmt_a, which is not loaded"),
    "nowhere": (sure("unknown-symbol"), sure("unknown-symbol"), "of the index exports it"),
    "gpl": (sure("unknown-symbol"), unsure("unknown-symbol", "init-failed"), "GPL modules only"),
    "namespace": (sure("unknown-symbol"), unsure("unknown-symbol", "init-failed"), "namespace PMT"),
    "kept out": (sure("unknown-symbol"), sure("unknown-symbol"), "pmt_a, which a rule keeps out"),
    "duplicate": (sure("duplicate-symbol"), sure("duplicate-symbol"), "the module pmt_a exports already"),
    "EIO": (sure("init-failed"), unsure("init-failed"), "EIO"),
    "EINVAL": (unsure("init-failed"), unsure("init-failed"), "may have ended with EINVAL"),
    "no device": (unsure("no-device", "init-failed"), unsure("no-device", "init-failed"), "no device here fits"),
    "value": (sure("bad-parameter"), sure("bad-parameter"), "of type int"),
    "range": (sure("bad-parameter"), unsure("init-failed"), ""),
    "text": (sure("damaged-file"), sure("damaged-file"), "no module"),
    "empty": (sure("damaged-file"), sure("damaged-file"), "empty"),
    "cut off": (sure("damaged-file"), sure("damaged-file"), "no module"),
    "machine": (sure("damaged-file"), sure("damaged-file"), ""),
    "xz": (sure("decompression"), sure("decompression"), "damaged or incomplete"),
    "loaded": (sure("already-loaded"), sure("already-loaded"), "loaded already"),
    "used": (sure("in-use"), sure("in-use"), "pmt_b uses it"),
    "held": (sure("in-use"), sure("in-use"), "something holds a reference"),
    "no exit": (sure("permanent"), sure("permanent"), "no exit function"),
    "builtin": (sure("permanent"), sure("permanent"), "part of the kernel"),
    "boot": (sure("blacklisted"), sure("blacklisted"), "module_blacklist="),
    "typed": (sure("not-found"), sure("not-found"), "pmt_params"),
    "install": (sure("refused-dependency"), sure("refused-dependency"), "the install line for pmt_a"),
    "denied": (sure("denied"), sure("denied"), "not here"),
    "changed": (sure("bad-signature"), sure("bad-signature"), "does not fit the file"),
    "ask good": ([], [], ""),
    "ask signed": ([], [], ""),
    "ask file": (sure("unknown-symbol"), sure("unknown-symbol"), "exported by pmt_a"),
    "ask parameter": (unsure("unknown-parameter"), unsure("unknown-parameter"), "nosuch"),
    "ask boot": (sure("blacklisted"), sure("blacklisted"), "module_blacklist="),
}
LOCKDOWN: dict[str, tuple[Codes, Codes, str]] = {
    "unsigned": (sure("lockdown"), sure("lockdown"), "locked down"),
    "unknown key": (sure("lockdown"), unsure("lockdown", "init-failed"), "locked down"),
    "ask unsigned": (sure("lockdown"), sure("lockdown"), "locked down"),
    "ask signed": ([], [], ""),
}
ENFORCED: dict[str, tuple[Codes, Codes, str]] = {
    "unsigned": (sure("unsigned"), sure("unsigned"), "not signed"),
    "unknown key": (sure("unknown-key"), unsure("unknown-key", "bad-signature"), "A key"),
    "ask unsigned": (sure("unsigned"), sure("unsigned"), "not signed"),
}
DISABLED: dict[str, tuple[Codes, Codes, str]] = {
    "disabled": (sure("modules-disabled"), sure("modules-disabled"), "until the next boot"),
    "ask disabled": (sure("modules-disabled"), sure("modules-disabled"), ""),
}
PHASES = {"open": OPEN, "lockdown": LOCKDOWN, "enforced": ENFORCED, "disabled": DISABLED}
"""For each phase and attempt: the codes by the kernel's log, from files alone, and words of the first text."""


def wrong(results: list[dict[str, Any]], phase: str, mode: str) -> list[str]:
    """What was explained otherwise than expected."""
    found = {line["label"]: line for line in results if (line["phase"], line["mode"]) == (phase, mode)}
    assert list(found) == list(PHASES[phase])
    mistakes = []
    for label, (by_log, from_files, words) in PHASES[phase].items():
        line, expected = found[label], by_log if mode == "log" else from_files
        if line["codes"] != expected or not line.get("same") or words not in " ".join(line["texts"][:1]):
            mistakes.append(f"{phase}, {mode}, {label}: not {expected} with {words!r}, but {json.dumps(line)}")
        if line["read"] is not None and line["read"] is not (mode == "log"):
            mistakes.append(f"{phase}, {mode}, {label}: read {line['read']}")
    return mistakes


def test_all_refusals_of_a_kernel(boot_own: Callable[..., Guest]) -> None:
    guest = boot_own(modules=["dummy", "loop"], cmdline="module_blacklist=pmt_slow2 lsm=lockdown,capability")
    guest.put(PROGRAM, Path(__file__).with_name("explaining.py").read_bytes())
    guest.put("/tmp/signature", signature(pkcs7()))
    guest.run("mount -t securityfs none /sys/kernel/security")
    commands(guest)
    done = guest.run(PYTHON, timeout=300).check()
    print(done.stderr.decode())
    results = [json.loads(line) for line in done.stdout.splitlines()]
    mistakes = [text for phase in PHASES for mode in ("log", "files") for text in wrong(results, phase, mode)]
    assert not mistakes, "\n".join(mistakes)


def commands(guest: Guest) -> None:
    """What the commands print: kmod's lines, and then why; without privileges as well."""
    plain = guest.tool("ours", ["insmod", guest.own("pmt_b")])
    assert plain.stderr == guest.tool("kmod34", ["insmod", guest.own("pmt_b")]).stderr
    shown = guest.tool("ours", ["insmod", "--explain=always", guest.own("pmt_b")]).stderr.decode()
    assert shown.startswith(plain.stderr.decode())
    lines = shown.removeprefix(plain.stderr.decode()).splitlines()
    assert lines[0] == "  cause:    pmt_a_value, pmt_a_gpl_value: exported by pmt_a, which is not loaded", shown
    assert any(line.startswith('  evidence: kernel log: "pmt_b: Unknown symbol pmt_a_') for line in lines), shown
    assert lines[-2:] == ["  next:     modprobe pmt_a", f"            insmod {guest.own('pmt_b')}"]
    ignored = guest.tool("ours", ["modprobe", "--explain=always", "pmt_params", "nosuch=1"]).check()
    assert ignored.stderr == b"  note:     pmt_params has no parameter nosuch: the kernel ignored it\n"
    user = guest.tool("ours", ["insmod", "--explain=always", guest.own("pmt_a")], uid=1000).stderr.decode()
    assert "lacks the capability CAP_SYS_MODULE" in user and "  note:     the kernel log may not be read" in user, user
    asked = guest.tool("ours", ["kmod", "explain", "pmt_c"])
    assert (asked.status, asked.stdout) == (0, b"pmt_c: nothing stands in the way\n"), str(asked)
    guest.run(["rmmod", "pmt_params"])
