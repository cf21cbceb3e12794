# SPDX-License-Identifier: LGPL-2.1-or-later
"""decompression, damaged-file: the file cannot be decompressed, or is no module."""

from __future__ import annotations

from errno import EINVAL, ENOEXEC

from ...diagnostics import Evidence
from ...state.modulereading import DAMAGED, DAMAGED_COMPRESSION, EMPTY, NO_FILE, NO_LIBRARY
from .case import DESCRIBE, FILE, Case, Cause, logged
from .sentences import DAMAGED as DAMAGED_SENTENCE
from .sentences import DECOMPRESSION, said
from .signatures import reinstall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_DAMAGE = {
    EMPTY: "the file is empty",
    NO_FILE: "that is a directory, a device or a pipe, and a module is a file",
    DAMAGED: "the file is damaged, cut off, or no module at all",
}
"""What is said of a problem of a module file."""


def _concerns(case: Case) -> bool:
    """Tell whether the file's state matters to what was asked."""
    return case.action == DESCRIBE or case.refused_by == FILE or case.answers(ENOEXEC, EINVAL)


def decompression(case: Case) -> Iterator[Cause]:
    """The file is compressed, and neither the kernel nor this program can decompress it."""
    for sentence in said(case, DECOMPRESSION) if case.is_refusal else ():
        text = "the kernel could not decompress the file"
        yield Cause("decompression", text, (logged(sentence.text),), reinstall(case), sentence.strength)
    file = case.file
    if file is None or not _concerns(case):
        return
    if file.problem == NO_LIBRARY:
        text = "the file is compressed, and Python has no library for that here"
        yield Cause("decompression", text, (Evidence(file.path, str(file.why)),), _library(case, str(file.why)))
    elif file.problem == DAMAGED_COMPRESSION:
        text = "the compressed file is damaged or incomplete"
        yield Cause("decompression", text, (Evidence(file.path, str(file.why)),), reinstall(case))


def _library(case: Case, why: str) -> tuple[str, ...]:
    if "zst" in why:
        return ("apt install python3-zstandard",) if case.has("apt") else ("pip install zstandard",)
    return ()


def damaged_file(case: Case) -> Iterator[Cause]:
    """The file is empty, cut off, no ELF file, or for another kind of machine."""
    for sentence in said(case, DAMAGED_SENTENCE) if case.is_refusal else ():
        text = f"the file is no module that this kernel can use: {sentence.part('what')}"
        yield Cause("damaged-file", text, (logged(sentence.text),), reinstall(case), sentence.strength)
    file = case.file
    if file is None or not _concerns(case):
        return
    if file.problem in _DAMAGE:
        why = "0 bytes" if file.problem == EMPTY else str(file.why)
        yield Cause("damaged-file", _DAMAGE[file.problem], (Evidence(file.path, why),), reinstall(case))
        return
    other = _machine(case)
    if file.is_readable and file.machine is not None and other is not None:
        machine, source = other
        if machine != file.machine and case.answers(ENOEXEC):
            evidence = (Evidence(file.path, f"ELF machine {file.machine}"), Evidence(source, f"ELF machine {machine}"))
            yield Cause("damaged-file", "the module is built for another kind of machine", evidence, reinstall(case))


def _machine(case: Case) -> tuple[int, str] | None:
    """Return ELF's number of the machine that is meant, and what tells it."""
    if case.sibling and case.sibling.machine is not None:
        return case.sibling.machine, case.sibling.path
    return None if case.machine is None else (case.machine, "uname -m")
