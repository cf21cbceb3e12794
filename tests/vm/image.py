# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a guest finds on its root file system, as cpio archives.

    /opt/pymodutils/{bin,pymodutils}     this checkout, byte-compiled
    /usr/sbin/modprobe ... (kmod 30)     Debian 12's userland: python3.11 with its library, dash, coreutils, mount
    /opt/kmod34/                         kmod 34.2 with its own libraries; /opt/kmod34/bin/modprobe ... start it
    /usr/lib/modules/RELEASE/            the chosen modules and extra/pmt_*.ko, indexes by kmod 34.2's depmod
    /opt/pmt/pmt_*.ko{,.gz,.xz,.zst}     our own modules in every form
    /opt/agent/                          the first process

The userland and each choice of modules are made once and kept in the cache; the checkout is packed again for each boot.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from tests.support import assets
from tests.vm import cpio, ownmodules

HERE = Path(__file__).parent
CHECKOUT = HERE.parent.parent
COMMANDS = ("depmod", "insmod", "kmod", "lsmod", "modinfo", "modprobe", "rmmod")
GUEST_CHECKOUT, GUEST_KMOD34, GUEST_MODULES = "/opt/pymodutils", "/opt/kmod34", "/opt/pmt"

_LEFT_OUT = re.compile(
    r"usr/share|usr/lib/modprobe\.d|packages\.txt|control(/|$)|etc/|usr/lib/python3/dist-packages/.*\.pyi$"
    r"|.*/(gconv|engines-3|ossl-modules)(/|$)|.*/python3\.11/(test|idlelib|pydoc_data|lib2to3|distutils|ensurepip|unittest)/"
    r"|.*/config-3\.11"
)
_IN_USR = re.compile(r"(bin|sbin|lib|lib64)(/|$)")


def archives(kernel: str, modules: Iterable[str] | None) -> list[Path]:
    """The kept archives of a guest: userland, and `modules` with all they depend on (None: every module there is)."""
    return [userland_archive(), modules_archive(kernel, modules)]


# --- userland


def userland_archive() -> Path:
    key = _digest(_versions(assets.guest_programs()), _versions(assets.kmod34()), Path(__file__).read_text(),
                  Path(cpio.__file__).read_text())  # fmt: skip
    return assets.cached(f"userland-{key}", _write_userland) / "cpio"


def _write_userland(folder: Path) -> None:
    programs = folder / "programs"
    shutil.copytree(assets.guest_programs(), programs, symlinks=True)
    compile_python(programs / "usr/lib/python3.11", "/usr/lib/python3.11")
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        for name in ("bin", "sbin", "lib", "lib64"):
            archive.symlink(name, f"usr/{name}")
        archive.tree(programs, _userland_path)
        archive.tree(assets.kmod34(), lambda path: None if _LEFT_OUT.match(path) else f"{GUEST_KMOD34}/{path}")
        archive.symlink("usr/bin/python3", "python3.11")
        archive.symlink("usr/bin/sh", "dash")
        for command in COMMANDS:
            archive.file(f"{GUEST_KMOD34}/bin/{command}", _start_kmod34().encode(), 0o755)
        for name in ("proc", "sys", "dev", "run", "root", "etc/modprobe.d"):
            archive.directory(name)
        archive.directory("tmp", 0o1777)
        archive.character_device("dev/console", 5, 1)
        archive.file("etc/passwd", b"root:x:0:0::/root:/bin/sh\ntester:x:1000:1000::/tmp:/bin/sh\n")
        archive.file("etc/group", b"root:x:0:\ntester:x:1000:\n")
        archive.close()
    shutil.rmtree(programs)


def boot_programs_archive() -> Path:
    """udevadm, systemd-modules-load and their libraries, for tests of what loads modules at boot."""
    key = _digest(_versions(assets.boot_programs()), Path(__file__).read_text())
    return assets.cached(f"boot-programs-{key}", _write_boot_programs) / "cpio"


_AT_BOOT = re.compile(
    r"((usr/)?(bin/udevadm|lib/systemd/systemd-modules-load|lib/x86_64-linux-gnu/(systemd/libsystemd-shared.*|[^/]*)))$"
)


def _write_boot_programs(folder: Path) -> None:
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        for name in ("usr", "usr/bin", "usr/lib", "usr/lib/systemd", "usr/lib/x86_64-linux-gnu"):
            archive.directory(name)
        archive.directory("usr/lib/x86_64-linux-gnu/systemd")
        archive.tree(
            assets.boot_programs(), lambda path: f"usr/{path.removeprefix('usr/')}" if _AT_BOOT.match(path) else None
        )
        archive.close()


def disk_programs_archive() -> Path:
    """cryptsetup and LVM with their libraries, for roots that are found by them."""
    key = _digest(_versions(assets.disk_programs()), Path(__file__).read_text())
    return assets.cached(f"disk-programs-{key}", _write_disk_programs) / "cpio"


_FOR_DISKS = re.compile(r"((usr/)?(sbin/(cryptsetup|lvm|dmsetup)|lib/x86_64-linux-gnu/[^/]*))$")


def _write_disk_programs(folder: Path) -> None:
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        for name in ("usr", "usr/sbin", "usr/lib", "usr/lib/x86_64-linux-gnu"):
            archive.directory(name)
        archive.tree(
            assets.disk_programs(),
            lambda path: f"usr/{path.removeprefix('usr/')}" if _FOR_DISKS.match(path) else None,
        )
        archive.close()


def user_programs_archive() -> Path:
    """ip, tc, nft, dmsetup, sysctl, psutil and pyroute2, for tests of who uses modules."""
    key = _digest(_versions(assets.user_programs()), Path(__file__).read_text())
    return assets.cached(f"user-programs-{key}", _write_user_programs) / "cpio"


_FOR_USERS = re.compile(
    r"(usr/)?(s?bin/(ip|tc|nft|dmsetup|sysctl|nsenter|unshare|mkswap|mdadm)|lib/x86_64-linux-gnu/[^/]*|lib/python3(\.11)?/.*(?<!\.pyi))$"
)


def _write_user_programs(folder: Path) -> None:
    programs = folder / "programs"
    shutil.copytree(assets.user_programs(), programs, symlinks=True)
    library = "usr/lib/python3.11/unittest"  # which this pyroute2 imports
    shutil.copytree(assets.guest_programs() / library, programs / library)
    compile_python(programs / "usr/lib/python3", "/usr/lib/python3")
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        for name in ("usr", "usr/bin", "usr/sbin", "usr/lib", "usr/lib/x86_64-linux-gnu"):
            archive.directory(name)
        archive.tree(programs, lambda path: f"usr/{path.removeprefix('usr/')}" if _FOR_USERS.match(path) else None)
        archive.close()
    shutil.rmtree(programs)


def _userland_path(path: str) -> str | None:
    if _LEFT_OUT.match(path) or path in ("bin", "sbin", "lib", "lib64"):
        return None
    return f"usr/{path}" if _IN_USR.match(path) else path


def _start_kmod34() -> str:
    words = " ".join(str(word) for word in assets.kmod34_words(Path(GUEST_KMOD34), '"$0"'))
    return f'#!/bin/sh\nexec {words} "$@"\n'


def compile_python(folder: Path, guest_folder: str) -> None:
    """Byte-compile all of `folder` with the guest's Python, for use as `guest_folder`; the source may change later."""
    root = assets.guest_programs()
    libraries = f"{root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu"
    loader = root / "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    python = [str(loader), "--library-path", libraries, str(root / "usr/bin/python3.11")]
    compileall = ["-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    where = ["-s", str(folder), "-p", guest_folder, str(folder)]
    subprocess.run(
        [*python, *compileall, *where], env={"PYTHONHOME": str(root / "usr"), "PATH": os.defpath}, check=True
    )


def _versions(asset: Path) -> str:
    return asset.joinpath("packages.txt").read_text()


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


# --- modules


def modules_archive(kernel: str, modules: Iterable[str] | None) -> Path:
    own = ownmodules.build(kernel)
    chosen = json.dumps(sorted(modules) if modules is not None else None)
    key = _digest(assets.release(kernel), own.name, chosen, Path(__file__).read_text())
    folder = assets.cached(f"modules-{kernel}-{key}", lambda folder: _write_modules(kernel, modules, own, folder))
    return folder / "cpio"


def _write_modules(kernel: str, modules: Iterable[str] | None, own: Path, folder: Path) -> None:
    release = assets.release(kernel)
    shipped = assets.module_tree(kernel, shipped_compression(kernel)) / "lib/modules" / release
    staging = folder / "staging"
    tree = staging / "lib/modules" / release
    tree.mkdir(parents=True)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        os.link(shipped / name, tree / name)
    for path in _files(shipped, modules):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        os.link(shipped / path, tree / path)
    (tree / "extra").mkdir()
    for module in own.glob("*.ko"):
        os.link(module, tree / "extra" / module.name)
    assets.run_depmod(staging, release)
    with open(folder / "cpio", "wb") as output:
        archive = cpio.Writer(output)
        archive.tree(staging, lambda path: None if path in ("lib", "lib/modules") else f"usr/{path}")
        archive.tree(own, lambda path: f"{GUEST_MODULES}/{path}")
        archive.close()
    shutil.rmtree(staging)


def shipped_compression(kernel: str) -> str:
    """The form in which Debian's package has the modules."""
    return {"6.1": "none", "6.12": "xz"}[kernel]


def _files(tree: Path, modules: Iterable[str] | None) -> list[str]:
    """Paths of the modules named, of all that they depend on, and of their soft dependencies."""
    needs = dict(line.split(":", 1) for line in _lines(tree / "modules.dep"))
    if modules is None:
        return list(needs)
    paths = {Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    soft = _softdeps(tree)
    found: set[str] = set()
    waiting = [name.replace("-", "_") for name in modules]
    while waiting:
        name = waiting.pop()
        if (path := paths.get(name)) is None:
            continue  # builtin in this kernel, or not there
        for file in [path, *needs[path].split()]:
            if file not in found:
                found.add(file)
                waiting += soft.get(Path(file).name.split(".")[0].replace("-", "_"), [])
    return sorted(found)


def _softdeps(tree: Path) -> dict[str, list[str]]:
    lines = [line.split() for line in _lines(tree / "modules.softdep") if line.startswith("softdep ")]
    return {words[1]: [word.replace("-", "_") for word in words[2:] if not word.endswith(":")] for words in lines}


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines()


# --- checkout


def write_checkout(output: Path) -> None:
    """Archive this checkout, byte-compiled, and the agent."""
    with tempfile.TemporaryDirectory() as scratch, open(output, "wb") as stream:
        staging = Path(scratch) / "opt"
        unwanted = shutil.ignore_patterns("__pycache__")
        for name in ("bin", "pymodutils"):
            shutil.copytree(CHECKOUT / name, staging / "pymodutils" / name, symlinks=True, ignore=unwanted)
        (staging / "agent").mkdir()
        shutil.copy(HERE / "agent.py", staging / "agent")
        compile_python(staging, "/opt")
        archive = cpio.Writer(stream)
        archive.tree(staging, lambda path: f"opt/{path}")
        archive.file("init", b"#!/usr/bin/python3.11 -IS\nimport sys\nsys.path.insert(0, '/opt/agent')\n"
                             b"import agent\nagent.main()\n", 0o755)  # fmt: skip
        archive.close()
