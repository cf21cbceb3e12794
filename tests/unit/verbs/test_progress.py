# SPDX-License-Identifier: LGPL-2.1-or-later
"""The verbs that read an initial file system tell their observer how far that is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import Context, Observer, allow, check, closure, deny, lint, policy_verify, undeny
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
