# SPDX-License-Identifier: LGPL-2.1-or-later
"""What all tests share: where the checkout is, what a command did, how to run one in this process."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from pymodutils.roots import Roots

REPO = Path(__file__).parents[2]
BIN = REPO / "bin"


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
    """Run one of our commands in this process, as `main` does."""
    out, err = io.BytesIO(), io.BytesIO()
    console = Console(name, out, err)
    status = guarded(console, lambda: load(name)(list(arguments), console, roots))
    return Outcome(status, out.getvalue(), err.getvalue())


def children() -> set[int]:
    """The processes that this one has started and not yet waited for; those that other tests left are among them."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
