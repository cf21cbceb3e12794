# SPDX-License-Identifier: LGPL-2.1-or-later
"""lsmod: show what is loaded (docs/behaviour/1-commands.md, "lsmod")."""

from __future__ import annotations

from ..errors import Error, FileError
from ..names import encode
from ..records import Record
from ..state.live import LiveKernel
from .options import HELP, JSON, SYSLOG, VERBOSE, VERSION, CommandLine, CommandOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.procmodules import LoadedModule
    from ..roots import Roots
    from .console import Console

COMMAND_LINE = CommandLine(
    ["[options]"],
    {"Options": (JSON, SYSLOG, VERBOSE, VERSION, HELP)},
    page="lsmod(8)",
)
_NAME_WIDTH = 19
HEADER = "Module                  Size  Used by\n"


class ModulesDocument(Record):
    """The document of --json."""

    modules: list[LoadedModule]


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """List the loaded modules, and return the exit status."""
    options = CommandOptions()
    if COMMAND_LINE.read(arguments, console, options):
        console.error("too many arguments provided.")
        return 1
    try:
        modules = LiveKernel(roots).modules()
    except Error as error:
        console.error(f"could not open {error.path}: {error.strerror}" if isinstance(error, FileError) else str(error))
        console.error(f"could not get list of modules: {error.strerror}")
        return 1
    if options.json:
        console.write(ModulesDocument(modules).to_json())
    else:
        console.write(HEADER + "".join(map(_line, modules)))
    return 0


def _line(module: LoadedModule) -> str:
    holders = f" {','.join(module.holders)}" if module.holders else ""
    name = module.name
    width = _NAME_WIDTH if name.isascii() else _NAME_WIDTH - len(encode(name)) + len(name)  # in bytes, as kmod's
    return f"{name:<{width}} {module.size:8}  {module.refcount or 0}{holders}\n"
