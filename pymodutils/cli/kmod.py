# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod: the program behind all commands, and the way to those without a name of their own (man/kmod.8)."""

from __future__ import annotations

from .main import load
from .options import HELP, VERSION, CommandLine, CommandOptions
from .registry import LINKS, VERBS, verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..roots import Roots
    from .console import Console

WIDTH = 13
"""Columns of the commands' names in the help text."""

NOT_INSTALLED = 2
"""Status for a verb that was left out: 1 would be an answer of many verbs."""

COMMAND_LINE = CommandLine(
    ["[options] COMMAND [command options]"],
    {"Options": (VERSION, HELP)},
    page="kmod(8)",
    notes="Commands:\n"
    + "".join(f"\t{command.name:<{WIDTH}} {command.summary}\n" for command in VERBS)
    + "\nCalled by one of these names (a link), kmod is that command:\n\t"
    + " ".join(LINKS),
)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Run the command that a link's name, or else the first operand, names."""
    linked = LINKS.get(console.name)
    if linked:
        return load(linked.module)(arguments, console, roots)
    own = own_arguments(arguments)
    COMMAND_LINE.read(own, console, CommandOptions())
    rest = arguments[len(own) :]
    if not rest:
        return refuse("missing command", console)
    command = verb(rest[0])
    if command is None:
        return refuse(f"invalid command '{rest[0]}'", console)
    if command.name == "help":
        print_help(console)
        return 0
    console.argv0 = command.name  # getopt's sentences name the command; messages keep naming the program
    try:
        action = load(command.module)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith(__package__):
            raise
        console.error(f"'{command.name}' is not installed here: an initial file system has only what boots need")
        return NOT_INSTALLED
    return action(rest[1:], console, roots)


def own_arguments(arguments: Sequence[str]) -> list[str]:
    """Return the options before the command: what follows it is the command's."""
    for count, argument in enumerate(arguments):
        if argument == "--":
            return list(arguments[: count + 1])
        if not argument.startswith("-") or argument == "-":
            return list(arguments[:count])
    return list(arguments)


def refuse(reason: str, console: Console) -> int:
    """Say what is wrong, and how it goes."""
    console.write_stderr_line(reason)
    print_help(console)
    return 1


def print_help(console: Console) -> None:
    """Print what `kmod help` prints."""
    from .help import help_text

    console.write(help_text(COMMAND_LINE, console.command))
