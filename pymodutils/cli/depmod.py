"""depmod: make the indexes of a kernel's modules (contract 1, "depmod"; contract 4)."""

from __future__ import annotations

import gc
import os
import sys

from ..depmod.pipeline import BadBuiltinLineError, BrokenModuleError, MissingBesideError, build, gather
from ..depmod.render import LeftOut
from ..depmod.scan import OrderProblem, UnusableFileError
from ..depmod.settings import read_settings
from ..errors import CycleError, Error, FileError
from ..formats.depmodconf import BadDepmodLine
from ..names import decode, encode
from ..records import Record
from ..roots import Roots
from .common import Finished, parse_options
from .console import INFO
from .options import HELP, VERSION, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..depmod.pipeline import Built, Inputs
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
    Option("json", "", ("json",), "print a summary as JSON (docs/json.md)"),
    Option("no-cache", "", ("no-cache",), "read all modules, even unchanged ones"),
    Option("verbose", "v", ("verbose",), "say which module needs which"),
    Option("ignored", "uqrs", ("unresolved-error", "quiet", "root"), ""),
    VERSION,
    HELP,
)
NOTES = "Operands: [VERSION [FILE ...]]; only the modules in the FILEs, given by absolute path."


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
    flags: frozenset[str]


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Make the indexes; the exit status."""
    gc.disable()  # nothing here makes circles, and looking for them takes a tenth of the time
    roots = roots or Roots()
    try:
        request = _read_arguments(arguments, console, roots)
    except Finished as end:
        return end.status
    return _run(request, console)


def _read_arguments(arguments: Sequence[str], console: Console, roots: Roots) -> Request:
    values: dict[str, str] = {}
    configs: list[str] = []

    def handle(name: str, value: str) -> None:
        if name == "config":
            configs.append(value)
        elif name == "symbol-prefix" and len(encode(value)) != 1:
            console.fatal("-P only takes a single char")
            raise Finished(1)
        elif name == "verbose":
            console.level = INFO
        values[name] = value

    usage = f"{console.name} [options] [VERSION [FILE ...]]"
    operands = parse_options(arguments, console, OPTIONS, usage, handle, NOTES)
    release = operands[0] if operands else roots.kernel_release
    if operands and not _is_version(release):
        console.error(f"Bad version passed {release}")
        raise Finished(1)
    base = os.path.abspath(values["basedir"]) if "basedir" in values else roots.base
    if base == "/":
        base = ""
    below = f"{values.get('moduledir', roots.module_dir).rstrip('/')}/{release}"
    if not below.startswith("/"):
        below = f"/{below}"
    out_base = os.path.abspath(values["outdir"]) if "outdir" in values else base
    if "errsyms" in values and "symvers" not in values and "filesyms" not in values:
        console.warning("-e needs -E or -F")
        del values["errsyms"]
    files = [encode(path) for path in operands[1:]] if len(operands) > 1 and "all" not in values else None
    return Request(
        release,
        f"{base}{below}",
        f"{out_base}{below}",
        files,
        configs or roots.config_dirs("depmod.d"),
        values.get("symvers"),
        values.get("filesyms"),
        encode(values.get("symbol-prefix", "")),
        frozenset(values),
    )


def _is_version(text: str) -> bool:
    """Whether the text begins with two numbers and a dot between them."""
    major, dot, rest = text.partition(".")
    return bool(major.isdecimal() and dot and rest[:1].isdecimal())


def _run(request: Request, console: Console) -> int:
    teller = _Teller(console)
    for path in request.files or []:
        if not path.startswith(b"/"):
            console.fatal(f"{decode(path)}: not absolute path.")
            return 1
    settings, problems = read_settings(request.configs, request.release)
    for problem in problems:
        teller.config(problem)
    try:
        inputs = gather(request.directory, settings, request.files, teller.tell)
    except FileError as error:
        return _no_modules(request, error, console)
    try:
        built = build(inputs, teller.tell, {}, request.prefix)
    except CycleError as error:
        for cycle in error.cycles:
            console.error(f"Cycle detected: {' -> '.join(cycle)}")
        console.error(error.reason)
        return 1
    return _deliver(request, inputs, built, console)


def _no_modules(request: Request, error: FileError, console: Console) -> int:
    if request.files is None:
        console.error(f"could not open directory {error.path}: {error.strerror}")
        console.fatal(f"could not search modules: {error.strerror}")
    elif error.module:
        console.fatal(f"could not add module {error.path}: {error.strerror}")
    else:
        console.fatal(f"could not create module {error.path}: {error.strerror}")
    return 1


def _deliver(request: Request, inputs: Inputs, built: Built, console: Console) -> int:
    for name, node in built.incomplete_devices:
        console.error(
            f"Module '{decode(name)}' has devname ({decode(node)}) but lacks major and minor information. Ignoring."
        )
    if "show" in request.flags:
        for name, data in built.files.items():
            if not name.endswith(".bin"):
                console.write(decode(data))
        return 0
    from ..effects.publish import Directory

    try:
        with Directory(request.out_directory) as directory:
            directory.publish(built.files)
    except FileError as error:
        console.error(f"could not write {error.path}: {error.strerror}")
        return 1
    return 0


class _Teller:
    """Puts into words what went wrong and could be got over."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def config(self, problem: Error) -> None:
        """Something about depmod.d."""
        if isinstance(problem, BadDepmodLine):
            self._console.error(
                f"{problem.path}:{problem.line}: command '{problem.reason}' is not known, or lacks or has too many words"
            )
        else:
            self._console.error(str(problem))

    def tell(self, problem: Error | LeftOut) -> None:
        """Something about the modules or the files beside them."""
        if isinstance(problem, LeftOut):
            self._left_out(problem)
        elif isinstance(problem, MissingBesideError):
            directory, _, name = (problem.path or "").rpartition("/")
            self._console.warning(f"could not open {name} at {directory}: {problem.strerror}")
        elif isinstance(problem, BrokenModuleError):
            if problem.errno != 61:
                self._console.error(f"failed to load symbols from {problem.path}: {problem.strerror}")
        elif isinstance(problem, BadBuiltinLineError):
            self._console.error(f"Invalid modules.builtin line: {problem.reason}")
        elif isinstance(problem, UnusableFileError):
            self._console.error(f"unsupported file type {problem.path}: {problem.kind:o}")
        elif isinstance(problem, OrderProblem):
            self._console.error(problem.reason)
        else:
            self._console.error(f"could not read {problem.path}: {problem.strerror}")

    def _left_out(self, item: LeftOut) -> None:
        if item.bracket:
            self._console.warning(f"Unmatched bracket in {decode(item.key)}")
        else:
            self._console.error(f"the index can only hold 7-bit ASCII; left out: {decode(item.key)}")
