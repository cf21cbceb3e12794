# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings and fixtures of all tests; what tests import is in tests/support/."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from hypothesis import HealthCheck, settings

from tests.support.common import Outcome, run_inside

# Same examples on every run; CI must not fail by luck. `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile("steady", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))

# A shell that starts the tests in the background ignores SIGINT for them, and commands would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def command() -> Callable[..., Outcome]:
    return run_inside
