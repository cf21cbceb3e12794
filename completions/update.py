#!/usr/bin/python3
"""Write the options of all commands into the completion files, from the tables that the commands themselves use.

completions/update.py            after a change of options
completions/update.py --check    only tell which files are not up to date; status 1 if any is
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from pymodutils.cli.options import Option  # noqa: E402

# Command, as the completions call it, and the module with its options.
TABLES = {
    "depmod": "depmod",
    "insmod": "insmod",
    "kmod": "kmod",
    "lsmod": "lsmod",
    "modinfo": "modinfo",
    "modprobe": "modprobe",
    "rmmod": "rmmod",
    "static-nodes": "static_nodes",
}
REPEATABLE = ("config", "verbose", "more")
BEGIN, END = "# --- made by completions/update.py: options", "# --- end of what is made"


def options(command: str) -> list[Option]:
    """The options that `--help` lists."""
    return [option for option in import_module(f"pymodutils.cli.{TABLES[command]}").OPTIONS if option.help]


def spellings(option: Option) -> list[str]:
    """All ways to write it."""
    return [f"-{letter}" for letter in option.short] + [f"--{name}" for name in option.long]


def summary(option: Option) -> str:
    """The help text, without references into the documentation."""
    return option.help.replace(" (docs/json.md)", "")


# --- bash: a function that sets `options`, and `kind` to the placeholder of the option asked for


def bash() -> Iterator[str]:
    """The part of completions/bash."""
    yield "_pymodutils_table() { # COMMAND OPTION"
    yield "    case $1 in"
    for command in TABLES:
        yield f"    {command})"
        words = [word for option in options(command) for word in spellings(option)]
        valued = {word for option in options(command) if option.value for word in option.long}
        offered = [f"{word}=" if word[2:] in valued and word.startswith("--") else word for word in words]
        yield f"        options='{' '.join(offered)}'"
        cases = [option for option in options(command) if option.value]
        if cases:
            yield "        case ${2-} in"
            yield from (f"        {' | '.join(spellings(option))}) kind={option.value} ;;" for option in cases)
            yield "        esac"
        yield "        ;;"
    yield "    esac"
    yield "}"


# --- zsh: a function that sets `options` to what _arguments wants

ZSH_VALUES = {
    "CHAR": "character: ",
    "DIR": "directory:_directories",
    "FIELD": "field:_pymodutils_fields",
    "FILE": "file:_files",
    "FORMAT": "format:(human tmpfiles devname)",
    "MSEC": "milliseconds: ",
    "N": "number: ",
    "PATH": "file or directory:_files",
    "VERSION": "kernel version:_pymodutils_versions",
}


def zsh() -> Iterator[str]:
    """The part of completions/zsh."""
    yield "_pymodutils_table() { # COMMAND"
    yield "  case $1 in"
    for command in TABLES:
        yield f"    {command})"
        yield "      options=("
        for option in options(command):
            yield from (f"        {quoted(spec)}" for spec in zsh_specs(option))
        yield "      ) ;;"
    yield "  esac"
    yield "}"


def zsh_specs(option: Option) -> Iterator[str]:
    """What _arguments wants to know of an option."""
    text = summary(option).replace("[", r"\[").replace("]", r"\]")
    before = "*" if option.name in REPEATABLE else f"({' '.join(spellings(option))})"
    for word in spellings(option):
        sign, value = "", ""
        if option.value:
            sign, value = "=" if word.startswith("--") else "+", f":{ZSH_VALUES[option.value]}"
        yield f"{before}{word}{sign}[{text}]{value}"


def quoted(text: str) -> str:
    """A word for a shell, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


# --- fish: a function with what argparse wants, and `complete` lines

FISH_VALUES = {
    "CHAR": "-x",
    "DIR": "-x -a '(__fish_complete_directories)'",
    "FIELD": "-x -a '(__pymodutils_fields)'",
    "FILE": "-r -F",
    "FORMAT": "-x -a 'human tmpfiles devname'",
    "MSEC": "-x",
    "N": "-x",
    "PATH": "-r -F",
    "VERSION": "-x -a '(__pymodutils_option_versions COMMAND)'",
}


def fish() -> Iterator[str]:
    """The part of completions/fish."""
    yield "function __pymodutils_table -a command"
    yield "    switch $command"
    for command in TABLES:
        yield f"        case {command}"
        yield from (f"            echo {spec}" for option in options(command) for spec in fish_specs(option))
    yield "    end"
    yield "end"
    yield ""
    yield "complete -e -c depmod -c insmod -c kmod -c lsmod -c modinfo -c modprobe -c rmmod"
    for command in TABLES:
        condition = {"static-nodes": "__pymodutils_command_is static-nodes", "kmod": "__pymodutils_command_is"}
        if command in condition:
            yield from fish_lines("kmod", options(command), condition[command])
        else:
            yield from fish_lines(command, options(command))
    yield from fish_lines("kmod", options("lsmod"), "__pymodutils_command_is list")


def fish_specs(option: Option) -> Iterator[str]:
    """What argparse wants to know of an option: `s/long=+` for the first name, one word more for each further one."""
    names, end = list(option.long), "=+" if option.value else ""
    if option.short and names:
        names[0] = f"{option.short}/{names[0]}"
    yield from (f"{name}{end}" for name in names or option.short)


def fish_lines(command: str, table: list[Option], condition: str = "") -> Iterator[str]:
    """The lines that offer the options of `table`."""
    only = f" -n {quoted(condition)}" if condition else ""
    for option in table:
        names = [f"-s {letter}" for letter in option.short] + [f"-l {name}" for name in option.long]
        value = f" {FISH_VALUES[option.value]}".replace("COMMAND", command) if option.value else ""
        yield f"complete -c {command}{only} {' '.join(names)}{value} -d {quoted(summary(option))}"


# --- the files

PARTS: dict[str, Callable[[], Iterator[str]]] = {"bash": bash, "zsh": zsh, "fish": fish}


def updated(name: str) -> str:
    """The text of a completion file with its options as they are now."""
    text = (HERE / name).read_text()
    head, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, tail = rest.partition(f"{END}\n")
    if not (begin and end):
        raise ValueError(f"{name}: no lines '{BEGIN}' and '{END}'")
    return head + begin + "".join(f"{line}\n" for line in PARTS[name]()) + end + tail


def main(arguments: list[str]) -> int:
    """Write the files, or check them; the exit status."""
    old = [name for name in PARTS if updated(name) != (HERE / name).read_text()]
    for name in old:
        if "--check" in arguments:
            print(f"{HERE / name} is not up to date: run completions/update.py")
        else:
            (HERE / name).write_text(updated(name))
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
