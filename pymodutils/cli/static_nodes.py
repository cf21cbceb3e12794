"""kmod static-nodes: the device files that make the kernel load a module when opened (contract 1)."""

from __future__ import annotations

from ..effects.output_file import write_output
from ..errors import FileError
from ..formats.textindex import devname_lines, parse_devname_line
from ..names import encode
from ..roots import Roots
from ..state.files import read_or_none
from .common import Finished, parse_options
from .options import HELP, Option, help_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ..formats.textindex import DeviceNode
    from .console import Console

OPTIONS = (
    Option("format", "f", ("format",), "how to write them: see below", "FORMAT"),
    Option("output", "o", ("output",), "write to FILE, creating its directories", "FILE"),
    HELP,
)
NOTES = """Formats:
\thuman     for people; not to be parsed (the default)
\ttmpfiles  tmpfiles.d(5), for systemd-tmpfiles
\tdevname   as in modules.devname"""
KINDS = {"c": "character device", "b": "block device"}


def human(node: DeviceNode) -> str:
    """A paragraph for people."""
    return (
        f"Module: {node.module}\n\tDevice node: /dev/{node.name}\n\t\tType: {KINDS[node.kind]}\n"
        f"\t\tMajor: {node.major}\n\t\tMinor: {node.minor}\n"
    )


def tmpfiles(node: DeviceNode) -> str:
    """Lines of tmpfiles.d(5): the directory, if any, and the node."""
    directory = node.name.rpartition("/")[0]
    parent = f"d /dev/{directory} 0755 - - -\n" if directory else ""
    return f"{parent}{node.kind}! /dev/{node.name} 0600 - - - {node.major}:{node.minor}\n"


def devname(node: DeviceNode) -> str:
    """A line of modules.devname."""
    return f"{node.module} {node.name} {node.kind}{node.major}:{node.minor}\n"


FORMATS = {"human": human, "tmpfiles": tmpfiles, "devname": devname}


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Write the static nodes of the running kernel; 1 if a line of modules.devname is bad."""
    chosen = {"format": "human", "output": ""}
    usage = "kmod static-nodes [options]"
    try:
        parse_options(arguments, console, OPTIONS, usage, chosen.__setitem__, NOTES)
    except Finished as end:
        return end.status
    if chosen["format"] not in FORMATS:
        console.raw_error(f"Unknown format: '{chosen['format']}'.")
        console.write(help_text(usage, OPTIONS, NOTES))
        return 1
    text, status = _render(FORMATS[chosen["format"]], f"{(roots or Roots()).modules}/modules.devname", console)
    if not chosen["output"]:
        console.write(text)
        return status
    try:
        write_output(chosen["output"], encode(text))
    except FileError as error:
        console.raw_error(f"Error: could not create {error.path}! {error.strerror}")
        return 1
    return status


def _render(form: Callable[[DeviceNode], str], path: str, console: Console) -> tuple[str, int]:
    """The nodes in one form, and the status: bad lines are reported and skipped."""
    data = read_or_none(path)
    if data is None:
        console.raw_error(f"Warning: {path} not found - ignoring")
        return "", 0
    pieces: list[str] = []
    status = 0
    for _number, line in devname_lines(data):
        node = parse_devname_line(line)
        if node is None:
            console.raw_error(f"Error: invalid devname entry: {line}")
            status = 1
        else:
            pieces.append(form(node))
    return "".join(pieces), status
