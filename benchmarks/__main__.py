# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measure the budgets, and other implementations, and print one table. README.md says how to read it.

    python -m benchmarks [--list] [--write] [--scale N] [PART...]

    --list      name the parts and their rows, measure nothing
    --write     put the table into README.md and draw the pictures in plots/ as well
    --scale N   measure N times as many rounds: 0.2 for a quick look

The exit status is 1 when a budget is exceeded or a part fails; what only is not there to be compared to is no failure.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import NoReturn

from benchmarks import (
    batches,
    closure,
    debian13,
    decode,
    depmod,
    growth,
    initramfs,
    loading,
    lookups,
    machine,
    plots,
    policy,
    readme,
    registry,
    startup,
    table,
    users,
    verify,
)
from benchmarks.bench import Bench
from benchmarks.measuring import NotMeasured
from benchmarks.peers import OURS, PEERS, PYTHON, REPO, Peers

PARTS: dict[str, Callable[[Bench], Iterator[table.Result]]] = {
    "startup": startup.measure,
    "batches": batches.measure,
    "depmod": depmod.measure,
    "debian13": debian13.measure,
    "lookups": lookups.measure,
    "policy": policy.measure,
    "users": users.measure,
    "decode": decode.measure,
    "verify": verify.measure,
    "closure": closure.measure,
    "initramfs": initramfs.measure,
    "loading": loading.measure,
    "growth": growth.measure,
}


def measured(bench: Bench) -> Iterator[tuple[table.Result, bool]]:
    """The results of a part as they come, and whether one is there since the part failed."""
    missing = {row.name: row for row in registry.ROWS[bench.part]}
    try:
        for result in PARTS[bench.part](bench):
            missing.pop(result.row.name)
            yield result, False
        reason, failed = NotMeasured("the part ended without it"), bool(missing)
    except NotMeasured as error:
        reason, failed = error, False
    except Exception as error:
        traceback.print_exc()
        reason, failed = NotMeasured(repr(error)), True
    for row in missing.values():
        yield table.Result(row, {OURS: reason}), failed


def run(parts: list[str], scale: float, scratch: Path) -> tuple[list[table.Result], dict[str, str], int]:
    """Measure parts and print the table as it grows; the results, facts of the machine, and the exit status."""
    subprocess.run([PYTHON, "-IS", REPO / "pymodutils/make_pack.py"], check=True)
    peers, results, status = Peers(scratch), [], 0
    for name in {peer: None for part in parts for row in registry.ROWS[part] for peer in row.peers if peer in PEERS}:
        peers.find(name)  # before a copy of this process wants it
    print(table.terminal(table.HEAD), flush=True)
    for part in parts:
        folder = scratch / part
        folder.mkdir()
        for result, failed in measured(Bench(part, folder, peers, scale)):
            results.append(result)
            status |= result.over | failed
            for cells in table.lines(result):
                print(table.terminal(cells), flush=True)
    facts = machine.facts(peers) | {"rounds": f"{scale:g} of the usual number"}
    print()
    for name, fact in facts.items():
        print(f"{name}: {fact}")
    for result in results:
        for line in table.reasons(result, facts):
            print(line)
    return results, facts, status


def main() -> int:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"default all: {', '.join(PARTS)}")
    parser.add_argument("--list", action="store_true", help="name the parts and their rows, measure nothing")
    parser.add_argument("--write", action="store_true", help="write README.md's table and the pictures in plots/ too")
    parser.add_argument("--scale", type=float, default=1.0, help="measure this many times as many rounds")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"no part {' '.join(sorted(unknown))}")
    if options.write and options.parts:
        parser.error("--write is for all parts together")
    if options.list:
        for part in options.parts or PARTS:
            print(part, *(f"    {row.name}" for row in registry.ROWS[part]), sep="\n")
        return 0
    signal.signal(signal.SIGTERM, _leave)  # so that the scratch directory is removed
    with tempfile.TemporaryDirectory(prefix="pymodutils-bench-") as name:
        results, facts, status = run(options.parts or list(PARTS), options.scale, Path(name))
    if options.write:
        readme.write(results, facts, datetime.now(UTC).date())
        plots.draw(results)
    return status


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
