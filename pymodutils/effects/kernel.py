# SPDX-License-Identifier: LGPL-2.1-or-later
"""The only code that changes the kernel: insert and remove one module."""

from __future__ import annotations

import errno
import posix
from time import monotonic

from .. import syscalls
from ..errors import InsertError, RemoveError
from ..formats.override import without_modversions, without_vermagic
from ..names import encode, normalize_name
from ..state.live import LiveKernel
from ..state.modulefile import ModuleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots


class KernelModules:
    """Loads and unloads single modules of the running kernel, without dependencies or configuration.

    `roots` tell where to ask what the kernel can decompress. Both calls block as long as the kernel takes: for loading,
    until the module's init function has returned.
    """

    def __init__(self, roots: Roots | None = None) -> None:
        self._live = LiveKernel(roots)

    def insert(
        self, path: str, parameters: str = "", *, ignore_modversions: bool = False, ignore_vermagic: bool = False
    ) -> None:
        """Load the module file at `path` with its parameters (`name=value` words).

        The kernel gets the file itself where it can take it, else (compressed, or no finit_module) its decompressed
        bytes. Raises `InsertError` with the kernel's errno, `FileError`, and what reading the file raises.
        """
        with ModuleFile(path) as module:
            try:
                self._insert(module, encode(parameters), ignore_modversions, ignore_vermagic)
            except OSError as error:
                refusal = InsertError(error.strerror or "refused", module=module.name, path=path, errno=error.errno)
                refusal.when = monotonic()
                raise refusal from None

    def _insert(self, module: ModuleFile, parameters: bytes, ignore_modversions: bool, ignore_vermagic: bool) -> None:
        """Insert a module: by its file where the kernel takes that, else by its bytes. Raises OSError."""
        if module.too_short:
            raise OSError(errno.EINVAL, posix.strerror(errno.EINVAL))
        flags = syscalls.IGNORE_MODVERSIONS if ignore_modversions else 0
        flags |= syscalls.IGNORE_VERMAGIC if ignore_vermagic else 0
        if module.compression is None or module.compression == self._live.compression():
            flags |= syscalls.COMPRESSED_FILE if module.compression else 0
            try:
                return syscalls.finit_module(module.fd, parameters, flags)
            except OSError as error:
                # The kernel's own decompressor is pickier than ours (no CRC64 in .xz, say): once more with the bytes.
                again = (errno.ENOSYS, errno.EINVAL, errno.ENOEXEC) if module.compression else (errno.ENOSYS,)
                if error.errno not in again:
                    raise
        image = module.image()
        if ignore_modversions:
            image = without_modversions(image)
        if ignore_vermagic:
            image = without_vermagic(image)
        return syscalls.init_module(image, parameters)

    def remove(self, name: str, *, force: bool = False) -> None:
        """Unload a module, without waiting for its users; dashes count as underscores.

        Raises `RemoveError` with the kernel's errno.
        """
        flags = posix.O_NONBLOCK | (posix.O_TRUNC if force else 0)
        try:
            syscalls.delete_module(encode(normalize_name(name)), flags)
        except OSError as error:
            refusal = RemoveError(error.strerror or "refused", module=name, errno=error.errno)
            refusal.when = monotonic()
            raise refusal from None
