# SPDX-License-Identifier: LGPL-2.1-or-later
"""The Debian package together with kmod, in its place, and gone again, on a minimal Debian 12."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.packaging.machine import Machine
from tests.support.common import REPO

pytestmark = pytest.mark.xdist_group("packaging")

NAMES = ("/bin/kmod", "/bin/lsmod", *(f"/sbin/{name}" for name in "depmod insmod lsmod modinfo modprobe rmmod".split()))
OURS = "/usr/lib/pymodutils/bin/kmod"
ASIDE = ".distrib.usr-is-merged"  # where the files go that Debian 12's kmod has in /bin and /sbin
KMOD_ITSELF = f"bash -c 'exec -a kmod /bin/kmod{ASIDE} -V'"
# What there is where packages put files, and what it holds.
SUMS = r"""
find /usr /etc -xdev -type l -printf '%p -> %l\n' -o -type d -printf '%p\n' | sort
find /usr /etc -xdev -type f -print0 | sort -z | xargs -0 sha256sum
"""


@pytest.fixture
def machine(installed: Machine, tmp_path: Path) -> Machine:
    return Machine(tmp_path / "machine", installed)


def programs(machine: Machine) -> dict[str, str]:
    """{name of a command: the file it leads to}."""
    lines = machine.run(f"for name in {' '.join(NAMES)}; do echo $name $(readlink -f $name); done").splitlines()
    return {line.split()[0]: line.split()[1] for line in lines}


def check_ours(machine: Machine) -> None:
    assert programs(machine) == dict.fromkeys(NAMES, OURS)
    assert machine.run("readlink -f /sbin/ksyms /sbin/ksymoops").split() == [OURS, OURS]
    assert machine.run("modprobe -V").startswith("kmod version 34\n")
    assert machine.run("apt-get -qq check; dpkg --audit; dpkg --verify pymodutils") == ""


def cached_kmod(machine: Machine) -> str:
    """Path of kmod's own package, in the machine."""
    return machine.run("ls /var/cache/apt/archives/kmod_*.deb").strip()


def newer_kmod(machine: Machine, moved: bool = False) -> str:
    """Path of a package of kmod with a higher version, with a file changed; moved: to /usr, as in Debian 13."""
    move = """
        mkdir /tmp/kmod/usr/bin /tmp/kmod/usr/lib
        mv /tmp/kmod/bin/* /tmp/kmod/usr/bin
        mv /tmp/kmod/sbin /tmp/kmod/lib/modprobe.d -t /tmp/kmod/usr
        mv /tmp/kmod/usr/modprobe.d /tmp/kmod/usr/lib
        rmdir /tmp/kmod/bin /tmp/kmod/lib
        for name in /tmp/kmod/usr/sbin/*; do ln -sf ../bin/kmod $name; done
    """
    machine.run(rf"""
        dpkg-deb -R {cached_kmod(machine)} /tmp/kmod
        sed -i 's/^Version: .*/&+newer1/' /tmp/kmod/DEBIAN/control
        echo newer >>/tmp/kmod/bin/kmod
        rm /tmp/kmod/DEBIAN/md5sums
        {move if moved else ""}
        dpkg-deb -b /tmp/kmod /tmp/kmod.deb
    """)
    return "/tmp/kmod.deb"


def test_the_commands_are_ours(installed: Machine) -> None:
    check_ours(installed)
    # what kmod's package holds is there under other names, and dpkg knows it
    assert installed.run(f"readlink /sbin/modprobe{ASIDE}") == "/bin/kmod\n"
    assert installed.run(KMOD_ITSELF).startswith("kmod version 30\n")
    assert installed.run("dpkg --verify kmod") == ""


def test_the_manual_pages_are_ours(installed: Machine) -> None:
    for page in REPO.glob("man/*.[358]"):
        section = page.suffix[1:]
        place = installed.run(f"readlink -f /usr/share/man/man{section}/{page.name}.gz").strip()
        assert place == f"/usr/share/{'man/man3' if section == '3' else 'pymodutils/man'}/{page.name}.gz"
        assert installed.run(f"gzip -dc {place}").encode() == page.read_bytes()
    assert installed.run("ls /usr/share/man/man8/modprobe.8.gz.distrib")


def test_a_package_that_depends_on_kmod_is_content_with_ours_alone(machine: Machine) -> None:
    assert "kmod" in machine.run("apt-get -qq -s remove kmod | grep ^Remv").split()
    machine.run("apt-get remove -qq kmod")
    check_ours(machine)
    assert machine.run("dpkg-query -W -f '${db:Status-Abbrev}' initramfs-tools-core libkmod2") == "ii ii "
    assert machine.run("ls /sbin /bin | grep distrib | grep -v ^sh || :") == ""


def test_kmod_comes_and_goes_next_to_ours(machine: Machine) -> None:
    machine.run(f"dpkg -i {cached_kmod(machine)}")  # the same version once more
    check_ours(machine)
    machine.run(f"dpkg -i {newer_kmod(machine)}")
    check_ours(machine)
    assert machine.run(f"tail -c6 /bin/kmod{ASIDE}") == "newer\n"
    machine.run("dpkg --force-depends --remove kmod")
    check_ours(machine)
    machine.run(f"dpkg -i {cached_kmod(machine)}")
    check_ours(machine)
    assert machine.run(KMOD_ITSELF).startswith("kmod version 30\n")


def test_removing_ours_brings_back_what_was_there(machine: Machine, tmp_path: Path) -> None:
    before = Machine(tmp_path / "before").run(SUMS)
    machine.run("apt-get remove -qq pymodutils")
    left = set(machine.run(SUMS).splitlines()) - set(before.splitlines())
    files = ["/etc/bash_completion.d/pymodutils", "/etc/kernel/postrm.d/pymodutils"]
    folders = {"/etc/bash_completion.d", "/etc/kernel", "/etc/kernel/postrm.d"}
    assert set(files) <= {line.split()[-1] for line in left} <= {*files, *folders}
    machine.run("apt-get purge -qq pymodutils")
    assert machine.run(SUMS) == before
    assert machine.run("modprobe -V").startswith("kmod version 30\n")
    assert machine.run("dpkg-divert --list '*mod*'; dpkg --audit; dpkg --verify") == ""
    assert "pymodutils" not in machine.run(
        "find / -xdev -path /mnt -prune -o -path /proc -prune -o -name '*pymod*' -print"
    )


def test_removing_ours_gives_back_the_kmod_that_came_meanwhile(machine: Machine) -> None:
    machine.run(f"dpkg -i {newer_kmod(machine)}; apt-get purge -qq pymodutils")
    assert machine.run("tail -c6 /bin/kmod; readlink -f /sbin/modprobe") == "newer\n/usr/bin/kmod\n"
    assert machine.run("dpkg --verify kmod") == ""


@pytest.mark.parametrize("removed", [False, True])
def test_kmod_may_move_its_files_as_debian_13_does(machine: Machine, removed: bool) -> None:
    machine.run(f"dpkg -i {newer_kmod(machine, moved=True)}")
    check_ours(machine)
    assert machine.run("dpkg --verify kmod; ls -d /sbin/modprobe.*") == "/sbin/modprobe.distrib\n"
    machine.run(f"dpkg -i {cached_kmod(machine)}")  # and back
    check_ours(machine)
    assert machine.run("dpkg --verify kmod; ls -d /sbin/modprobe.*") == f"/sbin/modprobe{ASIDE}\n"
    if removed:
        machine.run("dpkg --remove --force-depends kmod")
    machine.run("dpkg -i /tmp/kmod.deb; apt-get purge -qq pymodutils")
    assert machine.run("tail -c6 /bin/kmod; readlink -f /sbin/modprobe") == "newer\n/usr/bin/kmod\n"
    assert machine.run("dpkg --verify kmod; ls /bin /sbin | grep 'mod.*distrib' || :") == ""


def test_our_own_upgrade_keeps_the_names_and_an_aborted_removal_takes_them_again(machine: Machine) -> None:
    machine.run("dpkg -i /mnt/deb/*.deb")
    check_ours(machine)
    assert machine.run("/var/lib/dpkg/info/pymodutils.prerm remove; readlink -f /sbin/modprobe") == "/usr/bin/kmod\n"
    machine.run("/var/lib/dpkg/info/pymodutils.postinst abort-remove")
    check_ours(machine)


def test_a_name_is_never_without_a_program(machine: Machine) -> None:
    """Whatever moment it is looked at, while packages come and go."""
    names = " && ".join(f"[ -x {name} ]" for name in NAMES)
    watch = f"(while {names}; do :; done) & watcher=$!"
    machine.run(f"{watch}; apt-get purge -qq pymodutils; dpkg -i /mnt/deb/*.deb; kill $watcher")  # else it has ended


def test_it_is_byte_compiled_for_this_python_and_cleaned_away(machine: Machine) -> None:
    sources = machine.run("find /usr/lib/pymodutils/pymodutils -name '*.py' | wc -l")
    assert machine.run("find /usr/lib/pymodutils -name '*.cpython-311.pyc' | wc -l") == sources
    machine.run("apt-get remove -qq pymodutils")
    assert "No such file" in machine.run("ls /usr/lib/pymodutils 2>&1 || :")
