# SPDX-License-Identifier: LGPL-2.1-or-later
"""explain: what is collected about errors and requests, on a forged system with its own log; the verb and its text."""

from __future__ import annotations

import errno
import json
import os
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pymodutils
from pymodutils import (
    CommandError,
    Context,
    DeniedError,
    Explanation,
    InsertError,
    MissingTreeError,
    NotFoundError,
    RemoveError,
    Roots,
    explain,
)
from pymodutils.formats.kernellog import LogRecord, parse_kmsg, parse_log_text
from pymodutils.state import kernellog
from pymodutils.state.kernellog import KernelLog
from pymodutils.state.processfacts import NOT_KNOWN
from pymodutils.verbs import collect
from tests.support.common import replace_call, run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, lay_kernel, needing
from tests.support.koforge import Ko, pkcs7, signature
from tests.support.schemas import check_document

MAGIC = f"vermagic={RELEASE} SMP mod_unload modversions "
KERNEL = 0x11


def module(name: str, *others: str, strings: tuple[str, ...] = (), **more: Any) -> Ko:
    ko = needing(name, *others, strings=(MAGIC, *strings))
    ko.first_versions = {"module_layout": KERNEL}
    for key, value in more.items():
        setattr(ko, key, value)
    return ko


MODULES = {
    "aaa": module("aaa"),
    "base": module("base", namespaces={"base_symbol": ""}, gpl={"base_symbol"}),
    "top": module("top", "base", strings=("parmtype=speed:int", "alias=pci:v00001234d*")),
    "closed": module("closed", "base"),
    "old": module("old"),
    "signed": module("signed", trailer=signature(pkcs7())),
}
MODULES["closed"].modinfo = [MAGIC, "license=Proprietary", "name=closed"]
MODULES["old"].modinfo = ["vermagic=5.10.0 SMP mod_unload modversions ", "license=GPL", "name=old"]
MODULES["old"].first_versions = {"module_layout": 0x22}

STATUS = "Name:\tx\nCapEff:\t{cap}\nSeccomp:\t{seccomp}\n"
FILES: dict[str, str | bytes] = {
    "proc/self/status": STATUS.format(cap="000001ffffffffff", seccomp="0"),
    "proc/self/uid_map": "         0          0 4294967295\n",
    "proc/sys/kernel/modules_disabled": "0\n",
    "proc/cmdline": "quiet\n",
    "proc/kallsyms": "0 T start\n0 D data\n0 r __ksymtab_printk\n",
    "sys/module/module/parameters/sig_enforce": "N\n",
    "sys/kernel/security/lockdown": "[none] integrity confidentiality\n",
}


class Log:
    """The kernel's log as tests have it."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, str]] = []
        self.problem: str | None = None

    def say(self, *lines: str, ago: float = 0.1) -> None:
        self.lines += [(time.monotonic() - ago, line) for line in lines]

    def read(self, _position: int | None = None) -> KernelLog:
        if self.problem:
            return KernelLog((), self.problem)
        return KernelLog(tuple(LogRecord(*line) for line in self.lines))


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()
    monkeypatch.setattr(collect, "read_kernel_log", made.read)
    return made


@pytest.fixture
def roots(tmp_path: Path, log: Log) -> Roots:
    return forge_system(tmp_path, MODULES, builtin=["inside"], files=FILES, loaded={})


def refusal(roots: Roots, name: str, number: int) -> InsertError:
    error = InsertError("refused", module=name, path=f"{roots.modules}/kernel/{name}.ko", errno=number)
    error.when = time.monotonic()
    return error


def of_error(roots: Roots, error: pymodutils.Error, **named: Any) -> list[Explanation]:
    return list(explain(Context(roots), error, **named).explanations)


def one(roots: Roots, error: pymodutils.Error, **named: Any) -> Explanation:
    (found,) = of_error(roots, error, **named)
    return found


# --- the log


def test_records_of_dev_kmsg() -> None:
    assert parse_kmsg(b"6,339,5140900,-;NET: family 10\n SUBSYSTEM=x\n") == [LogRecord(5.1409, "NET: family 10")]
    assert parse_kmsg(b"6,1,2000000,-,caller=T1;a\\x0ab \\xc3\\xa4 \\xzz\n") == [
        LogRecord(2.0, "a"), LogRecord(2.0, "b \xe4 \\xzz")]  # fmt: skip
    assert parse_kmsg(b"nonsense") == parse_kmsg(b"1,2;x") == []


def test_text_of_syslog() -> None:
    text = b"<6>[    1.500000] a: b\n<4>no time\n<6>[    2.000000][  T12] c\n"
    assert parse_log_text(text) == [LogRecord(1.5, "a: b"), LogRecord(None, "no time"), LogRecord(2.0, "c")]


@pytest.mark.parametrize(
    "answers", [[errno.EAGAIN], [errno.EPIPE, b"6,1,1000000,-;x\n", errno.EAGAIN], [errno.EIO], [b""]]
)
def test_a_log_that_loses_records_or_ends(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> None:
    def read(_fd: int, _size: int) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, int):
            raise OSError(answer, os.strerror(answer))
        return bytes(answer)

    number = len(answers)
    replace_call(monkeypatch, "read", read)
    found = kernellog.read_kernel_log(99)
    assert (found.lost, len(found.records)) == ((True, 1) if number == 3 else (False, 0))


def test_a_log_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    from pymodutils import querycalls

    def refuse() -> bytes:
        raise PermissionError(errno.EPERM, "no")

    monkeypatch.setattr(kernellog, "KMSG", "/nonexistent/kmsg")
    monkeypatch.setattr(querycalls, "read_kernel_log", refuse)
    assert "dmesg_restrict" in (kernellog.read_kernel_log().problem or "")
    monkeypatch.setattr(querycalls, "read_kernel_log", lambda: b"<6>[ 1.0] x\n")
    assert kernellog.read_kernel_log() == KernelLog((LogRecord(1.0, "x"),))


# --- errors of the kernel


def test_vermagic(roots: Roots, log: Log) -> None:
    log.say(f"old: version magic '5.10.0 SMP mod_unload modversions ' should be '{RELEASE} SMP'")
    found = one(roots, refusal(roots, "old", errno.ENOEXEC))
    assert (found.code, found.certain, found.module, found.errno) == ("vermagic", True, "old", errno.ENOEXEC)
    build = f"make -C /lib/modules/{RELEASE}/build M=$PWD modules  # in the directory of its source"
    assert found.next == (build,)
    assert "built for 5.10.0" in found.text


def test_from_files_alone(roots: Roots, log: Log) -> None:
    log.problem = "not for you"
    report = explain(Context(roots), refusal(roots, "old", errno.ENOEXEC))
    assert [(found.code, found.certain) for found in report.explanations] == [("symbol-version", True)]
    assert (report.log_read, report.log_problem) == (False, "not for you")


def test_records_of_another_time_or_module_do_not_count(roots: Roots, log: Log) -> None:
    log.say("top: Unknown symbol base_symbol (err -2)", ago=3600)
    log.say("other: Unknown symbol base_symbol (err -2)")
    error = refusal(roots, "top", errno.ENOENT)
    assert [(found.code, found.certain) for found in of_error(roots, error)] == [("init-failed", False)]
    log.problem = "not for you"
    found = one(roots, error)
    assert found.evidence[0].source != "kernel log"
    assert found.text == "base_symbol: exported by base, which is not loaded"
    assert found.next[0] == f"depmod {RELEASE}"


def test_of_several_attempts_the_last_counts(roots: Roots, log: Log) -> None:
    log.say("old: version magic 'a' should be 'b'", ago=2)
    log.say("old: disagrees about version of symbol module_layout", "usb: something else", ago=0.2)
    assert one(roots, refusal(roots, "old", errno.ENOEXEC)).code == "symbol-version"


def test_an_unknown_symbol_of_insmod(roots: Roots, log: Log) -> None:
    log.say("top: Unknown symbol base_symbol (err -2)")
    found = one(roots, refusal(roots, "top", errno.ENOENT), asked="./top.ko")
    assert found.next == ("modprobe base", "insmod ./top.ko")


def test_a_provider_that_a_rule_keeps_out(roots: Roots, log: Log) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": "# no\ninstall base /bin/true\n"})
    log.say("top: Unknown symbol base_symbol (err -2)")
    found = one(roots, refusal(roots, "top", errno.ENOENT))
    assert "which a rule keeps out" in found.text
    assert found.evidence[1].source.endswith("etc/modprobe.d/x.conf:2")


def test_a_symbol_for_gpl_modules(tmp_path: Path, log: Log) -> None:
    roots = forge_system(tmp_path, MODULES, files=FILES, loaded={"base": "0 - Live 0x0"})
    log.say("closed: Unknown symbol base_symbol (err -2)")
    assert "for GPL modules only" in one(roots, refusal(roots, "closed", errno.ENOENT)).text


def test_no_device_and_another_driver(roots: Roots) -> None:
    lay_files(Path(roots.base), {"sys/devices/pci0/modalias": "pci:v00001234d00000001\n"})
    found = of_error(roots, refusal(roots, "top", errno.ENODEV))
    assert [(cause.code, cause.certain) for cause in found] == [("init-failed", True)]
    lay_files(Path(roots.base), {"sys/devices/pci0/driver": "-> ../drivers/nouveau",
                                 "sys/devices/drivers/nouveau/module": "-> ../../../module/nouveau"})  # fmt: skip
    found = of_error(roots, refusal(roots, "top", errno.ENODEV))
    assert [(cause.code, cause.certain) for cause in found] == [("no-device", False), ("init-failed", False)]
    assert "the driver nouveau has the device" in found[0].text
    Path(roots.base, "sys/devices/pci0/modalias").write_text("pci:v00009999d1\n")
    assert "no device here fits" in of_error(roots, refusal(roots, "top", errno.ENODEV))[0].text


def test_privileges(roots: Roots) -> None:
    lay_files(Path(roots.base), {"proc/self/status": STATUS.format(cap="0", seccomp="2")})
    found = one(roots, refusal(roots, "top", errno.EPERM))
    assert (found.code, found.certain) == ("no-privilege", True)
    lay_files(Path(roots.base), {"proc/self/status": STATUS.format(cap="1ffffffffff", seccomp="2")})
    assert {cause.code: cause.certain for cause in of_error(roots, refusal(roots, "top", errno.EPERM))} == {
        "no-privilege": False, "init-failed": False}  # fmt: skip


def test_signatures(roots: Roots) -> None:
    found = one(roots, refusal(roots, "signed", errno.EKEYREJECTED))
    assert (found.code, found.certain) == ("bad-signature", True)
    lay_files(Path(roots.base), {"sys/module/module/parameters/sig_enforce": "Y\n"})
    assert one(roots, refusal(roots, "top", errno.EKEYREJECTED)).code == "unsigned"


def test_what_dkms_built(roots: Roots, log: Log) -> None:
    base = Path(roots.base)
    path = base / "lib/modules" / RELEASE / "updates/dkms/old.ko"
    MODULES["old"].write(path)
    folder = f"var/lib/dkms/old/1.0/{RELEASE}/x86_64/module/old.ko.xz"
    lay_files(base, {folder: "", "usr/sbin/dkms": ""})
    (base / "usr/sbin/dkms").chmod(0o755)
    error = InsertError("x", module="old", path=str(path), errno=errno.ENOEXEC)
    assert one(roots, error).next == (f"dkms install --force old/1.0 -k {RELEASE}",)


# --- other errors


def test_errors_explain_themselves(roots: Roots) -> None:
    report = NotFoundError("module not found", asked="clsoed").explain(Context(roots))
    assert isinstance(report, pymodutils.ExplainReport)
    (found,) = report.explanations
    assert (found.code, found.next) == ("not-found", ("modprobe closed",))
    check_document(report.to_json())


def test_names_that_are_not_found(roots: Roots) -> None:
    base = Path(roots.base)
    assert one(roots, NotFoundError("x", asked="zzzz")).next == ()
    lay_files(base, {f"lib/modules/{RELEASE}/extra/zzzz.ko": ""})
    found = one(roots, NotFoundError("x", asked="zzzz"))
    assert found.next == (f"depmod {RELEASE}",) and found.evidence[0].source.endswith("extra/zzzz.ko")
    elsewhere = base / "lib/modules/9.9"
    elsewhere.mkdir()
    os.rename(base / "lib/modules" / RELEASE / "modules.dep.bin", elsewhere / "modules.dep.bin")
    assert "there is no modules.dep.bin" in one(roots, NotFoundError("x", asked="zzzz")).text
    (base / "lib/modules" / RELEASE / "modules.dep.bin").symlink_to("nothing")
    gone = roots.replace(release="7.7")
    assert one(gone, NotFoundError("x", asked="top")).next == ("reboot",)


def test_an_alias_without_their_index(roots: Roots) -> None:
    Path(roots.modules, "modules.alias.bin").write_bytes(b"damaged")
    (found,) = explain(Context(roots), "pci:v00001234d1").explanations
    assert "modules.alias.bin" in found.text and found.next == (f"depmod {RELEASE}",)


def test_another_kernel_has_it(roots: Roots, tmp_path: Path) -> None:
    other = forge_system(tmp_path / "other", {"newer": ["x=y"]})
    os.rename(other.modules, f"{roots.base}/lib/modules/9.9")
    assert "kernel 9.9 has it" in one(roots, NotFoundError("x", asked="newer")).text


def test_commands_and_the_policy(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": "install base /bin/false\nremove top false\n"})
    error = CommandError("retcode 1", command="/bin/false", status=1, module="base")
    found = one(roots, error, asked="top")
    assert found.code == "refused-dependency" and "the install line for base" in found.text
    assert found.evidence[0].source.endswith("x.conf:1")
    assert "the remove line" in one(roots, CommandError("retcode 1", command="false", status=1, module="top")).text
    denied = DeniedError(command="/bin/false", module="top", path="/etc/x", line=4, denial="not here")
    assert one(roots, denied).text == "the policy denies top: not here"


def test_files_that_cannot_be_read(roots: Roots) -> None:
    with pytest.raises(pymodutils.ElfError) as caught:
        lay_files(Path(roots.base), {"bad.ko": "text, and long enough to be read as one"})
        Context(roots).info(Path(roots.base, "bad.ko"))
    assert one(roots, caught.value).code == "damaged-file"
    gone = pymodutils.FileError("x", path=f"{roots.modules}/kernel/base.ko", module="base", errno=errno.ENOENT)
    assert one(roots, gone, asked="top").next == (f"depmod {RELEASE}",)


def test_of_a_file_asked_about_by_its_path_the_log_tells_nothing(roots: Roots) -> None:
    """No kernel has seen it: only what is asked for by a name was to be loaded."""
    damaged = pymodutils.ElfError("x", path=f"{roots.modules}/kernel/base.ko", module="base")
    for asked, log_read in (("./base.ko", None), ("base", True)):
        assert explain(Context(roots), damaged, asked=asked, kernel_log=7).log_read is log_read


def test_a_loaded_module_that_no_index_lists_is_unloaded_by_rmmod(tmp_path: Path, log: Log) -> None:
    roots = forge_system(tmp_path, MODULES, files=FILES, loaded={"stray": "0 - Live 0x0", "strays": "0 - Live 0x0"})
    found = one(roots, NotFoundError("x", asked="stray"), action="unload")
    assert found.text == "no index lists stray, which is loaded; modprobe finds modules by those"
    assert (found.evidence[0].source, found.next) == (roots.modules, ("rmmod stray",))
    near = one(roots, NotFoundError("x", asked="strya"), action="unload")
    assert near.next == ("modprobe -r stray",)


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: os.symlink("/dev/null", path)])
def test_what_is_no_file_stands_in_the_way(roots: Roots, tmp_path: Path, make: Callable[[str], None]) -> None:
    path = f"{tmp_path}/x.ko"
    make(path)
    (found,) = explain(Context(roots), Path(path)).explanations
    assert (found.code, found.certain, found.evidence[0].text) == ("damaged-file", True, "it is no regular file")
    done = run_inside("modinfo", ["--explain=always", path], roots)
    assert done.err.startswith(b"modinfo: ERROR: Module %b not found.\n  cause:    that is a dir" % path.encode())


def test_without_proc_nothing_is_said_of_unloading(roots: Roots, tmp_path: Path) -> None:
    report = explain(Context(roots.replace(proc=f"{tmp_path}/none")), "top", action="unload")
    assert not report.explanations
    assert [(error.code, error.file) for error in report.errors] == [("cannot-tell", f"{tmp_path}/none/modules")]


def test_unloading(tmp_path: Path, log: Log) -> None:
    loaded = {"base": "1 top, Live 0x0", "top": "2 - Live 0x0", "old": "0 [permanent], Live 0x0"}
    roots = forge_system(tmp_path, MODULES, builtin=["inside"], files=FILES, loaded=loaded)
    lay_files(tmp_path, {"sys/module/base/holders/top": ""})
    for name, number, code in (("base", errno.EAGAIN, "in-use"), ("top", errno.EAGAIN, "in-use"),
                               ("old", errno.EBUSY, "permanent"), ("inside", errno.EPERM, "permanent"),
                               ("bsae", errno.ENOENT, "not-found")):  # fmt: skip
        found = one(roots, RemoveError("x", module=name, errno=number))
        assert (found.code, found.certain) == (code, True)
        assert [cause.code for cause in explain(Context(roots), name, action="unload").explanations] == (
            [code])  # fmt: skip


def test_errors_of_other_things_are_not_explained(roots: Roots) -> None:
    for error in (pymodutils.Error("x"), pymodutils.NameSyntaxError("x"),
                  pymodutils.IndexWriteError("x", path=f"{roots.modules}/modules.dep", errno=28),
                  pymodutils.FileError("x", path="/proc/modules", errno=2)):  # fmt: skip
        assert of_error(roots, error) == []


def test_errors_survive_copies(roots: Roots) -> None:
    import copy
    import pickle

    error = refusal(roots, "top", errno.EPERM)
    assert copy.copy(error).when == pickle.loads(pickle.dumps(error)).when == error.when


# --- requests


def codes(roots: Roots, name: str, **named: Any) -> list[str]:
    return [found.code for found in explain(Context(roots), name, **named).explanations]


def test_nothing_stands_in_the_way(roots: Roots) -> None:
    for name in ("top", "base", "inside", "pci:v00001234d00000009", f"{roots.modules}/kernel/base.ko"):
        assert codes(roots, name) == [], name
    assert codes(roots, "top", parameters={"speed": 3}) == []


@pytest.mark.parametrize(
    ("name", "named", "found"),
    [
        ("old", {}, ["symbol-version"]),
        ("top", {"parameters": "speed=x"}, ["bad-parameter"]),
        ("top", {"parameters": "sped=1"}, ["unknown-parameter"]),
        ("/nowhere/x.ko", {}, ["not-found"]),
        ("nosuch", {}, ["not-found"]),
    ],
)
def test_what_stands_in_the_way(roots: Roots, name: str, named: dict[str, Any], found: list[str]) -> None:
    assert codes(roots, name, **named) == found


def test_insmod_loads_no_dependencies(roots: Roots) -> None:
    assert codes(roots, f"{roots.modules}/kernel/top.ko") == ["unknown-symbol"]


def test_rules_in_the_way(roots: Roots) -> None:
    conf = {"etc/modprobe.d/x.conf": "install base /bin/false\nblacklist top\nalias devname:net/base base\n"}
    lay_files(Path(roots.base), conf)
    assert codes(roots, "base") == ["refused-dependency"]
    assert codes(roots, "devname:net/base") == ["refused-dependency"]
    assert codes(roots, "top") == ["refused-dependency"]
    assert codes(roots, "pci:v00001234d00000009") == ["refused-dependency", "blacklisted"]
    assert codes(roots, f"{roots.modules}/kernel/base.ko") == []


def test_a_dependency_in_the_way(roots: Roots) -> None:
    Path(roots.modules, "kernel/base.ko").write_bytes(b"nothing of the kind, but long enough")
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": "alias dmi:bd07/17/2009* top\n"})
    for name in ("top", "dmi:bd07/17/2009:x"):
        report = explain(Context(roots), name)
        assert [(found.module, found.code) for found in report.explanations] == [("base", "damaged-file")]
    Path(roots.modules, "kernel/base.ko").unlink()
    assert codes(roots, "top") == ["not-found"]


def test_another_system_is_not_the_running_one(roots: Roots) -> None:
    elsewhere = Roots.of_system(roots.base, RELEASE)
    report = explain(Context(elsewhere), ["top", "closed"])
    assert report.is_clear and report.log_read is None
    assert explain(Context(elsewhere), "top", action="unload").errors


def test_next_steps_for_another_system(roots: Roots) -> None:
    """What would change the running kernel, or its indexes, is no next step there."""
    elsewhere = Roots.of_system(roots.base, RELEASE)
    directory = Path(roots.base, "etc/modprobe.d")
    directory.mkdir(parents=True, exist_ok=True)
    directory.joinpath("b.conf").write_text("blacklist top\nalias as_top top\n")
    steps = [explain(Context(where), "as_top").explanations[0].next for where in (roots, elsewhere)]
    assert steps == [("modprobe top",), ()]
    Path(roots.modules, "modules.dep.bin").unlink()
    steps = [explain(Context(where), "top").explanations[0].next for where in (roots, elsewhere)]
    assert steps == [(f"depmod {RELEASE}",), (f"depmod -b {roots.base} {RELEASE}",)]


# --- the verb


def run(roots: Roots, *words: str) -> tuple[int, str, str]:
    done = run_inside("kmod", ["explain", *words], roots)
    return done.status, done.out.decode(), done.err.decode()


def test_the_verb(roots: Roots) -> None:
    assert run(roots, "base") == (0, "base: nothing stands in the way\n", "")
    status, out, err = run(roots, "top", "speed=x")
    assert (status, err) == (1, "")
    assert out.splitlines()[:2] == [
        "top: something stands in the way of loading it",
        "  cause:    speed=x is no value for the parameter speed: not a number of type int",
    ]
    assert out.splitlines()[2].startswith("  evidence: /")
    assert out.splitlines()[3:] == ["  next:     modinfo -p top"]
    assert run(roots, "inside")[1] == "inside: part of the kernel\n"
    lay_kernel(Path(roots.base), {"base": "0 - Live 0x0"})
    assert run(roots, "base") == (0, "base: in the kernel\n", "")
    assert run(roots, "-r", "base") == (0, "base: nothing stands in the way\n", "")
    assert run(roots)[0] == run(roots, "--nonsense")[0] == 2


def test_a_parameter_that_several_rules_give_is_named_once(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/p.conf": "options top nosuch=1\noptions top nosuch=2\n"})
    (found,) = explain(Context(roots), "top").explanations
    assert found.code == "unknown-parameter" and "no parameter nosuch:" in found.text


def test_two_names_of_one_module(roots: Roots) -> None:
    """Each has its own causes: a blacklist rule is in the way of the alias alone."""
    directory = Path(roots.base, "etc/modprobe.d")
    directory.mkdir(parents=True, exist_ok=True)
    directory.joinpath("b.conf").write_text("blacklist top\nalias as_top top\n")
    status, out, _ = run(roots, "top", "as_top")
    assert (status, out.splitlines()[:2]) == (1, ["top: nothing stands in the way", AS_TOP])
    assert [found.asked for found in explain(Context(roots), ["top", "as_top"]).explanations] == ["as_top"]


AS_TOP = "as_top: something stands in the way of loading it"


def test_the_document(roots: Roots) -> None:
    for words in (["top", "old", "nosuch"], ["-r", "top"], ["inside"]):
        status, out, _ = run(roots, "--json", *words)
        document = check_document(out)
        assert bool(document["explanations"]) == (status == 1)
    assert json.loads(run(roots, "--json", "old")[1])["explanations"][0]["module"] == "old"


def test_the_text_says_when_the_log_was_not_read(roots: Roots, log: Log) -> None:
    from pymodutils.cli.explanations import lines

    log.problem = "not for you"
    shown = lines(explain(Context(roots), refusal(roots, "old", errno.ENOEXEC)))
    assert shown[0].startswith("cause:    built for a kernel")
    assert shown[-1] == "note:     not for you; this is from files alone"


def test_a_kernel_that_was_built_without_modules(roots: Roots) -> None:
    """Its /proc has no list of modules, and that is said once, also of a module that needs others."""
    Path(roots.proc, "filesystems").touch()
    Path(roots.proc, "modules").unlink()
    report = explain(Context(roots), "top")
    assert [(found.code, found.certain) for found in report.explanations] == [("modules-disabled", True)]
    bare = roots.replace(release="9.9")  # nor is there a directory of its modules, here or on a host
    (found,) = explain(Context(bare), "top").explanations
    assert (found.code, found.next) == ("modules-disabled", ())
    said = run_inside("modprobe", ["--explain=always", "top"], bare).err
    assert said.count(b"cause:") == 1 and b"built without modules" in said and b"next:" not in said
    Path(roots.proc, "filesystems").unlink()  # nothing at all is mounted there
    assert "modules-disabled" not in [found.code for found in explain(Context(roots), "top").explanations]


@pytest.mark.parametrize(
    ("name", "strings", "text"),
    [
        ("top-a", (), None),
        ("other", (), "provider_symbol is exported for the modules top-*,one alone"),
        ("other", ("import_ns=module:top-*,one",), "it imports the namespace module:top-*,one"),
    ],
)
def test_lists_of_modules_are_read_as_the_kernel_reads_them(
    tmp_path: Path, log: Log, name: str, strings: tuple[str, ...], text: str | None
) -> None:
    modules = {
        "provider": module("provider", namespaces={"provider_symbol": "module:top-*,one"}),
        name: module(name, "provider", strings=strings),
    }
    found = explain(Context(forge_system(tmp_path, modules, files=FILES, loaded={})), name).explanations
    assert any(text in cause.text for cause in found) if text else not found


def test_an_action_is_to_load_to_unload_or_to_describe() -> None:
    with pytest.raises(ValueError, match="load, unload, describe"):
        explain(Context(), "top", action="remove")


def test_a_module_directory_that_is_not_there_is_no_module(tmp_path: Path) -> None:
    roots = Roots.of_system(tmp_path / "nothing", "1")
    with pytest.raises(MissingTreeError) as caught:
        Context(roots).available()
    report = explain(Context(roots), caught.value)
    (found,) = report.explanations
    assert (found.module, found.asked, found.code, found.certain) == ("", "", "not-found", True)
    assert (found.text, report.modules) == ("there are no modules of kernel 1", ())
    assert explain(Context(roots), caught.value, asked="a-b").explanations[0].module == "a_b"
    other = forge_system(tmp_path / "system", {"aaa": []})
    assert explain(Context(other), caught.value).explanations == ()  # the directory of another system


@pytest.mark.parametrize("folder", ["plain", "a b", "it's;$(x)"])
def test_next_steps_can_be_pasted_whatever_the_path(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell takes each path for one word."""
    roots = forge_system(tmp_path / "system", {"base": module("base")}, files=FILES)
    path = module("outer", "base").write(tmp_path / folder / "outer.ko")
    monkeypatch.setattr(collect, "read_process_facts", lambda _roots: NOT_KNOWN.replace(container="/run/container"))
    error = InsertError("not permitted", module="outer", path=str(path), errno=errno.EPERM)
    foreseen = explain(Context(roots), path).explanations
    steps = [step for found in (*foreseen, *explain(Context(roots), error).explanations) for step in found.next]
    insmods = [shlex.split(step, comments=True) for step in steps if step.startswith("insmod")]
    assert insmods and all(words == ["insmod", str(path)] for words in insmods)
