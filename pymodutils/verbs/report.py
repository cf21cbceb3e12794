# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the answers of all verbs have in common."""

from __future__ import annotations

import os

from ..context import UNUSABLE_INDEX
from ..diagnostics import ERROR, Diagnostic
from ..errors import Error, MissingSupportError, NameSyntaxError, NotFoundError
from ..optional import load
from ..planning.lookup import BUILTIN_ALIAS, Match, lookup, match_regular_file, names_file, names_unknown
from ..records import Record
from ..roots import MODULE_DIR, Roots
from ..shellwords import word
from ..state.config import UNREADABLE_FILE
from ..state.configdirs import UNREADABLE_DIRECTORY, UNUSABLE_ENTRY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, Self

    from ..context import Context
    from ..state.look import Look
    from ..state.system import System
    from ..state.tree import ModuleTree

NOT_FOUND, CANNOT_TELL = "not-found", "cannot-tell"
"""Codes of diagnostics: a name that stands for nothing; a question that could not be answered."""


AUTO, NO_IMAGE = "auto", "none"
"""Values of `initrd`: the image in /boot of the release that is meant; no image at all."""


MOST_UNREAD = 20
"""Files that a report names as not readable."""


class Report(Record):
    """The answer of a verb. Each verb adds its own fields; `to_json` is the document of `kmod VERB --json`.

    `verb` is its name, `kernel` the release whose modules are meant, `root` the directory of the whole other system
    that is meant, `/` for this one. `errors` says what could not be found out; the rest of the answer holds.
    """

    verb: str
    kernel: str
    root: str
    errors: tuple[Diagnostic, ...]

    @staticmethod
    def without_answer(verb: str, roots: Roots, error: Exception, text: str) -> Report:
        """Return the report of a verb that has no answer: the reason is an error, which `text` tells of."""
        number = error.errno if isinstance(error, OSError) else None
        why = as_diagnostic(error) if isinstance(error, Error) else Diagnostic(CANNOT_TELL, ERROR, text, errno=number)
        return Report(verb, roots.kernel_release, roots.config_root or "/", (why,))

    def with_problems(self, problems: Iterable[Diagnostic]) -> Self:
        """Return the report with what a context told its `on_problem`, as far as that makes the answer incomplete.

        A module directory that is missing is no such problem: a verb that needs one says so itself.
        """
        more = [problem for problem in problems if problem.code == UNUSABLE_INDEX or is_unread(problem)]
        return self.replace(errors=tuple(dict.fromkeys((*more, *self.errors))))


def several(things: Any) -> list[Any]:
    """Return things that were given as one or as several; one name or path is one thing, not its letters.

    Raises `TypeError` for bytes, which no name and no path of ours is.
    """
    found = [things] if isinstance(things, (str, bytes, bytearray, os.PathLike, Match)) else list(things)
    for thing in found:
        if isinstance(thing, (bytes, bytearray)):
            raise TypeError(f"a name or path is text, not {type(thing).__name__}")
    return found


def asked_names(things: Any) -> list[str]:
    """Return names that were given as one or as several. Raises `TypeError` for a name that is no text, as a `Path`."""
    found = several(things)
    for thing in found:
        if not isinstance(thing, str):
            raise TypeError(f"a name is text, not {type(thing).__name__}")
    return found


def head(verb: str, context: Context, errors: Iterable[Diagnostic] = ()) -> dict[str, Any]:
    """Return the fields of `Report`, for a report of `verb` about a system."""
    roots = context.roots
    return {
        "verb": verb,
        "kernel": roots.kernel_release,
        "root": roots.config_root or "/",
        "errors": tuple(errors),
    }


_BY_FILES = ("apt", "dnf", "dkms", "update-initramfs", "dracut", "mkinitcpio", "make", "grep")
"""Programs that work on the files of a system, so that they can do so inside of another one's directory."""


def for_same_system(context: Context, steps: str) -> str | None:
    """Return next steps, joined by `&&`, so that they are about the system that was asked about.

    Those that can only be about the running one (modprobe, reboot) are left out; None if no step is left.
    """
    if context.live.is_asked:
        return steps
    left = [step for step in (_elsewhere(context.roots, step) for step in steps.split(" && ")) if step]
    return " && ".join(left) or None


def _elsewhere(roots: Roots, command: str) -> str | None:
    """Return a command so that it is about another system or release than the running one; None if none is."""
    program, *words = command.split(" ")
    root, place = roots.config_root, roots.base + roots.module_dir
    if program == "kmod":
        system = [f"--root={word(root)}"] if root else ["-d", word(roots.base)] if roots.base else []
        system += ["-m", word(roots.module_dir)] if roots.module_dir != MODULE_DIR else []
        release = [] if root and _names_in(place) == [roots.kernel_release] else ["-S", word(roots.kernel_release)]
        return " ".join([program, words[0], *system, *release, *words[1:]])
    if program == "depmod":
        return roots.depmod_command
    if program == "modinfo":  # which has no -m
        if roots.module_dir != MODULE_DIR:
            return None
        base = ["-b", word(roots.base)] if roots.base else []
        return " ".join([program, *base, "-k", word(roots.kernel_release), *words])
    if program == "make" and root:  # the source of the module is here, and not in there
        return None
    if program in _BY_FILES:
        return f"chroot {word(root)} {command}" if root else command
    return None


def _names_in(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def need(package: str, verb: str) -> Any:
    """Return an optional library. Raises `MissingSupportError`, which names the package and the verb."""
    library = load(package)
    if library is None:
        raise MissingSupportError(f"kmod {verb} needs the Python package {package}, which is not installed")
    return library


def shows_machine(context: Context, *, with_modules: bool = False) -> bool:
    """Tell whether this machine is asked about, whichever of its kernels that is; never with `live=False`.

    `with_modules`: its modules lie where they usually do, too.
    """
    roots = context.roots.replace(release="")
    return not context.live.is_forbidden and (roots if with_modules else roots.replace(base="")).shows_kernel


def is_unread(problem: Diagnostic) -> bool:
    """Tell whether a problem of the configuration is a file or a directory of which the content is not known."""
    return problem.severity == ERROR and problem.code in (UNREADABLE_FILE, UNREADABLE_DIRECTORY, UNUSABLE_ENTRY)


def unlisted(tree: ModuleTree, text: str = "") -> list[Diagnostic]:
    """Return errors of a report if its answer rests on more names than can be told: an index is missing or damaged.

    `text` is a name that the answer rests on, if it is one. Where the context has an `on_problem`, which hears of
    damaged indexes, nothing is said of these. A module directory that is missing is no such error: a verb that needs
    one says so itself.
    """
    if not tree.exists:
        return []
    try:
        lacking = tree.lacking_indexes(text)
    except Error as error:  # a damaged one, where nobody else hears of it
        return [as_diagnostic(error)]
    missing = [file for file in lacking if file.split(".bin")[0].removeprefix("modules.") not in tree.unusable_indexes]
    if not missing:
        return []
    return [as_diagnostic(names_unknown(tree.directory, f"no usable {', '.join(missing)}"))]


def unlisted_before(tree: ModuleTree, origin: str, text: str) -> list[Diagnostic]:
    """Return an error if an index that is asked before `origin`, which knew `text`, may stand for something else."""
    if origin != BUILTIN_ALIAS or not tree.lacks_index("alias"):
        return []
    return [as_diagnostic(names_unknown(tree.directory, tree.why_unknown(text) or "", text))]


def modules_there(system: System, text: str, errors: list[Diagnostic]) -> list[Match] | None:
    """Return the modules that a name, an alias or a path stands for: files that there are, and builtin ones.

    None where that cannot be told; `errors` then has the reason. They also get that of an answer that may be another.
    """
    try:
        if names_file(text):
            return [match_regular_file(system, text)]
        found = [module for module in lookup(system, text) if module.path or module.builtin]
        errors += [error for one in found[:1] for error in unlisted_before(system.tree, one.origin, text)]
    except NameSyntaxError:
        return []
    except Error as error:
        errors.append(as_diagnostic(error, text))
        return None
    return found


def unread(look: Look) -> list[Diagnostic]:
    """Return errors of a report for what could not be read of /proc and /sys; of very many the first ones."""
    found = [as_diagnostic(error) for error in look.unread.values()]
    if len(found) > MOST_UNREAD:
        text = f"{len(found) - MOST_UNREAD} more files of /proc and /sys could not be read"
        found[MOST_UNREAD:] = [Diagnostic(CANNOT_TELL, ERROR, text)]
    return found


def untold(tree: ModuleTree, file: str, what: str) -> Error | None:
    """Return the error for an answer that rests on a text file of the module directory, if that file is missing.

    `what` is what the file would tell. None without a module directory, as for `unlisted`.
    """
    if not tree.exists or not tree.lacks_file(file):
        return None
    return names_unknown(tree.directory, f"no usable {file}", what=what)


def as_diagnostic(error: Error, asked: str | None = None) -> Diagnostic:
    """Return an error as an entry of `Report.errors`; `asked` is the operand that it is about."""
    text = error.reason
    if isinstance(error, NotFoundError) and error.similar:
        text += f"; similar names: {', '.join(error.similar)}"
    return Diagnostic(
        code=NOT_FOUND if isinstance(error, NotFoundError) and error.certain else CANNOT_TELL,
        severity=ERROR,
        text=text,
        module=error.module,
        file=error.path,
        line=error.line,
        subject=asked or error.asked,
        errno=error.errno,
    )
