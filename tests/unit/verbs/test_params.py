# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod params: what is shown, set and kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pymodutils import (
    Context,
    EditedError,
    FileError,
    FormatError,
    LiveKernelNotAskedError,
    NotFoundError,
    ParameterError,
    ParametersReport,
    ParameterState,
    configure_parameters,
    lint,
    parameters,
    save_parameters,
    set_parameter,
    set_parameters,
)
from pymodutils.effects import publish
from pymodutils.roots import Roots
from tests.support.common import Outcome, run_inside
from tests.support.fakekernel import FakeKernel
from tests.support.forgedsystem import RELEASE, forge_system, needing
from tests.support.schemas import check_document

RW, RO = 0o644, 0o444
PARAMETERS = {
    "loop": {"max": ("int", RO, "8"), "debug": ("bool", RW, "N"), "mask": ("hexint", RW, "0x000010"),
             "text": ("charp", RW, "(null)"), "list": ("array of int", RW, "1,2"), "hidden": ("int", 0, "3")},
    "other": {"x": ("int", RW, "0")},
}  # fmt: skip
OWN = "zz-pymodutils-loop.conf"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.parameters = dict(PARAMETERS)
    kernel.tree({"loop": [], "other": [], "plain": []}, builtin=["printk"], aliases="block_major_7=loop")
    (kernel.modules / "modules.builtin.modinfo").write_bytes(
        b"printk.parm=time:show times\0printk.parmtype=time:bool\0printk.parmtype=gone:int\0"
    )
    kernel.parameters["printk"] = {"time": ("bool", RW, "Y")}
    kernel.lay_parameters("printk")
    with Context(kernel.roots) as context:
        for name in ("loop", "other", "plain"):
            context.load(name)
    return kernel


def of(kernel: FakeKernel, *names: str, changed: bool = False) -> ParametersReport:
    with Context(kernel.roots) as context:
        return parameters(context, names, changed=changed)


def own(kernel: FakeKernel) -> str | None:
    path = kernel.config / OWN
    return path.read_text().splitlines()[-1] if path.exists() else None


def test_types_values_and_what_is_not_seen(kernel: FakeKernel) -> None:
    report = of(kernel, "loop")
    (module,) = report.modules
    found = {one.name: (one.type, one.live, one.writable, one.visible, one.count) for one in module.params}
    assert found == {
        "debug": ("bool", "N", True, True, None),
        "hidden": ("int", None, None, False, None),
        "list": ("array of int", "1,2", True, True, 2),
        "mask": ("hexint", "0x000010", True, True, None),
        "max": ("int", "8", False, True, None),
        "text": ("charp", "(null)", True, True, None),
    }
    assert module.unseen == ("hidden",)
    assert [(warning.code, warning.module) for warning in report.warnings] == [("unseen", "loop")]


@pytest.mark.parametrize(
    ("text", "name", "value", "line", "drift"),
    [
        ("options loop max=8\n", "max", "8", 1, False),
        ("options loop max=0x8\n", "max", "0x8", 1, False),
        ("\noptions loop max=9 debug\n", "max", "9", 2, True),
        ("options loop debug\n", "debug", "1", 1, True),
        ("options loop debug=off\n", "debug", "off", 1, False),
        ("options loop mask=16\n", "mask", "16", 1, False),
        ("options loop max=1\noptions loop max=8\n", "max", "8", 2, False),
        ('options loop text="a b"\n', "text", "a b", 1, True),
        ("options loop list=1,0x2\n", "list", "1,0x2", 1, False),
        ("options loop hidden=4\n", "hidden", "4", 1, None),
    ],
)
def test_drift_is_between_values(
    kernel: FakeKernel, text: str, name: str, value: str, line: int, drift: bool | None
) -> None:
    kernel.configure(text)
    found = of(kernel, "loop").modules[0].find(name)
    assert found and found.configured
    assert (found.configured.value, found.configured.line, found.drift) == (value, line, drift)
    assert found.configured.file.endswith("/etc/modprobe.d/test.conf")


def test_the_kernel_command_line_comes_last(kernel: FakeKernel) -> None:
    kernel.configure("options loop max=8\n")
    (kernel.proc / "cmdline").write_text("quiet loop.max=64 printk.time=0 other.x=0x0\n")
    found = of(kernel, "loop").modules[0].find("max")
    assert found and found.configured and found.drift
    assert (found.configured.value, found.configured.origin) == ("64", f"{kernel.proc}/cmdline")
    builtin = of(kernel, "printk").modules[0]
    time = builtin.find("time")
    assert time and time.configured and (builtin.state, time.type, time.live, time.drift) == (
        "builtin", "bool", "Y", True,
    )  # fmt: skip
    assert time.description == "show times" and builtin.unseen == ("gone",)
    shown = of(kernel, changed=True)
    assert {module.name: [one.name for one in module.params] for module in shown.modules} == {
        "loop": ["max"], "printk": ["time"],
    }  # fmt: skip
    assert shown.has_drift


def test_no_line_of_modprobe_d_reaches_a_builtin_module(kernel: FakeKernel) -> None:
    kernel.configure("options printk time=0\n")
    found = of(kernel, "printk").modules[0].find("time")
    assert found and found.configured is None and found.drift is False


def test_without_names_all_that_have_parameters(kernel: FakeKernel) -> None:
    assert [module.name for module in of(kernel).modules] == ["loop", "other", "printk"]


def test_an_alias_and_what_nothing_knows(kernel: FakeKernel) -> None:
    assert of(kernel, "block-major-7").modules[0].name == "loop"
    report = of(kernel, "lop", "plain")
    assert [error.subject for error in report.errors] == ["lop"] and "loop" in report.errors[0].text
    assert [(module.name, module.params) for module in report.modules] == [("plain", ())]


def test_a_value_that_no_line_can_give_is_not_kept_without_a_word(kernel: FakeKernel) -> None:
    kernel.configure("options loop text=x\n")
    Path(kernel.roots.sys, "module/loop/parameters/text").write_text('a"b\n')
    with Context(kernel.roots) as context:
        report = save_parameters(context, "loop")
    assert ("not-kept", "text") in [(warning.code, warning.subject) for warning in report.warnings]


@pytest.mark.parametrize(
    ("kind", "most", "value", "why"),
    [
        ("string", 3, "abc", None),
        ("string", 3, "abcd", "longer than 3 bytes"),
        ("string", 3, "\u00e4\u00e4", "longer than 3 bytes"),
        ("array of int", 2, "1,2", None),
        ("array of int", 2, "1,2,3", "more than 2 elements"),
        ("array of int", None, "1,2,3", None),
        ("int", 2, "12345", None),
        (None, 2, "12345", None),
        ("charp", None, "x" * 1024, None),
        ("charp", None, "x" * 1025, "longer than 1024 bytes"),
        ("array of charp", None, "x" * 1024 + ",y", None),
        ("array of charp", None, "y," + "x" * 1025, "longer than 1024 bytes"),
    ],
)
def test_more_than_fits_is_refused(kind: str | None, most: int | None, value: str, why: str | None) -> None:
    state = ParameterState("p", kind, None, "1,2", None, None, True, None, True, 2 if most == 2 else None, most)
    assert state.refuses(value) == why


def test_a_full_array_may_have_more_behind_what_was_written() -> None:
    full = ParameterState("p", "array of int", None, "1,2,3", None, None, True, None, True, 3, 3)
    assert full.has_live("1,2") and not full.has_live("2") and full.has_live("1,2,3")
    assert not full.replace(count=2).has_live("1,2")
    assert not full.replace(live=None).has_live("1,2,3")


def test_another_system_has_no_values_now(kernel: FakeKernel) -> None:
    kernel.configure("options loop max=9\n")
    with Context(kernel.roots, live=False) as context:
        found = parameters(context).modules[0].find("max")
        assert found and (found.live, found.drift, found.visible, found.writable) == (None, None, None, None)
        (builtin,) = parameters(context, "printk").modules
        assert builtin.params and {(one.live, one.visible) for one in builtin.params} == {(None, None)}
        with pytest.raises(LiveKernelNotAskedError):
            set_parameter(context, "loop", "debug", "1")
        with pytest.raises(LiveKernelNotAskedError):
            save_parameters(context, "loop")


# --- setting


def test_setting_writes_and_reads_back(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        change = set_parameter(context, "loop", "debug", "1")
        assert (change.module, change.name, change.before, change.after) == ("loop", "debug", "N", "1")
        assert set_parameter(context, "loop", "mask", "16").after == "0x000010"  # it has that already
        assert set_parameter(context, "printk", "time", "off").after == "off"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("max", "9", "kmod reload"), ("hidden", "4", "no file in /sys"), ("mask", "x", "not a number"),
        ("mask", "0x100000000", "out of range"), ("nosuch", "1", "no such parameter"), ("text", 'a"b', "quote"),
        ("debug", "maybe", "not a boolean"), ("list", "1,x", "not a number"), ("text", "a\nb", "control character"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(
    kernel: FakeKernel, key: str, value: str, text: str
) -> None:
    with Context(kernel.roots) as context, pytest.raises(ParameterError, match=text) as caught:
        set_parameters(context, "loop", {"debug": "1", key: value} if key != "debug" else {key: value})
    assert caught.value.module == "loop"
    assert kernel.value("loop", "debug") == "N"


def test_one_that_the_kernel_refuses_puts_the_others_back(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write

    def refusing(fd: int, data: bytes) -> int:
        if data == b"77":
            raise OSError(22, "Invalid argument")
        return real(fd, data)

    monkeypatch.setattr("pymodutils.effects.parameters.posix.write", refusing)
    with Context(kernel.roots) as context, pytest.raises(FileError) as caught:
        set_parameters(context, "loop", {"debug": "1", "mask": "77"})
    assert caught.value.errno == 22 and (caught.value.path or "").endswith("parameters/mask")
    assert (kernel.value("loop", "debug"), kernel.value("loop", "mask")) == ("N", "0x000010")


def test_a_value_that_the_kernel_does_not_take_over_is_an_error(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pymodutils.effects.parameters.posix.write", lambda fd, data: len(data))
    with Context(kernel.roots) as context, pytest.raises(ParameterError, match="after 77 was written"):
        set_parameter(context, "loop", "mask", "77")


def test_a_value_of_which_only_a_part_reaches_the_kernel_is_an_error(
    kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As more than a page does: the rest would be a value of its own."""
    real = os.write
    monkeypatch.setattr("posix.write", lambda fd, data: real(fd, data[:3]))
    with pytest.raises(FileError, match="longer than the kernel takes at once"):
        set_parameter(Context(kernel.roots), "loop", "list", "3,4,5")
    found = of(kernel, "loop").modules[0].find("list")
    assert found and found.live == "1,2"


def test_a_module_that_is_not_loaded_has_no_values_to_set(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        context.unload("other")
        for what in ("other", "nosuch"):
            with pytest.raises(NotFoundError):
                set_parameter(context, what, "x", "1")


# --- keeping


def test_keeping_writes_what_the_next_load_would_not_give(kernel: FakeKernel) -> None:
    kernel.configure("options loop max=8 debug=1\n")
    with Context(kernel.roots) as context:
        set_parameter(context, "loop", "text", "two words")
        report = save_parameters(context, "loop")
        assert report.written == (f"{kernel.config}/{OWN}",)
        assert own(kernel) == 'options loop debug=N list=1,2 mask=0x000010 text="two words"'
        assert [warning.code for warning in report.warnings] == ["unseen"]
        assert not report.has_drift
        assert save_parameters(context, "loop").written == ()
        set_parameter(context, "loop", "debug", "1")
        save_parameters(context, "loop")
        assert own(kernel) == 'options loop list=1,2 mask=0x000010 text="two words"'
    with Context(kernel.roots) as context:
        context.unload("loop")
        context.load("loop")
    assert (kernel.value("loop", "text"), kernel.value("loop", "debug")) == ("two words", "1")


def test_keeping_some_leaves_the_others_that_are_kept(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        set_parameter(context, "loop", "debug", "1")
        save_parameters(context, "loop", ["debug"])
        assert own(kernel) == "options loop debug=1"
        set_parameter(context, "loop", "mask", "5")
        save_parameters(context, "loop", ["mask"])
        assert own(kernel) == "options loop debug=1 mask=5"
        with pytest.raises(ParameterError):
            save_parameters(context, "loop", ["nosuch"])


def test_what_another_line_overrules_is_said(kernel: FakeKernel) -> None:
    (kernel.proc / "cmdline").write_text("loop.debug=1\n")
    with Context(kernel.roots) as context:
        report = save_parameters(context, "loop", ["debug"])
    assert [(warning.code, warning.subject) for warning in report.warnings] == [
        ("unseen", None), ("overruled", "debug"),
    ]  # fmt: skip


def test_a_file_that_somebody_edited_stays(kernel: FakeKernel) -> None:
    path = kernel.config / OWN
    with Context(kernel.roots) as context:
        save_parameters(context, "loop", ["debug"])
        path.write_text(path.read_text() + "# mine\n")
        set_parameter(context, "loop", "debug", "1")
        with pytest.raises(EditedError):
            save_parameters(context, "loop", ["debug"])
        assert path.read_text().endswith("# mine\n")
        save_parameters(context, "loop", ["debug"], force=True)
    assert own(kernel) == "options loop debug=1"


@pytest.mark.parametrize("at", ["create", "write", "sync", "rename"])
def test_the_file_is_written_whole_or_not_at_all(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    with Context(kernel.roots) as context:
        save_parameters(context, "loop", ["debug"])
        before = {path.name: path.read_bytes() for path in kernel.config.iterdir()}
        set_parameter(context, "loop", "debug", "1")

        def failing(boundary: str) -> None:
            if boundary.startswith(f"before {at}"):
                raise OSError(28, "No space left on device")

        real = publish.Directory.__init__
        monkeypatch.setattr(
            publish.Directory, "__init__", lambda self, path, owner: real(self, path, failing, owner=owner)
        )
        with pytest.raises(FileError):
            save_parameters(context, "loop", ["debug"])
    assert {path.name: path.read_bytes() for path in kernel.config.iterdir()} == before


def test_lint_has_nothing_against_what_was_kept(kernel: FakeKernel) -> None:
    with Context(kernel.roots) as context:
        save_parameters(context, "loop")
        assert own(kernel)
        assert lint(context).findings == ()


# --- another system


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A system that is not the running one."""
    strings = ["parm=hash:Size", "parmtype=hash:int", "parmtype=quick:bool", "parmtype=list:array of int"]
    forge_system(
        tmp_path / "image",
        {"sctp": needing("sctp", strings=strings)},
        builtin=["zswap"],
        builtin_modinfo=b"zswap.parmtype=enabled:bool\0",
    )
    return tmp_path / "image"


def save_in(image: Path, *words: str) -> Outcome:
    return run_inside("kmod", ["params", "--save", f"--root={image}", *words])


def test_what_is_kept_in_an_image(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = image / "etc/modprobe.d/zz-pymodutils-sctp.conf"

    def lines() -> list[str]:
        return [line for line in path.read_text().splitlines() if not line.startswith("#")]

    def live(*_: object) -> None:
        raise AssertionError("this asks or changes the running kernel")

    monkeypatch.setattr("pymodutils.effects.parameters.write_parameter", live)
    monkeypatch.setattr("pymodutils.state.live.LiveKernel.parameters", live)
    done = save_in(image, "sctp", "hash=0x10", "quick=off")
    assert (done.status, done.err, done.out.decode()) == (0, b"", f"wrote {path}\n")
    assert lines() == ["options sctp hash=0x10 quick=off"]
    before = path.stat()
    done = save_in(image, "sctp", "hash=0x10")
    assert done.out == b"nothing to keep: the next load gives these values\n" and path.stat() == before
    assert save_in(image, "sctp", "hash=17").status == 0 and lines() == ["options sctp quick=off hash=17"]
    others = image / "etc/modprobe.d/a.conf"
    others.write_text("options sctp hash=8\n")
    assert save_in(image, "sctp", "hash=0x8").status == 0 and lines() == ["options sctp quick=off"]
    document = save_in(image, "--json", "sctp", "list=1,2")
    check_document(document.out)
    (image / "etc/modprobe.d/zzz.conf").write_text("options sctp list=4\n")
    done = save_in(image, "sctp", "list=5")
    assert done.status == 1 and f"sctp.list: is 4 by a line that counts more  {image}".encode() in done.out


def test_what_no_file_of_an_image_can_give(image: Path) -> None:
    for words, said in {
        ("sctp", "hash=x"): "hash: x: not a number of type int",
        ("sctp", "list=1,x"): "list: 1,x: not a number",
        ("sctp", "nosuch=1"): "no such parameter; there are: hash, list, quick",
        ("nosuch", "x=1"): "nosuch: module not found",
        ("zswap", "enabled=1"): "part of the kernel: zswap.enabled=1 has to be on its command line",
        ("sctp",): "another system or release",
    }.items():
        done = save_in(image, *words)
        assert (done.status, done.out) == (2, b"") and said.encode() in done.err, (words, done)
    assert not (image / "etc").exists()
    (ko,) = image.glob("lib/modules/*/kernel/sctp.ko")
    ko.write_bytes(b"")
    done = save_in(image, "sctp", "hash=1")
    assert (done.status, done.err.decode()) == (2, f"kmod: ERROR: {ko}: file is empty\n")
    with Context(Roots.of_system(str(image)).replace(release=RELEASE)) as context, pytest.raises(FormatError):
        configure_parameters(context, "sctp", {"hash": "1"})


# --- the command


def test_the_command_shows_drift_with_its_place(kernel: FakeKernel) -> None:
    kernel.configure("options loop max=9\n")
    done = run_inside("kmod", ["params", "loop"], kernel.roots)
    assert done.status == 1 and done.err == b""
    lines = done.out.decode().splitlines()
    assert lines[0] == "loop  live"
    (line,) = [line for line in lines if line.split()[0] == "max"]
    assert f"9  {kernel.config}/test.conf:1" in line and "DRIFT read-only" in line
    assert any(line.startswith("warning: loop: no file in /sys shows hidden") for line in lines)


def test_many_equal_elements_are_counted(kernel: FakeKernel) -> None:
    for live, shown in (("7,7,7,7,7", "5 times 7"), ("7,7,7,7", "7,7,7,7"), ("7,7,7,7,8", "7,7,7,7,8")):
        (kernel.sys / "loop/parameters/list").write_text(f"{live}\n")
        lines = run_inside("kmod", ["params", "loop"], kernel.roots).out.decode().splitlines()
        (line,) = [line for line in lines if line.split()[0] == "list"]
        assert line.startswith(f"  list       array of int  {shown}  ")


def test_the_documents(kernel: FakeKernel) -> None:
    kernel.configure("options loop max=9\n")
    for words, status in (
        (["loop", "printk", "plain"], 1), ([], 1), (["--changed"], 1), (["loop", "debug=1"], 0), (["other"], 0),
        (["--save", "other"], 0), (["--save", "loop", "debug=0"], 1), (["nosuch"], 2),
    ):  # fmt: skip
        done = run_inside("kmod", ["params", "--json", *words], kernel.roots)
        check_document(done.out)
        assert done.status == status, words


def test_setting_by_the_command(kernel: FakeKernel) -> None:
    done = run_inside("kmod", ["params", "loop", "debug=1", "mask=16"], kernel.roots)
    assert (done.status, done.err) == (0, b"")
    assert done.out.decode().splitlines()[:2] == ["loop.debug: N -> 1", "loop.mask: 0x000010 already"]
    done = run_inside("kmod", ["params", "loop", "max=9"], kernel.roots)
    assert (done.status, done.out) == (2, b"") and b"kmod reload" in done.err
    for words in (["debug=1"], ["--save"], ["loop", "other", "debug=1"]):
        assert run_inside("kmod", ["params", *words], kernel.roots).status == 2


def test_without_a_module_directory_that_is_said(kernel: FakeKernel) -> None:
    for words in (["nosuch"], ["nosuch", "x=1"]):
        done = run_inside("kmod", ["params", "-m", "/nowhere", *words], kernel.roots)
        assert done.status == 2 and b": no module directory\n" in done.err
