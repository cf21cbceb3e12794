# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod decode: places in the kernel itself, whose file is linked at a kernel's addresses, and what addr2line says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pymodutils import Context, Frame, Roots, decode
from pymodutils.errors import Error, FormatError
from tests.support.cmodules import DWARF4, DWARF5, KERNEL_RELEASE, compile_kernel, compile_module
from tests.support.common import need, run_inside
from tests.unit.verbs.test_decode import NOWHERE, build_id, decoded, functions_of, server

__all__ = ["server"]  # a fixture

FORMS = {
    "dwarf 4": DWARF4,
    "dwarf 5": DWARF5,
    "compressed": (*DWARF5, "-gz"),
    "with relocations": (*DWARF5, "-Wl,--emit-relocs"),
    "a section for each function": (*DWARF4, "-ffunction-sections"),
    "link-time optimised": (*DWARF5, "-flto"),
}


class SystemMap:
    """Addresses and lengths as the kernel knows them: a symbol reaches as far as the next one."""

    def __init__(self, folder: Path) -> None:
        rows = [line.split() for line in (folder / "System.map").read_text().splitlines()]
        self.places = [(int(address, 16), name) for address, kind, name in rows if kind in "Tt"]

    def functions(self) -> list[tuple[str, int, int]]:
        """Name, address, length of all but the last."""
        following = [address for address, _ in self.places[1:]]
        return [
            (name, start, end - start)
            for (start, name), end in zip(self.places, following, strict=False)
            if end > start
        ]

    def text(self, name: str = "t_run", offset: int = 9, more: int = 0) -> str:
        """A frame as the kernel writes it."""
        length = next(length for known, _, length in self.functions() if known == name)
        return f"{name}+{offset:#x}/{length + more:#x}"


def trace(*frames: str, release: str = KERNEL_RELEASE, more: str = "") -> str:
    head = f"CPU: 0 PID: 1 Comm: sh Tainted: G           O       {release} #1  Debian 6.1.9-1{more}"
    return "\n".join([head, "Call Trace:", *(f" {frame}" for frame in frames)]) + "\n"


def places_of(frame: Frame) -> list[tuple[str | None, str | None, int | None]]:
    return [(line.function, line.file, line.line) for line in frame.lines]


def by_addr2line(path: Path, addresses: list[int]) -> list[list[tuple[str, str, int | None]]]:
    need(shutil.which("addr2line"), "addr2line (tests/install-packages)")
    command = ["addr2line", "-i", "-f", "-a", "-e", str(path), *map(hex, addresses)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for block in out.split("0x")[1:]:
        lines = block.splitlines()
        files = [place.partition(" (")[0].rpartition(":") for place in lines[2::2]]
        found.append([
            (name, file, int(line) if line.isdecimal() and line != "0" else None)
            for name, (file, _, line) in zip(lines[1::2], files, strict=True)
        ])  # fmt: skip
    return found


@pytest.mark.parametrize("form", [*FORMS, "without its list of ranges"])
def test_every_byte_of_the_kernel_is_where_addr2line_says(form: str, tmp_path: Path) -> None:
    path = compile_kernel(tmp_path, FORMS.get(form, DWARF5))
    if form not in FORMS:
        subprocess.run(["objcopy", "--remove-section=.debug_aranges", path], check=True)
    system_map = SystemMap(tmp_path)
    functions = [found for found in system_map.functions() if found[0] not in ("twice", "only")]
    assert {"t_run", "t_dup", "u_dup"} <= {name for name, _, _ in functions}
    inlined = 0
    for name, start, length in functions:
        text = "\n".join(f"{name}+{offset:#x}/{length:#x}" for offset in range(length))
        report = decode(Context(NOWHERE), text, vmlinux=str(path))
        expected = by_addr2line(path, [start + offset for offset in range(length)])
        for frame, wanted in zip(report.frames, expected, strict=True):
            assert (frame.match, frame.file, frame.module) == ("exact", str(path), None)
            if wanted[0][1] == "??":  # padding behind a function
                assert not frame.lines
                continue
            assert places_of(frame) == wanted, frame
            inlined += len(frame.lines) > 1
    assert inlined > 100


def test_the_place_in_a_section_is_told(tmp_path: Path) -> None:
    path = compile_kernel(tmp_path)
    (start,) = [address for address, name in SystemMap(tmp_path).places if name == "t_init"]
    (function,) = functions_of(path)["t_init"]
    (frame,) = decode(Context(NOWHERE), f"t_init+0x4/{function.size:#x}", vmlinux=str(path)).frames
    sections = subprocess.run(["readelf", "-SW", path], capture_output=True, text=True, check=True).stdout
    row = next(line for line in sections.splitlines() if " .init.text " in line)
    address = int(row.split(" .init.text ")[1].split()[1], 16)
    assert (frame.section, frame.section_offset) == (".init.text", start + 4 - address)


# --- another build


def test_another_length_another_release_and_another_build_id(tmp_path: Path) -> None:
    path = compile_kernel(tmp_path)
    system_map = SystemMap(tmp_path)
    run, dup = system_map.text(), system_map.text("t_dup", 3)

    def match_of(text: str) -> list[tuple[str | None, int]]:
        report = decode(Context(NOWHERE), text, vmlinux=str(path))
        codes = [note.code for note in report.notes]
        assert codes == (["other-build"] if report.frames[0].match == "mismatch" else []), codes
        return [(frame.match, len(frame.lines) > 0) for frame in report.frames]

    right, wrong = [("exact", True)] * 2, [("mismatch", False)] * 2
    assert match_of(trace(run, dup)) == right
    assert match_of(trace(run, system_map.text("t_dup", 3, more=16))) == wrong
    assert match_of(trace(run, dup, release="6.1.1-forged")) == wrong
    assert match_of(trace(run, dup, more=f" {build_id(path)}")) == right
    assert match_of(trace(run, dup, more=f" {'ab' * 20}")) == wrong


def test_an_address_is_no_place(tmp_path: Path) -> None:
    """Where the kernel lay when it failed is not known: each boot puts it elsewhere."""
    path = compile_kernel(tmp_path)
    start = next(start for name, start, _ in SystemMap(tmp_path).functions() if name == "t_run")
    report = decode(Context(NOWHERE), trace(f"? 0x{start:x}", SystemMap(tmp_path).text()), vmlinux=str(path))
    bare, known = report.frames
    assert (bare.address, bare.file, bare.match, bare.lines) == (start, None, None, ())
    assert known.match == "exact" and known.lines


def test_programs_of_bpf_are_in_no_file(tmp_path: Path) -> None:
    path = compile_kernel(tmp_path)
    text = trace("bpf_prog_6deef7357e7b4530_sd_fw+0x28/0x60", SystemMap(tmp_path).text())
    frames = decode(Context(NOWHERE), text, vmlinux=str(path)).frames
    assert [frame.match for frame in frames] == [None, "exact"]


def test_a_kernel_is_no_module_and_a_module_no_kernel(tmp_path: Path) -> None:
    path = compile_kernel(tmp_path / "kernel")
    module = compile_module(tmp_path / "module")
    text = trace(SystemMap(tmp_path / "kernel").text())
    with pytest.raises(FormatError, match="a module, not the kernel"):
        decode(Context(NOWHERE), text, vmlinux=str(module))
    module.rename(module.with_name("vmlinux"))
    shutil.copy(path, path.with_name("m.ko"))
    of_module = trace(f"{SystemMap(tmp_path / 'kernel').text()} [m]")
    for frames in decoded(text, tmp_path / "module").frames, decoded(of_module, tmp_path / "kernel").frames:
        assert [(frame.match, frame.file) for frame in frames] == [(None, None)]


@pytest.mark.parametrize("content", [None, b"no kernel", b"\x7fELF"])
def test_a_file_that_cannot_be_read(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "vmlinux"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Error) as raised:
        decode(Context(NOWHERE), trace("t_run+0x1/0x2"), vmlinux=str(path))
    assert raised.value.path == str(path)
    (tmp_path / "log").write_text(trace("t_run+0x1/0x2"))
    done = run_inside("kmod", ["decode", f"--vmlinux={path}", str(tmp_path / "log")], NOWHERE)
    assert done.status == 2 and str(path) in done.err.decode() and done.err.count(b"\n") == 1


# --- where it is found


PLACES = [
    "system/usr/lib/debug/boot/vmlinux-R", "system/usr/lib/debug/lib/modules/R/vmlinux", "system/boot/vmlinux-R",
    "system/usr/lib/debug/usr/lib/modules/R/vmlinux", "system/lib/modules/R/build/vmlinux", "own/vmlinux",
    "own/deep/vmlinux-R", "own/vmlinux.debug", "own/vmlinux-R.debug",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_places_of_the_kernel(place: str, tmp_path: Path) -> None:
    path = compile_kernel(tmp_path / "built")
    target = tmp_path / place.replace("R", KERNEL_RELEASE)
    target.parent.mkdir(parents=True)
    shutil.copy(path, target)
    roots = Roots.of_system(tmp_path / "system")
    own = [tmp_path / "own"] if place.startswith("own") else []
    text = trace(SystemMap(tmp_path / "built").text())
    frame = decoded(text, *own, roots=roots).frames[0]
    assert (frame.match, frame.file) == ("exact", str(target))
    assert frame.lines[-1].function == "t_run"
    other = trace(SystemMap(tmp_path / "built").text(), release="6.1.1-forged")
    assert decoded(other, *own, roots=roots).frames[0].match in (None, "mismatch")


def test_debugging_data_of_the_build_elsewhere(tmp_path: Path, server: str) -> None:
    """The kernel's file without debugging data, and these by build-id: in a directory, and from a server."""
    from tests.unit.verbs.test_decode import _Server

    path = compile_kernel(tmp_path / "built")
    text = trace(SystemMap(tmp_path / "built").text())
    debug, known = tmp_path / "debug", build_id(path)
    subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
    subprocess.run(["strip", "--strip-debug", path], check=True)
    report = decode(Context(NOWHERE), text, vmlinux=str(path))
    assert (report.frames[0].match, report.frames[0].lines) == ("exact", ())
    assert [(note.code, note.module) for note in report.notes] == [("no-debugging-data", "vmlinux")]
    target = tmp_path / f"own/.build-id/{known[:2]}/{known[2:]}.debug"
    target.parent.mkdir(parents=True)
    shutil.copy(debug, target)
    frame = decode(Context(NOWHERE), text, vmlinux=str(path), debug=str(tmp_path / "own")).frames[0]
    assert (frame.match, frame.file) == ("exact", str(target)) and frame.lines
    _Server.files[f"/buildid/{known}/debuginfo"] = debug.read_bytes()
    frame = decoded(trace(SystemMap(tmp_path / "built").text(), more=f" {known}"), server).frames[0]
    assert (frame.match, frame.file) == ("exact", f"{tmp_path}/cache/{known}/debuginfo") and frame.lines


def test_the_running_kernels_build_id_finds_its_data(tmp_path: Path) -> None:
    """A log of Debian's kernels has no build-id; /sys has it, and the lengths tell whether it is the right one."""
    path = compile_kernel(tmp_path / "built")
    system, known = tmp_path / "system", build_id(path)
    notes = system / "sys/kernel/notes"
    notes.parent.mkdir(parents=True)
    xen = (4).to_bytes(4, "little") + (8).to_bytes(4, "little") + (6).to_bytes(4, "little") + b"Xen\0" + bytes(8)
    head = (4).to_bytes(4, "little") + (20).to_bytes(4, "little") + (3).to_bytes(4, "little")
    notes.write_bytes(xen + head + b"GNU\0" + bytes.fromhex(known))
    target = tmp_path / f"own/.build-id/{known[:2]}/{known[2:]}.debug"
    target.parent.mkdir(parents=True)
    shutil.copy(path, target)
    roots = Roots(base=str(system), release=KERNEL_RELEASE, sys=str(system / "sys"))
    assert decoded(trace(SystemMap(tmp_path / "built").text()), tmp_path / "own", roots=roots).frames[0].lines
    other = trace(SystemMap(tmp_path / "built").text(), release="6.1.1-forged")
    assert not decoded(other, tmp_path / "own", roots=roots).frames[0].lines


def test_text_of_the_command(tmp_path: Path) -> None:
    path = compile_kernel(tmp_path)
    (tmp_path / "log").write_text(trace(SystemMap(tmp_path).text(offset=9)))
    done = run_inside("kmod", ["decode", f"--vmlinux={path}", str(tmp_path / "log")], NOWHERE)
    line = next(line for line in done.out.decode().splitlines() if "t_run+0x9" in line)
    assert line.split()[1:3] == ["kernel", "exact"] and f"{tmp_path}/t.c:" in line


def test_copies_of_a_headers_function_are_at_one_place(tmp_path: Path) -> None:
    header = "static __attribute__((noinline)) int copied(int a) { return a * 3 + 1; }\n"
    (tmp_path / "copied.h").write_text(header)
    for name in ("a", "b"):
        (tmp_path / f"{name}.c").write_text(f'#include "copied.h"\nint {name}(int x) {{ return copied(x) - 1; }}\n')
    path = tmp_path / "vmlinux"
    flags = ["-g", "-O2", "-fno-ipa-cp", "-nostdlib", "-static", "-no-pie", "-Wl,-e,a"]
    subprocess.run(["gcc", *flags, "-o", path, tmp_path / "a.c", tmp_path / "b.c"], check=True)
    first, second = functions_of(path)["copied"]
    assert first.room == second.room
    (tmp_path / "log").write_text(f"copied+0x1/{first.room:#x}\n")
    done = run_inside("kmod", ["decode", f"--vmlinux={path}", str(tmp_path / "log")], NOWHERE)
    assert done.out.count(b"copied.h:1") == 1 and b"either" not in done.out and b"ambiguous" in done.out


def test_a_damaged_kernel(tmp_path: Path) -> None:
    """Whatever byte is wrong: an error, or an answer without a line that is wrong by much."""
    path = compile_kernel(tmp_path, (*DWARF5, "-Wl,--emit-relocs"))
    text, good = trace(SystemMap(tmp_path).text()), path.read_bytes()
    answers = 0
    for at in [*range(0, 64, 3), *range(64, len(good), len(good) // 200)]:
        path.write_bytes(good[:at] + bytes(byte ^ 0xFF for byte in good[at : at + 3]) + good[at + 3 :])
        try:
            (frame,) = decode(Context(NOWHERE), text, vmlinux=str(path)).frames
        except Error as error:
            assert error.path == str(path)
            continue
        assert frame.match in ("exact", "ambiguous", "mismatch")
        answers += 1
    assert answers > 100
