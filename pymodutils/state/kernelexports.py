# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running kernel itself exports to modules, by /proc/kallsyms (which takes a tenth of a second to read)."""

from __future__ import annotations

import re

from ..errors import FileError
from ..names import encode
from ..records import Record
from .files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..roots import Roots

_ENTRY = re.compile(rb"([0-9a-f]+) . __ksymtab_(\S+)\n")
_GPL = re.compile(rb"([0-9a-f]+) . __(start|stop)___ksymtab_gpl\n")


class KernelExports(Record):
    """The kernel's list of symbols, without those of modules.

    `entries` has the address of each entry of the export tables, 0 where the kernel hides it; it is empty for a kernel
    that does not name them. `gpl` is where the table for GPL modules begins and ends. `names` are all symbols, None
    unless the list has data as well as functions (CONFIG_KALLSYMS_ALL).
    """

    entries: Mapping[bytes, int]
    gpl: tuple[int, int]
    names: frozenset[bytes] | None

    def has(self, name: str) -> bool | None:
        """Tell whether the kernel exports a symbol; None if that is not known."""
        if self.entries:
            return encode(name) in self.entries
        return False if self.names is not None and encode(name) not in self.names else None

    def is_gpl_only(self, name: str) -> bool | None:
        """Tell whether an exported symbol is for GPL modules only; None if that is not known."""
        start, end = self.gpl
        place = self.entries.get(encode(name))
        return start <= place < end if place and start and end else None


def read_kernel_exports(roots: Roots) -> KernelExports | None:
    """Read what the running kernel exports; None when it does not show that."""
    try:
        data = read_file(f"{roots.proc}/kallsyms")
    except FileError:
        return None
    first = data.find(b"\t[")  # the symbols of modules come last
    own = data[: data.rfind(b"\n", 0, first) + 1] if first >= 0 else data
    if not own:
        return None
    ends = {kind: int(address, 16) for address, kind in _GPL.findall(own)}
    gpl = ends.get(b"start", 0), ends.get(b"stop", 0)
    entries = {name: int(address, 16) for address, name in _ENTRY.findall(own)}
    is_complete = b" D " in own or b" d " in own
    return KernelExports(entries, gpl, frozenset(own.split()) if is_complete and not entries else None)
