# SPDX-License-Identifier: LGPL-2.1-or-later
"""rmmod: unload modules, one after the other (docs/behaviour/1-commands.md, "rmmod")."""

from __future__ import annotations

import errno
import posix

from ..context import Context
from ..effects.kernel import KernelModules
from ..errors import Error, NotFoundError, RemoveError
from ..names import bare_name, module_name
from ..osparts import exists
from ..roots import Roots
from .options import EXPLAIN, HELP, JSON, SYSLOG, VERBOSE, VERSION, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diagnosis.causes.case import Explanation
    from .console import Console

COMMAND_LINE = CommandLine(
    ["[options] MODULE..."],
    {
        "Options": (
            Option("force", "f", ("force",), "DANGEROUS: unload even a module in use; may crash the machine"),
            EXPLAIN,
            JSON,
            SYSLOG,
            VERBOSE,
            VERSION,
            HELP,
        )
    },
    page="rmmod(8)",
)


class RmmodOptions(CommandOptions):
    """The options of rmmod as one command line has them."""

    force = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Unload each operand; 1 if any could not be."""
    options = RmmodOptions()
    operands = COMMAND_LINE.read(arguments, console, options)
    if not operands:
        console.error("missing module name.")
        return 1
    context = Context(roots, live=True, on_problem=console.on_problem)
    explains = console.explains(options.explain)
    results: list[tuple[Error | None, tuple[Explanation, ...]]] = []
    for operand in operands:
        error = _remove(operand, context, options, console)
        results.append((error, _explained(error, operand, context, console) if error and explains else ()))
        if error and error.errno == errno.EAGAIN:
            _name_user(module_named_by(operand), context, console)
    if options.json:
        _write(operands, results, console)
    return 1 if any(error for error, _ in results) else 0


def _explained(error: Error, operand: str, context: Context, console: Console) -> tuple[Explanation, ...]:
    """Explain a failure, unless near names were shown; return the causes."""
    if console.has_hinted():
        return ()
    from .explaining import explain_failure

    return explain_failure(error, context, console, asked=operand, action="unload")


def _write(
    operands: Sequence[str], results: Sequence[tuple[Error | None, tuple[Explanation, ...]]], console: Console
) -> None:
    """Print the JSON document."""
    from .documents import Failure, Removed, ResultsDocument

    removed = [
        Removed(operand, module_named_by(operand), not error, Failure.of(error, causes) if error else None)
        for operand, (error, causes) in zip(operands, results, strict=True)
    ]
    console.write(ResultsDocument(removed).to_json())


def _remove(operand: str, context: Context, options: RmmodOptions, console: Console) -> Error | None:
    """Unload a module; report and return what keeps it from being unloaded."""
    name = module_named_by(operand)
    if not name:
        console.error(f"could not use module {operand}: {posix.strerror(errno.ENOENT)}")
        return NotFoundError("no module has an empty name", asked=operand)
    try:
        obstacle = None if options.force else _obstacle(name, context, console)
        if obstacle:
            return obstacle
        KernelModules(context.roots).remove(name, force=options.force)
    except RemoveError as error:
        console.error(f"could not remove '{name}': {error.strerror}")
        console.error(f"could not remove module {operand}: {error.strerror}")
        return error
    except Error as error:
        console.error(str(error))
        return error
    return None


def module_named_by(operand: str) -> str:
    """Return the name of the module that an operand means: of an existing file's path only the last part counts."""
    return module_name(operand) if exists(operand) else bare_name(operand)


def _obstacle(name: str, context: Context, console: Console) -> RemoveError | None:
    """Report and return what is known to speak against unloading."""
    if context.tree.is_builtin(name):
        return _refuse(f"Module {name} is builtin.", name, errno.EPERM, console)
    if context.live.state(name) is None:
        error = _refuse(f"Module {name} is not currently loaded", name, errno.ENOENT, console)
        if console.helps_a_person():
            from .hints import module_not_found

            module_not_found(name, context, console, loaded=True)
        return error
    holders = context.live.holders(name)
    if holders:
        return _refuse(f"Module {name} is in use by: {' '.join(holders)}", name, errno.EAGAIN, console)
    count = context.live.refcount(name)
    if count is None:
        return _refuse("Module unloading is not supported", name, errno.EOPNOTSUPP, console)
    if count > 0:
        return _refuse(f"Module {name} is in use", name, errno.EAGAIN, console)
    if count < 0:  # kmod says nothing of it
        return RemoveError("it is just being unloaded", module=name, errno=errno.EBUSY)
    return None


def _name_user(name: str, context: Context, console: Console) -> None:
    """Tell a person at a terminal who uses a module that cannot be unloaded."""
    if console.helps_a_person():
        from .hints import module_in_use

        module_in_use(name, context, console)


def _refuse(text: str, name: str, number: int, console: Console) -> RemoveError:
    console.error(text)
    return RemoveError(text, module=name, errno=number)
