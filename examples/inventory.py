# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything about modules that a support case needs, as sos collects it with lsmod, modinfo and cat.

    python examples/inventory.py > modules.json

What cannot be read is in the report as well, and ends nothing.
"""

from __future__ import annotations

import json
from typing import Any

from pymodutils import Context, Diagnostic, Error, Roots


def inventory(roots: Roots | None = None) -> dict[str, Any]:
    """Return the report."""
    problems: list[Diagnostic] = []
    with Context(roots, on_problem=problems.append) as system:
        loaded = system.loaded()
        report: dict[str, Any] = {
            "release": system.roots.kernel_release,
            "tainted": (system.live.text("sys/kernel/tainted") or "").strip() or None,
            "command_line": (system.live.text("cmdline") or "").strip() or None,
            "loaded": [module.as_dict() for module in loaded],
            "parameters": {module.name: system.live.parameters(module.name) for module in loaded},
            "files": [info.as_dict() for info in system.infos(module.name for module in loaded)],
            "rules": [rule.as_dict() for rule in system.config.rules],
            "shadowed": [file.as_dict() for file in system.config.shadowed],
            "available": len(system.available()),
        }
        report["problems"] = [problem.as_dict() for problem in problems]
    return report


if __name__ == "__main__":
    try:
        print(json.dumps(inventory(), indent=2))
    except Error as error:  # no /proc/modules
        print(json.dumps({"error": str(error)}))
