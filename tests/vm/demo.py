# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make demo`: a session with our commands on a real Debian kernel, shown as it happens.

It needs the standard library and the packages of the group demo in tests/apt-packages.txt, nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.vm.harness import PATH, Guest, boot
from tests.vm.image import GUEST_CHECKOUT

KERNEL = "6.1"
ENVIRONMENT = {"PATH": f"{GUEST_CHECKOUT}/bin:{PATH}"}  # ours before the real kmod's

SESSION = {
    "Which commands these are, and what is loaded": [
        "uname -r; command -v modprobe; head -n 1 $(command -v modprobe)",
        "lsmod",
    ],
    "What a module is": [
        "modinfo -F description loop; modinfo -p loop",
    ],
    "Load with a parameter and with a softdep, see first what would be done": [
        "echo 'softdep loop pre: dummy' >/etc/modprobe.d/demo.conf; modprobe -n -v loop max_loop=3",
        "modprobe -n --json loop max_loop=3",
        "modprobe -v loop max_loop=3; ls /dev/loop*; lsmod",
        "modprobe -v -r loop dummy; rm /etc/modprobe.d/demo.conf",
    ],
    "A module file, and what the kernel refuses": [
        "insmod {own}/pmt_params.ko text='hello world' list=7,8,9; cat /sys/module/pmt_params/parameters/text",
        "insmod {own}/pmt_a.ko && insmod {own}/pmt_b.ko; rmmod pmt_a",
        "insmod {own}/pmt_missing.ko",
        "rmmod pmt_b pmt_a pmt_params",
    ],
    "The indexes of a kernel's modules": [
        "ls {tree}/modules.*bin; rm {tree}/modules.*bin; modprobe -D loop",
        "depmod && ls {tree}/modules.*bin; modprobe -D loop",
    ],
    # one of each, as they come
    "What kmod does not have": [
        "kmod status loop ext4 no_such_module",
        "echo 'install sctp /bin/false' >/etc/modprobe.d/demo.conf; kmod config sctp",
        "kmod check sctp",
        "echo 'blacklist stcp' >>/etc/modprobe.d/demo.conf; kmod lint | grep demo.conf",
        "rm /etc/modprobe.d/demo.conf; kmod deny sctp --reason 'not used here'; kmod policy show",
        "modprobe sctp; kmod undeny sctp",
        "kmod closure --why sctp",
        "kmod diff {own}/pmt_a.ko {own}/pmt_b.ko",
        "kmod verify --keys=none {own}/pmt_a.ko {own}/pmt_missing.ko",
        "insmod --explain=always {own}/pmt_missing.ko",
        "modprobe loop; kmod params loop; kmod reload loop max_part=8; kmod who loop; rmmod loop",
        "printf '[module.dummy]\\nstate = \"loaded\"\\nparameters = {{numdummies = 2}}\\n' | kmod ensure -",
        "mkdir -p /mnt; (sleep 2; mount -t xfs none /mnt 2>/dev/null) & "
        "mount -t tracefs tracefs /sys/kernel/tracing; kmod watch --requests --seconds=5",
        "kmod devices --unhandled | tail -n 3; kmod autoload -n --coldplug",
        "kmod symbols crc32c; kmod graph --format=mermaid btrfs | head -n 9",
        "printf 'BUG: kernel NULL pointer dereference, address: 0000000000000000\\n"
        "RIP: 0010:pmt_a_value+0x7/0x20 [pmt_a]\\nCall Trace:\\n do_one_initcall+0x56/0x230\\n' | kmod decode",
    ],
}
"""What is shown: titles, each with commands for the shell; {own} and {tree} are directories of module files."""


def commands(guest: Guest) -> Iterator[tuple[str, list[str]]]:
    """SESSION, as it is on this guest."""
    places = {"own": guest.own("pmt_a").rpartition("/")[0], "tree": f"/lib/modules/{guest.release}"}
    for title, lines in SESSION.items():
        yield title, [line.format_map(places) for line in lines]


def show(guest: Guest, command: str) -> None:
    """Run one shell command in the guest and print it with all that came of it."""
    result = guest.run(command, merge=True, env=ENVIRONMENT)
    print(f"# {command}")
    print(result.stdout.decode(errors="replace"), end="")
    if result.status:
        print(f"[exit status {result.status}]")
    for line in result.log if result.status else ():
        print(f"[the kernel: {line}]")
    print(flush=True)


def main() -> None:
    """Boot, show, power off."""
    print(
        f"Booting Debian's {KERNEL} kernel in QEMU (the first time, packages are fetched and unpacked) ...\n",
        flush=True,
    )
    with boot(KERNEL) as guest:
        for title, lines in commands(guest):
            print(f"--- {title}\n")
            for line in lines:
                show(guest, line)


if __name__ == "__main__":
    main()
