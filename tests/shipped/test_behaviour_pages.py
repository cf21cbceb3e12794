# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/behaviour/: each page that is cited exists, and so does the heading."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from tests.support.common import REPO

PAGES = {path.name: path.read_text() for path in (REPO / "docs/behaviour").glob("*.md")}
ELSEWHERE = {"build", "dist", "__pycache__"}
OLD = re.compile(r"contracts? [1-9]", re.IGNORECASE)
CITED = re.compile(r'\bbehaviour/([\w-]+\.md)((?:,? (?:and )?"[^"]+")*)')


def texts() -> Iterator[tuple[Path, str]]:
    """Every text file of the project, with what it says in one line."""
    for folder, below, names in os.walk(REPO):
        below[:] = [name for name in below if not (name.startswith(".") or name in ELSEWHERE or name.endswith("-info"))]
        for path in (Path(folder, name) for name in names):
            try:
                text = path.read_text()
            except (UnicodeDecodeError, OSError):
                continue
            yield path.relative_to(REPO), " ".join(text.split())


def test_nothing_cites_a_text_that_is_not_here() -> None:
    assert [str(path) for path, text in texts() if OLD.search(text)] == []


def test_cited_pages_and_headings_exist() -> None:
    wrong, count = [], 0
    for path, text in texts():
        for page, headings in CITED.findall(text):
            count += 1
            if page not in PAGES:
                wrong.append(f"{path}: no page {page}")
                continue
            for heading in re.findall(r'"([^"]+)"', headings):
                if not re.search(rf"^## {re.escape(heading)}", PAGES[page], re.MULTILINE):
                    wrong.append(f'{path}: {page} has no heading "{heading}"')
    assert not wrong
    assert count > 5


def test_the_index_names_each_page() -> None:
    assert set(re.findall(r"\]\((\d[\w-]+\.md)\)", PAGES["README.md"])) == set(PAGES) - {"README.md"}
