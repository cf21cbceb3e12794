# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loaded modules as facts of a machine, for whatever collects facts.

python examples/facts.py
"""

from __future__ import annotations

import json
from typing import Any

from pymodutils import Context, Error


def module_facts(system: Context) -> dict[str, Any]:
    """Return facts that are the same as long as nothing changes; no list depends on the order of loading."""
    statuses = system.statuses()
    return {
        "kernel_release": system.roots.kernel_release,
        "kernel_modules": {
            status.name: {
                "state": status.state,
                "size": status.size,
                "used_by": sorted(status.holders or ()),
                "version": status.version,
                "signer": status.signer,
                "taints": status.taint.flags if status.taint else "",
                "parameters": dict(status.parameters or {}),
            }
            for status in sorted(statuses, key=lambda status: status.name)
        },
        "kernel_modules_stale": sorted(status.name for status in statuses if status.stale),
    }


if __name__ == "__main__":
    try:
        with Context() as here:
            print(json.dumps(module_facts(here), indent=2))
    except Error as error:
        print(json.dumps({"kernel_modules": None, "error": str(error)}))
