"""Where things are on a system: one object that every reader takes, so that tests can point it at a fake tree."""

from __future__ import annotations

import os

from .records import Record

CONFIG_PARENTS = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Parents of modprobe.d and depmod.d, first wins (contract 1, "Files and places")."""


class Roots(Record):
    """The places that commands read.

    `base` is put before `module_dir` (`-b`, `-d`), `release` names the kernel (`-S`, `-k`; default: the running one),
    `config_root` is put before the configuration directories (kmod has no option for it: `-d` does not move them).
    """

    base: str = ""
    release: str = ""
    module_dir: str = "/lib/modules"
    config_root: str = ""
    proc: str = "/proc"
    sys: str = "/sys"

    @property
    def kernel_release(self) -> str:
        """The kernel version whose modules are meant."""
        return self.release or os.uname().release

    @property
    def modules(self) -> str:
        """The directory with this kernel's modules and indexes."""
        return f"{self.base}{self.module_dir}/{self.kernel_release}"

    def config_dirs(self, kind: str) -> list[str]:
        """The configuration directories of `kind` (`modprobe.d` or `depmod.d`), highest precedence first."""
        return [f"{self.config_root}{parent}/{kind}" for parent in CONFIG_PARENTS]
