# SPDX-License-Identifier: LGPL-2.1-or-later
"""The parts of `os` that the everyday commands have: each answers as the one of `os` does."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path, PurePath

import pytest

from pymodutils import osparts
from tests.support.common import REPO

TEXTS = ["".join(parts) for parts in product(["", "/", "//", "a", ".", "..", "é", "\udcff", "a.ko"], repeat=3)]


@pytest.mark.parametrize("text", sorted({text.encode("utf-8", "surrogateescape") for text in TEXTS}))
def test_names(text: bytes) -> None:
    path = text.decode("utf-8", "surrogateescape")
    assert osparts.basename(path) == os.path.basename(path)
    assert osparts.encode(path) == os.fsencode(path)
    assert osparts.decode(text) == os.fsdecode(text)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A directory with one file of each kind."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    for target in ("directory", "file", "pipe", "nothing", "circle"):
        (tmp_path / f"link to {target}").symlink_to(target)
    (tmp_path / "circle").symlink_to("link to circle")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).touch()
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        yield tmp_path


@pytest.mark.parametrize("slash", ["", "/", "/..", "/x"])
def test_what_lies_at_a_path(place: Path, slash: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    names = [*os.listdir(place), "nothing", "", ".", "..", "\0", "a\0b", "\ud800", "x" * 300, "/dev/null", "/proc/1"]
    assert len(names) > 15
    for name in [f"{name}{slash}" for name in names]:
        for path in (name, f"{place}/{name}"):
            assert osparts.exists(path) == os.path.exists(path), path
            assert osparts.is_file(path) == os.path.isfile(path), path
            assert osparts.is_directory(path) == os.path.isdir(path), path


def test_what_is_a_path() -> None:
    class Own:
        def __fspath__(self) -> str:
            return "/x"

    for value in (Path(), PurePath("x"), Own(), Own, "x", b"x", 3, None, [Path()]):
        assert osparts.is_path_like(value) == isinstance(value, os.PathLike), value


def test_changes_of_the_environment_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYMODUTILS_TEST", "1")
    assert osparts.environ()["PYMODUTILS_TEST"] == "1"
    monkeypatch.delenv("PYMODUTILS_TEST")
    assert "PYMODUTILS_TEST" not in osparts.environ()


WITHOUT_OS = """
import sys
sys.path.append(sys.argv[1])
from pymodutils.osparts import environ
found = environ()
assert "os" not in sys.modules
import os
assert dict(os.environ) == found, (found, os.environ)
print(len(found))
"""


@pytest.mark.parametrize("variables", [{}, {"LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"LC_ALL": "C.UTF-8"},
                                       {"LC_ALL": "de_DE.ISO-8859-1"}], ids=str)  # fmt: skip
@pytest.mark.parametrize("options", [["-IS"], ["-IS", "-X", "utf8=0"]], ids=" ".join)
def test_the_environment_where_nothing_has_imported_os(variables: Mapping[str, str], options: list[str]) -> None:
    unusual = {b"PLAIN": b"x", b"EMPTY": b"", b"\xc3\xa9": b"\xc3\xa9", b"\xff\xfe": b"\xff", b"LINES": b"a\nb=c"}
    environment = {**{os.fsencode(name): os.fsencode(value) for name, value in variables.items()}, **unusual}
    done = subprocess.run(
        ["/usr/bin/python3", *options, "-c", WITHOUT_OS, REPO], env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) >= len(environment)


def test_it_is_the_locale_of_the_interpreter_that_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "latin-1")
    monkeypatch.setattr(sys, "getfilesystemencodeerrors", lambda: "strict")
    assert (osparts.encode("é"), osparts.decode(b"\xe9")) == (b"\xe9", "é")


def test_absolute(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """$PWD stands before a relative path as long as it leads to the working directory."""
    way, real = f"{place}/link to directory", f"{place}/directory"
    monkeypatch.chdir(way)
    assert osparts.absolute("/a/../b") == "/a/../b"
    for value, expected in {way: way, f"{real}/../directory": f"{real}/../directory", str(place): real, "": real,
                            ".": real, f"{place}/nothing": real, f"{way}\udcff": real}.items():  # fmt: skip
        monkeypatch.setenv("PWD", value)
        assert osparts.absolute("./x") == f"{expected}/./x"
    monkeypatch.delenv("PWD")
    assert osparts.absolute("../x") == f"{real}/../x"
    Path(real).rmdir()
    with pytest.raises(FileNotFoundError) as raised:
        osparts.absolute("x")
    assert raised.value.filename == "the working directory"
