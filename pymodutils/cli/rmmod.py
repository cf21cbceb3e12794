"""rmmod: unload modules, one after the other (docs/behaviour/1-commands.md, "rmmod")."""

from __future__ import annotations

import errno
import os

from ..context import Context
from ..effects.kernel import KernelModules
from ..errors import Error, RemoveError
from ..roots import Roots
from .options import HELP, SYSLOG, VERBOSE, VERSION, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .console import Console

COMMAND_LINE = CommandLine(
    ["[options] MODULE..."],
    {
        "Options": (
            Option("force", "f", ("force",), "DANGEROUS: unload even a module in use; may crash the machine"),
            SYSLOG,
            VERBOSE,
            VERSION,
            HELP,
        )
    },
    page="rmmod(8)",
)


class RmmodOptions(CommandOptions):
    """What the options of rmmod say."""

    force = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Unload each operand; 1 if any could not be."""
    options = RmmodOptions()
    operands = COMMAND_LINE.read(arguments, console, options)
    if not operands:
        console.error("missing module name.")
        return 1
    context = Context(roots, live=True, on_problem=console.on_problem)
    results = [_remove(operand, context, options, console) for operand in operands]
    return 0 if all(results) else 1


def _remove(operand: str, context: Context, options: RmmodOptions, console: Console) -> bool:
    name = module_named_by(operand)
    if not name:
        console.error(f"could not use module {operand}: {os.strerror(errno.ENOENT)}")
        return False
    try:
        if not options.force and not _is_removable(name, context, console):
            return False
        KernelModules(context.roots).remove(name, force=options.force)
    except RemoveError as error:
        console.error(f"could not remove '{name}': {error.strerror}")
        console.error(f"could not remove module {operand}: {error.strerror}")
        return False
    except Error as error:
        console.error(str(error))
        return False
    return True


def module_named_by(operand: str) -> str:
    """Return the name of the module that an operand means: of an existing file's path only the last part counts."""
    text = os.path.basename(operand) if os.path.exists(operand) else operand
    return text.partition(".")[0].replace("-", "_")


def _is_removable(name: str, context: Context, console: Console) -> bool:
    """Tell whether nothing known speaks against unloading, and report what does."""
    if context.tree.is_builtin(name):
        console.error(f"Module {name} is builtin.")
        return False
    if context.live.state(name) is None:
        console.error(f"Module {name} is not currently loaded")
        if console.helps_a_person():
            from .hints import module_not_found

            module_not_found(name, context, console, loaded=True)
        return False
    holders = context.live.holders(name)
    if holders:
        console.error(f"Module {name} is in use by: {' '.join(holders)}")
        return False
    count = context.live.refcount(name)
    if count is None:
        console.error("Module unloading is not supported")
    elif count > 0:
        console.error(f"Module {name} is in use")
    # A negative count belongs to a module that is just being unloaded: kmod says nothing, and neither does this.
    return count == 0
