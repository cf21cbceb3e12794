# SPDX-License-Identifier: LGPL-2.1-or-later
"""A root directory with forged modules, configuration and a pretended kernel, for our commands and for the real ones.

kmod runs in it by chroot, so that /etc/modprobe.d, /proc/cmdline and /sys/module are plain files a test writes; ours
runs in the test's process with `Roots` that point there. Both see the same paths once the root's own is cut off.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from pymodutils.roots import Roots
from tests.support import assets
from tests.support.common import Outcome, need, run_inside
from tests.support.koforge import Ko

RELEASE = "6.1.0-fake"
MODULES = f"lib/modules/{RELEASE}"
TIME_LIMIT = 60
"""Seconds for kmod, which may never end on softdeps in a ring when removing."""


def _module(
    name: str, *, depends: Sequence[str] = (), strings: Sequence[str] = (), exports: Mapping[str, int] | None = None
) -> Ko:
    """A module that exports `NAME_symbol` and needs that symbol of each module in `depends`."""
    own = {f"{name}_symbol": sum(name.encode())} if exports is None else dict(exports)
    needs: dict[str, int | None] = {f"{other}_symbol": sum(other.encode()) for other in depends}
    return Ko(modinfo=["license=GPL", f"name={name}", *strings], exports=own, needs=needs, first_versions={"m_l": 77})


TREE = {
    "kernel/lib/libcrc32c.ko": _module("libcrc32c", strings=["softdep=pre: crc32c"]),
    "kernel/lib/zstd/zstd_compress.ko": _module("zstd_compress"),
    "kernel/lib/raid6_pq.ko": _module("raid6_pq"),
    "kernel/crypto/xor.ko": _module("xor"),
    "kernel/crypto/crc32c_generic.ko": _module(
        "crc32c_generic", strings=["alias=crypto-crc32c", "alias=crc32c", "alias=crc32c-generic"]
    ),
    "kernel/crypto/crc32c-intel.ko": _module(
        "crc32c_intel", strings=["alias=crc32c", "alias=cpu:type:x86,ven*fam*mod*:feature:*0094*"]
    ),
    "kernel/crypto/blake2b_generic.ko": _module("blake2b_generic", strings=["alias=blake2b-256"]),
    "kernel/fs/btrfs/btrfs.ko": _module(
        "btrfs",
        depends=["libcrc32c", "zstd_compress", "raid6_pq", "xor"],
        strings=["alias=fs-btrfs", "alias=devname:btrfs-control", "softdep=pre: crc32c blake2b-256"],
    ),
    "kernel/fs/xfs/xfs.ko": _module("xfs", depends=["libcrc32c"], strings=["alias=fs-xfs"]),
    "kernel/drivers/block/loop.ko": _module(
        "loop", strings=["alias=block-major-7-*", "alias=devname:loop-control", "alias=char-major-10-237"]
    ),
    "kernel/drivers/net/r8152.ko": _module("r8152", strings=["alias=usb:v0BDAp8153d*", "alias=usb:v0BDAp8[0-4]52d*"]),
    "kernel/drivers/net/cdc_ether.ko": _module(
        "cdc_ether", depends=["usbnet"], strings=["alias=usb:v*p*d*dc*dsc*dp*ic02isc06ip00in*"]
    ),
    "kernel/drivers/net/usbnet.ko": _module("usbnet", depends=["mii"]),
    "kernel/drivers/net/mii.ko": _module("mii"),
    "kernel/sound/snd-hda-intel.ko": _module(
        "snd_hda_intel", depends=["snd_hda_codec"], strings=["alias=pci:v00008086d*sv*sd*bc04sc03i00*"]
    ),
    "kernel/sound/snd-hda-codec.ko": _module("snd_hda_codec", depends=["snd_pcm"], strings=["softdep=post: snd-seq"]),
    "kernel/sound/snd-pcm.ko": _module("snd_pcm", strings=["parmtype=limit:int", "parm=limit:How many"]),
    "kernel/sound/snd-seq.ko": _module("snd_seq"),
    "kernel/weak/wishful.ko": _module("wishful", strings=["weakdep=loop mii"]),
    "kernel/rings/ring_a.ko": _module("ring_a", strings=["softdep=pre: ring_b"]),
    "kernel/rings/ring_b.ko": _module("ring_b", strings=["softdep=pre: ring_a"]),
    "kernel/stale/gone.ko": _module("gone"),
    "kernel/stale/needs_gone.ko": _module("needs_gone", depends=["gone"]),
    "kernel/stale/soft_needs_gone.ko": _module("soft_needs_gone", strings=["softdep=pre: needs_gone"]),
}
GONE = "kernel/stale/gone.ko"
BUILTIN = "kernel/mm/zswap.ko\nkernel/fs/ext4/ext4.ko\nkernel/fs/no_modinfo.ko\n"
BUILTIN_MODINFO = (
    b"zswap.license=GPL\0zswap.alias=zram-like\0ext4.alias=fs-ext4\0ext4.alias=fs-ext3\0ext4.license=GPL\0"
    b"unlisted.alias=fs-unlisted\0"  # modules.builtin has no such module
)

# Debian's builds name source file and line in libkmod's messages.
_SOURCE_PLACE = re.compile(rb"libkmod: (\w+) \.\./libkmod/[\w./-]+:\d+ (\w+):")


class FakeRoot:
    """The directory, and the two commands in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        modules = path / MODULES
        for name, ko in TREE.items():
            ko.write(modules / name)
        (modules / "modules.order").write_text("".join(f"{name}\n" for name in TREE))
        (modules / "modules.builtin").write_text(BUILTIN)
        (modules / "modules.builtin.modinfo").write_bytes(BUILTIN_MODINFO)
        assets.run_depmod(path, RELEASE)
        (modules / GONE).unlink()
        for name in ("proc", "sys/module", "etc/modprobe.d", "run", "usr/lib", "usr/local/lib", "tmp", "home", "dev"):
            (path / name).mkdir(parents=True, exist_ok=True)
        (path / "dev/null").touch()
        self._install_shell()
        self._install("kmod34", assets.kmod34(), ["usr/bin/kmod"], "libkmod libzstd liblzma libz libcrypto libc")
        self._install("kmod30", assets.guest_programs(), ["bin/kmod"], "libkmod libzstd liblzma libz libcrypto libc")
        need(self.kmod("kmod34", ["-V"]).status == 0, "the right to run kmod in a root of its own")

    def _install_shell(self) -> None:
        """Put a shell where install and remove commands look for one. It has no programs to start."""
        source = assets.guest_programs()
        for name, target in {
            "bin/dash": "bin/sh",
            # what lib64/ has is a link from the root directory, so to this machine's own
            "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2": "lib64/ld-linux-x86-64.so.2",
            "lib/x86_64-linux-gnu/libc.so.6": "lib/x86_64-linux-gnu/libc.so.6",
        }.items():
            (self.path / target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, self.path / target)

    def _install(self, name: str, source: Path, programs: list[str], libraries: str) -> None:
        """Copy a kmod with its loader and libraries into /NAME."""
        folder = self.path / name
        folder.mkdir()
        for program in programs:
            shutil.copy(source / program, folder)
        for library in [*(word + ".so" for word in libraries.split()), "ld-linux-x86-64.so"]:
            for place in source.glob(f"**/{library}*"):
                leads_outside = place.is_symlink() and place.readlink().is_absolute()
                if place.is_file() and not leads_outside:
                    shutil.copy(place, folder / place.name)

    def kmod(
        self,
        version: str,
        words: Sequence[str],
        environment: Mapping[str, str] | None = None,
        *,
        name: str = "modprobe",
    ) -> Outcome:
        """The real one of the commands (`kmod34`, `kmod30`); status -1 when it does not come to an end."""
        loader = f"/{version}/ld-linux-x86-64.so.2"
        command = [loader, "--library-path", f"/{version}", "--argv0", name, f"/{version}/kmod"]
        words = [word.replace("{root}", "") for word in words]
        surroundings = {"PATH": "/nowhere", **_rooted(environment, "")}
        try:
            done = subprocess.run(
                [*_chroot(self.path), *command, *words], capture_output=True, env=surroundings, timeout=TIME_LIMIT
            )
        except subprocess.TimeoutExpired:
            return Outcome(-1, b"", b"")
        return Outcome(done.returncode, done.stdout, _SOURCE_PLACE.sub(rb"libkmod: \1: \2:", done.stderr))

    def ours(
        self, words: Sequence[str], environment: Mapping[str, str] | None = None, *, name: str = "modprobe"
    ) -> Outcome:
        """Our one of the commands, in this process."""
        here, before = os.getcwd(), dict(os.environ)
        os.chdir(self.path / "home")
        os.environ.pop("MODPROBE_OPTIONS", None)
        os.environ.update(_rooted(environment, str(self.path)))
        try:
            outcome = run_inside(name, [word.replace("{root}", str(self.path)) for word in words], self.roots())
        finally:
            os.chdir(here)
            os.environ.clear()
            os.environ.update(before)
        prefix = os.fsencode(self.path)
        return Outcome(outcome.status, outcome.out.replace(prefix, b""), outcome.err.replace(prefix, b""))

    def roots(self) -> Roots:
        root = str(self.path)
        return Roots(base=root, release=RELEASE, config_root=root, proc=f"{root}/proc", sys=f"{root}/sys")

    @contextmanager
    def holding(self, files: Mapping[str, str | bytes]) -> Iterator[None]:
        """Lay down files (a text that begins with `-> ` is the target of a link), and take them away afterwards."""
        for name, text in files.items():
            path = self.path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir(exist_ok=True)
            elif isinstance(text, str) and text.startswith("-> "):
                path.symlink_to(text[3:])
            else:
                path.write_bytes(text if isinstance(text, bytes) else os.fsencode(text))
        try:
            yield
        finally:
            for name in files:
                path = self.path / name
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            for place in ("sys/module", "etc/modprobe.d"):
                shutil.rmtree(self.path / place)
                (self.path / place).mkdir()


def _rooted(environment: Mapping[str, str] | None, root: str) -> dict[str, str]:
    return {name: value.replace("{root}", root) for name, value in (environment or {}).items()}


def _chroot(path: Path) -> list[str]:
    """The words that run a command in a new root, in its /home; as an ordinary user with a user namespace."""
    as_root = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["/usr/bin/unshare", *as_root, f"--root={path}", "--wd=/home"]


def loaded(name: str, *, refcount: int = 0, holders: Sequence[str] = (), state: str = "live") -> dict[str, str]:
    """The files by which a kernel tells that a module is loaded; for `FakeRoot.holding`."""
    place = f"sys/module/{name}"
    files = {f"{place}/initstate": f"{state}\n", f"{place}/refcnt": f"{refcount}\n", f"{place}/holders/": ""}
    return {**files, **{f"{place}/holders/{holder}/": "" for holder in holders}}
