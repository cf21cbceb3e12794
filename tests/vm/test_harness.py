# SPDX-License-Identifier: LGPL-2.1-or-later
"""The harness itself: what a step does comes back, and what goes wrong in a guest is noticed."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support import assets
from tests.vm.harness import TOOLS, Comparison, Guest, GuestDied, Module, Result, Setup, boot, compare, normal


def test_the_kernel_is_the_one_asked_for(guest: Guest, kernel: str) -> None:
    assert guest.run(["uname", "-r"]).stdout.decode().strip() == assets.release(kernel)
    assert assets.release(kernel).startswith(kernel + ".")


@pytest.mark.one_kernel
def test_status_and_outputs_come_back(guest: Guest) -> None:
    result = guest.run("cat; echo to stderr >&2; exit 7", stdin=b"all \0 bytes \xff\n")
    assert (result.status, result.stdout, result.stderr) == (7, b"all \0 bytes \xff\n", b"to stderr\n")
    assert not result.timed_out


@pytest.mark.one_kernel
def test_death_by_signal_is_a_negative_status(guest: Guest) -> None:
    assert guest.run("kill -TERM $$").status == -signal.SIGTERM


@pytest.mark.one_kernel
def test_steps_have_the_surroundings_asked_for(guest: Guest) -> None:
    result = guest.run("pwd; id -u; id -g; echo $WORD; ls /proc/self/fd", env={"WORD": "here"}, uid=1000, cwd="/opt")
    assert result.check().stdout.split() == [b"/opt", b"1000", b"1000", b"here", b"0", b"1", b"2", b"3"]
    closed = guest.run("for n in 0 1 2; do test -e /proc/$$/fd/$n && echo $n; done; true", close=[0, 2])
    assert closed.stdout == b"1\n"


@pytest.mark.one_kernel
def test_merged_output_keeps_its_order(guest: Guest) -> None:
    assert guest.run("echo 1; echo 2 >&2; echo 3", merge=True).stdout == b"1\n2\n3\n"


@pytest.mark.one_kernel
def test_a_large_output_comes_back_whole(guest: Guest) -> None:
    assert len(guest.run("seq 200000").stdout) == 1_288_895


@pytest.mark.one_kernel
def test_a_hung_step_is_killed_with_what_it_started(guest: Guest) -> None:
    result = guest.run("echo before; sleep 1000 & sleep 1000", timeout=1)
    assert (result.timed_out, result.status, result.stdout) == (True, -signal.SIGKILL, b"before\n")
    assert guest.run("cat /proc/[0-9]*/comm").stdout.count(b"sleep") == 0


@pytest.mark.one_kernel
def test_a_step_that_cannot_be_killed_is_given_up(guest: Guest) -> None:
    result = guest.run(["insmod", guest.own("pmt_slow"), "hold_init=1"], timeout=0.5)
    assert (result.timed_out, result.status) == (True, None)
    guest.python("release('hold_init')").check()


@pytest.mark.one_kernel
def test_steps_run_side_by_side_and_get_signals(guest: Guest) -> None:
    waiting = guest.start("trap 'echo signalled; exit 3' USR1; touch /tmp/ready; while :; do sleep 0.1; done")
    guest.run("until test -e /tmp/ready; do sleep 0.1; done").check()
    waiting.signal(signal.SIGUSR1)
    result = waiting.wait()
    assert (result.status, result.stdout) == (3, b"signalled\n")


@pytest.mark.one_kernel
def test_steps_can_be_data(guest: Guest) -> None:
    results = guest.run_steps([{"argv": ["echo", "one"]}, {"argv": "exit 2"}, {"argv": [], "python": "print('three')"}])
    assert [(result.status, result.stdout) for result in results] == [(0, b"one\n"), (2, b""), (0, b"three\n")]


def test_kernel_log_and_modules_belong_to_the_step(guest: Guest) -> None:
    assert guest.run(["true"]).modules == {}
    loaded = guest.run(["insmod", guest.own("pmt_params"), "no_such=1"])
    assert "pmt_params: unknown parameter 'no_such' ignored" in loaded.log
    assert loaded.modules == {"pmt_params": Module(0, ())}
    assert guest.run(["true"]).log == []


def test_own_modules_load_in_order_and_hold_each_other(guest: Guest) -> None:
    for name in ("pmt_a", "pmt_b", "pmt_c"):
        result = guest.run(["insmod", guest.own(name)]).check()
    expected = {"pmt_c": Module(0, ()), "pmt_b": Module(1, ("pmt_c",)), "pmt_a": Module(1, ("pmt_b",))}
    assert result.modules == expected


@pytest.mark.parametrize("tool", ["kmod34", "kmod30"])
def test_the_real_modprobe_works_with_the_guests_modules(guest: Guest, tool: str) -> None:
    modules = guest.tool(tool, ["modprobe", "-v", "pmt_c"]).check().modules
    assert list(modules) == ["pmt_c", "pmt_b", "pmt_a"]
    assert "loop" in guest.tool(tool, ["modprobe", "loop"]).check().modules


def test_the_real_kmods_have_their_versions(guest: Guest) -> None:
    versions = {tool: guest.tool(tool, ["kmod", "--version"]).stdout.split(b"\n")[0] for tool in ("kmod34", "kmod30")}
    assert versions == {"kmod34": b"kmod version 34.2", "kmod30": b"kmod version 30"}
    in_shell = {tool: guest.run("modprobe -V", env={"PATH": f"{TOOLS[tool]('x')[2]}:/usr/bin"}) for tool in versions}
    assert {tool: result.stdout.split(b"\n")[0] for tool, result in in_shell.items()} == versions


def test_reset_undoes_everything(guest: Guest) -> None:
    guest.python("load('/opt/pmt/pmt_noexit.ko'); load('/opt/pmt/pmt_a.ko'); load('/opt/pmt/pmt_held.ko')").check()
    guest.start("exec sleep 1000 < /dev/pmt_held")
    guest.run("until grep -q '^pmt_held [0-9]* 1 ' /proc/modules; do sleep 0.1; done").check()
    guest.run(["modprobe", "loop"]).check()
    guest.run("mkdir -p /mnt /tmp/deep/er && mount -t tmpfs none /mnt").check()
    guest.run("echo 'blacklist x' > /run/modprobe.d/x.conf && ln -s /nowhere /etc/modprobe.d/x.conf").check()
    guest.run("echo /bin/false > /proc/sys/kernel/modprobe").check()
    guest.reset()
    after = guest.run(
        "cat /proc/sys/kernel/modprobe; ls /etc/modprobe.d /run/modprobe.d /tmp; grep -c mnt /proc/mounts"
    )
    assert after.stdout == b"/sbin/modprobe\n/etc/modprobe.d:\n\n/run/modprobe.d:\n\n/tmp:\n0\n"
    assert after.modules == {}


@pytest.mark.one_kernel
def test_put_writes_any_content(guest: Guest) -> None:
    content = bytes(range(256)) * 100
    path = guest.put("/tmp/deep/file", content, 0o640)
    assert guest.run(["cat", path]).stdout == content
    assert guest.run(["stat", "-c", "%a", path]).stdout == b"640\n"


@pytest.mark.one_kernel
def test_a_step_too_large_for_the_line_is_refused(guest: Guest) -> None:
    with pytest.raises(ValueError, match="use put"):
        guest.run(["echo", "".join(map(str, range(20000)))])


def test_compare_starts_each_tool_from_the_same_state(guest: Guest) -> None:
    setup: Setup = [["insmod", guest.own("pmt_a")], lambda guest: guest.put("/tmp/mark", b"")]
    both = compare(guest, ["rmmod", "pmt_a"], setup, tools=("kmod34", "kmod30"))
    assert {tool: (result.status, result.modules) for tool, result in both.results.items()} == {
        "kmod34": (0, {}),
        "kmod30": (0, {}),
    }


def test_a_comparison_names_what_differs() -> None:
    def result(stdout: bytes, stderr: bytes) -> Result:
        return Result(0, stdout, stderr, [], {}, 0.0, False)

    with pytest.raises(AssertionError, match="x -y: stdout differ"):
        Comparison(["x", "-y"], {"ours": result(b"a", b""), "kmod34": result(b"b", b"")}).assert_same()
    place = b"rmmod: ERROR: ../libkmod/libkmod-module.c:1054 kmod_module_remove_module() could not remove 'x': why\n"
    plain = b"rmmod: ERROR: could not remove 'x': why\n"
    Comparison(["x"], {"ours": result(b"", plain), "kmod34": result(b"", place)}).assert_same()
    assert normal(b"libkmod: ERROR ../libkmod/libkmod-config.c:712 kmod_config_parse: /x line 1: bad\n") == (
        b"libkmod: ERROR: kmod_config_parse: /x line 1: bad\n"
    )


def test_a_panic_is_reported(vm_programs: None) -> None:
    guest = boot(modules=[])
    with pytest.raises(GuestDied, match=r"(?s)kernel panic.*sysrq"):
        guest.run("echo c > /proc/sysrq-trigger")
    with pytest.raises(GuestDied):
        guest.run(["true"])


def test_a_guest_that_does_not_answer_is_ended(vm_programs: None) -> None:
    guest = boot(modules=[])
    guest._process.send_signal(signal.SIGSTOP)
    guest._death = time.monotonic() + 1  # as if its whole time were over in a second
    with pytest.raises(GuestDied, match="no answer in time"):
        guest.run(["true"])
    assert guest._process.poll() is not None


def test_boot_gives_up_on_a_kernel_that_does_not_come_up(vm_programs: None) -> None:
    with pytest.raises(GuestDied, match="kernel panic"):
        boot(modules=[], cmdline="rdinit=/nowhere", boot_timeout=60)


def test_closing_a_guest_that_has_died_unnoticed_tells(vm_programs: None) -> None:
    guest = boot(modules=[])
    guest._process.kill()
    guest._process.wait()
    with pytest.raises(GuestDied):
        guest.close()


def test_a_well_guest_says_goodbye(vm_programs: None) -> None:
    with boot(modules=[], cmdline="modprobe.blacklist=loop") as guest:
        assert b"modprobe.blacklist=loop" in guest.run(["cat", "/proc/cmdline"]).stdout
