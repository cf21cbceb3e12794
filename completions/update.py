#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Write what is made from the tables of commands and options into the files that need it.

completions/update.py            after a change of commands or options
completions/update.py --check    only tell which files are not up to date; status 1 if any is

In each file what is made stands between two comments: `made by completions/update.py: WHAT` and `end of what is made`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from pymodutils.cli import registry  # noqa: E402
from pymodutils.cli.help import spellings  # noqa: E402
from pymodutils.cli.options import Option  # noqa: E402
from pymodutils.cli.verbs.policy import ACTIONS as POLICY_ACTIONS  # noqa: E402

BEGIN, END = "--- made by completions/update.py:", "--- end of what is made"

LINKS = sorted(registry.LINKS)
"""The names by which kmod is started as another command."""

PROGRAMS = sorted([*LINKS, "kmod"])


def tables() -> dict[tuple[str, ...], list[Option]]:
    """Return the options of each command, by the names that it has: its own, and links to it."""
    names: dict[str, list[str]] = {"kmod": ["kmod"]}
    for command in registry.COMMANDS:
        if command.name != "help":
            names.setdefault(command.module, []).extend(dict.fromkeys([command.name, *command.links]))
    return {tuple(known): options(module) for module, known in sorted(names.items())}


def options(module: str) -> list[Option]:
    """Return the options of a command by the module that it lives in."""
    found: list[Option] = import_module(f"pymodutils.cli.{module}").COMMAND_LINE.options
    return found


def verbs_by_operands() -> dict[str, list[str]]:
    """Return the verbs of kmod that take operands, by what completions offer for these."""
    found: dict[str, list[str]] = {}
    for command in registry.VERBS:
        if command.operands:
            found.setdefault(command.operands, []).append(command.name)
    return found


def summary(option: Option) -> str:
    """Return the help text without references into the manual."""
    return re.sub(r", see \S+\(\d\)$", "", option.help)


# --- bash: a function that sets `options`, and `kind` to the placeholder of the option asked for


def bash_options() -> Iterator[str]:
    """Yield the lines for completions/bash."""
    yield "_pymodutils_table() { # COMMAND OPTION"
    yield "    case $1 in"
    for names, table in tables().items():
        yield f"    {' | '.join(names)})"
        words = [word for option in table for word in spellings(option)]
        valued = {word for option in table if option.value for word in option.long}
        offered = [f"{word}=" if word[2:] in valued and word.startswith("--") else word for word in words]
        yield f"        options='{' '.join(offered)}'"
        cases = [option for option in table if option.value]
        if cases:
            yield "        case ${2-} in"
            yield from (f"        {' | '.join(spellings(option))}) {bash_value(option)} ;;" for option in cases)
            yield "        esac"
        yield "        ;;"
    yield "    esac"
    yield "}"


def bash_value(option: Option) -> str:
    """Return what says what the value of an option is."""
    choices = f" choices='{' '.join(option.choices)}'" if option.choices else ""
    return f"kind={option.value}{choices}"


def bash_operands() -> Iterator[str]:
    """Yield the function that offers operands of kmod's verbs."""
    answers = {
        registry.NAMES: "_pymodutils_names",
        registry.MODULES: "_pymodutils_names; _pymodutils_module_files",
        registry.LOADED: "_pymodutils_loaded",
        registry.FILES: "_pymodutils_files -f",
        registry.ACTIONS: f"_pymodutils_words '{' '.join(POLICY_ACTIONS)}'",
    }
    yield "_pymodutils_verb_operand() {"
    yield "    case $command in"
    yield from (f"    {' | '.join(verbs)}) {answers[kind]} ;;" for kind, verbs in verbs_by_operands().items())
    yield "    esac"
    yield "}"


def bash_commands() -> Iterator[str]:
    """Yield the function that offers the commands of kmod, and what the completions are for."""
    yield "_pymodutils_commands() {"
    yield f"    _pymodutils_words '{' '.join(command.name for command in registry.VERBS)}'"
    yield "}"
    yield ""
    yield f"complete -F _pymodutils {' '.join(PROGRAMS)}"


# --- zsh: a function that sets `options` to what _arguments wants

ZSH_VALUES = {
    "CHAR": "character: ",
    "DIR": "directory:_directories",
    "FIELD": "field:_pymodutils_fields",
    "FILE": "file:_files",
    "KINDS": "kinds, with commas: ",
    "MSEC": "milliseconds: ",
    "N": "number: ",
    "NAME": "loaded module:_pymodutils_loaded",
    "PATH": "file or directory:_files",
    "TEXT": "text: ",
    "VERSION": "kernel version:_pymodutils_versions",
}


def zsh_compdef() -> Iterator[str]:
    """Yield the first line of completions/zsh."""
    yield f"#compdef {' '.join(PROGRAMS)}"


def zsh_commands() -> Iterator[str]:
    """Yield the function that offers the commands of kmod."""
    yield "_pymodutils_commands() {"
    yield "  local -a found=("
    yield from (f"    {quoted(f'{command.name}:{command.summary}')}" for command in registry.VERBS)
    yield "  )"
    yield "  _describe -t commands command found"
    yield "}"


def zsh_options() -> Iterator[str]:
    """Yield the function with the options for completions/zsh."""
    yield "_pymodutils_table() { # COMMAND"
    yield "  case $1 in"
    for names, table in tables().items():
        yield f"    {'|'.join(names)})"
        yield "      options=("
        for option in table:
            yield from (f"        {quoted(spec)}" for spec in zsh_specs(option))
        yield "      ) ;;"
    yield "  esac"
    yield "}"


def zsh_specs(option: Option) -> Iterator[str]:
    """Yield what _arguments wants to know of an option."""
    text = summary(option).replace("[", r"\[").replace("]", r"\]")
    before = "*" if option.repeats else f"({' '.join(spellings(option))})"
    for word in spellings(option):
        sign, value = "", ""
        if option.value:
            sign, value = "=" if word.startswith("--") else "+", f":{zsh_value(option)}"
        yield f"{before}{word}{sign}[{text}]{value}"


def zsh_value(option: Option) -> str:
    """Return what the value of an option is, and what offers it."""
    if option.choices:
        return f"{option.value.lower()}:({' '.join(option.choices)})"
    return ZSH_VALUES[option.value]


def zsh_operands() -> Iterator[str]:
    """Yield the function that sets `operands` for a verb of kmod."""
    answers = {
        registry.NAMES: "'*:module:_pymodutils_modules'",
        registry.MODULES: "'*: :_pymodutils_modules_and_files'",
        registry.LOADED: "'*:loaded module:_pymodutils_loaded'",
        registry.FILES: "'*:file:_files'",
        registry.ACTIONS: f"'1:action:({' '.join(POLICY_ACTIONS)})'",
    }
    yield "_pymodutils_verb_operands() { # COMMAND"
    yield "  case $1 in"
    yield from (f"    {'|'.join(verbs)}) operands=({answers[kind]}) ;;" for kind, verbs in verbs_by_operands().items())
    yield "  esac"
    yield "}"


def quoted(text: str) -> str:
    """Return a word for a shell, in single quotes."""
    return "'" + text.replace("'", "'\\''") + "'"


# --- fish: a function with what argparse wants, and `complete` lines

FISH_VALUES = {
    "CHAR": "-x",
    "DIR": "-x -a '(__fish_complete_directories)'",
    "FIELD": "-x -a '(__pymodutils_fields)'",
    "FILE": "-r -F",
    "KINDS": "-x",
    "MSEC": "-x",
    "N": "-x",
    "NAME": "-x -a '(__pymodutils_loaded)'",
    "PATH": "-r -F",
    "TEXT": "-x",
    "VERSION": "-x -a '(__pymodutils_option_versions COMMAND)'",
}


def fish_options() -> Iterator[str]:
    """Yield the function with the options and the lines that offer them for completions/fish."""
    yield "function __pymodutils_table -a command"
    yield "    switch $command"
    for names, table in tables().items():
        yield f"        case {' '.join(names)}"
        yield from (f"            echo {spec}" for option in table for spec in fish_specs(option))
    yield "    end"
    yield "end"
    yield ""
    yield f"complete -e {' '.join(f'-c {name}' for name in PROGRAMS)}"
    for names, table in tables().items():
        for name in names:
            if name == "kmod":
                yield from fish_lines("kmod", table, "__pymodutils_command_is")
            elif name in registry.LINKS:
                yield from fish_lines(name, table)
            if registry.verb(name):
                yield from fish_lines("kmod", table, f"__pymodutils_command_is {name}", name)
    yield "complete -c kmod -f"
    for command in registry.VERBS:
        words = f"-a {quoted(command.name)} -d {quoted(command.summary)}"
        yield f"complete -c kmod -f -n __pymodutils_command_is {words}"


def fish_specs(option: Option) -> Iterator[str]:
    """Yield what argparse wants to know of an option: `s/long=+` for the first name, a word for each further one."""
    names, end = list(option.long), "=+" if option.value else ""
    if option.short and names:
        names[0] = f"{option.short}/{names[0]}"
    yield from (f"{name}{end}" for name in names or option.short)


def fish_lines(command: str, table: list[Option], condition: str = "", verb: str = "") -> Iterator[str]:
    """Yield the lines that offer the options of `table`, which is that of `verb` if one is given."""
    only = f" -n {quoted(condition)}" if condition else ""
    for option in table:
        names = [f"-s {letter}" for letter in option.short] + [f"-l {name}" for name in option.long]
        value = f" {fish_value(option)}".replace("COMMAND", verb or command) if option.value else ""
        yield f"complete -c {command}{only} {' '.join(names)}{value} -d {quoted(summary(option))}"


def fish_value(option: Option) -> str:
    """Return the arguments of `complete` that offer the value of an option."""
    return f"-x -a '{' '.join(option.choices)}'" if option.choices else FISH_VALUES[option.value]


def fish_operands() -> Iterator[str]:
    """Yield the function that offers operands of kmod's verbs, and the lines that call it."""
    answers = {
        registry.NAMES: ["__pymodutils_modules"],
        registry.MODULES: ["__pymodutils_modules", "__pymodutils_module_files"],
        registry.LOADED: ["__pymodutils_loaded"],
        registry.FILES: ["__fish_complete_path"],
        registry.ACTIONS: [f"printf '%s\\n' {' '.join(POLICY_ACTIONS)}"],
    }
    yield "function __pymodutils_verb_operand -a command"
    yield "    __pymodutils_parse $command"
    yield "    switch $command"
    for kind, verbs in verbs_by_operands().items():
        yield f"        case {' '.join(verbs)}"
        yield from (f"            {line}" for line in answers[kind])
    yield "    end"
    yield "end"
    yield ""
    for verb in [verb for verbs in verbs_by_operands().values() for verb in verbs]:
        offers = f"-a {quoted(f'(__pymodutils_verb_operand {verb})')}"
        yield f"complete -c kmod -f -n '__pymodutils_command_is {verb}' {offers}"


# --- lists of names


def bash_names() -> Iterator[str]:
    """Yield the line of completions/bash-names that says what the completions are for."""
    yield f"    complete -F _pymodutils_load {' '.join(PROGRAMS)}"


def make_links() -> Iterator[str]:
    """Yield the list of links in packaging.mk."""
    yield f"links = {' '.join(LINKS)}"


def debian_links() -> Iterator[str]:
    """Yield the list of links in debian/names."""
    yield f'links="{" ".join(LINKS)}"'


def initramfs_links() -> Iterator[str]:
    """Yield the list of links in initramfs/copy-python: a boot needs no more than the programs of kmod."""
    yield from python_tuple("APPLETS", sorted(command.name for command in registry.PROGRAMS))


def python_tuple(name: str, values: list[str]) -> Iterator[str]:
    """Yield the lines that set a tuple of strings."""
    yield f"{name} = ("
    yield from (f'    "{value}",' for value in values)
    yield ")"


# --- the files

MADE: dict[str, dict[str, Callable[[], Iterator[str]]]] = {
    "completions/bash": {"options": bash_options, "operands": bash_operands, "commands": bash_commands},
    "completions/bash-names": {"names": bash_names},
    "completions/fish": {"options": fish_options, "operands": fish_operands},
    "completions/zsh": {"commands": zsh_commands, "operands": zsh_operands, "options": zsh_options},
    "debian/names": {"links": debian_links},
    "initramfs/copy-python": {"links": initramfs_links},
    "packaging.mk": {"links": make_links},
}
"""The files below the project's root, and what is made in each."""


def updated(name: str) -> str:
    """Return the text of a file with what is made in it as it is now."""
    text = (ROOT / name).read_text()
    for what, lines in MADE[name].items():
        head, begin, rest = re.split(f"(?m)^( *# {re.escape(BEGIN)} {what}\n)", text, maxsplit=1)
        _, end, tail = re.split(f"(?m)^( *# {re.escape(END)}\n)", rest, maxsplit=1)
        text = head + begin + "".join(f"{line}\n" for line in lines()) + end + tail
    if text.startswith("#compdef "):
        text = "".join(f"{line}\n" for line in zsh_compdef()) + text.partition("\n")[2]
    return text


def main(arguments: list[str]) -> int:
    """Write the files, or check them, and return the exit status."""
    old = [name for name in MADE if updated(name) != (ROOT / name).read_text()]
    for name in old:
        if "--check" in arguments:
            print(f"{ROOT / name} is not up to date: run completions/update.py")
        else:
            (ROOT / name).write_text(updated(name))
    return 1 if old and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
