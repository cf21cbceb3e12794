# SPDX-License-Identifier: LGPL-2.1-or-later
"""insmod: load one module file, without configuration or dependencies (docs/behaviour/1-commands.md, "insmod")."""

from __future__ import annotations

import errno
import os

from ..effects.kernel import KernelModules
from ..errors import CompressionError, Error, FileError, MissingSupportError
from ..formats.parameters import join_parameters
from ..roots import Roots
from .options import HELP, JSON, SYSLOG, VERBOSE, VERSION, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .console import Console

COMMAND_LINE = CommandLine(
    ["[options] FILE [PARAMETER=VALUE...]"],
    {
        "How to load it": (
            Option(
                "force", "f", ("force",), "load although version magic or symbol versions differ; may crash the machine"
            ),
            Option("force_modversion", "", ("force-modversion",), "ignore the module's symbol versions"),
            Option("force_vermagic", "", ("force-vermagic",), "ignore the module's version magic"),
        ),
        "Output": (JSON, SYSLOG, VERBOSE, VERSION, HELP),
    },
    page="insmod(8)",
)

# What the kernel means by these numbers when it refuses a module.
_REASONS = {
    errno.ENOEXEC: "Invalid module format",
    errno.ENOENT: "Unknown symbol in module",
    errno.ESRCH: "Module has wrong symbol version",
    errno.EINVAL: "Invalid parameters",
}


class InsmodOptions(CommandOptions):
    """The options of insmod as one command line has them."""

    force = False
    force_modversion = False
    force_vermagic = False


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Load the file that the first operand names, with the other operands as its parameters."""
    options = InsmodOptions()
    operands = COMMAND_LINE.read(arguments, console, options)
    if not operands:
        console.error("missing filename.")
        return 1
    path, parameters = operands[0], join_parameters(operands[1:])
    error = _insert(path, parameters, options, console, roots or Roots())
    if options.json:
        from .documents import Failure, Inserted, ResultsDocument

        failure = Failure.of(error) if error else None
        name = os.path.basename(path).partition(".")[0].replace("-", "_")
        console.write(ResultsDocument([Inserted(path, name, parameters, not error, failure)]).to_json())
    return 1 if error else 0


def _insert(path: str, parameters: str, options: InsmodOptions, console: Console, roots: Roots) -> Error | None:
    """Load a file; report and return what keeps it from being loaded."""
    if path == "-":
        console.error("this tool does not support loading from stdin!")
        return Error("insmod does not load from standard input", errno=errno.EINVAL)
    try:
        os.stat(path)
    except OSError as error:
        console.error(f"could not load module {path}: {error.strerror}")
        if console.helps_a_person():
            from .hints import file_not_found

            file_not_found(path, roots, console)
        return FileError.of(error, path)
    try:
        KernelModules(roots).insert(
            path,
            parameters,
            ignore_modversions=options.force or options.force_modversion,
            ignore_vermagic=options.force or options.force_vermagic,
        )
    except Error as error:
        if isinstance(error, CompressionError):
            console.error(error.reason)
        reason = _REASONS.get(error.errno or 0, error.strerror)
        if isinstance(error, MissingSupportError):
            reason = error.reason
        console.error(f"could not insert module {path}: {reason}")
        return error
    return None
