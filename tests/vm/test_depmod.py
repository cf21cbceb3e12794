"""depmod inside the guest: the same files as kmod's, and every modprobe loads by them into a real kernel."""

from __future__ import annotations

import pytest

from tests.vm.harness import Guest

BASE = "/tmp/base"


def made_by(guest: Guest, tool: str) -> bytes:
    """Checksums of the files that a depmod makes of the guest's modules, after which they are in BASE."""
    guest.reset()
    directory = f"{BASE}/lib/modules/{guest.release}"
    guest.run(
        f"mkdir -p {directory} && cd {directory} && ln -s /lib/modules/{guest.release}/kernel . && "
        f"cp -r /lib/modules/{guest.release}/extra /lib/modules/{guest.release}/modules.[ob][ru]*[rn] . && "
        f"cp /lib/modules/{guest.release}/modules.builtin.modinfo . && ls extra/*.ko >>modules.order"
    ).check()
    guest.tool(tool, ["depmod", "-b", BASE, guest.release], timeout=120).check()
    return guest.run(
        f"cd {directory} && rm -f modules.depmod.cache && sort modules.symbols | cksum && "
        "cksum modules.alias modules.*dep modules.devname modules.*.bin"
    ).check().stdout  # fmt: skip


def test_the_same_files(guest: Guest) -> None:
    ours, theirs = made_by(guest, "ours"), made_by(guest, "kmod34")
    assert ours == theirs
    assert len(ours.splitlines()) >= 11


@pytest.mark.parametrize("reader", ["ours", "kmod34", "kmod30"])
def test_modprobe_loads_by_our_files(guest: Guest, reader: str) -> None:
    """A chain by name, one by alias, and our own module that needs another, after it was added."""
    made_by(guest, "ours")
    for name in ("btrfs", "fs-nfsd", "pmt_b"):
        guest.tool(reader, ["modprobe", "-d", BASE, name], timeout=60).check()
    loaded = guest.run(["cat", "/proc/modules"]).modules
    assert {"btrfs", "raid6_pq", "nfsd", "sunrpc", "pmt_a", "pmt_b"} <= loaded.keys()
    guest.tool(reader, ["modprobe", "-d", BASE, "-r", "pmt_b"]).check()
    assert "pmt_a" not in guest.run(["true"]).modules


@pytest.mark.one_kernel
def test_a_module_added_is_found_after_depmod(guest: Guest) -> None:
    made_by(guest, "ours")
    directory = f"{BASE}/lib/modules/{guest.release}"
    guest.run(f"mv {directory}/extra/pmt_c.ko /tmp/").check()
    guest.tool("ours", ["depmod", "-b", BASE, guest.release], timeout=120).check()
    assert guest.tool("ours", ["modprobe", "-d", BASE, "pmt_c"]).status == 1
    guest.run(f"mkdir {directory}/updates && cp /tmp/pmt_c.ko {directory}/updates/").check()
    guest.tool("ours", ["depmod", "-A", "-b", BASE, guest.release], timeout=120).check()
    guest.tool("ours", ["modprobe", "-d", BASE, "pmt_c"]).check()
