# SPDX-License-Identifier: LGPL-2.1-or-later
"""Oopses and traces as values: what each kind says, in each kind of log."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils.diagnosis.oops import suspect
from pymodutils.formats.machinecode import disassemble
from pymodutils.formats.oops import FoundFrame, Trace, parse_oops, plain_line
from tests.support import oopses


def one(text: str) -> tuple[Trace, list[FoundFrame]]:
    traces, frames = parse_oops(text)
    (trace,) = traces
    return trace, frames


def places(frames: list[FoundFrame]) -> list[str]:
    marks = {"pc": "=>", "call": "", "lock": "@", "mention": "~"}
    return [f"{marks[frame.kind]}{'' if frame.reliable else '?'}{frame.symbol}" for frame in frames]


@pytest.mark.parametrize("form", oopses.STAMPS)
@pytest.mark.parametrize("kind", oopses.ALL)
def test_what_stands_before_the_lines_makes_no_difference(kind: str, form: str) -> None:
    bare_traces, bare = parse_oops(oopses.ALL[kind])
    traces, frames = parse_oops(oopses.stamped(oopses.ALL[kind], oopses.STAMPS[form]))
    assert traces == bare_traces
    assert frames == bare


ARM_CALLS = """\
Backtrace:
[<825b0694>] (outer) from [<80136404>] (caller+0xb0/0x150)
[<80136354>] (m_work [m]) from [<bf000a78>] (m_run+0x6c/0xd8 [m])
 m_init [m] from do_one_initcall+0x60/0x2dc
"""
POWERPC_CALLS = """\
Call Trace:
[c00000003ae5b800] [c00000000135c19c] dump_stack+0x128/0x1cc (unreliable)
[c00000003ae5b860] [c008000000e90b98] m_run+0x1cc/0x534 [m]
"""
LOOKED_UP = """\
Call Trace:
 <TASK>
 caller+0xb0/0x150 kernel/workqueue.c:2269
 ? m_run+0x6c/0xd8 [m] (drivers/misc/m.c:12 (discriminator 3))
 </TASK>
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (ARM_CALLS, ["caller", "m_run [m]", "do_one_initcall"]),
        (POWERPC_CALLS, ["?dump_stack", "m_run [m]"]),
        (LOOKED_UP, ["caller", "?m_run [m]"]),
    ],
)
def test_calls_as_other_machines_and_tools_write_them(text: str, found: list[str]) -> None:
    trace, frames = one(
        f"BUG: scheduling while atomic: x/7/0x00000101\nCPU: 1 PID: 7 Comm: x Not tainted 6.1 #1\n{text}"
    )
    assert (trace.kind, {frame.kind for frame in frames}) == ("bug", {"call"})
    named = [f"{frame.symbol} [{frame.module}]" if frame.module else frame.symbol for frame in frames]
    assert [name if frame.reliable else f"?{name}" for name, frame in zip(named, frames, strict=True)] == found


@pytest.mark.parametrize(
    ("code", "texts"),
    [("e1a0c00d e92dd800 (e5933000) e1a00003", ["ldr r3, [r3]"]), ("b510 4604 (6803) 4618", ["ldr r3, [r0]"])],
)
def test_a_short_address_in_the_line_of_the_instruction_is_32_bit_arm(code: str, texts: list[str]) -> None:
    """It writes `pc : [<809a8f2c>]`; its code is not to be read as that of arm64. Half words are Thumb."""
    head = "Internal error: Oops: 5 [#1] SMP ARM\nPC is at t_run+0x1a/0xda [m]\n"
    text = head + "pc : [<{}>]    lr : [<{}>]    psr: 60000013\nr10: 81de5c68  r9 : 825d5140\n" + f"Code: {code}\n"
    trace, frames = one(text.format("bf000a78", "808eaab4"))
    assert (trace.machine, places(frames)) == ("arm", ["=>t_run"])
    assert trace.registers == {"psr": 0x60000013, "r10": 0x81DE5C68, "r9": 0x825D5140}
    assert one(text.format("ffffffc000a78000", "ffffffc000a78004"))[0].machine == "arm64"
    found = disassemble(trace.code or "", trace.machine) or ()
    assert [instruction.text for instruction in found if instruction.faulting] == texts


@pytest.mark.parametrize(
    "line", ["RIP: 0010:0x0", "PC is at 0x0", "pc : 0x0", "epc : 0x0", "RIP: 0010:[<0000000000000000>]  0x0"]
)
def test_a_call_by_a_null_pointer(line: str) -> None:
    """Whatever was unloaded last has nothing to do with it."""
    text = f"Oops: 0010 [#1] SMP\nModules linked in: m [last unloaded: other]\n{line}\nCall Trace:\n f+0x4/0xb [m]\n"
    trace, frames = one(text)
    assert [(frame.kind, frame.address) for frame in frames] == [("pc", 0), ("call", None)]
    found = suspect(trace, 0, frames)
    assert found and found.module == "m" and "null pointer" in found.reason


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        (
            "WARNING: [time_after(jiffies, timeout)] io_uring/io_uring.c:3026 at f+0x4/0xb, CPU#0: kworker/u8:0/10040",
            "warning",
        ),
        ("segment-related general protection fault: beec [#2] PREEMPT SMP", "oops"),
        ("WARNING: fuzz er/4398 still has locks held!", "lockdep"),
        ("[ BUG: lock held when returning to user space! ]", "lockdep"),
        ("[ INFO: SOFTIRQ-safe -> SOFTIRQ-unsafe lock order detected ]", "lockdep"),
        ("** 2977 printk messages dropped ** [   46.300984] Oops: 0000 [#1] SMP", "oops"),
    ],
)
def test_titles(title: str, kind: str) -> None:
    trace, _frames = one(f"{title}\nCall Trace:\n f+0x4/0xb\n")
    assert trace.kind == kind


def test_locks_of_old_kernels_have_an_address_before_the_place() -> None:
    _trace, frames = one(
        "[ BUG: held lock freed! ]\n #0:  (&fi->mutex){+.+.+.}, at: [<ffffffff81938722>] take_it+0xa2/0xd0\n"
    )
    assert places(frames) == ["@take_it"]


@pytest.mark.parametrize(
    ("words", "comm", "taint"),
    [
        ("Comm: test Kdump: loaded Not tainted 4.18.0-305.el8.x86_64 #1", "test", ""),
        ("Comm: a b Kdump: loaded Tainted: G        W          4.18.0-305.el8.x86_64 #1", "a b", "W"),
        ("Comm: x/3:2 Tainted: G           OE     -------  ---  4.18.0-305.el8.x86_64 #1", "x/3:2", "OE"),
        ("Comm: x Kdump: loaded Tainted: P        W        --------- -t - 4.18.0-305.el8.x86_64 #1", "x", "PW"),
        ("Comm: Kdump: Not tainted 4.18.0-305.el8.x86_64 #1", "Kdump:", ""),
    ],
)
def test_the_line_of_the_process_on_servers(words: str, comm: str, taint: str) -> None:
    """With a crash kernel loaded, and with the places of taint that Red Hat's kernels have."""
    trace, _frames = one(f"Oops: 0000 [#1] SMP\nCPU: 1 PID: 7 {words}\nRIP: 0010:f+0x1/0x2\n")
    assert (trace.comm, trace.pid, trace.taint, trace.kernel) == (comm, 7, taint, "4.18.0-305.el8.x86_64")


def test_modules_that_tainted_the_kernel_and_are_unloaded() -> None:
    """They stand on a line of their own, with the one unloaded last at its end; old kernels repeat them."""
    tainted = "Unloaded tainted modules: nfit(E):4 a-b():1 nfit(E):1\nlate(OE):2 [last unloaded: m(OE)]"
    text = oopses.UNLOADED.replace(" [last unloaded: m(OE)]", f"\n{tainted}")
    trace, frames = one(text)
    assert [(module.name, module.taint, module.times) for module in trace.unloaded_tainted] == [
        ("nfit", "E", 5), ("a-b", "", 1), ("late", "OE", 2),
    ]  # fmt: skip
    assert trace.last_unloaded == "m"
    assert [module.name for module in trace.modules] == ["fat"]
    assert (trace.replace(unloaded_tainted=()), frames) == one(oopses.UNLOADED)


def test_x86() -> None:
    trace, frames = one(oopses.X86)
    assert (trace.kind, trace.line, trace.cpu, trace.pid, trace.comm) == ("oops", 1, 1, 123, "kworker/1:2")
    assert (trace.kernel, trace.taint, trace.machine) == ("6.12.1-amd64", "OE", "x86-64")
    assert [(module.name, module.taint) for module in trace.modules] == [
        ("m", "OE+"), ("fat", "-"), ("snd_hda_intel", ""),
    ]  # fmt: skip
    assert trace.last_unloaded == "old_one"
    assert trace.registers["RSP"] == 0xFFFFA1E0C0137C98
    assert trace.registers["RAX"] == 0 and trace.registers["CR2"] == 0x10 and trace.registers["EFLAGS"] == 0x10246
    assert trace.code and trace.code.startswith("00 00 48") and "<c7>" in trace.code
    assert places(frames) == [
        "=>t_run", "?__die", "?page_fault_oops", "u_dup", "process_one_work", "ret_from_fork_asm",
    ]  # fmt: skip
    frame = frames[0]
    assert (frame.offset, frame.length, frame.module, frame.line) == (0x1A, 0xDA, "m", 10)


def test_arm64() -> None:
    trace, frames = one(oopses.ARM64)
    assert (trace.kind, trace.machine, trace.comm, trace.kernel) == ("oops", "arm64", "insmod", "6.13.0")
    assert trace.registers["sp"] == 0xFFFF80008289BB40 and trace.registers["x1"] == 1
    assert places(frames) == ["=>t_run", "?u_dup", "=>t_run", "do_one_initcall", "el0t_64_sync"]
    assert trace.code == "d503201f d503245f d2800100 52800021 (b9000001)"


def test_riscv() -> None:
    trace, frames = one(oopses.RISCV)
    assert (trace.kind, trace.machine, trace.taint) == ("oops", "riscv", "O")
    assert trace.registers["epc"] == 0xFFFFFFFF01A4F006 and trace.registers["badaddr"] == 8
    assert places(frames) == ["=>t_run", "?u_dup", "=>t_run", "do_one_initcall"]


@pytest.mark.parametrize(
    ("text", "kind", "comm", "expected"),
    [
        (oopses.WARNING, "warning", "modprobe", ["=>t_run", "u_dup"]),
        (oopses.BUG, "bug", "modprobe", ["=>t_run", "u_dup"]),
        (oopses.HUNG, "hung-task", "insmod", ["__schedule", "schedule", "mutex_lock", "t_run"]),
        (oopses.SOFT_LOCKUP, "lockup", "modprobe",
         ["=>native_queued_spin_lock_slowpath", "_raw_spin_lock", "t_run"]),
        (oopses.STACK_OVERFLOW, "oops", "insmod", ["=>t_run", "t_run", "t_run"]),
        (oopses.LOCKDEP, "lockdep", "insmod",
         ["@t_run", "@u_dup", "__mutex_lock", "t_dup", "dump_stack_lvl", "t_run"]),
        (oopses.OLD, "oops", "insmod", ["=>t_run", "?do_one_initcall", "?u_dup"]),
    ],
    ids=["warning", "bug", "hung", "soft-lockup", "stack-overflow", "lockdep", "old"],
)  # fmt: skip
def test_kinds(text: str, kind: str, comm: str, expected: list[str]) -> None:
    trace, frames = one(text)
    assert (trace.kind, trace.comm) == (kind, comm)
    assert places(frames) == expected


def test_use_after_free() -> None:
    trace, frames = one(oopses.KASAN)
    assert (trace.kind, trace.taint, trace.pid) == ("sanitizer", "BOE", 213)
    assert places(frames)[3:5] == ["t_run", "u_dup"]


def test_a_module_that_is_gone() -> None:
    trace, frames = one(oopses.UNLOADED)
    assert (trace.last_unloaded, trace.code) == ("m", None)
    assert [(frame.kind, frame.symbol, frame.address) for frame in frames[:2]] == [
        ("pc", None, 0xFFFFFFFFC0A00000), ("call", None, 0xFFFFFFFFC0A00000),
    ]  # fmt: skip


def test_build_ids() -> None:
    _, frames = one(oopses.WITH_BUILD_ID)
    assert {frame.build_id for frame in frames} == {oopses.BUILD_ID}


def test_several_in_one_log() -> None:
    text = f"starting\n{oopses.X86}ordinary line\n{oopses.HUNG}\nmore\n{oopses.WARNING}{oopses.LOCKDEP}"
    traces, frames = parse_oops(text)
    assert [trace.kind for trace in traces] == ["oops", "hung-task", "warning", "lockdep"]
    assert [frame.trace for frame in frames] == sorted(frame.trace for frame in frames)
    assert text.splitlines()[traces[1].line - 1].startswith("INFO: task")


def test_frames_alone() -> None:
    traces, frames = parse_oops("t_run+0x1a/0xda [m]\n\nu_dup+0x5/0x8 [m]\n")
    assert [trace.kind for trace in traces] == ["trace"]
    assert places(frames) == ["~t_run", "~u_dup"]


def test_a_report_cut_off_after_its_title() -> None:
    trace, frames = one("BUG: KASAN: slab-use-after-free in t_run+0x1a/0xda [m]\n")
    assert (trace.kind, places(frames)) == ("sanitizer", ["~t_run"])


@pytest.mark.parametrize(
    "text",
    [
        "", "hello\n", "usb 1-1: new device\n", "the function foo+0x1/0x2 is fine\n",
        "systemd[1]: Oops, that went wrong\n", "[    1.0] Kernel panic - not syncing: test\n",
    ],
)  # fmt: skip
def test_what_is_no_report(text: str) -> None:
    assert parse_oops(text) == ([], [])


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[    5.1] [ end ]", "[ end ]"),
        ("[<ffffffff80002a3c>] f+0x1/0x2", "[<ffffffff80002a3c>] f+0x1/0x2"),
        ("x" * 10000, "x" * 4096),
    ],
)
def test_plain_lines(line: str, expected: str) -> None:
    assert plain_line(line) == expected


LINES = [line for text in oopses.ALL.values() for line in text.splitlines()]


@given(st.lists(st.one_of(st.sampled_from(LINES), st.text(max_size=80)), max_size=60))
def test_any_lines_in_any_order(lines: list[str]) -> None:
    traces, frames = parse_oops("\n".join(lines))
    assert all(0 <= frame.trace < len(traces) for frame in frames)
    assert [trace.line for trace in traces] == sorted(trace.line for trace in traces)


def test_a_symbol_is_a_whole_word() -> None:
    """So that a word of thousands of letters is looked at once, and not from each of them on."""
    _, frames = one("BUG: unable to handle page fault\nRIP: 0010:9lives+0x1/0x2\n a.b$c+0x1/0x2\n")
    assert [frame.symbol for frame in frames] == ["a.b$c"]


def test_numbers_and_releases_that_cannot_be() -> None:
    trace, _ = one(
        "BUG: unable to handle page fault\nCPU: 1 PID: 9999999999999999999 Comm: x Not tainted 6.1/../.. #1\n"
    )
    assert (trace.pid, trace.comm) == (None, None)
    assert trace.kernel == "6.1", "a name that leads to no other directory"


@pytest.mark.parametrize(
    "lines",
    [
        ("Internal error: Oops: 805 [#1] SMP ARM", "PC is at t_run+0x1c/0x1000 [m]", "LR is at call+0x50/0x220"),
        ("Oops: Kernel access of bad area, sig: 11 [#1]", "NIP [c008000000a00020] t_run+0x1c/0x1000 [m]",
         "LR [c000000000010e60] call+0x50/0x220"),
        ("Oops: 0004 ilc:3 [#1] SMP", "Krnl PSW : 0704c00180000000 000003ff80002020 (t_run+0x1c/0x1000 [m])"),
        ("Oops[#1]:", "   ra: 9000000000220e60 call+0x50/0x220", "  ERA: ffff800002000020 t_run+0x1c/0x1000 [m]"),
    ],
    ids=["arm", "powerpc", "s390", "loongarch"],
)  # fmt: skip
def test_the_instruction_that_failed_on_other_machines(lines: tuple[str, ...]) -> None:
    """As arch/*/kernel/{process,traps,dumpstack}.c print it."""
    text = "\n".join(f"[    5.000000] {line}" for line in lines) + "\n"
    frames = {frame.symbol: frame for frame in one(text)[1]}
    assert (frames["t_run"].kind, frames["t_run"].module, frames["t_run"].offset) == ("pc", "m", 0x1C)
    assert "call" not in frames or not frames["call"].reliable
