"""The exception tree: every failure this package reports is an `Error` with facts, never with finished wording.

Commands (`pymodutils.cli`) turn these into kmod's sentences and exit codes; library users read the attributes.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self


class Error(Exception):
    """Base of all errors raised on purpose by this package.

    Attributes (None where unknown): `reason` short English text, `module` the module name, `path` the file,
    `line` the 1-based line number in it, `errno` the closest Linux error number.
    """

    default_errno: int | None = None

    def __init__(
        self,
        reason: str,
        *,
        module: str | None = None,
        path: str | None = None,
        line: int | None = None,
        errno: int | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.module = module
        self.path = path
        self.line = line
        self.errno = self.default_errno if errno is None else errno

    def __str__(self) -> str:
        place = self.path or self.module
        if place and self.line:
            place = f"{place}:{self.line}"
        return f"{place}: {self.reason}" if place else self.reason

    def __reduce__(
        self,
    ) -> tuple[object, ...]:  # so that every error survives pickle and copy, whatever it is made from
        return _made_again, (type(self), self.args, self.__dict__)

    @property
    def strerror(self) -> str:
        """What strerror(3) says for `errno`; the reason itself when there is no errno."""
        return os.strerror(self.errno) if self.errno else self.reason


def _made_again(kind: type[Error], arguments: tuple[object, ...], state: dict[str, object]) -> Error:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(state)
    return error


class FormatError(Error):
    """Bytes that are not what their format demands (damaged, truncated or of another kind)."""

    default_errno = 22  # EINVAL


class ElfError(FormatError):
    """Not a usable ELF file; errno ENOEXEC when it is no ELF at all, EINVAL when it is damaged."""


class CompressionError(FormatError):
    """A compressed file that cannot be decompressed, or is larger than the limit allows."""


class IndexFormatError(FormatError):
    """A damaged binary index (modules.*.bin)."""


class SignatureError(FormatError):
    """A module signature trailer that does not fit its file."""


class NameSyntaxError(FormatError):
    """A module name or alias with unmatched brackets."""


class OptionError(Error):
    """Command line options that getopt_long would refuse; `reason` is getopt's own sentence."""


class FileError(Error):
    """An operating system error on a file; `path` and `errno` are set."""

    @classmethod
    def of(cls, error: OSError, path: str) -> Self:
        """The one place that turns an OSError into a typed error."""
        return cls(error.strerror or str(error), path=path, errno=error.errno)


class MissingSupportError(Error):
    """An optional library is needed and not installed; `reason` names what to install."""

    default_errno = 38  # ENOSYS


class NotFoundError(Error):
    """No module of that name or alias."""

    default_errno = 2  # ENOENT


class KernelError(Error):
    """The kernel refused a request; `errno` is its answer."""


class InsertError(KernelError):
    """init_module or finit_module failed."""


class RemoveError(KernelError):
    """delete_module failed."""


class CommandError(Error):
    """An install or remove command failed; `status` is its exit code, negative for a signal."""

    default_errno = 22

    def __init__(self, reason: str, *, command: str, status: int, module: str | None = None) -> None:
        super().__init__(reason, module=module)
        self.command = command
        self.status = status


class CycleError(Error):
    """Modules that depend on each other in a circle; `cycles` holds the names of each."""

    default_errno = 40  # ELOOP

    def __init__(self, reason: str, cycles: list[list[str]]) -> None:
        super().__init__(reason)
        self.cycles = cycles
