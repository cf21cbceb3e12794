# SPDX-License-Identifier: LGPL-2.1-or-later
"""The exception tree: every failure this package reports is an `Error` with facts, never with finished wording.

Commands (`pymodutils.cli`) turn these into kmod's sentences and exit codes; library users read the attributes.
"""

from __future__ import annotations

import errno
import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Self


class Error(Exception):
    """Base of all errors that this package raises on purpose.

    Attributes (None where unknown): `reason` short English text, `module` the module's name, `path` the file, `line`
    the 1-based line number in it, `errno` the closest Linux error number, `asked` the name as the caller wrote it.
    """

    _default_errno: int | None = None

    def __new__(cls, *arguments: object, **_named: object) -> Self:
        """Make the bare error; `SystemCallError` chooses its class here."""
        return super().__new__(cls, *arguments)

    def __init__(
        self,
        reason: str,
        *,
        module: str | None = None,
        path: str | None = None,
        line: int | None = None,
        errno: int | None = None,
        asked: str | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason: str = reason
        self.module: str | None = module
        self.path: str | None = path
        self.line: int | None = line
        self.errno: int | None = self._default_errno if errno is None else errno
        self.asked: str | None = asked

    def __str__(self) -> str:
        place = self.path or self._name
        if place and self.line:
            place = f"{place}:{self.line}"
        return f"{place}: {self.reason}" if place else self.reason

    @property
    def _name(self) -> str | None:
        """The module that the error is about, as it was asked for where that is only another spelling."""
        if self.module is None or (self.asked and self.asked.replace("-", "_") == self.module):
            return self.asked
        return self.module

    def __reduce__(self) -> tuple[object, ...]:  # so that every error survives pickle and copy, whatever made it
        return _made_again, (_declared(type(self)), self.errno, self.args, self.__dict__)

    @property
    def strerror(self) -> str:
        """What strerror(3) says for `errno`; the reason itself when there is no errno."""
        return posix.strerror(self.errno) if self.errno else self.reason

    def explain(self, context: object) -> Any:
        """Return an `ExplainReport` that says why this happened: `pymodutils.explain` of this error."""
        from importlib import import_module

        return import_module(__name__.partition(".")[0]).explain(context, self)


def _made_again(kind: type[Error], errno: int | None, arguments: tuple[object, ...], state: dict[str, object]) -> Error:
    """Build an error from what `Error.__reduce__` took apart."""
    error = kind.__new__(kind, *arguments, errno=errno)
    error.args = arguments
    error.errno = errno
    error.__dict__.update(state)
    return error


class SystemCallError(Error, OSError):  # type: ignore[misc]  # `strerror` is ours, of `Error`
    """An error with an answer of the operating system.

    It is also an `OSError`, of the subclass that Python has for its errno: `except PermissionError` catches EACCES.
    """

    def __new__(cls, *arguments: object, errno: int | None = None, **_named: object) -> Self:
        """Choose the subclass that is also Python's own class for this errno."""
        number = cls._default_errno if errno is None else errno
        python_class = type(OSError(number, "")) if number else OSError
        if python_class is OSError or issubclass(cls, python_class):
            return super().__new__(cls, *arguments)
        made: Self = super().__new__(_also(cls, python_class), *arguments)
        return made

    @property
    def filename(self) -> str | None:
        """The file, under the name that `OSError` has for it."""
        return self.path


_COMBINED: dict[tuple[type[Error], type[OSError]], Any] = {}
"""Classes that are both an error of ours and Python's class for an errno, made when first needed."""


def _also(cls: type[Error], python_class: type[OSError]) -> Any:
    """Return the subclass of `cls` that is also a `python_class`."""
    if (cls, python_class) not in _COMBINED:
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "__doc__": cls.__doc__}
        _COMBINED[cls, python_class] = type(cls.__name__, (cls, python_class), names)
    return _COMBINED[cls, python_class]


def _declared(cls: type[Error]) -> type[Error]:
    """Return the class that this file or another one declares, for one that `_also` made."""
    return next((declared for (declared, _), made in _COMBINED.items() if made is cls), cls)


class FormatError(Error):
    """Bytes that are not what their format demands (damaged, truncated or of another kind)."""

    _default_errno = errno.EINVAL


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


class FileError(SystemCallError):
    """An operating system error on a file; `path` and `errno` are set."""

    @classmethod
    def of(cls, error: OSError, path: str) -> Self:
        """Turn an OSError into a typed error; this is the one place that does."""
        return cls(error.strerror or str(error), path=path, errno=error.errno)


class MissingTreeError(FileError):
    """The kernel release has no module directory, `path`."""

    _default_errno = errno.ENOENT


class MissingSupportError(Error):
    """An optional library is needed and not installed; `reason` names what to install."""

    _default_errno = errno.ENOSYS


class NotFoundError(Error, LookupError):
    """No module of that name or alias was found; `similar` has known names that resemble it.

    `certain` is False where nobody can tell that there is none: an index that may know it is missing or damaged, and
    `reason` says which. Then `path` is the module directory.
    """

    _default_errno = errno.ENOENT

    def __init__(
        self,
        reason: str,
        *,
        module: str | None = None,
        asked: str | None = None,
        path: str | None = None,
        similar: Sequence[str] = (),
        certain: bool = True,
    ) -> None:
        super().__init__(reason, module=module, asked=asked, path=path)
        self.similar: tuple[str, ...] = tuple(similar)
        self.certain: bool = certain


class AmbiguousNameError(Error, LookupError):
    """An alias of several modules where one is needed; `modules` has their names, best first."""

    _default_errno = errno.EINVAL

    def __init__(self, reason: str, *, asked: str, modules: Sequence[str]) -> None:
        super().__init__(reason, asked=asked)
        self.modules: tuple[str, ...] = tuple(modules)


class LiveKernelNotAskedError(Error):
    """A question or a request for the running kernel, to a context that stands for another system or release."""

    _default_errno = errno.EOPNOTSUPP


class KernelError(SystemCallError):
    """The kernel refused a request; `errno` is its answer."""

    when: float | None = None
    """When it answered, by CLOCK_MONOTONIC, None if that is not known: there `explain` looks into the kernel's log."""


class InsertError(KernelError):
    """init_module or finit_module failed."""


class RemoveError(KernelError):
    """delete_module failed."""


class CommandError(Error):
    """An install or remove command failed; `status` is its exit code, negative for a signal."""

    _default_errno = errno.EINVAL

    def __init__(self, reason: str, *, command: str, status: int, module: str | None = None) -> None:
        super().__init__(reason, module=module)
        self.command = command
        self.status = status


class DeniedError(CommandError):
    """The policy keeps a module out; `path` and `line` are the place of the rule, `denial` is the reason kept there."""

    _default_errno = errno.EPERM

    def __init__(self, *, command: str, module: str, path: str, line: int, denial: str | None) -> None:
        super().__init__("denied by the policy", command=command, status=1, module=module)
        self.path: str | None = path
        self.line: int | None = line
        self.denial = denial


class ParameterError(Error):
    """A parameter that a module does not have, or a value that it cannot have; `parameter` is the parameter's name."""

    _default_errno = errno.EINVAL

    def __init__(self, reason: str, *, parameter: str, module: str | None = None, path: str | None = None) -> None:
        super().__init__(reason, module=module, path=path, asked=parameter)
        self.parameter = parameter

    @property
    def _name(self) -> str | None:
        return self.parameter
