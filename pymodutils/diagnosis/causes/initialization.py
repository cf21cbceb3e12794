# SPDX-License-Identifier: LGPL-2.1-or-later
"""no-memory, no-device, init-failed: the kernel has no room for the module, or the module's init function gave up."""

from __future__ import annotations

import errno as numbers
import os

from ...diagnostics import Evidence
from ...shellwords import command
from .case import FITS, SHOWN, Case, Cause, listed, logged
from .sentences import MEMORY, SENTENCES, UNKNOWN_PARAMETER, mentions, own_words, said, told

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

OF_THE_LOADER = frozenset({
    numbers.EPERM, numbers.ENOENT, numbers.ESRCH, numbers.EINTR, numbers.E2BIG, numbers.ENOEXEC, numbers.EBADF,
    numbers.ENOMEM, numbers.EACCES, numbers.EFAULT, numbers.EBUSY, numbers.EEXIST, numbers.EINVAL, numbers.ETXTBSY,
    numbers.EFBIG, numbers.ENOSPC, numbers.ERANGE, numbers.ENOSYS, numbers.ENODATA, numbers.EBADMSG,
    numbers.ENOPKG, numbers.ENOKEY, numbers.EKEYREJECTED, numbers.EOVERFLOW, numbers.EAGAIN,
})  # fmt: skip
"""What the module loader itself may answer; any other errno is that of an init function (or of a parameter's)."""

NO_DEVICE = (numbers.ENODEV, numbers.ENXIO)

_KINDS = tuple({sentence.kind for sentence in SENTENCES if sentence.kind != UNKNOWN_PARAMETER})


def no_memory(case: Case) -> Iterator[Cause]:
    """The kernel had no memory left, or no addresses, for the module or for what its init function wanted."""
    sentences = said(case, MEMORY) if case.is_refusal else []
    if not sentences:
        return
    evidence = tuple(logged(sentence.text) for sentence in sentences[:3])
    strength = max(sentence.strength for sentence in sentences)
    if any("percpu" in sentence.part("what") for sentence in sentences):
        text = "the kernel has no room left for per-CPU variables of modules"
        yield Cause("no-memory", text, evidence, (), strength)
        return
    text = "the kernel had no memory, or no addresses, for what the module takes"
    yield Cause("no-memory", text, evidence, ("grep Vmalloc /proc/meminfo", "free -m"), strength)


def no_device(case: Case) -> Iterator[Cause]:
    """The init function found no device: none fits the module's aliases, or another driver has it."""
    if not case.is_refusal or case.errno not in NO_DEVICE or case.devices is None or told(case, *_KINDS):
        return
    answer = _name(case.errno)
    own = tuple(logged(text) for text in (own_words(case) or mentions(case))[:2])
    if not case.devices:
        count = len(case.file.aliases) if case.file else 0
        path = case.path or case.module
        evidence = (
            Evidence(path, f"{count} aliases"),
            Evidence("/sys/devices", "no device with such a modalias"),
            *own,
        )
        text = f"no device here fits one of its aliases; its init function ended with {answer}"
        yield Cause("no-device", text, evidence, ("kmod devices",),
                    FITS)  # fmt: skip
        return
    taken = [device for device in case.devices if device.driver and device.driver_module != case.module]
    if taken:
        device = taken[0]
        owner = device.driver_module or device.driver or ""
        evidence = (Evidence(device.path, f"{device.modalias}, driver {device.driver}"), *own)
        text = f"the driver {owner} has the device that it is for; its init function ended with {answer}"
        other = device.driver_module
        then = (command("modprobe -r", other), command("modprobe", case.asked)) if other else ()
        yield Cause("no-device", text, evidence, then, FITS)


def init_failed(case: Case) -> Iterator[Cause]:
    """The init function of the module ended with an error."""
    if not case.is_refusal or case.errno is None or told(case, *_KINDS):
        return
    if (case.errno == numbers.EEXIST and case.state) or case.errno == numbers.EKEYREJECTED:
        return
    if case.errno == numbers.ENOSYS and case.takes_modules is False:
        return  # it has no functions of modules to run
    own = own_words(case) or mentions(case)
    evidence = [logged(text) for text in own[:3]]
    # The loader says why in its log as a rule. Where that is silent, an init function fits, and so do others.
    # Where it cannot be read, the function that takes a parameter may have answered as well.
    untold = bool(case.log.problem and (case.parameters or case.options))
    strength = FITS if untold or case.errno in OF_THE_LOADER or any(no_device(case)) else SHOWN
    if not evidence:
        evidence = [Evidence("finit_module", _name(case.errno))]
    text = f"its init function ended with {_name(case.errno)}: {os.strerror(case.errno)}"
    if strength == FITS and (untold or case.errno in OF_THE_LOADER):
        text = f"its init function may have ended with {_name(case.errno)}: {os.strerror(case.errno)}"
        if not own and case.errno in OF_THE_LOADER:
            text += "; or the kernel's loader gave up before it ran"
    if len(own) > 3:
        text += f" ({listed([f'{len(own)} lines about it in the kernel log'])})"
    yield Cause("init-failed", text, tuple(evidence), (command("dmesg | grep", case.module),), strength)


def _name(number: int | None) -> str:
    return numbers.errorcode.get(number or 0, str(number))
