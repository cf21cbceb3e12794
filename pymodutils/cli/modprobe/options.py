# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe's options: the table, and what one command line has of them."""

from __future__ import annotations

from ..console import SILENT, WARNING, CommandExit
from ..options import EXPLAIN, HELP, SYSLOG, VERSION, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..console import Console

ENVIRONMENT = "MODPROBE_OPTIONS"

# The order within the table is kmod's, as far as it shows: getopt lists what an ambiguous abbreviation may mean.
COMMAND_LINE = CommandLine(
    ["[options] MODULE [PARAMETER=VALUE...]", "[options] -a MODULE...", "[options] -r MODULE...",
     "[options] -D|-n|-R MODULE", "[options] -c"],
    {
        "What to do": (
            Option("all", "a", ("all",), "every operand is a module to load or, with -r, to remove"),
            Option("remove", "r", ("remove",), "remove modules instead of loading them"),
            Option("remove_holders", "", ("remove-holders",), "remove a module and those that use it; means -r",
                   deprecated=("remove-dependencies",)),
            Option("show_alias", "R", ("show-alias",), "print the names of the modules that an alias stands for",
                   deprecated=("resolve-alias",)),
            Option("show_depends", "D", ("show-depends",), "print what loading takes, as if nothing were loaded"),
            Option("show_config", "c", ("show-config",), "print the configuration and the indexes",
                   deprecated=("showconfig",)),
            Option("show_modversions", "", ("show-modversions",), "print the symbol versions a module was built with",
                   deprecated=("dump-modversions",)),
            Option("show_exports", "", ("show-exports",), "print the symbols a module exports, with their versions"),
            Option("dry_run", "n", ("dry-run",), "do nothing, print what would be done", deprecated=("show",)),
        ),
        "How to do it": (
            Option("wait", "w", ("wait",), "with -r: wait up to MSEC milliseconds while a module is in use", "MSEC"),
            Option("first_time", "", ("first-time",), "fail when a module is loaded, or removed, already"),
            Option("ignore_commands", "i", ("ignore-install", "ignore-remove"), "ignore install and remove commands"),
            Option("use_blacklist", "b", ("use-blacklist",), "apply blacklist lines to names, not only to aliases"),
            Option("jobs", "j", ("jobs",), "with -a: load up to N modules at the same time", "N"),
            Option("force", "f", ("force",),
                   "load although version magic or symbol versions differ; may crash the machine"),
            Option("force_modversion", "", ("force-modversion",), "ignore the module's symbol versions"),
            Option("force_vermagic", "", ("force-vermagic",), "ignore the module's version magic"),
        ),
        "Where to look": (
            Option("config", "C", ("config",), "read this file or directory instead of the configuration directories",
                   "PATH", repeats=True),
            Option("dirname", "d", ("dirname",), "look in DIR/lib/modules", "DIR"),
            Option("set_version", "S", ("set-version",), "take the modules of kernel VERSION", "VERSION"),
        ),
        "Output": (
            Option("json", "", ("json",), "print what is found, planned and done as JSON, see pymodutils-json(5)"),
            EXPLAIN,
            SYSLOG,
            Option("quiet", "q", ("quiet",), "no messages"),
            Option("verbose", "v", ("verbose",), "print what is done", repeats=True),
            VERSION,
            HELP,
        ),
    },
    page="modprobe(8)",
    examples=["modprobe loop max_loop=16", "modprobe -r -w 5000 usb_storage"],
)  # fmt: skip

_INHERITED = {"quiet": "-q", "syslog": "-s", "verbose": "-v", "config": "-C"}
"""What a modprobe that an install or remove command starts is told as well."""


class ModprobeOptions(CommandOptions):
    """The options of modprobe as one command line has them.

    `by_kernel` tells that the command line has the form that the kernel uses. `inherited` has the words for
    MODPROBE_OPTIONS of install and remove commands.
    """

    all = False
    remove = False
    remove_holders = False
    show_alias = False
    show_depends = False
    show_config = False
    show_modversions = False
    show_exports = False
    dry_run = False
    wait: int = 0
    first_time = False
    ignore_commands = False
    use_blacklist = False
    jobs: int = 1
    force = False
    force_modversion = False
    force_vermagic = False
    config: tuple[str, ...] = ()
    dirname: str | None = None
    set_version = ""
    quiet = False
    by_kernel = False
    inherited: tuple[str, ...] = ()

    def store(self, option: Option, value: str, console: Console) -> None:
        """Take in one option; a wrong number is reported when it is met, as kmod does. Raises `CommandExit`."""
        if option.name in _INHERITED:
            self.inherited += (_INHERITED[option.name], *([value] if option.value else []))
        if option.name == "quiet":
            self.verbose = 0  # -v counts from the silence of the last -q
        if option.name not in ("wait", "jobs"):
            return super().store(option, value, console)
        from .values import jobs, milliseconds

        try:
            if option.name == "wait":
                self.wait = milliseconds(value)
            else:
                self.jobs = jobs(value)
        except ValueError:
            console.error(f"unexpected {option.name} value '{value}'.")
            raise CommandExit(1) from None

    @property
    def removes(self) -> bool:
        """Whether modules are removed, not loaded."""
        shows = self.show_config or self.show_modversions or self.show_exports
        return (self.remove or self.remove_holders) and not shows

    @property
    def only_shows(self) -> bool:
        """Whether nothing is loaded or removed: -R and -D look, and -n prints what -v would.

        With -r, -R means nothing.
        """
        return self.dry_run or self.show_depends or (self.show_alias and not self.removes)

    @property
    def level(self) -> int:
        """The severity up to which messages appear."""
        return (SILENT if self.quiet else WARNING) + self.verbose
