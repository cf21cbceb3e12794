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


MODULES_DISABLED = "/sys/kernel/modules_disabled"
"""Below /proc: whether loading is switched off."""
SIG_ENFORCE, LOCKDOWN = "/module/module/parameters/sig_enforce", "/kernel/security/lockdown"
"""Below /sys, in kernels that have them: what makes the kernel take only signed modules."""

_TRUTH = {"0": False, "1": True, "N": False, "Y": True}
_LEVELS = ("none", "integrity", "confidentiality")


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
    disabled = _text(roots.proc + MODULES_DISABLED)
    enforced = _text(roots.sys + SIG_ENFORCE)
    lockdown = (_text(roots.sys + LOCKDOWN) or "").partition("[")[2].partition("]")[0]
    command_line = live.text("cmdline")
    return KernelFacts(
        modules_disabled=_TRUTH.get(disabled or ""),
        sig_enforce=_TRUTH.get(enforced or ""),
        lockdown=lockdown if lockdown in _LEVELS else None,
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


def hidden_fact(facts: KernelFacts, proc: str, sys: str) -> str | None:
    """Return a file that would say whether the kernel takes modules, and tells nothing; None for none.

    Kernels without signatures or lockdown have no file about these, which is no secret.
    """
    if facts.modules_disabled is None:
        return proc + MODULES_DISABLED
    if facts.module_blacklist is None:
        return f"{proc}/cmdline"
    if facts.wants_signatures:
        return None
    optional = ((facts.sig_enforce, sys + SIG_ENFORCE), (facts.lockdown, sys + LOCKDOWN))
    return next((path for value, path in optional if value is None and os.path.lexists(path)), None)


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
