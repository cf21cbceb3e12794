# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the running kernel lets in at all: docs/behaviour/7-kernel-facts.md, fact 13."""

from __future__ import annotations

import os

from ..errors import FileError
from ..formats.cmdline import MODULE_BLACKLIST, parse_boot_rules
from ..names import decode, encode
from ..records import Record
from .files import read_or_none

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..roots import Roots
    from .live import LiveKernel


class KernelFacts(Record):
    """What decides, apart from any rule of modprobe's, whether the kernel takes a module; None is "not known".

    `modules_disabled`: it takes none until it is booted again. `sig_enforce` and `lockdown` (`none`, `integrity`,
    `confidentiality`): it takes only signed ones. `module_blacklist` are the names that its command line forbids.
    """

    modules_disabled: bool | None
    sig_enforce: bool | None
    lockdown: str | None
    module_blacklist: tuple[str, ...] | None

    @property
    def wants_signatures(self) -> bool | None:
        """Whether a module without a signature is refused."""
        if self.sig_enforce or self.lockdown not in (None, "none"):
            return True
        return None if self.sig_enforce is None and self.lockdown is None else False


NOT_KNOWN = KernelFacts(None, None, None, None)


def read_kernel_facts(roots: Roots, live: LiveKernel) -> KernelFacts:
    """Read what the running kernel lets in; nothing is known where it is not asked."""
    if not live.is_asked:
        return NOT_KNOWN
    disabled = _text(f"{roots.proc}/sys/kernel/modules_disabled")
    enforced = _text(f"{roots.sys}/module/module/parameters/sig_enforce")
    lockdown = _text(f"{roots.sys}/kernel/security/lockdown")
    command_line = live.text("cmdline")
    return KernelFacts(
        modules_disabled=None if disabled is None else disabled != "0",
        sig_enforce=None if enforced is None else enforced in ("Y", "1"),
        lockdown=None if lockdown is None else lockdown.partition("[")[2].partition("]")[0] or None,
        module_blacklist=None
        if command_line is None
        else tuple(
            [
                rule.name
                for rule in parse_boot_rules(encode(command_line))
                if rule.parameter == MODULE_BLACKLIST and rule.effective
            ]
        ),
    )


def takes_modules(roots: Roots) -> bool | None:
    """Tell whether the running kernel was built to take modules (CONFIG_MODULES); None if /proc does not show it."""
    try:
        names = os.listdir(roots.proc)
    except OSError:
        return None
    return True if "modules" in names else False if "filesystems" in names else None


def _text(path: str) -> str | None:
    try:
        data = read_or_none(path)
    except FileError:
        return None
    return None if data is None else decode(data).strip()
