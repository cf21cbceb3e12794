# SPDX-License-Identifier: LGPL-2.1-or-later
"""The assets: where packages come from, and what is made of them."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support import assets


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pretended /etc/apt of a machine with Debian 12."""
    monkeypatch.setattr(assets, "_own_codename", lambda: "bookworm")
    (tmp_path / "sources.list.d").mkdir()
    return tmp_path


def test_debians_own_entries_are_rewritten_and_others_left_out(machine: Path) -> None:
    (machine / "sources.list").write_text(
        "# deb http://old bookworm main\n"
        "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror/debian bookworm main contrib\n"
        "deb http://mirror/security bookworm-security main\n"
        "deb http://elsewhere/apt bookworm stable\n"
        "deb [signed-by=/etc/other.gpg] http://elsewhere/apt bookworm main\n"
        "deb http://elsewhere/apt bookworm-vendor main\n"
    )
    assert assets.debian_sources("trixie", machine) == {
        "sources.list": (
            "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror/debian trixie main contrib\n"
            "deb http://mirror/security trixie-security main\n"
        )
    }


def test_sources_in_the_newer_form_are_rewritten(machine: Path) -> None:
    (machine / "sources.list.d/debian.sources").write_text(
        "Types: deb\n# a comment\nURIs: http://mirror/bookworm-path\n"
        "Suites: bookworm bookworm-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n"
        "Types: deb\nURIs: http://other/\nSuites: nodistro\nComponents: main\n"
    )
    (text,) = assets.debian_sources("trixie", machine).values()
    assert text == (
        "Types: deb\nURIs: http://mirror/bookworm-path\nSuites: trixie trixie-updates\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
    )


def test_a_machine_without_debians_archive_is_told_so(machine: Path) -> None:
    with pytest.raises(RuntimeError, match="no entry for Debian bookworm"):
        assets.debian_sources("trixie", machine)


def test_two_at_once_make_one_and_a_failure_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYMODUTILS_CACHE", str(tmp_path))
    made = []

    def build(folder: Path) -> None:
        time.sleep(0.2)
        made.append(folder)
        (folder / "file").write_text("whole")

    def fail(folder: Path) -> None:
        (folder / "file").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        assets.cached("thing", fail)
    assert [path.name for path in tmp_path.iterdir()] == ["thing.lock"]
    threads = [threading.Thread(target=assets.cached, args=("thing", build)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
    assert (assets.cached("thing", fail) / "file").read_text() == "whole"


def test_kmod34_is_what_it_says_under_any_name() -> None:
    output = subprocess.run(
        [*assets.kmod34_argv("/some/where/modinfo"), "-V"], stdout=subprocess.PIPE, check=True
    ).stdout
    assert output.startswith(b"kmod version 34")


def test_each_form_of_the_module_tree_is_whole() -> None:
    """The two kernels ship different forms; looking at one converted each way is enough here."""
    expected = {"none": b"\x7fELF", "xz": b"\xfd7zX", "zst": b"\x28\xb5\x2f\xfd", "gz": b"\x1f\x8b\x08\x00"}
    for compression, magic in expected.items():
        modules = assets.module_tree("6.1", compression) / "lib/modules" / assets.release("6.1")
        lines = (modules / "modules.dep").read_text().splitlines()
        assert len(lines) > 3900
        files = [modules / line.partition(":")[0] for line in lines]
        assert all(path.name.endswith(".ko" + assets.COMPRESSIONS[compression]) and path.exists() for path in files)
        assert {path.open("rb").read(4) for path in files[::200]} == {magic}
        assert b".ko" + assets.COMPRESSIONS[compression].encode() + b":" in (modules / "modules.dep.bin").read_bytes()
