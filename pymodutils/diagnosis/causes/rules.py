# SPDX-License-Identifier: LGPL-2.1-or-later
"""refused-dependency, blacklisted, denied: rules of the configuration, and of the kernel's command line."""

from __future__ import annotations

from errno import EPERM

from ...diagnostics import Evidence
from ...shellwords import command
from .case import COMMAND, LOAD, SAID, Case, Cause, logged
from .sentences import BLACKLISTED, said

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...diagnostics import Place


def _evidence(place: Place) -> Evidence:
    return Evidence(place.origin, place.text)


def refused_dependency(case: Case) -> Iterator[Cause]:
    """An install line of the module, or of one that it depends on, loads nothing or fails."""
    if case.refused_by == COMMAND and not case.denied_by:
        whose = "it" if case.module == case.asked.replace("-", "_") else case.module
        line = "remove" if case.action != LOAD else "install"
        how = f"ended with status {case.status}" if (case.status or 0) > 0 else f"failed: {case.reason}"
        text = f"the {line} line for {whose} runs {case.command!r} in place of {line}ing it, and that {how}"
        if line == "remove":
            text = f"the remove line for {whose} runs {case.command!r}, and that {how}"
        evidence = (_evidence(case.install),) if case.install else ()
        yield Cause("refused-dependency", text, evidence, _look(case.module))
    elif case.is_foreseen and not case.state:
        if case.install and not case.denied_by:
            text = "an install line runs a command that loads nothing in place of it"
            yield Cause("refused-dependency", text, (_evidence(case.install),), _look(case.module))
        for dependency in case.dependencies:
            if dependency.rule and not dependency.state:
                text = f"it needs {dependency.name}, for which an install line runs a command that loads nothing"
                yield Cause("refused-dependency", text, (_evidence(dependency.rule),), _look(dependency.name))
            elif dependency.has_file is False and not dependency.state:
                text = f"it needs {dependency.name}, whose file the index lists and which is not there"
                evidence = (Evidence(dependency.path or dependency.name, "no such file"),)
                yield Cause("not-found", text, evidence, (command("depmod", case.release),))


def _look(name: str) -> tuple[str, ...]:
    return (command("kmod config", name),)


def blacklisted(case: Case) -> Iterator[Cause]:
    """A blacklist line, or the kernel's own module_blacklist=, keeps the module out."""
    for sentence in said(case, BLACKLISTED) if case.is_refusal else ():
        yield Cause("blacklisted", _BY_KERNEL, (logged(sentence.text),), _AT_BOOT, SAID)
    listed = case.module in (case.kernel.module_blacklist or ())
    if listed and case.answers(EPERM) and not case.state:
        evidence = (Evidence("/proc/cmdline", f"module_blacklist={case.module}"),)
        yield Cause("blacklisted", _BY_KERNEL, evidence, _AT_BOOT)
    if case.is_foreseen and case.by_alias and case.blacklisted and not case.state:
        text = f"{case.module} is blacklisted, and a module found by an alias is then not loaded"
        yield Cause("blacklisted", text, (_evidence(case.blacklisted),), (command("modprobe", case.module),))


_BY_KERNEL = "the kernel's command line forbids it (module_blacklist=), until the next boot without that"
_AT_BOOT = ("grep -rs module_blacklist /etc/default/grub /etc/kernel/cmdline", "reboot")


def denied(case: Case) -> Iterator[Cause]:
    """The policy of `kmod deny` keeps the module out."""
    place = case.denied_by
    if place is None or case.action != LOAD or case.state or (case.refused_by != COMMAND and not case.is_foreseen):
        return
    because = f": {case.denial}" if case.denial else ""
    yield Cause("denied", f"the policy denies {case.module}{because}", (_evidence(place),), (
        command("kmod undeny", case.module),))  # fmt: skip
