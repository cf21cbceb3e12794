# SPDX-License-Identifier: LGPL-2.1-or-later
"""insmod: load one module file, without configuration or dependencies (docs/behaviour/1-commands.md, "insmod")."""

from __future__ import annotations

import errno
import posix

from ..effects.kernel import KernelModules
from ..errors import CompressionError, Error, FileError, MissingSupportError
from ..formats.parameters import join_parameters
from ..names import module_name
from ..osparts import basename
from ..roots import Roots
from .options import EXPLAIN, HELP, JSON, SYSLOG, VERBOSE, VERSION, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diagnosis.causes.case import Explanation
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
        "Output": (EXPLAIN, JSON, SYSLOG, VERBOSE, VERSION, HELP),
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
    explains = console.explains(options.explain)
    if explains:
        console.mark_kernel_log()
    roots = roots or Roots()
    error = _insert(path, parameters, options, console, roots)
    explanations: tuple[Explanation, ...] = ()
    if error and explains and path != "-" and not console.has_hinted():
        from .explaining import explain_failure, live_context

        context = live_context(roots)
        explanations = explain_failure(error, context, console, asked=_as_path(path), parameters=parameters)
    elif explains and parameters:
        _remark_ignored(module_name(path), console)
    if options.json:
        from .documents import Failure, Inserted, ResultsDocument

        failure = Failure.of(error, explanations) if error else None
        console.write(ResultsDocument([Inserted(path, module_name(path), parameters, not error, failure)]).to_json())
    return 1 if error else 0


def _remark_ignored(name: str, console: Console) -> None:
    """Say which parameters the kernel ignored."""
    records = console.records_since_mark()
    if any(b": unknown parameter '" in record for record in records):
        from .explaining import remark_ignored

        remark_ignored(name, records, console)


def _as_path(path: str) -> str:
    """Return the operand so that it is seen to be a path, also in the current directory."""
    return path if "/" in path else f"./{path}"


def _insert(path: str, parameters: str, options: InsmodOptions, console: Console, roots: Roots) -> Error | None:
    """Load a file; report and return what keeps it from being loaded."""
    if path == "-":
        console.error("this tool does not support loading from stdin!")
        return Error("insmod does not load from standard input", errno=errno.EINVAL)
    try:
        posix.stat(path)
        if not basename(path):
            raise FileNotFoundError(errno.ENOENT, posix.strerror(errno.ENOENT))  # a directory, by a path without a name
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
