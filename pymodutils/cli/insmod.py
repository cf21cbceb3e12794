"""insmod: load one module file, without configuration or dependencies (contract 1, "insmod")."""

from __future__ import annotations

import os

from ..effects.kernel import KernelModules
from ..errors import CompressionError, Error, MissingSupportError
from ..formats.parameters import quote_parameter
from ..roots import Roots
from .common import Finished, parse_options
from .options import HELP, SYSLOG, VERBOSE, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .console import Console

OPTIONS = (
    Option("force", "f", ("force",), "load although version magic or symbol versions differ; may crash the machine"),
    Option("force-modversion", "", ("force-modversion",), "ignore the module's symbol versions"),
    Option("force-vermagic", "", ("force-vermagic",), "ignore the module's version magic"),
    SYSLOG,
    VERBOSE,
    VERSION,
    HELP,
)

# What the kernel means by these numbers when it refuses a module.
_REASONS = {
    8: "Invalid module format",
    2: "Unknown symbol in module",
    3: "Module has wrong symbol version",
    22: "Invalid parameters",
}


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Load the file that the first operand names, with the other operands as its parameters."""
    chosen: set[str] = set()
    usage = f"{console.name} [options] FILE [PARAMETER=VALUE...]"
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, lambda name, _value: chosen.add(name))
    except Finished as end:
        return end.status
    if not operands:
        console.error("missing filename.")
        return 1
    return _insert(operands[0], operands[1:], chosen, console, roots or Roots())


def _insert(path: str, parameters: list[str], chosen: set[str], console: Console, roots: Roots) -> int:
    if path == "-":
        console.error("this tool does not support loading from stdin!")
        return 1
    try:
        os.stat(path)
    except OSError as error:
        console.error(f"could not load module {path}: {error.strerror}")
        return 1
    try:
        KernelModules(roots).insert(
            path,
            " ".join(map(quote_parameter, parameters)),
            ignore_modversions=bool(chosen & {"force", "force-modversion"}),
            ignore_vermagic=bool(chosen & {"force", "force-vermagic"}),
        )
    except Error as error:
        if isinstance(error, (CompressionError, MissingSupportError)):
            console.error(error.reason)
        reason = _REASONS.get(error.errno or 0, error.strerror)
        console.error(f"could not insert module {path}: {reason}")
        return 1
    return 0
