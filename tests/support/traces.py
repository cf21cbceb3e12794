# SPDX-License-Identifier: LGPL-2.1-or-later
"""Text of trace_pipe as the kernel prints it, and a tracefs that is made of plain files."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from pymodutils.effects import tracing
from pymodutils.formats.tracepipe import EVENTS
from tests.support.common import replace_call


def trace_line(event: str, text: str, *, comm: str = "modprobe", pid: int = 12, time: float = 1.5) -> bytes:
    """One event, as trace_print_context of the kernel lays it out."""
    return f"{comm:>16}-{pid:<7} [000] ..... {time:12.6f}: {event}: {text}\n".encode("utf-8", "surrogateescape")


def request_line(alias: str, *, wait: int = 1, site: str = "__sock_create", **named: Any) -> bytes:
    """One request for a module; what else is named goes to `trace_line`."""
    return trace_line("module_request", f"{alias} wait={wait} call_site={site}", **named)


class ForgedTracefs:
    """A tracefs below `sys`: making an instance lays its files, and its trace_pipe is a pipe that `say` writes to."""

    def __init__(self, sys: Path, patch: pytest.MonkeyPatch, events: tuple[str, ...] = EVENTS) -> None:
        self.instances = sys / "kernel/tracing/instances"
        self.instances.mkdir(parents=True)
        self.events = events
        self.writers: list[int] = []  # a pipe without writers would be at its end
        self.seen: dict[str, str] = {}
        """What an instance was told, by file, when it was taken away."""
        self._mkdir, self._rmdir, self._removing = os.mkdir, os.rmdir, False
        replace_call(patch, "mkdir", self.mkdir)
        replace_call(patch, "rmdir", self.rmdir)
        patch.setattr(tracing, "sees_all_processes", lambda proc: True)

    def mkdir(self, path: str, mode: int = 0o777) -> None:
        self._mkdir(path, mode)
        if Path(path).parent != self.instances:
            return
        for name in ("tracing_on", "trace_options", "trace_clock", "buffer_percent", "events/enable"):
            (Path(path) / name).parent.mkdir(exist_ok=True)
            (Path(path) / name).touch()
        for event in self.events:
            place = Path(path) / "events/module" / event
            place.mkdir(parents=True)
            for name in ("enable", "filter"):
                (place / name).touch()
        self.lose(0, Path(path))
        os.mkfifo(f"{path}/trace_pipe")

    def rmdir(self, path: str, **named: Any) -> None:
        if Path(path).parent != self.instances or self._removing:
            self._rmdir(path, **named)
            return
        for file in Path(path).rglob("*"):
            if file.is_file():
                self.seen[str(file.relative_to(path))] = file.read_text()
        self._removing = True
        shutil.rmtree(path)
        self._removing = False

    @property
    def names(self) -> list[str]:
        return sorted(os.listdir(self.instances))

    @property
    def is_tracing(self) -> bool:
        """Whether the one instance there is has begun."""
        try:
            return (self.instances / self.names[0] / "tracing_on").read_text() == "1"
        except (IndexError, FileNotFoundError):
            return False

    def say(self, text: bytes) -> None:
        """Let the one instance there is print something."""
        (name,) = self.names
        fd = os.open(self.instances / name / "trace_pipe", os.O_WRONLY)
        self.writers.append(fd)
        os.write(fd, text)

    def lose(self, count: int, path: Path | None = None) -> None:
        """Let the instance have lost events."""
        stats = (path or self.instances / self.names[0]) / "per_cpu/cpu0/stats"
        stats.parent.mkdir(parents=True, exist_ok=True)
        stats.write_text(f"entries: 5\noverrun: {count}\ncommit overrun: 0\nbytes: 9\ndropped events: 0\n")
