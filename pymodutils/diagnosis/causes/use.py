# SPDX-License-Identifier: LGPL-2.1-or-later
"""in-use, permanent, already-loaded: the module is there, and stays."""

from __future__ import annotations

from errno import EAGAIN, EBUSY, EEXIST, ENOSYS, EOPNOTSUPP, EPERM

from ...diagnostics import Evidence
from ...formats.cmdline import words
from ...shellwords import command
from .case import FITS, KERNEL, LOAD, LOOKUP, NOBODY, UNLOAD, Case, Cause, listed
from .parameters import given, not_applied

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def _unloads(case: Case, *numbers: int) -> bool:
    """Tell whether unloading was refused with one of these errnos, or is only asked about."""
    if case.action != UNLOAD:
        return False
    return case.refused_by == NOBODY or (case.refused_by in (KERNEL, LOOKUP) and case.errno in numbers)


def in_use(case: Case) -> Iterator[Cause]:
    """Something holds the module, or it is just coming or going."""
    if not _unloads(case, EAGAIN, EBUSY):
        return
    name = case.module
    if case.state in ("coming", "going"):
        verb = "loaded" if case.state == "coming" else "unloaded"
        evidence = (Evidence(f"/sys/module/{name}/initstate", case.state),)
        yield Cause("in-use", f"it is just being {verb}", evidence, (command("kmod status", name),))
        return
    if case.holders:
        evidence = (Evidence(f"/sys/module/{name}/holders", listed(case.holders)),)
        text = f"{listed(case.holders)} {'use' if len(case.holders) > 1 else 'uses'} it"
        yield Cause("in-use", text, evidence, (command("modprobe -r --remove-holders", name),))
    elif case.refcount and not (case.permanent and case.refused_by == NOBODY):
        evidence = (Evidence(f"/sys/module/{name}/refcnt", str(case.refcount)),)
        text = f"something holds {_references(case.refcount)} to it, and no module does"
        yield Cause("in-use", text, evidence, (command("kmod who", name),))
    elif case.refused_by == KERNEL and case.errno == EAGAIN:
        text = "something held it when that was tried, and does not hold it any more"
        yield Cause("in-use", text, (), (command("modprobe -r -w 5000", name),), FITS)


def _references(count: int) -> str:
    return "a reference" if count == 1 else f"{count} references"


def permanent(case: Case) -> Iterator[Cause]:
    """The module cannot be unloaded at all."""
    if not _unloads(case, EBUSY, EPERM, EOPNOTSUPP, ENOSYS):
        return
    if case.builtin and not case.state:
        text = "it is part of the kernel image, and nobody can take it out"
        yield Cause("permanent", text, (case.builtin_by or Evidence("modules.builtin", case.module),))
    elif case.permanent and case.errno in (None, EBUSY) and case.state not in ("coming", "going"):
        text = "it has no exit function, so that it stays until the next boot"
        yield Cause("permanent", text, (Evidence("/proc/modules", f"{case.module} [permanent]"),), ("reboot",))
    elif case.errno == EOPNOTSUPP or (case.errno == ENOSYS and case.state and case.refcount is None):
        text = "this kernel cannot unload modules"
        yield Cause("permanent", text, (Evidence(f"/sys/module/{case.module}", "no refcnt"),))


def already_loaded(case: Case) -> Iterator[Cause]:
    """The kernel has the module, so that nothing was loaded, and parameters did not take effect."""
    if case.action != LOAD or not (case.is_foreseen or (case.is_refusal and case.errno == EEXIST)):
        return
    if case.state == "live":
        if case.is_foreseen and not given(case):
            return
        text = "it is loaded already"
        then: tuple[str, ...] = ()
        changed = not_applied(case)
        if given(case):
            text += "; parameters take effect only when a module is loaded"
        if changed:
            text += f" ({listed(changed)})"
            again = [one for typed in case.parameters for one in words(typed, unclosed=True)]
            then = (f"{command('modprobe -r', case.module)} && {command('modprobe', case.module, *again)}",)
        evidence = (Evidence(f"/sys/module/{case.module}/initstate", "live"),)
        yield Cause("already-loaded", text, evidence, then)
    elif case.state in ("coming", "going"):
        verb = "loaded" if case.state == "coming" else "unloaded"
        evidence = (Evidence(f"/sys/module/{case.module}/initstate", case.state),)
        yield Cause("already-loaded", f"it is just being {verb}", evidence, (command("kmod status", case.module),))
    elif case.builtin and (case.is_refusal or given(case)):
        text = "it is part of the kernel image"
        if given(case):
            shown = " ".join(f"{case.module}.{typed}" for typed in case.parameters)
            text += f", which takes parameters from the kernel's command line: {shown}"
        yield Cause("already-loaded", text, (case.builtin_by or Evidence("modules.builtin", case.module),))
