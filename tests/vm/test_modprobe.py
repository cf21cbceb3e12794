"""modprobe on a real kernel beside kmod's: a chain loaded and removed."""

from __future__ import annotations

from tests.vm.harness import Guest, compare


def test_a_chain_is_loaded_and_removed(guest: Guest) -> None:
    loaded = compare(guest, ["modprobe", "-v", "btrfs"]).assert_same()
    assert "xor" in loaded.ours.modules
    removed = compare(guest, ["modprobe", "-r", "-v", "btrfs"], setup=[["modprobe", "btrfs"]]).assert_same()
    assert "xor" not in removed.ours.modules
    missing = compare(guest, ["modprobe", "no_such"]).assert_same()
    assert missing.ours.status == 1
