# SPDX-License-Identifier: LGPL-2.1-or-later
"""The pack: the same commands from one file of byte code, and never from an old one."""

from __future__ import annotations

import marshal
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.common import REPO
from tests.support.koforge import Ko

PYTHON = "/usr/bin/python3"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the program and the package, with a pack."""
    for name in ("bin", "pymodutils"):
        shutil.copytree(REPO / name, tmp_path / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([PYTHON, "-IS", tmp_path / "pymodutils/make_pack.py"], check=True)
    return tmp_path


def modinfo(copy: Path) -> subprocess.CompletedProcess[str]:
    path = Ko(modinfo=["license=GPL"]).write(copy / "a.ko")
    return subprocess.run([copy / "bin/modinfo", "-l", path], capture_output=True, text=True)


def pack(copy: Path) -> Path:
    (found,) = copy.glob("pymodutils/__pycache__/commands.*.pack")
    return found


def test_commands_are_imported_from_the_pack(copy: Path) -> None:
    assert modinfo(copy).stdout == "GPL\n"
    left = sorted(path.name for path in copy.glob("pymodutils/**/__pycache__/*"))
    assert left == [pack(copy).name]  # no module was imported, and compiled, from its source
    assert not list(copy.glob("pymodutils/**/*.new"))


@pytest.mark.parametrize(
    "words", [["lsmod"], ["rmmod", "x"], ["insmod", "x"], ["modprobe", "-D", "x"], ["modinfo", "x"]]
)
def test_the_pack_holds_all_that_everyday_commands_import(copy: Path, words: list[str]) -> None:
    subprocess.run([copy / "bin" / words[0], *words[1:]], capture_output=True)
    assert [path.name for path in copy.glob("pymodutils/**/__pycache__/*")] == [pack(copy).name]


def test_it_holds_all_that_depmod_imports(copy: Path) -> None:
    Ko(exports={"f": 1}).write(copy / "lib/modules/1.0/kernel/a.ko")
    done = subprocess.run([copy / "bin/depmod", "-b", copy, "1.0"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (copy / "lib/modules/1.0/modules.dep").read_text() == "kernel/a.ko:\n"
    assert [path.name for path in copy.glob("pymodutils/**/__pycache__/*")] == [pack(copy).name]


def test_rare_commands_find_what_is_not_in_it(copy: Path) -> None:
    (copy / "lib/modules/1.0").mkdir(parents=True)
    done = subprocess.run([copy / "bin/kmod", "config", "--root", copy], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert list(copy.glob("pymodutils/cli/verbs/__pycache__/config.*"))


SCRIPT = """
import sys
sys.argv[0] = sys.argv.pop(1)
source = open(sys.argv[0]).read().replace("posix._exit(status)", "")
exec(compile(source, sys.argv[0], "exec"), {"__file__": sys.argv[0], "__name__": "__main__"})
for name, module in sys.modules.items():
    if name.partition(".")[0] == "pymodutils":
        print(name, module.__spec__.name, module.__package__, module.__file__, hasattr(module, "__path__"),
              name == "pymodutils" or getattr(sys.modules[name.rpartition(".")[0]], name.rpartition(".")[2]) is module)
"""


def test_what_is_run_first_is_as_what_importlib_makes(copy: Path) -> None:
    words = [PYTHON, "-IS", "-c", SCRIPT, str(copy / "bin/lsmod")]
    from_pack = subprocess.run(words, capture_output=True, text=True).stdout
    pack(copy).unlink()
    from_files = subprocess.run(words, capture_output=True, text=True).stdout
    assert sorted(from_pack.splitlines()) == sorted(from_files.splitlines())
    assert len(from_pack.splitlines()) > 12 and "False False" not in from_pack


def test_a_circle_of_imports_makes_no_pack(copy: Path) -> None:
    names = copy / "pymodutils/names.py"
    names.write_text(names.read_text() + "\nfrom .formats.modinfo import Field\n")  # which imports names
    done = subprocess.run([PYTHON, "-IS", copy / "pymodutils/make_pack.py"], capture_output=True, text=True)
    assert done.returncode == 1 and "a circle of imports" in done.stderr


def test_a_changed_source_of_what_is_run_first_counts(copy: Path) -> None:
    source = copy / "pymodutils/errors.py"
    source.write_text(source.read_text() + "\nraise SystemExit(43)\n")
    assert modinfo(copy).returncode != 0
    source.write_text(source.read_text().replace("raise SystemExit(43)", "extra = 1"))
    assert modinfo(copy).stdout == "GPL\n"


def test_a_changed_source_counts(copy: Path) -> None:
    source = copy / "pymodutils/cli/modinfo.py"
    text = source.read_text()
    source.write_text(
        text.replace("def run(", "def walk(").replace('"""', '"""', 1) + "\ndef run(*_):\n    return 42\n"
    )
    assert modinfo(copy).returncode == 42


def test_a_source_with_another_time_counts(copy: Path) -> None:
    """Also when its size is as before: a package put back, for instance."""
    source = copy / "pymodutils/cli/modinfo.py"
    before = source.stat()
    changed = source.read_text().replace("def run(", "def ran(", 1)
    source.write_text(changed)
    assert source.stat().st_size == before.st_size
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns - 10**9))
    assert "ran" in modinfo(copy).stderr or modinfo(copy).returncode == 1


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\0" * 20000, b"\xff" * 20000, b"i\1\0\0\0"])
def test_a_broken_pack_is_none(copy: Path, content: bytes) -> None:
    pack(copy).write_bytes(content)
    assert modinfo(copy).stdout == "GPL\n"


@pytest.mark.parametrize("size", [1000, 24576, 24577, 40000, 60000])
def test_a_pack_that_was_cut_off_is_none(copy: Path, size: int) -> None:
    """A power failure leaves a file short, or full of zeros, behind what was written."""
    whole = pack(copy).read_bytes()
    pack(copy).write_bytes(whole[:size])
    assert modinfo(copy).stdout == "GPL\n"
    pack(copy).write_bytes(whole[:size].ljust(len(whole), b"\0"))
    assert modinfo(copy).stdout == "GPL\n"


@pytest.mark.parametrize("code", ["1", "'print(1)'", "compile('raise KeyError', 'x', 'exec')"])
def test_a_pack_of_another_form_is_none(copy: Path, code: str) -> None:
    head = pack(copy).read_bytes()[:4] + marshal.dumps((eval(code), {}, False))
    pack(copy).write_bytes(head.ljust(24576, b"\0"))
    assert modinfo(copy).stdout == "GPL\n"


def test_a_pack_of_another_python_is_none(copy: Path) -> None:
    """Python of the same version may have other byte code, while it is being developed."""
    data = pack(copy).read_bytes()
    pack(copy).write_bytes(b"\1\2\r\n" + data[4:24576])
    assert modinfo(copy).stdout == "GPL\n"


@pytest.mark.parametrize("fd", [0, 1, 2])
def test_it_takes_no_standard_descriptor_that_is_closed(copy: Path, fd: int) -> None:
    """Else it would stay there, and what modprobe runs would have nothing open in its place."""
    (copy / "modprobe.d").mkdir()
    ls = f"readlink /proc/self/fd/{fd} >{copy}/fd"
    (copy / "modprobe.d/a.conf").write_text(f"install here {ls}\n")
    (copy / "lib/modules/1.0").mkdir(parents=True)
    words = f"{copy}/bin/modprobe -C {copy}/modprobe.d -d {copy} -S 1.0 here".split()
    subprocess.run(["/bin/sh", "-c", f'exec "$@" {fd}>&-', "sh", *words], check=True)
    assert fd == 1 or (copy / "fd").read_text() == "/dev/null\n"


def test_without_a_pack_nothing_is_missing(copy: Path) -> None:
    pack(copy).unlink()
    assert modinfo(copy).stdout == "GPL\n"


def test_unchecked_it_needs_no_source(copy: Path) -> None:
    subprocess.run([PYTHON, "-IS", copy / "pymodutils/make_pack.py", "--unchecked"], check=True)
    for source in copy.glob("pymodutils/**/*.py"):
        source.unlink()
    assert modinfo(copy).stdout == "GPL\n"


def test_the_same_sources_give_the_same_bytes(copy: Path) -> None:
    before = pack(copy).read_bytes()
    subprocess.run([PYTHON, "-IS", copy / "pymodutils/make_pack.py"], check=True)
    assert pack(copy).read_bytes() == before
