# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod on Debian's whole trees: the same bytes as kmod 34.2's, and every reader reads every writer."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pymodutils.depmod.extract import extract
from pymodutils.depmod.render import FILES
from pymodutils.depmod.scan import scan
from pymodutils.depmod.settings import DEFAULT
from pymodutils.depmod.symbol_ids import SymbolIds
from pymodutils.formats import elf_fast
from tests.support import assets
from tests.support.common import BIN, need
from tests.support.compare import differing, files_of, messages, run_both

# kmod 34.2 as Debian builds it reads no gzip: for that form its files are those of the xz form, renamed
# (tests.support.assets).
FORMS = [("6.1", "none"), ("6.1", "zst"), ("6.1", "xz"), ("6.12", "xz")]


@pytest.mark.parametrize(("kernel", "compression"), FORMS)
def test_all_files_are_identical(tmp_path: Path, kernel: str, compression: str) -> None:
    release = assets.release(kernel)
    ours, theirs = run_both(assets.module_tree(kernel, compression), tmp_path, [], release)
    assert (
        (ours.status, ours.out, messages(ours.err)) == (theirs.status, theirs.out, messages(theirs.err)) == (0, b"", [])
    )
    assert differing(tmp_path, release) == []
    assert len(files_of(tmp_path / "ours", release)["modules.dep"].splitlines()) > 3900


def test_all_files_are_identical_in_gzip(tmp_path: Path) -> None:
    base, release = assets.module_tree("6.1", "gz"), assets.release("6.1")
    subprocess.run([BIN / "depmod", "-b", base, "-o", tmp_path, release], check=True)
    made, expected = files_of(tmp_path, release), files_of(base, release)
    assert sorted(made) == sorted(FILES)
    assert [name for name in FILES if made[name] != expected[name]] == []


@pytest.mark.parametrize("architecture", assets.FOREIGN)
def test_all_files_are_identical_of_another_class_and_byte_order(tmp_path: Path, architecture: str) -> None:
    """Whole trees for 32-bit ARM and big-endian s390x, and every module goes the fast way."""
    base, release = assets.foreign_tree(architecture)
    ours, theirs = run_both(base, tmp_path, [], release)
    assert (
        (ours.status, ours.out, messages(ours.err)) == (theirs.status, theirs.out, messages(theirs.err)) == (0, b"", [])
    )
    assert differing(tmp_path, release) == []
    assert len(files_of(tmp_path / "ours", release)["modules.dep"].splitlines()) > 2000
    found = [read_fast(path) for path in base.rglob("*.ko")]
    assert None not in found
    assert found.count(elf_fast.SHUFFLED) > 0.98 * len(found)


def read_fast(path: Path) -> bytes | None:
    """What the fast reader says of the order in which it has the symbols; None when it gives up."""
    fd = os.open(path, os.O_RDONLY)
    try:
        facts = elf_fast.read_file(fd, os.pread(fd, elf_fast.HEADER_SIZE, 0))
    finally:
        os.close(fd)
    return None if facts is None else facts.shuffled


def test_texts_are_shown(tmp_path: Path) -> None:
    release = assets.release("6.1")
    ours, theirs = run_both(assets.module_tree("6.1"), tmp_path, ["-n"], release)
    assert sorted(ours.out.splitlines()) == sorted(theirs.out.splitlines())
    assert ours.status == theirs.status == 0
    assert not list(tmp_path.iterdir())


def test_with_the_kernels_symbols(tmp_path: Path) -> None:
    """-e -F finds what is missing: each fiftieth symbol."""
    release = assets.release("6.1")
    needed = symbols_needed()
    some = tmp_path / "System.map"
    lines = [b"0 T __ksymtab_" + name for number, name in enumerate(sorted(needed)) if number % 50]
    some.write_bytes(b"ffff B the real one is elsewhere\ndamaged\n" + b"\n".join(lines) + b"\n")
    ours, theirs = run_both(assets.module_tree("6.1"), tmp_path, ["-n", "-e", "-F", str(some)], release)
    assert messages(ours.err) == messages(theirs.err)
    assert len(messages(ours.err)) > 1000


def symbols_needed() -> set[bytes]:
    directory = assets.module_tree("6.1") / "lib/modules" / assets.release("6.1")
    symbols = SymbolIds()
    with open_directory(directory) as fd:
        for _, path in scan(os.fsencode(directory), DEFAULT).modules:
            extract(fd, path, symbols)
    return set(symbols.new_names())


@contextmanager
def open_directory(path: Path) -> Iterator[int]:
    fd = os.open(path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Base directories with our indexes and with kmod 30's, of one tree."""
    need(Path("/usr/sbin/depmod").exists(), "kmod")
    base, release = assets.module_tree("6.1"), assets.release("6.1")
    folder = tmp_path_factory.mktemp("written")
    for name, program in (("ours", str(BIN / "depmod")), ("kmod30", "/usr/sbin/depmod")):
        modules = folder / name / "lib/modules" / release
        modules.mkdir(parents=True)
        for entry in ("kernel", "modules.order", "modules.builtin", "modules.builtin.modinfo"):
            (modules / entry).symlink_to(base / "lib/modules" / release / entry)
        subprocess.run([program, "-b", folder / name, release], check=True, capture_output=True)
    return folder / "ours", folder / "kmod30"


def all_names() -> list[str]:
    modules = assets.module_tree("6.1") / "lib/modules" / assets.release("6.1")
    return sorted(path.name.partition(".")[0] for path in modules.rglob("*.ko"))


@pytest.mark.parametrize("reader", ["kmod30", "kmod34", "ours"])
@pytest.mark.parametrize("form", ["-c", "-D"])
def test_every_modprobe_reads_every_depmod(written: tuple[Path, Path], reader: str, form: str) -> None:
    """From our indexes (pre-order) and kmod 30's (children first), each modprobe says the same."""
    program = {
        "kmod30": ["/usr/sbin/modprobe"],
        "kmod34": assets.kmod34_argv("modprobe"),
        "ours": [str(BIN / "modprobe")],
    }
    words = ["-c"] if form == "-c" else ["-a", "-D", *all_names()]
    answers = []
    for base in written:
        options = ["-C", "/var/empty/none", "-d", str(base), "-S", assets.release("6.1")]
        done = subprocess.run([*program[reader], *options, *words], capture_output=True)
        assert done.returncode == 0, done.stderr
        answers.append(done.stdout.replace(str(base).encode(), b""))
    assert len(answers[0].splitlines()) > 3900
    if form == "-c":  # kmod 30 gives modules beyond modules.order other numbers, and so equal aliases another order
        answers = [b"\n".join(sorted(answer.splitlines())) for answer in answers]
    assert answers[0] == answers[1]
