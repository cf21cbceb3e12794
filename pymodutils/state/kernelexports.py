# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running kernel itself exports to modules, by /proc/kallsyms (which takes a tenth of a second to read)."""

from __future__ import annotations

from ..errors import FileError
from ..names import encode
from ..records import Record
from .files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

_ENTRY = b" __ksymtab_"
_GPL_START, _GPL_END = b" __start___ksymtab_gpl\n", b" __stop___ksymtab_gpl\n"


class KernelExports(Record):
    """The kernel's list of symbols: `data` as it is read, without those of modules.

    `names_exports` tells whether it names the entries of the export tables, `is_complete` whether it has data as well
    as functions (CONFIG_KALLSYMS_ALL).
    """

    data: bytes
    names_exports: bool
    is_complete: bool

    def has(self, name: str) -> bool | None:
        """Tell whether the kernel exports a symbol; None if that is not known."""
        if self.names_exports:
            return self.data.find(_ENTRY + encode(name) + b"\n") >= 0
        if self.is_complete and self.data.find(b" " + encode(name) + b"\n") < 0:
            return False
        return None

    def is_gpl_only(self, name: str) -> bool | None:
        """Tell whether an exported symbol is for GPL modules only; None if that is not known."""
        places = [self._address(text) for text in (_GPL_START, _ENTRY + encode(name) + b"\n", _GPL_END)]
        if None in places or not all(places):
            return None
        start, place, end = (place or 0 for place in places)
        return start <= place < end

    def _address(self, ending: bytes) -> int | None:
        """Return the address on the line that ends so; 0 where the kernel hides addresses."""
        at = self.data.find(ending)
        line = self.data[self.data.rfind(b"\n", 0, at) + 1 : at] if at >= 0 else b""
        try:
            return int(line.split(b" ")[0], 16)
        except ValueError:
            return None


def read_kernel_exports(roots: Roots) -> KernelExports | None:
    """Read what the running kernel exports; None when it does not show that."""
    try:
        data = read_file(f"{roots.proc}/kallsyms")
    except FileError:
        return None
    own = data[: data.find(b"\t[")] if b"\t[" in data else data  # those of modules come last
    own = own[: own.rfind(b"\n") + 1]
    if not own:
        return None
    return KernelExports(own, _ENTRY in own, b" D " in own or b" d " in own)
