"""`make demo`: a session with our commands on a real Debian kernel, shown as it happens."""

from __future__ import annotations

from tests.vm.harness import PATH, Guest, boot
from tests.vm.image import GUEST_CHECKOUT

KERNEL = "6.1"
ENVIRONMENT = {"PATH": f"{GUEST_CHECKOUT}/bin:{PATH}"}  # ours before the real kmod's


def show(guest: Guest, command: str) -> None:
    """Run one shell command in the guest and print it with all that came of it."""
    result = guest.run(command, merge=True, env=ENVIRONMENT)
    print(f"# {command}")
    print(result.stdout.decode(errors="replace"), end="")
    print(f"[exit status {result.status}]\n" if result.status else "", flush=True)
    if result.status:
        for line in result.log:
            print(f"(the kernel: {line})\n")


def main() -> None:
    """Boot, show, power off."""
    print(
        f"Booting Debian's {KERNEL} kernel in QEMU (the first time, packages are fetched and unpacked) ...\n",
        flush=True,
    )
    with boot(KERNEL) as guest:
        tree = f"/lib/modules/{guest.release}/kernel"
        number = guest.own("pmt_params")
        show(guest, "uname -r; command -v lsmod; head -n 1 $(command -v lsmod)")
        show(guest, "lsmod")
        show(guest, "modinfo -F description loop; modinfo -p loop")
        show(guest, f"insmod {tree}/drivers/block/loop.ko max_loop=3; ls /dev/loop*")
        show(guest, f"insmod {number} text='hello world' list=7,8,9; cat /sys/module/pmt_params/parameters/text")
        show(guest, f"insmod {guest.own('pmt_a')} && insmod {guest.own('pmt_b')}")
        show(guest, "lsmod")
        show(guest, "rmmod pmt_a")
        show(guest, f"insmod {guest.own('pmt_missing')}")
        show(guest, "rmmod pmt_b pmt_a loop pmt_params && lsmod")


if __name__ == "__main__":
    main()
