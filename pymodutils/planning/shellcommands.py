# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an install command does about its module, as far as one can tell without running it."""

from __future__ import annotations

from ..names import bare_name, module_name, normalize_name

LOADS_NOTHING, LOADS, UNKNOWN = "loads nothing", "loads it", "unknown"
"""What `effect_of` answers."""

HARMLESS = frozenset({"false", "true", ":", "echo", "printf", "logger", "sleep", "nologin", "null"})
"""Programs, without their directories, that load nothing. /dev/null is one that cannot be started."""

_PUNCTUATION = frozenset("();<>|&")
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 /_-.,=:+@%")
"""Characters that mean themselves, but for the blank between words."""
_IN_TURN = (";", "&", ";;")
"""What stands between commands of which the second runs in any case."""


def effect_of(command: str, name: str) -> str:
    """Tell what the command of an install rule does about the module `name`.

    A command that may load something, and not surely this module, is `UNKNOWN`.
    """
    words = _words(command)
    if words is None:
        return UNKNOWN
    effect = LOADS_NOTHING
    for simple, surely in _simple_commands(words):
        if not simple:
            continue
        program = simple[0].rpartition("/")[2]
        if program == "exit":
            if surely:
                break
        elif program in ("modprobe", "insmod") and _names_it(program, simple[1:], name):
            if surely:
                return LOADS
            effect = UNKNOWN
        elif program not in HARMLESS:
            effect = UNKNOWN
    return effect


def is_success(command: str) -> bool:
    """Tell whether a command that loads nothing ends well, so that modprobe goes on to what needs the module."""
    words = _words(command) or [""]
    last = [simple for simple, _ in _simple_commands(words) if simple][-1:] or [[""]]
    program, arguments = last[0][0].rpartition("/")[2], last[0][1:]
    return arguments in ([], ["0"]) if program == "exit" else program in HARMLESS - {"false", "nologin", "null"}


def _words(command: str) -> list[str] | None:
    """Return the words and operators of a shell command; None for one with substitutions or open quotes."""
    text = command.replace("$CMDLINE_OPTS", "").replace("\n", ";")
    if "`" in text or "$" in text or "{" in text:
        return None
    if _PLAIN.issuperset(text):
        return text.split()
    import shlex  # which imports re: a fifth of a verb's start

    reader = shlex.shlex(text, posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    try:
        return list(reader)
    except ValueError:
        return None


def _simple_commands(words: list[str]) -> list[tuple[list[str], bool]]:
    """Return the words of each simple command, without redirections, and whether the shell surely comes to it."""
    found: list[tuple[list[str], bool]] = []
    current: list[str] = []
    surely, skip = True, False
    for word in words:
        if skip:
            skip = False
        elif not _PUNCTUATION.issuperset(word):
            current.append(word)
        elif "<" in word or ">" in word:
            skip = not word.endswith("&")
            if current and current[-1].isdigit():
                current.pop()
        else:
            found.append((current, surely))
            current, surely = [], surely and word in _IN_TURN
    found.append((current, surely))
    return found


def _names_it(program: str, arguments: list[str], name: str) -> bool:
    """Tell whether modprobe or insmod is to load just this module, its install rule left aside."""
    operands = [word for word in arguments if not word.startswith("-")]
    if program == "insmod":
        return bool(operands) and module_name(operands[0]) == name
    options = [word for word in arguments if word.startswith("-")]
    ignoring = any(
        option in ("--ignore-install", "--ignore-remove") or (option[1] != "-" and "i" in option)
        for option in options
        if len(option) > 1
    )
    removing = any(
        option in ("--remove", "--remove-holders") or (option[1] != "-" and "r" in option)
        for option in options
        if len(option) > 1
    )
    if removing or not ignoring or not operands:
        return False
    many = any(option == "--all" or (option[1:2] != "-" and "a" in option) for option in options)
    named = [bare_name(word) if "." in word else normalize_name(word) for word in (operands if many else operands[:1])]
    return name in named
