# SPDX-License-Identifier: LGPL-2.1-or-later
"""The wheel and the sdist, as an index and the tools of its users judge them."""

from __future__ import annotations

import email.message
import email.parser
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import pymodutils
from tests.support.common import REPO

COMMANDS = {path.name for path in (REPO / "bin").iterdir()}


def tool(module: str, *arguments: str | Path, cwd: Path = REPO) -> str:
    """Run a tool of this environment's; what it printed. It must end well."""
    done = subprocess.run([sys.executable, "-m", module, *arguments], cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both, built from the checkout as it is."""
    folder = tmp_path_factory.mktemp("dist")
    tool("hatchling", "build", "-d", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> zipfile.ZipFile:
    (path,) = dist.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> email.message.Message:
    name = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return email.parser.Parser().parsestr(wheel.read(name).decode())


def test_the_tools_find_nothing(dist: Path) -> None:
    tool("twine", "check", "--strict", *dist.iterdir())
    tool("check_wheel_contents", *dist.glob("*.whl"))
    assert tool("pyroma", "--quiet", "--min=10", REPO).split()[-1] == "10"


def test_the_commands_are_the_isolated_script(wheel: zipfile.ZipFile) -> None:
    script = (REPO / "python-build/command").read_bytes()
    found = {Path(entry.filename).name: entry for entry in wheel.infolist() if ".data/scripts/" in entry.filename}
    assert found.keys() == COMMANDS
    for entry in found.values():
        assert wheel.read(entry) == script
        assert entry.external_attr >> 16 & 0o777 == 0o755


def test_the_package_the_manual_and_the_docs_are_whole(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    assert {str(path.relative_to(REPO)) for path in REPO.glob("pymodutils/**/*.py")} | {"pymodutils/py.typed"} == {
        name for name in names if name.startswith("pymodutils/")
    }
    data = {name.partition("/data/")[2] for name in names if "/data/" in name}
    docs = {f"share/doc/pymodutils/{path.relative_to(REPO)}" for path in REPO.glob("docs/**/*") if path.is_file()}
    assert docs and docs <= data
    assert data - docs == {f"share/man/man{page.suffix[1:]}/{page.name}" for page in REPO.glob("man/*.[1-9]")}


def test_the_metadata_says_what_pyproject_says(metadata: email.message.Message) -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]
    assert metadata["Version"] == pymodutils.__version__
    assert metadata["License-Expression"] == project["license"] == "LGPL-2.1-or-later"
    assert set(metadata.get_all("Provides-Extra", [])) == set(project["optional-dependencies"])
    assert set(metadata["Keywords"].split(",")) == set(project["keywords"])
    assert metadata.get_all("Classifier") == project["classifiers"]


def test_the_page_of_an_index_links_to_nothing_that_is_not_there(metadata: email.message.Message) -> None:
    page = metadata.get_payload()
    assert isinstance(page, str) and page.lstrip().startswith("# pymodutils")
    assert not re.findall(r"\]\((?!https://)", page)
    assert "`docs/install.md`" in page


def test_the_readme_leads_to_files_that_exist() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (REPO / "README.md").read_text())
    assert links and [link for link in links if not (REPO / link).exists()] == []


def test_the_source_archive_tests_itself(dist: Path, tmp_path: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path / "source")
    (folder,) = (tmp_path / "source").iterdir()
    tests = ["tests/unit/test_architecture.py", "tests/unit/formats", "tests/shipped/test_completions.py"]
    own = f"--basetemp={tmp_path}/pytest"  # not the folders of the pytest that runs this
    printed = tool("pytest", "-q", own, "-p", "no:cacheprovider", "-p", "no:xdist", *tests, cwd=folder)
    assert re.search(r"\b\d+ passed", printed) and os.fspath(REPO) not in printed
