# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod inside the guest: the same files as kmod's, and every modprobe loads by them into a real kernel."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import assets
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
        f"cd {directory} && sort modules.symbols | cksum && "
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


STUB = "#!/bin/sh\necho $0 $* >>/tmp/called\n"


def test_the_kernels_package_calls_it(boot_own: Callable[..., Guest]) -> None:
    """Its own scripts, with ours as the system's depmod; the kernel then finds a module by what was written."""
    guest = boot_own(modules=["btrfs", "loop", "crc32c_generic"])
    directory = f"/lib/modules/{guest.release}"
    guest.run(
        f"cd {directory} && sort modules.dep >/tmp/expected && "
        "rm modules.dep modules.alias modules.*.bin modules.softdep modules.weakdep modules.devname modules.symbols"
    ).check()
    for name in ("depmod", "modprobe"):
        guest.run(f"ln -sf /opt/pymodutils/bin/{name} /usr/sbin/{name}").check()
    for name in ("linux-update-symlinks", "linux-run-hooks"):  # of the package linux-base
        guest.put(f"/usr/sbin/{name}", STUB.encode(), 0o755)
    for name in ("postinst", "postrm"):
        guest.put(f"/tmp/{name}", assets.linux_script(guest.kernel, name).encode(), 0o755)
    before = guest.run(f"ls {directory}").check().stdout
    guest.run("/tmp/postinst configure").check()
    assert f"linux-update-symlinks upgrade {guest.release}".encode() in guest.run("cat /tmp/called").stdout
    assert guest.run(f"ls {directory}/modules.*.bin").check().stdout.count(b"\n") == 5
    guest.run(f'test "$(sort {directory}/modules.dep)" = "$(cat /tmp/expected)"').check()
    # as the kernel asks for it: the first device of its major number loads the module
    asked = guest.run("mknod /tmp/b b 7 0 && ! head -c1 </tmp/b")
    assert "loop" in asked.modules, asked
    assert "raid6_pq" in guest.run("modprobe btrfs").check().modules
    guest.run("/tmp/postrm purge")
    left = set(guest.run(f"ls {directory}").check().stdout.split()) - {b"modules.weakdep"}  # unknown to Debian 12
    assert left == set(before.split()) - {b"modules.weakdep"}
