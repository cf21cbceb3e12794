"""What modprobe shows about configuration, indexes and module files: -c, --show-modversions, --show-exports."""

from __future__ import annotations

import os

from ..errors import Error, FileError, NameSyntaxError
from ..formats.modprobeconf import KINDS, render_rule
from ..formats.symbols import exports, versions
from ..names import decode, normalize_alias
from ..state.modulefile import ModuleFile
from ..state.tree import ModuleTree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..planning.lookup import World
    from ..roots import Roots
    from .console import Console

EINVAL = 22


def show_config(world: World, console: Console) -> int:
    """Every rule, kind by kind, then the alias and symbol indexes in key order."""
    lines = [render_rule(rule) for kind in KINDS for rule in world.config.rules[kind]]
    lines += ["", "# End of configuration files. Dumping indexes now:", ""]
    console.write("".join(f"{line}\n" for line in lines))
    for name in ("alias", "symbols"):
        index = world.tree.index(name)
        if index:
            console.write("".join(f"alias {key} {value.text}\n" for key, value in index.dump()))
    return 0


def show_symbols(operand: str, flags: set[str], roots: Roots, console: Console) -> int:
    """The symbol versions that a module wants (--show-modversions), or has (--show-exports)."""
    path = operand
    if not os.path.exists(operand):
        try:
            entry = ModuleTree(roots).find(normalize_alias(operand))
        except NameSyntaxError:
            entry = None
        if entry is None:
            console.fatal(f"Module {operand} not found.")
            return 1
        path = entry.path
    try:
        with ModuleFile(path) as module:
            listing = versions(module.elf) if "show-modversions" in flags else exports(module.elf)
    except Error as error:
        what = "modversions" if "show-modversions" in flags else "symbols"
        why = error.strerror if isinstance(error, FileError) else os.strerror(EINVAL)
        console.fatal(f"could not get {what} of {operand}: {why}")
        return 1
    console.write("".join(f"0x{symbol.crc:08x}\t{decode(symbol.name)}\n" for symbol in listing))
    return 0
