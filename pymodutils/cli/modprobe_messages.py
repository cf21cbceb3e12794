"""modprobe's sentences about what lower layers report."""

from __future__ import annotations

from ..errors import FileError
from ..formats.cmdline import BadModuleName
from ..formats.modprobeconf import BadLine, RetiredDirective
from ..state.configdirs import EISDIR, UnreadableDirectoryError, UnusableEntryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..errors import Error

ENOENT, EEXIST = 2, 17
UNKNOWN_SYMBOL = "Unknown symbol in module, or unknown parameter (see dmesg)"


def insert_failure(error: Error) -> str:
    """Why a module was not loaded."""
    if isinstance(error, FileError) and error.errno == ENOENT:
        return str(error)  # which file is missing; kmod takes it for an unknown symbol
    if error.errno == EEXIST:
        return "Module already in kernel"
    return UNKNOWN_SYMBOL if error.errno == ENOENT else error.strerror


def config_message(problem: Error) -> str:
    """What is wrong with the configuration, as libkmod says it."""
    if isinstance(problem, BadLine):
        return (
            f"kmod_config_parse: {problem.path} line {problem.line}: ignoring bad line starting with '{problem.reason}'"
        )
    if isinstance(problem, RetiredDirective):
        return f"kmod_config_parse: {problem.path}: command {problem.reason} is deprecated and not parsed anymore"
    if isinstance(problem, BadModuleName):
        return (
            "kcmdline_parse_result: Ignoring bad option on kernel command line while parsing module name: "
            f"'{problem.reason}'"
        )
    if isinstance(problem, UnreadableDirectoryError):
        return f"conf_files_list: opendir({problem.path}): {problem.strerror}"
    if isinstance(problem, UnusableEntryError) and problem.errno == EISDIR:
        return f"conf_files_filter_out: Directories inside directories are not supported: {problem.path}"
    if isinstance(problem, UnusableEntryError):
        return f"conf_files_filter_out: Cannot stat directory entry: {problem.path}"
    return f"kmod_config_new: {problem}"
