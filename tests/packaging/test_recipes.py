# SPDX-License-Identifier: LGPL-2.1-or-later
"""contrib/packaging: each recipe is of this version, and those in shell lay down commands that work."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import pymodutils
from pymodutils.cli import registry
from tests.support.common import REPO, need

RECIPES = REPO / "contrib/packaging"
COMMANDS = ("kmod", *registry.LINKS)
VERSIONS = {
    "alpine/APKBUILD": r"(?m)^pkgver=(.*)$",
    "arch/PKGBUILD": r"(?m)^pkgver=(.*)$",
    "nix/default.nix": r'version = "(.*)";',
    "buildroot/package/pymodutils/pymodutils.mk": r"(?m)^PYMODUTILS_VERSION = (.*)$",
}


@pytest.mark.parametrize("recipe", VERSIONS)
def test_the_version_is_the_packages(recipe: str) -> None:
    assert re.findall(VERSIONS[recipe], (RECIPES / recipe).read_text()) == [pymodutils.__version__]


def test_the_yocto_recipe_is_of_this_version_and_licence() -> None:
    recipe = RECIPES / f"yocto/pymodutils_{pymodutils.__version__}.bb"
    digest = subprocess.run(["md5sum", REPO / "LICENSE"], capture_output=True, text=True, check=True).stdout.split()[0]
    assert f"file://LICENSE;md5={digest}" in recipe.read_text()


@pytest.mark.parametrize(
    ("shell", "recipe", "folders"),
    [("sh", "alpine/APKBUILD", ("bin", "sbin")), ("bash", "arch/PKGBUILD", ("usr/bin",))],
    ids=["alpine", "arch"],
)
def test_what_a_recipe_lays_down_works(shell: str, recipe: str, folders: tuple[str, ...], tmp_path: Path) -> None:
    source, root = tmp_path / f"pymodutils-{pymodutils.__version__}", tmp_path / "root"
    source.mkdir()
    for name in ("packaging.mk", "Makefile", "README.md", "CHANGELOG.md"):
        shutil.copy(REPO / name, source)
    for name in ("bin", "completions", "docs", "etc", "initramfs", "man", "pymodutils"):
        shutil.copytree(REPO / name, source / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    # abuild enters the source before it calls package(), makepkg does not
    start = source if recipe.startswith("alpine") else tmp_path
    script = f'set -e; pkgdir={root}; . {RECIPES / recipe}; cd {start}; PATH="$PATH:/usr/sbin" package'
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.name: path for folder in folders for path in (root / folder).iterdir()}
    assert set(found) == set(COMMANDS)
    for name, path in found.items():
        assert path.resolve() == root / "usr/lib/pymodutils/bin/kmod"
        version = subprocess.run([path, "-V"], capture_output=True, text=True)
        assert version.stdout.startswith("kmod version 34\n"), name
    assert list(root.glob("usr/lib/pymodutils/pymodutils/cli/__pycache__/main.*.pyc"))


def test_the_nix_expression_evaluates(tmp_path: Path) -> None:
    """With the few names that it takes from nixpkgs made up."""
    need(shutil.which("nix-instantiate"), "nix-instantiate")
    expression = f"""
        import {RECIPES}/nix/default.nix {{
          src = ./none;
          pkgs = {{
            stdenvNoCC.mkDerivation = attributes: attributes;
            python3.interpreter = "/nix/store/x/bin/python3";
            lib = {{ licenses.lgpl21Plus = "lgpl"; platforms.linux = [ ]; }};
          }};
        }}
    """
    done = subprocess.run(
        ["nix-instantiate", "--eval", "--strict", "-A", "installFlags", "--expr", expression],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "NIX_STATE_DIR": f"{tmp_path}/state"},
    )
    assert '"PYTHON=/nix/store/x/bin/python3"' in done.stdout, done.stderr
