# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod closure: order, soft dependencies, firmware, paths for an archive, images compared, text and JSON."""

from __future__ import annotations

import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pymodutils import Context, Roots
from pymodutils.errors import LiveKernelNotAskedError, MissingTreeError
from pymodutils.state.systemfiles import FirmwareFiles, SystemFiles
from pymodutils.verbs.closure import ClosureReport, closure
from tests.support.common import run_inside
from tests.support.forgedsystem import RELEASE, forge_system, lay_files, lay_kernel, needing, of_another_release
from tests.support.koforge import Ko
from tests.support.schemas import check_document
from tests.vm import cpio

MODULES: dict[str, Ko | Sequence[str]] = {
    "top": needing("top", "mid", strings=["softdep=pre: crc-any post: late", "weakdep=maybe,rare"]),
    "mid": needing("mid", "low", strings=["firmware=mid.fw", "softdep=pre: early"]),
    "low": needing("low"),
    "crc-fast": ["alias=crc_any"],
    "crc-slow": ["alias=crc_any"],
    "early": [],
    "late": ["softdep=pre: ghost kernelly"],
    "maybe": [],
    "other": ["firmware=dev/*.bin", "firmware=gone.fw"],
}
BUILTIN = b"kernelly.license=GPL\0kernelly.firmware=built.fw\0"


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return forge_system(
        tmp_path / "system", MODULES, builtin=["kernelly"], builtin_modinfo=BUILTIN,
        files={
            "etc/modprobe.d/a.conf": "options mid a=1\noptions crc_any b=2\n",
            "lib/firmware/real.fw": "x" * 10, "lib/firmware/mid.fw": "-> real.fw", "lib/firmware/built.fw.xz": "x",
            "lib/firmware/dev/1.bin": "1", "lib/firmware/dev/2.bin.zst": "2", "lib/firmware/updates/dev/1.bin": "11",
        },
    )  # fmt: skip


def names(report: ClosureReport) -> list[str]:
    return [node.name for node in report.nodes]


def found(roots: Roots, *asked: str, soft: Sequence[str] = ("pre", "post", "weak"), shipped: bool = False) -> list[str]:
    return names(closure(Context(roots), asked, soft=soft, shipped=shipped))


# --- modules


def test_everything_in_load_order(roots: Roots) -> None:
    order = found(roots, "top")
    assert set(order) == {*"low early mid crc_fast crc_slow top late kernelly maybe".split()}
    before = {"mid": {"low", "early"}, "top": {"mid", "crc_fast", "crc_slow"}, "late": {"top", "kernelly"}}
    for name, others in before.items():
        assert others <= set(order[: order.index(name)])


@pytest.mark.parametrize(
    ("soft", "more"),
    [
        ([], ""),
        (["pre"], "early crc_fast crc_slow"),
        (["post"], "late"),
        (["weak"], "maybe"),
        (["pre", "post"], "early crc_fast crc_slow late kernelly"),
    ],
)
def test_which_soft_dependencies_count(roots: Roots, soft: list[str], more: str) -> None:
    assert set(found(roots, "top", soft=soft)) == {"low", "mid", "top", *more.split()}


def test_the_configuration_counts_by_its_first_line(roots: Roots) -> None:
    lay_files(Path(roots.base), {"etc/modprobe.d/a.conf": "softdep top pre: early\nsoftdep top pre: other\n"})
    assert found(roots, "top", soft=["pre"]) == ["low", "early", "mid", "top"]
    assert set(found(roots, "top", soft=["pre"], shipped=True)) == {*"low early mid crc_fast crc_slow top".split()}


def test_shipped_takes_every_line(tmp_path: Path) -> None:
    strings = ["softdep=pre: one", "softdep=pre: two", "weakdep=three", "weakdep=four"]
    files: dict[str, Ko | Sequence[str]] = {"top": strings, "one": [], "two": [], "three": [], "four": []}
    roots = forge_system(tmp_path, files)
    assert found(roots, "top") == ["one", "top", "three"]
    assert found(roots, "top", shipped=True) == ["one", "two", "top", "three", "four"]


def test_what_is_missing(roots: Roots) -> None:
    (Path(roots.modules) / "kernel/low.ko").unlink()
    report = closure(Context(roots), ["top", "lowe", "a[", "=nowhere"])
    assert {(missing.name, missing.kind, missing.of, missing.required) for missing in report.missing} == {
        ("low", "dependency", "top", True),
        ("lowe", "request", "lowe", True),
        ("a[", "request", "a[", True),
        ("=nowhere", "request", "=nowhere", True),
        ("ghost", "softdep pre", "late", False),
        ("rare", "weakdep", "top", False),
    }
    assert "low" in next(missing.similar for missing in report.missing if missing.name == "lowe")
    assert not report.is_complete
    assert closure(Context(roots), ["late"]).is_complete


@pytest.mark.parametrize("asked", ["=", "=kernel", "=kernel/"])
def test_a_directory(roots: Roots, asked: str) -> None:
    assert {*"top mid low other early".split()} <= set(found(roots, asked))


def test_a_directory_is_named_without_its_first_part(tmp_path: Path) -> None:
    roots = forge_system(tmp_path)
    for path in ("kernel/fs/one.ko", "updates/fs/two.ko", "kernel/fsx/three.ko", "kernel/net/four.ko"):
        Ko(modinfo=["license=GPL"]).write(Path(roots.modules) / path)
    assert run_inside("depmod", ["-b", str(tmp_path), RELEASE]).status == 0
    assert set(found(roots, "=fs")) == {"one", "two"}
    assert set(found(roots, "=kernel/net/")) == {"four"}


def test_an_alias_brings_its_modules_and_their_options(roots: Roots) -> None:
    report = closure(Context(roots), ["crc-any", "mid"])
    options = {node.name: node.options for node in report.nodes}
    assert options == {"crc_fast": "b=2", "crc_slow": "b=2", "low": "", "early": "", "mid": "a=1"}


def test_a_file_from_elsewhere_brings_what_it_states(roots: Roots, tmp_path: Path) -> None:
    strings = ["license=GPL", "depends=mid,nothing", "softdep=pre: late"]
    path = Ko(modinfo=strings).write(tmp_path / "new.ko")
    report = closure(Context(roots), [str(path)])
    assert names(report) == ["low", "early", "mid", "kernelly", "late", "new"]
    assert [(missing.name, missing.required) for missing in report.missing] == [("nothing", True), ("ghost", False)]
    assert report.nodes[-1].path == str(path)


def test_reasons(roots: Roots) -> None:
    nodes = closure(Context(roots), ["top"]).nodes
    why = {node.name: [(reason.kind, reason.of) for reason in node.why] for node in nodes}
    assert why["top"] == [("request", "top")]
    assert set(why["low"]) == {("dependency", "top")}
    assert why["early"] == [("softdep pre", "mid")]
    assert why["late"] == [("softdep post", "top")]
    assert why["maybe"] == [("weakdep", "top")]


def test_loaded_modules(roots: Roots) -> None:
    lay_kernel(Path(roots.base), {"top": "0 - Live 0x0", "low": "1 top, Live 0x0"})
    report = closure(Context(roots), sources=["loaded"], soft=())
    assert names(report) == ["low", "mid", "top"]
    with pytest.raises(LiveKernelNotAskedError):
        closure(Context(Roots.of_system(roots.base, RELEASE)), sources=["loaded"])


def test_devices(roots: Roots) -> None:
    lay_files(Path(roots.base), {
        "sys/devices/a/modalias": "crc-any\n", "sys/devices/b/modalias": "unknown:x\n",
        "sys/devices/c/driver/module": "-> ../../../../module/other", "sys/devices/d/modalias": "blacked\n",
        "etc/modprobe.d/b.conf": "alias blacked late\nblacklist late\n",
    })  # fmt: skip
    report = closure(Context(roots), sources=["devices"])
    assert names(report) == ["crc_fast", "crc_slow", "other"]
    assert report.nodes[0].why[0].kind == "device" and report.nodes[0].why[0].of.endswith("/sys/devices/a")


def test_devices_are_asked_for_another_kernel_but_not_for_another_system(roots: Roots) -> None:
    lay_files(Path(roots.sys), {"devices/a/modalias": "crc-any"})
    other = of_another_release(roots)
    assert names(closure(other, sources=["devices"])) == ["crc_fast", "crc_slow"]
    with pytest.raises(LiveKernelNotAskedError):
        closure(Context(Roots.of_system(roots.base, RELEASE)), sources=["devices"])


def test_without_a_tree(roots: Roots) -> None:
    with pytest.raises(MissingTreeError):
        closure(Context(roots.replace(release="9.9")), ["top"])


@given(
    st.lists(st.sampled_from(sorted(MODULES)), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(sorted(MODULES)), st.lists(st.sampled_from(["post:", *MODULES]), max_size=5)),
)
def test_the_order_is_that_of_modprobes_plans(
    tmp_path_factory: pytest.TempPathFactory, asked: list[str], softdeps: dict[str, list[str]]
) -> None:
    rules = "".join(f"softdep {name} pre: {' '.join(words)}\n" for name, words in softdeps.items())
    base = shared_system(tmp_path_factory)
    conf = Path(base.base) / "rules.conf"
    conf.write_text(rules)
    context = Context(base, config=[str(conf)])
    planned = [
        step.module
        for name in asked
        for step in context.plan_load(name, ignore_loaded=True).steps
        if step.action in ("insert", "builtin")
    ]
    assert names(closure(context, asked, soft=["pre", "post"])) == list(dict.fromkeys(planned))


_shared: list[Roots] = []


def shared_system(factory: pytest.TempPathFactory) -> Roots:
    if not _shared:
        _shared.append(forge_system(factory.mktemp("shared"), MODULES, builtin=["kernelly"]))
    return _shared[0]


# --- files


def test_firmware(roots: Roots) -> None:
    report = closure(Context(roots), ["mid", "other", "late"])
    firmware = {item.pattern: [path.removeprefix(roots.base) for path in item.files]
                for node in report.nodes for item in node.firmware}  # fmt: skip
    assert firmware == {
        "mid.fw": ["/lib/firmware/mid.fw", "/lib/firmware/real.fw"],
        "dev/*.bin": ["/lib/firmware/updates/dev/1.bin", "/lib/firmware/dev/2.bin.zst"],
        "gone.fw": [],
        "built.fw": ["/lib/firmware/built.fw.xz"],
    }
    assert [item.pattern for node in report.nodes for item in node.firmware if item.missing] == ["gone.fw"]


@pytest.mark.parametrize(
    ("there", "taken"),
    [
        (["a.xz", "a"], "a"),
        (["updates/a.xz", "a"], "a"),
        (["updates/a", "a"], "updates/a"),
        (["updates/R/a", "updates/a"], "updates/R/a"),
        (["R/a", "updates/a"], "updates/a"),
        (["a.xz", "a.zst"], "a.zst"),
        (["b"], None),
    ],
)
def test_which_firmware_the_kernel_takes(tmp_path: Path, there: list[str], taken: str | None) -> None:
    lay_files(tmp_path / "lib/firmware", dict.fromkeys(there, "x"))
    files = FirmwareFiles(SystemFiles(str(tmp_path)), "R")
    assert files.find("a") == ([f"/lib/firmware/{taken}"] if taken else [])


def test_firmware_names_that_lead_elsewhere_are_none(tmp_path: Path) -> None:
    lay_files(tmp_path, {"lib/secret": "x", "lib/firmware/a": "x"})
    files = FirmwareFiles(SystemFiles(str(tmp_path)), "R")
    assert files.find("../secret") == files.find("") == files.find("../s*") == []


def test_links_are_followed_inside_the_root(tmp_path: Path) -> None:
    lay_files(tmp_path, {"lib": "-> /usr/lib", "usr/lib/x/file": "x", "usr/lib/y": "-> x/../x", "loop": "-> loop"})
    files = SystemFiles(str(tmp_path))
    found = files.resolve("/lib/y/file")
    assert found is not None
    assert found.path == "/usr/lib/x/file"
    assert found.entries == ("/lib", "/usr", "/usr/lib", "/usr/lib/y", "/usr/lib/x", "/usr/lib/x/file")
    assert files.resolve("/loop") is None and files.resolve("/lib/none") is None


def test_paths_for_an_archive_come_after_what_leads_to_them(roots: Roots) -> None:
    report = closure(Context(Roots.of_system(roots.base, RELEASE)), ["mid"])
    place = {path: number for number, path in enumerate(report.files)}
    assert len(place) == len(report.files)
    for path in report.files:
        assert not path.startswith("/") and (Path(roots.base) / path).exists()
        parent = str(Path(path).parent)
        assert parent == "." or place[parent] < place[path]
    tree = f"lib/modules/{RELEASE}"
    assert {"lib/firmware/mid.fw", "lib/firmware/real.fw", "etc/modprobe.d/a.conf"} <= place.keys()
    assert {"lib/modules", f"{tree}/kernel/mid.ko", f"{tree}/modules.dep.bin"} <= place.keys()
    assert f"{tree}/kernel/top.ko" not in place


def test_size(roots: Roots) -> None:
    report = closure(Context(roots), ["mid"], soft=())
    modules = sum((Path(roots.modules) / f"kernel/{name}.ko").stat().st_size for name in ("mid", "low"))
    assert report.size == modules + 10 + (Path(roots.base) / "etc/modprobe.d/a.conf").stat().st_size


# --- images


def image(roots: Roots, files: Sequence[str], changed: str = "") -> bytes:
    output = io.BytesIO()
    archive = cpio.Writer(output)
    for path in files:
        full = Path(roots.base) / path
        if full.is_symlink():
            archive.symlink(path, str(full.readlink()))
        elif full.is_file():
            archive.file(path, full.read_bytes() + (b"x" if path.endswith(changed or "no") else b""))
    archive.close()
    return gzip.compress(output.getvalue())


def test_an_image_that_has_all(roots: Roots, tmp_path: Path) -> None:
    context = Context(Roots.of_system(roots.base, RELEASE))
    path = tmp_path / "initrd.img"
    path.write_bytes(image(roots, closure(context, ["mid"]).files))
    report = closure(context, ["mid"], compare=path)
    assert (report.image, report.lacks) == (str(path), ())
    done = run_inside("kmod", ["closure", "--root", roots.base, "--compare", str(path), "mid"])
    assert (done.status, done.out) == (0, f"{path} has all that is needed\n".encode())


def test_what_an_image_lacks(roots: Roots, tmp_path: Path) -> None:
    context = Context(Roots.of_system(roots.base, RELEASE))
    files = [path for path in closure(context, ["mid"]).files if not path.endswith(("/early.ko", "/mid.fw"))]
    path = tmp_path / "initrd.img"
    path.write_bytes(image(roots, files, changed="a.conf"))
    report = closure(context, ["mid"], compare=path)
    assert report.lacks is not None
    assert [(lack.kind, lack.state, Path(lack.path).name, lack.of) for lack in report.lacks] == [
        ("configuration", "different", "a.conf", None),
        ("module", "absent", "early.ko", "early"),
        ("firmware", "absent", "mid.fw", "mid"),
    ]
    done = run_inside("kmod", ["closure", "--json", "--root", roots.base, "--compare", str(path), "mid"])
    assert done.status == 1
    assert check_document(done.out)["lacks"][1]["path"].endswith("/early.ko")


def test_an_image_that_cannot_be_read(roots: Roots, tmp_path: Path) -> None:
    for content in (None, b"no image at all"):
        path = tmp_path / "initrd.img"
        if content:
            path.write_bytes(content)
        done = run_inside("kmod", ["closure", "--root", roots.base, "--compare", str(path), "mid"])
        assert (done.status, done.out) == (2, b"")
        assert str(path).encode() in done.err


# --- the command


def kmod(roots: Roots, *words: str) -> tuple[int, str, str]:
    done = run_inside("kmod", ["closure", *words], roots)
    return done.status, done.out.decode(), done.err.decode()


def test_text(roots: Roots) -> None:
    code, out, err = kmod(roots, "--soft=pre", "mid", "other")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines == [
        "MODULE FILE FIRMWARE OPTIONS",
        "low kernel/low.ko - -",
        "early kernel/early.ko - -",
        "mid kernel/mid.ko 1 found a=1",
        "other kernel/other.ko 1 found, 1 missing -",
        "",
        "Firmware that is not there:",
        "other gone.fw",
        "",
        lines[-1],
    ]
    assert lines[-1].startswith("4 modules, ")
    assert (code, err) == (0, "")


def test_text_of_reasons(roots: Roots) -> None:
    _code, out, _err = kmod(roots, "--why", "mid")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert lines[:3] == ["low dependency of mid", "early softdep pre of mid", "mid asked for as mid"]


def test_text_of_what_stands_for_nothing(roots: Roots) -> None:
    code, out, _err = kmod(roots, "--missing=list", "late", "lowe")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    place = lines.index("Stands for no module:")
    assert (code, lines[place + 1 : place + 3]) == (0, ["ghost softdep pre of late", "lowe asked for"])


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["lowe"], 1, "ERROR: lowe: module not found; similar names: low"),
        (["--missing=error", "lowe"], 1, "ERROR: lowe: module not found"),
        (["=nosuch"], 1, "ERROR: =nosuch: no module lies below that directory"),
        (["--missing=warn", "lowe"], 0, "WARNING: lowe: module not found"),
        (["--missing=list", "lowe"], 0, ""),
        (["late"], 0, ""),
        ([], 2, "missing module"),
        (["--soft=pre,x", "low"], 2, "--soft: 'x' is none of pre, post, weak"),
        (["--from=there"], 2, "--from: 'there' is none of loaded, devices"),
        (["--missing=no", "low"], 2, "--missing: 'no' is none of error, warn, list"),
        (["/no/such.ko"], 2, "/no/such.ko"),
    ],
)
def test_exit_status_and_messages(roots: Roots, words: list[str], code: int, message: str) -> None:
    status, _out, err = kmod(roots, *words)
    assert status == code
    assert message in err and bool(message) is bool(err)


def test_what_was_asked_for_in_vain_is_listed_as_that(roots: Roots) -> None:
    done = run_inside("kmod", ["closure", "--missing=list", "lowe"], roots)
    assert b"Stands for no module:\n  lowe  asked for\n" in done.out


def test_files0(roots: Roots) -> None:
    code, out, err = kmod(roots, "--files0", "--root", roots.base, "mid")
    report = closure(Context(Roots.of_system(roots.base, RELEASE)), ["mid"])
    assert (code, out.split("\0"), err) == (0, [*report.files, ""], "")


@pytest.mark.parametrize("words", [["top", "other", "lowe", "/no/such.ko"], ["--from=loaded"], ["=kernel"]])
def test_documents_match_their_schema(roots: Roots, words: list[str]) -> None:
    done = run_inside("kmod", ["closure", "--json", *words], roots)
    document = check_document(done.out)
    assert document["asked"] == [word for word in words if not word.startswith("--")]


def test_json_is_what_the_library_returns(roots: Roots) -> None:
    assert kmod(roots, "--json", "top")[1] == closure(Context(roots), ["top"]).to_json()
