# SPDX-License-Identifier: LGPL-2.1-or-later
"""What this process may do about modules: docs/behaviour/7-kernel-facts.md, fact 13."""

from __future__ import annotations

import os

from ..errors import FileError
from ..names import decode
from ..records import Record
from .files import read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots

CAP_SYS_MODULE = 16
"""The number of the capability that loading and unloading takes (include/uapi/linux/capability.h)."""

SECCOMP_FILTER = 2
_WHOLE = ["0", "0", "4294967295"]  # a map of all user ids to themselves: no user namespace

_CONTAINER_FILES = ("/run/.containerenv", "/.dockerenv", "/run/systemd/container")


class ProcessFacts(Record):
    """What decides whether the kernel takes a request of this process at all; None is "not known".

    `may_load` tells whether it has CAP_SYS_MODULE, `capabilities` is the line of /proc/self/status that shows it.
    `filtered` tells whether a seccomp filter is in force, `in_user_namespace` whether its capabilities hold in a user
    namespace only, `container` names the file or variable that a container engine has left, and `user` is the user id.
    """

    may_load: bool | None
    capabilities: str | None
    filtered: bool | None
    in_user_namespace: bool | None
    container: str | None
    user: int | None


NOT_KNOWN = ProcessFacts(None, None, None, None, None, None)


def read_process_facts(roots: Roots) -> ProcessFacts:
    """Read what this process may do, by `roots.proc`."""
    fields = dict(line.partition(":")[::2] for line in (_text(f"{roots.proc}/self/status") or "").split("\n"))
    effective = fields.get("CapEff", "").strip()
    seccomp = fields.get("Seccomp", "").strip()
    users = _text(f"{roots.proc}/self/uid_map")
    try:
        may_load = bool(int(effective, 16) >> CAP_SYS_MODULE & 1)
    except ValueError:
        may_load = None
    return ProcessFacts(
        may_load=may_load,
        capabilities=f"CapEff: {effective}" if effective else None,
        filtered=int(seccomp) == SECCOMP_FILTER if seccomp.isdecimal() else None,
        in_user_namespace=None if not _is_map(users or "") else (users or "").split() != _WHOLE,
        container=_container(roots),
        user=os.geteuid(),
    )


def _is_map(text: str) -> bool:
    """Tell whether a text is a map of user ids: three numbers in each line."""
    return bool(text.strip()) and all(
        len(words := line.split()) == 3 and all(map(str.isdecimal, words)) for line in text.strip().split("\n")
    )


def _container(roots: Roots) -> str | None:
    for path in _CONTAINER_FILES:
        if os.path.exists(roots.config_root + path):
            return path
    environment = _text(f"{roots.proc}/1/environ") or ""
    for variable in environment.split("\0"):
        if variable.startswith("container=") and variable != "container=":
            return f"{roots.proc}/1/environ: {variable}"
    return None


def _text(path: str) -> str | None:
    try:
        data = read_or_none(path)
    except FileError:
        return None
    return None if data is None else decode(data)
