# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod params, reload and ensure on a real kernel: what they say is so, and nothing is ever lost."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.vm.harness import Guest
from tests.vm.states import STARTS, WANTS
from tests.vm.test_verbs import TYPES, VALUES, kmod

FULL = os.environ.get("PYMODUTILS_STATES") == "full"
"""A thousand reloads and many kills: `make states`, twenty minutes for each kernel."""

PROGRAM = "/opt/states.py"
LIMIT = 3000 if FULL else 240


def ask(guest: Guest, what: str, **job: Any) -> list[dict[str, Any]]:
    """Run a function of states.py in the guest; fail for what was wrong."""
    guest.put(PROGRAM, Path(__file__).with_name("states.py").read_bytes())
    text = json.dumps({"what": what, **job}).encode()
    done = guest.run(["/usr/bin/python3.11", "-IS", PROGRAM], stdin=text, timeout=LIMIT).check()
    results = [json.loads(line) for line in done.stdout.decode().splitlines()]
    wrong = [json.dumps(result) for result in results if result.get("wrong")]
    assert not wrong, "\n".join(wrong)
    return results


def test_the_default_in_a_file_is_what_a_module_starts_with(guest: Guest) -> None:
    modules = ["pmt_params", "loop", "usb_storage"]  # nbd changes its own at once
    results = ask(guest, "defaults", modules=modules)
    known = {result["module"]: result.get("known") for result in results}
    assert known["pmt_params"] == 16 and sum(filter(None, known.values())) >= 20, results


def test_drift_on_a_real_kernel(guest: Guest) -> None:
    assert len(ask(guest, "drift", types=TYPES, values=VALUES)) > 15


def test_what_is_set_is_what_the_kernel_takes(guest: Guest) -> None:
    values = VALUES if FULL else VALUES[::2]
    assert ask(guest, "setting", parameters=["flag", "number", "called"], values=values)


def test_reloads_lose_nothing(guest: Guest) -> None:
    assert ask(guest, "reloads", rounds=1000 if FULL else 24)


@pytest.mark.one_kernel("6.12")
def test_a_reload_that_is_killed_is_made_up_for(guest: Guest) -> None:
    delays = [number / 40 for number in range(120)] if FULL else [0.5, 0.8, 1.0, 1.2, 1.4, 1.7]
    assert ask(guest, "kills", delays=delays)


@pytest.mark.one_kernel("6.1")
def test_from_each_state_into_each(guest: Guest) -> None:
    chosen = [(start, wish) for start in STARTS for wish in WANTS]
    text = guest.run("head -1 /lib/modules/*/modules.builtin").check().stdout.decode()
    builtin = text.strip().rpartition("/")[2].partition(".")[0].replace("-", "_")
    assert len(ask(guest, "pairs", pairs=chosen, builtin=builtin)) == len(chosen)


@pytest.mark.one_kernel("6.1")
def test_an_ensure_that_is_killed_leaves_whole_files(guest: Guest) -> None:
    delays = [number / 40 for number in range(120)] if FULL else [0.9, 1.3, 1.7, 2.1]
    assert ask(guest, "killed", delays=delays)


@pytest.mark.one_kernel
def test_a_module_that_holds_itself_is_refused(guest: Guest) -> None:
    guest.run(["insmod", guest.own("pmt_held"), "pinned=1"]).check()
    done = kmod(guest, "reload", "--json", "pmt_held")
    assert (done.status, json.loads(done.stdout)["error"]["code"]) == (1, "in-use")
    assert "pmt_held" in done.modules
