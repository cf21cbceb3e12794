# SPDX-License-Identifier: LGPL-2.1-or-later
"""Nothing that a user, a directory or a variable offers is imported or run; nothing outside the modules is opened."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.robustness.observed import observe
from tests.robustness.trees import RELEASE, command_lines, make_tree, start
from tests.support.common import BIN, REPO

NAMES = (
    "struct _struct os sys posix stat syslog json zlib lzma _lzma ctypes _ctypes errno fcntl site sitecustomize "
    "itertools usercustomize codecs encodings abc io signal _signal pymodutils zstandard asn1crypto compression "
    "backports time"
).split()

EVIL = "import posix\nposix.close(posix.open({marker!r}, posix.O_CREAT | posix.O_WRONLY))\n"


def plant(folder: Path, marker: Path, names: list[str] = NAMES) -> Path:
    """Fill a folder with modules that leave a marker when they are imported, and .pth files that import one."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(EVIL.format(marker=str(marker)))
    (folder / "evil.pth").write_text(f"import sys; open({str(marker)!r}, 'w')\n")
    return folder


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The commands as in a checkout and as installed, with traps next to them; the folder where the commands are."""
    base = tmp_path_factory.mktemp("forms")
    marker = base / "marker"
    checkout = base / "checkout"
    shutil.copytree(BIN, checkout / "bin", symlinks=True)
    shutil.copytree(REPO / "pymodutils", checkout / "pymodutils", ignore=shutil.ignore_patterns("__pycache__"))
    own = [name for name in NAMES if name != "pymodutils"]  # the checkout itself has one: its own
    plant(checkout / "bin", marker)
    plant(checkout, marker, own)
    installed = base / "installed"
    make = ["make", "-s", "-C", str(REPO), "install", f"DESTDIR={installed}", "PREFIX=/usr", "PYTHON=/usr/bin/python3"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL)
    for folder in ("usr/sbin", "usr/bin", "usr/lib", "usr/lib/pymodutils/bin"):
        plant(installed / folder, marker)
    plant(installed / "usr/lib/pymodutils", marker, own)
    (installed / "usr/bin/depmod").symlink_to("kmod")
    for name in ("rmmod", "insmod", "modinfo", "modprobe"):
        (installed / "usr/bin" / name).symlink_to("kmod")
    return {"checkout": checkout / "bin", "installed": installed / "usr/bin", "marker": marker}


def hostile_environment(evil: Path) -> dict[str, str]:
    """Every variable of CPython's that names something to import, run or write, pointing to a trap."""
    user = evil / ".local/lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    plant(user, evil.parent / "marker")
    return {
        "HOME": str(evil),
        "PATH": f"{evil}:/usr/bin:/bin",
        "PYTHONPATH": str(evil),
        "PYTHONSTARTUP": str(evil / "struct.py"),
        "PYTHONHOME": str(evil),
        "PYTHONPLATLIBDIR": str(evil),
        "PYTHONUSERBASE": str(evil / ".local"),
        "PYTHONEXECUTABLE": str(evil / "python3"),
        "PYTHONPYCACHEPREFIX": str(evil / "cache"),
        "PYTHONINSPECT": "1",
        "PYTHONWARNINGS": "error::os.Evil",
        "PYTHONBREAKPOINT": "struct.evil",
        "PYTHONIOENCODING": "utf-16",
        "PYTHONUTF8": "0",
        "PYTHONPROFILEIMPORTTIME": "1",
        "PYTHONMALLOC": "debug",
        "PYTHONDEVMODE": "1",
        "PYTHONVERBOSE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDUMPREFS": "1",
        "PYTHONTRACEMALLOC": "25",
        "LD_LIBRARY_PATH": str(evil),
        "LD_PRELOAD": "libc.so.6",
    }


@pytest.mark.parametrize("form", ["checkout", "installed"])
def test_no_variable_directory_or_file_changes_what_is_imported(
    forms: dict[str, Path], form: str, tmp_path: Path
) -> None:
    marker = forms["marker"]
    (tmp_path / "tree").mkdir()
    tree = make_tree(tmp_path / "tree")
    evil = plant(tmp_path / "evil", marker)
    (tmp_path / "marker").unlink(missing_ok=True)
    environment = hostile_environment(evil)
    zst = tree / "c.ko.zst"
    subprocess.run(["zstd", "-q", str(tree / "lib/modules" / RELEASE / "kernel/a.ko"), "-o", str(zst)], check=True)
    for words in [*command_lines(tree), ["modinfo", str(zst)], ["kmod", "nonsense"]]:
        usual = start(words, forms[form], env={"PATH": "/usr/bin:/bin"}, cwd="/")
        done = start(words, forms[form], env=environment, cwd=evil)
        assert (done.returncode, done.stdout, done.stderr) == (usual.returncode, usual.stdout, usual.stderr), words
        assert not marker.exists(), words
        assert not (tmp_path / "marker").exists(), words
        assert not (evil / "cache").exists(), words


def test_the_traps_work(tmp_path: Path) -> None:
    """An interpreter that is not isolated falls into each."""
    marker = tmp_path / "marker"
    evil = plant(tmp_path / "evil", marker, ["struct", "sitecustomize"])
    for options, cwd in ({"PYTHONPATH": str(evil)}, Path("/")), ({}, evil):
        subprocess.run([sys.executable, "-c", "import struct"], env=options, cwd=cwd, check=False)
        assert marker.exists()
        marker.unlink()


def test_only_install_and_remove_commands_start_anything(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    for words in command_lines(tree):
        if words[0] != "depmod":
            assert observe(words, tmp_path).started() == [], words
    # depmod shares its work with a copy of itself, and starts no program
    done = observe(["depmod", "-b", str(tree), RELEASE], tmp_path)
    assert {event for event, _ in done.started()} <= {"os.fork"}


def test_a_command_of_the_configuration_goes_to_the_shell_as_it_is(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    command = "echo \"$MODPROBE_MODULE $PMT\"; echo 'two'"
    (tree / "modprobe.d/y.conf").write_text(f"install stop {command}\n")
    words = ["modprobe", "-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d"), "stop", "x=$(touch marker)"]
    done = observe(words, tmp_path, {"PATH": "/usr/bin:/bin", "PMT": "kept"}, tmp_path)
    ((event, arguments),) = done.started()
    assert (event, arguments[:2]) == ("os.posix_spawn", ["'/bin/sh'", ascii(["sh", "-c", command])])
    assert (done.out, done.status) == (b"stop kept\ntwo\n", 0)
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "text", ["a;touch marker", "$(touch marker)", "`touch marker`", "a|touch marker", "a\ntouch marker"]
)
def test_no_name_reaches_a_shell(tmp_path: Path, text: str) -> None:
    tree = make_tree(tmp_path)
    place = ["-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d")]
    for words in (["modprobe", *place, text], ["modprobe", *place, "-n", "a", text], ["modprobe", *place, "-r", text],
                  ["modinfo", text], ["rmmod", text], ["insmod", text], ["depmod", "-b", str(tree), text],
                  ["kmod", text]):  # fmt: skip
        done = observe(words, tmp_path, cwd=tmp_path)
        assert not [event for event, _ in done.started() if event != "os.fork"], words
        assert not (tmp_path / "marker").exists(), words


KERNEL_ENVIRONMENT = {"HOME": "/", "TERM": "linux", "PATH": "/sbin:/usr/sbin:/bin:/usr/bin"}

HELPER_NAMES = [
    "/EVIL/evil.ko", "./evil.ko", "../evil/evil.ko", "../../../EVIL/evil.ko", "EVIL/evil.ko", "evil/../a", "..", ".",
    "/", "//", "a/", "kernel/a.ko", "a\n", "a\nb", "\x1b[2J", "\x01", "a b", "%s%n", "fs-../../x", "symbol:../x", "",
    "-r", "--help", "\udcff", "a" * 5000, "/proc/self/fd/0", "/dev/stdin", "a;b", "[", "*", "?",
]  # fmt: skip


@pytest.mark.parametrize("name", HELPER_NAMES, ids=ascii)
def test_names_from_the_kernel_find_nothing_and_open_nothing_else(tmp_path: Path, name: str) -> None:
    """The kernel's own call, `modprobe -q -- NAME`: as many and the same files as for any unknown name."""
    (tmp_path / "tree").mkdir()
    tree, evil = make_tree(tmp_path / "tree"), tmp_path / "evil"
    evil.mkdir()
    shutil.copy(tree / "lib/modules" / RELEASE / "kernel/a.ko", evil / "evil.ko")
    place = f"-d {tree} -S {RELEASE} -C {tree}/modprobe.d"  # what the kernel cannot give
    environment = {**KERNEL_ENVIRONMENT, "MODPROBE_OPTIONS": place}
    usual = observe(["modprobe", "-q", "--", "unknown"], tmp_path, environment, evil)
    done = observe(["modprobe", "-q", "--", name.replace("/EVIL", str(evil))], tmp_path, environment, evil)
    assert (done.status, done.out, done.err) == (1, b"", b"")
    indexes = f"{tree}/lib/modules/{RELEASE}/modules."
    assert not [path for path in done.opened() - usual.opened() if not path.startswith(indexes) or ".." in path]
    assert done.started() == []


def test_what_the_kernel_asks_for_is_found(tmp_path: Path) -> None:
    """The same call with a name that exists reads the module: the test above could fail."""
    tree = make_tree(tmp_path)
    environment = {**KERNEL_ENVIRONMENT, "MODPROBE_OPTIONS": f"-d {tree} -S {RELEASE} -C {tree}/modprobe.d"}
    done = observe(["modprobe", "-q", "--", "pci:v1d2"], tmp_path, environment)
    assert str(tree / "lib/modules" / RELEASE / "kernel/a.ko") in done.opened()


def test_a_path_of_a_user_is_still_a_path(tmp_path: Path) -> None:
    tree = make_tree(tmp_path)
    path = str(tree / "lib/modules" / RELEASE / "kernel/a.ko")
    for words in (["-n", "-v", path], ["-q", "-n", "-v", "--", path]):
        done = start(["modprobe", "-d", str(tree), "-S", RELEASE, "-C", str(tree / "modprobe.d"), *words])
        assert done.stdout == f"insmod {path} x=1 \n".encode()


def test_run_as_root_in_ci() -> None:
    if os.environ.get("CI") == "true":
        assert os.geteuid() == 0, "isolation must be shown for root"
