# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages that the tests need, unpacked (never installed) into a cache folder.

    python -m tests.support.assets linux-6.1 kmod34      fetch these and print where they are
    python -m tests.support.assets                       list what there is

The cache is $PYMODUTILS_CACHE, default ${XDG_CACHE_HOME:-~/.cache}/pymodutils. Every folder in it is made whole or not
at all, by one process at a time, and never changed afterwards; delete it to have it made again.

Packages come by apt from the archive this machine already uses, whatever its release: `_Suite` copies the machine's own
entries for Debian, puts the wanted release's name in, and keeps its package lists apart from the machine's.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KERNELS = {"6.1": "bookworm", "6.12": "trixie"}
"""Kernel series a test may ask for, and the Debian release each comes from."""

COMPRESSIONS = {
    "none": "",
    "gz": ".gz",
    "xz": ".xz",
    "zst": ".zst",
}
"""Forms of a module tree and what each adds to the name of a .ko."""

_COMPRESS = {
    "gz": ["gzip", "-n", "-f"],
    "xz": ["xz", "-f", "-1", "--check=crc32"],  # crc32: the only check the kernel's own decoder knows
    "zst": ["zstd", "-q", "-f", "--rm"],
}
_DECOMPRESS = {".xz": ["xz", "-d", "-f"]}

_KMOD34_PACKAGES = ["kmod", "libkmod2", "libc6", "libzstd1", "liblzma5", "zlib1g", "libssl3t64"]

_GUEST_PACKAGES = """
    libc6 libgcc-s1 python3.11-minimal libpython3.11-minimal libpython3.11-stdlib libbz2-1.0 liblzma5 libffi8 zlib1g
    libexpat1 libssl3 libuuid1 libcrypt1 libzstd1 python3-zstandard dash coreutils libacl1 libattr1 libselinux1
    libpcre2-8-0 libgmp10 grep sed mount libmount1 libblkid1 libsmartcols1 kmod libkmod2
""".split()

_BOOT_PACKAGES = """
    udev systemd libsystemd-shared libcap2 libacl1 libgcrypt20 libgpg-error0 libip4tc2 liblz4-1 libpam0g libaudit1
    libcap-ng0 libseccomp2
""".split()

_DISK_PACKAGES = """
    cryptsetup-bin libcryptsetup12 libargon2-1 libjson-c5 libpopt0 libuuid1 libblkid1 libdevmapper1.02.1
    libdevmapper-event1.02.1 lvm2 dmsetup libaio1 libedit2 libreadline8 libtinfo6 libbsd0 libmd0 libselinux1 libudev1
    libssl3 libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 libpcre2-8-0
""".split()

_NFS_SERVER_PACKAGES = """
    nfs-ganesha nfs-ganesha-vfs rpcbind netbase libtirpc-common libtirpc3 libc6 libacl1 libblkid1 libbsd0 libcap2
    libcom-err2 libdbus-1-3 libgcrypt20 libgpg-error0 libgssapi-krb5-2 libk5crypto3 libkeyutils1 libkrb5-3
    libkrb5support0 liblz4-1 liblzma5 libmd0 libnfsidmap1 libnsl2 libntirpc4.3 libsystemd0 liburcu8 libuuid1
    libwbclient0 libwrap0 libzstd1 libgcc-s1
""".split()

_USER_PACKAGES = """
    iproute2 libbpf1 libbsd0 libcap2 libcap2-bin libdb5.3 libelf1 libmd0 libmnl0 libtirpc3 libgssapi-krb5-2 libkrb5-3
    libk5crypto3 libcom-err2 libkrb5support0 libkeyutils1 libxtables12 dmsetup libdevmapper1.02.1 libudev1 nftables
    libnftables1 libnftnl11 libjansson4 libedit2 libtinfo6 procps libproc2-0 libncursesw6 libsystemd0 liblz4-1
    libgcrypt20 libgpg-error0 libsqlite3-0 util-linux mdadm python3-psutil python3-pyroute2
""".split()


def cache_folder() -> Path:
    """Where everything fetched or built is kept between runs."""
    if chosen := os.environ.get("PYMODUTILS_CACHE"):
        return Path(chosen).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pymodutils"


def cached(name: str, build: Callable[[Path], None]) -> Path:
    """The cache's folder `name`; if it is missing, `build(folder)` fills an empty one that then takes its place."""
    final = cache_folder() / name
    if final.is_dir():
        return final
    with _locked(final):
        if not final.is_dir():  # else another process made it while this one waited
            unfinished = Path(tempfile.mkdtemp(prefix=final.name + ".", suffix=".tmp", dir=final.parent))
            try:
                unfinished.chmod(0o755)
                build(unfinished)
                unfinished.rename(final)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return final


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{path}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# --- Debian packages


class _Suite:
    """One Debian release, as seen by an apt with its own sources and package lists; of another `architecture` if given.

    The lists of another one are taken as far as they can be had: what is on security's server changes there first.
    """

    def __init__(self, codename: str, architecture: str = "") -> None:
        self.codename = codename
        self.architecture = architecture
        self.root = cache_folder() / "apt" / "-".join(filter(None, (codename, architecture)))

    def depends(self, package: str) -> list[str]:
        """Names of the packages that `package` depends on."""
        output = self._apt("apt-cache", "depends", "--important", package)
        return re.findall(r"Depends: ([^\s<>]+)", output)

    def unpack(self, packages: list[str], folder: Path) -> None:
        """Download `packages` and unpack all of them into `folder`.

        There packages.txt tells the versions, and control/ has, for each package, what dpkg keeps to itself.
        """
        with tempfile.TemporaryDirectory(dir=folder.parent) as downloads:
            self._apt("apt-get", "download", *packages, cwd=downloads)
            archives = sorted(Path(downloads).glob("*.deb"))
            for archive in archives:
                subprocess.run(["dpkg-deb", "-x", archive, folder], check=True)
                control = folder / "control" / archive.name.partition("_")[0]
                control.parent.mkdir(exist_ok=True)
                subprocess.run(["dpkg-deb", "-e", archive, control], check=True)
            folder.joinpath("packages.txt").write_text("".join(f"{archive.name}\n" for archive in archives))

    @functools.cached_property
    def _options(self) -> list[str]:
        sources, lists, cache = self.root / "sources", self.root / "lists", self.root / "cache"
        for directory in (sources, lists / "partial", cache / "archives" / "partial"):
            directory.mkdir(parents=True, exist_ok=True)
        for name, text in debian_sources(self.codename).items():
            sources.joinpath(name).write_text(text)
        return [
            "-oDir::Etc::sourcelist=/dev/null",
            f"-oDir::Etc::sourceparts={sources}",
            f"-oDir::State::lists={lists}",
            f"-oDir::Cache={cache}",
            "-oDir::State::status=/dev/null",
            f"-oAPT::Sandbox::User={'root' if os.geteuid() == 0 else ''}",
            *([f"-oAPT::Architecture={self.architecture}", f"-oAPT::Architectures={self.architecture}"]
              if self.architecture else []),
        ]  # fmt: skip

    @functools.cached_property
    def _updated(self) -> None:
        with _locked(self.root):
            update = ["apt-get", *self._options, "-qq", "-oAcquire::Languages=none", "update"]
            if self.architecture:
                subprocess.run(update, stderr=subprocess.DEVNULL)
            else:
                _run(update)

    def _apt(self, program: str, command: str, *words: str, cwd: str | None = None) -> str:
        _ = self._updated
        return _run([program, *self._options, command, "-q", *words], cwd)


def _run(command: list[str], cwd: str | None = None) -> str:
    result = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def debian_sources(codename: str, folder: Path = Path("/etc/apt")) -> dict[str, str]:
    """This machine's apt entries for Debian's own archive, rewritten for the release `codename`: {file name: text}."""
    own = _own_codename()
    found: dict[str, str] = {}
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        separator = "\n" if path.suffix == ".list" else "\n\n"
        text = re.sub(r"(?m)^#.*\n?", "", path.read_text())
        entries = re.split(r"\n" if path.suffix == ".list" else r"\n[ \t]*\n", text)
        chosen = [_for_release(entry, own, codename) for entry in entries if _is_debian(entry, own)]
        if chosen:
            found[path.name] = separator.join(chosen) + "\n"
    if not found:
        raise RuntimeError(f"no entry for Debian {own} in {folder}/sources.list or {folder}/sources.list.d")
    return found


def _is_debian(entry: str, own: str) -> bool:
    """Whether an entry speaks of Debian's archive: its release names, its component, its key."""
    key = re.search(r"(?i)signed-by\s*[:=]\s*(\S+)", entry)
    has_suite = re.search(rf"\s{own}(-updates|-security|/updates)?(?=\s|$)", entry)
    return bool(has_suite and re.search(r"\smain(?=\s|$)", entry) and (not key or "debian-archive" in key[1]))


def _for_release(entry: str, own: str, codename: str) -> str:
    return re.sub(rf"(?<=\s){own}(?=\s|-|/|$)", codename, entry)


def _own_codename() -> str:
    text = Path("/etc/os-release").read_text()
    match = re.search(r"(?m)^VERSION_CODENAME=(\w+)", text)
    if not match:
        raise RuntimeError("/etc/os-release has no VERSION_CODENAME: not a Debian release")
    return match[1]


# --- kernels


def linux(kernel: str) -> Path:
    """Debian's kernel image, modules, and headers of one series, unpacked; see KERNELS."""
    return cached(f"linux-{kernel}-{_UNPACKED_AS}", lambda folder: _unpack_linux(KERNELS[kernel], folder))


_UNPACKED_AS = 2
"""To be counted up when the folders of kernels are made in another way."""


def linux_script(kernel: str, name: str) -> str:
    """A script of the kernel's package that dpkg runs: `postinst`, `postrm`."""
    return (linux(kernel) / "control" / f"linux-image-{release(kernel)}" / name).read_text()


def _unpack_linux(codename: str, folder: Path) -> None:
    suite = _Suite(codename)
    image = _only(r"linux-image-[\d.]+.*-amd64", suite.depends("linux-image-amd64"))
    headers = image.replace("image", "headers")
    needed = suite.depends(headers)
    common = _only(r"linux-headers-.*-common", needed)
    kbuild = _only(r"linux-kbuild-.*", needed)
    # libc6 and the others: kbuild's programs run with the libraries of their own release
    suite.unpack([image, headers, common, kbuild, "libc6", "libelf1" if codename == "bookworm" else "libelf1t64",
                  "zlib1g", "libzstd1"], folder)  # fmt: skip
    _relocate_headers(folder)


def _only(pattern: str, names: list[str]) -> str:
    (found,) = {name for name in names if re.fullmatch(pattern, name)}
    return found


def _relocate_headers(folder: Path) -> None:
    """Make the unpacked headers usable from any folder, with the host's compiler."""
    for makefile in folder.glob("usr/src/linux-headers-*-amd64/Makefile"):
        makefile.write_text(makefile.read_text().replace("/usr/src/", "../"))
    (kbuild,) = folder.glob("usr/lib/linux-kbuild-*")
    for name in ("scripts/mod/modpost.real-lsb-64", "tools/objtool/objtool", "tools/objtool/objtool.real-x86"):
        program = kbuild / name
        if program.exists() and not (program.name == "objtool" and (program.parent / "objtool.real-x86").exists()):
            _run_with_own_libraries(program, folder)


def _run_with_own_libraries(program: Path, folder: Path) -> None:
    """Replace `program` by a script that starts it with the loader and libraries unpacked in `folder`."""
    program.rename(f"{program}.elf")
    up = os.path.relpath(folder, program.parent)
    program.write_text(
        f'#!/bin/sh\nroot=$(dirname "$0")/{up}\n'
        f'exec "$root"/{_loader(folder).relative_to(folder)} '
        '--library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" "$0.elf" "$@"\n'
    )
    program.chmod(0o755)


def _loader(folder: Path) -> Path:
    return next(path for path in (folder / "usr/lib64/ld-linux-x86-64.so.2",
                                  folder / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2") if path.exists())  # fmt: skip


def release(kernel: str) -> str:
    """What `uname -r` prints on that kernel."""
    return next(linux(kernel).glob("boot/vmlinuz-*")).name.removeprefix("vmlinuz-")


def headers(kernel: str) -> Path:
    """The folder to build modules against: make -C HEADERS M=..."""
    return linux(kernel) / "usr/src" / f"linux-headers-{release(kernel)}"


def vmlinux(kernel: str) -> Path:
    """The kernel as an ELF file, taken out of its bzImage: booted by its PVH entry it need not decompress itself."""

    def build(folder: Path) -> None:
        image = (linux(kernel) / "boot" / f"vmlinuz-{release(kernel)}").read_bytes()
        folder.joinpath("vmlinux").write_bytes(_payload(image))

    return cached(f"vmlinux-{kernel}", build) / "vmlinux"


def _payload(image: bytes) -> bytes:
    """The ELF file inside a bzImage (Documentation/arch/x86/boot.rst: setup_sects, payload_offset, payload_length)."""
    if image[0x202:0x206] != b"HdrS":
        raise ValueError("not a bzImage")
    setup = (image[0x1F1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = setup * 512 + offset
    payload = image[start : start + length - 4]  # the last four bytes are the unpacked size
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor().decompress(payload)
    return subprocess.run(["zstd", "-q", "-d", "-c"], input=payload, stdout=subprocess.PIPE, check=True).stdout


# --- module trees


def module_tree(kernel: str, compression: str = "none") -> Path:
    """A base directory (for -b) with all of a kernel's modules in one compression, and the indexes of kmod's depmod."""
    name = f"tree-{kernel}-{compression}"
    return cached(name, lambda folder: _build_tree(kernel, compression, folder))


def _build_tree(kernel: str, compression: str, folder: Path) -> None:
    source, wanted = _shipped_modules(kernel), COMPRESSIONS[compression]
    if wanted and _suffix(source) not in ("", wanted):
        source = module_tree(kernel, "none") / "lib/modules" / release(kernel)
    modules = folder / "lib/modules" / release(kernel)
    shutil.copytree(source, modules, copy_function=os.link, ignore=_ignore_indexes)
    if _suffix(modules) != wanted:
        _each_module(modules, _COMPRESS[compression] if wanted else _DECOMPRESS[_suffix(modules)])
    if compression == "gz":
        _index_gz(kernel, folder)
    else:
        run_depmod(folder, release(kernel))


def _shipped_modules(kernel: str) -> Path:
    return next(path for parent in ("usr/lib", "lib")
                if (path := linux(kernel) / parent / "modules" / release(kernel)).is_dir())  # fmt: skip


def _ignore_indexes(_directory: str, names: list[str]) -> list[str]:
    kept = ("modules.order", "modules.builtin", "modules.builtin.modinfo")
    return [name for name in names if name in ("build", "source") or name.startswith("modules.") and name not in kept]


def _suffix(modules: Path) -> str:
    """What follows .ko in the names of the modules below a folder."""
    return next(modules.glob("kernel/**/loop.ko*")).name.removeprefix("loop.ko")


def _each_module(modules: Path, command: list[str]) -> None:
    """Run `command` on all modules, in two processes; it replaces a file, so that hard links elsewhere keep theirs."""
    paths = sorted(str(path) for path in modules.glob("kernel/**/*.ko*"))
    xargs = ["xargs", "-0", "-P2", "-n64", *command]
    subprocess.run(xargs, input="\0".join(paths), text=True, check=True)


FOREIGN = {"armhf": "armmp", "s390x": "s390x"}
"""Architectures of other classes and byte orders than ours (32-bit little-endian, 64-bit big-endian), and the flavour
of Debian's kernel there."""


def foreign_tree(architecture: str) -> tuple[Path, str]:
    """A base directory with all modules of Debian 12's kernel for an architecture in `FOREIGN`, without indexes; the
    kernel's release."""

    def build(folder: Path) -> None:
        suite = _Suite("bookworm", architecture)
        flavour = FOREIGN[architecture]
        suite.unpack([_only(rf"linux-image-[\d.]+.*-{flavour}", suite.depends(f"linux-image-{flavour}"))], folder)

    base = cached(f"linux-bookworm-{architecture}", build)
    (modules,) = base.glob("lib/modules/*")
    return base, modules.name


def _foreign_base(architecture: str) -> Path:
    return foreign_tree(architecture)[0]


def _index_gz(kernel: str, folder: Path) -> None:
    """Take the indexes of the .xz form, since Debian's kmod cannot read gzip: only names differ, of equal length."""
    modules = folder / "lib/modules" / release(kernel)
    for path in (module_tree(kernel, "xz") / "lib/modules" / release(kernel)).glob("modules.*"):
        target = modules / path.name
        if path.name in ("modules.dep", "modules.dep.bin"):
            target.write_bytes(path.read_bytes().replace(b".ko.xz", b".ko.gz"))
        elif not target.exists():
            os.link(path, target)


def run_depmod(base: Path, version: str) -> None:
    """Make the indexes of BASE/lib/modules/VERSION with kmod 34.2's depmod."""
    _run([*kmod34_argv("depmod"), "-b", str(base), version])


# --- kmod 34.2 and what a guest runs


def kmod34() -> Path:
    """Debian 13's kmod 34.2 with its own libc, unpacked."""
    return _unpacked("kmod34", "trixie", _KMOD34_PACKAGES)


def kmod34_argv(name: str) -> list[str]:
    """The words that start kmod 34.2 as the command `name` (any path may stand for a name); arguments come after."""
    return [str(word) for word in kmod34_words(kmod34(), name)]


def kmod34_words(root: Path, name: str) -> list[str | Path]:
    """As kmod34_argv, for a copy of the packages in `root`."""
    return [root / "usr/lib64/ld-linux-x86-64.so.2", "--library-path", root / "usr/lib/x86_64-linux-gnu",
            "--argv0", name, root / "usr/bin/kmod"]  # fmt: skip


def guest_programs() -> Path:
    """Debian 12's Python 3.11, dash, coreutils, grep, sed, mount and kmod 30 with their libraries, unpacked."""
    return _unpacked("guest", "bookworm", _GUEST_PACKAGES)


# bluez and alsa-utils, of which one expects such files, have none; those for nvidia are in no archive of free software.
_CONFIGURED_PACKAGES = (
    "kmod udev systemd mdadm rdma-core dkms nbd-client drbd-utils multipath-tools cups-filters".split()
)


def shipped_configs(kernel: str) -> Path:
    """Packages of the kernel's Debian release that put files into modprobe.d or modules-load.d, unpacked."""
    return _unpacked(f"configs-{KERNELS[kernel]}", KERNELS[kernel], _CONFIGURED_PACKAGES)


def boot_programs() -> Path:
    """Debian 12's udev and systemd, which load modules at boot, with the libraries that `guest_programs` lacks."""
    return _unpacked("boot", "bookworm", _BOOT_PACKAGES)


def hotplug_programs() -> Path:
    """Debian 12's busybox, which has mdev, and the rules of udev."""
    return _unpacked("hotplug", "bookworm", ["busybox-static", "udev"])


def disk_programs() -> Path:
    """Debian 12's cryptsetup and LVM, with the libraries that `guest_programs` lacks."""
    return _unpacked("disk", "bookworm", _DISK_PACKAGES)


def nfs_server() -> Path:
    """Debian 12's NFS server that runs in user space, with all that it needs to run in this folder as its root."""

    def build(folder: Path) -> None:
        _Suite("bookworm").unpack(_NFS_SERVER_PACKAGES, folder)
        for name in ("dev", "proc", "run", "srv", "tmp"):
            (folder / name).mkdir()
        (folder / "etc/mtab").symlink_to("/proc/self/mounts")
        (folder / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n_rpc:x:100:65534::/run:/bin/sh\n")

    return cached("nfs-server", build)


def user_programs() -> Path:
    """Debian 12's tools that make uses of modules and end them, psutil and pyroute2, with their libraries."""
    return _unpacked("users", "bookworm", _USER_PACKAGES)


def _unpacked(name: str, codename: str, packages: list[str]) -> Path:
    key = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:8]
    return cached(f"{name}-{key}", lambda folder: _Suite(codename).unpack(packages, folder))


# --- what calls modprobe


_COLLECTION = "usr/lib/python3/dist-packages/ansible_collections/community/general"
_OF_COLLECTION = ["plugins/modules/modprobe.py", "plugins/modules/kernel_blacklist.py", "plugins/module_utils/mh",
                  "plugins/module_utils/module_helper.py", "plugins/module_utils/vardict.py"]  # fmt: skip


def community_general() -> Path:
    """The folder of Debian 13's ansible_collections/community/general, with the modules about kernel modules only."""

    def build(folder: Path) -> None:
        packages = folder / "packages"
        _Suite("trixie").unpack(["ansible"], packages)
        for name in _OF_COLLECTION:
            source, target = packages / _COLLECTION / name, folder / _COLLECTION / name
            target.parent.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        (packages / "packages.txt").rename(folder / "packages.txt")
        shutil.rmtree(packages)

    key = hashlib.sha256(" ".join(_OF_COLLECTION).encode()).hexdigest()[:8]
    return cached(f"community-general-{key}", build) / _COLLECTION


# --- what computes closures of its own


_DRACUT_PACKAGES = ["dracut-install", "libkmod2", "libc6", "libzstd1", "liblzma5", "zlib1g", "libssl3t64"]


def dracut_install_argv() -> list[str]:
    """The words that start Debian 13's dracut-install, with its own libc."""
    root = _unpacked("dracut", "trixie", _DRACUT_PACKAGES)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", str(libraries),
            str(root / "usr/lib/dracut/dracut-install")]  # fmt: skip


def mkosi() -> Path:
    """The folder from which Debian 13's mkosi is imported."""
    return _unpacked("mkosi", "trixie", ["mkosi"]) / "usr/lib/python3/dist-packages"


# --- what makes an initial file system and a root for it


_BTRFS_PACKAGES = ["btrfs-progs", "libblkid1", "libuuid1", "libudev1", "libc6", "zlib1g", "liblzo2-2", "libzstd1",
                   "libgcrypt20", "libgpg-error0", "libcap2"]  # fmt: skip


def mkfs_btrfs_argv() -> list[str]:
    """The words that start Debian 12's mkfs.btrfs, with its own libc."""
    root = _unpacked("btrfs", "bookworm", _BTRFS_PACKAGES)
    return [*_with_libraries(root), str(root / "sbin/mkfs.btrfs")]


def cpio_argv() -> list[str]:
    """The words that start Debian 12's cpio, with its own libc."""
    root = _unpacked("cpio", "bookworm", ["cpio", "libc6"])
    return [*_with_libraries(root), str(root / "bin/cpio")]


def _with_libraries(root: Path) -> list[str]:
    libraries = f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"
    return [str(root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"), "--library-path", libraries]


# --- command line


def _assets() -> dict[str, Callable[[], Path]]:
    named: dict[str, Callable[[], Path]] = {
        "kmod34": kmod34,
        "guest": guest_programs,
        "boot": boot_programs,
        "hotplug": hotplug_programs,
        "disk": disk_programs,
        "users": user_programs,
        "community-general": community_general,
    }
    for architecture in FOREIGN:
        named[f"linux-{architecture}"] = functools.partial(_foreign_base, architecture)
    for kernel in KERNELS:
        named[f"configs-{kernel}"] = functools.partial(shipped_configs, kernel)
        named[f"linux-{kernel}"] = functools.partial(linux, kernel)
        named[f"vmlinux-{kernel}"] = functools.partial(vmlinux, kernel)
        for compression in COMPRESSIONS:
            named[f"tree-{kernel}-{compression}"] = functools.partial(module_tree, kernel, compression)
    return named


def main(names: list[str]) -> int:
    assets = _assets()
    if not names:
        print("\n".join(assets))
        return 0
    for name in names:
        if name not in assets:
            print(f"no asset {name}; there are: {' '.join(assets)}", file=sys.stderr)
            return 1
        print(assets[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
