"""What modprobe shows about configuration, indexes and module files: -c, --show-modversions, --show-exports."""

from __future__ import annotations

import os

from ..errors import Error, FileError, NameSyntaxError
from ..formats.modprobeconf import KINDS
from ..formats.symbols import exports, versions
from ..names import decode, normalize_alias
from ..state.modulefile import ModuleFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..state.config import Config
    from ..state.tree import ModuleTree
    from .console import Console
    from .modprobe import Session

EINVAL, ENODATA = 22, 61


def show_config(config: Config, tree: ModuleTree, console: Console) -> int:
    """Every rule, kind by kind, then the alias and symbol indexes in key order."""
    lines = [rule.render() for kind in KINDS for rule in config.of(kind)]
    lines += ["", "# End of configuration files. Dumping indexes now:", ""]
    console.write("".join(f"{line}\n" for line in lines))
    for name in ("alias", "symbols"):
        console.write("".join(f"alias {key} {value.text}\n" for key, value in tree.entries(name)))
    return 0


def show_symbols(session: Session, operand: str) -> int:
    """The symbol versions that a module wants (--show-modversions), or has (--show-exports)."""
    path = operand
    if not os.path.exists(operand):
        found = _path_of(operand, session.context.tree)
        if found is None:
            session.fatal(f"Module {operand} not found.")
            return 1
        path = found
    what = "modversions" if "show-modversions" in session.flags else "symbols"
    try:
        with ModuleFile(path) as module:
            listing = versions(module.elf) if what == "modversions" else exports(module.elf)
    except Error as error:
        why = error.strerror if isinstance(error, FileError) else os.strerror(EINVAL)
        session.fatal(f"could not get {what} of {operand}: {why}")
        return 1
    if not listing:
        session.fatal(f"could not get {what} of {operand}: {os.strerror(ENODATA)}")
        return 1
    session.console.write("".join(f"0x{symbol.crc:08x}\t{decode(symbol.name)}\n" for symbol in listing))
    return 0


def _path_of(name: str, tree: ModuleTree) -> str | None:
    """The file of the module of that name."""
    try:
        entry = tree.find(normalize_alias(name))
    except NameSyntaxError:
        return None
    return entry.path if entry else None
