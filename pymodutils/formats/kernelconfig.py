# SPDX-License-Identifier: LGPL-2.1-or-later
"""The configuration that a kernel was built with: /boot/config-RELEASE, .config.

Source: Documentation/kbuild/kconfig.rst.
"""

from __future__ import annotations

_NAME = b"CONFIG_"
_UNSET = b"# CONFIG_", b" is not set"


def parse_kernel_config(data: bytes) -> dict[bytes, bytes]:
    """Return the options without the prefix CONFIG_: `y`, `m`, `n` of one that is off, or what it is set to."""
    options: dict[bytes, bytes] = {}
    for line in data.split(b"\n"):
        line = line.strip()
        if line.startswith(_NAME):
            name, _, value = line.removeprefix(_NAME).partition(b"=")
            options[name] = value
        elif line.startswith(_UNSET[0]) and line.endswith(_UNSET[1]):
            options[line.removeprefix(_UNSET[0]).removesuffix(_UNSET[1])] = b"n"
    return options
