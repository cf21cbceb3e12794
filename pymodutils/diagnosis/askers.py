# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who can make the kernel ask for a module by an alias."""

from __future__ import annotations

ANY_USER, NAMESPACE_ROOT, DEVICE_FILE, DEVICE, ROOT = "any user", "namespace root", "device file", "device", "root"
"""What `who_asks` answers: anybody; who is root in a namespace of their own, as any user can be where user
namespaces are allowed; who may open the device file; the kernel when it finds such a device; root."""

_ASKERS = (
    ("net-pf-", ANY_USER, "socket()"),
    ("can-proto-", ANY_USER, "socket()"),
    ("bt-proto-", ANY_USER, "socket()"),
    ("crypto-", ANY_USER, "AF_ALG socket"),
    ("binfmt-", ANY_USER, "execve()"),
    ("fs-", NAMESPACE_ROOT, "mount()"),
    ("rtnl-link-", NAMESPACE_ROOT, "ip link add type"),
    ("nf-", NAMESPACE_ROOT, "netfilter"),
    ("nfnetlink-", NAMESPACE_ROOT, "netfilter"),
    ("nft-", NAMESPACE_ROOT, "nft"),
    ("nfct-", NAMESPACE_ROOT, "netfilter"),
    ("ipt_", NAMESPACE_ROOT, "iptables"),
    ("ip6t_", NAMESPACE_ROOT, "iptables"),
    ("xfrm-", NAMESPACE_ROOT, "ip xfrm"),
    ("devname:", DEVICE_FILE, "open()"),
    ("char-major-", DEVICE_FILE, "open()"),
    ("block-major-", DEVICE_FILE, "open()"),
    ("tty-ldisc-", ANY_USER, "TIOCSETD on a terminal"),
    ("snd-", DEVICE_FILE, "open()"),
    ("netdev-", ROOT, "the name of an interface"),
)
"""How aliases begin, who makes the kernel ask for them, and by what."""

_DEVICES = (
    *("acpi", "auxiliary", "bcma", "ccw", "cpu", "dfl", "dmi", "fsl", "hdaudio", "hid", "hsi", "i2c", "ieee1394"),
    *("input", "ishtp", "isa", "mdio", "mei", "mhi", "mmc", "of", "parisc", "pci", "pcmcia", "platform", "pnp"),
    *("rapidio", "rpmsg", "scsi", "sdio", "sdw", "serio", "slim", "spi", "spmi", "ssb", "tbsvc", "tee", "typec"),
    *("uhid", "ulpi", "usb", "vio", "virtio", "vmbus", "w1", "wmi", "xen"),
)
"""How the modaliases of devices begin."""


def who_asks(alias: str) -> tuple[str, str] | None:
    """Return who makes the kernel or udev ask for an alias, and by what; None when it is not known."""
    text = alias.replace("_", "-")
    for start, who, means in _ASKERS:
        if text.startswith(start.replace("_", "-")):
            return who, means
    return (DEVICE, "a device of that kind") if is_modalias(alias) else None


def is_modalias(alias: str) -> bool:
    """Tell whether an alias is one that a device has: udev loads what it stands for."""
    bus, colon, _ = alias.partition(":")
    if not colon:
        return alias.startswith(("acpi", "dmi"))
    return any(bus.startswith(name) for name in _DEVICES) and bus not in ("devname", "symbol")
