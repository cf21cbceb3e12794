# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the numbers were measured on: the machine, and the versions of what takes part."""

from __future__ import annotations

import ctypes
import os
import platform
import re
import sys
import zlib
from pathlib import Path

from benchmarks.peers import PYTHON, Peers


def facts(peers: Peers) -> dict[str, str]:
    """What is known, by its name."""
    return {
        "machine": f"{_cpu()}, {len(os.sched_getaffinity(0))} CPUs, {_memory()} GiB of memory",
        "kernel": f"Linux {platform.release().partition('-')[0]}",
        "Python": f"{platform.python_version()}, {sys.implementation.name} ({PYTHON} for the commands)",
        "libraries": f"{_libc()}, liblzma {_liblzma()}, libzstd {_libzstd()}, zlib {zlib.ZLIB_RUNTIME_VERSION}",
        **peers.known(),
    }


def _cpu() -> str:
    match = re.search(r"(?m)^model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return match[1].strip() if match else platform.machine()


def _memory() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _libc() -> str:
    return " ".join(platform.libc_ver())


def _liblzma() -> str:
    library = ctypes.CDLL("liblzma.so.5")
    library.lzma_version_string.restype = ctypes.c_char_p
    return str(library.lzma_version_string().decode())


def _libzstd() -> str:
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_versionString.restype = ctypes.c_char_p
    return str(library.ZSTD_versionString().decode())
