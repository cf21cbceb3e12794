# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/security.md names tests that exist, and the bounds that they apply."""

from __future__ import annotations

import re

from tests.robustness.adversary import CASES, MIB
from tests.support.common import REPO

PAGE = (REPO / "docs/security.md").read_text()


def test_the_tests_named_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/.]+\.py)`", PAGE))
    assert len(named) > 6
    assert [name for name in sorted(named) if not (REPO / name).exists()] == []


def test_the_bounds_are_those_that_are_applied() -> None:
    rows = re.findall(r"^\| ([\w ./]+) \| [^|]* \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    applied: dict[str, tuple[int, int]] = {}
    for case in CASES.values():
        seconds, memory = applied.get(case.parser, (0, 0))
        applied[case.parser] = (max(seconds, case.seconds), max(memory, case.memory // MIB))
    assert {name: (int(seconds), int(memory)) for name, seconds, memory in rows} == applied
