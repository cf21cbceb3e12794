# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every command there is. Dispatch, `kmod help`, completions and the lists of links to install are made from this.

A command lives in the module or package `cli/MODULE` and is its function `run(arguments, console, roots)`; its
`COMMAND_LINE` has its options. A new one is an entry here, and `completions/update.py` brings it to the other places.
"""

from __future__ import annotations

from ..records import Record

NAMES, MODULES, LOADED, FILES, ACTIONS = OPERANDS = ("names", "modules", "loaded", "files", "actions")
"""Words of `Command.operands`: names of modules, names or files of modules, names of loaded modules, any files; or the
words that the verb's module has as ACTIONS."""


class Command(Record):
    """One command.

    `name` is what one calls, `summary` a line for `kmod help`, `module` where it lives below `pymodutils.cli`. `links`
    are program names that are this command when kmod is started by them. `operands` says what completions offer after a
    verb: a word of OPERANDS, empty for nothing.
    """

    name: str
    summary: str
    module: str
    links: tuple[str, ...] = ()
    operands: str = ""

    @property
    def is_program(self) -> bool:
        """Whether the command is started by its own name; any other one is `kmod NAME`."""
        return self.name in self.links


def _program(name: str, summary: str) -> Command:
    return Command(name, summary, name, (name,))


COMMANDS = (
    _program("lsmod", "list the loaded modules"),
    _program("rmmod", "unload modules"),
    _program("insmod", "load a module file"),
    _program("modinfo", "describe modules"),
    _program("modprobe", "load and unload modules with all they need"),
    _program("depmod", "make the indexes of a kernel's modules"),
    Command("help", "show this help", "kmod"),
    Command("list", "list the loaded modules", "lsmod"),
    Command("status", "show where modules stand", "verbs.status", operands=MODULES),
    Command("config", "show the rules about modules that are in force", "verbs.config", operands=NAMES),
    Command("lint", "find mistakes in the rules about modules", "verbs.lint"),
    Command("check", "tell whether a module can get in, and by which door", "verbs.check", operands=MODULES),
    Command("explain", "tell why a module cannot be loaded or unloaded", "verbs.explain", operands=MODULES),
    Command("deny", "keep modules out", "verbs.deny", operands=NAMES),
    Command("undeny", "take denials back", "verbs.undeny", operands=NAMES),
    Command("allow", "deny all modules but those that are needed", "verbs.allow", operands=NAMES),
    Command("policy", "show, verify or compare what is denied", "verbs.policy", operands=ACTIONS),
    Command("closure", "show what an image needs so that modules load there", "verbs.closure", operands=MODULES),
    Command("diff", "show what differs between two modules or two trees", "verbs.diff", operands=FILES),
    Command("extend", "make the indexes of a tree and what lies over it", "verbs.extend", operands=FILES),
    Command("graph", "show which modules need which, as a picture", "verbs.graph", operands=MODULES),
    Command("symbols", "show who exports a symbol, who uses it, where it is", "verbs.symbols", ("ksyms",)),
    Command("watch", "show who asks for modules, and what comes of it", "verbs.watch"),
    Command("devices", "show which driver each device has, and which modules could drive it", "verbs.devices"),
    Command("autoload", "load the modules that devices ask for", "verbs.autoload", ("kerneld",)),
    Command("who", "show who uses a module and what would be lost", "verbs.who", operands=LOADED),
    Command("prune", "show or unload modules that nobody uses", "verbs.prune"),
    Command("params", "show, set and keep parameters of modules", "verbs.params", operands=MODULES),
    Command("reload", "unload a module and load it again, or leave all as it was", "verbs.reload", operands=LOADED),
    Command("ensure", "bring modules into a wanted state", "verbs.ensure", operands=FILES),
    Command("verify", "tell whether the modules of a tree would load", "verbs.verify", operands=FILES),
    Command("decode", "show what an oops or a stack trace says", "verbs.decode", ("ksymoops",), FILES),
    Command("static-nodes", "show the device nodes that load modules of the running kernel", "static_nodes"),
)

PROGRAMS = tuple(command for command in COMMANDS if command.is_program)
VERBS = tuple(command for command in COMMANDS if not command.is_program)
LINKS = {link: command for command in COMMANDS for link in command.links}
"""Which command a program name stands for; every other name is kmod itself."""


def verb(name: str) -> Command | None:
    """Return the command that `kmod NAME` is."""
    return next((command for command in VERBS if command.name == name), None)
