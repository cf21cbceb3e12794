# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make demo` and `make picture`: what they show works, and what is to fail in them does."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import pytest

from tests.support.common import REPO
from tests.vm import demo, picture
from tests.vm.harness import Guest

REFUSED = ("rmmod pmt_a", "pmt_missing.ko", "modules.*bin; rm", "no_such_module", "kmod diff")
"""Parts of the commands that end with a status, as they should."""


def test_it_needs_the_standard_library_alone() -> None:
    done = subprocess.run(
        ["/usr/bin/python3", "-S", "-c", "import tests.vm.demo"], cwd=REPO, capture_output=True, text=True
    )
    assert done.stderr == ""


@pytest.mark.one_kernel
def test_the_session(boot_own: Callable[..., Guest], capsys: pytest.CaptureFixture[str]) -> None:
    guest = boot_own()
    for _, commands in demo.commands(guest):
        for command in commands:
            demo.show(guest, command)
            shown = capsys.readouterr().out
            assert "Traceback" not in shown and "not found\n" not in shown, shown
            assert ("[exit status" in shown) == any(part in command for part in REFUSED), shown
    text = picture.session(guest)
    assert "Did you mean btrfs?" in text and "\x1b[" in text


def test_the_picture_is_one_file_without_others() -> None:
    drawn = picture.drawn("\x1b[1m# lsmod\x1b[0m\nModule  <Size>", "title")
    assert "lsmod" in drawn and "&lt;Size&gt;" in drawn
    assert "http" not in drawn.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "http" not in (REPO / "docs/session.svg").read_text().replace('xmlns="http://www.w3.org/2000/svg"', "")
