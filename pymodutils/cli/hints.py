# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a person at a terminal is told besides kmod's messages. Scripts never see a byte of it.

A hint follows the message that it is about. Finding one may read the whole module tree, so nothing here is imported
unless there is a terminal.
"""

from __future__ import annotations

import posix

from ..osparts import exists
from ..shellwords import command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..roots import Roots
    from .console import Console

MOST_RELEASES = 5
"""Kernels to list; the newest ones are of use."""


def module_not_found(asked: str, context: Context, console: Console, *, loaded: bool = False) -> None:
    """Print what may help somebody who asked for a module that is not there, or with `loaded` for one not loaded."""
    try:
        if not context.exists:
            _no_directory(context.roots, console)
        elif not exists(f"{context.tree.directory}/modules.dep.bin"):
            command = context.roots.depmod_command
            console.hint(f"There are no indexes in {context.tree.directory}. Make them: {command}")
        else:
            names = [name for name in context.similar(asked) if not loaded or context.live.state(name)]
            if names:
                console.hint(f"Did you mean {' or '.join(names)}?")
    except Exception:  # no hint is worth another message
        return


def no_directory(context: Context, console: Console) -> None:
    """Print which kernels have modules, for a verb that has just said that the one meant has none."""
    roots = context.roots
    releases = _releases(f"{roots.base}{roots.module_dir}")
    if releases:
        console.hint(f"Kernels with modules there, for -S: {' '.join(releases)}")
    elif context.live.is_asked:
        console.hint(f"No kernel has modules in {roots.base}{roots.module_dir}.")


def no_module_list(roots: Roots, console: Console) -> None:
    """Print why /proc/modules is not there, for a verb that has just said so."""
    if exists(f"{roots.proc}/filesystems"):
        console.hint("This kernel was built without modules (CONFIG_MODULES): all that it has is part of it.")
    else:
        console.hint(f"There is no proc file system. Mount it: {command('mount -t proc proc', roots.proc)}")


def module_in_use(name: str, context: Context, console: Console) -> None:
    """Print the first user of a module that cannot be unloaded, and how to see all of them."""
    from ..verbs.who import who

    try:
        holding = [user for user in who(context, name).users if user.holds]
    except Exception:  # no hint is worth another message
        return
    if not holding:
        console.hint(f"What uses it is not known. See: {command('kmod who', name)}", says_enough=False)
        return
    first = holding[0]
    process = next(iter(first.processes or ()), None)
    whose = f" of {process.name or 'process'}[{process.pid}]" if process else ""
    console.hint(f"Used by {first.family} {first.what}{whose}. See: {command('kmod who', name)}", says_enough=False)


def _no_directory(roots: Roots, console: Console) -> None:
    parent = f"{roots.base}{roots.module_dir}"
    console.hint(f"There is no {roots.modules}.")
    releases = _releases(parent)
    if releases:
        console.hint(f"Kernels with modules in {parent}: {' '.join(releases)}")
    else:
        console.hint(f"No kernel has modules in {parent}.")
    if not roots.base and not roots.release:
        console.hint("If the running kernel was upgraded or removed since boot, a reboot helps.")


def _releases(parent: str) -> list[str]:
    """Return the releases that have a module directory, the newest first."""
    try:
        with posix.scandir(parent) as entries:
            found = [(entry.stat().st_mtime, entry.name) for entry in entries if entry.is_dir()]
    except OSError:
        return []
    return [name for _, name in sorted(found, reverse=True)[:MOST_RELEASES]]


def file_not_found(path: str, roots: Roots | None, console: Console) -> None:
    """Print what may help somebody who gave insmod a file that is not there."""
    from ..context import Context

    if "/" in path:
        return
    try:
        known = Context(roots).find(path.partition(".")[0])
    except Exception:
        return
    if known:
        step = command("modprobe", known.name)
        console.hint(f"insmod takes the path of a file; by its name a module is loaded with: {step}")
