# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists of kernel symbols (System.map, /proc/kallsyms): what is where, and which functions start a builtin module.

Source: kernel/kallsyms.c, Documentation/admin-guide/sysctl/kernel.rst (kptr_restrict).
"""

from __future__ import annotations

from ..names import decode, encode
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

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


class SymbolLine(Record):
    """A line of such a list. `kind` is its letter as nm(1) has it; `module` is None for the kernel itself."""

    address: int
    kind: str
    name: str
    module: str | None


def parse_symbol_lines(data: bytes) -> Iterator[tuple[int, bytes, bytes, bytes]]:
    """Yield address, kind, name and module of each line, as bytes, for there are 200,000; no module for the kernel.

    Lines of any other form are passed over.
    """
    for line in data.split(b"\n"):
        words = line.split()
        if len(words) not in (3, 4):
            continue
        try:
            address = int(words[0], 16)
        except ValueError:
            continue
        yield address, words[1], words[2], words[3].strip(b"[]") if len(words) == 4 else b""


_EXPORT_MARK = b"__ksymtab_"


class SymbolList:
    """Such a list, read once for many questions.

    `places` has the address of each symbol by name and module, the first one of several. `exported` has those with an
    entry in an export table, as some kernels list these.
    """

    def __init__(self, data: bytes) -> None:
        self.places: dict[tuple[bytes, bytes], int] = {}
        for address, _kind, name, module in parse_symbol_lines(data):
            self.places.setdefault((name, module), address)
        self.exported: set[tuple[bytes, bytes]] = {
            (name.removeprefix(_EXPORT_MARK), module) for name, module in self.places if name.startswith(_EXPORT_MARK)
        }
        self._modules = list(dict.fromkeys(module for _name, module in self.places))
        self.hidden: bool | None = not any(self.places.values()) if self.places else None
        """Whether all addresses are zero; None without any symbol."""

    def modules_with(self, name: str) -> list[str]:
        """Return the modules that have a symbol of that name; "" stands for the kernel itself."""
        wanted = encode(name)
        return [decode(module) for module in self._modules if (wanted, module) in self.places]

    def address(self, name: str, module: str) -> int | None:
        """Return where a symbol is, or None if that is not listed or hidden."""
        return self.places.get((encode(name), encode(module))) or None


def nearest_symbol(data: bytes, address: int) -> tuple[SymbolLine, int | None] | None:
    """Return the symbol at or next below an address, and the address of the next one; None below all of them.

    Of several at one address it is one that a program would call: a global function rather than a mark.
    """
    best: tuple[int, int, bytes, bytes, bytes] | None = None
    following: int | None = None
    for at, kind, name, module in parse_symbol_lines(data):
        if at > address:
            following = at if following is None or at < following else following
        elif at > _LOWEST and (best is None or at >= best[0]):
            ranked = at, _rank(kind, name), kind, name, module
            if best is None or ranked[:2] > best[:2]:
                best = ranked
    if best is None:
        return None
    at, _, kind, name, module = best
    return SymbolLine(at, decode(kind), decode(name), decode(module) or None), following


_LOWEST = 0xFFFF  # below are the variables that each CPU has, which kallsyms lists by their offsets


def _rank(kind: bytes, name: bytes) -> int:
    """Return how likely a symbol is what somebody looks for at its address."""
    if name.startswith((b"__pfx_", b"__UNIQUE_ID", b"$", b".", b"_stext", b"_text", b"_sinittext")):
        return 0
    return {b"T": 4, b"t": 3, b"W": 2, b"w": 2}.get(kind, 1)
