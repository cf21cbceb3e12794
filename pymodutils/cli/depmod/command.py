# SPDX-License-Identifier: LGPL-2.1-or-later
"""Run depmod: options in, exit status out."""

from __future__ import annotations

import gc

from ... import CycleError, FileError, MissingSupportError, Roots, update_indexes
from .options import read_options
from .reporter import DepmodReporter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..console import Console


def run(arguments: Sequence[str], console: Console, roots: Roots | None = None) -> int:
    """Make the indexes and return the exit status."""
    gc.disable()  # nothing here makes circles, and looking for them takes a tenth of the time
    options = read_options(arguments, console, roots or Roots())
    reporter = DepmodReporter(console, options)
    for path in options.job.files or ():
        if not path.startswith("/"):
            console.fatal(f"{path}: not absolute path.")
            return 1
    try:
        update = update_indexes(options.job, reporter)
    except CycleError as error:
        reporter.cycles(error)
    except MissingSupportError as error:
        reporter.missing_support(error)
    except FileError as error:
        reporter.failure(error)
    else:
        if update is not None:
            reporter.result(update)
        return 0
    return 1
