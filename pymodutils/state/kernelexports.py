# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running kernel itself exports to modules, by /proc/kallsyms (which takes a tenth of a second to read)."""

from __future__ import annotations

from ..errors import FileError
from ..formats.kernelexports import read_system_map
from ..names import encode
from ..records import Record
from .files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..formats.elf_linkage import Offer
    from ..roots import Roots


class RunningExports(Record):
    """What the kernel's list of symbols tells of its exports.

    `offers` are the exports, empty for a kernel that does not name them. `names` are all symbols, None unless the list
    has data as well as functions (CONFIG_KALLSYMS_ALL).
    """

    offers: Mapping[bytes, Offer]
    names: frozenset[bytes] | None

    def has(self, name: str) -> bool | None:
        """Tell whether the kernel exports a symbol; None if that is not known."""
        if self.offers:
            return encode(name) in self.offers
        return False if self.names is not None and encode(name) not in self.names else None

    def is_gpl_only(self, name: str) -> bool | None:
        """Tell whether an exported symbol is for GPL modules only; None if that is not known."""
        offer = self.offers.get(encode(name))
        return offer[2] if offer else None


def read_running_exports(roots: Roots) -> RunningExports | None:
    """Read what the running kernel exports; None when it does not show that."""
    try:
        data = read_file(f"{roots.proc}/kallsyms")
    except FileError:
        return None
    first = data.find(b"\t[")  # the symbols of modules come last
    own = data[: data.rfind(b"\n", 0, first) + 1] if first >= 0 else data
    if not own:
        return None
    offers = read_system_map(own)
    is_complete = b" D " in own or b" d " in own
    return RunningExports(offers, frozenset(own.split()) if is_complete and not offers else None)
