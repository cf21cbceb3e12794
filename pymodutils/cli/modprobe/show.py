# SPDX-License-Identifier: LGPL-2.1-or-later
"""What modprobe shows about configuration, indexes and module files: -c, --show-modversions, --show-exports."""

from __future__ import annotations

import errno
import posix

from ...errors import Error, FileError
from ...names import has_matched_brackets
from ...osparts import is_file
from ...state.modulefile import ModuleFile
from ..options import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...planning.lookup import Match
    from .options import ModprobeOptions
    from .output import Output

KINDS = ("blacklist", "install", "remove", "alias", "options", "softdep", "weakdep")
"""The kinds of rules in kmod's order; formats.modprobeconf has the same, and is nothing public."""


def show_config(context: Context, options: ModprobeOptions, output: Output) -> int:
    """Print every rule, kind by kind, then the alias and symbol indexes in key order; return the status."""
    rules = [rule for kind in KINDS for rule in context.config.of(kind)]
    output.lines([rule.render() for rule in rules])
    output.lines(["", "# End of configuration files. Dumping indexes now:", ""])
    indexes = {name: list(context.tree.entries(name)) for name in ("alias", "symbols")}
    for entries in indexes.values():
        output.lines(f"alias {key} {name}" for key, name in entries)
    if options.json:
        from ..documents import ConfigDocument

        output.document(ConfigDocument.of(rules, indexes["alias"], indexes["symbols"]))
    return 0


def show_symbols(operand: str, context: Context, options: ModprobeOptions, output: Output) -> int:
    """Print the symbol versions that modules want (--show-modversions) or have (--show-exports); return the status."""
    found: list[tuple[Match, list[tuple[str, int]]]] = []
    try:
        targets = _find(operand, context)
        status = 0 if targets else output.reporter.not_found(operand, context)
        for target in targets:
            symbols = _symbols_of(target, options, output)
            found += [(target, symbols)] if symbols else []
            status = 0 if symbols else 1
            output.lines(f"0x{crc:08x}\t{name}" for name, crc in symbols)
    except FileError as error:
        status = output.reporter.no_such_file(operand, error)
    finally:
        if options.json:
            from ..documents import SymbolsDocument

            output.document(SymbolsDocument.of(operand, found))
    return status


def _find(operand: str, context: Context) -> list[Match]:
    """Return the modules that an operand stands for: names and aliases as for loading, and the path of any file.

    kmod 34.2 takes files alone, and later ones no file whose path begins neither with `/` nor with `./`. Raises
    `FileError`.
    """
    found = context.lookup(operand) if has_matched_brackets(operand) else []
    return found or (context.lookup(absolute(operand)) if is_file(operand) else [])


def _symbols_of(target: Match, options: ModprobeOptions, output: Output) -> list[tuple[str, int]]:
    """Return the symbols of one module; none, and a message, when it cannot be read or has none."""
    what = "modversions" if options.show_modversions else "symbols"
    if target.path is None:
        output.reporter.no_symbols(what, target.name, posix.strerror(errno.ENOENT))
        return []
    try:
        with ModuleFile(target.path) as module:
            listing = module.versions() if options.show_modversions else module.exports()
            symbols = [(symbol.name, symbol.crc or 0) for symbol in listing]
    except Error as error:
        output.reporter.unreadable_symbols(what, target.name, error)
        return []
    if not symbols:
        output.reporter.no_symbols(what, target.name, posix.strerror(errno.ENODATA))
    return symbols
