# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where kmod keeps parameters of modules and what is loaded at boot: files of its own, which it alone writes."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

OPTIONS_TITLE = "# Written by kmod params --save or kmod ensure, which write it again as a whole.\n"
AT_BOOT_TITLE = "# Written by kmod ensure, which writes it again as a whole.\n"

AT_BOOT = "/etc/modules-load.d/pymodutils.conf"


def options_path(roots: Roots, name: str) -> str:
    """Return the path of the options of a module; it sorts behind what others write, so that its values count."""
    return f"{roots.config_root}/etc/modprobe.d/zz-pymodutils-{name}.conf"


def at_boot_path(roots: Roots) -> str:
    """Return the path of the list of modules that are loaded at boot."""
    return f"{roots.config_root}{AT_BOOT}"
