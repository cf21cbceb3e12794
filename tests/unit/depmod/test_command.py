# SPDX-License-Identifier: LGPL-2.1-or-later
"""depmod as a user meets it: what kmod has no word for, and what differs from it on purpose."""

from __future__ import annotations

import errno
import fcntl
import gzip
import json
import lzma
import os
import pty
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import zstandard

from pymodutils.cli.depmod import options
from pymodutils.depmod import extractor, helper, parallel
from pymodutils.depmod.inputs import BUILD_FILES
from pymodutils.depmod.render import FILES
from pymodutils.effects.publish import Directory
from pymodutils.formats import decompress_fast
from pymodutils.formats.index import read_index
from tests.support.common import BIN, need, replace_call, run_inside
from tests.support.compare import RELEASE, files_of
from tests.support.koforge import Ko

CLEAN = {"PATH": os.environ["PATH"]}


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder for all users. Those of pytest are for their owner alone, and another pytest closes them again."""
    with tempfile.TemporaryDirectory(prefix="depmod-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "lib/modules" / RELEASE
    for name in "abc":
        Ko(exports={name: 1}, needs={"a": 1, "printk": 2} if name != "a" else {"printk": 2}).write(
            directory / f"kernel/{name}.ko"
        )
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / name).touch()
    return directory


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    return ["-C", "/var/empty/none", "-b", str(tmp_path), RELEASE]


def depmod(words: list[str], **options: Any) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [BIN / "depmod", *words], capture_output=True, env={**CLEAN, **options.pop("env", {})}, timeout=60, **options
    )


# --- -A


def test_quick_does_nothing_while_no_module_is_newer(directory: Path, words: list[str]) -> None:
    depmod(words)
    before = (directory / "modules.dep").stat()
    assert depmod(["-A", *words]).returncode == 0
    assert (directory / "modules.dep").stat().st_ino == before.st_ino


def test_quick_notices_a_newer_module(directory: Path, words: list[str]) -> None:
    depmod(words)
    Ko().write(directory / "updates/d.ko")
    assert depmod(["-A", *words]).returncode == 0
    assert b"updates/d.ko:" in (directory / "modules.dep").read_bytes()


def test_quick_runs_where_nothing_is_yet(directory: Path, words: list[str]) -> None:
    done = depmod(["-A", *words])
    assert (done.returncode, done.stderr) == (0, b"")
    assert (directory / "modules.dep").exists()


def test_quick_looks_where_the_output_goes(directory: Path, words: list[str], tmp_path: Path) -> None:
    """kmod looks at the modules' own modules.dep, and leaves an empty output directory empty."""
    depmod(words)
    assert depmod(["-A", "-o", str(tmp_path / "out"), *words]).returncode == 0
    assert (tmp_path / "out/lib/modules" / RELEASE / "modules.dep").exists()


# --- operands


def test_empty_directories_are_as_none(directory: Path, tmp_path: Path) -> None:
    """From a makefile whose INSTALL_MOD_PATH is empty."""
    words = ["-C", "/var/empty/none", "-m", f"{tmp_path}/lib/modules", RELEASE]
    assert depmod(["-b", "", *words], cwd="/").returncode == 0
    assert (directory / "modules.dep").read_text().startswith("kernel/a.ko:\n")
    assert depmod(["-o", "", *words], cwd=tmp_path).returncode == 0
    assert not (tmp_path / "tmp").exists()
    done = depmod(["-b", "", "-m", "", "9.9.9-none"], cwd=tmp_path)
    assert done.stderr.splitlines()[0].endswith(b" /lib/modules/9.9.9-none: No such file or directory")


def test_a_second_release_is_not_left_out_in_silence(directory: Path, words: list[str]) -> None:
    """depmod -a $(ls /lib/modules)"""
    done = depmod(["-a", *words, "6.7", "/some/file.ko"])
    message = f"depmod: WARNING: only {RELEASE} is indexed, not 6.7: run depmod for each kernel\n"
    assert (done.returncode, done.stderr.decode()) == (0, message)
    assert depmod([*words, "-A", RELEASE]).stderr == b""  # nothing is left out


def test_quick_shows_nothing(directory: Path, words: list[str]) -> None:
    """As kmod, whether there is an older modules.dep or none."""
    for _ in range(2):
        done = depmod(["-n", "-A", *words])
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        depmod(words)
        Ko().write(directory / "updates/d.ko")


def test_a_slash_behind_the_version(directory: Path, tmp_path: Path) -> None:
    """As completion adds it."""
    assert depmod(["-C", "/var/empty/none", "-b", str(tmp_path), f"{RELEASE}/"]).returncode == 0
    assert (directory / "modules.dep").read_text().startswith("kernel/a.ko:\n")


@pytest.mark.parametrize("version", ["\u0666.1", "6", "x6.1", ".6", "6."])
def test_no_version(words: list[str], version: str) -> None:
    done = depmod([*words[:-1], version])
    assert (done.returncode, done.stderr.decode()) == (1, f"depmod: ERROR: Bad version passed {version}\n")


def test_a_file_without_a_module_directory(tmp_path: Path) -> None:
    path = Ko(modinfo=["alias=x"]).write(tmp_path / "elsewhere/a.ko")
    done = depmod(["-b", str(tmp_path / "new"), RELEASE, str(path)])
    assert (done.returncode, done.stderr.count(b"could not open")) == (0, 3)
    made = files_of(tmp_path / "new")
    assert made["modules.dep"] == f"{path}:\n".encode()
    assert b"alias x a" in made["modules.alias"]


def test_a_missing_file_makes_no_directory(words: list[str], tmp_path: Path) -> None:
    assert depmod(["-o", str(tmp_path / "out"), *words, "/none.ko"]).returncode == 1
    assert not (tmp_path / "out").exists()


def test_a_file_in_the_place_of_the_output_directory(directory: Path, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = depmod(["-o", str(tmp_path / "file"), *words])
    place = f"{tmp_path}/file/lib/modules/{RELEASE}"
    expected = f"depmod: FATAL: could not create directory {place}: Not a directory\n"
    assert (done.returncode, done.stderr.decode()) == (1, expected)


def test_a_file_of_configuration_in_the_current_directory(directory: Path, tmp_path: Path) -> None:
    """Where kmod does not survive a name without a slash."""
    for place in ("kernel", "updates"):
        Ko().write(directory / place / "twice.ko")
    (tmp_path / "rules").write_text("search built-in updates\nbogus\n")
    done = depmod(["-C", "rules", "-b", ".", RELEASE], cwd=tmp_path)
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        0, b"depmod: ERROR: rules:2: ignoring bad line starting with 'bogus'"
    )  # fmt: skip
    assert b"kernel/twice.ko:" in (directory / "modules.dep").read_bytes().splitlines()


def test_an_output_directory_behind_a_dangling_link(directory: Path, words: list[str], tmp_path: Path) -> None:
    (tmp_path / "out/lib").mkdir(parents=True)
    (tmp_path / "out/lib/modules").symlink_to("/none")
    done = depmod(["-o", str(tmp_path / "out"), *words])
    place = f"{tmp_path}/out/lib/modules/{RELEASE}"
    expected = f"depmod: FATAL: could not create directory {place}: No such file or directory\n"
    assert (done.returncode, done.stderr.decode()) == (1, expected)


def test_an_output_directory_that_may_not_be_opened(directory: Path, words: list[str], tmp_path: Path) -> None:
    need(os.geteuid() == 0, "root")
    place = tmp_path / f"out/lib/modules/{RELEASE}"
    place.mkdir(parents=True)
    place.chmod(0)
    done = depmod(["-o", str(tmp_path / "out"), *words], user=65534, group=65534, extra_groups=[])
    expected = f"depmod: FATAL: could not open directory {place}: Permission denied\n"
    assert (done.returncode, done.stderr.decode()) == (1, expected)


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress, zstandard.compress])
def test_what_is_wrong_with_a_packed_module(directory: Path, words: list[str], pack: Callable[[bytes], bytes]) -> None:
    """The decompressor's reason, then the module, as kmod says it."""
    (directory / "kernel/d.ko").write_bytes(pack(Ko().bytes())[:-9])
    done = depmod(words)
    kind, last = done.stderr.decode().splitlines()
    assert done.returncode == 0
    assert kind.partition("ERROR: ")[2] in (
        "xz: Unexpected end of input", "gzip: Unexpected end of input", "zstd: Src size is incorrect"
    )  # fmt: skip
    assert last == f"depmod: ERROR: failed to load symbols from {directory}/kernel/d.ko: Invalid argument"


# --- the cache


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where caches are kept, on a system whose /run is a file system of its own."""
    place = tmp_path / "run/pymodutils" if os.geteuid() == 0 else tmp_path / f"run/user/{os.geteuid()}/pymodutils"
    monkeypatch.setattr(options, "RUN", str(tmp_path / "run"))
    monkeypatch.setattr(options, "_is_mounted", lambda path: True)
    return place


@pytest.fixture
def native(tmp_path: Path) -> list[str]:
    """A run for this system: without -b and -o."""
    return ["-C", "/var/empty/none", "-m", f"{tmp_path}/lib/modules", RELEASE]


def kept(caches: Path) -> int:
    return len(list(caches.iterdir())) if caches.exists() else 0


@pytest.mark.parametrize(
    ("extra", "environment"), [(["--no-cache"], ""), (["-n"], ""), ([], "1"), (["--cache", "--no-cache"], "")]
)
def test_no_cache(
    directory: Path,
    native: list[str],
    caches: Path,
    extra: list[str],
    environment: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYMODUTILS_NO_CACHE", environment)
    assert run_inside("depmod", [*extra, *native]).status == 0
    assert kept(caches) == 0


@pytest.mark.parametrize("where", ["-b", "-o", "/run"])
def test_no_cache_for_another_system_unless_asked(
    directory: Path, native: list[str], caches: Path, tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also none where /run is a directory of an image that is being made."""
    words = {"-b": ["-b", "/", *native], "-o": ["-o", f"{tmp_path}/out", *native], "/run": native}[where]
    if where == "/run":
        monkeypatch.setattr(options, "_is_mounted", lambda path: False)
    before = {path for path in tmp_path.rglob("*") if path.name not in FILES}
    assert run_inside("depmod", words).status == 0
    assert kept(caches) == 0
    assert {path for path in tmp_path.rglob("*") if path.name not in FILES and "out" not in path.parts} == before
    assert run_inside("depmod", ["--cache", *words]).status == 0
    assert kept(caches) == 1


def test_a_cache_for_this_system(
    directory: Path, native: list[str], caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYMODUTILS_NO_CACHE", "")
    assert run_inside("depmod", native).status == 0
    assert kept(caches) == 1
    assert sorted(path.name for path in directory.glob("modules.*")) == sorted((*FILES, *BUILD_FILES))
    assert json.loads(run_inside("depmod", ["--json", *native]).out)["modules"] == 3


def test_a_cache_that_was_asked_for_and_cannot_be_kept(directory: Path, native: list[str], caches: Path) -> None:
    caches.parent.mkdir(parents=True)
    caches.touch()
    assert run_inside("depmod", native).err == b""
    Ko().write(directory / "kernel/d.ko")
    done = run_inside("depmod", ["--cache", *native])
    message = f"depmod: WARNING: could not keep a cache in {caches}: Not a directory\n"
    assert (done.status, done.err.decode()) == (0, message)


def test_the_same_files_whatever_the_times_and_the_place(directory: Path, words: list[str], tmp_path: Path) -> None:
    """All that a run leaves, of two trees that have the same bytes."""
    shutil.copytree(tmp_path / "lib", tmp_path / "copy/lib")
    for path in (tmp_path / "copy").rglob("*"):
        os.utime(path, (1, 1))
    assert depmod(words).returncode == 0
    assert depmod(["-C", "/var/empty/none", "-b", f"{tmp_path}/copy", RELEASE]).returncode == 0
    copy = tmp_path / "copy/lib/modules" / RELEASE
    left = {path.relative_to(directory): path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    assert left == {path.relative_to(copy): path.read_bytes() for path in copy.rglob("*") if path.is_file()}
    assert len(left) == len(FILES) + len(BUILD_FILES) + 3


def test_file_operands_leave_the_cache_alone(directory: Path, native: list[str], caches: Path) -> None:
    run_inside("depmod", [*native, str(directory / "kernel/a.ko")])
    assert kept(caches) == 0
    assert (directory / "modules.dep").read_text() == "kernel/a.ko:\n"
    run_inside("depmod", native)
    assert len((directory / "modules.dep").read_text().splitlines()) == 3


# --- symbols

STUB = "ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"


def many_needs(directory: Path, count: int) -> None:
    needs: dict[str, int | None] = {f"kernel_function_{number}": number + 1 for number in range(count)}
    Ko(needs={**needs, "nowhere": 5}).write(directory / "kernel/d.ko")


@pytest.mark.parametrize("option", ["-F", "-E"])
def test_a_file_without_the_symbols_that_modules_need_is_told_of_once(
    directory: Path, words: list[str], option: str
) -> None:
    """As Debian has it in /boot. Of a few symbols each is named, as by kmod."""
    stub = directory / "stub"
    stub.write_text(STUB)
    assert depmod(["-n", "-e", option, str(stub), *words]).stderr.count(b" needs unknown symbol printk\n") == 3
    many_needs(directory, 30)
    done = depmod(["-n", "-e", option, str(stub), *words])
    assert done.stderr.count(b"\n") == 1
    assert done.stderr.startswith(b"depmod: WARNING: %b has none of the symbols that modules need: " % bytes(stub))
    assert depmod(["-n", option, str(stub), *words]).stderr == b""  # nobody asked
    assert summary(["-n", option, str(stub), *words])["unresolved"] is None


def test_a_symvers_of_another_kernel_is_told_of_once(directory: Path, words: list[str]) -> None:
    many_needs(directory, 30)
    symvers = directory / "symvers"
    lines = [f"0x77\tkernel_function_{number}\tvmlinux\tEXPORT_SYMBOL\n" for number in range(30)]
    symvers.write_text("".join(lines) + "0x77\tprintk\tvmlinux\tEXPORT_SYMBOL\n")
    done = depmod(["-n", "-e", "-E", str(symvers), *words])
    first, second = done.stderr.decode().splitlines()
    assert first.startswith(f"depmod: WARNING: {symvers} has another version of every symbol that modules need: ")
    assert second == f"depmod: WARNING: {directory}/kernel/d.ko needs unknown symbol nowhere"
    symvers.write_text("".join(lines) + "0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n")
    assert depmod(["-n", "-e", "-E", str(symvers), *words]).stderr.count(b" disagrees about version of ") == 30


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_compressed_module_is_unpacked_once_for_its_facts_and_its_versions(
    directory: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, cpus: int
) -> None:
    """With a helper the versions that it took come to the first process. What is said is what plain files give."""
    for number in range(40 if cpus > 1 else 5):
        Ko(exports={f"own_{number}": number}, needs={"a": number, "printk": 2}).write(
            directory / f"kernel/m{number}.ko"
        )
    symvers = directory / "symvers"
    symvers.write_text("0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n")
    command = ["-n", "-e", "-E", str(symvers), *words]
    plain = run_inside("depmod", command).err
    assert plain.count(b" disagrees about version of symbol a\n") > 3
    for path in directory.glob("kernel/*.ko"):
        path.with_name(f"{path.name}.xz").write_bytes(lzma.compress(path.read_bytes()))
        path.unlink()
    real, unpacked = decompress_fast.decompress_fast, []

    def count(data: bytes) -> bytes:
        unpacked.append(data)
        return real(data)

    monkeypatch.setattr(decompress_fast, "decompress_fast", count)
    monkeypatch.setattr(parallel, "processors", lambda: cpus)
    assert run_inside("depmod", command).err == plain.replace(b".ko", b".ko.xz")
    modules = len(list(directory.glob("kernel/*.xz")))
    assert len(unpacked) == modules if cpus == 1 else len(unpacked) <= modules  # the helper counts its own


def test_a_file_of_another_kind_is_told_of_once(directory: Path, words: list[str]) -> None:
    symvers = directory / "symvers"
    symvers.write_text("0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n" * 21)
    done = depmod(["-n", "-F", str(symvers), *words])
    message = (
        f"depmod: ERROR: {symvers} has no line of the right form: is it a System.map (-F), or a Module.symvers (-E)?\n"
    )
    assert done.stderr.decode() == message
    symvers.write_text("0x2\tprintk\tvmlinux\tEXPORT_SYMBOL\n" * 2)
    assert depmod(["-n", "-F", str(symvers), *words]).stderr.count(b": invalid line: ") == 2


# --- JSON


def summary(words: list[str], status: int = 0) -> dict[str, Any]:
    done = depmod(["--json", *words])
    assert done.returncode == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["schema"] == "pymodutils/1"
    return found


def test_summary(directory: Path, words: list[str]) -> None:
    Ko(exports={"a": 5}, needs={"gone": None}).write(directory / "updates/b.ko")
    (directory / "kernel/text.ko").write_text("a text\n")
    system_map = directory / "map"
    system_map.write_text("0 T __ksymtab_printk\n")
    found = summary(["-F", str(system_map), *words])
    assert found["directory"] == str(directory)
    assert (found["modules"], found["symbols"], found["cycles"]) == (4, 2, [])
    assert found["unresolved"] == [{"symbol": "gone", "modules": ["b"]}]
    assert found["duplicate_modules"] == [
        {"name": "b", "winner": f"{directory}/updates/b.ko", "loser": f"{directory}/kernel/b.ko"}
    ]
    assert found["duplicate_symbols"] == [{"symbol": "a", "winner": "b", "loser": "a"}]
    assert [item["path"] for item in found["broken"]] == [f"{directory}/kernel/text.ko"]
    told = [(problem["code"], problem["severity"], problem["module"]) for problem in found["problems"]]
    assert ("broken-module", "error", "text") in told
    assert {problem["code"] for problem in summary(["-e", "-F", str(system_map), *words])["problems"]} > {
        code for code, _, _ in told
    }
    assert found["files"] == {name: (directory / name).stat().st_size for name in FILES}
    assert list(found["seconds"]) == ["scan", "extract", "resolve", "order", "render", "publish"]
    assert all(0 <= seconds < 60 for seconds in found["seconds"].values())


def test_without_the_kernels_symbols_nothing_is_known_to_be_missing(directory: Path, words: list[str]) -> None:
    assert summary(words)["unresolved"] is None


def test_summary_of_a_run_that_writes_nothing(directory: Path, words: list[str]) -> None:
    found = summary(["-n", *words])
    assert (found["files"], list(found["seconds"])) == ({}, ["scan", "extract", "resolve", "order", "render"])
    assert not (directory / "modules.dep").exists()


def test_summary_of_cycles(directory: Path, words: list[str]) -> None:
    Ko(exports={"a": 1}, needs={"b": 1}).write(directory / "kernel/a.ko")
    Ko(exports={"b": 1}, needs={"a": 1}).write(directory / "kernel/b.ko")
    found = summary(words, 1)
    assert (found["cycles"], found["modules"], found["files"]) == ([["a", "b", "a"]], 3, {})
    assert set(found) == set(summary(["-n", *words], 1))
    assert not (directory / "modules.dep").exists()


# --- people


def on_terminal(words: list[str], status: int = 0, setup: str = "", env: dict[str, str] | None = None) -> bytes:
    """What a terminal shows, standard output included, when there is no time to wait before progress is shown."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pymodutils.cli.depmod import reporter\n"
        "from pymodutils.cli.main import main\n"
        "reporter._Progress.AFTER = reporter._Progress.EVERY = 0\n"
        f"{setup}\n"
        "sys.exit(main(['depmod', *sys.argv[2:]]))"
    )
    master, slave = pty.openpty()
    process = subprocess.Popen(
        ["/usr/bin/python3", "-c", program, str(BIN.parent), *words],
        stdout=slave,
        stderr=slave,
        env={**CLEAN, "TERM": "xterm", **(env or {})},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            data = os.read(master, 1000)
        except OSError:
            break
        if not data:
            break
        shown += data
    os.close(master)
    assert process.wait() == status, shown
    return shown


def left_on(terminal: bytes) -> list[bytes]:
    """The lines that stay on a terminal that was shown these bytes."""
    lines = []
    for text in terminal.replace(b"\r\n", b"\n").split(b"\n"):
        *_, last = text.split(b"\r")
        lines.append(last.removeprefix(b"\x1b[K"))
    return [line for line in lines if line]


def test_progress_on_a_terminal_disappears(words: list[str], directory: Path) -> None:
    shown = on_terminal(words)
    texts = "looking for modules", "reading modules: 3 of 3", "making the indexes", "writing the indexes: 10 of 11"
    for text in texts:
        assert f"\rdepmod: {text}\x1b[K".encode() in shown
    assert left_on(shown) == []
    assert b"\rdepmod: looking for modules\x1b[K" in on_terminal(["-A", *words])


def test_progress_disappears_before_messages_and_output(words: list[str], directory: Path) -> None:
    (directory / "kernel/text.ko").write_text("no module")
    complaint = f"depmod: ERROR: failed to load symbols from {directory}/kernel/text.ko: Exec format error".encode()
    assert left_on(on_terminal(words)) == [complaint]
    first, *texts = left_on(on_terminal(["-n", *words]))
    assert (first, texts) == (complaint, depmod(["-n", *words]).stdout.splitlines())


def test_progress_disappears_after_an_interrupt(words: list[str], directory: Path) -> None:
    setup = (
        "import os; from pymodutils.effects import publish\ndef fsync(fd): raise KeyboardInterrupt\nos.fsync = fsync"
    )
    shown = on_terminal(words, 130, setup)
    assert b"writing the indexes" in shown
    assert left_on(shown) == []


def test_no_progress_in_the_log_of_dpkg(words: list[str], directory: Path) -> None:
    assert on_terminal(words, env={"DPKG_MAINTSCRIPT_NAME": "postinst"}) == b""


@pytest.mark.parametrize("terminal", ["dumb", None])
def test_no_progress_on_a_terminal_without_cursor_control(
    words: list[str], directory: Path, terminal: str | None
) -> None:
    setup = "" if terminal else "import os; del os.environ['TERM']"
    assert on_terminal(words, setup=setup, env={"TERM": terminal or "xterm"}) == b""


def test_a_terminal_that_goes_away_stops_nothing(words: list[str], directory: Path) -> None:
    setup = (
        "from pymodutils.cli.console import Console\n"
        "class Gone:\n"
        "    isatty = staticmethod(lambda: True)\n"
        "    flush = staticmethod(lambda: None)\n"
        "    def write(self, data): raise OSError(5, 'Input/output error')\n"
        "standard = Console.standard\n"
        "Console.standard = lambda argv0: Console(argv0, None, Gone())"
    )
    assert on_terminal(words, 0, setup) == b""
    assert (directory / "modules.dep").exists()


def test_no_progress_without_a_terminal(directory: Path, words: list[str]) -> None:
    assert depmod(words).stderr == b""


def test_non_ascii_alias_is_left_out_and_named(directory: Path, words: list[str]) -> None:
    Ko(modinfo=["alias=gut", "alias=größe".encode(), "alias=b\xff".encode("latin-1")]).write(directory / "kernel/d.ko")
    done = depmod(words)
    assert done.returncode == 0
    assert "left out: größe".encode() in done.stderr
    assert b"left out: b\xff" in done.stderr
    assert "alias größe d".encode() in (directory / "modules.alias").read_bytes()
    found = run_inside("modprobe", ["-d", str(directory.parents[2]), "-S", RELEASE, "-C", "/none", "-R", "gut"])
    assert found.out == b"d\n"
    assert sorted(files_of(directory.parents[2])) == sorted(FILES)


def test_an_alias_too_long_for_readers_is_left_out_and_named(directory: Path, words: list[str]) -> None:
    """It must not make the whole index unreadable."""
    Ko(modinfo=[f"alias=x{'y' * 5000}", f"alias={'z' * 4096}", "alias=short"]).write(directory / "kernel/d.ko")
    done = depmod(words)
    assert (done.returncode, done.stderr.count(b"\n")) == (0, 1)
    assert b"can only hold 4096 bytes; left out: xyyy" in done.stderr
    for alias in ("short", "z" * 4096):
        options = ["-d", str(directory.parents[2]), "-S", RELEASE, "-C", "/none"]
        assert run_inside("modprobe", [*options, "-R", alias]).out == b"d\n"


@pytest.mark.parametrize("name", ["modules.order", "modules.builtin", "modules.builtin.modinfo"])
def test_a_pipe_among_the_modules_does_not_hold_it_up(directory: Path, words: list[str], name: str) -> None:
    (directory / name).unlink()
    os.mkfifo(directory / name)
    assert depmod(words).returncode == 0


def test_a_link_that_leads_nowhere_is_named(directory: Path, words: list[str]) -> None:
    (directory / "host").symlink_to("/nowhere/at/build/time")
    (directory / "source").symlink_to("/nowhere/either")
    message = f"could not follow the link {directory}/host to /nowhere/at/build/time: No such file or directory"
    assert depmod(words).stderr.decode() == f"depmod: ERROR: {message}\n"


def test_a_pipe_named_as_a_module_does_not_hold_it_up(directory: Path, words: list[str]) -> None:
    os.mkfifo(directory / "pipe.ko")
    done = depmod([*words, str(directory / "pipe.ko")])
    assert (done.returncode, done.stderr.count(b"failed to load symbols")) == (0, 1)


def test_a_directory_in_the_place_of_an_index(directory: Path, words: list[str]) -> None:
    """Noticed before the first file is replaced."""
    depmod(words)
    before = files_of(directory.parents[2])
    (directory / "modules.devname").unlink()
    (directory / "modules.devname").mkdir()
    Ko().write(directory / "updates/d.ko")
    done = depmod(words)
    assert done.returncode == 1
    assert b"modules.devname: Is a directory" in done.stderr
    (directory / "modules.devname").rmdir()
    del before["modules.devname"]
    assert files_of(directory.parents[2]) == before


@pytest.mark.parametrize("link", ["build", "other"])
def test_a_link_to_where_the_user_may_not_look(directory: Path, words: list[str], tmp_path: Path, link: str) -> None:
    """As kmod: nothing is asked about `build`, and anything else is reported and left out."""
    need(os.geteuid() == 0, "root")
    (tmp_path / "secret/linux").mkdir(parents=True)
    (tmp_path / "secret").chmod(0)
    (directory / link).symlink_to(tmp_path / "secret/linux")
    (tmp_path / "out").mkdir(mode=0o777)
    (tmp_path / "out").chmod(0o777)
    done = depmod(["-o", str(tmp_path / "out"), *words], user=65534, group=65534, extra_groups=[])
    assert done.returncode == 0
    assert done.stderr.count(b"\n") == (link != "build")
    assert (b"could not read %b/other: Permission denied" % os.fsencode(directory) in done.stderr) == (link != "build")
    assert sorted(files_of(tmp_path / "out")) == sorted(FILES)


def test_without_a_zstd_library_good_indexes_stay(directory: Path, words: list[str]) -> None:
    """kmod without zstd writes indexes in which no module needs another."""
    (directory / "kernel/c.ko").rename(directory / "kernel/c.ko.zst")
    depmod(words)
    before = files_of(directory.parents[2])
    packed = zstandard.compress((directory / "kernel/c.ko.zst").read_bytes())
    (directory / "kernel/c.ko.zst").write_bytes(packed)
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pymodutils.formats import compression\n"
        "from pymodutils.cli.main import main\n"
        "compression.load = compression.load_part = lambda *names: None\n"
        "sys.exit(main(['depmod', *sys.argv[2:]]))"
    )
    for more in ([], ["-n"], ["--no-cache"]):
        done = subprocess.run(["/usr/bin/python3", "-c", program, BIN.parent, *more, *words], capture_output=True)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.decode() == (
            f"depmod: ERROR: could not read {directory}/kernel/c.ko.zst: zstd: no zstd library for Python "
            "(install python3-zstandard or use Python 3.14); the old files are left in place\n"
        )
        assert files_of(directory.parents[2]) == before
    assert depmod(words).returncode == 0


def test_a_directory_that_cannot_be_read(directory: Path, words: list[str], tmp_path: Path) -> None:
    """It is not called one that cannot be written, and with -A an external one is passed over as without."""
    need(os.geteuid() == 0, "root")
    (tmp_path / "outside").mkdir(mode=0o700)
    (tmp_path / "conf").write_text(f"external * {tmp_path}/outside\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out").chmod(0o777)
    user: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []}
    words = ["-C", str(tmp_path / "conf"), "-o", str(tmp_path / "out"), *words[2:]]
    for more in ([], ["-A"]):
        done = depmod([*more, *words], **user)
        assert done.returncode == 0
    directory.chmod(0o700)
    done = depmod(words, **user)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == [
        f"depmod: ERROR: could not open directory {directory}: Permission denied",
        "depmod: FATAL: could not search modules: Permission denied",
    ]


@pytest.mark.parametrize("count", [8, 9, 12, 16])
def test_few_files_may_be_open_at_once(directory: Path, words: list[str], count: int) -> None:
    script = 'ulimit -n "$1"; shift; exec "$@"'
    done = subprocess.run(["bash", "-c", script, "sh", str(count), BIN / "depmod", *words], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    made = files_of(directory.parents[2])
    depmod(words)
    assert files_of(directory.parents[2]) == made
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]


# --- several at once


def test_a_second_depmod_waits_for_the_first(directory: Path, words: list[str]) -> None:
    with Directory(str(directory)) as first:
        first.lock()
        process = subprocess.Popen([BIN / "depmod", *words], stderr=subprocess.PIPE)
        assert process.stderr is not None
        assert b"waiting" in process.stderr.readline()
        assert not (directory / "modules.dep").exists()
    assert process.wait(30) == 0
    process.stderr.close()
    assert (directory / "modules.dep").exists()
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]


def test_nobody_without_the_right_to_write_keeps_it_waiting(directory: Path, words: list[str]) -> None:
    """Everybody may lock what everybody may open: the module directory, and the one with caches."""
    with Directory(str(directory)) as first:
        first.lock()
        assert [path.name for path in directory.iterdir() if path.stat().st_mode & 0o077 == 0] == [".depmod-lock"]
    fd = os.open(directory, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    try:
        done = depmod(words)
    finally:
        os.close(fd)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_lock_that_a_killed_run_has_left_is_none(directory: Path, words: list[str]) -> None:
    (directory / ".depmod-lock").touch(0o600)
    done = depmod(words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not (directory / ".depmod-lock").exists()


def test_many_at_once(directory: Path, words: list[str]) -> None:
    processes = [subprocess.Popen([BIN / "depmod", "--no-cache", *words], stderr=subprocess.PIPE) for _ in range(6)]
    assert [process.wait(60) for process in processes] == [0] * 6
    for process in processes:
        assert process.stderr is not None
        process.stderr.close()
    assert not [path for path in directory.iterdir() if path.name.startswith(".")]
    alone = files_of(directory.parents[2])
    depmod(["--no-cache", *words])
    assert files_of(directory.parents[2]) == alone


# --- two processes


def many(directory: Path, count: int = 200) -> None:
    for number in range(count):
        Ko(modinfo=[f"alias=x{number}*"], exports={f"s{number}": 1}, needs={f"s{number // 2}": 1}).write(
            directory / f"kernel/many/m{number}.ko"
        )
    Ko(exports={"s0": 1}).write(directory / "kernel/many/m0.ko")


def test_one_processor_and_two_make_the_same(
    directory: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    many(directory)
    made = []
    forks: list[object] = []
    start = parallel.start

    def counted(work: Any) -> Any:
        forks.append(work)
        return start(work)

    monkeypatch.setattr(parallel, "start", counted)
    for count in (1, 2):
        monkeypatch.setattr(parallel, "processors", lambda count=count: count)
        assert run_inside("depmod", ["--no-cache", *words]).status == 0
        assert len(forks) == count - 1
        made.append(files_of(directory.parents[2]))
    assert made[0] == made[1]


@pytest.mark.parametrize(
    ("home", "name"), [(extractor, "extract"), (helper, "make_alias_index"), (helper, "make_dep_index")]
)
def test_a_helper_that_dies_is_made_up_for(
    directory: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, home: ModuleType, name: str
) -> None:
    many(directory)
    monkeypatch.setattr(parallel, "processors", lambda: 1)
    run_inside("depmod", ["--no-cache", *words])
    expected = files_of(directory.parents[2])
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    first = os.getpid()

    real = getattr(home, name)

    def die_or_do(*arguments: Any, **named: Any) -> Any:
        if os.getpid() != first:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)

    monkeypatch.setattr(home, name, die_or_do)
    assert run_inside("depmod", ["--no-cache", *words]).status == 0
    assert files_of(directory.parents[2]) == expected


@pytest.mark.parametrize("call", ["pipe", "write", "memfd_create", "fork", "pwrite"])
def test_without_what_two_processes_need_there_is_one(
    directory: Path, words: list[str], monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    many(directory)
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    assert run_inside("depmod", ["--no-cache", *words]).status == 0
    expected = files_of(directory.parents[2])
    descriptors = len(os.listdir("/proc/self/fd"))
    calls = []

    real = getattr(os, call)

    def fail(*arguments: Any) -> object:
        if call == "write" and not stat.S_ISFIFO(os.fstat(arguments[0]).st_mode):
            return real(*arguments)
        calls.append(call)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        replace_call(patch, call, fail)
        done = run_inside("depmod", ["--no-cache", *words])
    assert calls
    assert (done.status, done.err) == (0, b"")
    assert files_of(directory.parents[2]) == expected
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_pipes_of_one_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system gives them to users who have many; nobody reads before all tokens are in."""
    real = os.pipe

    def pipe() -> tuple[int, int]:
        ends = real()
        fcntl.fcntl(ends[0], fcntl.F_SETPIPE_SZ, os.sysconf("SC_PAGESIZE"))
        os.set_blocking(ends[1], False)
        return ends

    replace_call(monkeypatch, "pipe", pipe)
    tokens = parallel.Tokens(1_000_000)
    tokens.share()
    assert [number for chunk in tokens for number in chunk] == list(range(1_000_000))
    tokens.close()


def test_killed_depmod_leaves_no_process(directory: Path, words: list[str]) -> None:
    """The second process notices the end of the first."""
    need(parallel.processors() > 1, "two CPUs")
    many(directory, 2000)
    process = subprocess.Popen([BIN / "depmod", "--no-cache", *words], stderr=subprocess.PIPE, start_new_session=True)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and not children.read_text():
        time.sleep(0.001)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("a process of the group is still there")


# --- size


def test_more_modules_than_sixteen_bits_count(tmp_path: Path) -> None:
    """kmod numbers modules by 16 bits."""
    folder = tmp_path / "lib/modules" / RELEASE / "kernel"
    folder.mkdir(parents=True)
    image = Ko(modinfo=["alias=shared"]).bytes()
    count = 70_000
    for number in range(count):
        if number % 30_000 == 0:
            source = folder / f"m{number}.ko"
            source.write_bytes(image)
        else:
            os.link(source, folder / f"m{number}.ko")
    done = depmod(["-C", "/none", "-b", str(tmp_path), RELEASE])
    assert done.returncode == 0
    assert len((folder.parent / "modules.dep").read_bytes().splitlines()) == count
    options = ["-d", str(tmp_path), "-S", RELEASE, "-C", "/none"]
    assert run_inside("modprobe", [*options, "-D", "m69999"]).out == f"insmod {folder}/m69999.ko \n".encode()
    aliases = read_index((folder.parent / "modules.alias.bin").read_bytes())
    assert [value.priority for value in aliases.lookup("shared")] == list(range(count))
