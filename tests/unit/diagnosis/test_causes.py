# SPDX-License-Identifier: LGPL-2.1-or-later
"""The table of causes: each code recognized with the kernel's log and from files alone; nothing invented."""

from __future__ import annotations

import errno
from itertools import combinations
from typing import Any

import pytest

from pymodutils.diagnosis.causes import CAUSES, explain_case
from pymodutils.diagnosis.causes.case import (
    COMMAND,
    FILE,
    KERNEL,
    LOAD,
    LOOKUP,
    UNLOAD,
    Case,
    Dependency,
    Explanation,
    FittingDevice,
    NeededSymbol,
    Provider,
    Tree,
)
from pymodutils.diagnosis.causes.parameters import split_parameters
from pymodutils.diagnostics import Evidence, Place
from pymodutils.formats.kernellog import LogRecord
from pymodutils.formats.modinfo import Parameter
from pymodutils.formats.signature import Signature
from pymodutils.formats.symbols import Symbol
from pymodutils.frozendict import FrozenDict
from pymodutils.shellwords import word
from pymodutils.state.kernelfacts import KernelFacts
from pymodutils.state.kernellog import KernelLog
from pymodutils.state.modulereading import ModuleReading
from pymodutils.state.processfacts import ProcessFacts
from tests.support.common import REPO

MAGIC = "6.1.0 SMP preempt mod_unload modversions"
PATH = "/lib/modules/6.1.0/extra/datadev.ko"
GOOD = ModuleReading(
    PATH, name="datadev", vermagic=MAGIC + " ", license="GPL", machine=62, bits=64, aliases=("pci:v1*",),
    parameters=(Parameter("debug", "int", None), Parameter("on", "bool", None),
                Parameter("names", "array of charp", None)),
    needs=(Symbol("printk", 1), Symbol("other_symbol", 2)),
    versions=(Symbol("module_layout", 7), Symbol("printk", 1), Symbol("other_symbol", 2)),
)  # fmt: skip
SIBLING = GOOD.replace(path="/lib/modules/6.1.0/kernel/a.ko", name="a")
SIGNED = GOOD.replace(signature=Signature("PKCS#7", "Somebody", b"\1\2", "sha256", b"x"))
OPEN = KernelFacts(modules_disabled=False, sig_enforce=False, lockdown="none", module_blacklist=())
ROOT = ProcessFacts(True, "CapEff: 000001ffffffffff", False, False, None, 0)
USER = ProcessFacts(False, "CapEff: 0000000000000000", False, False, None, 1000)
DEVICE = FittingDevice("/sys/devices/x", "pci:v1", "nouveau", "nouveau")
RULE = Place("/etc/modprobe.d/x.conf", 3, "install datadev /bin/false")


def log(*lines: str) -> KernelLog:
    return KernelLog(tuple(LogRecord(1.0, line) for line in lines))


UNREADABLE = KernelLog((), "the kernel log may not be read")


def loading(number: int, **facts: Any) -> Case:
    """A refusal of the kernel to load datadev."""
    given = {"path": PATH, "names": ("datadev",), "file": GOOD, "sibling": SIBLING, "log": log(), "kernel": OPEN,
             "process": ROOT, "release": "6.1.0", "is_live": True, "refused_by": KERNEL, "tools": ("apt",)}  # fmt: skip
    return Case(LOAD, "datadev", "datadev", number, **{**given, **facts})


def unloading(number: int | None, **facts: Any) -> Case:
    given = {"kernel": OPEN, "process": ROOT, "release": "6.1.0", "is_live": True, "state": "live",
             "refused_by": KERNEL}  # fmt: skip
    return Case(UNLOAD, "datadev", "datadev", number, **{**given, **facts})


def asking(**facts: Any) -> Case:
    """A request that was not made yet."""
    given = {"path": PATH, "names": ("datadev",), "file": GOOD, "sibling": SIBLING, "log": log(), "kernel": OPEN,
             "process": ROOT, "release": "6.1.0", "is_live": True}  # fmt: skip
    return Case(LOAD, "datadev", "datadev", None, **{**given, **facts})


def codes(case: Case) -> list[tuple[str, bool]]:
    return [(found.code, found.certain) for found in explain_case(case)]


def symbol(name: str = "other_symbol", **facts: Any) -> NeededSymbol:
    return NeededSymbol(name, **facts)


PROVIDED = symbol(providers=(Provider("base", None),))
FOR_GPL = symbol(providers=(Provider("base", "live"),), gpl_only=True)
UNKNOWN = "datadev: Unknown symbol other_symbol (err -2)"
CLOSED = GOOD.replace(license="Proprietary")

AVC = 'audit: type=1400 audit(1.0:3): avc:  denied  {{ {what} }} for  pid=7 comm="modprobe" {more}'

BY_LOG = [
    ("vermagic", loading(errno.ENOEXEC, log=log(f"datadev: version magic '6.0 SMP' should be '{MAGIC}'"))),
    ("symbol-version", loading(errno.EINVAL, log=log("datadev: disagrees about version of symbol printk",
                                                     "datadev: Unknown symbol printk (err -22)"))),
    ("symbol-version", loading(errno.ENOEXEC, log=log("datadev: disagrees about version of symbol module_layout"))),
    ("symbol-version", loading(errno.EINVAL, log=log("datadev: no symbol version for printk",
                                                     "datadev: Unknown symbol printk (err -22)"))),
    ("unknown-symbol", loading(errno.ENOENT, log=log(UNKNOWN))),
    ("unknown-symbol", loading(errno.ENOENT, log=log(UNKNOWN), symbols=(PROVIDED,))),
    ("unknown-symbol", loading(errno.ENOENT, log=log(UNKNOWN), symbols=(FOR_GPL,), file=CLOSED)),
    ("unknown-symbol", loading(errno.EINVAL, log=log(
        "datadev: module uses symbol (other_symbol) from namespace NS, but does not import it.",
        "datadev: Unknown symbol other_symbol (err -22)"))),
    ("unknown-symbol", loading(errno.EINVAL, log=log(
        "datadev: module uses symbol other_symbol from namespace module:kvm, but does not import it.",
        "datadev: Unknown symbol other_symbol (err -22)"))),
    ("damaged-file", loading(errno.EINVAL, log=log("failed to validate module [datadev] BTF: -22"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log("module: overflow in relocation type 10 val ffffffffc04e4024"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log(
        "module datadev: overflow in relocation type 261 val fffffdfffc000654"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log("Modules: module datadev: unsupported RELA relocation: 512"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log(
        "datadev: section 4 reloc 17 sym 'printk': relocation 28 out of range (0xbf000010 -> 0xc0150000)"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log(
        "datadev: target ffffffff80001000 can not be addressed by the 32-bit offset from PC = 00000000f8a3b6c1"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log(
        "datadev: module is marked as livepatch module, but livepatch support is disabled"))),
    ("unknown-symbol", loading(errno.EPERM, log=log(
        "datadev: module tries to import module namespace: module:kvm"))),
    ("unknown-symbol", loading(errno.ENOENT, log=log(
        "datadev: module using GPL-only symbols uses symbols closed from proprietary module nvidia.",
        "datadev: Unknown symbol closed (err -2)"))),
    ("unknown-symbol", loading(errno.EBUSY, log=log("datadev: gave up waiting for init of module slow.",
                                                    "datadev: Unknown symbol other_symbol (err -16)"))),
    ("duplicate-symbol", loading(errno.ENOEXEC, log=log("datadev: exports duplicate symbol x (owned by kernel)"))),
    ("blacklisted", loading(errno.EPERM, log=log("Module datadev is blacklisted"))),
    ("unsigned", loading(errno.EKEYREJECTED, log=log("Loading of unsigned module is rejected"))),
    ("unknown-key", loading(errno.EKEYREJECTED, file=SIGNED,
                            log=log("Loading of module with unavailable key is rejected"))),
    ("bad-signature", loading(errno.EKEYREJECTED, file=SIGNED,
                              log=log("Loading of module with unsupported crypto is rejected"))),
    ("bad-signature", loading(errno.ENOPKG, log=log("module: not signed with expected PKCS#7 message"))),
    ("bad-signature", loading(errno.ENOPKG, log=log("datadev: not signed with expected PKCS#7 message"))),
    ("lockdown", loading(errno.EPERM, log=log(
        "Lockdown: modprobe: unsigned module loading is restricted; see man kernel_lockdown.7"))),
    ("bad-parameter", loading(errno.EINVAL, log=log("datadev: `x' invalid for parameter `debug'"))),
    ("bad-parameter", loading(errno.ENOSPC, log=log("datadev: `abc' too large for parameter `text'"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log("datadev: module has no symbols (stripped?)"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log("Invalid ELF section name in module (section 3 type 1)"))),
    ("decompression", loading(errno.EINVAL, log=log("module: decompression failed with status 6"))),
    ("no-privilege", loading(errno.EPERM, log=log("LoadPin: kernel-module denied obj=/x pid=1 cmdline=insmod"))),
    ("no-privilege", loading(errno.EPERM, log=log("LoadPin: kernel-module old-api-denied obj=<unknown> pid=1"))),
    ("no-privilege", loading(errno.EACCES, log=log(AVC.format(what="module_load", more="permissive=0")))),
    ("no-privilege", loading(errno.EPERM, log=log(
        AVC.format(what="integrity", more='lockdown_reason="unsigned module loading" permissive=0')))),
    ("no-privilege", loading(errno.EACCES, log=log(
        'audit: type=1800 audit(1.0:1): pid=1 uid=0 op="appraise_data" cause="missing-hash" name="/x.ko" res=0'))),
    ("no-privilege", loading(errno.EACCES, log=log(
        "impossible to appraise a module without a file descriptor. sig_enforce kernel parameter might help"))),
    ("lockdown", loading(errno.EPERM, log=log("Lockdown: Loading of unsigned modules is restricted"))),
    ("unknown-key", loading(errno.ENOKEY, log=log("Request for unknown module key 'A: 1a2b' err -11"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log("module: Invalid ELF header magic: != ELF"))),
    ("damaged-file", loading(errno.ENOEXEC, log=log(
        "x86/modules: Skipping invalid relocation target, existing value is nonzero for type 1, loc 1, val 2"))),
    ("no-memory", loading(errno.ENOMEM, log=log(
        "vmap allocation for size 13467648 failed: use vmalloc=<size> to increase size",
        "insmod: vmalloc error: size 13463552, vm_struct allocation failed, mode:0xcc0(GFP_KERNEL)"))),
    ("no-memory", loading(errno.ENOMEM, log=log("insmod: vmalloc: allocation failure: 425984 bytes, mode:0x14"))),
    ("no-memory", loading(errno.ENOMEM, log=log("percpu: allocation failed, size=1024 align=64 atomic=0",
                                                "datadev: Could not allocate 1024 bytes percpu data"))),
]  # fmt: skip

FROM_FILES = [
    ("vermagic", True, loading(errno.ENOEXEC, file=GOOD.replace(vermagic="5.0 SMP mod_unload"))),
    ("vermagic", True, loading(errno.ENOEXEC, file=GOOD.replace(vermagic="5.0 SMP", versions=()), sibling=None)),
    ("symbol-version", True,
     loading(errno.ENOEXEC, sibling=SIBLING.replace(versions=(Symbol("module_layout", 8),)))),
    ("symbol-version", True,
     loading(errno.EINVAL, symbols=(symbol(crc=9, providers=(Provider("base", "live"),)),))),
    ("unknown-symbol", True, loading(errno.ENOENT, symbols=(PROVIDED,))),
    ("unknown-symbol", True, loading(errno.ENOENT, symbols=(symbol(in_kernel=False),))),
    ("unknown-symbol", True, loading(errno.ENOENT, symbols=(FOR_GPL,), file=CLOSED)),
    ("duplicate-symbol", True, loading(errno.ENOEXEC, file=GOOD.replace(exports=(Symbol("x", 1),)),
                                       symbols=(symbol("x", providers=(Provider("base", "live"),)),))),
    ("blacklisted", True, loading(errno.EPERM, kernel=OPEN.replace(module_blacklist=("datadev",)))),
    ("modules-disabled", True, loading(errno.EPERM, kernel=OPEN.replace(modules_disabled=True))),
    ("modules-disabled", True, loading(errno.ENOSYS, takes_modules=False)),
    ("init-failed", False, loading(errno.ENOSYS, takes_modules=True)),
    ("no-privilege", True, loading(errno.EPERM, process=USER)),
    ("no-privilege", True, loading(errno.EPERM, process=ROOT.replace(in_user_namespace=True))),
    ("no-privilege", True, unloading(errno.EPERM, process=USER)),
    ("modules-disabled", True, unloading(errno.EPERM, kernel=OPEN.replace(modules_disabled=True))),
    ("lockdown", True, loading(errno.EPERM, kernel=OPEN.replace(lockdown="integrity"))),
    ("unsigned", True, loading(errno.EKEYREJECTED, kernel=OPEN.replace(sig_enforce=True))),
    ("unsigned", True, loading(errno.ENOKEY)),
    ("unknown-key", True, loading(errno.ENOKEY, file=SIGNED)),
    ("bad-signature", True, loading(errno.EKEYREJECTED, file=SIGNED)),
    ("bad-signature", True, loading(errno.EBADMSG, file=GOOD.replace(bad_signature="larger than its file"))),
    ("bad-parameter", True, loading(errno.EINVAL, parameters=("debug=x",))),
    ("bad-parameter", True, loading(errno.ERANGE, parameters=("debug=99999999999",))),
    ("damaged-file", True, loading(errno.EINVAL, file=ModuleReading(PATH, "empty", "the file is empty"))),
    ("damaged-file", True, loading(errno.ENOEXEC, file=ModuleReading(PATH, "damaged", "not an ELF file"))),
    ("damaged-file", True, loading(errno.ENOEXEC, file=GOOD.replace(machine=183))),
    ("decompression", True, loading(errno.EINVAL, refused_by=FILE,
                                    file=ModuleReading(PATH, "damaged-compression", "xz: Unexpected end of input"))),
    ("decompression", True, loading(errno.ENOSYS, refused_by=FILE,
                                    file=ModuleReading(PATH, "no-library", "zstd: install python3-zstandard"))),
    ("already-loaded", True, loading(errno.EEXIST, state="live")),
    ("no-device", False, loading(errno.ENODEV, devices=(DEVICE,))),
    ("init-failed", True, loading(errno.EIO)),
    ("init-failed", True, loading(errno.ENODEV)),
    ("init-failed", False, loading(errno.EINVAL)),
    ("in-use", True, unloading(errno.EAGAIN, holders=("other",), refcount=1)),
    ("in-use", True, unloading(errno.EAGAIN, refcount=2)),
    ("in-use", True, unloading(errno.EBUSY, state="going")),
    ("permanent", True, unloading(errno.EBUSY, permanent=True, refcount=0)),
    ("permanent", True, unloading(errno.EPERM, state=None, builtin=True)),
    ("permanent", True, unloading(errno.ENOSYS, refcount=None)),
    ("not-found", True, unloading(errno.ENOENT, state=None)),
    ("not-found", True, loading(errno.ENOENT, refused_by=LOOKUP, file=None,
                                tree=Tree("/lib/modules/6.1.0", True, True))),
    ("not-found", True, loading(errno.ENOENT, refused_by=FILE)),
    ("refused-dependency", True,
     loading(errno.EINVAL, refused_by=COMMAND, install=RULE, command="/bin/false", status=1)),
    ("denied", True, loading(errno.EPERM, refused_by=COMMAND, denied_by=RULE, denial="not used here")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "case"), BY_LOG, ids=[f"{n}-{row[0]}" for n, row in enumerate(BY_LOG)])
def test_recognized_by_the_log(code: str, case: Case) -> None:
    assert codes(case) == [(code, True)]
    (found,) = explain_case(case)
    assert found.evidence[0].source in ("kernel log", PATH)
    assert found.errno == case.errno


@pytest.mark.parametrize(
    ("code", "certain", "case"), FROM_FILES, ids=[f"{n}-{row[0]}" for n, row in enumerate(FROM_FILES)]
)
def test_recognized_without_the_log(code: str, certain: bool, case: Case) -> None:
    for read in (case, case.replace(log=UNREADABLE)):
        found = codes(read)
        assert (code, certain) in found, found
        if certain:
            assert found == [(code, True)]


FORESEEN = [
    ("denied", asking(denied_by=RULE, denial=None)),
    ("refused-dependency", asking(install=RULE)),
    ("refused-dependency", asking(dependencies=(Dependency("base", "/x/base.ko", True, None, RULE),))),
    ("not-found", asking(dependencies=(Dependency("base", "/x/base.ko", False, None),))),
    ("blacklisted", asking(by_alias=True, blacklisted=RULE)),
    ("blacklisted", asking(kernel=OPEN.replace(module_blacklist=("datadev",)))),
    ("modules-disabled", asking(kernel=OPEN.replace(modules_disabled=True))),
    ("modules-disabled", asking(takes_modules=False)),
    ("no-privilege", asking(process=USER)),
    ("lockdown", asking(kernel=OPEN.replace(lockdown="integrity"))),
    ("unsigned", asking(kernel=OPEN.replace(sig_enforce=True))),
    ("decompression", asking(file=ModuleReading(PATH, "damaged-compression", "zstd: Src size is incorrect"))),
    ("damaged-file", asking(file=ModuleReading(PATH, "damaged", "not an ELF file"))),
    ("vermagic", asking(file=GOOD.replace(vermagic="5.0 SMP"))),
    ("symbol-version", asking(sibling=SIBLING.replace(versions=(Symbol("module_layout", 8),)))),
    ("unknown-symbol", asking(symbols=(symbol(in_kernel=False),))),
    ("bad-parameter", asking(parameters=("on=perhaps",))),
    ("unknown-parameter", asking(parameters=("speed=1",))),
    ("already-loaded", asking(state="live", parameters=("debug=1",), live_parameters=FrozenDict({"debug": "0"}))),
    ("not-found", asking(file=None, tree=Tree("/lib/modules/6.1.0", True, True, similar=("datadev2",)))),
    ("not-found", asking(file=ModuleReading(PATH, "missing", "No such file or directory"))),
]  # fmt: skip


@pytest.mark.parametrize(("code", "case"), FORESEEN, ids=[f"{n}-{row[0]}" for n, row in enumerate(FORESEEN)])
def test_foreseen(code: str, case: Case) -> None:
    assert [found for found, _ in codes(case)] == [code]


def test_every_code_is_provoked_here_and_described() -> None:
    known = {cause.code for cause in CAUSES}
    rows: list[tuple[Any, ...]] = [*BY_LOG, *FROM_FILES, *FORESEEN]
    assert {row[0] for row in rows} == known
    headings = [line.removeprefix("### ") for line in (REPO / "docs/explain.md").read_text().splitlines()
                if line.startswith("### ")]  # fmt: skip
    assert headings == [cause.code for cause in CAUSES]


# --- two causes, and none


def test_two_causes_that_both_fit_are_both_shown_and_neither_is_certain() -> None:
    both = loading(errno.EPERM, process=USER, kernel=OPEN.replace(modules_disabled=True))
    assert codes(both) == [("modules-disabled", False), ("no-privilege", False)]
    signed = loading(errno.EKEYREJECTED, file=SIGNED, kernel=OPEN.replace(sig_enforce=True))
    assert codes(signed) == [("unknown-key", False), ("bad-signature", False)]
    given = loading(errno.EIO, parameters=("debug=1",))
    assert codes(given) == [("init-failed", True)] and codes(given.replace(log=UNREADABLE)) == [("init-failed", False)]
    nothing = loading(errno.ENODEV, devices=())
    assert codes(nothing) == [("no-device", False), ("init-failed", False)]


def test_what_the_log_says_goes_before_what_files_show() -> None:
    case = loading(errno.ENOEXEC, file=GOOD.replace(vermagic="5.0 SMP"),
                   log=log("datadev: disagrees about version of symbol module_layout"))  # fmt: skip
    assert codes(case) == [("symbol-version", True)]
    assert codes(case.replace(log=log())) == [("vermagic", True)]


def merged(one: Case, other: Case) -> Case | None:
    """Return a failure with what shows the causes of both, None where they cannot be there at the same time."""
    plain = loading(0) if one.action == LOAD else unloading(0)
    facts: dict[str, Any] = {}
    for name in Case.__match_args__:
        left, right, usual = (getattr(case, name) for case in (one, other, plain))
        if name == "log" and not (left.problem or right.problem):
            facts[name] = left.replace(records=(*left.records, *right.records))
        elif name in ("symbols", "dependencies", "parameters", "options"):
            facts[name] = tuple(dict.fromkeys((*left, *right)))
        elif left != right and (name in ("action", "refused_by", "errno") or usual not in (left, right)):
            return None
        else:
            facts[name] = right if left == usual else left
    return Case(**facts)


def pairs() -> list[tuple[str, str, Case]]:
    rows = [*BY_LOG, *[(code, case) for code, _, case in FROM_FILES]]
    found = [(code, other, merged(case, more)) for (code, case), (other, more) in combinations(rows, 2)]
    return [(code, other, case) for code, other, case in found if code != other and case]


TOGETHER = {"symbol-version", "unknown-symbol"}


def test_no_two_causes_present_at_the_same_time_are_both_certain() -> None:
    """But for what the loader itself says of one attempt: that a symbol is unknown, and another has another version."""
    found = [(code, other, {cause for cause, certain in codes(case) if certain}) for code, other, case in pairs()]
    assert len(found) > 150
    assert not [row for row in found if len(row[2]) > 1 and row[2] != TOGETHER]


NAMELESS = [(code, case) for code, case in BY_LOG if not any("datadev" in line.text for line in case.log.records)]


@pytest.mark.parametrize(("code", "case"), NAMELESS, ids=[f"{n}-{row[0]}" for n, row in enumerate(NAMELESS)])
def test_a_line_that_names_no_module_is_certain_only_of_the_one_attempt(code: str, case: Case) -> None:
    """Two such lines at different times are of two attempts, unless both came after the call."""
    lines = case.log.records
    twice = case.log.replace(records=(*lines, *(LogRecord(1.5, line.text) for line in lines)))
    assert (code, True) in codes(case)
    assert (code, True) not in codes(case.replace(log=twice)) or (code, True) in codes(case.replace(log=log()))
    assert codes(case.replace(log=twice.replace(is_since_call=True))) == [(code, True)]


def test_a_vmalloc_failure_of_somebody_else_is_no_certain_cause() -> None:
    lines = ["vmap allocation for size 1052672 failed: use vmalloc=<size>", "insmod: vmalloc error: size 1048576"]
    once = log(*lines)
    assert codes(loading(errno.ENOMEM, log=once)) == [("no-memory", True)]
    later = once.replace(records=(LogRecord(0.4, "udevd: vmalloc error: size 4096"), *once.records))
    assert codes(loading(errno.ENOMEM, log=later)) == [("no-memory", False), ("init-failed", False)]


OTHERS = "other: Unknown symbol x (err -2)"
HARMLESS_LOG = log(
    "datadev: loading out-of-tree module taints kernel.",
    "datadev: module verification failed: signature and/or required key missing - tainting kernel",
    OTHERS,
    "other: version magic 'a' should be 'b'",
    "other: exports duplicate symbol x (owned by kernel)",
    "Module other is blacklisted",
    "usb 1-1: new high-speed USB device",
    "audit: type=1400 audit(1.0:2): apparmor=\"DENIED\" operation=\"open\" name=\"/lib/modules\"",
    "Lockdown: systemd: hibernation is restricted; see man kernel_lockdown.7",
    "datadev2: Unknown symbol x (err -2)",
    "I saw: datadev: version magic 'a' should be 'b'",
    AVC.format(what="module_load", more="permissive=1"),
    "other: Could not allocate 8 bytes percpu data",
)  # fmt: skip

HARMLESS: list[Case] = [
    *[asking(**facts) for facts in (
        {}, {"log": HARMLESS_LOG}, {"state": "live"}, {"builtin": True, "file": None}, {"parameters": ("debug=1",)},
        {"parameters": ("on",)}, {"parameters": ("on=Y debug=0x10 names=a,b",)}, {"parameters": ("debug=-1 -- x=y",)},
        {"parameters": ("dyndbg=+p",)}, {"blacklisted": RULE}, {"kernel": KernelFacts(None, None, None, None)},
        {"process": ROOT.replace(container="/.dockerenv")}, {"process": ROOT.replace(filtered=True)},
        {"file": SIGNED}, {"file": SIGNED, "kernel": OPEN.replace(sig_enforce=True)},
        {"file": SIGNED, "kernel": OPEN.replace(lockdown="integrity")}, {"symbols": (PROVIDED,)},
        {"symbols": (symbol(in_kernel=True),)}, {"symbols": (symbol(in_kernel=None),)},
        {"symbols": (symbol(in_kernel=True, gpl_only=True),)}, {"sibling": None},
        {"dependencies": (Dependency("base", "/x", True, None),)},
        {"dependencies": (Dependency("b", "/x", False, "live"),)},
        {"dependencies": (Dependency("base", "/x", True, "live", RULE),)}, {"process": ProcessFacts(*[None] * 6)},
        {"file": GOOD.replace(vermagic=MAGIC.replace("6.1.0", "6.1.1"))}, {"log": UNREADABLE}, {"is_live": False},
        {"state": "live", "parameters": (), "install": RULE}, {"devices": ()},
    )],
    *[loading(number, log=HARMLESS_LOG, **facts) for number, facts in (
        (errno.EPERM, {}), (errno.EPERM, {"kernel": OPEN.replace(module_blacklist=("other",))}), (errno.ENOENT, {}),
        (errno.ENOEXEC, {}), (errno.EKEYREJECTED, {}), (errno.EEXIST, {}), (errno.EINVAL, {}), (errno.ENOMEM, {}),
        (errno.EBUSY, {}), (errno.EFAULT, {}), (errno.EINTR, {}), (errno.ENOENT, {"file": None}),
        (errno.ENOENT, {"symbols": (symbol(in_kernel=True),)}), (errno.ENOENT, {"symbols": (symbol(in_kernel=None),)}),
        (errno.EINVAL, {"parameters": ("debug=1 on=n",)}), (errno.EINVAL, {"parameters": ("speed=1",)}),
        (errno.EINVAL, {"symbols": (symbol(crc=2, providers=(Provider("base", "live"),)),)}),
        (errno.ENOEXEC, {"sibling": None}),
    )],
    *[unloading(number, **facts) for number, facts in (
        (None, {"refused_by": "nobody"}), (None, {"refused_by": "nobody", "refcount": 0}), (errno.EPERM, {}),
        (errno.EBUSY, {"permanent": False}), (errno.EINTR, {}),
    )],
]  # fmt: skip


@pytest.mark.parametrize("case", HARMLESS, ids=range(len(HARMLESS)))
def test_nothing_is_invented(case: Case) -> None:
    """Where nothing shows a cause there is none; that an init function may have failed is said as what it is."""
    assert [found for found in explain_case(case) if found.code != "init-failed"] == []
    assert not any(found.certain for found in explain_case(case))


def test_there_are_enough_harmless_situations() -> None:
    assert len(HARMLESS) >= 50


# --- texts


def one(case: Case) -> Explanation:
    (found,) = explain_case(case)
    return found


def test_who_signed_it_is_evidence() -> None:
    found = one(loading(errno.EKEYREJECTED, file=SIGNED))
    assert found.code == "bad-signature"
    assert found.evidence[0] == Evidence(PATH, "signer Somebody, key 01:02")


@pytest.mark.parametrize(
    ("similar", "more"),
    [((), ""), (("datadev2",), "; datadev2 resembles it"), (("datadev2", "data"), "; similar: datadev2, data")],
)
def test_what_a_module_that_is_not_loaded_may_be_instead(similar: tuple[str, ...], more: str) -> None:
    tree = Tree("/lib/modules/6.1.0", True, True, similar=similar)
    found = one(unloading(errno.ENOENT, state=None, tree=tree))
    assert found.text == f"no module datadev is loaded{more}"


def test_a_file_that_only_the_index_has_is_shown_with_its_path() -> None:
    tree = Tree("/lib/modules/6.1.0", True, True)
    found = one(loading(errno.ENOENT, refused_by=FILE, file=None, tree=tree))
    assert found.text.startswith("the index lists a file of datadev") and found.evidence[0].source == PATH


@pytest.mark.parametrize("is_running", [True, False])
def test_a_container_is_no_reason_for_another_kernel_to_lack_modules(is_running: bool) -> None:
    tree = Tree("/lib/modules/6.1.0", False, False, is_running=is_running)
    process = ROOT.replace(container="/run/.containerenv")
    found = one(asking(path=None, file=None, tree=tree, process=process))
    assert ("outside of this container" in found.text) == is_running


def test_which_symbol_and_why() -> None:
    assert "which is not loaded" in one(loading(errno.ENOENT, log=log(UNKNOWN), symbols=(PROVIDED,))).text
    denied = symbol(providers=(Provider("base", None, RULE),))
    found = one(loading(errno.ENOENT, log=log(UNKNOWN), symbols=(denied,)))
    assert "base, which a rule keeps out" in found.text and found.evidence[1].source == RULE.origin
    assert "for GPL modules only" in one(loading(errno.ENOENT, log=log(UNKNOWN), symbols=(FOR_GPL,), file=CLOSED)).text
    assert "neither the kernel" in one(loading(errno.ENOENT, log=log(UNKNOWN), symbols=(symbol(in_kernel=False),))).text
    allowed = "datadev: module uses symbol (x) from namespace module:kvm,vfio, but does not import it."
    for namespace, wrong in (("NS", False), ("module:kvm", True)):  # a list of modules cannot be imported
        importing = GOOD.replace(imports=(namespace,))
        causes = explain_case(loading(errno.EINVAL, symbols=(symbol(namespace=namespace),), file=importing))
        assert any("other_symbol" in cause.text for cause in causes) == wrong
    assert "for the modules kvm,vfio alone" in one(loading(errno.EINVAL, log=log(allowed))).text


def test_parameters_that_were_not_applied() -> None:
    case = asking(state="live", parameters=("debug=1 on=1",), live_parameters=FrozenDict({"debug": "0", "on": "Y"}))
    found = one(case)
    assert "(debug is 0)" in found.text
    assert found.next == ("modprobe -r datadev && modprobe datadev debug=1 on=1",)


def test_an_answer_that_the_loader_does_not_give_is_of_another_attempt() -> None:
    stale = log("datadev: disagrees about version of symbol module_layout")
    assert codes(loading(errno.EINVAL, log=stale)) == []
    assert codes(loading(errno.ENOEXEC, log=log("datadev: disagrees about version of symbol printk"))) == []


def test_the_last_value_that_was_refused_counts() -> None:
    lines = log("datadev: `x' invalid for parameter `debug'", "datadev: `-1' invalid for parameter `speed'")
    assert one(loading(errno.EINVAL, log=lines)).text == "'-1' is no value for the parameter speed"


def test_parameters_of_the_configuration_are_named_with_their_place() -> None:
    rule = Place("/etc/modprobe.d/o.conf", 2, "options datadev debug=x on=1")
    found = one(asking(options=(rule,)))
    assert (found.code, found.evidence[0].source) == ("bad-parameter", "/etc/modprobe.d/o.conf:2")
    said = loading(errno.EINVAL, options=(rule,), log=log("datadev: `x' invalid for parameter `debug'"))
    assert one(said).evidence[1].source == "/etc/modprobe.d/o.conf:2"
    other = Place("/etc/modprobe.d/o.conf", 3, "options datadev speed=9")
    assert one(asking(options=(other,))).evidence[0].text == other.text


def test_what_helps_on_this_system() -> None:
    old = GOOD.replace(vermagic="5.0 SMP")
    case = loading(errno.ENOEXEC, file=old, owners=(("dkms", "datadev/1.2"),), tools=("dkms",))
    assert one(case).next == ("dkms install --force datadev/1.2 -k 6.1.0",)
    assert one(case.replace(owners=(("package", "linux-image-6.1.0"),), tools=("apt",))).next == (
        "apt install --reinstall linux-image-6.1.0",)  # fmt: skip
    unsigned = loading(errno.EKEYREJECTED, kernel=OPEN.replace(sig_enforce=True), tools=("mokutil",), keys=("/k.der",))
    assert one(unsigned).next[1:] == ("mokutil --import /k.der",)
    gone = loading(errno.ENOENT, refused_by=LOOKUP, file=None,
                   tree=Tree("/lib/modules/6.1.0", False, False, releases=("6.1.9",)))  # fmt: skip
    assert one(gone).next == ("reboot",)
    boxed = gone.replace(process=ROOT.replace(container="/.dockerenv"))
    assert one(boxed).next == ("modprobe datadev  # on the host",)
    typed = gone.replace(tree=Tree("/lib/modules/6.1.0", True, True, similar=("datadev2",)))
    assert one(typed).next == ("modprobe datadev2",)
    assert one(typed.replace(tree=typed.tree and typed.tree.replace(is_running=False))).next == ()


@pytest.mark.parametrize(
    ("release", "tool", "steps"),
    [
        ("6.8.0-31-generic", "apt", ["apt install linux-modules-extra-6.8.0-31-generic"]),
        ("6.8.0-1009-aws", "apt", ["apt install linux-modules-extra-6.8.0-1009-aws"]),
        ("6.1.0-56-cloud-amd64", "apt", ["apt install linux-image-amd64", "reboot"]),
        ("6.1.0-56-amd64", "apt", []),
        ("6.14.0-63.fc42.x86_64", "dnf", ["dnf install kernel-modules-extra-6.14.0-63.fc42.x86_64"]),
        ("5.14.0-570.el9.aarch64+64k", "dnf", ["dnf install kernel-64k-modules-extra-5.14.0-570.el9.aarch64"]),
        ("6.14.0-63.fc42.x86_64", "apt", []),
        ("6.8.0-31-generic", "dnf", []),
    ],
)
def test_a_kernel_with_split_packages_may_have_it_in_another(release: str, tool: str, steps: list[str]) -> None:
    case = loading(errno.ENOENT, refused_by=LOOKUP, file=None, release=release, tools=(tool,),
                   tree=Tree(f"/lib/modules/{release}", True, True))  # fmt: skip
    assert list(one(case).next) == steps


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("kvm_intel", "kvm: disabled by bios"), ("nvidia", "NVRM: No NVIDIA GPU found."),
        ("pcspkr", "Error: Driver 'pcspkr' is already registered, aborting..."),
        ("rtl_8812", "usbcore: error -17 registering interface driver rtl-8812"),
    ],
)  # fmt: skip
def test_lines_that_name_the_module_are_evidence_where_it_says_nothing_itself(name: str, line: str) -> None:
    given = loading(errno.EIO, log=log("usb 1-1: new device", "kvmx: no", line, f"{name}2: no")).replace(
        module=name, names=()
    )
    assert [evidence.text for evidence in one(given).evidence] == [line]


def test_words_of_the_driver_are_evidence() -> None:
    found = one(loading(errno.EIO, log=log("datadev 0000:01:00.0: firmware is missing", "datadev: giving up", OTHERS)))
    assert [evidence.text for evidence in found.evidence] == [
        "datadev 0000:01:00.0: firmware is missing", "datadev: giving up"]  # fmt: skip


def test_parameters_are_split_as_the_kernel_does() -> None:
    assert split_parameters('a=1 b="x y"  c') == [("a", "1"), ("b", "x y"), ("c", None)]


@pytest.mark.parametrize("name", ["x; reboot", "$(reboot)", "a|b", "a&&b", "x\ny", "`x`", "\x1b[2J"])
def test_commands_are_safe_to_paste(name: str) -> None:
    case = loading(errno.ENOENT, refused_by=LOOKUP, file=None,
                   tree=Tree("/lib/modules/6.1.0", True, True, similar=(name,)))  # fmt: skip
    assert one(case).next == (f"modprobe {word(name)}",)
    assert one(loading(errno.EIO, log=log("datadev: x"))).next == ("dmesg | grep datadev",)


@pytest.mark.parametrize(
    ("asked", "path", "by_path"),
    [
        ("/tmp/x.ko", "/tmp/x.ko", True),
        ("./x", "/tmp/./x", True),
        ("build/x.ko", None, True),
        ("build/x", "build/x", True),  # insmod takes a file of any name
        ("tun", "/lib/modules/6.1.0/tun.ko", False),
        ("devname:net/tun", "/lib/modules/6.1.0/tun.ko", False),
        ("devname:net/tun", None, False),
    ],
)
def test_an_alias_with_a_slash_is_no_path(asked: str, path: str | None, by_path: bool) -> None:
    assert Case(LOAD, asked, "x", path=path).by_path is by_path
