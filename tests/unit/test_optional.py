# SPDX-License-Identifier: LGPL-2.1-or-later
"""Optional libraries: one that is broken is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils.optional import load, load_part


@pytest.mark.parametrize("error", ["ImportError", "RuntimeError", "SystemExit", "BaseException"])
def test_a_broken_library_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str) -> None:
    package = tmp_path / "broken_library"
    package.mkdir()
    (package / "__init__.py").write_text(f"raise {error}('its extension is of another Python')\n")
    (package / "part.py").write_text(f"raise {error}\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("broken_library") is None
    assert load_part("broken_library", "part") is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_what_is_no_fault_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    (tmp_path / "slow_library.py").write_text(f"raise {error.__name__}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(error):
        load("slow_library")
