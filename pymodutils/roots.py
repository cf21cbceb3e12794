# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where things are on a system: one object that every reader takes, so that tests can point it at a fake tree."""

from __future__ import annotations

import posix

from .osparts import exists
from .records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from typing import Self

CONFIG_PARENTS = ("/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib")
"""Parents of modprobe.d and depmod.d, first wins (docs/behaviour/1-commands.md, "Files and places")."""


MODULE_DIR, MERGED_DIR = "/lib/modules", "/usr/lib/modules"


def _module_dir(base: str) -> str:
    """Return where the system below `base` has its modules. kmod's -d and -b know of the first place alone."""
    try:
        link = posix.readlink(f"{base}/lib")
    except (OSError, ValueError):  # no link, or nothing at all
        is_there = exists(base + MODULE_DIR)
    else:
        is_there = link.rstrip("/") != "/usr/lib"  # from here it would lead to this machine's own
    return MERGED_DIR if not is_there and exists(base + MERGED_DIR) else MODULE_DIR


class Roots(Record):
    """The places of one system.

    `base` is put before `module_dir` (`-b`, `-d`). `release` names the kernel (`-S`, `-k`), by default the running one.
    `config_root` is put before the configuration directories (kmod has no option for it: `-d` does not move them).
    `proc` and `sys` are where the kernel shows itself, in a container perhaps /host/proc. Paths may be given as `Path`;
    the fields are text.
    """

    base: str = ""
    release: str = ""
    module_dir: str = MODULE_DIR
    config_root: str = ""
    proc: str = "/proc"
    sys: str = "/sys"

    if TYPE_CHECKING:

        def __init__(
            self,
            base: str | os.PathLike[str] = "",
            release: str = "",
            module_dir: str | os.PathLike[str] = MODULE_DIR,
            config_root: str | os.PathLike[str] = "",
            proc: str | os.PathLike[str] = "/proc",
            sys: str | os.PathLike[str] = "/sys",
        ) -> None: ...
    else:

        def __init__(self, *values, **named):
            text = posix.fspath
            super().__init__(*map(text, values), **{name: text(value) for name, value in named.items()})

    @classmethod
    def of_system(cls, root: str | os.PathLike[str], release: str = "") -> Self:
        """Return the places of a whole other system below `root`, an image for instance.

        Its modules are in /usr/lib/modules where it has no /lib, or where that is a link to its own /usr/lib.
        """
        base = posix.fspath(root).rstrip("/")
        return cls(base=base, release=release, module_dir=_module_dir(base), config_root=base)

    @property
    def kernel_release(self) -> str:
        """The kernel release whose modules are meant."""
        return self.release or posix.uname().release

    @property
    def modules(self) -> str:
        """The directory with this release's modules and indexes."""
        return f"{self.base}{self.module_dir}/{self.kernel_release}"

    @property
    def depmod_command(self) -> str:
        """The command that makes the indexes of these modules, as one types it in a shell."""
        from .shellwords import word  # here, because most commands do without

        base = f" -b {word(self.base)}" if self.base else ""
        module_dir = f" -m {word(self.module_dir)}" if self.module_dir != MODULE_DIR else ""
        return f"depmod{base}{module_dir} {word(self.kernel_release)}"

    @property
    def shows_kernel(self) -> bool:
        """Whether the kernel at `proc` and `sys` runs the system that is meant.

        It does if `base` and `config_root` point to no other system and `release` is the running one, or if `proc` or
        `sys` is another place than the usual one. `Context(roots, live=True)` says so of the usual places, too.
        """
        if (self.proc, self.sys) != ("/proc", "/sys"):
            return True
        elsewhere = self.base.strip("/") or self.config_root.strip("/")
        return not elsewhere and self.release in ("", posix.uname().release)

    def config_dirs(self, kind: str) -> list[str]:
        """Return the configuration directories of `kind` (`modprobe.d` or `depmod.d`), highest precedence first."""
        return [f"{self.config_root}{parent}/{kind}" for parent in CONFIG_PARENTS]
