# SPDX-License-Identifier: LGPL-2.1-or-later
"""The package as a library: what programs that import it rely on."""

from __future__ import annotations

import copy
import errno
import lzma
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pymodutils
from pymodutils import Context, LiveKernel, ModuleFile, ModuleTree, Roots, loaded_modules, module_info
from pymodutils.depmod.errors import CycleError
from pymodutils.errors import (
    AmbiguousNameError,
    CommandError,
    ElfError,
    Error,
    FileError,
    FormatError,
    InsertError,
    KernelError,
    MissingTreeError,
    NameSyntaxError,
    NotFoundError,
    SystemCallError,
)
from pymodutils.formats.parameters import parameters_text
from pymodutils.formats.source import OwnedFileSource
from pymodutils.state.modulefile import elf_of
from tests.support.common import REPO, need, replace_call
from tests.support.forgedsystem import forge_system
from tests.support.indexforge import build, write
from tests.support.koforge import Ko
from tests.support.schemas import validate_record

# --- errors


@pytest.mark.parametrize(
    "content",
    [b"text", b"", Ko().bytes()[:70], lzma.compress(Ko().bytes())[:-9], b"\x1f\x8bx", Ko(modinfo=None).bytes()],  # type: ignore[arg-type]
    ids=["text", "empty", "cut", "cut xz", "bad gzip", "no .modinfo"],
)
def test_an_error_about_a_file_says_which(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.ko"
    path.write_bytes(content)
    with pytest.raises(FormatError) as error:
        module_info(path)
    assert error.value.path == str(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_file_that_cannot_be_read_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At whichever of the reads."""
    path = Ko(build_id=b"12345678", extra_sections={b".text": bytes(8192)}).write(tmp_path / "a.ko")
    real = os.pread
    for number in range(30):
        reads = iter(range(99))

        def pread(fd: int, size: int, at: int, number: int = number, reads: Iterator[int] = reads) -> bytes:
            if next(reads) == number:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(fd, size, at)

        with monkeypatch.context() as patch:
            replace_call(patch, "pread", pread)
            try:
                module_info(path)
            except FileError as error:
                assert (error.path, error.errno) == (str(path), errno.EIO)
            else:
                assert number > 3
                return
    pytest.fail("there was no end of reads")


ERRORS = [
    Error("reason", module="m", path="/p", line=3, errno=4),
    ElfError("x"),
    CommandError("failed", command="c", status=2, module="m"),
    CycleError("circle", [["a", "b", "a"]]),
    FileError("denied", path="/p", errno=errno.EACCES),
    InsertError("exists", module="m", path="/p", errno=errno.EEXIST),
    InsertError("refused", module="m", errno=errno.EKEYREJECTED),
    MissingTreeError("no tree", path="/p"),
    NotFoundError("not found", asked="a-b", module="a_b", similar=["ab"]),
    AmbiguousNameError("several", asked="x", modules=["a", "b"]),
]
PYTHONS_OWN = [
    *(FileError("x", path="/p", errno=number) for number in (errno.EACCES, errno.EPERM, errno.ENOENT, errno.EEXIST)),
    *(KernelError("x", errno=number) for number in (errno.EPERM, errno.ENOENT, errno.EEXIST, errno.EAGAIN)),
]


@pytest.mark.parametrize("error", PYTHONS_OWN, ids=lambda error: f"{type(error).__name__} {error.errno}")
def test_errors_are_those_that_python_has_for_their_number(error: OSError) -> None:
    kind = type(OSError(error.errno, ""))
    assert kind is not OSError
    with pytest.raises(kind) as caught:
        raise error
    assert isinstance(caught.value, SystemCallError) and type(caught.value).__name__ in ("FileError", "KernelError")
    assert (caught.value.strerror, caught.value.filename) == (os.strerror(error.errno or 0), caught.value.path)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors_travel(error: Error, again: Callable[[Error], Error]) -> None:
    """Between processes, for instance."""
    other = again(error)
    assert type(other) is type(error)
    assert (str(other), vars(other)) == (str(error), vars(error))


# --- files of modules


def test_after_its_end_a_module_file_reads_nobody_elses(tmp_path: Path) -> None:
    """The descriptor's number may belong to another file by then."""
    mine, other = Ko(modinfo=["license=mine"], build_id=b"i" * 20).write(tmp_path / "a.ko"), tmp_path / "b.ko"
    Ko(modinfo=["license=other"]).write(other)
    with ModuleFile(mine) as module:
        assert [field.value for field in module.modinfo()] == ["mine"]
        elf = elf_of(module)
    fd = os.open(other, os.O_RDONLY)
    try:
        kept = (lambda: elf.data_of(b".modinfo"), elf.build_id)
        for ask in (module.modinfo, module.image, module.signature, lambda: elf_of(module), *kept):
            with pytest.raises(FileError) as error:
                ask()
            assert (error.value.path, error.value.errno) == (str(mine), errno.EBADF)
        module.close()
        with pytest.raises(FileError), module:
            module.modinfo()
        assert os.read(fd, 4) == b"\x7fELF"
    finally:
        os.close(fd)


def test_paths_may_be_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ko(modinfo=["license=GPL"]).write(tmp_path / "a.ko")
    monkeypatch.chdir(tmp_path)
    assert module_info(Path("a.ko")).license == "GPL"
    assert module_info(tmp_path / "a.ko") == module_info(str(tmp_path / "a.ko"))


# --- the module tree


@pytest.fixture
def tree(tmp_path: Path) -> ModuleTree:
    roots = Roots(base=str(tmp_path), release="6.1")
    folder = Path(roots.modules)
    index = {
        "dep": [(b"snd_b", 1, b"kernel/snd-b.ko: kernel/z.ko"), (b"z", 0, b"kernel/z.ko:")],
        "alias": [(b"crypto_crc32c", 1, b"snd_b"), (b"pci:v[0-9]*", 0, b"z")],
        "symbols": [(b"symbol:foo", 0, b"z")],
        "builtin": [(b"the_core", 0, b"")],
        "builtin.alias": [(b"net_pf_1", 0, b"the_core")],
    }
    folder.mkdir(parents=True)
    for name, entries in index.items():
        (folder / f"modules.{name}.bin").write_bytes(write(build(entries)))
    (folder / "modules.builtin.modinfo").write_bytes(b"the_core.license=GPL\0")
    return ModuleTree(roots)


def test_look_ups_take_names_as_modules_write_them(tree: ModuleTree) -> None:
    """With dashes, as in softdeps and modaliases."""
    found = tree.find("snd-b")
    assert found is not None and found.name == "snd_b"
    assert tree.modules_by_alias("crypto-crc32c") == ["snd_b"]
    assert tree.modules_by_alias("pci:v5d-7") == ["z"]
    assert tree.modules_by_symbol("foo") == tree.modules_by_symbol("symbol:foo") == ["z"]
    assert tree.is_builtin("the-core")
    assert tree.builtins_by_alias("net-pf-1") == ["the_core"]
    assert [field.value for field in tree.builtin_modinfo("the-core")] == ["GPL"]
    with pytest.raises(NameSyntaxError):
        tree.modules_by_alias("bad[")


@pytest.mark.parametrize("name", ["a[-]b", "x[-]y"])
def test_a_name_with_brackets_is_none(tmp_path: Path, name: str) -> None:
    """Within them a dash stays one, as everywhere."""
    roots = Roots(base=str(tmp_path), release="6.1")
    Path(roots.modules).mkdir(parents=True)
    for index, key in (("dep", b"a[_]b"), ("builtin", b"x[_]y")):
        value = b"kernel/a[-]b.ko:" if index == "dep" else b""
        Path(roots.modules, f"modules.{index}.bin").write_bytes(write(build([(key, 0, value)])))
    tree = ModuleTree(roots)
    assert tree.find(name) is None and not tree.is_builtin(name)


def test_all_modules_in_their_order(tree: ModuleTree) -> None:
    folder = tree.directory
    assert [(module.name, module.path, module.dependencies) for module in tree.modules()] == [
        ("z", f"{folder}/kernel/z.ko", ()),
        ("snd_b", f"{folder}/kernel/snd-b.ko", (f"{folder}/kernel/z.ko",)),
    ]
    with pytest.raises(FileNotFoundError):
        ModuleTree(Roots(base="/nowhere")).modules()


# --- the running kernel


@pytest.fixture
def live(tmp_path: Path) -> LiveKernel:
    (tmp_path / "sys/module/m/parameters").mkdir(parents=True)
    (tmp_path / "sys/module/m/parameters/debug").write_text("1\n")
    (tmp_path / "sys/module/m/refcnt").write_text("2\n")
    (tmp_path / "sys/module/m/initstate").write_text("live\n")
    (tmp_path / "sys/secret").write_text("x")
    return LiveKernel(Roots(sys=str(tmp_path / "sys")))


def test_attributes_lie_below_their_module(live: LiveKernel) -> None:
    assert live.attribute("m", "parameters/debug") == "1"
    for name, attribute in (("m", "../../secret"), ("m", "/etc/hostname"), ("..", "secret"), ("m", ""), ("m/..", "x")):
        assert live.attribute(name, attribute) is None


def test_a_module_that_goes_away_meanwhile_is_not_loaded(live: LiveKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(fd: int, size: int) -> bytes:
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))

    replace_call(monkeypatch, "read", read)
    assert live.attribute("m", "version") is None
    assert live.refcount("m") is None
    assert live.state("m") is None


def test_snapshots_can_be_compared_as_sets(tmp_path: Path) -> None:
    (tmp_path / "modules").write_text("b 8192 0 - Live 0x0\na 16384 1 b, Live 0x0 (OE)\n")
    before = set(loaded_modules(Roots(proc=str(tmp_path))))
    (tmp_path / "modules").write_text("c 1 0 - Live 0x0\nb 8192 0 - Live 0x0\na 16384 1 b, Live 0x0 (OE)\n")
    after = set(loaded_modules(Roots(proc=str(tmp_path))))
    assert [module.name for module in after - before] == ["c"]


# --- the public door


def test_public_names_are_listed_before_they_are_used() -> None:
    program = "import pymodutils; print(set(pymodutils.__all__) - set(dir(pymodutils)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=REPO, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
    with pytest.raises(AttributeError):
        getattr(pymodutils, "no_such_name")  # noqa: B009


def test_running_on_this_system_is_the_default() -> None:
    assert ModuleTree().directory == Roots().modules
    assert LiveKernel().state("no such module") is None
    pymodutils.KernelModules()


def test_a_type_checker_sees_the_types_and_nothing_else(tmp_path: Path) -> None:
    """A program that makes use of much of it, and one with a misspelt name."""
    mypy = Path(sys.executable).with_name("mypy")
    need(mypy.exists(), "mypy")
    good = (
        "from pathlib import Path\n"
        "from pymodutils import Error, LiveKernel, ModuleFile, ModuleTree, TreeModule, loaded_modules, module_info\n"
        "names: list[str] = [module.name for module in loaded_modules()]\n"
        "licence: str | None = module_info(Path('x.ko')).license\n"
        "found: TreeModule | None = ModuleTree().find('x')\n"
        "count: int | None = LiveKernel().refcount('x')\n"
        "with ModuleFile('x.ko') as module:\n"
        "    keys: list[str] = [field.key for field in module.modinfo()]\n"
        "try:\n"
        "    module_info('x')\n"
        "except Error as error:\n"
        "    number: int | None = error.errno\n"
    )
    for text, status, said in (
        (good, 0, "Success"),
        ("import pymodutils\npymodutils.load_modules()\n", 1, "no attribute"),
    ):
        (tmp_path / "program.py").write_text(text)
        done = subprocess.run(
            [mypy, "--strict", "--config-file=", f"--cache-dir={tmp_path}/cache", tmp_path / "program.py"],
            capture_output=True, text=True, env={**os.environ, "MYPYPATH": str(REPO)}, cwd=tmp_path,
        )  # fmt: skip
        assert (done.returncode, said in done.stdout) == (status, True), done.stdout


@pytest.mark.parametrize(("index", "text"), [("dep", "m"), ("alias", "m"), ("builtin", "m"), ("symbols", "symbol:m")])
@pytest.mark.parametrize("content", [None, b"no index", b""])
def test_a_name_is_unknown_where_an_index_is_missing_that_may_know_it(
    tmp_path: Path, index: str, text: str, content: bytes | None
) -> None:
    """modules.symbols.bin knows symbols alone, and kmod's depmod leaves modules.builtin.bin empty."""
    roots = forge_system(tmp_path, {"one": []})
    tree = ModuleTree(roots, lambda _error: None)
    assert (tree.why_unknown(text), tree.lacking_indexes(text)) == (None, [])
    path = Path(roots.modules, f"modules.{index}.bin")
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    tree.refresh()
    why = None if content == b"" and index == "builtin" else f"no usable {path.name}"
    assert (tree.why_unknown(text), tree.lacks_index(index)) == (why, why is not None)
    assert ModuleTree(roots, lambda _error: None).why_unknown("m") == (None if index == "symbols" else why)
    assert ModuleTree(roots.replace(release="none")).why_unknown(text) == "no module directory"


def test_what_cannot_be_read_of_the_kernel_has_no_text(tmp_path: Path) -> None:
    (tmp_path / "cmdline").mkdir()
    kernel = LiveKernel(Roots(proc=str(tmp_path)))
    assert (kernel.text("cmdline"), kernel.text("none")) == (None, None)


def test_a_module_without_a_state_is_coming(tmp_path: Path) -> None:
    (tmp_path / "module/early").mkdir(parents=True)
    (tmp_path / "module/file").touch()
    kernel = LiveKernel(Roots(sys=str(tmp_path)))
    assert [kernel.state(name) for name in ("early", "file", "none")] == ["coming", None, None]


def test_what_is_no_module_file_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.ko")
    with pytest.raises(FileError, match="a pipe is no module"):
        ModuleFile(tmp_path / "pipe.ko")
    (tmp_path / "short.ko").write_bytes(b"\x1f\x8b\x08")  # how a compressed file begins, if it went on
    with ModuleFile(tmp_path / "short.ko") as short:
        assert short.too_short and short.compression is None


def test_without_a_module_directory_no_index_is_a_damaged_one(tmp_path: Path) -> None:
    heard: list[Error] = []
    tree = ModuleTree(Roots(base=str(tmp_path), release="none"), heard.append)
    assert tree.lacks_index("alias") and not heard and not tree.unusable_indexes


def test_aliases_of_builtin_modules_are_known_where_the_kernel_states_them(tmp_path: Path) -> None:
    """Kernels before Linux 5.2 have no modules.builtin.modinfo, and depmod before kmod 27 makes no index of it."""
    roots = forge_system(tmp_path, builtin=["ext4"], builtin_modinfo=b"ext4.license=GPL\0")
    Path(roots.modules, "modules.builtin.alias.bin").unlink()
    assert ModuleTree(roots).why_unknown("fs-ext4") == "no usable modules.builtin.alias.bin"
    Path(roots.modules, "modules.builtin.modinfo").unlink()
    assert ModuleTree(roots).why_unknown("fs-ext4") is None


# --- copies


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
def test_no_copy_of_an_open_file_closes_its_descriptor(tmp_path: Path, duplicate: Callable[[object], object]) -> None:
    with ModuleFile(Ko(modinfo=["license=GPL"]).write(tmp_path / "a.ko")) as file:
        with pytest.raises(TypeError, match="open its path again"):
            duplicate(file)
        os.fstat(file.fd)
    source = OwnedFileSource(os.open(tmp_path / "a.ko", os.O_RDONLY), "a.ko")
    with pytest.raises(TypeError, match="cannot be copied"):
        duplicate(source)
    assert source.read(0, 4) == b"\x7fELF"


@pytest.mark.parametrize(
    "duplicate",
    [copy.copy, copy.deepcopy, lambda context: pickle.loads(pickle.dumps(context))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_a_copied_context_is_one_for_the_same_system(tmp_path: Path, duplicate: Callable[[Context], Context]) -> None:
    (tmp_path / "a.conf").write_text("blacklist a\n")
    directory = tmp_path / "lib/modules/6.1"
    directory.mkdir(parents=True)
    (directory / "modules.dep.bin").write_bytes(write(build([(b"a", 0, b"a.ko:")])))
    context = Context(Roots(tmp_path, "6.1"), config=tmp_path / "a.conf", live=False, on_problem=print)
    assert [module.name for module in context.available()] == ["a"]
    other = duplicate(context)
    context.close()
    assert other is not context
    assert (other.roots, other.config_paths, other.live.is_asked) == (context.roots, context.config_paths, False)
    assert [module.name for module in other.available()] == ["a"]
    assert other.config.blacklisted("a")


def test_roots_take_paths() -> None:
    roots = Roots(Path("/mnt"), "6.1", config_root=Path("/mnt"), proc=Path("/host/proc"), sys=Path("/host/sys"))
    assert roots == Roots("/mnt", "6.1", config_root="/mnt", proc="/host/proc", sys="/host/sys")
    assert roots.replace(base=Path("/x")).modules == "/x/lib/modules/6.1"


# --- parameters as a mapping


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("x y", 'a="x y"'),
        ("x\ty=1", 'a="x\ty=1"'),
        ("'x y'", "a=\"'x y'\""),
        ('"x y"', 'a="x y"'),
        ("à", 'a="à"'),
        ("", "a="),
    ],
)
def test_a_value_stays_the_value_of_its_parameter(value: str, word: str) -> None:
    assert parameters_text({"a": value}) == word


@pytest.mark.parametrize("name", ["", "a b", "a=b", 'a"', "a\nb"])
def test_what_is_no_name_of_a_parameter_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a parameter"):
        parameters_text({name: 1})


def test_values_that_the_kernel_would_take_for_others_are_refused() -> None:
    for text in ('x"y', '"', '"a" "b"'):
        with pytest.raises(ValueError, match="double quote"):
            parameters_text({"a": text})
    values: list[object] = [None, b"x", {}, {1}, [None]]
    for value in values:
        with pytest.raises(TypeError, match="values of parameters"):
            parameters_text({"a": value})
    with pytest.raises(TypeError, match="names of parameters"):
        parameters_text({1: 2})  # type: ignore[dict-item]


def test_a_rule_of_the_kernel_command_line_has_no_line(tmp_path: Path) -> None:
    files = {"proc/cmdline": "low.x=1 modprobe.blacklist=low\n", "etc/modprobe.d/a.conf": "options low y=2\n"}
    rules = Context(forge_system(tmp_path, {"low": []}, files=files)).config.rules
    assert {(rule.kind, rule.line) for rule in rules} == {("options", None), ("blacklist", None), ("options", 1)}
    for rule in rules:
        validate_record("Rule", rule.as_dict())
        assert rule.place.line == rule.line
