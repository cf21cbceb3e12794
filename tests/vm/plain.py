# SPDX-License-Identifier: LGPL-2.1-or-later
"""Modules that load on any machine, without a device."""

from __future__ import annotations

import re

from tests.support import assets

PLAIN = re.compile(r"kernel/(drivers/media/rc/keymaps|fs/nls|net/netfilter/xt_|drivers/hid/hid-|lib/)")
NO_DEVICE = {"hid_hyperv"}  # they refuse to start without one


def plain_modules(kernel: str) -> list[str]:
    """Their names, some hundreds, in the order of their paths."""
    tree = assets.module_tree(kernel) / "lib/modules" / assets.release(kernel)
    paths = [line.partition(":")[0] for line in (tree / "modules.dep").read_text().splitlines()]
    names = [path.rpartition("/")[2].partition(".")[0].replace("-", "_") for path in sorted(paths) if PLAIN.match(path)]
    return [name for name in names if name not in NO_DEVICE]
