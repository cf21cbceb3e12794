# SPDX-License-Identifier: LGPL-2.1-or-later
"""A record of all modules that were ever used, as modprobed-db keeps it: from it a smaller kernel is configured.

python examples/used_modules.py store  ~/.config/modules.db    (from a timer)
python examples/used_modules.py recall ~/.config/modules.db    (before `make localmodconfig`)
"""

from __future__ import annotations

import sys
from pathlib import Path

from pymodutils import Context, Error


def store(system: Context, record: Path) -> list[str]:
    """Add the loaded modules to the record; return those that are new there."""
    known = set(record.read_text().split()) if record.exists() else set()
    new = sorted({module.name for module in system.loaded()} - known)
    if new:
        record.write_text("".join(f"{name}\n" for name in sorted(known.union(new))))
    return new


def recall(system: Context, record: Path) -> dict[str, str]:
    """Load every module of the record; return what kept some from being loaded, by name."""
    failures = {}
    for name in record.read_text().split():
        try:
            system.load(name)
        except Error as error:
            failures[name] = str(error)
    return failures


if __name__ == "__main__":
    verb, path = sys.argv[1:]
    with Context() as here:
        if verb == "store":
            print(*store(here, Path(path)), sep="\n")
        else:
            for name, why in recall(here, Path(path)).items():
                print(f"{name}: {why}", file=sys.stderr)
