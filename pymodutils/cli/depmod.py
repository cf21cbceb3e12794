"""depmod: make the indexes of a kernel's modules (contract 1, "depmod"; contract 4).

Options, the order of things, and files; what a run has to say is worded in `depmod_report`.
"""

from __future__ import annotations

import gc
import os

from ..depmod.settings import DEFAULT, read_settings
from ..errors import CycleError, FileError, MissingSupportError
from ..names import decode, encode
from ..records import Record
from ..roots import Roots
from .common import Finished, absolute, parse_options
from .console import NOTICE
from .depmod_report import Teller
from .options import HELP, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..depmod.settings import Settings
    from .console import Console

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

TALKING = frozenset(("show", "json", "errsyms", "warn", "verbose", "symvers", "filesyms"))
"""Options whose output or checks are wanted even when no file has to change."""


class Request(Record):
    """What the command line asks for."""

    release: str
    directory: str
    out_directory: str
    files: list[bytes] | None
    configs: list[str]
    symvers: str | None
    system_map: str | None
    prefix: bytes
    use_cache: bool
    flags: frozenset[str]


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Make the indexes; the exit status."""
    gc.disable()  # nothing here makes circles, and looking for them takes a tenth of the time
    try:
        request = _read_arguments(arguments, console, roots or Roots())
        return _run(request, console)
    except Finished as end:
        return end.status


def _read_arguments(arguments: Sequence[str], console: Console, roots: Roots) -> Request:
    values: dict[str, str] = {}
    configs: list[str] = []

    def handle(name: str, value: str) -> None:
        if name == "config":
            configs.append(value)
        elif name == "symbol-prefix" and len(encode(value)) != 1:
            console.fatal("-P only takes a single char")
            raise Finished(1)
        values[name] = value

    usage = f"{console.name} [options] [VERSION [FILE ...]]"
    operands = parse_options(arguments, console, OPTIONS, usage, handle, NOTES)
    if console.level >= NOTICE:
        values["verbose"] = ""
    release = operands[0] if operands else roots.kernel_release
    if operands and not _is_version(release):
        console.error(f"Bad version passed {release}")
        raise Finished(1)
    base = absolute(values["basedir"]) if "basedir" in values else roots.base
    out_base = absolute(values["outdir"]) if "outdir" in values else base
    below = f"/{values.get('moduledir', roots.module_dir).strip('/')}/{release.rstrip('/')}"
    if "errsyms" in values and "symvers" not in values and "filesyms" not in values:
        console.warning("-e needs -E or -F")
        del values["errsyms"]
    some = len(operands) > 1 and "all" not in values and "quick" not in values
    return Request(
        release,
        f"{base.rstrip('/')}{below}",
        f"{out_base.rstrip('/')}{below}",
        [encode(path) for path in operands[1:]] if some else None,
        configs or roots.config_dirs("depmod.d"),
        values.get("symvers"),
        values.get("filesyms"),
        encode(values.get("symbol-prefix", "")),
        not some and "no-cache" not in values and not os.environ.get(NO_CACHE),
        frozenset(values),
    )


def _is_version(text: str) -> bool:
    """Whether the text begins with two numbers and a dot between them."""
    major, dot, rest = text.partition(".")
    return bool(_is_number(major) and dot and _is_number(rest[:1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _run(request: Request, console: Console) -> int:
    teller = Teller(console, request.flags, request.symvers, request.system_map, request.prefix)
    for path in request.files or []:
        if not path.startswith(b"/"):
            console.fatal(f"{decode(path)}: not absolute path.")
            return 1
    settings, problems = (DEFAULT, []) if request.files else read_settings(request.configs, request.release)
    try:
        if "quick" in request.flags and _is_up_to_date(request, settings, teller):
            return 0
        teller.read_kernel_symbols()
        for problem in problems:
            teller.config(problem)
        return _make(request, settings, console, teller)
    except CycleError as error:
        teller.cycles(error)
    except MissingSupportError as error:
        teller.missing_support(error)
    except FileError as error:
        teller.failure(error, request.directory)
    return 1


def _is_up_to_date(request: Request, settings: Settings, teller: Teller) -> bool:
    """Whether modules.dep is there and no module file is newer."""
    from ..depmod.scan import is_any_newer

    try:
        time = os.stat(f"{request.out_directory}/modules.dep").st_mtime_ns
    except OSError:
        return False
    teller.begin("scan")
    return not is_any_newer(os.fsencode(request.directory), settings, time, teller.progress)


def _make(request: Request, settings: Settings, console: Console, teller: Teller) -> int:
    from ..effects.indexes import Job, Update

    may_skip = not request.flags & TALKING
    job = Job(request.directory, request.out_directory, settings, request.files, request.prefix, request.use_cache,
              may_skip)  # fmt: skip
    update = Update(job, teller)
    made = update.texts() if "show" in request.flags else update.run()
    if made is None:
        return 0
    inputs, built = made
    if "json" in request.flags:
        console.write(teller.summary(inputs, built))
    elif "show" in request.flags:
        for data in built.files.values():
            console.write(decode(data))
    return 0
