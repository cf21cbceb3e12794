"""modprobe's options, from the command line and from MODPROBE_OPTIONS (contract 1, "modprobe")."""

from __future__ import annotations

from .options import HELP, SYSLOG, VERSION, Option

OPTIONS = (
    Option("all", "a", ("all",), "every operand is a module to load or, with -r, to remove"),
    Option("remove", "r", ("remove",), "remove modules instead of loading them"),
    Option("old:remove-holders", "", ("remove-dependencies",)),
    Option("remove-holders", "", ("remove-holders",), "remove a module and those that use it; means -r"),
    Option("wait", "w", ("wait",), "with -r: wait up to MSEC milliseconds while a module is in use", "MSEC"),
    Option("show-alias", "R", ("show-alias",), "print the names of the modules that an alias stands for"),
    Option("old:show-alias", "", ("resolve-alias",)),
    Option("first-time", "", ("first-time",), "fail when a module is loaded, or removed, already"),
    Option("ignore-commands", "i", ("ignore-install", "ignore-remove"), "ignore install and remove commands"),
    Option("use-blacklist", "b", ("use-blacklist",), "apply blacklist lines to names as well, not only to aliases"),
    Option("force", "f", ("force",), "load although version magic or symbol versions differ; may crash the machine"),
    Option("force-modversion", "", ("force-modversion",), "ignore the module's symbol versions"),
    Option("force-vermagic", "", ("force-vermagic",), "ignore the module's version magic"),
    Option("show-depends", "D", ("show-depends",), "print what loading takes, as if nothing were loaded"),
    Option("old:show-config", "", ("showconfig",)),
    Option("show-config", "c", ("show-config",), "print the configuration and the indexes"),
    Option("show-modversions", "", ("show-modversions",), "print the symbol versions that a module was built with"),
    Option("old:show-modversions", "", ("dump-modversions",)),
    Option("show-exports", "", ("show-exports",), "print the symbols that a module exports, with their versions"),
    Option("dry-run", "n", ("dry-run", "show"), "do nothing, print what would be done"),
    Option("config", "C", ("config",), "read this file or directory instead of the configuration directories", "PATH"),
    Option("dirname", "d", ("dirname",), "look in DIR/lib/modules", "DIR"),
    Option("set-version", "S", ("set-version",), "take the modules of kernel VERSION", "VERSION"),
    Option("jobs", "j", ("jobs",), "with -a: load up to N modules at the same time", "N"),
    Option("json", "", ("json",), "with -n, -D or -R: print the plan as JSON (docs/json.md)"),
    Option("to-syslog", SYSLOG.short, SYSLOG.long, SYSLOG.help),
    Option("quiet", "q", ("quiet",), "no messages"),
    Option("more", "v", ("verbose",), "print what is done"),
    VERSION,
    HELP,
)

ENVIRONMENT = "MODPROBE_OPTIONS"
# What a modprobe that an install command starts shall know as well.
_INHERITED = {"quiet": "-q", "to-syslog": "-s", "more": "-v"}

DEPRECATED = {option.name: option.long[0] for option in OPTIONS if option.name.startswith("old:")}
"""The long names that `old:NAME` options have, which still work and say that NAME is to be used."""


class Settings:
    """What the options ask for."""

    def __init__(self, *, by_kernel: bool) -> None:
        self.flags: set[str] = set()
        self.config: list[str] = []
        self.inherited: list[str] = []
        self.by_kernel = by_kernel
        self.base: str | None = None
        self.release = ""
        self.wait = 0
        self.jobs = 1
        self.verbosity = 0

    def set(self, name: str, value: str) -> None:
        """Take in one option. Raises `ValueError` for a value of -w or -j that is no number."""
        if name in _INHERITED:
            self.inherited.append(_INHERITED[name])
        if name == "config":
            self.config.append(value)
            self.inherited += ["-C", value]
        elif name == "dirname":
            self.base = value
        elif name == "set-version":
            self.release = value
        elif name == "wait":
            self.wait = milliseconds(value)
        elif name == "jobs":
            self.jobs = jobs(value)
        elif name == "more":
            self.verbosity += 1
        else:
            self.flags.add(name)
            if name == "remove-holders":
                self.flags.add("remove")


def split_environment(text: str) -> list[str]:
    """The arguments in MODPROBE_OPTIONS: split at each space outside quotes; two spaces enclose an empty one.

    A quote that is never closed stays in its word, which is the last.
    """
    arguments: list[str] = []
    word: list[str] = []
    quote, opened = "", 0
    for char in text:
        if quote:
            if char == quote:
                quote = ""
            else:
                word.append(char)
        elif char in "'\"":
            quote, opened = char, len(word)
        elif char == " ":
            arguments.append("".join(word))
            word = []
        else:
            word.append(char)
    if quote:
        word.insert(opened, quote)
    if word:
        arguments.append("".join(word))
    return arguments


def milliseconds(text: str) -> int:
    """The value of -w: decimal, hexadecimal (0x) or octal (0) digits, up to 64 bits. Raises `ValueError`."""
    digits = text.lstrip(" \t\n\v\f\r").removeprefix("+").lower()
    base = 10
    if digits.startswith("0x"):
        digits, base = digits[2:], 16
    elif digits.startswith("0"):
        base = 8
    if not digits or digits.strip("0123456789abcdef"[:base]) or len(digits) > _MOST_DIGITS:
        raise ValueError(text)
    value = int(digits, base)
    if value >= 1 << 64:
        raise ValueError(text)
    return value


_MOST_DIGITS = 100  # zeros at the beginning among them


def jobs(text: str) -> int:
    """The value of -j: decimal digits, at least 1. Raises `ValueError`."""
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError(text)
    return int(text)
