# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists of kernel symbols (System.map, /proc/kallsyms): which functions start a builtin module."""

from __future__ import annotations

from ..names import decode, encode

_LEVELS = ("early", "rootfs", *[f"{number}{suffix}" for number in range(8) for suffix in ("s", "")])
"""How the names of the kernel's initcalls end: when they are called (include/linux/init.h)."""


def initcalls(data: bytes, name: str) -> list[str]:
    """Return the functions that the kernel calls to start the builtin module `name`.

    Since Linux 5.10 each has a symbol `__initcall__kmod_MODULE__COUNTER_LINE_FUNCTIONLEVEL`.
    """
    marker = b"__initcall__kmod_" + encode(name) + b"__"
    found: list[str] = []
    at = data.find(marker)
    while at >= 0:
        ends = [end for end in (data.find(char, at) for char in (b"\n", b"\t", b" ")) if end >= 0]
        counter, _, rest = decode(data[at + len(marker) : min(ends, default=len(data))]).partition("_")
        line, _, function = rest.partition("_")
        function = _without_level(function)
        if counter.isdigit() and line.isdigit() and function and function not in found:
            found.append(function)
        at = data.find(marker, at + 1)
    return found


def _without_level(text: str) -> str:
    return next((text.removesuffix(level) for level in _LEVELS if text.endswith(level)), "")
