# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reading all modules once: however many processes share it, and whatever becomes of them, the answer is the same."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pymodutils.depmod import parallel
from pymodutils.depmod.examine import Examination, examine, expected_files
from pymodutils.depmod.inputs import Inputs, gather_inputs
from pymodutils.depmod.observer import RunObserver
from pymodutils.depmod.settings import DEFAULT
from pymodutils.errors import FileError
from pymodutils.formats.elf_linkage import from_keys
from pymodutils.observer import Observer
from tests.support.common import children, run_inside
from tests.support.koforge import Ko

COUNT = 100
RELEASE = "6.1"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred modules, of which each needs the one before, with aliases and softdeps; one of them is damaged."""
    root = tmp_path_factory.mktemp("tree")
    directory = root / "lib/modules" / RELEASE
    for number in range(COUNT):
        needs: dict[str, int | None] = {"printk": 1, "module_layout": 2}
        if number:
            needs[f"symbol_{number - 1}"] = number - 1
        strings = ["license=GPL", f"alias=pci:v{number}*", "alias=devname:x", f"softdep=pre: m{number}"]
        Ko(strings, needs=needs, exports={f"symbol_{number}": number}).write(directory / f"kernel/m{number}.ko")
    (directory / "kernel/damaged.ko").write_bytes(b"\x7fELF")
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        (directory / name).touch()
    assert run_inside("depmod", ["-b", str(root), RELEASE]).status == 0
    return directory


def inputs_of(tree: Path) -> Inputs:
    return gather_inputs(str(tree), DEFAULT, None, RunObserver(Observer()))


def row(found: Examination) -> list[object]:
    """What was found, with names and CRCs in place of ids."""
    symbols = from_keys(found.keys)
    return [(item.origin, item.weak, item.offers, item.failure, item.signature, sorted(symbols[number] for number in
             memoryview(item.ids).cast("I"))) for item in found.modules]  # fmt: skip


@pytest.mark.parametrize("processors", [1, 2, 3, 7])
@pytest.mark.parametrize("keep", [False, True])
def test_any_number_of_processes(tree: Path, monkeypatch: pytest.MonkeyPatch, processors: int, keep: bool) -> None:
    inputs = inputs_of(tree)
    alone = row(examine(str(tree), inputs.paths, None, lambda _: ("tail",)))
    monkeypatch.setattr(parallel, "processors", lambda: processors)
    done: list[str] = []
    found = examine(
        str(tree), inputs.paths, None, lambda _: ("tail",), names=inputs.names if keep else None,
        meanwhile=lambda: done.append("meanwhile"),
    )  # fmt: skip
    assert row(found) == alone
    assert (found.helper is not None) == (keep and processors > 1)
    assert done == ["meanwhile"]
    names = [name for name, _ in from_keys(found.keys)]
    _, files = expected_files(inputs, found, names, RunObserver(Observer()))
    assert files == {name: (tree / name).read_bytes() for name in files}


@pytest.mark.parametrize("when", ["reading", "making files"])
def test_a_helper_that_dies(tree: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    inputs = inputs_of(tree)
    alone = row(examine(str(tree), inputs.paths, None, lambda _: ("tail",)))
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    parent = os.getpid()

    def deadly(_tail: bytes) -> tuple[str, ...]:
        if os.getpid() != parent and when == "reading":
            os.kill(os.getpid(), signal.SIGKILL)
        return ("tail",)

    found = examine(str(tree), inputs.paths, None, deadly, names=inputs.names)
    if when == "making files":
        assert found.helper
        os.kill(found.helper._pid, signal.SIGKILL)
    assert row(found) == alone
    names = [name for name, _ in from_keys(found.keys)]
    _, files = expected_files(inputs, found, names, RunObserver(Observer()))
    assert files == {name: (tree / name).read_bytes() for name in files}


def test_an_error_in_the_meantime_leaves_no_process(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = inputs_of(tree)
    monkeypatch.setattr(parallel, "processors", lambda: 3)

    def failing() -> None:
        raise FileError("no such thing")

    before = children()
    with pytest.raises(FileError):
        examine(str(tree), inputs.paths, None, lambda _: ("tail",), names=inputs.names, meanwhile=failing)
    assert children() == before


def test_whole_images_are_judged_where_that_is_wanted(tree: Path) -> None:
    inputs = inputs_of(tree)
    found = examine(str(tree), inputs.paths, lambda image: (str(len(image)),), lambda _: ("tail",))
    sizes = [str((tree / os.fsdecode(path)).stat().st_size) for path in inputs.paths]
    assert [module.signature[0] for module in found.modules] == sizes
