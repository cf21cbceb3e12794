"""kmod: the program behind all the commands, with three of its own (contract 1)."""

from __future__ import annotations

from .common import Finished, parse_options
from .options import HELP, VERSION, Option, help_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..roots import Roots
    from .console import Console

USAGE = "kmod [options] COMMAND [command options]"
OPTIONS: tuple[Option, ...] = (VERSION, HELP)
NOTES = """Commands:
\thelp          show this help
\tlist          list the loaded modules
\tstatic-nodes  show the device nodes that load modules of the running kernel

Called by one of these names (a link), kmod is that command:
\tlsmod rmmod insmod modinfo modprobe depmod"""
# Which module does the work of each command.
COMMANDS = {"list": "lsmod", "static-nodes": "static_nodes"}


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Run the command that the first operand names."""
    own = _own_arguments(arguments)
    try:
        parse_options(own, console, OPTIONS, USAGE, lambda _name, _value: None, NOTES)
    except Finished as end:
        return end.status
    rest = arguments[len(own) :]
    if not rest:
        console.raw_error("missing command")
        console.write(help_text(USAGE, OPTIONS, NOTES))
        return 1
    command = rest[0]
    if command == "help":
        console.write(help_text(USAGE, OPTIONS, NOTES))
        return 0
    if command not in COMMANDS:
        console.raw_error(f"invalid command '{command}'")
        console.write(help_text(USAGE, OPTIONS, NOTES))
        return 1
    from .main import load

    # getopt's sentences name the command; messages keep naming the program.
    console.argv0 = command
    return load(COMMANDS[command])(rest[1:], console, roots)


def _own_arguments(arguments: Sequence[str]) -> list[str]:
    """The options before the command: what follows it is the command's."""
    for count, argument in enumerate(arguments):
        if argument == "--":
            return list(arguments[: count + 1])
        if not argument.startswith("-") or argument == "-":
            return list(arguments[:count])
    return list(arguments)
