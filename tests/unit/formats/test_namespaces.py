# SPDX-License-Identifier: LGPL-2.1-or-later
"""Namespaces that are lists of modules, read as the kernel reads them."""

from __future__ import annotations

import pytest

from pymodutils.formats.namespaces import is_for_module


@pytest.mark.parametrize(
    ("namespace", "module", "is_for"),
    [
        ("module:kvm", "kvm", True),
        ("module:kvm", "kvm_intel", False),
        ("module:kvm_intel", "kvm", False),
        ("module:kvm,vfio", "vfio", True),
        ("module:kvm-*,vfio", "kvm_intel", True),
        ("module:kvm-*,vfio", "kvm", False),
        ("module:snd-hda-intel", "snd_hda_intel", True),
        ("module:snd_hda_intel", "snd-hda-intel", True),
        ("module:*", "any", True),
        ("module:k*m", "kvm", False),
        ("module:k?m", "kvm", False),
        ("module:[a-z]vm", "kvm", False),
        ("module:", "kvm", False),
        ("kvm", "kvm", False),
        ("", "kvm", False),
    ],
)
def test_a_list_of_modules(namespace: str, module: str, is_for: bool) -> None:
    assert is_for_module(namespace, module) is is_for
