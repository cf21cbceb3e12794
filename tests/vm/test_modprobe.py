# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe loads modules on a real kernel as the real kmod does: chains, parameters, aliases, blacklists, refusals."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from tests.vm.cases import OWN, PARAMETERS, Case, cases, configure, do, load, start_loading, start_unloading
from tests.vm.harness import Guest, compare

CHAIN = "pmt_a pmt_b pmt_c"
REAL_CHAINS = {
    "a file system": "raid6_pq",
    "a server": "sunrpc",
    "sound": "snd_pcm",
    "virtual machines": "irqbypass",
    "several": "pmt_a",
}


@cases(
    Case("a file system", "modprobe -v btrfs", kmod30=True),
    Case("a server", "modprobe -v nfsd"),
    Case("sound", "modprobe -v snd_hda_intel"),
    Case("virtual machines", "modprobe -v kvm"),
    Case("graphics, shown only", "modprobe -n -v i915", kmod30=True, modules=""),
    Case("graphics, depends", "modprobe -D i915", kmod30=True, modules=""),
    Case("by a file system's alias", "modprobe -v fs-ext4"),
    Case("ours", "modprobe -v pmt_c", modules=CHAIN, kmod30=True),
    Case("partly there", "modprobe -v pmt_c", setup=load("pmt_a"), modules=CHAIN),
    Case("partly there, shown only", "modprobe -n -v pmt_c", setup=load("pmt_a"), modules="pmt_a", once=True),
    Case("all there, shown as if not", "modprobe -D pmt_c", setup=load("pmt_a", "pmt_b", "pmt_c"), once=True),
    Case("dash for underscore", "modprobe -v pmt-b", modules="pmt_a pmt_b", once=True),
    Case("by file", f"modprobe -v {OWN}/pmt_c.ko", modules=CHAIN, once=True),
    Case("by compressed file", f"modprobe -v {OWN}/pmt_a.ko.xz", modules="pmt_a"),
    Case("by relative file", "modprobe -v ./pmt_b.ko level=4", options={"cwd": OWN}, modules="pmt_a pmt_b",
         after="cat /sys/module/pmt_b/parameters/level", once=True),
    Case("by alias", "modprobe -v pmt-pattern-x-3y", modules="pmt_a pmt_meta pmt_dash"),
    Case("by a device's modalias", "modprobe -v pci:v0000FFFEd00000001sv1sd1bc0sc0i0", once=True),
    Case("several", "modprobe -a -v loop pmt_c dummy", kmod30=True),
    Case("several with an unknown one", "modprobe -a -v loop no_such dummy",
         "WARNING: Module no_such not found in directory /lib/modules/RELEASE", modules="loop dummy"),
    Case("several, quietly", "modprobe -a -q loop no_such dummy", status=1, modules="loop dummy", once=True),
    Case("several with a failing one", "modprobe -a pmt_missing pmt_a", status=1, modules="pmt_a",
         error="could not insert 'pmt_missing': Unknown symbol in module, or unknown parameter (see dmesg)"),
    Case("loaded already", "modprobe -v pmt_a", setup=load("pmt_a"), modules="pmt_a", kmod30=True),
    Case("builtin", "modprobe -v 8250", kmod30=True),
    Case("verbosely twice", "modprobe -a pmt_a pmt_a", modules="pmt_a", once=True),
    Case("without descriptors", "modprobe pmt_c", options={"close": [0, 1, 2]}, modules=CHAIN, once=True),
)  # fmt: skip
def test_modules_are_loaded_with_what_they_need(guest: Guest, case: Case) -> None:
    case = dataclasses.replace(case, error=case.error.replace("RELEASE", guest.release))
    done = do(guest, case)
    if case.name in REAL_CHAINS:
        assert REAL_CHAINS[case.name] in done.ours.modules, "a comparison of two tools that do nothing"
    if "i915" in case.command:
        assert len(done.ours.stdout.splitlines()) > 5


@cases(
    Case("from a file", "modprobe -v pmt_params", config="options pmt_params number=3 flag"),
    Case("for a dependency", "modprobe -v pmt_c", config="options pmt-b level=5",
         after="cat /sys/module/pmt_b/parameters/level", once=True),
    Case("quoted", "modprobe -v pmt_params", config='options pmt_params text="two words" number=6'),
    Case("on the command line", "modprobe -v pmt_params number=4 names=a,b", kmod30=True),
    Case("with spaces on the command line", "modprobe -v pmt_params", words=("text=two words", "fixed='x y'")),
    Case("the command line wins", "modprobe -v pmt_params number=8", config="options pmt_params number=7 flag"),
    Case("of an alias", "modprobe -v somebody", config="alias some* pmt_params\noptions some* number=9\n"
         "options pmt_params unsigned=1"),
    Case("of a dependency are not those of the module", "modprobe -v pmt_c level=3", modules=CHAIN, once=True,
         after="cat /sys/module/pmt_b/parameters/level"),
    Case("of several files, in order", "modprobe -v pmt_params", setup=[
         configure("options pmt_params number=2", "b.conf"), configure("options pmt_params number=1 flag", "a.conf")]),
    Case("an earlier directory hides", "modprobe -v pmt_params", setup=[
         configure("options pmt_params number=2", "a.conf"),
         lambda guest: guest.put("/run/modprobe.d/a.conf", b"options pmt_params number=1 flag")], once=True),
    Case("from a chosen file", "modprobe -v -C /tmp/chosen pmt_params", config="options pmt_params number=1",
         setup=[lambda guest: guest.put("/tmp/chosen", b"options pmt_params number=21\n")], once=True),
    Case("bad lines are told", "modprobe -v pmt_params", config="frobnicate x\noptions pmt_params number=5",
         options={"env": {"MODPROBE_OPTIONS": "-q"}}, status=0, once=True),
)  # fmt: skip
@pytest.mark.one_kernel
def test_parameters_reach_the_kernel(guest: Guest, case: Case) -> None:
    if "bad lines" in case.name:
        done = compare(guest, case.command.split(), [configure(case.config)], after=PARAMETERS, **case.options)
        assert done.assert_same().ours.stderr == (
            b"libkmod: ERROR: kmod_config_parse: /etc/modprobe.d/test.conf line 1: "
            b"ignoring bad line starting with 'frobnicate'\n"
        )
        return
    done = do(guest, dataclasses.replace(case, after=case.after or PARAMETERS))
    assert done.afterwards["ours"]


NO_INSERT = "could not insert '{}': {}"
UNKNOWN_SYMBOL = "Unknown symbol in module, or unknown parameter (see dmesg)"


def refused(name: str, command: str, reason: str, module: str = "", **options: Any) -> Case:
    """modprobe of MODULE (the command's first word) says that the kernel refused it."""
    module = module or command.split()[0]
    return Case(name, f"modprobe {command}", NO_INSERT.format(module, reason), **options)


@cases(
    refused("missing symbols", "pmt_missing", UNKNOWN_SYMBOL, kmod30=True),
    refused("bad parameter", "pmt_params number=word", "Invalid argument", kmod30=True),
    refused("out of range", "pmt_params number=99999999999", "Numerical result out of range"),
    refused("bad parameter of a dependency", "pmt_c", "Invalid argument", config="options pmt_b level=x",
            modules="pmt_a"),
    refused("no privilege", "pmt_c", "Operation not permitted", options={"uid": 1000}, kmod30=True),
    refused("being unloaded", "pmt_slow", "Device or resource busy", setup=[
            *load("pmt_slow hold_exit=1"), start_unloading]),
    refused("first time, loaded", "--first-time pmt_a", "Module already in kernel", "pmt_a", setup=load("pmt_a"),
            kmod30=True),
    refused("first time, builtin", "--first-time 8250", "Module already in kernel", "8250"),
    refused("first time, being loaded", "--first-time pmt_fail error=17", "Module already in kernel", "pmt_fail"),
    refused("GPL-only symbol", f"{OWN}/pmt_closed.ko", UNKNOWN_SYMBOL, "pmt_closed"),
    Case("first time, dependencies there", "modprobe --first-time -v pmt_c", setup=load("pmt_a", "pmt_b"),
         modules=CHAIN),
    Case("unknown", "modprobe no_such", "FATAL: Module no_such not found in directory /lib/modules/RELEASE",
         kmod30=True),
    Case("unknown, quietly", "modprobe -q no_such", status=1, once=True),
    Case("unmatched bracket", "modprobe bad[", "FATAL: Module bad[ not found in directory /lib/modules/RELEASE",
         once=True),
    Case("no operand", "modprobe", "missing parameters. See -h.", once=True),
    Case("missing file", "modprobe /nowhere/x.ko",
         "FATAL: Failed to get module from path /nowhere/x.ko: No such file or directory", once=True),
)  # fmt: skip
def test_what_cannot_be_loaded_is_told(guest: Guest, case: Case) -> None:
    do(guest, dataclasses.replace(case, error=case.error.replace("RELEASE", guest.release)))


@pytest.mark.one_kernel
@pytest.mark.parametrize(
    ("number", "text"),
    {
        1: "Operation not permitted",
        2: UNKNOWN_SYMBOL,
        3: "No such process",
        8: "Exec format error",
        12: "Cannot allocate memory",
        16: "Device or resource busy",
        17: "",  # as if somebody else had loaded it meanwhile
        19: "No such device",
        38: "Function not implemented",  # not for want of finit_module: the second call says the same
        129: "Key was rejected by service",
    }.items(),
)
def test_what_init_returns_is_worded(guest: Guest, number: int, text: str) -> None:
    error = NO_INSERT.format("pmt_fail", text) if text else ""
    do(guest, Case("", f"modprobe pmt_fail error={number}", error, modules=""))


def test_loading_waits_for_another_loader(guest: Guest) -> None:
    """The kernel lets the second one wait, and then says that the module is there."""
    outcomes = {}
    for tool in ("ours", "kmod34"):
        guest.reset()
        start_loading(guest)
        second = guest.start_tool(tool, ["modprobe", "pmt_slow"])
        guest.run("until grep -qs '^313 ' /proc/[0-9]*/syscall && sleep 0.3; do sleep 0.05; done").check()
        guest.python("release('hold_init')").check()
        result = second.wait()
        outcomes[tool] = (result.status, result.stdout, result.stderr, list(result.modules))
    assert outcomes["ours"] == outcomes["kmod34"] == (0, b"", b"", ["pmt_slow"])


# --- blacklists


@cases(
    Case("stops an alias of a module", "modprobe -v pmt-bottom", modules="", config="blacklist pmt_a", kmod30=True),
    Case("stops an alias of the configuration", "modprobe -v other", modules="", config="alias other pmt_a\n"
         "blacklist pmt_a"),
    Case("does not stop a name", "modprobe -v pmt_a", modules="pmt_a", config="blacklist pmt_a"),
    Case("stops a name with -b", "modprobe -b -v pmt_a", modules="", config="blacklist pmt_a", kmod30=True),
    Case("with -b does not stop a dependency", "modprobe -b -v pmt_c", modules=CHAIN, config="blacklist pmt_a"),
    Case("does not stop a softdep", "modprobe -b -v pmt_meta", modules="pmt_a pmt_meta pmt_dash",
         config="blacklist pmt_a"),
    Case("of several with -a -b -q", "modprobe -a -b -q pmt_a pmt-bottom dummy", modules="dummy",
         config="blacklist pmt_a", once=True),
    Case("written with a dash", "modprobe -b pmt_a", modules="", config="blacklist pmt-a", once=True),
)  # fmt: skip
@pytest.mark.one_kernel
def test_a_blacklist(guest: Guest, case: Case) -> None:
    do(guest, case)


@pytest.mark.one_kernel
def test_the_kernel_command_line_blacklists_and_sets_options(boot_own: Callable[..., Guest]) -> None:
    words = 'modprobe.blacklist=pmt_a,pmt_dash pmt_params.number=42 pmt-b.level=8 ++ pmt_params.text="a b" x.y.z=1'
    guest = boot_own(modules=["loop"], cmdline=words)
    for case in (
        Case("", "modprobe -v pmt-bottom", modules=""),
        Case("", "modprobe -b pmt_dash", modules=""),
        Case("", "modprobe -b pmt_c", modules=CHAIN, after="cat /sys/module/pmt_b/parameters/level"),
        Case("", "modprobe -v pmt_params unsigned=3", config="options pmt_params number=41 flag", after=PARAMETERS),
        Case("", "modprobe -v -C /nowhere pmt_params", after=PARAMETERS),
    ):
        done = do(guest, case)
    assert b"number:42\n" in done.afterwards["ours"]
    assert b"text:a b\n" in done.afterwards["ours"]


# --- softdeps


@cases(
    Case("both ways", "modprobe -v pmt_c", modules="pmt_a pmt_b pmt_params pmt_c pmt_dash",
         config="softdep pmt_c pre: pmt_params post: pmt-dash", kmod30=True),
    Case("of the module itself", "modprobe -v pmt_meta", modules="pmt_a pmt_meta pmt_dash", kmod30=True),
    Case("with -i", "modprobe -i -v pmt_meta", modules="pmt_meta"),
    Case("of a dependency", "modprobe -v pmt_c", config="softdep pmt_b pre: pmt_dash post: pmt_params",
         modules="pmt_a pmt_dash pmt_b pmt_params pmt_c"),
    Case("of a dependency with -i", "modprobe -i -v pmt_c", config="softdep pmt_b pre: pmt_dash post: pmt_params"),
    Case("with dependencies of its own", "modprobe -v pmt_params", config="softdep pmt_params pre: pmt_c",
         modules="pmt_a pmt_b pmt_c pmt_params"),
    Case("failing before", "modprobe -v pmt_a", modules="pmt_a",
         config="softdep pmt_a pre: pmt_fail\noptions pmt_fail error=5"),
    Case("failing after", "modprobe -v pmt_a", modules="pmt_a",
         config="softdep pmt_a post: pmt_fail\noptions pmt_fail error=5"),
    Case("unknown", "modprobe -v pmt_a", modules="pmt_a", config="softdep pmt_a pre: no_such post: nor_this"),
    Case("in a circle", "modprobe -v pmt_a", config="softdep pmt_a pre: pmt_dash\nsoftdep pmt_dash pre: pmt_a"),
    Case("on itself", "modprobe -v pmt_a", config="softdep pmt_a pre: pmt_a", modules="pmt_a", once=True),
    Case("there already", "modprobe -v pmt_a", setup=load("pmt-dash"), config="softdep pmt_a pre: pmt_dash"),
    Case("builtin", "modprobe -v pmt_a", config="softdep pmt_a pre: 8250", modules="pmt_a", once=True),
    Case("failing with its dependency", "modprobe -v pmt_a", config="softdep pmt_a pre: pmt_missing"),
    Case("twice by two names", "modprobe -v pmt_c", config="softdep pmt_c pre: pmt-bottom pmt_a pmt_dash", once=True),
)  # fmt: skip
@pytest.mark.one_kernel
def test_softdeps(guest: Guest, case: Case) -> None:
    do(guest, case)
