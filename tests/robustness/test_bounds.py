# SPDX-License-Identifier: LGPL-2.1-or-later
"""Inputs made to be slow or large: every reader ends with a value or a typed error within stated time and memory.

The limits are the kernel's, set in a process of its own; no clock is read.
"""

from __future__ import annotations

import pytest

from tests.robustness import adversary


@pytest.mark.parametrize("name", adversary.CASES)
def test_hostile_input_stays_within_bounds(name: str) -> None:
    assert adversary.run(name) == (adversary.CASES[name].expect, 0)
