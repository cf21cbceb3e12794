# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the scripts of Debian's kernel packages do with depmod's files, on a system with our package."""

from __future__ import annotations

from pathlib import Path

import pytest

from pymodutils.depmod.render import FILES
from tests.packaging.machine import Machine
from tests.support import assets

pytestmark = pytest.mark.xdist_group("packaging")

# Of the package linux-base.
STUBS = {
    "linux-update-symlinks": "#!/bin/sh\n",
    "linux-run-hooks": """#!/bin/sh
        kind=$1 script=$2 version=$3 image=$4; shift 5
        DEB_MAINT_PARAMS="'$1'" run-parts --arg=$version --arg=$image /etc/kernel/$script.d
    """,
}


@pytest.mark.parametrize("kernel", assets.KERNELS)
def test_nothing_is_left_of_a_kernel_that_is_purged(installed: Machine, tmp_path: Path, kernel: str) -> None:
    machine, release = Machine(tmp_path / "machine", installed), assets.release(kernel)
    directory = f"/lib/modules/{release}"
    machine.binds.append((assets.module_tree(kernel) / "lib/modules" / release, "/mnt/tree"))
    machine.binds.append((assets.linux(kernel) / "control" / f"linux-image-{release}", "/mnt/control"))
    for name, text in STUBS.items():
        machine.run(f"cat >/usr/bin/{name} <<'END'\n{text}\nEND\nchmod +x /usr/bin/{name}")
    machine.run("rm /etc/kernel/*.d/initramfs-tools")  # there is no image
    machine.run(f"""
        mkdir -p {directory}
        cp -r /mnt/tree/kernel/fs/btrfs {directory}
        cp /mnt/tree/modules.order /mnt/tree/modules.builtin* {directory}
        sh -e /mnt/control/postinst configure
        grep -q ^btrfs/btrfs.ko {directory}/modules.dep
        test -s {directory}/modules.dep.bin
        sh -e /mnt/control/postrm remove
        test -s {directory}/modules.weakdep
        cd {directory}
        rm -r btrfs modules.order modules.builtin modules.builtin.modinfo
        cd /
        sh -e /mnt/control/postrm purge
        test ! -e {directory}
    """)


def test_removing_ours_leaves_the_files_that_others_read(installed: Machine, tmp_path: Path) -> None:
    machine = Machine(tmp_path / "machine", installed)
    machine.run("mkdir -p /lib/modules/6.6.6 && depmod 6.6.6 2>/dev/null && depmod --cache 6.6.6 2>/dev/null")
    machine.run("test -d /run/pymodutils && apt-get remove -qq pymodutils")
    assert machine.run("ls /lib/modules/6.6.6").split() == sorted(FILES)
    machine.run("test ! -e /run/pymodutils")
