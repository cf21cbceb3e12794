# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading files: what is no file does not hold anybody up, and what somebody names may be a pipe."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pymodutils import FileError
from pymodutils.state.files import MOST_LINKS, inside, read_attribute, read_chosen, read_file, read_or_none


@pytest.mark.parametrize("read", [read_file, read_or_none])
def test_a_pipe_in_the_place_of_a_file_is_refused(tmp_path: Path, read: Callable[[str], bytes | None]) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    with pytest.raises(FileError, match="a pipe, and no file"):
        read(pipe)
    writer = os.open(pipe, os.O_RDWR)  # one with a writer who writes nothing is not waited for either
    try:
        with pytest.raises(FileError, match="a pipe, and no file"):
            read(pipe)
    finally:
        os.close(writer)


@pytest.mark.parametrize("read", [read_file, read_or_none, read_attribute, read_chosen])
def test_a_link_to_dev_null_is_an_empty_file(tmp_path: Path, read: Callable[[str], bytes | None]) -> None:
    (tmp_path / "masked").symlink_to("/dev/null")
    assert read(str(tmp_path / "masked")) == b""


@pytest.mark.parametrize("read", [read_file, read_or_none, read_chosen])
def test_a_device_without_end_is_too_large(read: Callable[[str], bytes | None]) -> None:
    with pytest.raises(FileError) as caught:
        read("/dev/zero")
    assert caught.value.errno == errno.EFBIG


@pytest.mark.parametrize("read", [read_file, read_or_none])
def test_a_file_that_is_larger_than_memory_is_not_read(tmp_path: Path, read: Callable[[str], bytes | None]) -> None:
    with open(tmp_path / "sparse", "wb") as file:
        file.truncate(1 << 42)
    with pytest.raises(FileError) as caught:
        read(str(tmp_path / "sparse"))
    assert caught.value.errno == errno.EFBIG


def test_a_pipe_that_somebody_names_is_read_to_its_end(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    def write() -> None:
        with open(pipe, "wb", buffering=0) as file:
            for _ in range(3):
                file.write(b"x" * 40_000)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        assert read_chosen(pipe) == b"x" * 120_000
    finally:
        writer.join()


@pytest.mark.parametrize("read", [read_file, read_chosen])
def test_what_is_not_there_is_an_error(tmp_path: Path, read: Callable[[str], bytes]) -> None:
    for path, number in ((str(tmp_path / "no"), errno.ENOENT), ("a\0b", errno.ENOENT), (str(tmp_path), errno.EISDIR)):
        with pytest.raises(FileError) as caught:
            read(path)
        assert caught.value.errno == number


def test_links_are_followed_as_in_the_other_system(tmp_path: Path) -> None:
    root = str(tmp_path)
    (tmp_path / "etc").mkdir()
    links = {"lib": "/usr/lib", "up": "../../../../x", "near": "./a//b", "masked": "/dev/null", "round": "round"}
    for name, target in links.items():
        (tmp_path / ("lib" if name == "lib" else f"etc/{name}")).symlink_to(target)
    for path, expected in {
        "/etc/plain": "/etc/plain",
        "/etc//./plain/..": "/etc//./plain/..",  # without a link it is the path itself
        "/lib/modules": "/usr/lib/modules",
        "/etc/up/y": "/x/y",
        "/etc/near": "/etc/a/b",
        "/etc/round": "/etc/round",
    }.items():
        assert inside(root, root + path) == root + expected
    assert inside(root, f"{root}/etc/masked") == "/dev/null"
    assert inside("", "/lib") == "/lib" and inside(root, "/lib") == "/lib"


def test_as_many_links_are_followed_as_the_kernel_does(tmp_path: Path) -> None:
    for number in range(MOST_LINKS + 1):
        (tmp_path / str(number)).symlink_to(f"/{number + 1}")
    end = f"{tmp_path}/{MOST_LINKS + 1}"
    assert inside(str(tmp_path), f"{tmp_path}/1") == end
    assert inside(str(tmp_path), f"{tmp_path}/0") != end
