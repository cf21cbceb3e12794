"""What modprobe shows about configuration, indexes and module files: -c, --show-modversions, --show-exports."""

from __future__ import annotations

import errno
import os

from ...errors import Error, FileError
from ...state.modulefile import ModuleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from . import ModprobeOptions, Output

KINDS = ("blacklist", "install", "remove", "alias", "options", "softdep", "weakdep")
"""The kinds of rules in kmod's order."""


def show_config(context: Context, output: Output) -> int:
    """Print every rule, kind by kind, then the alias and symbol indexes in key order."""
    lines = [rule.render() for kind in KINDS for rule in context.config.of(kind)]
    output.lines([*lines, "", "# End of configuration files. Dumping indexes now:", ""])
    for name in ("alias", "symbols"):
        output.lines(f"alias {key} {value}" for key, value in context.tree.entries(name))
    return 0


def show_symbols(operand: str, context: Context, options: ModprobeOptions, output: Output) -> int:
    """Print the symbol versions that a module wants (--show-modversions) or has (--show-exports)."""
    path = operand
    if not os.path.exists(operand):
        entry = context.tree.find(operand)
        if entry is None:
            return output.reporter.not_found(operand, ".")
        path = entry.path
    what = "modversions" if options.show_modversions else "symbols"
    try:
        with ModuleFile(path) as module:
            listing = module.versions() if what == "modversions" else module.exports()
    except Error as error:
        why = error.strerror if isinstance(error, FileError) else os.strerror(errno.EINVAL)
        return output.reporter.no_symbols(what, operand, why)
    if not listing:
        return output.reporter.no_symbols(what, operand, os.strerror(errno.ENODATA))
    output.lines(f"0x{symbol.crc or 0:08x}\t{symbol.name}" for symbol in listing)
    return 0
