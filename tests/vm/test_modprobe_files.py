# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe and the files it loads: compressed, spoilt and forced, vanished; compared with the real kmod.

The trees are in /tmp/base: our own modules in forms that a test chooses, indexes made by the real depmod.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.vm.cases import OWN, Case, do, load
from tests.vm.harness import Comparison, Guest, compare

TREE = "/tmp/base/lib/modules/$(uname -r)/kernel"


def tree(files: Mapping[str, str]) -> Callable[[Guest], object]:
    """Setup: a module tree of copied files, {name in the tree: copied file}."""
    copies = [f"cp {source} {TREE}/{name}" for name, source in files.items()]
    return lambda guest: guest.run("; ".join(["set -e", f"mkdir -p {TREE}", *copies, "depmod -b /tmp/base"])).check()


def own_chain(suffix: str = "", **changed: str) -> dict[str, str]:
    """pmt_a, pmt_b and pmt_c in one form; `changed` takes other files, of names without .ko and suffix."""
    return {f"{name}.ko{suffix}": changed.get(name, f"{OWN}/{name}.ko{suffix}") for name in ("pmt_a", "pmt_b", "pmt_c")}


def both(guest: Guest, words: str, *setup: Any, **options: Any) -> Comparison:
    return compare(guest, ["modprobe", "-d", "/tmp/base", *words.split()], setup, **options)


# --- compressed


@pytest.mark.parametrize("suffix", [".xz", ".zst"])
def test_compressed_modules_are_loaded(guest: Guest, suffix: str) -> None:
    done = both(guest, "-v pmt_c", tree(own_chain(suffix))).assert_same()
    assert list(done.ours.check().modules) == ["pmt_c", "pmt_b", "pmt_a"]


def test_each_module_may_have_its_own_form(guest: Guest) -> None:
    files = {"pmt_a.ko.xz": f"{OWN}/pmt_a.ko.xz", "pmt_b.ko": f"{OWN}/pmt_b.ko", "pmt_c.ko.zst": f"{OWN}/pmt_c.ko.zst"}
    done = both(guest, "-v pmt_c", tree(files)).assert_same()
    assert len(done.ours.check().modules) == 3


def test_gzip_which_debians_kmod_cannot(guest: Guest) -> None:
    """Nor can its depmod, so the indexes are ours."""
    copies = "; ".join(f"cp {source} {TREE}" for source in own_chain(".gz").values())
    guest.run(f"set -e; mkdir -p {TREE}; {copies}; /opt/pymodutils/bin/depmod -b /tmp/base").check()
    result = guest.tool("ours", ["modprobe", "-d", "/tmp/base", "-v", "pmt_c"]).check()
    assert result.stdout.count(b".ko.gz") == 3
    assert list(result.modules) == ["pmt_c", "pmt_b", "pmt_a"]


def test_xz_that_the_kernels_decoder_does_not_know(guest: Guest, broken: str) -> None:
    """With a CRC64, as plain `xz` makes it. kmod fails where the kernel decompresses."""
    files = own_chain(".xz", pmt_a=f"{broken}/plain-xz.ko.xz")
    done = both(guest, "pmt_c", tree(files))
    assert (done.ours.status, done.ours.stderr, len(done.ours.modules)) == (0, b"", 3)
    assert done.kmod.status == (1 if guest.kernel == "6.12" else 0)


@pytest.mark.parametrize("form", ["xz", "zst"])
def test_a_damaged_dependency_is_refused(guest: Guest, broken: str, form: str) -> None:
    files = own_chain(f".{form}")
    done = both(guest, "pmt_b", tree(files), f"cp {broken}/truncated.ko.{form} {TREE}/pmt_a.ko.{form}")
    assert (done.ours.status, done.ours.modules) == (1, {})
    assert done.kmod.status == 1
    assert done.ours.stderr.startswith(b"modprobe: ERROR: ")
    assert b"could not insert 'pmt_b'" in done.ours.stderr


# --- forced


@pytest.mark.parametrize("option", ["", "-f", "--force-vermagic", "--force-modversion"])
@pytest.mark.parametrize("spoilt", ["vermagic", "crc"])
def test_each_half_of_force(guest: Guest, broken: str, option: str, spoilt: str) -> None:
    """What is spoilt is a dependency: force holds for all that is loaded."""
    changed = {"vermagic": {"pmt_a": f"{broken}/vermagic.ko"}, "crc": {"pmt_b": f"{broken}/crc.ko"}}[spoilt]
    done = both(guest, f"{option} -v pmt_c", tree(own_chain(**changed))).assert_same()
    forced = option in ("-f", "--force-vermagic" if spoilt == "vermagic" else "--force-modversion")
    assert ("pmt_c" in done.ours.modules) == forced, str(done)


@pytest.mark.parametrize("option", ["", "-f", "--force-vermagic", "--force-modversion"])
def test_force_with_a_compressed_file(guest: Guest, broken: str, option: str) -> None:
    done = compare(guest, ["modprobe", *option.split(), f"{broken}/vermagic.ko.xz"])
    done.assert_same()
    assert done.ours.status == (option not in ("-f", "--force-vermagic"))


@pytest.mark.one_kernel
def test_force_does_not_help_against_what_is_no_module(guest: Guest, broken: str) -> None:
    for file in ("text.ko", "empty.ko", "truncated.ko", "machine.ko"):
        done = compare(guest, ["modprobe", "-f", f"{broken}/{file}"]).assert_same()
        assert done.ours.status == 1, str(done)


# --- vanished


@pytest.mark.one_kernel
@pytest.mark.parametrize("gone", ["pmt_a", "pmt_b"])
def test_a_dependency_whose_file_is_gone(guest: Guest, gone: str) -> None:
    """kmod drops all dependencies with an obscure message, and may succeed with nothing loaded."""
    done = both(guest, "pmt_c", tree(own_chain()), f"rm {TREE}/{gone}.ko")
    assert (done.ours.status, done.ours.modules) == (1, {})
    assert done.ours.stderr.count(b"\n") == 1
    assert f"/{gone}.ko".encode() in done.ours.stderr


@pytest.mark.one_kernel
def test_the_file_asked_for_is_gone(guest: Guest) -> None:
    both(guest, "pmt_a", tree(own_chain()), f"rm {TREE}/pmt_a.ko").assert_same(ignore=["stderr"])


@pytest.mark.one_kernel
def test_a_loaded_dependency_needs_no_file(guest: Guest) -> None:
    done = both(guest, "pmt_c", tree(own_chain()), f"rm {TREE}/pmt_a.ko", *load("pmt_a"))
    assert list(done.ours.check().modules) == ["pmt_c", "pmt_b", "pmt_a"]


@pytest.mark.one_kernel
def test_a_file_that_may_not_be_read(guest: Guest) -> None:
    do(guest, Case("", "modprobe /tmp/x.ko", "could not insert 'x': Permission denied",
                   setup=["umask 077; cat /opt/pmt/pmt_a.ko > /tmp/x.ko"], options={"uid": 1000}))  # fmt: skip


@pytest.mark.one_kernel
def test_without_indexes_nothing_is_found(guest: Guest) -> None:
    done = both(guest, "pmt_a", f"mkdir -p {TREE}; cp {OWN}/pmt_a.ko {TREE}").assert_same()
    assert done.ours.status == 1
