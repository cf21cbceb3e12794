# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe, refused by a rule of the policy: what it says, and what others see of the rule."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils import Context, DeniedError, deny
from tests.support.common import run_inside
from tests.support.fakekernel import FakeKernel

CONF = "/etc/modprobe.d/00-pymodutils-policy.conf"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"a": [], "b": ["a"], "c": []})
    deny(Context(kernel.roots), "a", reason="not used here")
    return kernel


@pytest.mark.parametrize(("words", "asked"), [(["a"], "a"), (["b"], "b"), (["-a", "a", "c"], "a")])
def test_the_rule_and_the_reason_are_named(kernel: FakeKernel, words: list[str], asked: str) -> None:
    done = run_inside("modprobe", words, kernel.roots)
    (date,) = [rule.date for rule in deny(Context(kernel.roots), "a").rules]
    assert (done.status, done.out) == (1, b"")
    assert done.err.decode().replace(kernel.roots.config_root, "") == (
        f"modprobe: ERROR: a is denied by {CONF}:5: not used here ({date})\n"
        f"modprobe: ERROR: could not insert '{asked}': Operation not permitted\n"
    )
    assert "a" not in kernel.loaded and ("c" in kernel.loaded) is ("c" in words)


def test_quietly(kernel: FakeKernel) -> None:
    done = run_inside("modprobe", ["-q", "a"], kernel.roots)
    assert (done.status, done.out, done.err) == (1, b"", b"")


def test_others_see_an_ordinary_install_line(kernel: FakeKernel) -> None:
    done = run_inside("modprobe", ["-n", "-v", "a"], kernel.roots)
    assert (done.status, done.out) == (0, b"install /bin/false \n")
    assert run_inside("modprobe", ["-i", "a"], kernel.roots).status == 0
    assert kernel.loaded == ["a"]


def test_an_edited_command_is_run_as_any_other(kernel: FakeKernel) -> None:
    path = Path(kernel.roots.config_root + CONF)
    path.write_text(path.read_text().replace("/bin/false", "exit 3"))
    done = run_inside("modprobe", ["a"], kernel.roots)
    assert b"Error running install command 'exit 3' for module a: retcode 3\n" in done.err


def test_the_same_line_elsewhere_is_no_denial(kernel: FakeKernel) -> None:
    kernel.configure("install c /bin/false\n")
    done = run_inside("modprobe", ["c"], kernel.roots)
    assert b"Error running install command '/bin/false' for module c: retcode 1\n" in done.err


def test_the_error_has_the_place(kernel: FakeKernel) -> None:
    with pytest.raises(DeniedError) as error:
        Context(kernel.roots).load("a")
    assert (error.value.path, error.value.line, error.value.module) == (kernel.roots.config_root + CONF, 5, "a")
    assert error.value.denial and error.value.denial.startswith("not used here")
