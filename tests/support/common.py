# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all tests share: where the checkout is, what a command did, how to run one in this process."""

from __future__ import annotations

import gc
import io
import os
import posix
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from pymodutils.roots import Roots

REPO = Path(__file__).parents[2]
BIN = REPO / "bin"
_REAL_CALLS = SimpleNamespace(**vars(posix))


def need(condition: object, what: str) -> None:
    """Skip a test whose tool is missing, but fail it where everything must be there."""
    if not condition:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{what} is missing")
        pytest.skip(f"{what} is missing")


@dataclass
class Outcome:
    """What a command did."""

    status: int
    out: bytes
    err: bytes


def run_inside(name: str, arguments: Sequence[str], roots: Roots | None = None) -> Outcome:
    """Run one of our commands in this process, as `main` does.

    Some commands switch the collector of circles off, since their process ends soon. This one goes on, and would keep
    the files open that such circles hold.
    """
    out, err = io.BytesIO(), io.BytesIO()
    console = Console(name, out, err)
    try:
        status = guarded(console, lambda: load(name)(list(arguments), console, roots))
    finally:
        gc.enable()
    return Outcome(status, out.getvalue(), err.getvalue())


def replace_call(monkeypatch: pytest.MonkeyPatch, name: str, function: Callable[..., Any]) -> None:
    """Put `function` in the place of a system call, for modules that have it from `posix` and from `os`.

    What imports modules, which has it from `posix` as well, keeps the real one.
    """
    monkeypatch.setattr("importlib._bootstrap_external._os", _REAL_CALLS)
    for module in (os, posix):
        monkeypatch.setattr(module, name, function)


def fail_calls(monkeypatch: pytest.MonkeyPatch, name: str, fault: BaseException) -> list[None]:
    """Let each call of a system call raise `fault`; return a list that grows by one with each."""
    calls: list[None] = []

    def failing(*_arguments: object, **_named: object) -> object:
        calls.append(None)
        raise fault

    replace_call(monkeypatch, name, failing)
    return calls


def note_made(monkeypatch: pytest.MonkeyPatch, kind: type) -> list[object]:
    """Return a list that each object of a class is added to which is made from now on."""
    made: list[object] = []
    initialize = kind.__init__  # type: ignore[misc]

    def noted(self: object, *arguments: object) -> None:
        made.append(self)
        initialize(self, *arguments)

    monkeypatch.setattr(kind, "__init__", noted)
    return made


def children() -> set[int]:
    """The processes that this one has started and not yet waited for; those that other tests left are among them."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
