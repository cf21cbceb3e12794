# SPDX-License-Identifier: LGPL-2.1-or-later
"""What nobody closed is closed with the last reference to it, and not when the garbage collector comes by."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pymodutils
from pymodutils import Context, Error, Roots
from tests.robustness.test_not_files import make_system


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    return make_system(tmp_path_factory.mktemp("system"))


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def open_files(roots: Roots) -> list[str]:
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return sorted(
        name for link in links if os.path.lexists(link) and (name := os.readlink(link)).startswith(roots.base)
    )


ASKED: dict[str, Callable[[Context], object]] = {
    "lookup": lambda context: context.lookup("pci:v1d2"),
    "info": lambda context: context.info("b"),
    "plan": lambda context: context.plan_load("pci:v1d2"),
    "status": lambda context: context.status("a"),
    "open": lambda context: context.open("a").exports(),
    "check": lambda context: pymodutils.check(context, "pci:v1d2"),
    "explain": lambda context: pymodutils.explain(context, "b"),
    "closure": lambda context: pymodutils.closure(context, ["b", "pci:v1d2"]),
    "verify": pymodutils.verify,
    "symbols": pymodutils.symbols,
    "lint": pymodutils.lint,
    "diff": lambda context: pymodutils.diff(context, context.roots.modules, context.roots.modules),
    "policy": pymodutils.policy_verify,
}


@pytest.mark.parametrize("is_damaged", [False, True])
@pytest.mark.parametrize("question", ASKED)
def test_nothing_stays_open_of_a_context_that_is_gone(roots: Roots, question: str, is_damaged: bool) -> None:
    index = Path(roots.modules, "modules.alias.bin")
    whole = index.read_bytes()
    if is_damaged:
        index.write_bytes(whole[:20])
    try:
        for on_problem in (None, lambda _problem: None):
            context: Context | None = Context(roots, on_problem=on_problem)
            assert context
            try:
                ASKED[question](context)
            except Error:
                pass
            context = None
            assert open_files(roots) == []
    finally:
        index.write_bytes(whole)
