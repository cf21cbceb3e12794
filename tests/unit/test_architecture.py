# SPDX-License-Identifier: LGPL-2.1-or-later
"""The architecture as a test: layers, the import budget, who may print, write and call the kernel."""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

import pytest

import pymodutils
from pymodutils.cli import registry
from tests.support.common import BIN, REPO

PACKAGE = REPO / "pymodutils"
# The layer of each folder, and of the modules at the top. A module may import its own layer and those below.
LAYERS = {
    "formats": 1, "state": 2, "planning": 3, "diagnosis": 3, "depmod": 3, "effects": 4, "make_pack": 4,
    "context": 5, "verbs": 5, "cli": 6, "__main__": 6,
}  # fmt: skip
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


def layer(parts: tuple[str, ...]) -> int:
    """The layer of a module given by its path below the package."""
    return LAYERS.get(parts[0].removesuffix(".py"), 0) if parts else 0


def imports(path: Path) -> list[tuple[int, tuple[str, ...]]]:
    """(line, module below the package) of every import of our own, also the late ones."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level]
            target = (*base, *(node.module or "").split(".")) if node.module else base
            names = [(*target, alias.name) for alias in node.names] if not node.module else [target]
            found += [(node.lineno, name) for name in names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pymodutils":
            found.append((node.lineno, tuple((node.module or "").split(".")[1:])))
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_its_own_layer_and_lower_ones(path: Path) -> None:
    if path.name == "__init__.py" and path.parent == PACKAGE:
        return  # the public door: names from everywhere, on first use
    own = layer(path.relative_to(PACKAGE).parts)
    wrong = [f"{path.name}:{line} imports {'.'.join(target)}" for line, target in imports(path) if layer(target) > own]
    assert not wrong


def test_each_folder_says_its_layer() -> None:
    folders = {name: number for name, number in LAYERS.items() if (PACKAGE / name).is_dir()}
    said = {name: ast.get_docstring(ast.parse((PACKAGE / name / "__init__.py").read_text())) or "" for name in folders}
    assert {name: text.partition(":")[0] for name, text in said.items()} == {
        name: f"L{number}" for name, number in folders.items()
    }


COMMANDS = [path for path in MODULES if path.is_relative_to(PACKAGE / "cli")]


def names_from_the_package(path: Path) -> list[tuple[int, str, str]]:
    """(line, module below the package, name) of all that a file takes from the package by `from ... import`."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = here[: len(here) - node.level]
            found += [(node.lineno, ".".join([*base, node.module or ""]), alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: str(path.relative_to(PACKAGE / "cli")))
def test_commands_stand_on_public_names(path: Path) -> None:
    """They take each name from the module where it lives, since going through the package itself costs time."""
    for line, module, name in names_from_the_package(path):
        own = module.split(".")[0] in ("cli", "names", "osparts", "shellwords")  # spelling rules; what stands for `os`
        public = module in ("", pymodutils._HOMES.get(name)) and name in pymodutils.__all__
        assert own or public, f"{path.name}:{line} takes {name} from {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_lower_layers_do_not_print_exit_or_write(path: Path) -> None:
    if layer(path.relative_to(PACKAGE).parts) >= 4:
        return
    forbidden = {"print", "exit", "input"}
    writing = {"write", "rename", "replace", "unlink", "remove", "mkdir", "makedirs", "_exit", "system", "execv"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in forbidden, f"{path}:{node.lineno}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id in ("os", "posix", "sys")
            # the depmod stages talk to one another through pipes of their own
            and not (node.func.attr in ("write", "_exit") and path.parent.name == "depmod")
        ):
            assert node.func.attr not in writing | {"exit"}, f"{path}:{node.lineno}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_two_modules_use_ctypes(path: Path) -> None:
    if path.name in ("syscalls.py", "querycalls.py"):
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, (ast.Import, ast.ImportFrom)):
            continue
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
        assert not [name for name in names if name.split(".")[0] in ("ctypes", "_ctypes")], f"{path}:{node.lineno}"


HEAVY = {
    *("os", "_collections_abc", "posixpath", "stat", "struct", "ctypes"),
    *("enum", "re", "argparse", "typing", "logging", "dataclasses", "collections", "json", "pathlib", "subprocess"),
    *("inspect", "threading", "functools", "contextlib", "shutil", "tempfile", "warnings", "asn1crypto", "site"),
}


def imported(command: list[str], cwd: Path) -> set[str]:
    """The top-level modules that a run of the command imports."""
    run = subprocess.run(
        ["/usr/bin/python3", "-IS", "-X", "importtime", *command], capture_output=True, text=True, cwd=cwd
    )
    lines = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    assert lines
    return {line.rpartition("|")[2].strip() for line in lines}


@pytest.fixture(scope="module")
def everyday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Module files of each kind, and a tree with two modules, one of which has an install and a remove command."""
    from tests.support.indexforge import build, write
    from tests.support.koforge import Ko

    place = tmp_path_factory.mktemp("everyday")
    path = Ko(build_id=b"x" * 20).write(place / "loop.ko")
    for command in ("xz", "gzip"):
        subprocess.run([command, "--keep", path], check=True)
    folder = place / "lib/modules/1"
    folder.mkdir(parents=True)
    folder.joinpath("modules.dep.bin").write_bytes(write(build([(b"ran", 1, b"ran.ko:"), (b"top", 0, b"top.ko:")])))
    folder.joinpath("modules.alias.bin").write_bytes(write(build([(b"pci:v*d2", 0, b"top")])))
    for name in ("ran", "top"):
        folder.joinpath(f"{name}.ko").write_text("no module: the kernel refuses it")
    place.joinpath("x.conf").write_text("install ran true\nremove ran true\nsoftdep top pre: ran\n")
    return place


@pytest.mark.parametrize(
    "words",
    ["lsmod", "lsmod x", "lsmod --nonsense", "insmod missing.ko", "insmod lib/modules/1/top.ko a=1", "rmmod nothing",
     "rmmod -f nothing", "modinfo loop.ko", "modinfo loop.ko.xz", "modinfo loop.ko.gz", "modinfo -b . -k 1 top",
     "modinfo missing.ko", "modinfo lib/modules/1/top.ko", "modinfo --help", "modprobe --help", "modprobe -D top",
     "modprobe -n -v top", "modprobe -R pci:v1d2", "modprobe -D pci:v1d2", "modprobe -D nothing", "modprobe -c",
     "modprobe ran", "modprobe top", "modprobe -r ran", "modprobe -r top", "modprobe nothing", "modprobe -n -r ran",
     "modprobe ./lib/modules/1/top.ko"],
)  # fmt: skip
def test_everyday_commands_stay_within_the_import_budget(words: str, everyday: Path) -> None:
    name, *arguments = words.split()
    tree = ["-d", str(everyday), "-S", "1", "-C", str(everyday / "x.conf")] if name == "modprobe" else []
    modules = imported([str(BIN / name), *tree, *arguments], everyday)
    assert f"pymodutils.cli.{name}" in modules
    assert not modules & HEAVY
    assert len(modules) < 80


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_system_calls_from_one_place(path: Path) -> None:
    """From `posix` or from `os`; names that are for the type checker alone do not count."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            node.body = []
    modules = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    modules |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not modules & {"os", "os.path"} or not modules & {"posix", "osparts"}


NOT_FOR_LOOKING = ("pymodutils.effects", "pymodutils.planning.removal", "pymodutils.cli.modprobe.execution",
                   "pymodutils.formats.modinfo", "pymodutils.formats.elf", "pymodutils.formats.fnmatch")  # fmt: skip


@pytest.mark.parametrize("words", ["-D top", "-n top", "-R pci:v1d2", "-D pci:v1d2"])
def test_modprobe_looks_without_what_acting_needs(words: str, everyday: Path) -> None:
    command = [str(BIN / "modprobe"), "-d", str(everyday), "-S", "1", "-C", "/nothing", *words.split()]
    assert subprocess.run(command, capture_output=True, text=True).stdout == (
        "top\n" if "-R" in words else f"insmod {everyday}/lib/modules/1/top.ko \n"
    )
    modules = imported(command, everyday)
    assert "pymodutils.planning.lookup" in modules
    assert not [name for name in modules if name.startswith((*NOT_FOR_LOOKING, "pymodutils.syscalls"))]


def test_commands_are_links_to_one_isolated_program() -> None:
    program = (BIN / "kmod").read_text().splitlines()
    assert program[0] == "#!/usr/bin/python3 -IS"
    for name in registry.LINKS:
        assert os.readlink(BIN / name) == "kmod"


DEPMOD = [path for path in MODULES if "depmod" in path.parts or path.name in ("indexes.py", "publish.py")]


def test_no_circle_of_imports() -> None:
    """Imports for the type checker alone count as well; not the public door, whose names are imported on first use."""
    needed: dict[tuple[str, ...], set[tuple[str, ...]]] = {}
    for path in MODULES:
        own = module_at(path)
        targets = {(*target, name) for _, target in imports(path) for name in names_in(path, target)}
        needed[own] = targets | {target[:-1] for target in targets} - {own}
    del needed[()]
    needed = {own: (targets & needed.keys()) - {own} for own, targets in needed.items()}
    while free := [own for own, targets in needed.items() if not targets & needed.keys()]:
        for own in free:
            del needed[own]
    assert not needed


def module_at(path: Path) -> tuple[str, ...]:
    """The module in a file, below the package."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if path.name == "__init__.py" else parts


def names_in(path: Path, target: tuple[str, ...]) -> list[str]:
    """What is imported from `target`: a package's modules are among it."""
    here = path.relative_to(PACKAGE).with_suffix("").parts
    return [
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
        if (*here[: len(here) - node.level], *(node.module or "").split(".")) == target
        for alias in node.names
    ]


@pytest.mark.parametrize("path", [path for path in DEPMOD if "cli" in path.parts], ids=lambda path: path.name)
def test_depmods_command_imports_public_names_and_its_own_modules(path: Path) -> None:
    import pymodutils

    for _, target in imports(path):
        assert target[:1] in ((), ("cli",)) or target[0] in pymodutils.__all__, target
