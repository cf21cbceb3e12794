# SPDX-License-Identifier: LGPL-2.1-or-later
"""Module.symvers with lines that are cut short."""

from __future__ import annotations

import pytest

from pymodutils.formats.kernelexports import read_symvers

WHOLE = b"0x0000000a\tname\tvmlinux\tEXPORT_SYMBOL_GPL\tSPACE\n"


@pytest.mark.parametrize(
    "cut", [b"x\tvmlinux", b"\tvmlinux\n", b"0x1\ta\tb\tvmlinux", b"zz\tname2\tvmlinux\tEXPORT_SYMBOL"]
)
def test_a_line_that_is_cut_short_is_left_out(cut: bytes) -> None:
    found = read_symvers(WHOLE + cut)
    assert found[b"name"] == (b"name", 10, True, b"SPACE")
    assert set(found) <= {b"name", b"a"}
