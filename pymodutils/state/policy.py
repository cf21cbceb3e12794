# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the policy about modules is, and the modprobe.d file that it is compiled into."""

from __future__ import annotations

from ..errors import Error
from .files import read_file

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

FILE = "/etc/pymodutils/policy.toml"
COMPILED = "/etc/modprobe.d/00-pymodutils-policy.conf"
"""Sorts before modules.softdep, and before what others write, so that its rules are the first and count."""


def policy_path(roots: Roots) -> str:
    """Return the path of the policy."""
    return f"{roots.config_root}{FILE}"


def compiled_path(roots: Roots) -> str:
    """Return the path of the rules that the policy is compiled into."""
    return f"{roots.config_root}{COMPILED}"


def is_compiled(path: str) -> bool:
    """Tell whether a file of modprobe.d is the one that a policy is compiled into."""
    return path.endswith(COMPILED.rpartition("/")[2])


def reason_at(path: str, line: int) -> str | None:
    """Return the reason that a compiled file gives for the rule at a line; None when it cannot be read."""
    from ..formats.policy import reason_in

    try:
        return reason_in(read_file(path), line)
    except Error:
        return None
