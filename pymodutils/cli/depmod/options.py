"""The options of depmod, and the job that a command line asks for."""

from __future__ import annotations

import os

from ... import IndexJob, Record
from ..common import Finished, absolute, parse_options
from ..console import NOTICE
from ..options import HELP, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ... import Roots
    from ..console import Console

OPTIONS = (
    Option("all", "a", ("all",), "all modules (the default without FILEs)"),
    Option("quick", "A", ("quick",), "only if a module is newer than modules.dep"),
    Option("basedir", "b", ("basedir",), "put DIR before the module directory", "DIR"),
    Option("moduledir", "m", ("moduledir",), "the module directory (default /lib/modules)", "DIR"),
    Option("outdir", "o", ("outdir",), "put DIR before the directory written to (default: as -b)", "DIR"),
    Option("config", "C", ("config",), "read this file or directory, not depmod.d; may be repeated", "PATH"),
    Option("symvers", "E", ("symvers",), "symbols of the kernel with their versions", "FILE"),
    Option("filesyms", "F", ("filesyms",), "symbols of the kernel, a System.map", "FILE"),
    Option("errsyms", "e", ("errsyms",), "report symbols that nobody has (needs -E or -F)"),
    Option("show", "n", ("show", "dry-run"), "write the texts to standard output and no file"),
    Option("symbol-prefix", "P", ("symbol-prefix",), "a character before each symbol", "CHAR"),
    Option("warn", "w", ("warn",), "warn of duplicates"),
    Option("verbose", "v", ("verbose",), "say which module needs which"),
    Option("json", "", ("json",), "print a summary as JSON (docs/json.md)"),
    Option("no-cache", "", ("no-cache",), "read all modules, even unchanged ones, and keep no cache"),
    VERSION,
    HELP,
)
NOTES = "Operands: [VERSION [FILE ...]]; only the modules in the FILEs, given by absolute path."

NO_CACHE = "PYMODUTILS_NO_CACHE"
"""An environment variable; not empty, it is the same as --no-cache."""


class DepmodOptions(Record):
    """What a command line asks for: the job, and whether its result is shown as JSON."""

    job: IndexJob
    json: bool


def read_options(arguments: Sequence[str], console: Console, roots: Roots) -> DepmodOptions:
    """Read the command line. Raises `Finished`."""
    values: dict[str, str] = {}
    configuration: list[str] = []

    def handle(name: str, value: str) -> None:
        if name == "config":
            configuration.append(value)
        elif name == "symbol-prefix" and len(value.encode("utf-8", "surrogateescape")) != 1:
            console.fatal("-P only takes a single char")
            raise Finished(1)
        values[name] = value

    usage = f"{console.name} [options] [VERSION [FILE ...]]"
    operands = parse_options(arguments, console, OPTIONS, usage, handle, NOTES)
    release = operands[0] if operands else roots.kernel_release
    if operands and not _is_version(release):
        console.error(f"Bad version passed {release}")
        raise Finished(1)
    check_symbols = "errsyms" in values
    if check_symbols and "symvers" not in values and "filesyms" not in values:
        console.warning("-e needs -E or -F")
        check_symbols = False
    base = absolute(values["basedir"]) if "basedir" in values else roots.base
    out_base = absolute(values["outdir"]) if "outdir" in values else base
    below = f"/{values.get('moduledir', roots.module_dir).strip('/')}/{release.rstrip('/')}"
    only_some = len(operands) > 1 and "all" not in values and "quick" not in values
    show = "show" in values
    job = IndexJob(
        directory=f"{base.rstrip('/')}{below}",
        out_directory=f"{out_base.rstrip('/')}{below}",
        release=release,
        configuration=tuple(configuration or roots.config_dirs("depmod.d")),
        files=tuple(operands[1:]) if only_some else None,
        symbol_prefix=values.get("symbol-prefix", ""),
        symvers=values.get("symvers"),
        system_map=values.get("filesyms"),
        check_symbols=check_symbols,
        check_aliases="warn" in values and not show,
        list_uses=console.level >= NOTICE,
        write=not show,
        quick="quick" in values,
        use_cache=not only_some and "no-cache" not in values and not os.environ.get(NO_CACHE),
        always="json" in values or "warn" in values,
    )
    return DepmodOptions(job, "json" in values)


def _is_version(text: str) -> bool:
    """Tell whether the text begins with two numbers and a dot between them."""
    major, dot, rest = text.partition(".")
    return bool(_is_number(major) and dot and _is_number(rest[:1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()
