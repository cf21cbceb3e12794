# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel writes when something is wrong, in a log of any kind: oopses, warnings, hung tasks, lockdep reports.

Source: lib/dump_stack.c, kernel/panic.c, kernel/kallsyms.c (sprint_symbol), arch/x86/kernel/dumpstack.c,
arch/arm64/kernel/traps.c and process.c, arch/riscv/kernel/process.c, kernel/locking/lockdep.c, kernel/hung_task.c,
mm/kasan/report.c; dmesg(1), journalctl(1).
"""

from __future__ import annotations

import re

from ..frozendict import FrozenDict
from ..records import Record
from .taint import Taint, module_taint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OOPS, BUG, WARNING, SANITIZER, LOCKDEP, HUNG_TASK, LOCKUP, PANIC, TRACE = (
    "oops", "bug", "warning", "sanitizer", "lockdep", "hung-task", "lockup", "panic", "trace",
)  # fmt: skip
"""Words of `Trace.kind`."""

PC, CALL, LOCK, MENTION = "pc", "call", "lock", "mention"
"""Words of `FoundFrame.kind`."""

MOST_LINE_CHARACTERS = 4096
"""Characters of a line that are looked at; the kernel's own lines have at most a fourth of it."""


class TraceModule(Record):
    """A module that a trace lists as loaded, with the letters of its taint, `+` and `-` for one that comes or goes."""

    name: str
    taint: str


class UnloadedModule(Record):
    """A module that tainted the kernel and is unloaded, with the letters of its taint and how often that happened."""

    name: str
    taint: str
    times: int


class Trace(Record):
    """A report of the kernel in a log; None is what it does not say.

    `kind` is `oops`, `bug`, `warning`, `sanitizer` (KASAN, UBSAN and the like), `lockdep`, `hung-task`, `lockup`,
    `panic` or `trace`. `title` is the line that it begins with, `line` the number of that line. `comm` is the name of
    the process. `kernel` is the release, `build_id` that of the kernel, `taint` has the letters. `modules` were loaded,
    `last_unloaded` was not any more, nor were those of `unloaded_tainted`. `registers` are those of the faulting
    instruction by name. `code` are the bytes around it. `machine` is `x86`, `x86-64`, `arm`, `arm64` or `riscv`, by
    the registers.
    """

    kind: str
    title: str
    line: int
    cpu: int | None
    pid: int | None
    comm: str | None
    kernel: str | None
    build_id: str | None
    taint: str | None
    modules: tuple[TraceModule, ...]
    last_unloaded: str | None
    unloaded_tainted: tuple[UnloadedModule, ...]
    registers: Mapping[str, int]
    code: str | None
    machine: str | None

    @property
    def tainted(self) -> Taint | None:
        """The letters of its taint with what each means."""
        return None if self.taint is None else module_taint(self.taint)


class FoundFrame(Record):
    """A place in code that a trace names.

    `kind` is `pc` (the instruction itself), `call` (where a call returns to), `lock` (where a lock was taken) or
    `mention` (named in the title, or outside of any trace). `trace` is the number of the trace, `line` that of the
    line. `reliable` is false for what was only found on the stack. `address` is that of one without a symbol.
    """

    text: str
    kind: str
    symbol: str | None
    offset: int | None
    length: int | None
    module: str | None
    build_id: str | None
    address: int | None
    reliable: bool
    trace: int
    line: int


# --- lines

_COLOUR = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_STAMP = re.compile(
    r"""\s*(?:
      <\d{1,3}>                                                     # the level, as the kernel's buffer has it
    | \d+,\d+,\d+,[^;]{1,40};                                       # /dev/kmsg
    | [a-z]+\d?[ ]*:[a-z]+[ ]*:[ ]                                  # dmesg -x
    | \[[ ]*\d+\.\d+\][ ]?                                          # time since boot
    | \[[ ]*[TC]\d+[ ]*\][ ]?                                       # who printed it
    | \[[A-Z][a-z]{2}[ ][A-Z][a-z]{2}[ ]+\d+[ ]\d\d:\d\d:\d\d[ ]\d{4}\][ ]?      # dmesg -T
    | \d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?(?:Z|[+-]\d\d:?\d\d)?[ ]       # ISO
    | [A-Z][a-z]{2}[ ]+\d+[ ]\d\d:\d\d:\d\d(?:\.\d+)?[ ]            # journal, syslog
    | [\w.-]+[ ]kernel(?:\[\d+\])?:[ ]?                             # host and program
    | kernel:[ ]
    | \*\*[ ]\d+[ ]printk[ ]messages[ ]dropped[ ]\*\*[ ]
    | (?:>|\|)[ ]?                                                  # quoted
    )""",
    re.VERBOSE,
)
_MOST_STAMPS = 8


def plain_line(line: str) -> str:
    """Return a line of a log as the kernel wrote it: without time, level, host, colours, and blanks around it."""
    line = line[:MOST_LINE_CHARACTERS]
    if "\x1b" in line:
        line = _COLOUR.sub("", line)
    for _ in range(_MOST_STAMPS):
        found = _STAMP.match(line)
        if not found:
            break
        line = line[found.end() :]
    return line.strip()


# --- what begins a report

_BEGINNINGS: tuple[tuple[str, str], ...] = (
    (SANITIZER, r"BUG: K[AMC]?S?[A-Z]*SAN: |BUG: KFENCE: |UBSAN: |BUG: unable to handle kernel .* KASAN"),
    (LOCKDEP, r"(?:WARNING|INFO): (?:possible |inconsistent lock|bad unlock|lock held|Nested lock|suspicious RCU"
              r"|HARDIRQ|SOFTIRQ|trying to register non-static key|held lock freed|at least one)"
              r"|\[ (?:INFO|BUG): (?:possible|inconsistent|bad unlock|held lock|lock held|Invalid wait|suspicious"
              r"|HARDIRQ|SOFTIRQ)"
              r"|(?:WARNING|BUG): .{1,40}/\d+ still has locks held"
              r"|BUG: (?:Invalid wait context|workqueue leaked lock|MAX_LOCK)"),
    (HUNG_TASK, r"INFO: task .{1,40}:\d+ (?:<writer> )?blocked for more than |task:.{1,40}[ ]state:"),
    (LOCKUP, r"(?:watchdog: )?BUG: soft lockup|(?:watchdog: )?Watchdog detected hard LOCKUP|NMI watchdog: "
             r"|(?:rcu: )?INFO: rcu_\w+ (?:self-)?detected|NMI backtrace for cpu "),
    (WARNING, r"WARNING: (?:CPU: \d+ )?(?:PID: \d+ )?at |WARNING: (?:\[.{1,400}\] )?\S+:\d+ at "),
    (OOPS, r"BUG: (?:kernel NULL pointer|unable to handle|TASK stack guard|IRQ stack guard|stack guard)"
           r"|Unable to handle kernel |(?:segment-related )?general protection fault|Oops(?:\[#\d+\]|: | - )"
           r"|Internal error: "
           r"|(?:invalid opcode|divide error|double fault|stack segment|int3|alignment check|page fault|traps|bounds"
           r"|segment not present|coprocessor segment overrun|PANIC: double fault)(?:: |,)"
           r"|kernel stack overflow|Insufficient stack space|Kernel stack overflow|Unhandled fault"),
    (BUG, r"kernel BUG at |BUG: |Kernel BUG \[#"),
    (PANIC, r"Kernel panic - not syncing"),
)  # fmt: skip
_BEGINNING = re.compile("|".join(f"(?P<k{number}>{pattern})" for number, (_, pattern) in enumerate(_BEGINNINGS)))
_FOLLOWERS = re.compile(r"Oops|Internal error: |invalid opcode|(?:task|PANIC):|Kernel BUG \[#|general protection fault")
"""Titles that are the second line of a report as often as the first."""
_CUT = "[ cut here ]"
_END = "[ end trace "
_CALL_TRACE = re.compile(r"Call [Tt]race:|(?:stack )?backtrace:$|Backtrace:")

# --- frames

# A symbol is a whole word: begun at each of its letters, a search in a long word would take forever.
_SYMBOL = (
    r"(?<![\w$.])(?P<symbol>[A-Za-z_$.][\w$.]*)\+0x(?P<offset>[0-9a-f]{1,16})/0x(?P<length>[0-9a-f]{1,16})"
    r"(?:\s+\[(?P<module>[A-Za-z0-9_-]+)(?:\s+(?P<build>(?:[0-9a-f]{2}){4,32}))?\])?"
)
_ANY_SYMBOL = re.compile(_SYMBOL)
# 32-bit arm names each function and where it was called from: `[<80c1e5e8>] (f [m]) from [<80c1eb20>] (g+0x60/0xdc)`,
# since Linux 5.19 `f [m] from g+0x60/0xdc`.
_CALLED_FROM = r"(?:\[<[0-9a-f]{8}>\] )?\(?[\w$.]{1,512}(?: \[[\w-]{1,64}\])?\)? from (?:\[<[0-9a-f]{8}>\] )?\(?"
# powerpc has the frame pointer and the address before a function: `[c00000000b3710] [c00000000286fc] f+0x43c/0x6d0`.
_FRAME_POINTER = r"\[[0-9a-f]{8,16}\] \[[0-9a-f]{8,16}\] "
# What tools put behind a frame that they have looked up: `net/core/dev.c:123`, in brackets or not.
_SOURCE = r"(?:\s+\(?[\w./+-]{1,512}\.\w{1,4}:\d{1,7}(?: \(discriminator \d+\))?\)?)?"
_CALL = re.compile(
    rf"(?:{_CALLED_FROM}|{_FRAME_POINTER}|(?:\[<[0-9a-f]{{8,16}}>\]\s*)?(?P<unsure>\?\s*)?){_SYMBOL}"
    rf"(?:\s+\[?[0-9a-f]{{40}}\]?)?(?:\s+\((?:[A-Z]|unreliable)\))*\)?{_SOURCE}"
)
_BARE = re.compile(r"(?:\[<[0-9a-f]{8,16}>\]\s*)?(?P<unsure>\?\s*)?0x(?P<address>[0-9a-f]{8,16})(?:\s+\([A-Z]\))*")
_BARE_PC = re.compile(r"(?:\[<[0-9a-f]{8,16}>\]\s*)?0x(?P<address>[0-9a-f]{1,16})\b")
_PC = re.compile(
    r"(?:(?P<x86>[RE]IP: )(?P<segment>[0-9a-f]{4}:)?|(?P<arm>pc : (?=\[<[0-9a-f]{8}>\]))|(?P<arm64>pc : )"
    r"|(?P<riscv>epc : ))"
)
"""How the line of the instruction begins on x86, 32-bit arm, which has a short address in it, arm64 and RISC-V."""
_OTHER_PC = re.compile(r"PC is at |NIP \[[0-9a-f]{8,16}\] |Krnl PSW : [0-9a-f]{16} [0-9a-f]{16} \(|ERA: [0-9a-f]{16} ")
"""How arm, powerpc, s390 and loongarch begin the line of the instruction that failed, where it has a symbol."""
_LINK = re.compile(r"(?:lr|ra) : |LR is at |LR \[[0-9a-f]{8,16}\] |ra: [0-9a-f]{16} ")
_LOCK = re.compile(r"(?:#\d+: |[0-9a-f]{8,16} |\().*, at: (?:\[<[0-9a-f]{8,16}>\] )?(?P<place>.*)")

# --- facts

_CPU = re.compile(
    r"CPU: (?P<cpu>\d{1,9})(?: UID: \d+)? PID: (?P<pid>\d{1,9})"
    r"(?: at .*|(?: Comm: (?P<comm>.*?))?(?: Kdump: loaded)?(?: (?:Not t|T)ainted.*)?)?$"
)
_HUNG = re.compile(
    r"(?:INFO: task |task:)(?P<comm>.{1,40}?)"
    r"(?::(?P<pid>\d{1,9}) (?:<writer> )?blocked|\s+state:.*\spid:\s*(?P<second>\d{1,9})\b)"
)
_IN_TITLE = re.compile(
    r"(?:CPU#(?P<cpu>\d{1,9})\b.*)?"
    r"(?:\[(?P<comm>[^\[\]]{1,40}):(?P<pid>\d{1,9})\]|: (?P<comm2>\S{1,40})/(?P<pid2>\d{1,9}))$"
)
_TAINTED = re.compile(
    r"(?:Not tainted|Tainted: (?P<letters>[A-Za-z -]*?))\s+(?P<release>\d[^\s/\0]*)"
    r"(?:.* (?P<build>(?:[0-9a-f]{2}){16,32})$)?"
)
_LINKED = "Modules linked in:"
_LINKED_WORD = re.compile(r"(?P<name>[A-Za-z0-9_-]+)(?:\((?P<flags>[A-Z+-]*)\))?$")
_UNLOADED_TAINTED = "Unloaded tainted modules:"
_UNLOADED_WORD = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\((?P<flags>[A-Z]*)\):(?P<times>\d{1,20})$")
_UNLOADED = re.compile(r"\[last unloaded: (?P<name>[A-Za-z0-9_-]+)(?::\d+)?(?:\([A-Z+-]*\))?\]?")
_REGISTER = re.compile(
    r"\b(?P<name>[A-Z]{2,6}\d?|R\d\d|[a-z]{1,3}\d{0,2}|pstate|status|badaddr|cause) ?: ?"
    r"(?:[0-9a-f]{4}:)?(?P<value>[0-9a-f]{8,16})\b"
)
_REGISTERS = re.compile(
    r"(?:RSP|RAX|RDX|RBP|R1[03]|FS|CS|CR2|EAX|ESI|DS|DR0|sp|[xr]\d\d?|pstate|epc|gp|t\d|s\d\d?|a\d|status) ?: ?"
)
_CODE = re.compile(r"Code: (?P<code>(?:(?:[<(]?[0-9a-f]{2,8}[>)]?|\?\?)(?:\s+|$))+)")


class _Building:
    """A trace under way."""

    def __init__(self, number: int, kind: str, title: str, line: int) -> None:
        self.number = number
        self.kind, self.title, self.line = kind, title, line
        self.cpu: int | None = None
        self.pid: int | None = None
        self.comm: str | None = None
        self.kernel: str | None = None
        self.build_id: str | None = None
        self.taint: str | None = None
        self.modules: list[TraceModule] = []
        self.last_unloaded: str | None = None
        self.unloaded_tainted: dict[tuple[str, str], int] = {}
        self.registers: dict[str, int] = {}
        self.code: str | None = None
        self.machine: str | None = None
        self.has_frames = self.in_calls = self.in_modules = self.in_unloaded = self.ended = self.has_pc = False
        self.registers_done = False
        self.is_loose = False  # frames that somebody has put together
        self.pc: tuple[str, str, str | None] | None = None

    def trace(self) -> Trace:
        return Trace(
            kind=self.kind,
            title=self.title,
            line=self.line,
            cpu=self.cpu,
            pid=self.pid,
            comm=self.comm,
            kernel=self.kernel,
            build_id=self.build_id,
            taint=self.taint,
            modules=tuple(self.modules),
            last_unloaded=self.last_unloaded,
            unloaded_tainted=tuple([UnloadedModule(*key, times) for key, times in self.unloaded_tainted.items()]),
            registers=FrozenDict(self.registers),
            code=self.code,
            machine=self.machine,
        )


def parse_oops(text: str) -> tuple[list[Trace], list[FoundFrame]]:
    """Return the reports in a log, and the places in code that they name, in the order of the text.

    Lines that belong to no report are passed over. A line `NAME+0xOFFSET/0xLENGTH [MODULE]` alone is a frame as well.
    """
    return _Parser().parse(text)


def _take_process(line: str, now: _Building) -> None:
    """Take the CPU and the process from a line that has them."""
    if "PID: " in line:
        found = _CPU.search(line)
        if found and now.pid is None:
            now.cpu, now.pid = int(found["cpu"]), int(found["pid"])
        if found and found["comm"] and now.comm is None:
            now.comm = found["comm"]
    elif now.kind == HUNG_TASK and now.comm is None:
        found = _HUNG.match(line)
        if found:
            now.comm, pid = found["comm"].strip(), found["pid"] or found["second"]
            now.pid = int(pid) if pid else None
    if now.pid is None and "CPU#" in line:
        found = _IN_TITLE.search(line)
        if found:
            now.cpu = int(found["cpu"]) if found["cpu"] else None
            now.comm, now.pid = found["comm"] or found["comm2"], int(found["pid"] or found["pid2"])


def _take_taint(line: str, now: _Building) -> None:
    """Take the taint and the kernel's release from a line that has them.

    Red Hat's kernels have places of their own behind the letters, which are a dash where nothing is said.
    """
    found = _TAINTED.search(line) if "ainted" in line and now.taint is None else None
    if found:
        now.taint = "".join(filter(str.isupper, found["letters"] or "")).replace("G", "")
        now.kernel, now.build_id = found["release"], found["build"]


class _Parser:
    """Reads a log line by line; `_now` is the trace under way."""

    def __init__(self) -> None:
        self._traces: list[_Building] = []
        self._frames: list[FoundFrame] = []
        self._now: _Building | None = None
        self._cut = False
        self._line = 0

    def parse(self, text: str) -> tuple[list[Trace], list[FoundFrame]]:
        """Return the traces in a log, and the places in code that they name."""
        for number, raw in enumerate(text.split("\n"), 1):
            line = plain_line(raw)
            self._line = number
            if line:
                self._take(line)
        for building in self._traces:
            self._frames_of_titles(building)
        used = {frame.trace for frame in self._frames}
        return self._numbered(used)

    def _numbered(self, used: set[int]) -> tuple[list[Trace], list[FoundFrame]]:
        """Return traces with frames or of a process, numbered again."""
        kept = [building for building in self._traces if building.number in used or building.kind != PANIC]
        numbers = {building.number: number for number, building in enumerate(kept)}
        frames = [frame.replace(trace=numbers[frame.trace]) for frame in self._frames]
        frames.sort(key=lambda frame: (frame.trace, frame.line))
        return [building.trace() for building in kept], frames

    def _frames_of_titles(self, building: _Building) -> None:
        """Take the place that a title names where nothing else was found: the rest of the report may be missing."""
        found = _ANY_SYMBOL.search(building.title)
        if found and not building.has_frames:
            self._add(building, MENTION, found.group(), found, line=building.line)

    # --- one line

    def _take(self, line: str) -> None:
        """Take in one line."""
        if _CUT in line:
            self._cut, self._now = True, None
            return
        beginning = _BEGINNING.match(line)
        if beginning and self._begins(line):
            kind = _BEGINNINGS[int(str(beginning.lastgroup)[1:])][0]
            self._begin(kind, line)
            self._facts(line)
            return
        now = self._now
        if now is None or now.ended:
            self._without_trace(line)
            return
        if _END in line:
            now.ended = True
            return
        if (now.in_modules and self._modules(line, now)) or (now.in_unloaded and self._unloaded(line, now)):
            return
        self._facts(line)
        self._places(line, now)

    def _begins(self, line: str) -> bool:
        """Tell whether a title begins a report, or is a further line of the one under way."""
        now = self._now
        if now is None or now.ended:
            return True
        if now.has_frames:
            return not (line.startswith("Kernel panic") or (now.kind == LOCKUP and line.startswith("NMI backtrace")))
        return not (_FOLLOWERS.match(line) or now.kind == LOCKDEP or line.startswith(("Kernel panic", "traps: ")))

    def _begin(self, kind: str, title: str) -> _Building:
        self._now = _Building(len(self._traces), kind, title, self._line)
        self._traces.append(self._now)
        self._cut = False
        return self._now

    def _without_trace(self, line: str) -> None:
        """Take a line that no report is open for."""
        if _CALL_TRACE.match(line):
            self._begin(TRACE, "").in_calls = True
        elif line.startswith("CPU: ") and _CPU.match(line):
            self._begin(TRACE, "")
            self._facts(line)
        elif self._now is None or not self._now.ended:
            found = _CALL.fullmatch(line)
            if found:
                now = self._now or self._begin(TRACE, "")
                now.is_loose = True
                self._add(now, MENTION, line, found)

    # --- facts of a report

    def _facts(self, line: str) -> None:
        now = self._now
        if now is None:
            return
        if line.startswith(_LINKED):
            now.in_modules = True
            self._modules(line.removeprefix(_LINKED), now)
            return
        now.in_modules = False
        if line.startswith(_UNLOADED_TAINTED):
            now.in_unloaded = True
            self._unloaded(line.removeprefix(_UNLOADED_TAINTED), now)
            return
        _take_process(line, now)
        _take_taint(line, now)
        if line.startswith("Code: ") and now.code is None:
            found = _CODE.match(line)
            now.code = found["code"].strip() if found else None
        self._registers(line, now)

    def _modules(self, text: str, now: _Building) -> bool:
        """Take a list of modules, or its next line; tell whether it is one."""
        listed, last = self._before_last_unloaded(text)
        words = [_LINKED_WORD.match(word) for word in listed.split()]
        is_list = all(words) and bool(words or last)
        if is_list:
            now.modules += [TraceModule(word["name"], word["flags"] or "") for word in words if word]
            now.last_unloaded = last or now.last_unloaded
        now.in_modules = is_list and last is None
        return is_list

    def _unloaded(self, text: str, now: _Building) -> bool:
        """Take a list of unloaded modules, or its next line; tell whether it is one. Old kernels repeat modules."""
        listed, last = self._before_last_unloaded(text)
        words = [_UNLOADED_WORD.match(word) for word in listed.split()]
        is_list = all(words) and bool(words or last)
        if is_list:
            for word in filter(None, words):
                key = word["name"], word["flags"]
                now.unloaded_tainted[key] = now.unloaded_tainted.get(key, 0) + int(word["times"])
            now.last_unloaded = last or now.last_unloaded
        now.in_unloaded = is_list and last is None
        return is_list

    def _before_last_unloaded(self, text: str) -> tuple[str, str | None]:
        """Return what stands before `[last unloaded: NAME]`, and that name."""
        listed, mark, rest = text.partition("[last unloaded:")
        found = _UNLOADED.match(mark + rest)
        return listed, found["name"] if found else None

    def _registers(self, line: str, now: _Building) -> None:
        pc = _PC.match(line)
        if pc:
            if now.has_pc and now.registers:
                now.registers_done = True  # those of whom the kernel was called by
            kind = {"x86": "x86-64" if line[0] == "R" else "x86", "arm": "arm", "arm64": "arm64", "riscv": "riscv"}
            now.machine = now.machine or kind[next(name for name in kind if pc[name])]
        if now.registers_done or not (_REGISTERS.match(line) or pc):
            return
        for found in _REGISTER.finditer(line):
            now.registers.setdefault(found["name"], int(found["value"], 16))

    # --- places in code

    def _places(self, line: str, now: _Building) -> None:
        """Note the place in code that a line names."""
        if _CALL_TRACE.match(line):
            now.in_calls = True
        elif not (self._instruction(line, now) or self._link(line, now) or self._call(line, now)):
            self._lock(line, now)

    def _instruction(self, line: str, now: _Building) -> bool:
        """Note where the instruction is that failed; tell whether the line is about that."""
        pc = _PC.match(line)
        if pc:
            rest = line[pc.end() :]
            found = _ANY_SYMBOL.search(rest)
            if found:
                now.has_pc = True
                self._add(now, PC, line, found)
            elif pc["segment"] in (None, "0010:") and (bare := _BARE_PC.match(rest)) and not now.has_pc:
                now.has_pc = True
                self._add_bare(now, PC, line, bare)
            return True
        other = _OTHER_PC.match(line)
        if other:
            found, bare = _ANY_SYMBOL.match(line, other.end()), _BARE_PC.match(line, other.end())
            now.has_pc = now.has_pc or bool(found or bare)
            if found:
                self._add(now, PC, line, found)
            elif bare:
                self._add_bare(now, PC, line, bare)
        return other is not None

    def _link(self, line: str, now: _Building) -> bool:
        """Note what the link register points to; tell whether the line is about that."""
        link = _LINK.match(line)
        found = _ANY_SYMBOL.match(line, link.end()) if link else None
        if found:
            self._add(now, CALL, line, found, reliable=False)
        return link is not None

    def _call(self, line: str, now: _Building) -> bool:
        """Note a call of the trace; tell whether the line is one."""
        found = _CALL.fullmatch(line)
        if found:
            kind = MENTION if now.is_loose and not now.in_calls else CALL
            self._add(now, kind, line, found, reliable=not found["unsure"] and "(unreliable)" not in line)
            return True
        bare = _BARE.fullmatch(line) if now.in_calls else None
        if bare:
            self._add_bare(now, CALL, line, bare, reliable=not bare["unsure"])
        return bare is not None

    def _lock(self, line: str, now: _Building) -> None:
        """Note where a lock was taken, if the trace is one of lockdep."""
        lock = _LOCK.match(line) if now.kind == LOCKDEP else None
        found = _ANY_SYMBOL.match(lock["place"]) if lock else None
        if found:
            self._add(now, LOCK, line, found)

    def _add(
        self, now: _Building, kind: str, text: str, found: re.Match[str], *, reliable: bool = True, line: int = 0
    ) -> None:
        """Add a place that has a symbol."""
        now.has_frames = True
        module = found["module"]
        place = found["symbol"], found["offset"], module
        if kind == PC and now.pc is None:
            now.pc = place
        elif kind == CALL and place == now.pc:
            kind = PC  # where the trace repeats it, as on arm64
        self._frames.append(
            FoundFrame(
                text=text,
                kind=kind,
                symbol=found["symbol"],
                offset=int(found["offset"], 16),
                length=int(found["length"], 16),
                module=module.replace("-", "_") if module else None,
                build_id=found["build"],
                address=None,
                reliable=reliable,
                trace=now.number,
                line=line or self._line,
            )
        )

    def _add_bare(self, now: _Building, kind: str, text: str, found: re.Match[str], *, reliable: bool = True) -> None:
        """Add a place that is only an address."""
        now.has_frames = True
        address = int(found["address"], 16)
        self._frames.append(
            FoundFrame(text, kind, None, None, None, None, None, address, reliable, now.number, self._line)
        )
