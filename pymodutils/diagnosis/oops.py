# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a trace of the kernel says: whether a file's function is the one it names, and which module is to blame."""

from __future__ import annotations

from ..formats.oops import CALL, HUNG_TASK, LOCK, LOCKDEP, LOCKUP, MENTION, PC
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.functions import Function
    from ..formats.oops import FoundFrame, Trace

EXACT, AMBIGUOUS, MISMATCH = "exact", "ambiguous", "mismatch"
"""Words of `Frame.match`."""

_OUTSIDE = "O"
_PAGE = 1 << 12
_MADE_AT_RUN_TIME = ("bpf_prog_", "bpf_trampoline_", "bpf_dispatcher_")


class Suspect(Record):
    """The module that a trace points to, and why; None as the module when it points to the kernel itself.

    `trace` is the number of the trace.
    """

    module: str | None
    reason: str
    trace: int


def fitting(named: Sequence[Function], offset: int, length: int) -> tuple[str, list[Function]]:
    """Tell whether one of the functions of a name is that of a frame, by the length, and which ones fit."""
    found = [function for function in named if offset <= length and function.has_length(length)]
    if not found:
        return MISMATCH, []
    return (EXACT if len(found) == 1 else AMBIGUOUS), found


def has_file(frame: FoundFrame) -> bool:
    """Tell whether a frame is in a module or the kernel as a file has it: it has a symbol, and no program of BPF's."""
    return frame.symbol is not None and not (frame.module is None and frame.symbol.startswith(_MADE_AT_RUN_TIME))


def place_to_look_at(frame: FoundFrame) -> int:
    """Return the offset of the instruction that a frame is about.

    A call returns behind its own instruction, which may be on another line or in another function.
    """
    offset = frame.offset or 0
    return offset - 1 if frame.kind == CALL and offset else offset


def suspect(trace: Trace, number: int, frames: Sequence[FoundFrame]) -> Suspect | None:
    """Return the module that a trace points to; None when it has no frame. `number` is that of the trace."""
    if not frames:
        return None
    module, reason = _suspect(trace, frames)
    taints = {listed.name.replace("-", "_"): listed.taint for listed in trace.modules}
    if module and _OUTSIDE in taints.get(module, ""):
        reason += "; it is built outside the kernel's tree"
    return Suspect(module, reason, number)


def _suspect(trace: Trace, frames: Sequence[FoundFrame]) -> tuple[str | None, str]:
    pc = next((frame for frame in frames if frame.kind == PC), None)
    if pc and pc.module:
        return pc.module, f"the instruction that failed is in it, in {pc.symbol}"
    if pc and pc.symbol is None and not _is_null(pc) and trace.last_unloaded:
        return trace.last_unloaded, "the kernel went on where no code is any more, and it was unloaded last"
    calls = [frame for frame in frames if frame.kind in (CALL, MENTION, PC) and frame.module]
    sure = [frame for frame in calls if frame.reliable]
    if trace.kind == LOCKDEP:
        sure = [frame for frame in frames if frame.kind in (LOCK, CALL) and frame.module and frame.reliable] or sure
    if sure:
        return sure[0].module, _of_call(trace, sure[0], pc)
    if calls:
        return calls[0].module, f"{calls[0].symbol} of it was on the stack, perhaps from an earlier call"
    return None, "no frame is in a module: the fault is in the kernel itself, or what caused it happened before"


def _of_call(trace: Trace, frame: FoundFrame, pc: FoundFrame | None) -> str:
    if trace.kind == HUNG_TASK:
        return f"the task waits in {frame.symbol} of it"
    if trace.kind == LOCKDEP:
        return f"it takes a lock in {frame.symbol}"
    if trace.kind == LOCKUP:
        return f"the CPU is in {frame.symbol} of it"
    if pc and pc.symbol:
        return f"{pc.symbol} of the kernel failed, called from {frame.symbol} of it"
    if pc and _is_null(pc):
        return f"a function was called by a null pointer, and {frame.symbol} is the first frame that is in a module"
    return f"{frame.symbol} is the first frame that is in a module"


def _is_null(pc: FoundFrame) -> bool:
    """Tell whether the instruction is where a null pointer leads: nothing was unloaded there."""
    return pc.address is not None and pc.address < _PAGE
