# SPDX-License-Identifier: LGPL-2.1-or-later
"""lsmod, rmmod, insmod, modinfo and kmod off the kernel: options, messages and statuses, on fake roots."""

from __future__ import annotations

import importlib
import json
import lzma
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pymodutils
from pymodutils import syscalls
from pymodutils.formats import compression
from pymodutils.roots import Roots
from tests.support.common import BIN, Outcome
from tests.support.indexforge import build, write
from tests.support.koforge import Ko, signature

Run = Callable[..., Outcome]


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    """A fake system: three loaded modules, a module directory with indexes for `a`, `b` and the builtin `c`."""
    proc, sys = tmp_path / "proc", tmp_path / "sys"
    proc.mkdir()
    (proc / "modules").write_text(
        "b 8192 0 - Live 0x0\na 16384 1 b, Live 0x0 (OE)\nverylongmodulename_x 4096 12 - Live 0x0\n"
    )
    for name, refcount, holders in (("a", 1, ["b"]), ("b", 0, []), ("used", 3, []), ("leaving", -1, [])):
        (sys / "module" / name / "holders").mkdir(parents=True)
        (sys / "module" / name / "initstate").write_text("live\n")
        (sys / "module" / name / "refcnt").write_text(f"{refcount}\n")
        for holder in holders:
            (sys / "module" / name / "holders" / holder).touch()
    modules = tmp_path / "lib/modules/6.1"
    Ko(modinfo=["license=GPL", "author=A", "author=B", "parm=x:an x", "parmtype=x:int", "parmtype=y:bool"]).write(
        modules / "kernel/a.ko"
    )
    Ko(modinfo=["license=MIT", "averyveryverylongkey=v"], build_id=bytes(range(21))).write(modules / "kernel/b.ko")
    index = {
        "dep": [(b"a", 0, b"kernel/a.ko:"), (b"b", 1, b"kernel/b.ko: kernel/a.ko"), (b"gone", 2, b"kernel/gone.ko:")],
        "alias": [(b"pci:v1*", 0, b"a"), (b"pci:v*", 1, b"b")],
        "symbols": [(b"symbol:foo", 0, b"a")],
        "builtin": [(b"c", 0, b"")],
        "builtin.alias": [(b"c_alias", 0, b"c")],
    }
    for name, entries in index.items():
        (modules / f"modules.{name}.bin").write_bytes(write(build(entries)))
    (modules / "modules.builtin.modinfo").write_bytes(b"c.license=GPL\0c.parmtype=z:uint\0cc.license=no\0")
    return Roots(base=str(tmp_path), release="6.1", proc=str(proc), sys=str(sys))


def test_lsmod(command: Run, roots: Roots) -> None:
    done = command("lsmod", [], roots)
    assert done.status == 0
    assert done.out.decode() == (
        "Module                  Size  Used by\n"
        "b                       8192  0\n"
        "a                      16384  1 b\n"
        "verylongmodulename_x     4096  12\n"
    )


def test_lsmod_names_the_file_that_it_cannot_read(command: Run, tmp_path: Path) -> None:
    roots = Roots(proc=str(tmp_path))
    done = command("lsmod", [], roots)
    assert (done.status, done.out) == (1, b"")
    assert done.err.decode() == (
        f"lsmod: ERROR: could not open {tmp_path}/modules: No such file or directory\n"
        "lsmod: ERROR: could not get list of modules: No such file or directory\n"
    )
    (tmp_path / "modules").write_text("a 1 0 - Live 0x0\nrubbish\n")
    assert f"lsmod: ERROR: {tmp_path}/modules:2: not a line".encode() in command("lsmod", [], roots).err


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "no magic": lambda data: b"x" * len(data),
    "cut": lambda data: data[:5],
    "no root": lambda data: data[:12],
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("index", ["dep", "alias", "builtin", "builtin.alias"])
def test_modinfo_describes_what_needs_no_damaged_index(command: Run, roots: Roots, index: str, damage: str) -> None:
    path = Path(roots.modules) / f"modules.{index}.bin"
    path.write_bytes(DAMAGE[damage](path.read_bytes()))
    file = f"{roots.modules}/kernel/b.ko"
    words = ["nope", file, "a", "pci:v1d1", "c", "c_alias"]
    done = command("modinfo", ["-F", "license", *words], roots)
    assert done.status == 1
    assert done.out.split()[0] == b"MIT"
    assert f"{path}: damaged index: ".encode() in done.err
    known = json.loads(command("modinfo", ["--json", *words], roots).out)["modules"]
    assert len(known) == len(done.out.split())
    assert {module["name"] for module in known} >= {"b"} | ({"a"} if index not in ("dep",) else set())


def test_rmmod_goes_on_without_the_index_of_builtin_modules(command: Run, roots: Roots) -> None:
    path = Path(roots.modules) / "modules.builtin.bin"
    path.write_bytes(b"damaged")
    done = command("rmmod", ["a", "used"], roots)
    assert done.status == 1
    assert done.err.decode() == (
        f"rmmod: ERROR: {path}: damaged index: file is too short\n"
        "rmmod: ERROR: Module a is in use by: b\n"
        "rmmod: ERROR: Module used is in use\n"
    )


def test_rmmod_takes_the_path_of_no_file_for_a_name(command: Run, roots: Roots, tmp_path: Path) -> None:
    """As kmod: of a file's path the last part counts, of another one all that comes before the first dot."""
    said = "rmmod: ERROR: Module {} is not currently loaded\n"
    assert command("rmmod", ["no/such/x-y.ko"], roots).err.decode() == said.format("no/such/x_y")
    Ko().write(tmp_path / "there/x-y.ko")
    assert command("rmmod", [f"{tmp_path}/there/x-y.ko"], roots).err.decode() == said.format("x_y")


def test_modinfo_takes_no_path_for_a_name(command: Run, roots: Roots) -> None:
    for operand in ("kernel/a", "./a.ko", f"{roots.modules}/kernel/a.ko"):
        done = command("modinfo", ["-m", operand], roots)
        assert (done.status, done.err.decode()) == (1, f"modinfo: ERROR: Module name {operand} not found.\n")
    assert command("modinfo", ["-m", "-n", "a.ko.xz"], roots).out.decode() == f"{roots.modules}/kernel/a.ko\n"


def test_modinfo_finds_a_builtin_module_by_an_alias_where_it_takes_names_only(command: Run, roots: Roots) -> None:
    """kmod looks into modules.builtin.alias for names, and not into modules.alias."""
    done = command("modinfo", ["-m", "c-alias"], roots)
    assert done.out.decode().startswith("name:           c\nfilename:       (builtin)\nlicense:        GPL\n")
    for operand in ("pci:v1d1", "c_alias[", "c_alias]"):
        done = command("modinfo", ["-m", operand], roots)
        assert (done.status, done.err.decode()) == (1, f"modinfo: ERROR: Module name {operand} not found.\n")


def test_a_file_named_like_an_ending_alone_is_no_module_file(
    command: Run, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ko().write(tmp_path / ".ko")
    monkeypatch.chdir(tmp_path)
    assert command("modinfo", [".ko"], roots).err == b"modinfo: ERROR: Module .ko not found.\n"
    assert command("modinfo", ["-n", "./.ko"], roots).out.decode() == f"{tmp_path}/./.ko\n"


def test_files_too_short_to_tell_what_they_are(command: Run, roots: Roots, tmp_path: Path) -> None:
    """kmod refuses less than 6 bytes itself; what has no more than ELF's first 16 is no ELF file to it."""
    magics = {"zst": b"\x28\xb5\x2f\xfd", "gz": b"\x1f\x8b", "empty": b""}
    reasons = {f"{name}.ko": "Invalid argument" for name in magics}
    for name, data in magics.items():
        (tmp_path / f"{name}.ko").write_bytes(data)
    for size in (7, 16):
        (tmp_path / f"elf{size}.ko").write_bytes(Ko().bytes()[:size])
        reasons[f"elf{size}.ko"] = "Exec format error"
    (tmp_path / "elf17.ko").write_bytes(Ko().bytes()[:17])
    reasons["elf17.ko"] = "Invalid argument"
    (tmp_path / "within.ko.xz").write_bytes(lzma.compress(b"ELF", check=lzma.CHECK_CRC32))
    reasons["within.ko.xz"] = "Exec format error"
    for name, reason in reasons.items():
        done = command("modinfo", ["-l", str(tmp_path / name)], roots)
        text = f"modinfo: ERROR: could not get modinfo from '{name.partition('.')[0]}': {reason}\n"
        assert (done.status, done.err.decode()) == (1, text), name


def test_insmod_does_not_ask_the_kernel_about_files_too_short_to_tell_what_they_are(
    command: Run, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(syscalls, "finit_module", asked)
    path = tmp_path / "x.ko"
    for data in (b"", b"\x7fELF", b"\x28\xb5\x2f\xfd"):
        path.write_bytes(data)
        done = command("insmod", [str(path)], roots)
        text = f"insmod: ERROR: could not insert module {path}: Invalid parameters\n"
        assert (done.status, done.err.decode()) == (1, text)


def test_force_of_compressed_files_too_short_to_tell_what_they_are(
    command: Run, roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel decompresses nothing here, so that the versions are taken out by us."""
    monkeypatch.setattr(syscalls, "init_module", lambda *_: pytest.fail("asked the kernel"))
    path = tmp_path / "x.ko.xz"
    for size in (0, 3, 5, 6):
        path.write_bytes(lzma.compress(b"no ELF"[:size], check=lzma.CHECK_CRC32))
        done = command("insmod", ["-f", str(path)], roots)
        text = f"insmod: ERROR: could not insert module {path}: Invalid module format\n"
        assert (done.status, done.err.decode()) == (1, text), size


def test_insmod_of_a_directory(command: Run, roots: Roots, tmp_path: Path) -> None:
    """A path that ends in a slash has no name to make a module's of."""
    for path, text in (
        (f"{tmp_path}/", "could not load module {}: No such file or directory"),
        (str(tmp_path), "could not insert module {}: Is a directory"),
    ):
        done = command("insmod", [path], roots)
        assert (done.status, done.err.decode()) == (1, f"insmod: ERROR: {text.format(path)}\n")


def test_lsmod_json(command: Run, roots: Roots) -> None:
    document = json.loads(command("lsmod", ["--json"], roots).out)
    assert document["schema"] == "pymodutils/1"
    assert document["modules"][1] == {
        "name": "a", "size": 16384, "refcount": 1, "holders": ["b"], "permanent": False, "state": "live",
        "address": 0, "taint": "OE",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "err", "status"),
    [
        (["lsmod", "x"], "lsmod: ERROR: too many arguments provided.\n", 1),
        (["lsmod", "-z"], "lsmod: invalid option -- 'z'\n", 1),
        (["rmmod"], "rmmod: ERROR: missing module name.\n", 1),
        (["rmmod", "c"], "rmmod: ERROR: Module c is builtin.\n", 1),
        (["rmmod", "a"], "rmmod: ERROR: Module a is in use by: b\n", 1),
        (["rmmod", "used"], "rmmod: ERROR: Module used is in use\n", 1),
        (["rmmod", "no-such"], "rmmod: ERROR: Module no_such is not currently loaded\n", 1),
        (["rmmod", "leaving"], "", 1),
        (["insmod"], "insmod: ERROR: missing filename.\n", 1),
        (["insmod", "-"], "insmod: ERROR: this tool does not support loading from stdin!\n", 1),
        (["insmod", "/no/x.ko"], "insmod: ERROR: could not load module /no/x.ko: No such file or directory\n", 1),
        (["modinfo"], "modinfo: ERROR: missing module or filename.\n", 1),
        (["modinfo", "x"], "modinfo: ERROR: Module x not found.\n", 1),
        (["modinfo", "/no/x.ko"], "modinfo: ERROR: Module /no/x.ko not found.\n", 1),
        (["modinfo", "-m", "x"], "modinfo: ERROR: Module name x not found.\n", 1),
        (["modinfo", "bad["], "modinfo: ERROR: Module alias bad[ not found.\n", 1),
        (["modinfo", "a*"], "modinfo: ERROR: Module a* not found.\n", 1),
        (["modinfo", "-F"], "modinfo: option requires an argument -- 'F'\n", 1),
        (["kmod", "-z"], "kmod: invalid option -- 'z'\n", 1),
        (["kmod", "list", "x"], "kmod: ERROR: too many arguments provided.\n", 1),
        (["kmod", "static-nodes", "-o"], "static-nodes: option requires an argument -- 'o'\n", 1),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_refusals(command: Run, roots: Roots, words: list[str], err: str, status: int) -> None:
    done = command(words[0], words[1:], roots)
    assert (done.err.decode(), done.out, done.status) == (err, b"", status)


@pytest.mark.parametrize("name", ["lsmod", "rmmod", "insmod", "modinfo", "kmod"])
def test_help_and_version(command: Run, name: str) -> None:
    help_, version = command(name, ["-h"]), command(name, ["-V"])
    assert help_.status == version.status == 0
    assert help_.out.startswith(b"Usage:\n")
    assert version.out.splitlines()[0] == b"kmod version 34"
    _, features, own = version.out.decode().splitlines()
    assert features == "+ZSTD +XZ +ZLIB +OPENSSL"
    assert own == f"pymodutils {pymodutils.__version__} (Python {sys.version_info.major}.{sys.version_info.minor})"


def test_the_version_names_what_can_be_read_here(command: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without a zstd library the features say so, and the one message about a file says what to install."""
    monkeypatch.setattr(compression, "load", lambda name: None if "zst" in name else importlib.import_module(name))
    monkeypatch.setattr(compression, "load_part", lambda *_names: None)
    assert command("lsmod", ["-V"]).out.decode().splitlines()[1] == "-ZSTD +XZ +ZLIB +OPENSSL"
    path = tmp_path / "x.ko.zst"
    path.write_bytes(b"\x28\xb5\x2f\xfd rest")
    install = "zstd: no zstd library for Python (install python3-zstandard or use Python 3.14)"
    done = command("modinfo", [str(path)])
    assert done.err.decode() == f"modinfo: ERROR: could not get modinfo from 'x': {install}\n"
    done = command("modprobe", ["--show-exports", str(path)])
    assert done.err.decode() == f"modprobe: FATAL: could not get symbols of x: {install}\n"


def test_modinfo_of_a_module(command: Run, roots: Roots) -> None:
    done = command("modinfo", ["a"], roots)
    assert done.out.decode() == (
        f"filename:       {roots.modules}/kernel/a.ko\n"
        "license:        GPL\nauthor:         A\nauthor:         B\n"
        "parm:           y:bool\nparm:           x:an x (int)\n"
    )


def test_modinfo_wraps_long_bytes_and_does_not_cut_long_keys(command: Run, roots: Roots) -> None:
    lines = command("modinfo", ["b"], roots).out.decode().splitlines()
    assert "averyveryverylongkey:v" in lines
    assert lines[-2:] == ["build-id:       " + bytes(range(20)).hex(":").upper() + ":", "\t\t14"]


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["-p", "a"], "y: (bool)\nx:an x (int)\n"),
        (["-F", "parm", "a"], "y: (bool)\nx:an x (int)\n"),
        (["-F", "parmtype", "a"], "x:int\ny:bool\n"),
        (["-a", "a"], "A\nB\n"),
        (["-a", "-l", "a"], "GPL\n"),
        (["-0", "-a", "a"], "A\0B\0"),
        (["-F", "nothing", "a"], ""),
        (["-l", "c"], "GPL\n"),
        (["-n", "c"], "(builtin)\n"),
        (["-F", "name", "c"], "c\n"),
        (["-p", "c"], "z: (uint)\n"),
        (["c"], "name:           c\nfilename:       (builtin)\nlicense:        GPL\nparm:           z:uint\n"),
        (["-l", "pci:v1d2"], "GPL\nMIT\n"),
        (["-l", "pci:v2"], "MIT\n"),
        (["-l", "symbol:foo"], "GPL\n"),
        (["-l", "c-alias"], "GPL\n"),
        (["-l", "-m", "a.ko.xz"], "GPL\n"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_modinfo_options(command: Run, roots: Roots, words: list[str], out: str) -> None:
    done = command("modinfo", words, roots)
    assert (done.out.decode(), done.status) == (out, 0)


def test_modinfo_goes_on_after_a_failure(command: Run, roots: Roots) -> None:
    done = command("modinfo", ["-l", "a", "nope", "gone", "b"], roots)
    assert done.out == b"GPL\nMIT\n"
    assert done.err.decode() == (
        "modinfo: ERROR: Module nope not found.\n"
        "modinfo: ERROR: could not get modinfo from 'gone': No such file or directory\n"
    )
    assert done.status == 1


def test_modinfo_prints_the_filename_before_an_error(command: Run, tmp_path: Path) -> None:
    path = tmp_path / "text.ko"
    path.write_text("hello, this is text")
    done = command("modinfo", [str(path)])
    assert done.out.decode() == f"filename:       {path}\n"
    assert done.err == b"modinfo: ERROR: could not get modinfo from 'text': Exec format error\n"


def test_modinfo_json(command: Run, tmp_path: Path) -> None:
    ko = Ko(
        modinfo=["license=GPL", "softdep=pre: p post: q", "depends=a,b", "firmware=f.bin", "parm=x:d", b"author=\xf6"],
        build_id=b"\x01\x02",
        trailer=signature(b"sig", id_type=0, signer=b"Me", key_id=b"\x0a", hash_id=4),
    )
    path = ko.write(tmp_path / "x-y.ko")
    (module,) = json.loads(command("modinfo", ["--json", str(path)]).out)["modules"]
    assert (module["name"], module["filename"], module["builtin"]) == ("x_y", str(path), False)
    assert module["softdeps"] == {"pre": ["p"], "post": ["q"]}
    assert (module["depends"], module["firmware"], module["build_id"]) == (["a", "b"], ["f.bin"], "0102")
    assert module["parameters"] == [{"name": "x", "type": None, "description": "d"}]
    assert module["signature"] == {
        "id_type": "PGP", "signer": "Me", "key_id": "0a", "hash": "sha256", "signature": "736967",
    }  # fmt: skip
    assert module["raw"][0] == {"key": "license", "value": "GPL"}
    assert module["authors"][0].encode("utf-8", "surrogateescape") == b"\xf6"


def test_modinfo_json_has_what_was_found_and_the_status_tells_that_something_was_not(
    command: Run, roots: Roots
) -> None:
    done = command("modinfo", ["--json", "a", "no-such"], roots)
    assert ([module["name"] for module in json.loads(done.out)["modules"]], done.status) == (["a"], 1)


def test_modinfo_tells_the_place_of_a_file_without_reading_it(command: Run, roots: Roots) -> None:
    done = command("modinfo", ["-n", "gone"], roots)
    assert (done.out.decode(), done.err, done.status) == (f"{roots.modules}/kernel/gone.ko\n", b"", 0)


def test_undecodable_signature(command: Run, tmp_path: Path) -> None:
    path = Ko(trailer=signature(b"junk")).write(tmp_path / "a.ko")
    lines = command("modinfo", [str(path)]).out.decode().splitlines()
    assert lines[-5:] == [
        "sig_id:         PKCS#7", "signer:         ", "sig_key:        ", "sig_hashalgo:   unknown",
        "signature:      6A:75:6E:6B",
    ]  # fmt: skip


def test_names_cannot_forge_messages(command: Run, roots: Roots) -> None:
    done = command("modinfo", ["a\nmodinfo: all is well\x1bc"], roots)
    assert done.err == b"modinfo: ERROR: Module a\\x0amodinfo: all is well\\x1bc not found.\n"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("human", "Module: m\n\tDevice node: /dev/d/n\n\t\tType: block device\n\t\tMajor: 7\n\t\tMinor: 1\n"),
        ("tmpfiles", "d /dev/d 0755 - - -\nb! /dev/d/n 0600 - - - 7:1\n"),
        ("devname", "m d/n b7:1\n"),
    ],
)
def test_static_nodes(command: Run, roots: Roots, form: str, text: str, tmp_path: Path) -> None:
    Path(roots.modules, "modules.devname").write_text("# comment\nm d/n b7:1\nbad line\n")
    done = command("kmod", ["static-nodes", f"--format={form}"], roots)
    assert (done.out.decode(), done.status) == (text, 1)
    assert done.err == b"Error: invalid devname entry: bad line\n"
    output = tmp_path / "new/dir/file"
    assert command("kmod", ["static-nodes", "-f", form, "-o", str(output)], roots).status == 1
    assert output.read_text() == text


def test_static_nodes_without_devname(command: Run, roots: Roots, tmp_path: Path) -> None:
    done = command("kmod", ["static-nodes", "-f", "tmpfiles"], roots)
    assert (done.status, done.out) == (0, b"")
    assert done.err.decode() == f"Warning: {roots.modules}/modules.devname not found - ignoring\n"
    output = tmp_path / "new/file"
    assert command("kmod", ["static-nodes", "-o", str(output)], roots).status == 0
    assert not output.parent.exists()
    assert json.loads(command("kmod", ["static-nodes", "--json"], roots).out)["nodes"] == []


def test_static_nodes_that_cannot_be_written(command: Run, roots: Roots, tmp_path: Path) -> None:
    """What is wrong with the file comes before, and in place of, what is wrong with lines."""
    Path(roots.modules, "modules.devname").write_text("m n b7:1\nbad line\n")
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("/none/there")
    missing = "No such file or directory"
    for output, text in (
        (tmp_path, f"could not create {tmp_path} - Is a directory"),
        (tmp_path / "file/x", f"could not create parent directory for {tmp_path}/file/x - Not a directory."),
        (tmp_path / "link/x", f"could not create {tmp_path}/link/x - {missing}"),
        (tmp_path / "link/x/y", f"could not create parent directory for {tmp_path}/link/x/y - {missing}."),
        ("", "could not create  - No such file or directory"),
    ):
        done = command("kmod", ["static-nodes", "-o", str(output)], roots)
        assert (done.status, done.err.decode()) == (1, f"Error: {text}\n")


def start(name: str, *words: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
    """Run a command as a user does: a process of its own."""
    done: subprocess.CompletedProcess[bytes] = subprocess.run(
        [BIN / name, *words], **{"capture_output": True, **options}
    )
    return done


def test_full_disk_and_closed_pipe_are_failures(tmp_path: Path) -> None:
    path = Ko().write(tmp_path / "a.ko")
    with open("/dev/full", "wb") as full:
        done = start("modinfo", str(path), stdout=full, capture_output=False, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"modinfo: ERROR: write error: No space left on device\n")
    reader, writer = os.pipe()
    os.close(reader)
    done = start("modinfo", str(path), stdout=writer, capture_output=False, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


def test_closed_descriptors(tmp_path: Path) -> None:
    path = Ko().write(tmp_path / "a.ko")
    done = subprocess.run(["/bin/sh", "-c", f"{BIN}/modinfo {path} >&- 2>&- <&-"], capture_output=True)
    assert done.returncode == 1


def test_getopt_names_the_command_as_typed() -> None:
    assert start("lsmod", "-z").stderr.decode() == f"{BIN}/lsmod: invalid option -- 'z'\n"
    environment = {"PATH": f"{BIN}:/usr/bin:/bin"}
    done = subprocess.run(["lsmod", "-z"], capture_output=True, env=environment)
    assert done.stderr == b"lsmod: invalid option -- 'z'\n"


def test_any_locale_keeps_bytes(tmp_path: Path) -> None:
    path = Ko(modinfo=[b"author=J\xf6rg \xc3\xb6"]).write(tmp_path / "\xf6.ko")
    for locale in ("C", "C.UTF-8", "POSIX"):
        done = start("modinfo", str(path), env={"LC_ALL": locale})
        assert done.stdout == b"filename:       " + os.fsencode(path) + b"\nauthor:         J\xf6rg \xc3\xb6\n"


@pytest.fixture(scope="module")
def linked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A system where links of every kind lead to the program; wherever a wrong way ends, there is another package."""
    system = tmp_path_factory.mktemp("linked") / "system"
    home = system / "usr/lib/pymodutils"
    shutil.copytree(BIN.parent / "pymodutils", home / "pymodutils", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(BIN, home / "bin", symlinks=True)
    for folder in ("usr/bin", "usr/sbin", "opt", "here"):
        (system / folder).mkdir()
    for path, target in {
        "sbin": "usr/sbin",
        "bin": "usr/bin",
        "opt/commands": "../usr/lib/pymodutils/bin",
        "opt/absolute": str(home / "bin"),
        "usr/bin/kmod": "../lib/pymodutils/bin/kmod",
        "usr/sbin/lsmod": "../bin/kmod",
        "usr/sbin/modinfo": "/proc/self/cwd/../usr/bin/kmod",
        "usr/sbin/rmmod": str(home / "bin/rmmod"),
        "usr/sbin/insmod": f"{system}/bin/../sbin/./rmmod",
        "here/modprobe": "../opt/commands/../bin/modprobe",
        "here/kmod": "../opt/absolute//kmod",
        "kmod": "usr/bin/kmod",
    }.items():
        (system / path).symlink_to(target)
    for folder in ("", "..", "usr", "opt", "usr/lib/pymodutils/bin"):
        (system / folder / "pymodutils").mkdir()
        (system / folder / "pymodutils/__init__.py").write_text("raise SystemExit(f'{__file__} is the wrong one')\n")
    return system


@pytest.mark.parametrize("command", ["sbin/lsmod", "sbin/modinfo", "sbin/rmmod", "usr/sbin/insmod", "here/modprobe",
                                     "here/kmod", "kmod", "bin/kmod", "opt/commands/lsmod", "opt/absolute/depmod",
                                     "usr/lib/pymodutils/bin/modprobe"])  # fmt: skip
def test_links_of_any_kind_lead_to_the_package(linked: Path, command: str) -> None:
    folder, _, name = command.rpartition("/")
    ways: list[tuple[Path, list[str]]] = [
        (linked / "here", [f"{linked}/{command}"]),
        (linked / "here", [f"../{command}"]),
        (linked / folder, [f"./{name}"]),
        (linked / folder, ["/usr/bin/python3", "-IS", name]),
        (linked / "here", ["/usr/bin/python3", "-IS", f"..//{command}"]),
    ]
    for cwd, words in ways:
        if name == "modinfo" and cwd != linked / "here":
            continue  # its link depends on the current directory
        done = subprocess.run([*words, "--version"], cwd=cwd, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), (cwd, words)
        assert "pymodutils" in done.stdout


def test_a_verb_that_was_left_out_of_an_image(tmp_path: Path) -> None:
    """initramfs/copy-python leaves all of them out; 1 would be an answer."""
    left_out = shutil.ignore_patterns("verbs", "diagnosis", "__pycache__")
    shutil.copytree(BIN.parent / "pymodutils", tmp_path / "pymodutils", ignore=left_out)
    (tmp_path / "bin").mkdir()
    program = shutil.copy(BIN / "kmod", tmp_path / "bin/kmod")
    done = subprocess.run([sys.executable, "-IS", program, "check", "loop"], capture_output=True)
    assert done.stderr == (
        b"kmod: ERROR: 'check' is not installed here: an initial file system has only what boots need\n"
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert subprocess.run([sys.executable, "-IS", program, "help"], capture_output=True).returncode == 0


def test_lsmod_pads_names_by_bytes(command: Run, roots: Roots) -> None:
    """As printf does; no kernel has such names yet."""
    Path(roots.proc, "modules").write_text("\u00e9 1 0 - Live 0x0\n")
    line = command("lsmod", [], roots).out.splitlines()[1]
    assert line == "\u00e9".encode() + b" " * 17 + b"        1  0"
