# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod static-nodes: the device files that make the kernel load a module when opened (docs/behaviour/1-commands.md)."""

from __future__ import annotations

import errno
import os

from ..context import Context
from ..errors import FileError
from .console import text_bytes
from .options import HELP, JSON, CommandLine, CommandOptions, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diagnostics import Diagnostic
    from ..formats.textindex import DeviceNode
    from ..roots import Roots
    from .console import Console

COMMAND_LINE = CommandLine(
    ["[options]"],
    {
        "Options": (
            Option("format", "f", ("format",), "how to write them: see below", "FORMAT",
                   choices=("human", "tmpfiles", "devname")),
            Option("output", "o", ("output",), "write to FILE, creating its directories", "FILE"),
            JSON,
            HELP,
        )
    },
    page="kmod(8)",
    notes="""Formats:
\thuman     for people; not to be parsed (the default)
\ttmpfiles  tmpfiles.d(5), for systemd-tmpfiles
\tdevname   as in modules.devname""",
    examples=["kmod static-nodes -f tmpfiles -o /run/tmpfiles.d/kmod.conf"],
)  # fmt: skip
TYPES = {"c": "character device", "b": "block device"}


def human(node: DeviceNode) -> str:
    """Return a paragraph for people."""
    return (
        f"Module: {node.module}\n\tDevice node: /dev/{node.name}\n\t\tType: {TYPES[node.kind]}\n"
        f"\t\tMajor: {node.major}\n\t\tMinor: {node.minor}\n"
    )


def tmpfiles(node: DeviceNode) -> str:
    """Return lines of tmpfiles.d(5): the directory, if any, and the node."""
    directory = node.name.rpartition("/")[0]
    parent = f"d /dev/{directory} 0755 - - -\n" if directory else ""
    return f"{parent}{node.kind}! /dev/{node.name} 0600 - - - {node.major}:{node.minor}\n"


def devname(node: DeviceNode) -> str:
    """Return a line of modules.devname."""
    return f"{node.module} {node.name} {node.kind}{node.major}:{node.minor}\n"


FORMATS = {"human": human, "tmpfiles": tmpfiles, "devname": devname}


class StaticNodesOptions(CommandOptions):
    """The options of static-nodes as one command line has them."""

    format = "human"
    output: str | None = None


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Write the static nodes of the running kernel; 1 if a line of modules.devname is bad."""
    options = StaticNodesOptions()
    COMMAND_LINE.read(arguments, console, options)
    form = FORMATS.get(options.format)
    if form is None:
        from .help import help_text

        console.write_stderr_line(f"Unknown format: '{options.format}'.")
        console.write(help_text(COMMAND_LINE, console.command))
        return 1
    problems: list[Diagnostic] = []
    try:
        nodes = Context(roots, on_problem=problems.append).device_nodes()
    except FileError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        console.write_stderr_line(f"Warning: {error.path} not found - ignoring")
        if options.output is not None or not options.json:
            return 0
        nodes = []
    text = "".join(map(form, nodes))
    if options.json:
        from .documents import NodesDocument

        text = NodesDocument(nodes).to_json()
    if options.output is None:
        console.write(text)
    elif not _write(options.output, text, console):
        return 1
    for problem in problems:
        console.write_stderr_line(f"Error: invalid devname entry: {problem.subject}")
    return 1 if problems else 0


def _write(path: str, text: str, console: Console) -> bool:
    """Write a file, after making missing directories above it; report what keeps it from being written.

    Not renamed into place: the target may be no regular file, and systemd relies on writing through /proc/self/fd.
    """
    try:
        make_directories(os.path.dirname(path))
    except OSError as error:
        console.write_stderr_line(f"Error: could not create parent directory for {path} - {error.strerror}.")
        return False
    data = text_bytes(text)
    try:
        with open(path, "wb", buffering=0, opener=_open_readable_by_all) as file:
            while data:
                data = data[file.write(data) :]
    except OSError as error:
        console.write_stderr_line(f"Error: could not create {path} - {error.strerror}")
        return False
    return True


def _open_readable_by_all(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o644)


def make_directories(path: str) -> None:
    """Make a directory and those above it where they are missing, all with mode 755. Raises OSError."""
    if path and not os.path.isdir(path):
        make_directories(os.path.dirname(path.rstrip("/")))
        try:
            os.mkdir(path, 0o755)
        except FileExistsError:  # made just now by somebody else, or a link to nowhere, about which the next step tells
            if os.path.exists(path) and not os.path.isdir(path):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)) from None
