# SPDX-License-Identifier: LGPL-2.1-or-later
"""lsmod, rmmod, insmod, modinfo and kmod on a real kernel, each step done by the real kmod too and compared.

kmod 34.2 is compared on both kernels; kmod 30 on Debian 12's 6.1, with which it ships, in some of the cases. Where ours
differs by intent (docs/differences.md) the test says so.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.vm.cases import (
    BROKEN,
    OWN,
    PARAMETERS,
    Case,
    cases,
    do,
    hold,
    load,
    start_loading,
    start_unloading,
    syslog,
    until,
)
from tests.vm.harness import PATH, TOOLS, Guest, Module, compare, normal

# --- insmod


@cases(
    Case("plain", f"insmod {OWN}/pmt_params.ko", after=PARAMETERS, kmod30=True),
    Case("xz", f"insmod {OWN}/pmt_params.ko.xz", after=PARAMETERS, kmod30=True),
    Case("zst", f"insmod {OWN}/pmt_params.ko.zst", after=PARAMETERS),
    Case("relative path", "insmod pmt_a.ko", options={"cwd": OWN}, once=True),
    Case("dash in the name", f"insmod {OWN}/pmt-dash.ko"),
    Case("on top of another", f"insmod {OWN}/pmt_b.ko", setup=load("pmt_a"), kmod30=True),
    Case("init returns a positive number", f"insmod {OWN}/pmt_fail.ko error=-5"),
    Case("without descriptors", f"insmod {OWN}/pmt_a.ko", options={"close": [0, 1, 2]}, once=True),
    Case("with an empty environment", f"insmod {OWN}/pmt_a.ko", options={"env": {"PATH": "", "HOME": ""}}, once=True),
    Case("options that change nothing", f"insmod -v -s {OWN}/pmt_a.ko", once=True),
    Case("content of another form than the name says", f"insmod {BROKEN}/misnamed.ko.xz"),
)
def test_insmod_loads(guest: Guest, broken: str, case: Case) -> None:
    done = do(guest, case)
    assert len(done.ours.modules) == len(case.setup) + 1


@cases(
    Case("one of each type", f"insmod {OWN}/pmt_params.ko flag inverted=N number=-7 unsigned=8 byte_number=9 "
         "short_number=-10 ushort_number=11 long_number=-12 ulong_number=13 ullong_number=14 hex_number=0xf text=word "
         "fixed=fifteen_letters list=1,-2,0x3 names=a,b,c quiet_number=16 called=17"),
    Case("text with spaces", f"insmod {OWN}/pmt_params.ko", words=("text=two words",), once=True),
    Case("quoted already", f"insmod {OWN}/pmt_params.ko", words=('text="two words"', "number=3"), once=True),
    Case("quotes within", f"insmod {OWN}/pmt_params.ko", words=('text=a"b c"d',), once=True),
    Case("empty text", f"insmod {OWN}/pmt_params.ko text=", once=True),
    Case("the last one wins", f"insmod {OWN}/pmt_params.ko number=1 number=2", once=True),
    Case("dash for underscore", f"insmod {OWN}/pmt_params.ko byte-number=6", once=True),
    Case("after --", f"insmod -- {OWN}/pmt_params.ko number=5", once=True),
    Case("a parameter before an option", f"insmod {OWN}/pmt_params.ko number=5 -s", once=True),
    Case("unknown", f"insmod {OWN}/pmt_params.ko no_such_parameter=1"),
)  # fmt: skip
def test_insmod_passes_parameters(guest: Guest, case: Case) -> None:
    do(guest, dataclasses.replace(case, after=PARAMETERS))


def test_insmod_loads_gzip_which_debians_kmod_cannot(guest: Guest) -> None:
    result = guest.tool("ours", ["insmod", guest.own("pmt_params", ".gz"), "number=4"]).check()
    assert list(result.modules) == ["pmt_params"]
    assert guest.run(["cat", "/sys/module/pmt_params/parameters/number"]).stdout == b"4\n"


@pytest.mark.one_kernel
def test_an_unknown_parameter_shows_in_the_kernel_log_only(guest: Guest) -> None:
    result = guest.tool("ours", ["insmod", guest.own("pmt_params"), "no_such=1"]).check()
    assert "pmt_params: unknown parameter 'no_such' ignored" in result.log
    assert result.stderr == b""


def failing(file: str, message: str, name: str = "", **options: Any) -> Case:
    """insmod of FILE (with parameters) says that the kernel refused it."""
    path = file.split()[0]
    return Case(name or file, f"insmod {file}", f"could not insert module {path}: {message}", **options)


NOT_A_MODULE, BAD_PARAMETERS = "Invalid module format", "Invalid parameters"


@cases(
    Case("no operand", "insmod", "missing filename.", once=True),
    Case("standard input", "insmod -", "this tool does not support loading from stdin!", once=True),
    Case("missing file", "insmod /nowhere/x.ko",
         "could not load module /nowhere/x.ko: No such file or directory", kmod30=True, once=True),
    Case("through a file", f"insmod {OWN}/pmt_a.ko/x",
         f"could not load module {OWN}/pmt_a.ko/x: Not a directory", once=True),
    Case("name instead of a path", "insmod loop", "could not load module loop: No such file or directory", once=True),
    failing("/tmp", "Is a directory", "directory", once=True),
    failing("/dev/null", BAD_PARAMETERS, "device"),
    failing(f"{BROKEN}/text.ko", NOT_A_MODULE, "text file", kmod30=True),
    failing(f"{BROKEN}/empty.ko", BAD_PARAMETERS, "empty file", kmod30=True),
    failing(f"{BROKEN}/truncated.ko", NOT_A_MODULE, "truncated", kmod30=True),
    failing(f"{BROKEN}/header.ko", NOT_A_MODULE, "header only", once=True),
    failing(f"{BROKEN}/machine.ko", NOT_A_MODULE, "another machine", once=True),
    failing(f"{BROKEN}/vermagic.ko", NOT_A_MODULE, "wrong vermagic", kmod30=True),
    failing(f"{BROKEN}/vermagic.ko.xz", NOT_A_MODULE, "wrong vermagic, compressed"),
    failing(f"{BROKEN}/crc.ko", BAD_PARAMETERS, "wrong symbol version", setup=load("pmt_a")),
    failing(f"{OWN}/pmt_missing.ko", "Unknown symbol in module", "missing symbols", kmod30=True),
    failing(f"{OWN}/pmt_b.ko", "Unknown symbol in module", "missing dependency"),
    failing(f"{OWN}/pmt_closed.ko", "Unknown symbol in module", "GPL-only symbol"),
    failing(f"{OWN}/pmt_a.ko", "File exists", "already loaded", setup=load("pmt_a"), kmod30=True),
    failing(f"{OWN}/pmt_slow.ko", "Device or resource busy", "being unloaded", setup=[
        *load("pmt_slow hold_exit=1"), start_unloading]),
    failing(f"{OWN}/pmt_params.ko number=word", BAD_PARAMETERS, "value of another type", kmod30=True),
    failing(f"{OWN}/pmt_params.ko number=99999999999", "Numerical result out of range", "value out of range"),
    failing(f"{OWN}/pmt_params.ko called=-1", "Numerical result out of range", "value the module refuses"),
    failing(f"{OWN}/pmt_params.ko list=1,2,3,4,5", BAD_PARAMETERS, "too many values", once=True),
    failing(f"{OWN}/pmt_params.ko flag=maybe", BAD_PARAMETERS, "neither true nor false", once=True),
    failing(f"{OWN}/pmt_params.ko fixed=longer_than_fifteen", "No space left on device", "text too long", once=True),
    failing(f"{OWN}/pmt_params.ko number", BAD_PARAMETERS, "value missing", once=True),
    failing(f"{OWN}/pmt_a.ko", "Operation not permitted", "no privilege", options={"uid": 1000}, kmod30=True),
    Case("no permission to read", "insmod /tmp/x.ko", "could not insert module /tmp/x.ko: Permission denied",
         setup=["umask 077; cat /opt/pmt/pmt_a.ko > /tmp/x.ko"], options={"uid": 1000}, once=True),
)  # fmt: skip
def test_insmod_refuses(guest: Guest, broken: str, case: Case) -> None:
    done = do(guest, case)
    assert len(done.ours.modules) == len([step for step in case.setup if isinstance(step, list)])


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("number", "text"),
    {
        1: "Operation not permitted",
        2: "Unknown symbol in module",
        3: "Module has wrong symbol version",
        5: "Input/output error",
        8: NOT_A_MODULE,
        12: "Cannot allocate memory",
        16: "Device or resource busy",
        17: "File exists",
        19: "No such device",
        22: BAD_PARAMETERS,
        38: "Function not implemented",
        129: "Key was rejected by service",
    }.items(),
)
def test_insmod_words_what_init_returns(guest: Guest, number: int, text: str) -> None:
    do(guest, failing(f"{OWN}/pmt_fail.ko error={number}", text))


@cases(
    Case("vermagic", f"insmod -f {BROKEN}/vermagic.ko"),
    Case("vermagic, long option", f"insmod --force {BROKEN}/vermagic.ko", once=True),
    Case("symbol version", f"insmod -f {BROKEN}/crc.ko", setup=load("pmt_a")),
    Case("vermagic, compressed", f"insmod -f {BROKEN}/vermagic.ko.xz"),
    Case("nothing to force", f"insmod -f {OWN}/pmt_a.ko"),
    Case("against the parameters", f"insmod -f {OWN}/pmt_params.ko number=word",
         f"could not insert module {OWN}/pmt_params.ko: {BAD_PARAMETERS}", once=True),
    Case("against what cannot be a module", f"insmod -f {BROKEN}/text.ko",
         f"could not insert module {BROKEN}/text.ko: {NOT_A_MODULE}", once=True),
)  # fmt: skip
def test_insmod_forces(guest: Guest, broken: str, case: Case) -> None:
    do(guest, case)


@pytest.mark.one_kernel
def test_insmod_forces_only_the_half_asked_for(guest: Guest, broken: str) -> None:
    """kmod 34.2's insmod knows only --force; later ones know its halves."""
    status = {}
    for option in ("--force-vermagic", "--force-modversion"):
        for file, setup in (("vermagic.ko", []), ("crc.ko", load("pmt_a"))):
            guest.reset()
            for step in setup:
                guest.run(step).check()
            status[option, file] = guest.tool("ours", ["insmod", option, f"{BROKEN}/{file}"]).status
    assert status == {
        ("--force-vermagic", "vermagic.ko"): 0,
        ("--force-vermagic", "crc.ko"): 1,
        ("--force-modversion", "vermagic.ko"): 1,
        ("--force-modversion", "crc.ko"): 0,
    }


@pytest.mark.parametrize(
    ("form", "error"), [("xz", "xz: Unexpected end of input"), ("zst", "zstd: Src size is incorrect")]
)
def test_insmod_explains_damaged_compression(guest: Guest, broken: str, form: str, error: str) -> None:
    path = f"{BROKEN}/truncated.ko.{form}"
    done = compare(guest, ["insmod", path])
    reason = done.ours.stderr.decode().removeprefix(f"insmod: ERROR: {error}\n")
    assert reason.startswith(f"insmod: ERROR: could not insert module {path}: ")
    if guest.kernel == "6.12" and form == "xz":  # this kernel decompresses xz itself, and kmod leaves it at that
        done.assert_same(ignore=["stderr"])
        assert done.kmod.stderr.decode() == reason
    else:
        done.assert_same()
        assert reason != done.ours.stderr.decode()


def test_insmod_loads_an_xz_file_that_the_kernels_decoder_does_not_know(guest: Guest, broken: str) -> None:
    """Made by plain `xz`, so with a CRC64. kmod fails where the kernel decompresses."""
    done = compare(guest, ["insmod", f"{BROKEN}/plain-xz.ko.xz"])
    assert (done.ours.status, done.ours.stderr, list(done.ours.modules)) == (0, b"", ["pmt_a"])
    assert done.kmod.status == (1 if guest.kernel == "6.12" else 0)


def test_insmod_finds_a_truncated_gzip(guest: Guest, broken: str) -> None:
    result = guest.tool("ours", ["insmod", f"{BROKEN}/truncated.ko.gz"])
    assert (result.status, result.modules) == (1, {})
    assert result.stderr.count(b"\n") in (1, 2)


def test_two_loaders_of_one_module_end_well(guest: Guest) -> None:
    outcomes = {}
    for tool in ("ours", "kmod34"):
        guest.reset()
        jobs = [guest.start_tool(tool, ["insmod", guest.own("pmt_slow"), "hold_init=1"]) for _ in range(2)]
        guest.run("until test $(grep -l '^313 ' /proc/[0-9]*/syscall | wc -l) = 2; do sleep 0.1; done").check()
        guest.python("release('hold_init')").check()
        results = [job.wait() for job in jobs]
        outcomes[tool] = sorted((result.status, result.stderr) for result in results)
        assert guest.run(["true"]).modules == {"pmt_slow": Module(0, ())}, results
    assert outcomes["ours"] == outcomes["kmod34"]


# --- rmmod

REMOVE_AGAIN = "Resource temporarily unavailable"


def refused(name: str, reason: str) -> str:
    """What rmmod says when the kernel refuses: the library's line and the command's."""
    return f"could not remove '{name}': {reason}\ncould not remove module {name}: {reason}"


@cases(
    Case("by name", "rmmod pmt_a", setup=load("pmt_a"), kmod30=True),
    Case("by path", f"rmmod {OWN}/pmt_a.ko", setup=load("pmt_a"), once=True),
    Case(
        "by relative path of a compressed file",
        "rmmod pmt_a.ko.xz",
        setup=load("pmt_a"),
        options={"cwd": OWN},
        once=True,
    ),
    Case("dash for underscore", "rmmod pmt-a", setup=load("pmt_a"), once=True),
    Case("underscore for dash", "rmmod pmt_dash", setup=load("pmt-dash"), once=True),
    Case("several, in order", "rmmod pmt_c pmt_b pmt_a", setup=load("pmt_a", "pmt_b", "pmt_c"), once=True),
    Case("after --", "rmmod -- pmt_a", setup=load("pmt_a"), once=True),
    Case("verbosely", "rmmod -v pmt_a", setup=load("pmt_a"), once=True),
    Case("force where none is needed", "rmmod -f pmt_a", setup=load("pmt_a"), once=True),
    Case("force without an exit function", "rmmod --force pmt_noexit", setup=load("pmt_noexit")),
    Case("force with a reference", "rmmod -f pmt_held", setup=load("pmt_held pinned=1")),
    Case("a slow one", "rmmod pmt_slow", setup=load("pmt_slow exit_ms=300")),
)
def test_rmmod_unloads(guest: Guest, case: Case) -> None:
    assert do(guest, case).ours.modules == {}


@cases(
    Case("no operand", "rmmod", "missing module name.", once=True),
    Case("not loaded", "rmmod pmt_a", "Module pmt_a is not currently loaded", kmod30=True),
    Case("no such module", "rmmod no-such", "Module no_such is not currently loaded", once=True),
    Case("missing file", "rmmod /nowhere/pmt_x.ko", "Module /nowhere/pmt_x is not currently loaded",
         kmod30=True, once=True),
    Case("not loaded, forced", "rmmod -f pmt_a", refused("pmt_a", "No such file or directory"), once=True),
    Case("builtin", "rmmod 8250", "Module 8250 is builtin.", kmod30=True),
    Case("builtin, forced", "rmmod -f 8250", refused("8250", "No such file or directory"), once=True),
    Case("in use by a module", "rmmod pmt_a", "Module pmt_a is in use by: pmt_b",
         setup=load("pmt_a", "pmt_b"), kmod30=True),
    Case("in use by a module, forced", "rmmod -f pmt_a", refused("pmt_a", REMOVE_AGAIN), setup=load("pmt_a", "pmt_b")),
    Case("in use by an open file", "rmmod pmt_held", "Module pmt_held is in use",
         setup=[*load("pmt_held"), hold], kmod30=True),
    Case("in use by itself", "rmmod pmt_held", "Module pmt_held is in use", setup=load("pmt_held pinned=1")),
    Case("no exit function", "rmmod pmt_noexit", refused("pmt_noexit", "Device or resource busy"),
         setup=load("pmt_noexit"), kmod30=True),
    Case("being loaded", "rmmod pmt_slow", "Module pmt_slow is in use", setup=[start_loading]),
    Case("no privilege", "rmmod pmt_a", refused("pmt_a", "Operation not permitted"), setup=load("pmt_a"),
         options={"uid": 1000}, kmod30=True),
    Case("the others go on", "rmmod pmt_a no_such pmt-dash", "Module no_such is not currently loaded",
         setup=load("pmt_a", "pmt-dash"), once=True),
    Case("in the wrong order", "rmmod pmt_a pmt_b", "Module pmt_a is in use by: pmt_b",
         setup=load("pmt_a", "pmt_b"), once=True),
    Case("twice", "rmmod pmt_a pmt_a", "Module pmt_a is not currently loaded", setup=load("pmt_a"), once=True),
)  # fmt: skip
def test_rmmod_refuses(guest: Guest, case: Case) -> None:
    do(guest, case)


def test_rmmod_of_a_module_on_its_way_out_fails_without_a_word(guest: Guest) -> None:
    done = compare(guest, ["rmmod", "pmt_slow"], [*load("pmt_slow hold_exit=1"), start_unloading]).assert_same()
    assert (done.ours.status, done.ours.stderr) == (1, b"")


# --- lsmod


@cases(
    Case("nothing loaded", "lsmod"),
    Case("a chain", "lsmod", setup=load("pmt_a", "pmt_b", "pmt_c"), kmod30=True),
    Case("kmod list", "kmod list", setup=load("pmt_a", "pmt_b"), kmod30=True, once=True),
    Case("never to be unloaded", "lsmod", setup=load("pmt_noexit")),
    Case("held open", "lsmod", setup=[*load("pmt_held"), hold]),
    Case("without privilege", "lsmod", setup=load("pmt_a"), options={"uid": 1000}, once=True),
    Case("an operand", "lsmod x", "too many arguments provided.", once=True),
)
def test_lsmod(guest: Guest, case: Case) -> None:
    do(guest, case)


def test_lsmod_lists_many_holders_in_the_kernels_order(guest: Guest) -> None:
    """kmod takes them from a directory, in the order of that; the kernel's list has a meaningful one: latest first."""
    done = compare(guest, ["lsmod"], [["modprobe", "btrfs"], ["modprobe", "raid456"]])

    def rows(output: bytes) -> list[list[object]]:
        return [
            [*line[:3], set(line[3].split(b",")) if line[3:] else set()]
            for line in map(bytes.split, output.splitlines())
        ]

    assert rows(done.ours.stdout) == rows(done.kmod.stdout)
    assert b" raid456,async_raid6_recov,async_memcpy,async_pq,async_xor\n" in done.ours.stdout


@pytest.mark.one_kernel
def test_lsmod_json_tells_the_same(guest: Guest) -> None:
    for step in load("pmt_a", "pmt_b"):
        guest.run(step).check()
    result = guest.tool("ours", ["lsmod", "--json"]).check()
    listed = json.loads(result.stdout)
    assert listed["schema"] == "pymodutils/1"
    assert {module["name"]: (module["refcount"], tuple(module["holders"])) for module in listed["modules"]} == {
        name: (module.refcount, module.holders) for name, module in result.modules.items()
    }


def test_lsmod_shows_a_module_while_it_is_loaded_and_unloaded(guest: Guest) -> None:
    """The size the kernel's list gives then includes what only the init function needs, so it isn't compared."""
    start_loading(guest)
    assert re.search(rb"\npmt_slow +\d+ +1\n", guest.tool("ours", ["lsmod"]).check().stdout)
    guest.python("release('hold_init')").check()
    guest.run(until("^pmt_slow.*Live")).check()
    start_unloading(guest)
    assert guest.tool("ours", ["lsmod"]).check().stdout.count(b"pmt_slow") == 1


@pytest.mark.one_kernel
def test_output_that_cannot_be_written_is_a_failure(guest: Guest) -> None:
    path = f"{TOOLS['ours']('')[2]}:{PATH}"
    for command in ("lsmod", "modinfo loop", "kmod static-nodes"):
        result = guest.run(f"{command} > /dev/full", env={"PATH": path})
        assert result.status == 1, f"{command}: {result}"
        assert b"No space left on device" in result.stderr


# --- modinfo and kmod static-nodes, in the tree of the running kernel


@cases(
    Case("by name", "modinfo loop", kmod30=True),
    Case("all that there is in .modinfo", "modinfo pmt_meta"),
    Case("by alias", "modinfo pmt-alias pmt-pattern-x-1y pci:v0000FFFEd00000001sv1sd1bc0sc0i0"),
    Case("builtin", "modinfo 8250", kmod30=True),
    Case("parameters", "modinfo -p pmt_params", kmod30=True, once=True),
    Case("a field", "modinfo -F depends btrfs nfsd", kmod30=True, once=True),
    Case("by path", f"modinfo {OWN}/pmt_params.ko {OWN}/pmt_params.ko.xz {OWN}/pmt_params.ko.zst", once=True),
    Case("by relative path", "modinfo -n ./pmt_a.ko", options={"cwd": OWN}, once=True),
    Case("the names of all", "modinfo -F name pmt_a pmt_b pmt_c pmt-dash loop btrfs", once=True),
    Case("without privilege", "modinfo loop", options={"uid": 1000}, once=True),
    Case("not found", "modinfo no_such loop", "Module no_such not found.", once=True),
    Case("no operand", "modinfo", "missing module or filename.", once=True),
    Case("static nodes", "kmod static-nodes"),
    Case("static nodes for tmpfiles", "kmod static-nodes --format=tmpfiles --output=/tmp/deep/er/file",
         after="cat /tmp/deep/er/file", once=True),
)  # fmt: skip
def test_modinfo_and_static_nodes(guest: Guest, case: Case) -> None:
    if case.name == "all that there is in .modinfo" or case.name.startswith(("by path", "by name")):
        case = dataclasses.replace(case)  # pads after long keys, and tells signatures otherwise
    do(guest, case)


# --- where messages go


@cases(
    Case("unknown option", "rmmod -x", once=True),
    Case("unknown long option", "insmod --frob x.ko", once=True),
    Case("ambiguous", "modinfo --f x", once=True),
    Case("missing value", "modinfo -F", once=True),
)
@pytest.mark.one_kernel
def test_getopt_names_the_program_as_it_was_called(guest: Guest, case: Case) -> None:
    """Outside PATH; inside it a script cannot know what was typed (docs/differences.md)."""
    elsewhere = {"PATH": "/usr/sbin:/usr/bin"}
    ours, real = (guest.tool(tool, case.command.split(), env=elsewhere) for tool in ("ours", "kmod34"))
    assert (ours.stderr, ours.status) == (real.stderr, real.status)
    assert ours.status == 1
    assert ours.stderr.startswith(b"/opt/pymodutils/bin/")


@pytest.mark.one_kernel
def test_messages_go_to_syslog_when_asked(guest: Guest) -> None:
    ours, ours_logged = syslog(guest, "ours", ["rmmod", "-s", "no_such"])
    real, real_logged = syslog(guest, "kmod34", ["rmmod", "-s", "no_such"])
    assert ours_logged == real_logged == ["<27>TIME rmmod: ERROR: Module no_such is not currently loaded"]
    assert (ours.status, ours.stdout, ours.stderr) == (real.status, real.stdout, real.stderr) == (1, b"", b"")


# --- a kernel that takes no more


def test_a_sealed_kernel_refuses_and_says_so(boot_own: Callable[..., Guest]) -> None:
    """sig_enforce, then modules_disabled: neither can be undone, so this needs a guest of its own."""
    guest = boot_own(modules=["loop", "dummy"])
    guest.run("echo 1 > /sys/module/module/parameters/sig_enforce").check()
    unsigned = guest.own("pmt_a")
    message = f"could not insert module {unsigned}: Key was rejected by service"
    do(guest, Case("unsigned", f"insmod {unsigned}", message))
    forced = compare(guest, ["insmod", "-f", unsigned]).assert_same()
    assert forced.ours.status == 1
    loop = guest.run("modinfo -n loop").check().stdout.decode().strip()
    signed = do(guest, Case("signed", f"insmod {loop} max_loop=2"))
    assert list(signed.ours.modules) == ["loop"]

    guest.run("echo 1 > /proc/sys/kernel/modules_disabled").check()
    for tool in ("ours", "kmod34"):
        results = [guest.tool(tool, command) for command in (["insmod", unsigned], ["rmmod", "loop"], ["lsmod"])]
        assert [result.status for result in results] == [1, 1, 0]
        assert list(results[-1].modules) == ["loop"]
        if tool == "ours":
            ours = results
    assert ours[0].stderr.decode() == f"insmod: ERROR: could not insert module {unsigned}: Operation not permitted\n"
    assert [normal(result.stderr) for result in results] == [result.stderr for result in ours]
    assert ours[2].stdout == results[2].stdout
    assert b"could not remove module loop: Operation not permitted" in ours[1].stderr
