# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod graph: which modules need which, as a picture (kmod-graph(8))."""

from __future__ import annotations

import os
from contextlib import suppress

from ...errors import FileError, MissingSupportError
from ...shellwords import word
from ...verbs.graph import graph
from ..console import CommandExit, text_bytes
from ..options import Option
from .frame import CANNOT_TELL, YES, Verb, VerbLine, VerbOptions, run_verb

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...roots import Roots
    from ...verbs.graph import GraphReport
    from ..console import Console

SVG, DOT, MERMAID, JSON = FORMATS = ("svg", "dot", "mermaid", "json")
ENDINGS = {".svg": SVG, ".dot": DOT, ".gv": DOT, ".mmd": MERMAID, ".mermaid": MERMAID, ".json": JSON}
"""What a file's name says of the format that is wanted."""

COMMAND_LINE = VerbLine(
    ["[options] [NAME|ALIAS|FILE...]"],
    {
        "What to show": (
            Option("rdeps", "", ("rdeps",), "what needs the modules, not what they need"),
            Option("depth", "", ("depth",), "follow at most N arrows from the modules named", "N"),
            Option("soft", "", ("soft",), "soft dependencies as well"),
            Option("devices", "", ("devices",), "the devices that the modules drive as well"),
            Option("format", "", ("format",), "how to show it (default: by the name of FILE, else svg)", "FORMAT",
                   choices=FORMATS),
            Option("output", "o", ("output",), "write to FILE", "FILE"),
        ),
    },
    page="kmod-graph(8)",
    examples=["kmod graph --soft -o modules.svg"],
)  # fmt: skip


class GraphOptions(VerbOptions):
    """What the options say."""

    rdeps = False
    depth: str = ""
    soft = False
    devices = False
    format: str = ""
    output: str = ""

    def store(self, option: Option, value: str, console: Console) -> None:
        """Take in one option. Raises `CommandExit` for a value that there is not."""
        if option.name == "format" and value not in FORMATS:
            console.error(f"--format: '{value}' is none of {', '.join(FORMATS)}")
            raise CommandExit(CANNOT_TELL)
        if option.name == "depth" and not (value.isascii() and value.isdecimal() and len(value) < 10):
            console.error(f"--depth: '{value}' is no number")
            raise CommandExit(CANNOT_TELL)
        if option.name == "json":
            self.format = JSON
        else:
            super().store(option, value, console)


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Show which modules need which."""
    options = GraphOptions()
    return run_verb(COMMAND_LINE, options, arguments, console, roots, lambda verb: _answer(verb, options))


def _answer(verb: Verb, options: GraphOptions) -> int:
    if not verb.operands and (options.rdeps or options.depth):
        verb.need_operand("module")
    asked = options.format or ENDINGS.get(os.path.splitext(options.output)[1], "")
    report = graph(
        verb.context,
        verb.operands,
        rdeps=options.rdeps,
        depth=int(options.depth) if options.depth else None,
        soft=options.soft,
        devices=options.devices,
    )
    report = verb.whole(report)
    form = asked or SVG
    if report.errors and not report.nodes and form != JSON:
        verb.show_errors(report)
        return CANNOT_TELL
    try:
        text = _text(report, form)
    except MissingSupportError as error:
        form, text = DOT, report.to_dot()
        verb.console.warning(_advice(error, options.output))
    if options.output:
        _write(_named(options.output, form, asked), text)
    else:
        verb.console.write(text)
    verb.show_errors(report)
    return CANNOT_TELL if asked == SVG and form != SVG else YES


def _text(report: GraphReport, form: str) -> str:
    makers = {SVG: report.to_svg, DOT: report.to_dot, MERMAID: report.to_mermaid, JSON: report.to_json}
    return makers[form]()


def _named(path: str, form: str, asked: str) -> str:
    """Return the path to write to: a file called .svg gets no DOT."""
    start, ending = os.path.splitext(path)
    return f"{start}.{DOT}" if form == DOT and asked != DOT and ending == f".{SVG}" else path


def _advice(error: MissingSupportError, output: str) -> str:
    if not output:
        return f"{error.reason}: this is the graph for it"
    path = _named(output, DOT, SVG)
    return f"{error.reason}: wrote the graph to {path}; next: dot -Tsvg -o {word(output)} {word(path)}"


def _write(path: str, text: str) -> None:
    """Write a file whole or not at all; a device, a pipe, or what a link leads to is written through.

    Raises `FileError`.
    """
    data = text_bytes(text)
    temporary = f"{path}.{os.getpid()}.part"
    is_plain = not os.path.islink(path) and (os.path.isfile(path) or not os.path.exists(path))
    try:
        if not is_plain:
            _write_through(path, data)
            return
        try:
            _write_through(temporary, data)
            if os.path.exists(path):
                os.chmod(temporary, os.stat(path).st_mode & 0o7777)
            os.replace(temporary, path)
        except BaseException:  # an interrupt, too
            with suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise FileError.of(error, path) from None


def _write_through(path: str, data: bytes) -> None:
    with open(path, "wb", buffering=0) as file:
        while data:
            data = data[file.write(data) :]
