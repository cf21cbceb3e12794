"""modprobe's sentences about what lower layers report."""

from __future__ import annotations

from ..errors import FileError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..diagnostics import Diagnostic
    from ..errors import Error
    from .console import Console

EISDIR = 21
ENOENT, EEXIST = 2, 17
UNKNOWN_SYMBOL = "Unknown symbol in module, or unknown parameter (see dmesg)"


def insert_failure(error: Error) -> str:
    """Why a module was not loaded."""
    if isinstance(error, FileError) and error.errno == ENOENT:
        return str(error)  # which file is missing; kmod takes it for an unknown symbol
    if error.errno == EEXIST:
        return "Module already in kernel"
    return UNKNOWN_SYMBOL if error.errno == ENOENT else error.strerror


def show_problem(problem: Diagnostic, console: Console) -> None:
    """Say what could be got over: about the configuration as libkmod says it, even with -q; about an index."""
    if problem.code == "missing-tree":
        return  # nothing is found, and that is said
    if problem.code == "unusable-index":
        console.error(f"{problem.file}: {problem.text}")
    else:
        console.raw_error(f"libkmod: ERROR: {config_message(problem)}")


def config_message(problem: Diagnostic) -> str:
    """Return what is wrong with the configuration, as libkmod says it."""
    file, subject = problem.file, problem.subject
    if problem.code == "bad-line":
        return f"kmod_config_parse: {file} line {problem.line}: ignoring bad line starting with '{subject}'"
    if problem.code == "retired-directive":
        return f"kmod_config_parse: {file}: command {subject} is deprecated and not parsed anymore"
    if problem.code == "bad-module-name":
        return (
            f"kcmdline_parse_result: Ignoring bad option on kernel command line while parsing module name: '{subject}'"
        )
    if problem.code == "unreadable-directory":
        return f"conf_files_list: opendir({file}): {problem.text}"
    if problem.code == "unusable-entry" and problem.errno == EISDIR:
        return f"conf_files_filter_out: Directories inside directories are not supported: {file}"
    if problem.code == "unusable-entry":
        return f"conf_files_filter_out: Cannot stat directory entry: {file}"
    return f"kmod_config_new: {file}: {problem.text}"
