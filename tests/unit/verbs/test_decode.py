# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod decode: lines equal to addr2line's, what fits and what does not, whom to suspect, where debugging data is."""

from __future__ import annotations

import http.server
import importlib.util
import io
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from pymodutils import Context, DecodeReport, Roots, decode
from pymodutils.formats import dwarf, machinecode
from pymodutils.formats.functions import Function, functions
from pymodutils.formats.machinecode import code_bytes, disassemble
from pymodutils.state.modulefile import ModuleFile, elf_of
from tests.support import oopses
from tests.support.cmodules import DWARF4, DWARF5, FORMS, MACHINES, compile_module
from tests.support.common import need, run_inside
from tests.support.forgedsystem import forge_system
from tests.support.schemas import check_document

NOWHERE = Roots(module_dir="/nowhere")


def functions_of(path: Path) -> dict[str, list[Function]]:
    with ModuleFile(path) as module:
        return functions(elf_of(module))


def text_of(function: Function, offset: int, more: str = "") -> str:
    """A frame as the kernel writes it."""
    length = function.size if function.room is None else function.room
    return f"{function.name}+{offset:#x}/{length:#x} [m{more}]"


def build_id(path: Path) -> str:
    with ModuleFile(path) as module:
        found = module.build_id()
    assert found
    return found.hex()


def decoded(text: str, *debug: Path | str, roots: Roots = NOWHERE) -> DecodeReport:
    return decode(Context(roots), text, debug=[str(place) for place in debug])


def by_addr2line(
    path: Path, section: str, places: Sequence[int], prefix: str = ""
) -> list[list[tuple[str, str, int | None]]]:
    """(function, file, line) of each place, from the inside out."""
    need(shutil.which(f"{prefix}addr2line"), f"{prefix}addr2line (tests/install-packages)")
    command = [f"{prefix}addr2line", "-i", "-f", "-a", "-e", str(path), "-j", section, *map(hex, places)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = []
    for block in out.split("0x")[1:]:
        names, places_in = block.splitlines()[1::2], block.splitlines()[2::2]
        files = [place.partition(" (")[0].rpartition(":") for place in places_in]
        numbers = [int(line) if line.isdecimal() and line != "0" else None for _, _, line in files]
        found.append([(name, file[0], line) for name, file, line in zip(names, files, numbers, strict=True)])
    return found


# --- lines


@pytest.mark.parametrize(
    ("machine", "form"),
    [
        *[("x86-64", form) for form in FORMS],
        *[(machine, form) for machine in MACHINES if machine != "x86-64" for form in ("dwarf 4", "compressed")],
    ],
)
def test_every_byte_of_every_function_is_where_addr2line_says(machine: str, form: str, tmp_path: Path) -> None:
    path = compile_module(tmp_path, FORMS[form], machine=machine)
    prefix, step = MACHINES[machine][0], 1 if machine == "x86-64" else 2
    by_name = functions_of(path)
    assert {"t_init", "t_run", "t_dup", "twice", "u_dup", "only"} <= set(by_name)
    compared = 0
    for named in by_name.values():
        for function in named:
            offsets = range(0, function.size, step)
            report = decoded("\n".join(text_of(function, offset) for offset in offsets), path.parent)
            expected = by_addr2line(
                path, function.section_name, [function.value + offset for offset in offsets], prefix
            )
            for frame, wanted in zip(report.frames, expected, strict=True):
                lines = frame.lines
                for other in frame.alternatives:
                    if other.section_offset == function.value + (frame.offset or 0):
                        lines = other.lines
                assert [(line.function, line.file, line.line) for line in lines] == wanted, frame
                assert [line.inlined for line in lines] == [True] * (len(lines) - 1) + [False]
                compared += 1
    assert compared > 200


def test_a_call_is_on_its_own_line_not_on_the_next(tmp_path: Path) -> None:
    """`only` calls `outside` and then does something with the answer."""
    path = compile_module(tmp_path)
    (function,) = functions_of(path)["t_run"]
    call = next(offset for offset in range(function.size) if is_behind_call(path, function, offset))
    text = f"Call Trace:\n {text_of(function, call)}\n"
    frame = decoded(text, tmp_path).frames[0]
    assert frame.lines[-1].line == 26
    alone = decoded(text_of(function, call), tmp_path).frames[0]
    assert (frame.section_offset, alone.section_offset) == (function.value + call, function.value + call)
    assert [(line.function, line.file, line.line) for line in alone.lines] == by_addr2line(
        path, ".text", [function.value + call]
    )[0]


def is_behind_call(path: Path, function: Function, offset: int) -> bool:
    with ModuleFile(path) as module:
        code = elf_of(module).data_of(b".text") or b""
    return offset >= 5 and code[function.value + offset - 5 :][:5] == b"\xe8\0\0\0\0"


@pytest.mark.parametrize("ending", ["", ".xz", ".zst", ".gz"])
def test_an_installed_module(tmp_path: Path, ending: str) -> None:
    roots = forge_system(tmp_path / "system")
    path = compile_module(Path(roots.modules) / "extra")
    if ending:
        tool = {".xz": ["xz", "--check=crc32"], ".zst": ["zstd", "-q", "--rm"], ".gz": ["gzip"]}[ending]
        need(shutil.which(tool[0]), tool[0])
        subprocess.run([*tool, path], check=True)
    assert run_inside("depmod", ["-b", roots.base, roots.release]).status == 0
    text = of_module(oopses.X86.replace("6.12.1-amd64", roots.release), Path(f"{path}{ending}"))
    frame = decoded(text, roots=roots).frames[0]
    assert (frame.match, frame.file) == ("exact", f"{path}{ending}")
    assert frame.lines[-1].function == "t_run" and frame.lines[0].inlined


def length(path: Path, name: str = "t_run") -> int:
    (function,) = functions_of(path)[name]
    return function.size if function.room is None else function.room


def of_module(text: str, path: Path) -> str:
    """A sample with the lengths that the functions of a module have."""
    return text.replace("/0xda", f"/{length(path):#x}").replace("/0x8 ", f"/{length(path, 'u_dup'):#x} ")


# --- what fits, and what does not


def test_another_length_is_another_build_and_gives_no_line(tmp_path: Path) -> None:
    path = compile_module(tmp_path)
    (run,), (only,) = (functions_of(path)[name] for name in ("t_run", "u_dup"))
    right = decoded(f"Call Trace:\n {text_of(run, 9)}\n {text_of(only, 5)}\n", tmp_path)
    assert [frame.match for frame in right.frames] == ["exact", "exact"] and all(frame.lines for frame in right.frames)
    wrong = text_of(run, 9).replace(f"/{run.room:#x}", f"/{(run.room or 0) + 16:#x}")
    report = decoded(f"Call Trace:\n {wrong}\n {text_of(only, 5)}\n", tmp_path)
    assert [(frame.match, frame.lines, frame.file) for frame in report.frames] == [("mismatch", (), str(path))] * 2
    assert [(note.code, note.module, note.file) for note in report.notes] == [("other-build", "m", str(path))]
    gone = decoded(f"no_such_function+0x1/0x10 [m]\n{text_of(only, 5)}", tmp_path)
    assert [frame.match for frame in gone.frames] == ["mismatch"] * 2


def test_a_build_id_in_the_text_decides(tmp_path: Path) -> None:
    path = compile_module(tmp_path / "a")
    compile_module(tmp_path / "b", DWARF4)
    (run,) = functions_of(path)["t_run"]
    frame = decoded(text_of(run, 9, f" {build_id(path)}"), tmp_path / "b", tmp_path / "a").frames[0]
    assert (frame.match, frame.file) == ("exact", str(path))
    other = decoded(text_of(run, 9, f" {'ab' * 20}"), tmp_path / "b", tmp_path / "a").frames[0]
    assert (other.match, other.lines) == ("mismatch", ())


def test_two_functions_of_one_name_and_length(tmp_path: Path) -> None:
    path = compile_module(tmp_path)
    first, second = functions_of(path)["twice"]
    assert first.size == second.size
    if first.room == second.room:
        frame = decoded(text_of(first, 2), tmp_path).frames[0]
        assert (frame.match, frame.lines) == ("ambiguous", ())
        assert [Path(other.lines[0].file or "").name for other in frame.alternatives] == ["t.c", "u.c"]
        text = run_inside("kmod", ["decode", f"--debug={tmp_path}", write(tmp_path, text_of(first, 2))], NOWHERE).out
        assert b"either" in text and b"t.c:31" in text and b"u.c:3" in text
    else:
        assert {decoded(text_of(one, 2), tmp_path).frames[0].match for one in (first, second)} == {"exact"}


def write(folder: Path, text: str) -> str:
    path = folder / "log"
    path.write_text(text)
    return str(path)


# --- where debugging data is


@pytest.fixture
def split(tmp_path: Path) -> tuple[Roots, Path, str]:
    """A system whose module is stripped, the file with its debugging data, and a frame."""
    roots = forge_system(tmp_path / "system")
    path = compile_module(Path(roots.modules) / "extra")
    debug = tmp_path / "m.debug"
    (run,) = functions_of(path)["t_run"]
    subprocess.run(["objcopy", "--only-keep-debug", path, debug], check=True)
    subprocess.run(["strip", "--strip-debug", path], check=True)
    assert run_inside("depmod", ["-b", roots.base, roots.release]).status == 0
    return roots, debug, text_of(run, 9)


def test_without_debugging_data(split: tuple[Roots, Path, str]) -> None:
    roots, _, text = split
    report = decoded(text, roots=roots)
    frame = report.frames[0]
    assert (frame.match, frame.lines, frame.section) == ("exact", (), ".text")
    assert [note.code for note in report.notes] == ["no-debugging-data"]


@pytest.mark.parametrize(
    "place",
    [
        "system/usr/lib/debug/.build-id/XX/YY.debug", "system/usr/lib/debug/lib/modules/6.1.0-forged/extra/m.ko",
        "system/usr/lib/debug/usr/lib/modules/6.1.0-forged/extra/m.ko.debug", "own/.build-id/XX/YY.debug",
        "own/usr/lib/debug/.build-id/XX/YY.debug", "own/deep/er/m.ko.debug", "own/m.ko",
    ],
)  # fmt: skip
def test_places_of_debugging_data(split: tuple[Roots, Path, str], tmp_path: Path, place: str) -> None:
    roots, debug, text = split
    known = build_id(Path(roots.modules) / "extra/m.ko")
    target = tmp_path / place.replace("XX", known[:2]).replace("YY", known[2:])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(debug, target)
    frame = decoded(text, *([tmp_path / "own"] if place.startswith("own") else []), roots=roots).frames[0]
    assert (frame.match, frame.file) == ("exact", str(target))
    assert frame.lines[-1].function == "t_run"


def test_debugging_data_of_another_build_are_not_taken(split: tuple[Roots, Path, str], tmp_path: Path) -> None:
    roots, _, text = split
    compile_module(tmp_path / "own", (*DWARF5, "-DOTHER", "-O1"))
    frame = decoded(text, tmp_path / "own", roots=roots).frames[0]
    assert (frame.match, frame.lines, frame.file) == ("exact", (), f"{roots.modules}/extra/m.ko")


class _Server(http.server.BaseHTTPRequestHandler):
    files: ClassVar[dict[str, bytes]] = {}
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        data = self.files.get(self.path)
        self.send_response(200 if data is not None else 404)
        self.send_header("Content-Length", str(len(data or b"")))
        self.end_headers()
        self.wfile.write(data or b"")

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    _Server.files, _Server.asked = {}, []
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_port}"
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_debuginfod_server(
    split: tuple[Roots, Path, str], server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roots, debug, text = split
    known = build_id(Path(roots.modules) / "extra/m.ko")
    _Server.files[f"/buildid/{known}/debuginfo"] = debug.read_bytes()
    frame = decoded(text, server, roots=roots).frames[0]
    assert frame.lines[-1].function == "t_run"
    assert frame.file == f"{tmp_path}/cache/{known}/debuginfo"
    monkeypatch.setenv("DEBUGINFOD_URLS", f"http://127.0.0.1:1 {server}/")
    assert decoded(text, "debuginfod", roots=roots).frames[0].lines
    assert _Server.asked == [f"/buildid/{known}/debuginfo"]  # the second time it is in the cache


def test_a_server_that_gives_something_else(split: tuple[Roots, Path, str], server: str, tmp_path: Path) -> None:
    roots, _, text = split
    known = build_id(Path(roots.modules) / "extra/m.ko")
    other = compile_module(tmp_path / "other", DWARF4)
    _Server.files[f"/buildid/{known}/debuginfo"] = other.read_bytes()
    report = decoded(text, server, roots=roots)
    assert (report.frames[0].match, report.frames[0].lines) == ("exact", ())
    assert "no-server" in [note.code for note in report.notes]
    shutil.rmtree(tmp_path / "cache")
    _Server.files[f"/buildid/{known}/debuginfo"] = b"<html>nonsense"
    assert "damaged" in [note.code for note in decoded(text, server, roots=roots).notes]


def test_the_server_of_elfutils(
    split: tuple[Roots, Path, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    need(shutil.which("debuginfod"), "debuginfod (tests/install-packages)")
    roots, debug, text = split
    monkeypatch.setenv("DEBUGINFOD_CACHE_PATH", str(tmp_path / "cache"))
    (tmp_path / "served").mkdir()
    shutil.copy(debug, tmp_path / "served/m.ko.debug")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["debuginfod", f"--port={port}", f"--database={tmp_path}/db", "-F", str(tmp_path / "served")]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(60):  # until it listens and has read the directory
            frame = decoded(text, f"http://127.0.0.1:{port}", roots=roots).frames[0]
            if frame.lines:
                break
            time.sleep(0.5)
    finally:
        running.kill()
        running.wait()
    assert (frame.match, frame.lines[-1].function) == ("exact", "t_run")


def test_a_server_that_has_nothing_or_is_not_there(
    split: tuple[Roots, Path, str], server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    roots, _, text = split
    assert [note.code for note in decoded(text, server, roots=roots).notes] == ["no-debugging-data"]
    notes = decoded(text, "http://127.0.0.1:1", roots=roots).notes
    assert [note.code for note in notes] == ["no-server", "no-debugging-data"]
    monkeypatch.delenv("DEBUGINFOD_URLS", raising=False)
    assert "no-server" in [note.code for note in decoded(text, "debuginfod", roots=roots).notes]
    assert not (tmp_path / "cache").exists() or not list((tmp_path / "cache").rglob("*.part"))


def test_without_the_library_the_rest_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = compile_module(tmp_path)
    (run,) = functions_of(path)["t_run"]
    monkeypatch.setattr(dwarf, "load", lambda _name: None)
    report = decoded(text_of(run, 9), tmp_path)
    assert (report.frames[0].match, report.frames[0].lines) == ("exact", ())
    assert "pyelftools" in report.notes[0].text
    done = run_inside("kmod", ["decode", f"--debug={tmp_path}", write(tmp_path, text_of(run, 9))], NOWHERE)
    assert done.status == 0 and b"pyelftools" in done.out


def test_damaged_debugging_data(tmp_path: Path) -> None:
    path = compile_module(tmp_path)
    (run,) = functions_of(path)["t_run"]
    good = path.read_bytes()
    with ModuleFile(path) as module:
        sections = [section for section in module.sections() if section.name.startswith((".debug", ".rela.debug"))]
    for section in sections:
        for at in range(section.offset, section.offset + section.size, max(section.size // 12, 1)):
            path.write_bytes(good[:at] + bytes([good[at] ^ 0xFF]) * 3 + good[at + 3 :])
            report = decoded(text_of(run, 9), tmp_path)
            assert report.frames[0].match == "exact"


# --- whose tree


def test_the_tree_of_the_release_that_the_trace_names(tmp_path: Path) -> None:
    roots = forge_system(tmp_path / "system")
    other = Path(roots.modules).parent / "6.12.1-amd64"
    path = compile_module(other / "extra")
    assert run_inside("depmod", ["-b", roots.base, "6.12.1-amd64"]).status == 0
    text = of_module(oopses.X86, path)
    by_itself = Roots(base=roots.base, config_root=roots.base)
    assert decoded(text, roots=by_itself).frames[0].file == str(path)
    named = decoded(text, roots=roots)
    assert [note.code for note in named.notes] == ["other-tree", "no-file"]
    shutil.rmtree(other)
    assert [note.code for note in decoded(text, roots=by_itself).notes] == ["no-tree", "no-file"]


# --- whom to suspect


@pytest.mark.parametrize(
    ("kind", "module", "reason"),
    [
        ("x86", "m", "the instruction that failed is in it, in t_run; it is built outside the kernel's tree"),
        ("arm64", "m", "the instruction that failed is in it, in t_run; it is built outside the kernel's tree"),
        ("kasan", "m", "t_run is the first frame that is in a module"),
        ("hung", "m", "the task waits in t_run of it"),
        ("lockdep", "m", "it takes a lock in t_run"),
        ("unloaded", "m", "the kernel went on where no code is any more, and it was unloaded last"),
        ("soft-lockup", "m", "the CPU is in t_run of it; it is built outside the kernel's tree"),
    ],
)
def test_suspects(kind: str, module: str, reason: str) -> None:
    found = decoded(oopses.ALL[kind]).suspect
    assert found and (found.module, found.reason) == (module, reason)


def test_the_kernel_itself_is_suspected_without_a_module() -> None:
    report = decoded(oopses.SOFT_LOCKUP.replace(" [m]", ""))
    assert report.suspect and report.suspect.module is None
    on_stack = decoded("Oops: 0000 [#1]\nRIP: 0010:kfree+0x1/0x9\nCall Trace:\n ? u_dup+0x5/0x8 [m]\n")
    assert on_stack.suspect and "perhaps" in on_stack.suspect.reason
    called = decoded("Oops: 0000 [#1]\nRIP: 0010:kfree+0x1/0x9\nCall Trace:\n u_dup+0x5/0x8 [m]\n").suspect
    assert called and called.reason == "kfree of the kernel failed, called from u_dup of it"
    sure = decoded(
        "Oops: 0000 [#1]\nRIP: 0010:kfree+0x1/0x9\nCall Trace:\n ? n_a+0x1/0x8 [n]\n u_dup+0x5/0x8 [m]\n"
    ).suspect
    assert sure and sure.module == "m"


def test_taint_in_words() -> None:
    taint = decoded(oopses.KASAN).taint
    assert taint and taint.names == ("bad page", "module built outside the kernel's tree", "unsigned module")
    none = decoded(oopses.WARNING).taint
    assert none and none.flags == ""
    assert decoded("f+0x1/0x2 [m]").taint is None


# --- code


def test_bytes_of_code() -> None:
    assert code_bytes("48 89 <0f> 0b") == (b"\x48\x89\x0f\x0b", 2)
    assert code_bytes("d503201f (b9000001)") == (b"\x1f\x20\x03\xd5\x01\x00\x00\xb9", 4)
    assert code_bytes("1141 (c398)") == (b"\x41\x11\x98\xc3", 2)
    assert code_bytes("?? ?? <0f> 0b") == (b"\x0f\x0b", 0)
    assert code_bytes("48 89") is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [("x86", "mov dword ptr [0x10], 1"), ("arm64", "str w1, [x0]"), ("riscv", "c.sw a4, 0(a5)")],
)
def test_instructions(kind: str, text: str) -> None:
    need(importlib.util.find_spec("capstone"), "capstone")
    report = decoded(oopses.ALL[kind])
    assert [found.text for found in report.instructions or () if found.faulting] == [text]


def test_code_that_begins_within_an_instruction(monkeypatch: pytest.MonkeyPatch) -> None:
    need(importlib.util.find_spec("capstone"), "capstone")
    found = disassemble("04 25 10 00 00 00 01 00 00 00 48 89 e5 <c3> 90", "x86-64")
    assert found and [item.text for item in found if item.faulting] == ["ret"]
    monkeypatch.setattr(machinecode, "load", lambda _name: None)
    assert decoded(oopses.X86).instructions is None


# --- the command


def kmod_decode(*words: str, stdin: str = "") -> tuple[int | None, str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        done = run_inside("kmod", ["decode", *words], NOWHERE)
    return done.status, done.out.decode(), done.err.decode()


def test_text_and_json(tmp_path: Path) -> None:
    path = compile_module(tmp_path)
    text = oopses.stamped(of_module(oopses.X86, path), oopses.STAMPS["journalctl"])
    log = write(tmp_path, text)
    status, out, err = kmod_decode(f"--debug={tmp_path}", log)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "line 1  BUG: kernel NULL pointer dereference, address: 0000000000000010"
    assert any(line.split()[:4] == ["=>", f"t_run+0x1a/{length(path):#x}", "m", "exact"] for line in lines)
    assert any("inlined" in line for line in lines)
    assert any(line.startswith("  suspect: m: ") for line in lines)
    assert any("E  unsigned module" in line for line in lines)
    status, out, _ = kmod_decode("--json", f"--debug={tmp_path}", log)
    document = check_document(out)
    assert document["traces"][0]["registers"]["RSP"] == "0xffffa1e0c0137c98"
    assert document["frames"][0]["lines"][0]["inlined"] is True
    assert kmod_decode("--json", f"--debug={tmp_path}", "-", stdin=text)[1] == out


@pytest.mark.parametrize("kind", oopses.ALL)
def test_every_kind_is_a_page_and_a_document(kind: str) -> None:
    status, out, err = kmod_decode("-", stdin=oopses.ALL[kind])
    assert (status, err) == (0, "")
    assert "suspect: m" in out
    check_document(kmod_decode("--json", "-", stdin=oopses.ALL[kind])[1])


@pytest.mark.parametrize(
    ("words", "status", "text"),
    [
        (["/nowhere/log"], 2, "/nowhere/log: No such file or directory"),
        (["/"], 2, "/: Is a directory"),
        (["a", "b"], 2, "one log is decoded at a time"),
        (["/dev/null"], 1, "/dev/null: no oops or stack trace in it"),
    ],
)
def test_what_cannot_be_decoded(words: list[str], status: int, text: str) -> None:
    done = kmod_decode(*words)
    assert (done[0], text in done[2]) == (status, True)
    assert done[2].count("\n") == 1


def test_bytes_of_any_kind_and_escape_sequences(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_bytes(b"\xff\xfe\0\n\x1b[2J" + oopses.X86.replace("kworker/1:2", "evil\x1b[31m").encode() + b"\xff")
    status, out, _ = kmod_decode(str(log))
    assert status == 0 and "\x1b" not in out
    assert kmod_decode("--json", str(log))[0] == 0


def test_frames_are_looked_up_once(tmp_path: Path) -> None:
    """Many times the same trace costs little more than once."""
    path = compile_module(tmp_path)
    report = decoded(of_module(oopses.X86, path) * 300, tmp_path)
    assert len(report.traces) == 300 and len({frame.lines for frame in report.frames if frame.symbol == "t_run"}) == 1


def test_a_small_log_needs_little_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No single read asks for all that a log may be, for Python sets that aside first."""
    asked: list[int] = []

    class Stream(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            asked.append(size or 0)
            return super().read(size)

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Stream(b"RIP: 0010:f+0x1/0x2 [m]\n" * 9999)))
    assert run_inside("kmod", ["decode", "-m", "/nowhere"]).status == 1
    assert 0 < max(asked) <= 1 << 20


@pytest.mark.parametrize("error", [NotImplementedError, ZeroDivisionError, RecursionError, KeyError, StopIteration])
def test_whatever_the_library_raises_of_damaged_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """A form that it does not know, for instance, or a line table that counts by noughts."""
    path = compile_module(tmp_path)

    def fail(*_arguments: object) -> None:
        raise error("sibling in form DW_FORM_strp")

    monkeypatch.setattr(dwarf._Unit, "lines", fail)
    report = decoded(of_module(oopses.X86, path), tmp_path)
    assert any("debugging data cannot be read" in note.text for note in report.notes)


def test_half_a_byte_of_a_build_id() -> None:
    report = decoded("BUG: x\nRIP: 0010:f+0x1/0x2 [a 012345678]\n", "http://127.0.0.1:1")
    assert [(frame.symbol, frame.module) for frame in report.frames] == [("f", None)]


# --- gdb


ROW = re.compile(r"(?m)^\S+\s+(\d+|-)\s+(0x[0-9a-f]+|0)(?:\[\d+\])?(?:\s|$)")


def rows_of(path: Path) -> list[list[tuple[int, str]]]:
    """The line table as objdump decodes it: of each sequence, address and line of the rows."""
    out = subprocess.run(["objdump", "--dwarf=decodedline", path], capture_output=True, text=True, check=True).stdout
    sequences: list[list[tuple[int, str]]] = [[]]
    for line, address in ROW.findall(out):
        sequences[-1].append((int(address, 16), line))
        if line == "-":
            sequences.append([])
    return [sequence for sequence in sequences if sequence]


def lines_at(sequences: list[list[tuple[int, str]]], address: int) -> set[str]:
    """All lines that begin at the same place as the one of an address does."""
    found: set[str] = set()
    for rows in sequences:
        if rows[0][0] <= address < rows[-1][0]:
            start = max(place for place, _ in rows if place <= address)
            found |= {line for place, line in rows if place == start}
    return found


def by_gdb(path: Path, places: Sequence[str], folder: Path) -> list[tuple[str, str]]:
    """Line and file of each place, as `info line` says them."""
    script = folder / "commands"
    script.write_text("".join(f"info line *({place})\n" for place in places))
    command = ["gdb", "-nx", "-batch", "-iex", "set debuginfod enabled off", "-x", str(script), str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.findall(r'(?m)^(?:Line (\d+) of "([^"]*)"|No line)', out)
    assert len(found) == len(places), out
    return found


@pytest.mark.parametrize("form", ["dwarf 4", "dwarf 5", "compressed", "for size", "not optimised"])
def test_lines_are_those_of_gdb(form: str, tmp_path: Path) -> None:
    """Where several lines begin at one place, gdb takes one that begins a statement, addr2line the last."""
    need(shutil.which("gdb"), "gdb (tests/install-packages)")
    path = compile_module(tmp_path, FORMS[form])
    one = {name: named[0] for name, named in functions_of(path).items() if len(named) == 1}
    places = [(function, offset) for function in one.values() for offset in range(0, function.size, 2)]
    report = decoded("\n".join(text_of(function, offset) for function, offset in places), path.parent)
    said = by_gdb(path, [f"{function.name}+{offset}" for function, offset in places], tmp_path)
    sequences, same = rows_of(path), 0
    for (function, offset), frame, (line, file) in zip(places, report.frames, said, strict=True):
        ours = frame.lines[0]
        assert ours.file == file, frame
        same += line == str(ours.line)
        at = lines_at(sequences, function.value + offset)
        assert line == str(ours.line) or {line, str(ours.line)} <= at, (frame, line, at)
    assert same > 0.95 * len(places) > 150
