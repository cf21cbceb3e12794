# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod status: states and what they rest on, notes, other systems, text and JSON."""

from __future__ import annotations

import lzma
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import pymodutils
from pymodutils import Context, Roots, check, closure, explain
from pymodutils.verbs.status import status
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files
from tests.support.koforge import Ko
from tests.support.schemas import check_document

BUILD = b"0123456789abcdefghij"
MODULES: dict[str, Ko | Sequence[str]] = {
    "loop": Ko(modinfo=["license=GPL", "version=1.2", "srcversion=AAAA", "alias=block-major-7-*"], build_id=BUILD),
    "snd-x": ["alias=two"],
    "other": ["alias=two", "softdep=pre: snd-x"],
}
LOADED = {"loop": "2 other, Live 0x0 (OE)", "other": "0 [permanent], Loading 0x0"}


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    files: dict[str, str | bytes] = {
        "proc/sys/kernel/tainted": "12288\n",
        "sys/module/loop/version": "1.2\n",
        "sys/module/loop/srcversion": "AAAA\n",
        "sys/module/loop/parameters/max_loop": "8\n",
        "sys/module/loop/notes/.note.gnu.build-id": struct.pack("=III", 4, len(BUILD), 3) + b"GNU\0" + BUILD,
        "sys/module/fuse/parameters/x": "1\n",
    }
    return forge_system(tmp_path, MODULES, builtin=["ext4", "zram"], files=files, loaded=LOADED)


def one(roots: Roots, name: str, **named: Any) -> pymodutils.Status:
    (found,) = status(Context(roots, **named), [name]).modules
    return found


def test_a_loaded_module(roots: Roots) -> None:
    found = one(roots, "loop")
    assert (found.state, found.size, found.refcount, found.holders) == ("live", 4096, 2, ("other",))
    assert found.taint is not None and found.taint.flags == "OE" and len(found.taint.names) == 2
    assert (found.version, found.srcversion, found.build_id) == ("1.2", "AAAA", BUILD)
    assert (found.stale, found.denied, found.permanent) == (False, False, False)
    assert found.parameters == {"max_loop": "8"}
    assert found.is_in_kernel
    assert found.path is not None and found.path.endswith("kernel/loop.ko")


@pytest.mark.parametrize(
    ("name", "state", "source"),
    [
        ("loop", "live", "/proc/modules"),
        ("other", "coming", "/proc/modules"),
        ("snd_x", "available", "modules.dep"),
        ("snd-x", "available", "modules.dep"),
        ("ext4", "builtin", "modules.builtin"),
        ("block-major-7-0", "live", "/proc/modules"),
        ("fuse", "builtin", "/sys/module/fuse"),
        ("lop", "absent", "LIB"),
        ("a[", "absent", "LIB"),
    ],
)
def test_states(roots: Roots, name: str, state: str, source: str) -> None:
    found = one(roots, name)
    assert (found.asked, found.state) == (name, state)
    assert [evidence.source.replace(roots.modules, "LIB") for evidence in found.evidence] == [source]


def test_a_name_that_nothing_knows_has_similar_ones(roots: Roots) -> None:
    assert one(roots, "lop").similar == ("loop",)
    assert one(roots, "loop").similar == ()


def test_an_alias_of_several_modules(roots: Roots) -> None:
    report = status(Context(roots), ["two"])
    assert {(module.asked, module.name) for module in report.modules} == {("two", "snd_x"), ("two", "other")}
    assert not report.are_in_kernel


def test_all_loaded_modules_newest_first(roots: Roots) -> None:
    report = status(Context(roots))
    assert [module.name for module in report.modules] == ["loop", "other"]
    assert report.kernel_taint is not None
    assert (report.kernel_taint.value, report.kernel_taint.flags) == (12288, "OE")
    assert report.errors == ()


@pytest.mark.parametrize("what", ["srcversion", "build-id"])
def test_a_loaded_module_of_another_build_is_stale(roots: Roots, what: str) -> None:
    place = Path(roots.sys) / "module/loop"
    if what == "build-id":
        (place / "srcversion").unlink()
        (place / "notes/.note.gnu.build-id").write_bytes(struct.pack("=III", 4, 20, 3) + b"GNU\0" + b"x" * 20)
    else:
        (place / "notes/.note.gnu.build-id").unlink()
        (place / "srcversion").write_text("BBBB\n")
    assert one(roots, "loop").stale is True
    (place / "srcversion").unlink(missing_ok=True)
    (place / "notes/.note.gnu.build-id").unlink(missing_ok=True)
    assert one(roots, "loop").stale is None


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("install loop /bin/false\n", True),
        ("install loop /bin/true\n", True),
        ("install l* /usr/bin/false\n", True),
        ("install loop /sbin/modprobe --ignore-install loop\n", False),
        ("install loop /usr/local/bin/decide\n", None),
        ("blacklist loop\n", False),
        ("softdep loop pre: snd-x\ninstall loop /bin/false\n", False),
        ("softdep loop pre: nowhere\ninstall loop /bin/false\n", True),
        ("softdep loop pre:\ninstall loop /bin/false\n", True),
    ],
)
def test_denied(roots: Roots, text: str, denied: bool | None) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": text})
    found = one(roots, "loop")
    assert found.denied is denied
    assert (found.denied_by is not None) is (denied is True)
    if found.denied_by:
        line = text.splitlines().index(found.denied_by.text) + 1
        assert (found.denied_by.file, found.denied_by.line) == (f"{roots.base}/etc/modprobe.d/x.conf", line)


def test_denied_by_the_kernel(roots: Roots) -> None:
    lay_files(Path(roots.proc), {"cmdline": "ro module_blacklist=x module_blacklist=loop,snd-x\n"})
    found = one(roots, "loop")
    assert found.denied and found.denied_by and found.denied_by.text == "module_blacklist=loop"
    assert one(roots, "snd-x").denied is False  # the kernel compares with the name, which has no dash


def test_builtin_modules_are_beyond_rules(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/x.conf": "install ext4 /bin/false\n"})
    assert one(roots, "ext4").denied is None


def test_a_module_that_is_loaded_after_proc_modules_was_read(roots: Roots) -> None:
    lay_files(Path(roots.sys), {"module/snd_x/initstate": "coming\n"})
    assert one(roots, "snd_x").state == "coming"


def test_a_state_that_no_kernel_writes_is_not_known(roots: Roots) -> None:
    lay_files(Path(roots.sys), {"module/snd_x/initstate": "odd\n"})
    assert one(roots, "snd_x").state == "unknown"


# --- without a tree, without a kernel


@pytest.mark.parametrize(
    ("file", "text", "source"),
    [
        ("filesystems", "nodev\tsysfs\n\tnice_fs\n", "/proc/filesystems"),
        ("misc", "237 loop-control\n 10 nice_fs\n", "/proc/misc"),
        ("crypto", "name : nice-fs\ndriver : nice-generic\nmodule : kernel\n", "/proc/crypto"),
    ],
)
def test_without_a_tree_the_kernels_own_lists_count(roots: Roots, file: str, text: str, source: str) -> None:
    bare = roots.replace(release="9.9")
    lay_files(Path(roots.proc), {file: text})
    found = one(bare, "nice_fs")
    assert (found.state, [evidence.source for evidence in found.evidence]) == ("builtin", [source])


def test_with_a_tree_a_name_in_those_lists_says_nothing(roots: Roots) -> None:
    """A module of another name may have registered it: nfsv4 has the file system nfs4."""
    lay_files(Path(roots.base), {"proc/filesystems": "nodev\tnice_fs\n"})
    assert one(roots, "nice-fs").state == "absent"
    Path(roots.modules, "modules.dep.bin").unlink()
    assert one(roots, "nice-fs").state == "builtin"
    (checked,) = check(Context(roots), "nice-fs").checks
    assert (checked.state, checked.verdict) == ("builtin", "builtin")
    assert explain(Context(roots), "nice-fs").modules[0].state == "builtin"


def test_without_a_tree_and_a_trace_nothing_is_known(roots: Roots) -> None:
    report = status(Context(roots.replace(release="9.9")), ["nice_fs", "loop"])
    assert [module.state for module in report.modules] == ["unknown", "live"]
    assert [(error.code, error.subject) for error in report.errors] == [("cannot-tell", "nice_fs")]


def test_an_algorithm_of_a_module_is_no_builtin_one(roots: Roots) -> None:
    lay_files(Path(roots.proc), {"crypto": "name : nice\ndriver : nice-generic\nmodule : other\n"})
    assert one(roots.replace(release="9.9"), "nice").state == "unknown"


def test_what_a_tree_knows_as_a_file_is_no_builtin_for_its_name_in_a_list(roots: Roots) -> None:
    lay_files(Path(roots.proc), {"misc": " 10 snd_x\n"})
    assert one(roots, "snd-x").state == "available"


def test_of_another_system_what_only_its_kernel_knows_is_not_known(roots: Roots) -> None:
    other = Roots.of_system(roots.base, RELEASE)
    found = one(other, "loop")
    assert (found.state, found.refcount, found.size, found.holders) == ("available", None, None, None)
    assert (found.taint, found.permanent, found.stale, found.parameters) == (None, None, None, None)
    report = status(Context(other))
    assert (report.modules, report.kernel_taint, report.root) == ((), None, roots.base)
    assert len(report.errors) == 1


def test_a_kernel_without_modules(roots: Roots) -> None:
    (Path(roots.proc) / "modules").unlink()
    lay_files(Path(roots.proc), {"version": "Linux\n"})
    assert one(roots, "ext4").state == "builtin"
    assert len(status(Context(roots)).errors) == 1


def test_a_file(roots: Roots, tmp_path: Path) -> None:
    other = Ko(modinfo=["license=GPL"], build_id=b"y" * 20).write(tmp_path / "elsewhere/loop.ko")
    found = one(roots, str(other))
    assert (found.name, found.state, found.path, found.stale) == ("loop", "live", str(other), True)
    report = status(Context(roots), ["/no/such.ko", "loop"])
    assert [error.file for error in report.errors] == ["/no/such.ko"]
    assert [module.name for module in report.modules] == ["loop"]


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("loop.ko", bytes(999), "not an ELF file"),
        ("tiny.ko", b"x", "file is too short"),
        ("cut.ko.xz", lzma.compress(Ko().bytes())[:-9], "xz: Unexpected end of input"),
    ],
)
def test_a_file_that_says_nothing(roots: Roots, tmp_path: Path, name: str, content: bytes, text: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    report = status(Context(roots), path)
    assert [(error.file, error.text) for error in report.errors] == [(str(path), text)]
    assert [module.path for module in report.modules] == [str(path)]
    assert kmod(roots, "status", str(path))[0] == 2


# --- the command


def kmod(roots: Roots, *words: str) -> tuple[int, str, str]:
    done = run_inside("kmod", list(words), roots)
    return done.status, done.out.decode(), done.err.decode()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ([], 0),
        (["loop"], 0),
        (["loop", "ext4"], 0),
        (["loop", "snd-x"], 1),
        (["other"], 1),
        (["lop"], 1),
        (["/x.ko"], 2),
    ],
)
def test_exit_status(roots: Roots, names: list[str], expected: int) -> None:
    assert kmod(roots, "status", *names)[0] == expected


def test_text(roots: Roots) -> None:
    code, out, err = kmod(roots, "status", "loop", "snd-x", "lop")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:4] == [
        "MODULE STATE SIZE REFS USED BY TAINT VERSION SIGNER NOTE",
        "loop live 4096 2 other OE 1.2 -",
        "snd_x available - - - - - -",
        "lop absent - - - - - -",
    ]
    assert "/proc/modules loop is live" in lines
    assert "similar names: loop" in lines
    assert "kernel taint 12288:" in lines and "E unsigned module" in lines
    assert (code, err) == (1, "")


@pytest.mark.parametrize("names", [[], ["loop", "snd-x", "ext4", "lop", "two", "/x.ko"]], ids=len)
@pytest.mark.parametrize("release", ["", "9.9"])
def test_documents_match_their_schema(roots: Roots, names: list[str], release: str) -> None:
    for place in (roots.replace(release=release or roots.release), Roots.of_system(roots.base, release or RELEASE)):
        check_document(status(Context(place), names).to_json())


def test_json_is_what_the_library_returns(roots: Roots) -> None:
    code, out, _err = kmod(roots, "status", "--json", "loop", "lop")
    assert out == status(Context(roots), ["loop", "lop"]).to_json()
    document = check_document(out)
    assert list(document)[:5] == ["schema", "verb", "kernel", "root", "errors"]
    assert (document["schema"], document["verb"], document["kernel"]) == ("pymodutils/1", "status", RELEASE)
    assert document["modules"][0]["build_id"] == BUILD.hex()
    assert code == 1


def test_a_loaded_module_whose_file_has_another_name(tmp_path: Path) -> None:
    """Ubuntu's nvidia_384_uvm.ko is nvidia_uvm in the kernel; an alias alone does not make a file that of a module."""
    modules: dict[str, Ko | Sequence[str]] = {
        "nvidia_384_uvm": Ko(modinfo=["license=X", "name=nvidia_uvm", "alias=nvidia_uvm", "version=384"]),
        "fast": ["alias=own"],
    }
    loaded = {"nvidia_uvm": "3 - Live 0x0 (POE)", "own": "0 - Live 0x0 (O)"}
    roots = forge_system(tmp_path, modules, loaded=loaded)
    found = one(roots, "nvidia-uvm")
    assert (found.name, found.state, found.refcount) == ("nvidia_uvm", "live", 3)
    assert str(found.path).endswith("/nvidia_384_uvm.ko")
    every = {module.name: module for module in status(Context(roots)).modules}
    assert str(every["nvidia_uvm"].path).endswith("/nvidia_384_uvm.ko")
    assert (one(roots, "own").state, one(roots, "own").path, every["own"].path) == ("live", None, None)
    needed = closure(Context(roots), sources=("loaded",))
    assert [node.name for node in needed.nodes] == ["nvidia_384_uvm"]
    assert [missing.name for missing in needed.missing] == ["own"]
