# SPDX-License-Identifier: LGPL-2.1-or-later
"""no-privilege, modules-disabled, lockdown: the kernel takes nothing from this process, or nothing at all."""

from __future__ import annotations

from errno import EACCES, ENOSYS, EPERM

from ...diagnostics import Evidence
from ...shellwords import command
from .case import FITS, KERNEL, LOAD, LOOKUP, ON_HOST, UNLOAD, Case, Cause, logged
from .sentences import LOCKDOWN, SECURITY_MODULE, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def _concerns(case: Case) -> bool:
    """Tell whether the kernel was asked, or will be, for something that takes a privilege."""
    if case.action == UNLOAD:
        return case.refused_by == KERNEL and case.errno == EPERM and not case.builtin
    return case.action == LOAD and case.answers(EPERM, EACCES)


def no_privilege(case: Case) -> Iterator[Cause]:
    """CAP_SYS_MODULE is missing, a seccomp filter or a security module forbids the call."""
    process = case.process
    hints = [Evidence(process.container, "this is a container")] if process.container else []
    if _concerns(case):
        if process.may_load is False and process.capabilities:
            evidence = [Evidence("/proc/self/status", process.capabilities), *hints]
            text = "this process may not load or unload modules: it lacks the capability CAP_SYS_MODULE"
            yield Cause("no-privilege", text, tuple(evidence), _how_to_get_it(case))
        elif process.may_load and process.in_user_namespace:
            evidence = [Evidence("/proc/self/uid_map", "not the whole map: a user namespace"), *hints]
            text = "the kernel takes modules from root of the whole system alone, and this is root of a user namespace"
            yield Cause("no-privilege", text, tuple(evidence), _how_to_get_it(case))
        for sentence in said(case, SECURITY_MODULE):
            text = "a security module of the kernel forbids it"
            yield Cause("no-privilege", text, (logged(sentence.text),), strength=sentence.strength)
    if case.refused_by == KERNEL and case.errno in (EPERM, EACCES, ENOSYS) and process.filtered and not case.builtin:
        evidence = [Evidence("/proc/self/status", "Seccomp: 2"), *hints]
        text = "a seccomp filter is in force, and may forbid the system call"
        yield Cause("no-privilege", text, tuple(evidence), _how_to_get_it(case), FITS)


def _how_to_get_it(case: Case) -> tuple[str, ...]:
    if case.action == UNLOAD:
        step = command("modprobe -r", case.asked)
    elif case.by_path:
        step = command("insmod", case.path or case.asked)
    else:
        step = command("modprobe", case.asked)
    if case.process.container:
        return (f"{step}{ON_HOST}",)
    if case.process.user:
        return (f"sudo {step}",)
    return ()


def modules_disabled(case: Case) -> Iterator[Cause]:
    """kernel.modules_disabled is 1: no module comes or goes until the next boot; or the kernel knows no modules."""
    asked = case.answers(ENOSYS) or (case.refused_by == LOOKUP and case.tree is not None and not case.tree.exists)
    if case.action == LOAD and asked and case.takes_modules is False and not case.builtin:
        evidence = (Evidence("/proc/modules", "no such file: the kernel has no list of modules"),)
        text = "this kernel was built without modules (CONFIG_MODULES): all that it has is part of it"
        yield Cause("modules-disabled", text, evidence)
        return
    if _concerns(case) and case.kernel.modules_disabled:
        evidence = (Evidence("/proc/sys/kernel/modules_disabled", "1"),)
        text = "loading and unloading is switched off until the next boot (kernel.modules_disabled)"
        yield Cause("modules-disabled", text, evidence, ("grep -rs modules_disabled /etc/sysctl.d /etc/sysctl.conf",
                                                         "reboot"))  # fmt: skip


def lockdown(case: Case) -> Iterator[Cause]:
    """The kernel is locked down and takes only signed modules."""
    for sentence in said(case, LOCKDOWN) if case.is_refusal else ():
        yield Cause("lockdown", f"{_LOCKED}: {sentence.part('what')} is restricted", (logged(sentence.text),),
                    _next(case), sentence.strength)  # fmt: skip
    state = case.kernel.lockdown
    if not case.answers(EPERM) or state in (None, "none") or case.file is None or not case.file.is_readable:
        return
    if case.kernel.sig_enforce and case.is_foreseen:
        return  # then the lack of a signature is said by that
    evidence = [Evidence("/sys/kernel/security/lockdown", str(state)), Evidence(case.file.path, _signature(case))]
    if case.file.signature is None:
        yield Cause("lockdown", f"{_LOCKED}, and this one is not signed", tuple(evidence), _next(case))
    elif case.is_refusal:
        text = f"{_LOCKED}; this one is signed, perhaps by a key that the kernel does not know"
        yield Cause("lockdown", text, tuple(evidence), _next(case), FITS)


_LOCKED = "the kernel is locked down (Secure Boot, as a rule) and takes only modules signed by a key that it knows"


def _signature(case: Case) -> str:
    signature = case.file.signature if case.file else None
    return f"signed by {signature.signer or 'an unnamed key'}" if signature else "no signature"


def _next(case: Case) -> tuple[str, ...]:
    return ("mokutil --sb-state",) if case.has("mokutil") else ()
