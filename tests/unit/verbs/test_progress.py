# SPDX-License-Identifier: LGPL-2.1-or-later
"""Verbs tell their observer how far the work is, until all of it is done."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import (
    Context,
    Observer,
    allow,
    check,
    closure,
    deny,
    diff,
    lint,
    parameters,
    policy_verify,
    undeny,
)
from tests.support.forgedsystem import RELEASE, forge_system
from tests.support.images import archive, compressed

IMAGE = f"initrd.img-{RELEASE}"

VERBS: dict[str, Callable[[Context, Observer], object]] = {
    "lint": lambda context, observer: lint(context, observer=observer),
    "check": lambda context, observer: check(context, "low", observer=observer),
    "deny": lambda context, observer: deny(context, "low", dry_run=True, observer=observer),
    "undeny": lambda context, observer: undeny(context, "low", dry_run=True, observer=observer),
    "closure": lambda context, observer: closure(
        context, "low", compare=f"{context.roots.base}/boot/{IMAGE}", observer=observer
    ),
    "allow": lambda context, observer: allow(context, "low", dry_run=True, observer=observer),
    "policy verify": lambda context, observer: policy_verify(context, observer=observer),
}


class Listener(Observer):
    """Keeps what it hears of the image."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def progress(self, done: int, total: int, what: str) -> None:
        """Keep it."""
        if what == f"MiB of {IMAGE}":
            self.heard.append((done, total))


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kind", ["", "gzip", "xz"])
def test_an_image_is_read_with_progress(tmp_path: Path, verb: str, kind: str) -> None:
    data = archive({"usr/lib/large": bytes(5 << 20), "etc/modprobe.d/a.conf": "blacklist low\n"})
    if kind:
        data = bytes(3 << 20) + compressed(data, kind)  # zeros may be between archives
    policy = '[allow]\nmodules = ["other"]\n\n[deny.low]\n'
    files: dict[str, str | bytes] = {f"boot/{IMAGE}": data, "etc/pymodutils/policy.toml": policy}
    roots = forge_system(tmp_path, {"low": [], "other": []}, files=files)
    listener = Listener()
    VERBS[verb](Context(roots), listener)
    assert {total for _, total in listener.heard} == {-(-len(data) // (1 << 20))}
    done = [done for done, _ in listener.heard]
    assert done == sorted(done) and done[-1] >= 3


COUNTING: dict[str, Callable[[Context, Observer], object]] = {
    "check": lambda context, observer: check(context, ["low", "other"], observer=observer),
    "closure": lambda context, observer: closure(context, ["low", "other"], observer=observer),
    "diff": lambda context, observer: diff(context, context.roots.modules, context.roots.modules, observer=observer),
    "params": lambda context, observer: parameters(context, ["low", "other"], observer=observer),
    "statuses": lambda context, observer: context.statuses(["low", "other"], observer=observer),
}


class Counts(Observer):
    """Keeps how many modules are done."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, int]] = []

    def progress(self, done: int, total: int, what: str) -> None:
        """Keep it."""
        if what == "modules":
            self.heard.append((done, total))


@pytest.mark.parametrize("verb", COUNTING)
def test_the_last_that_is_heard_is_that_all_is_done(tmp_path: Path, verb: str) -> None:
    context = Context(forge_system(tmp_path, {"low": [], "other": ["low"]}))
    counts = Counts()
    COUNTING[verb](context, counts)
    assert counts.heard == sorted(counts.heard) and counts.heard[0][0] == 0
    assert counts.heard[-1][0] == counts.heard[-1][1] > 0
