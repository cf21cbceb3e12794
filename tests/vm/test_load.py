# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load: thousands of cycles, many at once, hundreds of modules, and lsmod looking on all the while.

By default some numbers are smaller, for the sake of time; `make load` (PYMODUTILS_LOAD=full) takes them all, on two
processors.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.vm.harness import Guest
from tests.vm.image import GUEST_CHECKOUT
from tests.vm.plain import plain_modules

FULL = os.environ.get("PYMODUTILS_LOAD") == "full"
CYCLES = 2000
ROUNDS = 100 if FULL else 30
MANY = 300
TIMES = 2

SETS = (
    "bridge,8021q", "8021q,dummy", "bridge,pmt_c", "pmt_b,veth", "pmt_c,dummy,tun", "veth,bridge", "pmt_a,tun",
    "nf_tables,pmt_b",
)  # fmt: skip
STOP = "/tmp/stop"


def script(guest: Guest) -> str:
    return guest.put("/tmp/load.py", Path(__file__).with_name("load.py").read_bytes())


def words(guest: Guest, *arguments: object) -> list[str]:
    return ["python3", "-IS", script(guest), GUEST_CHECKOUT, *map(str, arguments)]


def work(guest: Guest, *arguments: object) -> Any:
    result = guest.run(words(guest, *arguments), timeout=900).check()
    assert result.stderr == b""
    return json.loads(result.stdout)


@contextmanager
def watched(guest: Guest) -> Iterator[None]:
    """lsmod runs all the while and never prints what it must not."""
    guest.run(["rm", "-f", STOP])
    watcher = guest.start(words(guest, "watch", STOP), timeout=900)
    try:
        yield
    finally:
        guest.put(STOP, b"")
        seen = json.loads(watcher.wait().check().stdout)
    assert seen["bad"] == []
    assert seen["runs"] > 10
    assert seen["most"] > 0


@pytest.mark.one_kernel
def test_thousands_of_cycles_leak_nothing(guest: Guest) -> None:
    paths = [guest.own("pmt_a", suffix) for suffix in ("", "", "", ".gz", "", "", ".xz", "", "", ".zst")]
    seen = []
    for _ in range(2):
        done = work(guest, "cycles", CYCLES, *paths)
        assert len(set(done["descriptors"])) == 1
        seen.append(done["anonymous"])
        # The least in each eighth of the time; the second half counts. What the allocator once keeps is one step, a
        # leak grows in every eighth. A process that is still settling then looks the same, but a leak is in each one.
        if min(after - before for before, after in pairwise(seen[-1][4:])) < 16:
            return
    pytest.fail(f"KiB: {seen}")


@pytest.mark.one_kernel
def test_overlapping_sets_at_once(boot_own: Callable[..., Guest]) -> None:
    names = "bridge 8021q dummy veth tun nf_tables".split()
    # libcrc32c, which nf_tables needs, fails without a checksum from the module that its softdep names
    guest = boot_own(modules=[*names, "crc32c_generic"], cpus=2 if FULL else 1)
    with watched(guest):
        done = work(guest, "rounds", ROUNDS, *SETS)
    assert done["failures"] == []
    assert {*names, "pmt_a", "pmt_b", "pmt_c", "llc", "stp"} <= set(done["modules"])


@pytest.mark.one_kernel
def test_hundreds_of_modules_twice(boot_own: Callable[..., Guest]) -> None:
    names = plain_modules("6.1")
    assert len(names) > MANY
    guest = boot_own(modules=names[:MANY], cpus=2 if FULL else 1)
    with watched(guest):
        done = work(guest, "many", TIMES, *names[:MANY])
    assert done["names"] == MANY
    for status, messages, loaded, missing, left in done["results"]:
        assert (status, messages, missing, left) == (0, "", [], [])
        assert loaded >= MANY
    assert done["again"] == [0, ""]
