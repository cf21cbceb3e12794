"""lsmod: show what is loaded (contract 1, "lsmod")."""

from __future__ import annotations

from ..errors import Error
from ..roots import Roots
from ..state.live import LiveKernel
from .common import Finished, parse_options
from .options import HELP, SYSLOG, VERBOSE, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..formats.procmodules import LoadedModule
    from .console import Console

OPTIONS = (Option("json", "", ("json",), "print JSON (docs/json.md)"), SYSLOG, VERBOSE, VERSION, HELP)
HEADER = "Module                  Size  Used by\n"


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """List the loaded modules; the exit status."""
    chosen: list[str] = []
    usage = f"{console.name} [options]"
    try:
        operands = parse_options(arguments, console, OPTIONS, usage, lambda name, _value: chosen.append(name))
    except Finished as end:
        return end.status
    if operands:
        console.error("too many arguments provided.")
        return 1
    try:
        modules = LiveKernel(roots or Roots()).modules()
    except Error as error:
        console.error(f"could not get list of modules: {error.strerror}")
        return 1
    if chosen:
        from ..json_text import render

        console.write(render({"modules": modules}))
    else:
        console.write(HEADER + "".join(map(_line, modules)))
    return 0


def _line(module: LoadedModule) -> str:
    holders = f" {','.join(module.holders)}" if module.holders else ""
    return f"{module.name:<19} {module.size:8}  {module.refcount or 0}{holders}\n"
