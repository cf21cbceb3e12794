# SPDX-License-Identifier: LGPL-2.1-or-later
"""The programs of examples/: each does what the tool does whose task it takes on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from pymodutils import Context, InsertError, NotFoundError, Roots
from tests.support.common import REPO, need
from tests.support.fakekernel import FakeKernel
from tests.support.forgedsystem import RELEASE, forge_system, needing
from tests.support.koforge import Ko

EXAMPLES = REPO / "examples"
PROGRAMS = sorted(path.stem for path in EXAMPLES.glob("*.py"))


def example(name: str) -> ModuleType:
    """A program as a module."""
    spec = spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def kmods(name: str, words: list[str]) -> list[str]:
    """The lines that a command of the real kmod prints."""
    path = shutil.which(name, path="/usr/sbin:/sbin:/usr/bin:/bin")
    need(path is not None and os.path.realpath(path).endswith("/kmod"), "kmod")
    return subprocess.run([str(path), *words], capture_output=True, text=True, check=True).stdout.splitlines()


def run(name: str, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a program as a user does."""
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(REPO)})


# --- what is on disk


def module(name: str, *needs: str, strings: Sequence[str] = ()) -> Ko:
    """A module that needs others, and says so."""
    return needing(name, *needs, strings=[f"depends={','.join(needs)}", *strings])


MODULES = {
    "scsi": module("scsi", strings=["firmware=scsi.bin"]),
    "disk-a": module("disk_a", "scsi", strings=["softdep=pre: crc post: late-one", "alias=pci:v1d*", "firmware=a/*"]),
    "disk_b": module("disk_b", "scsi", "disk_a", strings=["firmware=gone.bin", "alias=pci:v1d*"]),
    "crc": module("crc"),
    "late-one": module("late_one"),
    "net": module("net", "crc"),
}
FILES = {
    "usr/lib/firmware/scsi.bin.xz": "x", "usr/lib/firmware/a/one": "x", "usr/lib/firmware/a/two.zst": "x",
    "usr/lib/firmware/inside.bin": "x", "usr/lib/firmware/unused.bin": "x",
}  # fmt: skip


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Roots:
    root = tmp_path_factory.mktemp("image")
    (root / "usr/lib").mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    return forge_system(
        root, MODULES, builtin=["inside"], files=FILES,
        builtin_modinfo=b"inside.license=GPL\0inside.firmware=inside.bin\0inside.softdep=pre: net\0",
    )  # fmt: skip


@pytest.fixture
def image(tree: Roots) -> Iterator[Context]:
    with Context(tree, live=False) as context:
        yield context


def all_strings(tree: Roots) -> Mapping[str, list[tuple[str, str]]]:
    """What kmod's modinfo says of every module, by name."""
    found: dict[str, list[tuple[str, str]]] = {}
    for name in [*(path.stem for path in Path(tree.modules).rglob("*.ko")), "inside"]:
        lines = kmods("modinfo", ["-b", tree.base, "-k", RELEASE, "-m", name])
        pairs = [line.partition(":")[::2] for line in lines]
        found[name.replace("-", "_")] = [(key, value.strip()) for key, value in pairs]
    return found


def test_initrd_modules(tree: Roots, image: Context) -> None:
    """Against a closure over what kmod's modinfo prints, which is what mkosi reads."""
    strings = all_strings(tree)
    todo, found = ["inside", "disk_b"], set()
    while todo:
        name = todo.pop().replace("-", "_")
        if name in strings and name not in found:
            found.add(name)
            for key, value in strings[name]:
                if key in ("depends", "softdep"):
                    todo += [word for word in value.replace(",", " ").split() if not word.endswith(":")]
    firmware = Path(tree.base, "usr/lib/firmware")
    modules, files = example("initrd_modules").resolve(image, ["kernel/disk_[b]*"], firmware)
    assert {path.stem.replace("-", "_") for path in modules} == found - {"inside"} >= {"crc", "late_one", "net"}
    assert {str(file.relative_to(firmware)) for file in files} == {
        "scsi.bin.xz", "a/one", "a/two.zst", "inside.bin",
    }  # fmt: skip
    done = run("initrd_modules", tree.base, RELEASE, "disk-b")
    assert done.stdout.splitlines() == sorted(map(str, modules | files))


def test_symbol_closure(tree: Roots, image: Context, tmp_path: Path) -> None:
    """Against dracut's own program, which copies the files."""
    program = Path("/usr/lib/dracut/dracut-install")
    need(program.exists(), "dracut-core")
    for symbols in ("^disk_a_symbol$", "crc_symbol|disk_a_symbol", "nothing_like_it"):
        target = tmp_path / symbols.strip("^$")
        target.mkdir()
        command = [program, "-D", target, "--kerneldir", tree.modules, "--firmwaredirs", "/nowhere", "-o", "-m", "-s",
                   symbols, *MODULES]  # fmt: skip
        subprocess.run(command, capture_output=True)
        copied = {path.name for path in target.rglob("*.ko")}
        assert {os.path.basename(path) for path in example("symbol_closure").closure(image, "*", symbols)} == copied
        assert bool(copied) == (symbols != "nothing_like_it")
    paths = example("symbol_closure").closure(image, "kernel/*", "crc_symbol|disk_a_symbol")
    directory = image.tree.directory
    assert paths.index(f"{directory}/kernel/scsi.ko") < paths.index(f"{directory}/kernel/disk_b.ko")


def test_module_paths(tree: Roots, image: Context) -> None:
    """Against `modprobe --show-depends`, which virtme-ng reads."""
    names = ["disk-b", "pci:v1d2", "inside", "crc"]
    expected: dict[str, None] = {}
    for name in names:
        lines = kmods("modprobe", ["-C", "/var/empty", "-d", tree.base, "-S", RELEASE, "--show-depends", name])
        # An image's own links are followed inside it, so paths are as they are behind `lib`.
        expected |= dict.fromkeys(os.path.realpath(line.split()[1]) for line in lines if line.startswith("insmod"))
    assert example("module_paths").module_paths(image, [*names, "nothing"]) == (list(expected), ["nothing"])
    done = run("module_paths", "0.0", "x")
    assert done.returncode == 1 and "MissingTreeError" in done.stderr


def test_driver_of(tree: Roots, image: Context, tmp_path: Path) -> None:
    device = tmp_path / "device"
    (device / "driver").mkdir(parents=True)
    (device / "modalias").write_text("pci:v1d2\n")
    program = example("driver_of")
    assert program.modalias_of(device) == "pci:v1d2"
    assert program.driver_of(device) is None
    (device / "driver/module").symlink_to(tmp_path)
    assert program.driver_of(device) == tmp_path.name
    assert list(program.candidates(image, "pci:v1d2")) == [
        ("disk_a", "available", "modules.alias"), ("disk_b", "available", "modules.alias"),
    ]  # fmt: skip
    (tmp_path / "no.conf").write_text("blacklist disk_a\ninstall disk_b /bin/false\n")
    denied = Context(tree, live=False, config=tmp_path / "no.conf")
    assert [state for _, state, _ in program.candidates(denied, "pci:v1d2")] == [
        f"denied by {tmp_path}/no.conf:1", f"denied by {tmp_path}/no.conf:2",
    ]  # fmt: skip
    assert run("driver_of", device).stdout.startswith(f"has: {tmp_path.name}\n")


# --- what is in the kernel


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeKernel:
    kernel = FakeKernel(tmp_path, monkeypatch)
    kernel.tree({"a": [], "b": ["a"], "other": []}, builtin=["inside"], aliases="al*=b")
    return kernel


@pytest.fixture
def system(kernel: FakeKernel) -> Iterator[Context]:
    with Context(kernel.roots) as context:
        yield context


def test_ensure_loaded(kernel: FakeKernel, system: Context) -> None:
    ensure_loaded = example("ensure_loaded").ensure_loaded
    assert [ensure_loaded(system, name) for name in ("b", "b", "a", "inside")] == [True, False, False, False]
    assert kernel.loaded == ["a", "b"]
    with pytest.raises(NotFoundError):
        ensure_loaded(system, "nothing")
    kernel.script["other"] = [1]
    with pytest.raises(PermissionError):
        ensure_loaded(system, "other")


def test_desired_state(kernel: FakeKernel, system: Context, tmp_path: Path) -> None:
    set_state, etc = example("desired_state").set_state, tmp_path / "etc"
    (etc / "modules-load.d").mkdir(parents=True)

    def states(**wanted: object) -> list[bool]:
        """Whether a change is foreseen, whether it is made, and whether it is made once more."""
        return [set_state(system, "b", etc=etc, **wanted, check=check) for check in (True, False, False)]

    assert states(present=True, parameters="x=1") == [True, True, False]
    assert kernel.calls[-1] == ("finit", "b", "x=1")
    assert states(present=True, parameters="x=1", persistent=True) == [True, True, False]
    assert (etc / "modules-load.d/b.conf").read_text() == "b\n"
    assert (etc / "modprobe.d/b.conf").read_text() == "options b x=1\n"
    assert states(present=False, persistent=True) == [True, True, False]
    assert kernel.loaded == [] and not (etc / "modprobe.d/b.conf").exists()
    assert not set_state(system, "inside", present=True) and not set_state(system, "inside", present=False)
    assert json.loads(run("desired_state", "no such module", "present").stdout)["failed"] is True


def test_minion_kmod(kernel: FakeKernel, system: Context) -> None:
    salt = example("minion_kmod")
    assert salt.available(system) == ["a", "b", "inside", "other"]
    assert [salt.check_available(system, name) for name in ("b", "inside", "al1", "c")] == [True, True, False, False]
    system.load("a")
    assert salt.load(system, "al1") == ["b"]
    assert salt.mod_list(system) == ["a", "b"] and salt.is_loaded(system, "b") and not salt.is_loaded(system, "other")
    assert salt.lsmod(system)[1] == {"size": 16384, "module": "a", "depcount": 1, "deps": ["b"]}
    assert salt.remove(system, "b") == ["a", "b"]


def test_inventory(kernel: FakeKernel, system: Context) -> None:
    kernel.configure("options b x=1\nfrobnicate\n")
    system.load("b")
    (kernel.sys / "b/parameters").mkdir()
    (kernel.sys / "b/parameters/x").write_text("1\n")
    kernel.path("a").write_bytes(b"damaged")
    report = json.loads(json.dumps(example("inventory").inventory(kernel.roots)))
    assert [module["name"] for module in report["loaded"]] == ["b", "a"]
    assert report["parameters"] == {"b": {"x": "1"}, "a": {}}
    assert [file["name"] for file in report["files"]] == ["b"]
    assert [problem["code"] for problem in report["problems"]] == ["bad-line", "unreadable-module"]
    assert report["rules"][0]["line"] == 1 and report["available"] == 3


def test_facts(kernel: FakeKernel, system: Context) -> None:
    system.load("b")
    system.load("other")
    facts = example("facts").module_facts(system)
    system.unload("other")
    system.load("other")
    assert facts == example("facts").module_facts(system)
    assert list(facts["kernel_modules"]) == ["a", "b", "other"]
    assert facts["kernel_modules"]["a"]["used_by"] == ["b"] and facts["kernel_modules_stale"] == []
    json.dumps(facts)


def test_used_modules(kernel: FakeKernel, system: Context, tmp_path: Path) -> None:
    record, program = tmp_path / "modules.db", example("used_modules")
    system.load("b")
    assert program.store(system, record) == ["a", "b"]
    system.load("other")
    assert program.store(system, record) == ["other"] and program.store(system, record) == []
    assert record.read_text() == "a\nb\nother\n"
    for name in ("other", "b", "a"):
        system.unload(name)
    kernel.script["other"] = [5]
    assert program.recall(system, record) == {"other": f"{kernel.path('other')}: Input/output error"}
    assert kernel.loaded == ["a", "b"]


def test_kmod(kernel: FakeKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """The names of python-kmod; what they answer was compared with it once."""
    kmod = example("kmod")
    kernel.configure("options b x=1\ninstall other /bin/true\n")
    km = kmod.Kmod()
    monkeypatch.setattr(km, "_system", Context(kernel.roots))
    (module,) = km.lookup("al1")
    assert (module.name, module.path, module.options) == ("b", str(kernel.path("b")), "x=1")
    assert (module.install_commands, module.remove_commands, module.refcnt, module.size) == (None, None, -2, 0)
    assert module.info["license"] == "GPL" and list(module.versions) == []
    km.modprobe("al1", extra_options="y=2")
    assert kernel.calls[-1] == ("finit", "b", "x=1 y=2")
    assert list(km.list()) == [("b", 16384), ("a", 16384)] and [module.name for module in km.loaded()] == ["b", "a"]
    assert (module.refcnt, module.size) == (0, 16384)
    with pytest.raises(kmod.KmodError, match="already loaded"):
        module.insert()
    with pytest.raises(kmod.KmodError, match="Could not remove module") as error:
        km.rmmod("a")
    assert error.value.__cause__.module == "a"
    km.rmmod("b")
    with pytest.raises(kmod.KmodError, match="Could not modprobe nothing"):
        km.modprobe("nothing")
    km.modprobe("nothing", quiet=True)
    assert (km.module_from_name("no-thing").name, km.module_from_name("no-thing").path) == ("no_thing", None)
    assert next(km.lookup("other")).install_commands == "/bin/true"
    kernel.script["b"] = [1]
    with pytest.raises(kmod.KmodError) as error:
        km.modprobe("b")
    assert isinstance(error.value.__cause__, InsertError)


def test_kmod_in_another_directory(tree: Roots) -> None:
    km = example("kmod").Kmod(tree.modules)
    (module,) = km.lookup("disk-a")
    assert module.path == f"{tree.modules}/kernel/disk-a.ko"
    assert [symbol["symbol"] for symbol in module.versions] == ["scsi_symbol"]


# --- all of them


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_use_public_names_alone(name: str) -> None:
    text = (EXAMPLES / f"{name}.py").read_text()
    assert "from pymodutils import" in text
    assert "pymodutils." not in text.replace("pymodutils.__all__", "")
    assert f"[{name}.py]({name}.py)" in (EXAMPLES / "README.md").read_text()


def test_types_of_the_programs() -> None:
    mypy = Path(sys.executable).with_name("mypy")
    need(mypy.exists(), "mypy")
    command = [str(mypy), "--strict", "--config-file=", "--cache-dir=/dev/null", *(f"{name}.py" for name in PROGRAMS)]
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=EXAMPLES, env={**os.environ, "MYPYPATH": str(REPO)}
    )
    assert done.stdout.startswith("Success"), done.stdout
