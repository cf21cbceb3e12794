# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bytes of code that an oops shows, and the instructions that they are, by capstone if that is installed."""

from __future__ import annotations

from ..optional import load
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LONGEST = 15
"""Bytes of the longest instruction of x86."""


class Instruction(Record):
    """A machine instruction of an oops's code: how far it is from the faulting one, its bytes, its text.

    `faulting` tells whether it is that one. `trace` is the number of the trace.
    """

    offset: int
    code: bytes
    text: str
    faulting: bool
    trace: int


def code_bytes(text: str) -> tuple[bytes, int] | None:
    """Return the bytes that `Code:` shows, and where the faulting instruction begins; None when it is not marked.

    x86 shows bytes, arm and arm64 words, Thumb and RISC-V half words, as numbers; the faulting one is in brackets.
    """
    data, mark = b"", None
    for word in text.split():
        digits = word.strip("<>()")
        if word != digits:
            mark = len(data)
        if not digits or len(digits) % 2:
            return None
        try:
            data += int(digits, 16).to_bytes(len(digits) // 2, "little")
        except ValueError:  # `??`: what could not be read; nothing is known of what is before it
            data, mark = b"", None
    return None if mark is None else (data, mark)


def disassemble(text: str, machine: str | None, trace: int = 0) -> tuple[Instruction, ...] | None:
    """Return the instructions in the code of an oops; None without capstone, none for what it does not know."""
    capstone: Any = load("capstone")
    if capstone is None:
        return None
    found = code_bytes(text)
    kinds = {
        "x86-64": ("CS_ARCH_X86", "CS_MODE_64"),
        "x86": ("CS_ARCH_X86", "CS_MODE_32"),
        "arm": ("CS_ARCH_ARM", "CS_MODE_THUMB" if _has_half_words(text) else "CS_MODE_ARM"),
        "arm64": ("CS_ARCH_ARM64", "CS_MODE_ARM"),
        "riscv": ("CS_ARCH_RISCV", "CS_MODE_RISCV64"),
    }
    names = kinds.get(machine or "")
    if found is None or names is None or not all(hasattr(capstone, name) for name in names):
        return ()
    mode = getattr(capstone, names[1]) | (capstone.CS_MODE_RISCVC if machine == "riscv" else 0)
    engine = capstone.Cs(getattr(capstone, names[0]), mode)
    data, mark = found
    return tuple(
        [
            Instruction(at - mark, code, words, at == mark, trace)
            for at, code, words in _aligned(engine, data, mark, by_bytes=machine in ("x86", "x86-64"))
        ]
    )


def _has_half_words(text: str) -> bool:
    return all(len(word.strip("()")) == 4 for word in text.split())


def _aligned(engine: Any, data: bytes, mark: int, *, by_bytes: bool) -> list[tuple[int, bytes, str]]:
    """Return instructions such that one begins at the mark: the code may be cut off within one at its start."""
    for start in range(min(mark, _LONGEST) + 1) if by_bytes else range(1):
        before = _decoded(engine, data[start:mark], start)
        if sum(len(code) for _, code, _ in before) == mark - start:
            return before + _decoded(engine, data[mark:], mark)
    return _decoded(engine, data[mark:], mark)


def _decoded(engine: Any, data: bytes, start: int) -> list[tuple[int, bytes, str]]:
    return [
        (found.address, bytes(found.bytes), f"{found.mnemonic} {found.op_str}".strip())
        for found in engine.disasm(data, start)
    ]
