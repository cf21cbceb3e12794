# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits of the kernel that make an answer right or wrong: what it does at each, and one byte behind it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pymodutils.formats.cmdline import MOST_TEXT_BYTES
from pymodutils.formats.parametervalues import refusal
from tests.support.schemas import check_document
from tests.vm.harness import Guest
from tests.vm.test_verbs import kmod


@pytest.mark.parametrize("length", [MOST_TEXT_BYTES, MOST_TEXT_BYTES + 1])
def test_a_text_is_as_long_as_the_kernel_takes(guest: Guest, length: int) -> None:
    text = "x" * length
    said = refusal("charp", text)
    done = guest.run(["insmod", guest.own("pmt_params"), f"text={text}"])
    assert (done.status == 0) is (said is None)
    guest.run("rmmod pmt_params; true").check()
    document = check_document(kmod(guest, "explain", "--json", guest.own("pmt_params"), f"text={text}").stdout)
    assert ("bad-parameter" in [found["code"] for found in document["explanations"]]) is (said is not None)


@pytest.mark.parametrize("length", [MOST_TEXT_BYTES, MOST_TEXT_BYTES + 1])
def test_a_list_on_the_command_line_is_as_long_as_the_kernel_takes(boot_own: Callable[..., Guest], length: int) -> None:
    """Of a longer one it takes nothing, and the verbs know that."""
    listed = "x" * (length - len(",loop,dummy")) + ",loop,dummy"
    guest = boot_own(modules=["dummy", "loop"], cmdline=f"module_blacklist={listed}")
    done = guest.run(["modprobe", "loop"])
    is_taken = length <= MOST_TEXT_BYTES
    assert (done.status == 0) is not is_taken
    document = check_document(kmod(guest, "check", "--json", "--initrd=none", "dummy").stdout)
    (found,) = document["checks"]
    assert ("dummy" in found["kernel"]["module_blacklist"]) is is_taken
    assert found["doors"]["insmod"]["open"] is not is_taken
    status = json.loads(kmod(guest, "status", "--json", "dummy").stdout)["modules"][0]
    assert status["denied"] is is_taken
