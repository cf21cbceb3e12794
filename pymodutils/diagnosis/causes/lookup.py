# SPDX-License-Identifier: LGPL-2.1-or-later
"""not-found: nothing is called so, a file is not there, or there is no module directory at all."""

from __future__ import annotations

from errno import ENOENT

from ...diagnostics import Evidence
from ...names import module_name
from ...shellwords import command
from ...state.modulereading import MISSING, NO_FILE
from .case import DESCRIBE, FILE, KERNEL, LOOKUP, NOBODY, ON_HOST, UNLOAD, Case, Cause, listed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .case import Tree

CODE = "not-found"


def not_found(case: Case) -> Iterator[Cause]:
    """Nothing of that name is there."""
    if case.action == UNLOAD:
        tried = case.errno == ENOENT and case.refused_by in (KERNEL, LOOKUP)
        if (tried or case.refused_by == NOBODY) and not case.state and not case.builtin:
            yield _not_loaded(case)
        elif tried and case.state and case.refused_by == LOOKUP and case.tree:
            text = f"no index lists {case.module}, which is loaded; modprobe finds modules by those"
            place = Evidence(case.tree.directory, f"no index there knows {case.asked}")
            yield Cause(CODE, text, (place,), (command("rmmod", case.module),))
    elif _lacks_file(case):
        yield _missing_file(case)
    elif case.takes_modules is False and case.tree is not None and not case.tree.exists:
        return  # no wonder: this kernel has none
    elif case.tree is not None and not case.builtin and (case.refused_by == LOOKUP or case.is_foreseen):
        yield _unknown_name(case, case.tree)


def _lacks_file(case: Case) -> bool:
    if case.refused_by == FILE:
        return case.errno == ENOENT and (case.file is None or case.file.problem != NO_FILE)
    return case.is_foreseen and case.file is not None and case.file.problem == MISSING


def _not_loaded(case: Case) -> Cause:
    similar = case.tree.similar if case.tree else ()
    evidence = [Evidence("/proc/modules", f"no module {case.module}")]
    evidence += [Evidence("/proc/modules", name) for name in similar[:2]]
    text = f"no module {case.module} is loaded"
    if similar:
        text += f"; {listed(similar)} resembles it" if len(similar) == 1 else f"; similar: {listed(similar)}"
    return Cause(CODE, text, tuple(evidence), tuple(command("modprobe -r", name) for name in similar[:1]))


def _missing_file(case: Case) -> Cause:
    path = case.path or case.asked
    known = case.tree is not None and case.tree.directory and path.startswith(f"{case.tree.directory}/")
    if known or case.module != module_name(case.asked):
        text = f"the index lists a file of {case.module} that is not there: it is older than the module directory"
        return Cause(CODE, text, (Evidence(path, "no such file"),), (command("depmod", case.release),))
    then = [command("modprobe", name) for name in (case.tree.similar if case.tree else ())[:1]]
    return Cause(CODE, "there is no such file", (Evidence(path, "no such file"),), tuple(then))


def _unknown_name(case: Case, tree: Tree) -> Cause:
    """Explain that nothing is called so."""
    place = Evidence(tree.directory, f"no index there knows {case.asked}")
    if not tree.exists:
        return _no_tree(case, tree)
    if not tree.has_index:
        text = f"no module can be found by its name: there is no modules.dep.bin in {tree.directory}"
        return Cause(CODE, text, (Evidence(tree.directory, "no modules.dep.bin"),), (_depmod(case),))
    if tree.not_known:
        text = f"cannot tell whether there is a module or an alias {case.asked}: {tree.not_known}"
        return Cause(CODE, text, (Evidence(tree.directory, tree.not_known),), (_depmod(case),))
    if tree.unindexed:
        text = f"there is a file of {case.asked}, which the indexes do not list yet"
        return Cause(CODE, text, (Evidence(tree.unindexed, "this file"), place), (_depmod(case),))
    text = f"no module and no alias of kernel {case.release} is called {case.asked}"
    if tree.similar:
        text += f"; similar: {listed(tree.similar)}"
        verb = "modinfo" if case.action == DESCRIBE else "modprobe"
        names = tree.similar if tree.is_running else ()  # the commands would be about the running kernel
        return Cause(CODE, text, (place,), tuple(command(verb, name) for name in names))
    if tree.elsewhere:
        text += f"; kernel {listed(tree.elsewhere)} has it"
        evidence = [place, *[Evidence(f"{_parent(tree)}/{release}", f"has {case.asked}") for release in tree.elsewhere]]
        return Cause(CODE, text, tuple(evidence[:3]), _package(case))
    return Cause(CODE, text, (place,), _package(case) if case.action != DESCRIBE else ())


def _no_tree(case: Case, tree: Tree) -> Cause:
    evidence = [Evidence(tree.directory, "no such directory")]
    text = f"there are no modules of kernel {case.release}"
    then: tuple[str, ...] = ()
    if case.process.container and tree.is_running:
        evidence.append(Evidence(case.process.container, "this is a container"))
        text += ", whose modules are on the host, outside of this container"
        then = (f"{command('modprobe', case.asked)}{ON_HOST}",) if case.asked else ()
    elif tree.releases and tree.is_running:
        text += ", which is running; perhaps it was upgraded or removed after the start"
        evidence.append(Evidence(_parent(tree), f"has {listed(tree.releases)}"))
        then = ("reboot",)
    elif tree.releases:
        evidence.append(Evidence(_parent(tree), f"has {listed(tree.releases)}"))
    return Cause(CODE, text, tuple(evidence), then)


def _parent(tree: Tree) -> str:
    return tree.directory.rpartition("/")[0]


def _depmod(case: Case) -> str:
    return command("depmod", case.release)


def _package(case: Case) -> tuple[str, ...]:
    """Return the package that has the rest of a kernel's modules, where a distribution splits them."""
    release = case.release
    if case.has("apt") and release.endswith(_WITH_EXTRA):
        return (command("apt install", f"linux-modules-extra-{release}"),)
    if case.has("apt") and "-cloud-" in release:
        return (command("apt install", f"linux-image-{release.rpartition('-')[2]}"), "reboot")
    if case.has("dnf") and (".fc" in release or ".el" in release):
        base, _, variant = release.partition("+")  # as in 5.14.0-570.el9.aarch64+64k
        return (command("dnf install", f"kernel-{variant}{'-' if variant else ''}modules-extra-{base}"),)
    return ()


_WITH_EXTRA = ("-generic", "-lowlatency", "-aws", "-azure", "-gcp", "-oracle", "-raspi")
"""How the releases of Ubuntu's kernels end that have their rarer modules in a package of their own."""
