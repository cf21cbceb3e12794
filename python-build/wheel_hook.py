# SPDX-License-Identifier: LGPL-2.1-or-later
"""Put into the wheel what lies outside the package: the commands, the manual where `man` looks for it, and the docs.

Hatchling calls this (see pyproject.toml). All commands are one script, `python-build/command`, under the names in
`bin/`. An editable install gets none of all this, because the script looks for the package in its environment; the
commands to use with a checkout are those in `bin/`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class WheelHook(BuildHookInterface[Any]):
    """Name the files to hatchling, and delete afterwards what was made for it."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files; `version` is the kind of wheel, standard or editable."""
        if version == "editable":
            return
        root = Path(self.root)
        self.copies = tempfile.TemporaryDirectory()
        for name in root.joinpath("bin").iterdir():
            copy = shutil.copy(root / "python-build/command", Path(self.copies.name, name.name))
            build_data["shared_scripts"][str(copy)] = name.name
        for page in root.glob("man/*.[1-9]"):
            build_data["shared_data"][str(page)] = f"share/man/man{page.suffix[1:]}/{page.name}"
        build_data["shared_data"][str(root / "docs")] = "share/doc/pymodutils/docs"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        """Delete the copies of the script."""
        if version != "editable":
            self.copies.cleanup()
