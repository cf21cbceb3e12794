"""rmmod: unload modules, one after the other (contract 1, "rmmod")."""

from __future__ import annotations

import os

from ..effects.kernel import KernelModules
from ..errors import Error, RemoveError
from ..names import bare_name, module_name
from ..roots import Roots
from ..state.live import LiveKernel
from ..state.tree import ModuleTree
from .common import Finished, parse_options
from .options import HELP, SYSLOG, VERBOSE, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .console import Console

ENOENT = 2
OPTIONS = (
    Option("force", "f", ("force",), "DANGEROUS: unload even a module in use; may crash the machine"),
    SYSLOG,
    VERBOSE,
    VERSION,
    HELP,
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Unload each operand; 1 if any could not be."""
    chosen: list[str] = []
    usage = f"{console.name} [options] MODULE..."
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, lambda name, _value: chosen.append(name))
    except Finished as end:
        return end.status
    if not operands:
        console.error("missing module name.")
        return 1
    roots = roots or Roots()
    tree = ModuleTree(roots, console.go_without)
    results = [_remove(operand, bool(chosen), console, roots, tree) for operand in operands]
    return 0 if all(results) else 1


def _remove(operand: str, force: bool, console: Console, roots: Roots, tree: ModuleTree) -> bool:
    name = module_name(operand) if os.path.exists(operand) else bare_name(operand)
    if not name:
        console.error(f"could not use module {operand}: {os.strerror(ENOENT)}")
        return False
    try:
        if not force and not _removable(name, console, LiveKernel(roots), tree):
            return False
        KernelModules(roots).remove(name, force=force)
    except RemoveError as error:
        console.error(f"could not remove '{name}': {error.strerror}")
        console.error(f"could not remove module {operand}: {error.strerror}")
        return False
    except Error as error:
        console.error(str(error))
        return False
    return True


def _removable(name: str, console: Console, live: LiveKernel, tree: ModuleTree) -> bool:
    """Whether nothing known speaks against unloading; says what does."""
    if tree.is_builtin(name):
        console.error(f"Module {name} is builtin.")
        return False
    if live.state(name) is None:
        console.error(f"Module {name} is not currently loaded")
        return False
    holders = live.holders(name)
    if holders:
        console.error(f"Module {name} is in use by: {' '.join(holders)}")
        return False
    count = live.refcount(name)
    if count is None:
        console.error("Module unloading is not supported")
    elif count > 0:
        console.error(f"Module {name} is in use")
    # A negative count belongs to a module that is just being unloaded: kmod says nothing, and neither does this.
    return count == 0
