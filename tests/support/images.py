# SPDX-License-Identifier: LGPL-2.1-or-later
"""Forge initial file system images: archives, plain or compressed, one after the other."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from collections.abc import Mapping

import lz4.block  # type: ignore[import-untyped]
import zstandard

from tests.vm.cpio import Writer

BLOCK = 8 << 20  # bytes that a block of lz4's old format has at most

COMPRESSIONS = ("none", "gzip", "bzip2", "lzma", "xz", "lz4", "zstd")


def archive(files: Mapping[str, str | bytes]) -> bytes:
    """A cpio archive; a text that begins with `-> ` is the target of a link."""
    output = io.BytesIO()
    writer = Writer(output)
    for name, content in files.items():
        if isinstance(content, str) and content.startswith("-> "):
            writer.symlink(name, content[3:])
        else:
            writer.file(name, content if isinstance(content, bytes) else content.encode())
    writer.close()
    return output.getvalue()


def compressed(data: bytes, kind: str) -> bytes:
    if kind == "lz4":
        blocks = [
            lz4.block.compress(data[at : at + (8 << 20)], store_size=False) for at in range(0, len(data), 8 << 20)
        ]
        return b"\x02\x21\x4c\x18" + b"".join(len(block).to_bytes(4, "little") + block for block in blocks)
    return {
        "none": lambda: data,
        "gzip": lambda: gzip.compress(data, mtime=0),
        "bzip2": lambda: bz2.compress(data),
        "lzma": lambda: lzma.compress(data, lzma.FORMAT_ALONE),
        "xz": lambda: lzma.compress(data, check=lzma.CHECK_CRC32),
        "zstd": lambda: zstandard.ZstdCompressor().compress(data),
    }[kind]()
