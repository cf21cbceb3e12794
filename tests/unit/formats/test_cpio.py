# SPDX-License-Identifier: LGPL-2.1-or-later
"""Initial file system images: archives in all compressions, one after the other, whole and damaged."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from pymodutils.errors import CompressionError, Error, FormatError, MissingSupportError
from pymodutils.formats import cpio
from pymodutils.formats.cpio import read_members
from pymodutils.formats.source import BytesSource
from pymodutils.state.image import read_image_files
from tests.support.common import need
from tests.support.images import COMPRESSIONS, archive, compressed

FILES: dict[str, str | bytes] = {
    "etc/a.conf": "text\n",
    "usr/lib/x.ko": b"module" * 99,
    "lib": "-> usr/lib",
    "empty": "",
}


def members(data: bytes, wanted: str = "etc") -> dict[str, bytes | None]:
    found = read_members(BytesSource(data), lambda path: path.startswith(wanted))
    return {member.path: member.data for member in found if member.is_file or member.is_link}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_what_is_wanted_is_kept_and_the_rest_named(kind: str) -> None:
    assert members(compressed(archive(FILES), kind)) == {
        "etc/a.conf": b"text\n", "usr/lib/x.ko": None, "lib": b"usr/lib", "empty": None,
    }  # fmt: skip


@pytest.mark.parametrize("second", [kind for kind in COMPRESSIONS if kind != "none"])
@pytest.mark.parametrize("padding", [0, 512])
def test_an_early_archive_and_a_compressed_one(second: str, padding: int) -> None:
    """As microcode and the initial file system stand in one file."""
    data = archive({"kernel/x86": "cpu"}) + bytes(padding) + compressed(archive(FILES), second)
    assert set(members(data)) == {"kernel/x86", *FILES}


@pytest.mark.parametrize("kind", ["gzip", "bzip2", "lzma", "xz", "zstd"])
def test_compressed_parts_one_after_the_other(kind: str) -> None:
    data = compressed(archive({"etc/1": "1"}), kind) + compressed(archive({"etc/2": "2"}) + bytes(256), kind) + bytes(4)
    assert members(data) == {"etc/1": b"1", "etc/2": b"2"}


def test_archives_within_one_compressed_part() -> None:
    data = compressed(archive({"etc/1": "1"}) + bytes(512) + archive({"etc/2": "2"}), "gzip")
    assert members(data) == {"etc/1": b"1", "etc/2": b"2"}


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_large_archives_come_in_pieces(kind: str) -> None:
    noise = random.Random(1).randbytes(3_000_000)
    data = compressed(archive({"big": noise, "etc/a": noise[:500_000], "etc/b": "end"}), kind)
    found = members(data)
    assert (found["etc/a"], found["etc/b"], found["big"]) == (noise[:500_000], b"end", None)


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_archives_that_compress_well_come_as_a_whole(kind: str) -> None:
    """What a small piece of the image makes is larger than what is taken at a time."""
    data = compressed(archive({"big": bytes(9_000_000), "etc/a": b"ab" * 2_000_000, "etc/b": "end"}), kind)
    found = members(data)
    assert (found["etc/a"], found["etc/b"]) == (b"ab" * 2_000_000, b"end")


@pytest.mark.parametrize("kind", COMPRESSIONS)
def test_a_truncated_image_is_an_error(kind: str) -> None:
    data = compressed(archive({"etc/a": random.Random(2).randbytes(5000)}), kind)
    for length in (7, 100, len(data) // 2, len(data) - 150):
        with pytest.raises(FormatError):
            members(data[:length])


@pytest.mark.parametrize(
    "data",
    [b"neither", archive(FILES)[:110] + b"x" * 200, b"070701" + b"z" * 104, b"\x89LZO\0\r\n"],
    ids=["no archive", "no magic", "no number", "lzo"],
)
def test_what_is_no_image_is_an_error(data: bytes) -> None:
    with pytest.raises(Error):
        members(data)


def test_the_size_of_all_is_limited() -> None:
    data = compressed(archive({"big": bytes(20_000_000)}), "gzip")
    with pytest.raises(CompressionError):
        list(read_members(BytesSource(data), lambda _path: False, limit=1 << 20))


def test_what_is_kept_is_limited() -> None:
    data = archive({"a": bytes(3000), "b": bytes(3000)})
    for most in (6000, 3000):
        found = read_members(BytesSource(data), lambda path: path in "ab", most_kept=most)
        assert next(found).path == "a"
        if most == 3000:
            with pytest.raises(FormatError, match="b in an archive is too large"):
                list(found)


def test_one_member_is_limited_where_all_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpio, "MOST_IN_MEMBER", 3000)
    assert len(list(read_members(BytesSource(archive({"a": bytes(3000)})), lambda path: path == "a"))) == 1
    with pytest.raises(FormatError, match="a in an archive is too large"):
        list(read_members(BytesSource(archive({"a": bytes(3001)})), lambda path: path == "a"))


def test_all_files_of_an_image_may_be_larger_than_what_modprobe_reads(tmp_path: Path) -> None:
    """As uncompressed modules of Debian's own images are together."""
    image = tmp_path / "image"
    image.write_bytes(compressed(archive({f"lib/{n}.ko": bytes(cpio.MOST_KEPT // 3) for n in range(4)}), "gzip"))
    assert len({file.digest for file in read_image_files(str(image), lambda path: path.endswith(".ko"))}) == 1


def test_a_missing_lz4_library_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpio, "load", lambda _name: None)
    with pytest.raises(MissingSupportError, match="python3-lz4"):
        members(compressed(archive(FILES), "lz4"))


def test_what_the_real_tool_writes(tmp_path: Path) -> None:
    need(shutil.which("cpio"), "cpio")
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/a.conf").write_text("text\n")
    os.symlink("etc", tmp_path / "link")
    done = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet"], input=b"etc\netc/a.conf\nlink\n", stdout=subprocess.PIPE, cwd=tmp_path
    )
    assert members(done.stdout) == {"etc/a.conf": b"text\n", "link": b"etc"}
