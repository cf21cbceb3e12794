# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -r on a real kernel as the real kmod does it: chains, holders, waiting, softdeps, refusals."""

from __future__ import annotations

import pytest

from tests.vm.cases import Case, cases, configure, do, hold, load, start_loading, start_unloading
from tests.vm.harness import Guest, Setup, compare

CHAIN = load("pmt_a", "pmt_b", "pmt_c")
EVERYTHING = load("pmt_a", "pmt_b", "pmt_c", "pmt-dash", "pmt_params")


@cases(
    Case("a file system", "modprobe -r -v btrfs", setup=[["modprobe", "btrfs"]], kmod30=True, once=True),
    Case("a server", "modprobe -r -v nfsd", setup=[["modprobe", "nfsd"]]),
    Case("sound", "modprobe -r -v snd_hda_intel", setup=[["modprobe", "snd_hda_intel"]]),
    Case("virtual machines", "modprobe -r -v kvm", setup=[["modprobe", "kvm"]]),
    Case("ours", "modprobe -r -v pmt_c", setup=CHAIN, kmod30=True),
    Case("two of three", "modprobe -r -v pmt_b", setup=load("pmt_a", "pmt_b"), modules="", once=True),
    Case("what others need stays", "modprobe -r -v lp", setup=["modprobe -a lp parport_pc"]),
    Case("shown only", "modprobe -r -n -v pmt_c", setup=CHAIN, modules="pmt_a pmt_b pmt_c", kmod30=True),
    Case("by alias", "modprobe -r -v pmt-bottom", setup=load("pmt_a"), modules=""),
    Case("dash for underscore", "modprobe -r -v pmt-dash", setup=load("pmt-dash"), modules="", once=True),
    Case("several", "modprobe -r -v pmt_c pmt_dash pmt_params", setup=EVERYTHING),
    Case("several with -a", "modprobe -r -a -v pmt_dash pmt_params", setup=EVERYTHING, once=True),
    Case("several, one unknown", "modprobe -r -a -v pmt_dash no_such pmt_params",
         "WARNING: Module no_such not found.", setup=EVERYTHING),
    Case("several, one in use", "modprobe -r -a -v pmt_dash pmt_a pmt_params",
         "WARNING: Module pmt_a is in use.", setup=EVERYTHING),
    Case("a slow one", "modprobe -r pmt_slow", setup=load("pmt_slow exit_ms=300"), modules=""),
    Case("not loaded", "modprobe -r -v pmt_a", kmod30=True),
    Case("forced, without an exit function", "modprobe -r -f pmt_noexit", setup=load("pmt_noexit"), modules=""),
    Case("without descriptors", "modprobe -r pmt_a", setup=load("pmt_a"), options={"close": [0, 1, 2]}, once=True),
)  # fmt: skip
def test_modules_are_removed_with_what_only_they_needed(guest: Guest, case: Case) -> None:
    do(guest, case)


@cases(
    Case("in use by a module", "modprobe -r pmt_a", "FATAL: Module pmt_a is in use.", setup=CHAIN, kmod30=True),
    Case("in use by an open file", "modprobe -r pmt_held", "FATAL: Module pmt_held is in use.",
         setup=[*load("pmt_held"), hold]),
    Case("in use, forced", "modprobe -r -f pmt_held", "FATAL: Module pmt_held is in use.",
         setup=load("pmt_held pinned=1")),
    Case("in use, shown only", "modprobe -r -n -v pmt_a", "FATAL: Module pmt_a is in use.", setup=CHAIN, once=True),
    Case("in use, shown only, with -w", "modprobe -r -n -v -w 5 pmt_a", setup=CHAIN),
    Case("in use, quietly", "modprobe -r -q pmt_a", setup=CHAIN, status=1),
    Case("being loaded", "modprobe -r pmt_slow", "FATAL: Module pmt_slow is in use.", setup=[start_loading]),
    Case("being unloaded", "modprobe -r pmt_slow", "could not remove 'pmt_slow': Device or resource busy",
         setup=[*load("pmt_slow hold_exit=1"), start_unloading]),
    Case("no exit function", "modprobe -r pmt_noexit", "could not remove 'pmt_noexit': Device or resource busy",
         setup=load("pmt_noexit"), kmod30=True),
    Case("no privilege", "modprobe -r pmt_a", "could not remove 'pmt_a': Operation not permitted",
         setup=load("pmt_a"), options={"uid": 1000}, kmod30=True),
    Case("builtin", "modprobe -r 8250", "FATAL: Module 8250 is builtin.", kmod30=True),
    Case("unknown", "modprobe -r no_such", "FATAL: Module no_such not found.", kmod30=True),
    Case("unmatched bracket", "modprobe -r bad[", status=1, once=True),
    Case("first time", "modprobe -r --first-time pmt_a", "FATAL: Module pmt_a is not in kernel."),
    Case("no operand", "modprobe -r", "missing parameters. See -h.", once=True),
)  # fmt: skip
def test_what_stays_is_told(guest: Guest, case: Case) -> None:
    do(guest, case)


# --- waiting


def test_a_reference_released_meanwhile_is_waited_for(guest: Guest) -> None:
    def hold_until_waited_for(guest: Guest) -> None:
        """Let go when a process has called delete_module and sleeps (nanosleep or clock_nanosleep) since then."""
        guest.start(
            "exec < /dev/pmt_held; until grep -qsE '^(35|230) ' $(grep -lsa pmt_held /proc/[0-9]*/cmdline | "
            "sed s/cmdline/syscall/); do :; done; exec < /dev/null"
        )
        guest.run("until grep -q '^pmt_held [0-9]* 1 ' /proc/modules; do sleep 0.05; done").check()

    done = compare(guest, ["modprobe", "-r", "-w", "20000", "pmt_held"], [*load("pmt_held"), hold_until_waited_for])
    done.assert_same()
    assert (done.ours.status, done.ours.stderr, done.ours.modules) == (0, b"", {})


@pytest.mark.parametrize("words", ["-w 50 pmt_held", "--wait=20 pmt_a"])
def test_time_that_is_over_is_told(guest: Guest, words: str) -> None:
    """kmod up to 34.2 says nothing and succeeds, or waits for ever where the machine is slow."""
    for step in load("pmt_held", "pmt_a", "pmt_b"):
        guest.run(step).check()
    hold(guest)
    result = guest.tool("ours", ["modprobe", "-r", *words.split()])
    reason = "Resource temporarily unavailable"
    assert result.stderr.decode() == f"modprobe: ERROR: could not remove '{words.split()[-1]}': {reason}\n"
    assert result.status == 1
    assert sorted(result.modules) == ["pmt_a", "pmt_b", "pmt_held"]


@cases(
    Case("not in use", "modprobe -r -w 0x1000 pmt_a", setup=load("pmt_a"), modules="", once=True),
    Case("no number", "modprobe -r -w soon pmt_a", "unexpected wait value 'soon'.", setup=load("pmt_a"), once=True),
    Case("no time", "modprobe -r -w 0 pmt_a", "FATAL: Module pmt_a is in use.", setup=CHAIN, once=True),
    Case("other reasons", "modprobe -r -w 60000 pmt_noexit", "could not remove 'pmt_noexit': Device or resource busy",
         setup=load("pmt_noexit")),
)  # fmt: skip
def test_waiting_ends(guest: Guest, case: Case) -> None:
    do(guest, case)


# --- holders


@cases(
    Case("none", "modprobe -r --remove-holders -v pmt_c", setup=CHAIN, once=True),
    Case("not loaded", "modprobe -r --remove-holders -v pmt_a", modules="", once=True),
    Case("that are no modules", "modprobe -r --remove-holders -v pmt_held", "FATAL: Module pmt_held is in use.",
         setup=[*load("pmt_held"), hold], once=True),
)  # fmt: skip
def test_without_holders_nothing_is_different(guest: Guest, case: Case) -> None:
    do(guest, case)


@pytest.mark.parametrize("loaded", [["pmt_b"], ["pmt_b", "pmt_c"]], ids=["one", "one above another"])
def test_holders_are_removed_too(guest: Guest, loaded: list[str]) -> None:
    """kmod 34.2 stops at the second level, and takes it for a failure that the module went along with its holder."""
    done = compare(guest, ["modprobe", "-r", "--remove-holders", "-v", "pmt_a"], load("pmt_a", *loaded))
    assert done.ours.check().stdout.decode().splitlines() == [f"rmmod {name}" for name in [*loaded[::-1], "pmt_a"]]
    assert done.ours.modules == {}
    assert done.kmod.status == 1


@pytest.mark.one_kernel("6.12")
def test_a_holder_in_use_keeps_all(guest: Guest) -> None:
    """sunrpc is held by nfsd, which is in use while its file system is mounted."""
    both = {}
    for tool in ("ours", "kmod34"):
        guest.reset()
        guest.run("modprobe nfsd; mkdir -p /tmp/nfsd; mount -t nfsd nfsd /tmp/nfsd").check()
        result = guest.tool(tool, ["modprobe", "-r", "--remove-holders", "auth_rpcgss"])
        both[tool] = (result.status, result.stdout, result.stderr, result.modules)
    assert both["ours"] == both["kmod34"]
    assert both["ours"][:3] == (1, b"", b"modprobe: FATAL: Module nfsd is in use.\n")


# --- softdeps and remove commands


@cases(
    Case("both ways", "modprobe -r -v pmt_a", setup=load("pmt_a", "pmt-dash", "pmt_params"), modules="",
         config="softdep pmt_a pre: pmt_dash post: pmt_params", kmod30=True),
    Case("of the module itself", "modprobe -r -v pmt_meta", setup=[["modprobe", "pmt_meta"]], kmod30=True),
    Case("with -i", "modprobe -r -i -v pmt_meta", setup=[["modprobe", "pmt_meta"]]),
    Case("in use before", "modprobe -r -v pmt_a", "FATAL: Module pmt_held is in use.",
         setup=[*load("pmt_a", "pmt-dash", "pmt_held"), hold],
         config="softdep pmt_a pre: pmt_held pmt_dash"),
    Case("in use behind", "modprobe -r -v pmt_a", "FATAL: Module pmt_held is in use.",
         setup=[*load("pmt_a", "pmt-dash", "pmt_held"), hold],
         config="softdep pmt_a post: pmt_held pmt_dash"),
    Case("builtin before", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="softdep pmt_a pre: 8250"),
    Case("builtin behind", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="softdep pmt_a post: 8250"),
    Case("unknown", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="softdep pmt_a pre: x post: y"),
    Case("not loaded", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="softdep pmt_a pre: loop post: dummy"),
    Case("not loaded, first time", "modprobe -r --first-time -v pmt_a", "FATAL: Module dummy is not in kernel.",
         setup=load("pmt_a"),
         config="softdep pmt_a pre: loop post: dummy"),
    Case("in a circle", "modprobe -r -v pmt_a", setup=load("pmt_a", "pmt-dash"),
         config="softdep pmt_a pre: pmt_dash\nsoftdep pmt_dash pre: pmt_a"),
    Case("of the dependency do not count", "modprobe -r -v pmt_b", setup=load("pmt_a", "pmt_b", "pmt-dash"),
         config="softdep pmt_a pre: pmt_dash"),
    Case("failing", "modprobe -r -v pmt_a",
         "could not remove 'pmt_noexit': Device or resource busy", status=0,
         setup=load("pmt_a", "pmt_noexit"), config="softdep pmt_a pre: pmt_noexit"),
    Case("with -a", "modprobe -r -a -v pmt_a pmt_params", setup=load("pmt_a", "pmt-dash", "pmt_params"),
         config="softdep pmt_a pre: pmt_dash 8250"),
)  # fmt: skip
@pytest.mark.one_kernel("6.12")
def test_softdeps_are_removed_both_ways(guest: Guest, case: Case) -> None:
    do(guest, case)


@cases(
    Case("instead", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="remove pmt_a echo removing; rmmod pmt_a",
         modules="", kmod30=True),
    Case("calling modprobe", "modprobe -r pmt_b", setup=load("pmt_a", "pmt_b"), modules="",
         config="remove pmt_b modprobe -r -i -v pmt_b"),
    Case("with -i", "modprobe -r -i -v pmt_a", setup=load("pmt_a"), config="remove pmt_a exit 1", modules=""),
    Case("of what is not loaded", "modprobe -r -v pmt_a", config="remove pmt_a echo removing"),
    Case("of what is no module", "modprobe -r -v virtual", config="remove virtual echo removing $MODPROBE_MODULE"),
    Case("of a dependency does not count", "modprobe -r -v pmt_b", setup=load("pmt_a", "pmt_b"),
         config="remove pmt_a echo removing", once=True),
    Case("in use", "modprobe -r -v pmt_a", setup=load("pmt_a", "pmt_b"), config="remove pmt_a echo removing"),
    Case("failing", "modprobe -r -v pmt_a", "FATAL: Error running remove command for pmt_a", setup=load("pmt_a"),
         config="remove pmt_a exit 3", modules="pmt_a"),
    Case("shown only", "modprobe -r -n -v pmt_a", setup=load("pmt_a"), config="remove pmt_a exit 3", once=True),
    Case("found by a pattern", "modprobe -r -v pmt_a", setup=load("pmt_a"), config="remove pmt_? echo removing"),
    Case("with its softdeps", "modprobe -r -v pmt_a", setup=load("pmt_a", "pmt-dash"),
         config="softdep pmt_a pre: pmt_dash\nremove pmt_a echo removing"),
)  # fmt: skip
@pytest.mark.one_kernel("6.12")
def test_remove_commands(guest: Guest, case: Case) -> None:
    do(guest, case)


@pytest.mark.one_kernel("6.12")
def test_a_remove_command_that_is_killed_is_a_failure(guest: Guest) -> None:
    """kmod takes it for a success."""
    setup: Setup = [*load("pmt_a"), configure("remove pmt_a kill -KILL $$")]
    done = compare(guest, ["modprobe", "-r", "pmt_a"], setup)
    assert (done.ours.status, done.kmod.status) == (1, 0)
    assert done.ours.stderr == b"modprobe: FATAL: Error running remove command for pmt_a\n"
