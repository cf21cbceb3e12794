# SPDX-License-Identifier: LGPL-2.1-or-later
"""Timing of processes: what is compared runs in turn, so that whatever else the machine does meets all alike.

    python3 -m benchmarks.measuring ROUNDS JSON

does so in another root directory: {label: words} in, {label: [[ms of wall time, of CPU time]]} out.
"""

from __future__ import annotations

import ctypes
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
Words = Sequence[str]
Run = Callable[[], float]


class NotMeasured(Exception):
    """Why there is no number: what is missing, or how a command failed."""


Outcome = list[float] | NotMeasured
"""One number for each round."""

Outcomes = dict[str, Outcome]
"""The numbers by who did the work."""


def wall(words: Words, *, cpus: int = 0, flush: bool = False, statuses: Collection[int] = (0,)) -> float:
    """Return the milliseconds that a command takes, on so many CPUs if told. Raises NotMeasured if it fails.

    With `flush` nothing waits to be written to disk when it starts, for commands that flush what they write: they
    would flush what the one before them left as well.
    """
    if flush:
        os.sync()
    allowed = os.sched_getaffinity(0)
    if cpus:
        os.sched_setaffinity(0, sorted(allowed)[:cpus])
    try:
        start = time.perf_counter()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        _, messages = process.communicate()
        taken = time.perf_counter() - start
    except OSError as error:
        raise NotMeasured(f"{words[0]}: {error.strerror}") from None
    finally:
        os.sched_setaffinity(0, allowed)
    _expect(words, process.returncode, statuses, messages)
    return taken * 1000


def usage(words: Words, *, statuses: Collection[int] = (0,)) -> tuple[float, float]:
    """Return milliseconds of wall time and of CPU time. Raises NotMeasured if it fails."""
    start = time.perf_counter()
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    taken = time.perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    _expect(words, process.returncode, statuses, b"")
    return taken * 1000, (used.ru_utime + used.ru_stime) * 1000


def memory(words: Words) -> float:
    """Return the most MB that a command and its children had at any time, by the sum of their PSS.

    What the kernel says of it in the end is at least what this process has when it starts the command.
    """
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    most = 0
    while process.poll() is None:
        most = max(most, sum(map(_pss, [process.pid, *_children(process.pid)])))
        time.sleep(0.002)
    return most / 1024


def _children(pid: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))
    except OSError:
        return []


def _pss(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def both_times(runs: Mapping[str, Callable[[], tuple[float, float]]], rounds: int) -> tuple[Outcomes, Outcomes]:
    """Measure all in turn as `interleaved` does; return the wall times and the CPU times."""
    cpu: dict[str, list[float]] = {name: [] for name in runs}

    def timed(name: str, run: Callable[[], tuple[float, float]]) -> Run:
        def once() -> float:
            taken, used = run()
            cpu[name].append(used)
            return taken

        return once

    wall = interleaved({name: timed(name, run) for name, run in runs.items()}, rounds)
    found = wall.items()
    return wall, {name: one if isinstance(one, NotMeasured) else cpu[name][1:] for name, one in found}


def _expect(words: Words, status: int, statuses: Collection[int], messages: bytes) -> None:
    if status not in statuses:
        last = messages.decode(errors="replace").strip().rpartition("\n")[2].replace(os.uname().release, "RELEASE")
        raise NotMeasured(f"{Path(words[0]).name} ended with {status}{last and f': {last}'}")


def orders(labels: Sequence[str], rounds: int) -> Iterator[Sequence[str]]:
    """Yield the order of what is compared, for each round another one.

    What ran just before, and how long the machine has been busy, makes a run slower or faster. In as many rounds as
    there are labels, each is at each place once; in so many, or twice as many if their number is odd, each comes right
    after each other one equally often (a Williams design).
    """
    count = len(labels)
    start = [(place + 1) // 2 if place % 2 else (count - place // 2) % count for place in range(count)]
    for number in range(rounds):
        again = number // count % 2
        turned = -number if again else number  # so that the first of a round has not always the same one before it
        row = [labels[(place + turned) % count] for place in start]
        yield row[::-1] if count % 2 and again else row


def interleaved(runs: Mapping[str, Run | NotMeasured], rounds: int) -> Outcomes:
    """Measure all in turn, so many times and once more to warm caches; one that fails is left out from then on.

    The order changes from round to round, as `orders` says.
    """
    found: Outcomes = {label: run if isinstance(run, NotMeasured) else [] for label, run in runs.items()}
    for number, order in enumerate(orders(list(runs), rounds + 1)):
        for label in order:
            run, so_far = runs[label], found[label]
            if isinstance(run, NotMeasured) or isinstance(so_far, NotMeasured):
                continue
            try:
                taken = run()
            except NotMeasured as reason:
                found[label] = reason
            else:
                if number:
                    so_far.append(taken)
    return found


def commands(
    words: Mapping[str, Words | NotMeasured],
    rounds: int,
    *,
    cpus: int = 0,
    flush: bool = False,
    statuses: Collection[int] = (0,),
) -> Outcomes:
    """`interleaved` for the wall times of commands; options as for `wall`."""

    def run(one: Words) -> Run:
        return lambda: wall(one, cpus=cpus, flush=flush, statuses=statuses)

    runs = {label: one if isinstance(one, NotMeasured) else run(one) for label, one in words.items()}
    return interleaved(runs, rounds)


def less(ours: Outcome, theirs: Outcome) -> Outcome:
    """How much more ours took, round by round."""
    if isinstance(ours, NotMeasured):
        return ours
    return theirs if isinstance(theirs, NotMeasured) else [one - other for one, other in zip(ours, theirs, strict=True)]


CLONE_NEWNS = 0x20000


def among_mounts(mount: Callable[[], object], action: Callable[[], T]) -> T:
    """Mount something and then do something, in a copy of this process whose mounts nobody else sees.

    Raises NotMeasured if the kernel forbids it.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child:
        os.close(writer)
        with open(reader, "rb") as pipe:
            answer = pipe.read()
        os.waitpid(child, 0)
        found = pickle.loads(answer) if answer else NotMeasured("a copy of this process died")
        if isinstance(found, BaseException):
            raise found
        result: T = found
        return result
    try:
        with open(writer, "wb") as pipe:
            try:
                if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS):
                    raise NotMeasured(f"mounts of its own: {os.strerror(ctypes.get_errno())}")
                mounted("--make-rprivate", "/")
                mount()
                answer = pickle.dumps(action())
            except Exception as error:
                answer = pickle.dumps(error)
            pipe.write(answer)
    finally:
        os._exit(0)


def mounted(*words: str | Path) -> None:
    """Call mount(8). Raises NotMeasured if it fails."""
    done = subprocess.run(["mount", *words], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise NotMeasured(done.stderr.partition("\n")[0])


def main(arguments: Sequence[str]) -> int:
    """Print what was measured as JSON."""
    rounds, words = int(arguments[0]), json.loads(arguments[1])
    found: dict[str, list[tuple[float, float]]] = {label: [] for label in words}
    for number, order in enumerate(orders(list(words), rounds + 1)):
        for label in order:
            os.sync()
            taken, cpu = usage(words[label])
            if number:  # the first warms caches
                found[label].append((taken, cpu))
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
