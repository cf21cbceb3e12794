"""What all tests share."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from hypothesis import HealthCheck, settings

from pymodutils.cli.console import Console
from pymodutils.cli.main import guarded, load
from pymodutils.roots import Roots

# Same examples on every run; CI must not fail by luck. `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

REPO = Path(__file__).parent.parent
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


@pytest.fixture
def command() -> Callable[..., Outcome]:
    return run_inside
