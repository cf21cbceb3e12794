# SPDX-License-Identifier: LGPL-2.1-or-later
"""The errors of depmod alone; to make the class of one costs every other command a two-hundredth of its start."""

from __future__ import annotations

import errno

from ..errors import Error, FileError


class ModuleOperandError(FileError):
    """A module file named by the caller that is missing, or, with `module` set, the second one of that name."""


class KernelSymbolsError(FileError):
    """A System.map or Module.symvers that cannot be read."""


class IndexWriteError(FileError):
    """An index cannot be written or put in place; what was there before is there still, unless it is `mixed`."""

    mixed = False
    """Whether some files are new already, and could not be put back."""


class CycleError(Error):
    """Modules that depend on each other in a circle; `cycles` holds the names of each.

    `update` is the `IndexUpdate` of the run that came upon them, as far as it is known.
    """

    _default_errno = errno.ELOOP

    def __init__(self, reason: str, cycles: list[list[str]]) -> None:
        super().__init__(reason)
        self.cycles = cycles
        self.update: object = None
