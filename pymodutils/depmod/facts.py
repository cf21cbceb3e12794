# SPDX-License-Identifier: LGPL-2.1-or-later
"""What depmod needs to know of one module file: its facts.

They are tuples with names for their fields, and not records, since there are thousands of them, and they travel between
processes and into the cache field by field.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import Error
    from .stamps import Stamp

    Extract = tuple[Stamp, "ModuleFacts"]
    """What was found out about one file, and its stamp from before it was read."""


class ModuleFacts(tuple[bytes, bytes, bytes, bytes, bytes, bytes]):
    """The facts of one module, with the ids of needed symbols; see `symbol_ids`.

    Names and strings are joined by NULs, and none of them is empty.
    """

    __slots__ = ()

    @property
    def exports(self) -> bytes:
        """Names of exported symbols, joined."""
        return self[0]

    @property
    def needs(self) -> bytes:
        """Ids of needed symbols, packed."""
        return self[1]

    @property
    def weak(self) -> bytes:
        """Names of those needed symbols that are weak, joined."""
        return self[2]

    @property
    def infos(self) -> bytes:
        """Those .modinfo strings that depmod uses, joined."""
        return self[3]

    @property
    def shuffled(self) -> bytes:
        """`SHUFFLED` if symbols are in another order than in the file's symbol table, else nothing."""
        return self[4]

    @property
    def failure(self) -> bytes:
        """Why the symbols could not be read: `ERRNO reason`; empty when they could."""
        return self[5]


FIELDS = 6
"""How many fields facts have."""


def encode_failure(error: Error) -> bytes:
    """Return the reason as `ModuleFacts.failure` has it."""
    return os.fsencode(f"{error.errno or errno.EINVAL} {error.reason}").replace(b"\0", b"")


def decode_failure(failure: bytes) -> tuple[int, str]:
    """Return the errno and the reason of `ModuleFacts.failure`."""
    number, _, reason = os.fsdecode(failure).partition(" ")
    return int(number), reason
