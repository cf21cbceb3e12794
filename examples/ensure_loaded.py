# SPDX-License-Identifier: LGPL-2.1-or-later
"""Load a module if it is not there, as rtslib does before it sets a target up.

python examples/ensure_loaded.py target_core_mod
"""

from __future__ import annotations

import sys

from pymodutils import Context, Error, NotFoundError


def ensure_loaded(system: Context, name: str) -> bool:
    """Make sure that the kernel has a module; return whether it had to be loaded."""
    if system.status(name).is_in_kernel:
        return False
    return bool(system.load(name))


if __name__ == "__main__":
    try:
        with Context() as here:
            print("loaded" if ensure_loaded(here, sys.argv[1]) else "was there")
    except NotFoundError as error:
        sys.exit(f"{error}; did you mean {' or '.join(error.similar)}?" if error.similar else str(error))
    except PermissionError:
        sys.exit("only root may load modules")
    except Error as error:
        sys.exit(str(error))
