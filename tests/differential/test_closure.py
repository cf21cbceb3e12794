# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod closure compared with dracut-install and mkosi, with random sets of Debian's modules.

A difference belongs to a class that has a name here, and with that class left out there is none. The same sets on every
run; PYMODUTILS_SEED=N tries others, PYMODUTILS_CLOSURES=300 more of them.
"""

from __future__ import annotations

import functools
import importlib
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pymodutils import Context, Match, Roots
from pymodutils.diagnosis import closure as decisions
from pymodutils.planning.lookup import softdep_targets
from pymodutils.roots import CONFIG_PARENTS
from pymodutils.state.system import System
from pymodutils.verbs.closure import ClosureReport, closure
from tests.support import assets

FIRST = int(os.environ.get("PYMODUTILS_SEED", "1"))
SETS = int(os.environ.get("PYMODUTILS_CLOSURES", "3"))
FIRMWARE = "usr/lib/firmware"
NO_CONFIG = ("/nonexistent",)
Taken = tuple[set[str], set[str]]
"""File names of modules, and paths of firmware files."""


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def kernel(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def system(kernel: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a system with all modules of a kernel, and some of the firmware: plain, compressed, links."""
    root = tmp_path_factory.mktemp("system")
    tree = assets.module_tree(kernel, "none")
    (root / FIRMWARE).mkdir(parents=True)
    (root / "lib").symlink_to("usr/lib")
    # No link: one that leads out of a system does not count in it.
    shutil.copytree(tree / "lib/modules", root / "usr/lib/modules", symlinks=True, copy_function=link_or_copy)
    chance = random.Random(FIRST)
    names = sorted({name for info in Context(roots_of(root, kernel)).infos() for name in info.firmware})
    for name in names:
        path = root / FIRMWARE / name
        form = chance.choice(["", "", ".xz", ".zst", "link", "no"])
        if form == "no" or "*" in name or ".." in name:
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if form == "link":
            target = path.with_name(f"{path.name}-real")
            target.write_text(name)
            path.symlink_to(target.name)
        else:
            path.with_name(path.name + form).write_text(name)
    return root


def link_or_copy(source: str, target: str) -> None:
    """Nobody writes to these files."""
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def roots_of(root: Path, kernel: str) -> Roots:
    return Roots.of_system(str(root), assets.release(kernel))


def ours(
    root: Path, kernel: str, names: Iterable[str], *, config: Sequence[str] = NO_CONFIG, **named: Any
) -> ClosureReport:
    """Our answer under the configuration in some directories: mkosi reads none."""
    with Context(roots_of(root, kernel), config=config) as context:
        return closure(context, names, **named)


def own_config() -> Sequence[str]:
    """The configuration of this machine, which dracut-install reads whatever root it is given."""
    config = [f"{parent}/modprobe.d" for parent in CONFIG_PARENTS if os.path.isdir(f"{parent}/modprobe.d")]
    return config or NO_CONFIG


def module_files(report: ClosureReport) -> set[str]:
    return {Path(node.path).name for node in report.nodes if node.path}


def firmware_files(report: ClosureReport) -> set[str]:
    """Names below the folder of firmware: both /lib and /usr/lib lead there."""
    paths = [path for node in report.nodes for firmware in node.firmware for path in firmware.files]
    return {path.partition("/lib/firmware/")[2] for path in paths}


def sets(kernel: str) -> Iterator[list[str]]:
    chance = random.Random(FIRST)
    names = [module.name for module in Context(Roots(base=str(assets.module_tree(kernel, "none")),
             release=assets.release(kernel))).available()]  # fmt: skip
    for _ in range(SETS):
        yield chance.sample(names, chance.choice([1, 3, 10, 40]) if SETS > 20 else chance.choice([1, 4, 12]))


def test_dracut_install_takes_the_same(kernel: str, system: Path, tmp_path: Path) -> None:
    for number, names in enumerate(sets(kernel)):
        target = tmp_path / str(number)
        target.mkdir()
        command: list[str | Path] = [*assets.dracut_install_argv(), "--destrootdir", target, "--kerneldir",
                   system / "usr/lib/modules" / assets.release(kernel), "--firmwaredirs", system / FIRMWARE,
                   "--module", *names]  # fmt: skip
        subprocess.run(command, check=True, env={"PATH": os.environ["PATH"]})
        modules = {path.name for path in target.rglob("*.ko*")}
        firmware = {
            str(path).partition("/lib/firmware/")[2] for path in target.rglob("lib/firmware/**/*") if not path.is_dir()
        }
        report = ours(system, kernel, names, config=own_config())
        assert module_files(report) == modules, names
        assert firmware_files(report) == firmware, names
        subprocess.run(["rm", "-r", target], check=True)


@pytest.fixture(scope="module")
def mkosi(kernel: str, system: Path) -> Callable[..., Taken]:
    """What mkosi takes for some names, with what modinfo says from one run of kmod's."""
    sys.path.insert(0, str(assets.mkosi()))
    try:
        module = importlib.import_module("mkosi.kmod")
    finally:
        sys.path.remove(str(assets.mkosi()))
    names = [module.name for module in Context(roots_of(system, kernel)).available()]
    command = [*assets.kmod34_argv("modinfo"), "-b", str(system), "-k", assets.release(kernel), "--null", *names]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
    return functools.partial(_resolve, module, SimpleNamespace(root=system), assets.release(kernel), text)


def _resolve(module: Any, context: object, release: str, text: str, names: Iterable[str], *, meant: bool) -> Taken:
    """What mkosi takes; if `meant`, with softdep strings in a form that it can read.

    It is shown no string without `pre:` and `post:`, as cifs has them: it takes these for names, kmod for nothing.
    """
    text = re.sub(r"\0softdep=(?!pre:|post:)[^\0]*", "", text)
    if meant:
        text = text.replace("\0softdep=", "\0softdep:")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "modinfo", lambda *_arguments: text)
        modules, firmware = module.resolve_module_dependencies(
            context, release, [module.normalize_module_name(name) for name in names]
        )
    return {path.name for path in modules}, {str(path).removeprefix(f"{FIRMWARE}/") for path in firmware}


def literal_targets(system: System, names: list[str]) -> tuple[list[Match], list[tuple[str, str]]]:
    """What mkosi makes of softdeps: a name of a module, and nothing of an alias."""
    found, missing = softdep_targets(system, [name for name in names if system.tree.find(name)])
    return [Match(match.name, None, match.path, match.dependencies, match.origin) for match in found], missing


def test_mkosi_takes_the_same_but_for_softdeps(kernel: str, system: Path, mkosi: Callable[..., Taken]) -> None:
    """It reads none where modinfo writes `softdep=pre: NAME`: it splits that at the colon."""
    for names in sets(kernel):
        modules, firmware = mkosi(names, meant=False)
        report = ours(system, kernel, names, soft=())
        assert module_files(report) == modules, names
        assert firmware <= firmware_files(report) | longer_names(report, firmware), names


def test_mkosi_as_it_is_meant_takes_the_same_but_for_aliases_in_softdeps(
    kernel: str, system: Path, mkosi: Callable[..., Taken], monkeypatch: pytest.MonkeyPatch
) -> None:
    for names in sets(kernel):
        modules, _firmware = mkosi(names, meant=True)
        report = ours(system, kernel, names, shipped=True, soft=("pre", "post"))
        assert modules <= module_files(report)
        with monkeypatch.context() as patch:
            patch.setattr(decisions, "softdep_targets", literal_targets)
            report = ours(system, kernel, names, shipped=True, soft=("pre", "post"))
        assert module_files(report) == modules, names


def longer_names(report: ClosureReport, files: Iterable[str]) -> set[str]:
    """Files whose names only begin with that of a firmware file: mkosi takes these as well."""
    patterns = tuple(firmware.pattern for node in report.nodes for firmware in node.firmware)
    return {file for file in files if file.startswith(patterns)}
