# SPDX-License-Identifier: LGPL-2.1-or-later
"""Build the test modules (modules/*.c) for a kernel, once, into the cache."""

from __future__ import annotations

import functools
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.support import assets

SOURCES = Path(__file__).parent / "modules"
DEBUG = "debug"
"""The folder in that of the modules which has pmt_oops.ko as it was built."""
_COMPRESS = {
    ".gz": ["gzip", "-n", "-k"],
    ".xz": ["xz", "-k", "--check=crc32"],
    ".zst": ["zstd", "-q"],
}


def build(kernel: str) -> Path:
    """The folder with pmt_*.ko, each also as .gz, .xz and .zst, for one of assets.KERNELS; DEBUG has debugging data."""
    digest = hashlib.sha256(assets.release(kernel).encode() + Path(__file__).read_bytes())
    for source in sorted(SOURCES.iterdir()):
        digest.update(b"%s\0%s\0" % (source.name.encode(), source.read_bytes()))
    return assets.cached(f"own-{kernel}-{digest.hexdigest()[:16]}", functools.partial(_build, kernel))


def _build(kernel: str, folder: Path) -> None:
    work = folder / "work"
    shutil.copytree(SOURCES, work)
    _make(kernel, work)
    (folder / DEBUG).mkdir()
    shutil.copy(work / "pmt_oops.ko", folder / DEBUG)
    for module in sorted(work.glob("*.ko")):
        stripped = folder / module.name
        subprocess.run(["objcopy", "--strip-debug", module, stripped], check=True)
        if module.name == "pmt_closed.ko":
            _close(stripped)
        for command in _COMPRESS.values():
            subprocess.run([*command, stripped], check=True)
    shutil.rmtree(work)


def _make(kernel: str, work: Path) -> None:
    """Run the kernel's own build with the host's gcc, whatever compiler the kernel was built with."""
    settings = [
        "CC=gcc",
        "KBUILD_MODPOST_WARN=1",  # pmt_missing.c is meant to lack symbols
        "CONFIG_DEBUG_INFO_BTF_MODULES=",  # needs pahole
        "CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT=",  # an option of gcc 14; older ones align by another
    ]
    command = ["make", "-C", str(assets.headers(kernel)), f"M={work}", "-j2", *settings, "modules"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if result.returncode:
        raise RuntimeError(f"building the test modules for {kernel} failed:\n{result.stdout}")


def _close(module: Path) -> None:
    """Give a module a license that is not the GPL's."""
    content = module.read_bytes()
    changed = content.replace(b"license=GPL v2\0", b"license=Closed\0")
    if changed == content:
        raise RuntimeError(f"{module}: no license to change")
    module.write_bytes(changed)
