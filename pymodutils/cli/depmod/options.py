# SPDX-License-Identifier: LGPL-2.1-or-later
"""The options of depmod, and the job that a command line asks for."""

from __future__ import annotations

import os

from ... import IndexJob, Record
from ..console import CommandExit
from ..options import HELP, VERSION, CommandLine, CommandOptions, Option, absolute, require_short

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ... import Roots
    from ..console import Console

# The order within the table is kmod's, as far as it shows: getopt lists what an ambiguous abbreviation may mean.
COMMAND_LINE = CommandLine(
    ["[options] [VERSION [FILE...]]"],
    {
        "Which modules": (
            Option("all", "a", ("all",), "all modules (the default without FILEs)"),
            Option("quick", "A", ("quick",), "only if a module is newer than modules.dep"),
            Option("basedir", "b", ("basedir",), "put DIR before the module directory", "DIR"),
            Option("moduledir", "m", ("moduledir",), "the module directory (default /lib/modules)", "DIR"),
            Option("outdir", "o", ("outdir",), "put DIR before the directory written to (default: as -b)", "DIR"),
            Option("config", "C", ("config",), "read this file or directory, not depmod.d", "PATH", repeats=True),
        ),
        "What to check": (
            Option("symvers", "E", ("symvers",), "symbols of the kernel with their versions", "FILE"),
            Option("filesyms", "F", ("filesyms",), "symbols of the kernel, a System.map", "FILE"),
            Option("errsyms", "e", ("errsyms",), "report symbols that nobody has (needs -E or -F)"),
            Option("warn", "w", ("warn",), "warn of duplicates"),
        ),
        "How to do it": (
            Option("show", "n", ("show", "dry-run"), "write the texts to standard output and no file"),
            Option("symbol_prefix", "P", ("symbol-prefix",), "a character before each symbol", "CHAR"),
            Option("cache", "", ("cache",), "keep what was read for the next run, also with -b or -o"),
            Option("no_cache", "", ("no-cache",), "read all modules, even unchanged ones, and keep no cache"),
        ),
        "Output": (
            Option("verbose", "v", ("verbose",), "say which module needs which", repeats=True),
            Option("json", "", ("json",), "print a summary as JSON, see pymodutils-json(5)"),
            VERSION,
            HELP,
        ),
    },
    page="depmod(8)",
    notes="Operands: only the modules in the FILEs, given by absolute path.",
    examples=["depmod -a", "depmod -b /mnt -a 6.12.5-amd64"],
)

NO_CACHE = "PYMODUTILS_NO_CACHE"
"""An environment variable; not empty, it is the same as --no-cache."""

RUN = "/run"
"""Where caches are kept, in the directory `pymodutils`: what is there does not outlive the running system."""


class GivenOptions(CommandOptions):
    """The options as one command line has them, each for itself; an empty directory is as none."""

    all = False
    quick = False
    show = False
    errsyms = False
    warn = False
    basedir: str | None = None
    moduledir: str | None = None
    outdir: str | None = None
    config: tuple[str, ...] = ()
    symvers: str | None = None
    filesyms: str | None = None
    symbol_prefix = ""
    cache = False
    no_cache = False

    def store(self, option: Option, value: str, console: Console) -> None:
        """Take in one option. Raises `CommandExit`."""
        if option.name == "symbol_prefix" and len(value.encode("utf-8", "surrogateescape")) != 1:
            console.fatal("-P only takes a single char")
            raise CommandExit(1)
        super().store(option, value, console)


class DepmodOptions(Record):
    """What a command line asks for.

    `job`: what is to be done; `json`: whether its result is shown as JSON; `wants_cache`: whether to say why there can
    be no cache.
    """

    job: IndexJob
    json: bool
    wants_cache: bool


def read_options(arguments: Sequence[str], console: Console, roots: Roots) -> DepmodOptions:
    """Read the command line. Raises `CommandExit`."""
    given = GivenOptions()
    operands = COMMAND_LINE.read(arguments, console, given)
    release = operands[0] if operands else roots.kernel_release
    if operands and not _is_version(release):
        console.error(f"Bad version passed {release}")
        raise CommandExit(1)
    base = absolute(given.basedir) if given.basedir else roots.base
    out_base = absolute(given.outdir) if given.outdir else base
    module_dir = given.moduledir or roots.module_dir
    below = f"/{module_dir.lstrip('/')}/{release.rstrip('/')}"  # messages show all other slashes as typed
    for root in (base, out_base):
        require_short(root + below, console, "Bad")
    check_symbols = given.errsyms
    if check_symbols and given.symvers is None and given.filesyms is None:
        console.warning("-e needs -E or -F")
        check_symbols = False
    only_some = len(operands) > 1 and not given.all and not given.quick
    if not only_some:
        for operand in operands[1:]:
            if not operand.startswith("/") and operand != release:
                console.warning(f"only {release} is indexed, not {operand}: run {console.name} for each kernel")
    job = IndexJob(
        directory=base + below,
        out_directory=out_base + below,
        release=release,
        configuration=tuple(given.config or roots.config_dirs("depmod.d")),
        files=tuple(operands[1:]) if only_some else None,
        symbol_prefix=given.symbol_prefix,
        symvers=given.symvers,
        system_map=given.filesyms,
        find_unresolved=given.json,
        check_symbols=check_symbols,
        check_aliases=given.warn and not given.show,
        list_uses=given.verbose > 0,
        write=not given.show,
        quick=given.quick,
        cache_directory=_cache_directory(given),
        always=given.json or given.warn,
    )
    return DepmodOptions(job, given.json, given.cache)


def _cache_directory(given: GivenOptions) -> str | None:
    """Return where a cache is kept, None if there is to be none.

    Without --cache there is one only for the running system: none with -b or -o, and none where nobody empties /run,
    which is a file system of its own on every system that runs, but not in an image that is being made.
    """
    if given.no_cache:
        return None
    is_native = not given.basedir and not given.outdir
    if not given.cache and (os.environ.get(NO_CACHE) or not is_native or not _is_mounted(RUN)):
        return None
    user = os.geteuid()
    return f"{RUN}/user/{user}/pymodutils" if user else f"{RUN}/pymodutils"


def _is_mounted(path: str) -> bool:
    try:
        return os.stat(path).st_dev != os.stat("/").st_dev
    except OSError:
        return False


def _is_version(text: str) -> bool:
    """Tell whether the text begins with two numbers and a dot between them, as scanf(3) reads numbers."""
    major, dot, rest = text.partition(".")
    return bool(_is_number(_unsigned(major)) and dot and _is_number(_unsigned(rest)[:1]))


def _unsigned(text: str) -> str:
    """Return the text without the blanks and the sign before a number."""
    text = text.lstrip(" \t\n\v\f\r")
    return text[1:] if text.startswith(("+", "-")) else text


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
