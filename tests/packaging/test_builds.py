# SPDX-License-Identifier: LGPL-2.1-or-later
"""`make install`, `make deb`, the wheel and the sdist: what they lay down, and that it is the same bytes every time."""

from __future__ import annotations

import gzip
import hashlib
import io
import marshal
import os
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest

from pymodutils.cli import registry
from tests.support.common import REPO, need
from tests.support.koforge import Ko

APPLETS = tuple(registry.LINKS)


def checkout(folder: Path, source: Path = REPO) -> Path:
    """A clone of the commit; files take the mode that the umask gives them."""
    need((source / ".git").exists(), "the git repository")
    subprocess.run(["git", "clone", "-q", source, folder], check=True)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> None:
    # as from a shell: what the make that runs these tests says to its children is left out
    kept = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "-s", *arguments], cwd=folder, env=kept | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def build_wheel(folder: Path, **environment: str) -> None:
    """The wheel and the sdist, in dist/ of the checkout: what `make wheel` does in its own environment."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", "dist"]
    subprocess.run(command, cwd=folder, env=os.environ | environment, check=True, capture_output=True)


def contents(folder: Path) -> dict[str, str]:
    """{path: mode, link target, digest} of everything below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        digest = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else digest_of(path)
        found[str(path.relative_to(folder))] = f"{path.lstat().st_mode:o} {digest}"
    return found


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def build_all(source: Path, folder: Path, umask: int, **environment: str) -> Path:
    """Clone and build every form under a umask, in an environment; dist/ and root/ hold them."""
    before = os.umask(umask)
    try:
        tree = checkout(folder, source)
        make(tree, "deb", **environment)
        build_wheel(tree, **environment)
        make(tree, "install", f"DESTDIR={tree}/root", "PREFIX=/usr", **environment)
    finally:
        os.umask(before)
    return tree


def test_the_same_commit_gives_the_same_bytes(tmp_path: Path) -> None:
    first = build_all(REPO, tmp_path / "a", 0o022, TZ="UTC", LC_ALL="C.UTF-8", HOME="/")
    time.sleep(2.1)  # past the resolution of the times in zip files
    second = build_all(first, tmp_path / "some/where/else", 0o077, TZ="Pacific/Auckland", LC_ALL="C", USER="other")
    sums = {path.name: digest_of(path) for path in (first / "dist").iterdir()}
    assert sorted(Path(name).suffix for name in sums) == [".deb", ".gz", ".whl"]
    assert sums == {path.name: digest_of(path) for path in (second / "dist").iterdir()}
    # `make install` lays down the same whatever the umask
    assert contents(first / "root") == contents(second / "root")


def test_no_time_of_the_build_and_no_owner_is_in_the_archives(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "a")
    build_wheel(tree, SOURCE_DATE_EPOCH="1000000000")
    (wheel,) = (tree / "dist").glob("*.whl")
    assert {entry.date_time for entry in zipfile.ZipFile(wheel).infolist()} == {(2001, 9, 9, 1, 46, 40)}
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(sdist.read_bytes()))) as archive:
        assert {(entry.mtime, entry.uid, entry.uname) for entry in archive} == {(1000000000, 0, "")}


def test_the_source_archive_builds_the_same_wheel(tmp_path: Path) -> None:
    tree = checkout(tmp_path / "a")
    build_wheel(tree)
    (sdist,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "b")
    (unpacked,) = (tmp_path / "b").iterdir()
    build_wheel(unpacked)
    assert {path.name: digest_of(path) for path in (tree / "dist").iterdir()} == {
        path.name: digest_of(path) for path in (unpacked / "dist").iterdir()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make install` of the checkout gives, with the default PREFIX."""
    folder = tmp_path_factory.mktemp("install") / "root"
    make(REPO, "install", f"DESTDIR={folder}")
    return folder


def test_install_lays_down_one_program_under_all_names(root: Path) -> None:
    private = root / "usr/local/lib/pymodutils"
    for name in ("bin/kmod", "bin/lsmod", *(f"sbin/{applet}" for applet in APPLETS)):
        assert (root / "usr/local" / name).resolve() == private / "bin/kmod"
        version = subprocess.run([root / "usr/local" / name, "-V"], capture_output=True, env={})
        assert version.stdout.startswith(b"kmod version 34\n"), name
    assert (root / "usr/local/lib/modprobe.d/aliases.conf").exists()
    assert (root / "usr/local/share/bash-completion/completions/pymodutils").exists()
    assert (root / "etc/bash_completion.d/pymodutils").read_text().count("/usr/local/share/bash-completion") == 2
    docs = root / "usr/local/share/doc/pymodutils"
    wanted = {path for path in REPO.glob("docs/**/*") if path.is_file()} | {REPO / "README.md"}
    assert [path for path in wanted if not (docs / path.relative_to(REPO)).exists()] == []
    pages = {page.name for page in REPO.glob("man/*.[1-9]")}
    assert pages == {page.name for page in root.glob("usr/local/share/man/man*/*")}


def test_what_is_installed_is_the_package_and_works(root: Path, tmp_path: Path) -> None:
    private = root / "usr/local/lib/pymodutils"
    sources = {str(path.relative_to(REPO)) for path in REPO.glob("pymodutils/**/*.py")} | {"pymodutils/py.typed"}
    found = {str(path.relative_to(private)) for path in private.glob("pymodutils/**/*") if path.is_file()}
    assert {name for name in found if not name.endswith((".pyc", ".pack"))} == sources
    module = Ko(modinfo=["license=GPL"]).write(tmp_path / "a.ko")
    done = subprocess.run([root / "usr/local/sbin/modinfo", "-l", module], capture_output=True)
    assert (done.stdout, done.stderr) == (b"GPL\n", b"")


def test_the_byte_code_is_taken_as_it_is_and_names_its_place(root: Path) -> None:
    compiled = list(root.rglob("*.pyc"))
    assert len(compiled) == len(list(REPO.glob("pymodutils/**/*.py")))
    for path in compiled:
        data = path.read_bytes()
        assert data[4:8] == bytes([1, 0, 0, 0]), path  # PEP 552: by hash, which is not checked
        source = path.parent.parent / (path.name.partition(".")[0] + ".py")
        assert marshal.loads(data[16:]).co_filename == f"/{source.relative_to(root)}"


def test_nothing_is_readable_to_its_owner_alone(root: Path) -> None:
    for path in root.rglob("*"):
        wanted = 0o755 if path.is_dir() or path.parent.name in ("bin", "hooks", "initramfs", "98pymodutils") else 0o644
        assert path.is_symlink() or path.stat().st_mode & 0o777 == wanted, path
