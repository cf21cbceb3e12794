# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kernels write when something is wrong, in the form that each machine and each kind of report has."""

from __future__ import annotations

X86 = """\
BUG: kernel NULL pointer dereference, address: 0000000000000010
#PF: supervisor write access in kernel mode
#PF: error_code(0x0002) - not-present page
PGD 0 P4D 0
Oops: Oops: 0002 [#1] PREEMPT SMP NOPTI
CPU: 1 UID: 0 PID: 123 Comm: kworker/1:2 Tainted: G           OE      6.12.1-amd64 #1  Debian 6.12.1-1
Tainted: [O]=OOT_MODULE, [E]=UNSIGNED_MODULE
Hardware name: QEMU Standard PC (i440FX + PIIX, 1996), BIOS 1.16.2-debian-1.16.2-1 04/01/2014
Workqueue: events m_work [m]
RIP: 0010:t_run+0x1a/0xda [m]
Code: 00 00 48 89 e5 <c7> 04 25 10 00 00 00 01 00 00 00 31 c0 c3
RSP: 0018:ffffa1e0c0137c98 EFLAGS: 00010246
RAX: 0000000000000000 RBX: ffff8f3a41e3b000 RCX: 0000000000000027
R13: 0000000000000000 R14: ffffa1e0c0137e38 R15: 0000000000000000
FS:  00007f2ab0c4f740(0000) GS:ffff8f3abdc00000(0000) knlGS:0000000000000000
CR2: 0000000000000010 CR3: 0000000002e1a000 CR4: 00000000000006f0
Call Trace:
 <TASK>
 ? __die+0x1f/0x70
 ? page_fault_oops+0x15d/0x440
 u_dup+0x5/0x8 [m]
 process_one_work+0x177/0x330
 ret_from_fork_asm+0x1a/0x30
RIP: 0033:0x7f2ab0d66719
RSP: 002b:00007ffd3f8b0f38 EFLAGS: 00000246 ORIG_RAX: 0000000000000139
RAX: ffffffffffffffda RBX: 000055d2c1a1d7c0 RCX: 00007f2ab0d66719
 </TASK>
Modules linked in: m(OE+) fat(-) snd_hda_intel [last unloaded: old_one(OE)]
CR2: 0000000000000010
---[ end trace 0000000000000000 ]---
RIP: 0010:t_run+0x1a/0xda [m]
Code: 00 00 48 89 e5 <c7> 04 25 10 00 00 00 01 00 00 00 31 c0 c3
RSP: 0018:ffffa1e0c0137c98 EFLAGS: 00010246
note: kworker/1:2[123] exited with irqs disabled
"""

ARM64 = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008
Mem abort info:
  ESR = 0x0000000096000045
Data abort info:
[0000000000000008] user address but active_mm is swapper
Internal error: Oops: 0000000096000045 [#1] SMP
Modules linked in: m(OE+) ipv6
CPU: 0 UID: 0 PID: 87 Comm: insmod Tainted: G           OE      6.13.0 #2
Hardware name: linux,dummy-virt (DT)
pstate: 60000005 (nZCv daif -PAN -UAO -TCO -DIT -SSBS BTYPE=--)
pc : t_run+0x10/0xda [m]
lr : u_dup+0x4/0x8 [m]
sp : ffff80008289bb40
x29: ffff80008289bb40 x28: 0000000000000000 x27: 0000000000000000
x2 : 0000000000000000 x1 : 0000000000000001 x0 : 0000000000000000
Call trace:
 t_run+0x10/0xda [m] (P)
 do_one_initcall+0x60/0x2a0
 el0t_64_sync+0x198/0x1a0
Code: d503201f d503245f d2800100 52800021 (b9000001)
---[ end trace 0000000000000000 ]---
"""

RISCV = """\
Unable to handle kernel NULL pointer dereference at virtual address 0000000000000008
Oops [#1]
Modules linked in: m(O)
CPU: 0 PID: 41 Comm: sh Tainted: G           O       6.6.1 #1
Hardware name: riscv-virtio,qemu (DT)
epc : t_run+0x6/0xda [m]
 ra : u_dup+0x4/0x8 [m]
epc : ffffffff01a4f006 ra : ffffffff01a4f0fd sp : ff20000000433c00
 gp : ffffffff81500a20 tp : ff6000000234a640 t0 : 0000000000000001
status: 0000000200000120 badaddr: 0000000000000008 cause: 000000000000000f
[<ffffffff01a4f006>] t_run+0x6/0xda [m]
[<ffffffff80002a3c>] do_one_initcall+0x5c/0x1c0
Code: 1141 e022 0800 4785 (c398) 6422
---[ end trace 0000000000000000 ]---
"""

WARNING = """\
------------[ cut here ]------------
WARNING: CPU: 0 PID: 55 at /src/m.c:12 t_run+0x1a/0xda [m]
Modules linked in: m(O)
CPU: 0 PID: 55 Comm: modprobe Not tainted 6.1.0-1-amd64 #1  Debian 6.1.1-1
RIP: 0010:t_run+0x1a/0xda [m]
Code: c3 0f 0b <0f> 0b c3
Call Trace:
 <TASK>
 u_dup+0x5/0x8 [m]
 </TASK>
---[ end trace 0000000000000000 ]---
"""

BUG = """\
------------[ cut here ]------------
kernel BUG at /src/m.c:33!
invalid opcode: 0000 [#1] PREEMPT SMP NOPTI
CPU: 0 PID: 55 Comm: modprobe Not tainted 6.1.0-1-amd64 #1  Debian 6.1.1-1
RIP: 0010:t_run+0x1a/0xda [m]
Call Trace:
 u_dup+0x5/0x8 [m]
"""

KASAN = """\
==================================================================
BUG: KASAN: slab-use-after-free in t_run+0x1a/0xda [m]
Read of size 4 at addr ffff888007c3b380 by task insmod/213

CPU: 1 PID: 213 Comm: insmod Tainted: G    B      OE      6.6.0 #1
Call Trace:
 <TASK>
 dump_stack_lvl+0x36/0x50
 print_report+0xcf/0x670
 kasan_report+0xc7/0x100
 t_run+0x1a/0xda [m]
 u_dup+0x5/0x8 [m]
 </TASK>

Allocated by task 213:
 kasan_save_stack+0x33/0x60
 t_dup+0x5/0x8 [m]

Freed by task 213:
 kfree+0x7f/0x120
The buggy address belongs to the object at ffff888007c3b380
"""

HUNG = """\
INFO: task insmod:412 blocked for more than 120 seconds.
      Tainted: G           OE      6.12.1-amd64 #1 Debian 6.12.1-1
"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.
task:insmod          state:D stack:0     pid:412   tgid:412   ppid:1      flags:0x00004002
Call Trace:
 <TASK>
 __schedule+0x505/0xbf0
 schedule+0x27/0xf0
 mutex_lock+0x42/0x50
 t_run+0x1b/0xda [m]
 </TASK>
"""

LOCKDEP = """\
======================================================
WARNING: possible circular locking dependency detected
6.12.1 #1 Tainted: G           OE
------------------------------------------------------
insmod/412 is trying to acquire lock:
ffffffffc0a03040 (lock_a){+.+.}-{4:4}, at: t_run+0x1a/0xda [m]

but task is already holding lock:
ffffffffc0a030e0 (lock_b){+.+.}-{4:4}, at: u_dup+0x4/0x8 [m]

the existing dependency chain (in reverse order) is:

-> #1 (lock_b){+.+.}-{4:4}:
       __mutex_lock+0xb9/0xce0
       t_dup+0x5/0x8 [m]

stack backtrace:
CPU: 0 UID: 0 PID: 412 Comm: insmod Tainted: G           OE      6.12.1 #1
Call Trace:
 dump_stack_lvl+0x6d/0xb0
 t_run+0x1a/0xda [m]
"""

SOFT_LOCKUP = """\
watchdog: BUG: soft lockup - CPU#2 stuck for 26s! [modprobe:777]
Modules linked in: m(O)
CPU: 2 PID: 777 Comm: modprobe Tainted: G           O L     6.1.0-1-amd64 #1  Debian 6.1.1-1
RIP: 0010:native_queued_spin_lock_slowpath+0x6e/0x2a0
Call Trace:
 _raw_spin_lock+0x25/0x30
 t_run+0x1b/0xda [m]
"""

STACK_OVERFLOW = """\
BUG: TASK stack guard page was hit at ffffc900001bbff8 (stack is ffffc900001bc000..ffffc900001c0000)
stack guard page: 0000 [#1] PREEMPT SMP
CPU: 0 PID: 91 Comm: insmod Tainted: G           O       6.1.0 #1
RIP: 0010:t_run+0x1a/0xda [m]
Call Trace:
 <TASK>
 t_run+0x1b/0xda [m]
 t_run+0x1b/0xda [m]
"""

UNLOADED = """\
BUG: unable to handle page fault for address: ffffffffc0a00000
#PF: supervisor instruction fetch in kernel mode
Oops: 0010 [#1] PREEMPT SMP
CPU: 0 PID: 0 Comm: swapper/0 Tainted: G           OE      6.1.0 #1
RIP: 0010:0xffffffffc0a00000
Code: Unable to access opcode bytes at 0xffffffffc09fffd6.
Call Trace:
 <IRQ>
 ? 0xffffffffc0a00000
 call_timer_fn+0x24/0x130
 </IRQ>
Modules linked in: fat [last unloaded: m(OE)]
"""

OLD = """\
BUG: unable to handle kernel NULL pointer dereference at 0000000000000010
IP: [<ffffffffa0123456>] t_run+0x1a/0xda [m]
CPU: 0 PID: 999 Comm: insmod Tainted: P           OE   3.16.0-4-amd64 #1
RIP: 0010:[<ffffffffa0123456>]  [<ffffffffa0123456>] t_run+0x1a/0xda [m]
RSP: 0018:ffff88003d5a7d88  EFLAGS: 00010246
Call Trace:
 [<ffffffff81000123>] ? do_one_initcall+0x56/0x220
 [<ffffffffa0123999>] ? u_dup+0x5/0x8 [m]
"""

BUILD_ID = "00112233445566778899aabbccddeeff00112233"
WITH_BUILD_ID = f"""\
WARNING: CPU: 0 PID: 1 at m.c:1 t_run+0x1a/0xda [m {BUILD_ID}]
CPU: 0 PID: 1 Comm: insmod Not tainted 6.9.0 #1 a3d9197b79643fd38a3d9197b79643fd38aaaaaa
RIP: 0010:t_run+0x1a/0xda [m {BUILD_ID}]
Call Trace:
 u_dup+0x5/0x8 [m {BUILD_ID}]
"""

ALL = {
    "x86": X86, "arm64": ARM64, "riscv": RISCV, "warning": WARNING, "bug": BUG, "kasan": KASAN, "hung": HUNG,
    "lockdep": LOCKDEP, "soft-lockup": SOFT_LOCKUP, "stack-overflow": STACK_OVERFLOW, "unloaded": UNLOADED, "old": OLD,
    "build-id": WITH_BUILD_ID,
}  # fmt: skip

STAMPS = {
    "bare": "{}",
    "dmesg": "[    5.123456] {}",
    "with levels": "<4>[    5.123456] {}",
    "with callers": "[    5.123456][  T123] {}",
    "caller of an interrupt": "[    5.123456] [    C0] {}",
    "dmesg -x": "kern  :warn  : [    5.123456] {}",
    "dmesg -T": "[Thu Nov 26 23:03:45 2026] {}",
    "dmesg --time-format=iso": "2026-11-26T23:03:45,123456+00:00 {}",
    "journalctl": "Nov 26 23:03:45 host kernel: {}",
    "journalctl -o short-iso": "2026-11-26T23:03:45+0000 my-host.example kernel: {}",
    "journalctl -o short-monotonic": "[    5.123456] host kernel: {}",
    "syslog": "Nov  6 23:03:45 host kernel: [    5.123456] {}",
    "/dev/kmsg": "4,1234,5123456,-;{}",
    "serial console": "[    5.123456] {}\r",
    "coloured": "\x1b[32m[    5.123456] \x1b[0m\x1b[31m{}\x1b[0m",
    "quoted": "> [    5.123456] {}",
}
"""What stands before the kernel's own text in each kind of log."""


def stamped(text: str, form: str) -> str:
    return "".join(f"{form.format(line)}\n" for line in text.splitlines())
