# SPDX-License-Identifier: LGPL-2.1-or-later
"""Taint flags: what the kernel remembers that has happened to it, or that a module has done.

Source: Documentation/admin-guide/tainted-kernels.rst, kernel/panic.c (taint_flags).
"""

from __future__ import annotations

from ..records import Record

TAINTS = (
    ("P", "proprietary module"),
    ("F", "module loaded by force"),
    ("S", "kernel running on an out of specification system"),
    ("R", "module unloaded by force"),
    ("M", "machine check exception"),
    ("B", "bad page"),
    ("U", "set by a user"),
    ("D", "kernel died: an oops or a bug"),
    ("A", "ACPI table overridden"),
    ("W", "warning"),
    ("C", "staging driver"),
    ("I", "workaround for a bug in the firmware"),
    ("O", "module built outside the kernel's tree"),
    ("E", "unsigned module"),
    ("L", "soft lockup"),
    ("K", "live patch"),
    ("X", "auxiliary, defined by the distribution"),
    ("T", "built with structure randomization"),
    ("N", "in-kernel test has run"),
    ("J", "firmware changed through the debug interface fwctl"),
)
"""Letter and meaning of each bit of /proc/sys/kernel/tainted, from bit 0 on."""

_MEANINGS = dict(TAINTS)


class Taint(Record):
    """Taint flags as letters, in the kernel's order, and what each means."""

    flags: str
    names: tuple[str, ...]


class KernelTaint(Record):
    """The taint of the whole kernel: the number in /proc/sys/kernel/tainted, its letters, and what each means."""

    value: int
    flags: str
    names: tuple[str, ...]


def module_taint(letters: str) -> Taint:
    """Return the taint of a module from its letters in /proc/modules or /sys/module/NAME/taint."""
    known = [letter for letter in letters if not letter.isspace()]
    return Taint("".join(known), tuple([_MEANINGS.get(letter, f"unknown flag {letter}") for letter in known]))


def kernel_taint(value: int) -> KernelTaint:
    """Return the taint of the kernel from its number."""
    bits = [bit for bit in range(value.bit_length()) if value >> bit & 1]
    known = [TAINTS[bit] for bit in bits if bit < len(TAINTS)]
    names = [name for _, name in known] + [f"unknown flag {bit}" for bit in bits if bit >= len(TAINTS)]
    return KernelTaint(value, "".join([letter for letter, _ in known]), tuple(names))
