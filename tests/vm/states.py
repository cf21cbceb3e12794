# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: parameters, reloads and wanted states on the kernel, by the library.

    python3.11 -IS states.py < JOB > RESULTS       a line of JSON, and lines of JSON

A job is {"what": a function below, ...}. Each result is one thing tried, with what was wrong in "wrong", if anything.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, "/opt/pymodutils")

from pymodutils import Context, Error, deny, ensure, parameters, policy_show, reload, resume_reload, set_parameter
from pymodutils.formats.ownfile import is_sealed
from pymodutils.formats.parametervalues import refusal
from pymodutils.state.ownfiles import AT_BOOT_TITLE, OPTIONS_TITLE

KMOD = "/opt/pymodutils/bin/kmod"
CONFIG = Path("/etc/modprobe.d/00-test.conf")
OWN, LISTED = Path("/etc/modprobe.d/zz-pymodutils-pmt_b.conf"), Path("/etc/modules-load.d/pymodutils.conf")
Result = dict[str, Any]


def loaded() -> list[str]:
    return [line.split()[0] for line in Path("/proc/modules").read_text().splitlines()]


def clean(keep: set[str]) -> None:
    """Unload what was loaded here, and remove all files."""
    for folder in ("/etc/modprobe.d", "/etc/modules-load.d", "/etc/pymodutils", "/run/pymodutils"):
        with contextlib.suppress(FileNotFoundError):
            for path in Path(folder).iterdir():
                path.unlink()
    with Context() as context:
        for _ in range(3):
            for name in loaded():
                if name not in keep:
                    with contextlib.suppress(Error):
                        context.unload(name, ignore_commands=True)


def etc() -> dict[str, str]:
    found = {}
    for folder in ("modprobe.d", "modules-load.d", "pymodutils"):
        with contextlib.suppress(FileNotFoundError):
            found.update({f"{folder}/{path.name}": path.read_text() for path in Path("/etc", folder).iterdir()})
    return found


# --- parameters


def defaults(job: Result) -> Iterator[Result]:
    """The value that a module's file has is the one that it starts with."""
    with Context() as context:
        for name in job["modules"]:
            try:
                context.load(name)
            except Error as error:
                yield {"module": name, "left out": str(error)}
                continue
            (found,) = parameters(context, name).modules
            known = [one for one in found.params if one.live is not None and one.default is not None]
            wrong = [f"{one.name}: {one.live}, by the file {one.default}" for one in known if one.live != one.default]
            yield {"module": name, "known": len(known), "of": len(found.params), "wrong": wrong}


def drift(job: Result) -> Iterator[Result]:
    """What the configuration gives, the module has, in whichever way both write it; another value is told."""
    types: dict[str, str] = job["types"]
    good = {key: [value for value in job["values"] if not refusal(kind, value)] for key, kind in types.items()}
    for number in range(max(map(len, good.values()))):
        chosen = {key: values[number % len(values)] for key, values in good.items()}
        CONFIG.write_text("".join(f"options pmt_params {key}={value}\n" for key, value in chosen.items()))
        with Context() as context:
            context.load("pmt_params")
            (found,) = parameters(context, "pmt_params").modules
            wrong = []
            for line, (key, value) in enumerate(chosen.items(), 1):
                one = found.find(key)
                if one is None or one.drift is not False or one.configured is None or one.configured.line != line:
                    wrong.append(f"{key}={value}: {one}")
            CONFIG.write_text("options pmt_params number=12345 flag=Y\n")
            context.refresh()
            (found,) = parameters(context, "pmt_params").modules
            seen = {key: found.find(key) for key in ("number", "flag")}
            for key, one in seen.items():
                same = one is not None and one.live in ("12345", "Y")
                if one is None or one.drift is same:
                    wrong.append(f"{key}: {one}")
            context.unload("pmt_params")
        yield {"values": chosen, "wrong": wrong}


def setting(job: Result) -> Iterator[Result]:
    """A value is set if the kernel takes it, else an error, and nothing is changed."""
    with Context() as context:
        context.load("pmt_params")
        for key in job["parameters"]:
            place = Path(f"/sys/module/pmt_params/parameters/{key}")
            for value in job["values"]:
                before = place.read_text()
                try:
                    after = set_parameter(context, "pmt_params", key, value).after
                except Error:
                    is_set = False
                else:
                    is_set = place.read_text().rstrip("\n") == after
                unchanged = place.read_text() == before
                try:
                    place.write_bytes(value.encode())
                except OSError:
                    takes = False
                else:
                    takes = True
                wrong = (
                    [] if is_set is takes and (is_set or unchanged) else [f"set {is_set}, the kernel takes it: {takes}"]
                )
                yield {"parameter": key, "value": value, "wrong": wrong}


# --- reloads


def values() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name in loaded():
        with contextlib.suppress(FileNotFoundError):
            for path in Path("/sys/module", name, "parameters").iterdir():
                found.setdefault(name, {})[path.name] = path.read_text()
    return found


def reloads(job: Result) -> Iterator[Result]:
    """Reloads with a failing init now and then: no module and no value is lost."""
    with Context() as context:
        context.load("pmt_b", "level=7")
        context.load("pmt_c")
        context.load("pmt_params", {"text": "two words", "list": "4,5,6", "number": "0x20", "names": "a,b"})
        context.load("pmt_fail")
        set_parameter(context, "pmt_params", "flag", "1")
        start = sorted(loaded()), values()
        for number in range(job["rounds"]):
            kind = number % 4
            if kind == 0:
                report = reload(context, "pmt_a")
                right = report.is_done and report.rolled_back is None
            elif kind == 1:
                report = reload(context, "pmt_params")
                right = report.is_done
            elif kind == 2:
                report = reload(context, "pmt_fail", {"error": "19"})
                right = report.rolled_back is True and report.error is not None and report.error.errno == 19
            else:
                report = reload(context, "pmt_b", {"level": "8"})
                back = reload(context, "pmt_b", {"level": "7"})
                right = report.after["pmt_b"]["level"] == "8" and back.is_done
            wrong = [] if right else [report.to_json()]
            if (sorted(loaded()), values()) != start:
                wrong.append(f"{loaded()} {values()}")
            yield {"round": number, "wrong": wrong}


def kills(job: Result) -> Iterator[Result]:
    """`kmod reload` is killed at any moment: the next one brings everything back."""
    with Context() as context:
        context.load("pmt_b", "level=7")
        context.load("pmt_c")
        context.load("pmt_slow", "init_ms=30 exit_ms=30")
    start = sorted(loaded()), values()
    for delay in job["delays"]:
        wrong = []
        for name in ("pmt_a", "pmt_slow"):
            process = subprocess.Popen([KMOD, "reload", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(0.1)  # a module's own functions end in their time
            left = sorted(Path("/run/pymodutils").glob("reload-*")) if Path("/run/pymodutils").exists() else []
            if not left and (sorted(loaded()), values()) != start:
                wrong.append(f"{name}: no record, and {loaded()}")
            with Context() as context:
                reports = resume_reload(context)
            if (sorted(loaded()), values()) != start or not all(report.is_done for report in reports):
                wrong.append(f"{name}: {loaded()} {[report.to_json() for report in reports]}")
        yield {"delay": delay, "records": len(left), "wrong": wrong}


# --- wanted states


def _load(*names: str) -> Callable[[], None]:
    def start() -> None:
        with Context() as context:
            for name in names:
                context.load(*name.split(" ", 1))

    return start


def _deny() -> None:
    with Context() as context:
        deny(context, "pmt_b", initrd="none")


STARTS: dict[str, Callable[[], object]] = {
    "absent": lambda: None,
    "available": lambda: None,
    "loaded": _load("pmt_b"),
    "loaded with other parameters": _load("pmt_b level=9"),
    "loaded and in use": _load("pmt_b", "pmt_c"),
    "builtin": lambda: None,
    "denied by the policy": _deny,
    "denied by others": lambda: CONFIG.write_text("install pmt_b /bin/false\n"),
}
WANTS = {
    "loaded": 'state = "loaded"',
    "unloaded": 'state = "unloaded"',
    "available": 'state = "available"',
    "denied": 'state = "denied"',
    "any": "",
    "loaded at boot": 'state = "loaded"\nat_boot = true',
    "with parameters": 'state = "loaded"\nparameters = {level = 5}',
    "exactly these options": 'state = "unloaded"\nparameters = {level = 5}\noptions_exactly = true\nat_boot = false',
}
ERRORS = {
    ("absent", "loaded"): "absent", ("absent", "available"): "absent", ("absent", "loaded at boot"): "absent",
    ("absent", "with parameters"): "absent", ("absent", "exactly these options"): "absent",
    ("builtin", "unloaded"): "builtin", ("builtin", "denied"): "builtin",
    ("builtin", "with parameters"): "unknown-parameter", ("builtin", "exactly these options"): "builtin",
    ("loaded and in use", "unloaded"): "in-use", ("loaded and in use", "exactly these options"): "in-use",
    ("denied by others", "loaded"): "denied", ("denied by others", "available"): "denied",
    ("denied by others", "loaded at boot"): "denied", ("denied by others", "with parameters"): "denied",
}  # fmt: skip


def pairs(job: Result) -> Iterator[Result]:
    """From a state into another, twice; what check foresees is what comes."""
    base = set(loaded())
    for start, wish in job["pairs"]:
        clean(base)
        STARTS[start]()
        name = {"absent": "pmt_nosuch", "builtin": job["builtin"]}.get(start, "pmt_b")
        text = f"[module.{name}]\n{WANTS[wish]}\n"
        with Context() as context:
            before = loaded(), etc()
            (foreseen,) = ensure(context, text, check=True).results
            wrong = [] if (loaded(), etc()) == before else ["check changed something"]
            (result,) = ensure(context, text).results
            then = loaded(), etc()
            (again,) = ensure(context, text).results
            wrong += [] if (loaded(), etc()) == then and not again.changed else [f"a second time: {again}"]
            code = result.error.code if result.error else None
            if code != ERRORS.get((start, wish)):
                wrong.append(f"error {code}")
            if code is None and foreseen.after != result.after:
                wrong.append(f"foreseen {foreseen.after}, came {result.after}")
            if code is not None and then != before:
                wrong.append("an error changed something")
            if code is None and name == "pmt_b":
                wrong += _not_as_wanted(context, wish, start)
        yield {"pair": [start, wish], "wrong": wrong}
    clean(base)


def _not_as_wanted(context: Context, wish: str, start: str) -> list[str]:
    """Look at the kernel itself, and let modprobe try."""
    wrong = []
    is_loaded = "pmt_b" in loaded()
    if wish in ("loaded", "loaded at boot", "with parameters") and not is_loaded:
        wrong.append("not loaded")
    if wish in ("unloaded", "exactly these options") and is_loaded:
        wrong.append("still loaded")
    if wish == "denied" and start != "loaded and in use":
        done = subprocess.run([f"{os.path.dirname(KMOD)}/modprobe", "-q", "pmt_b"])
        if done.returncode == 0 or "pmt_b" in loaded():
            wrong.append("modprobe loads it")
    if wish == "with parameters" and "other" not in start and start not in ("loaded", "loaded and in use"):
        level = Path("/sys/module/pmt_b/parameters/level").read_text().strip()
        wrong += [] if level == "5" else [f"level is {level}"]
    return wrong


def killed(job: Result) -> Iterator[Result]:
    """`kmod ensure` is killed at any moment: whole files, and the next one gets there."""
    base = set(loaded())
    texts = [f'[module.pmt_b]\nstate = "loaded"\nat_boot = {flag}\nparameters = {{level = {level}}}\n'
             f'[module.pmt_a]\n[module.pmt_held]\nstate = "{state}"\n'
             for flag, level, state in (("true", 5, "denied"), ("false", 6, "available"))]  # fmt: skip
    clean(base)
    for number, delay in enumerate(job["delays"]):
        path = Path("/tmp/wishes.toml")
        path.write_text(texts[number % 2])
        process = subprocess.Popen([KMOD, "ensure", path], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        wrong = [
            f"{file} is damaged"
            for file, title in ((OWN, OPTIONS_TITLE), (LISTED, AT_BOOT_TITLE))
            if file.exists() and not is_sealed(title, file.read_bytes())
        ]
        with Context() as context:
            policy_show(context)  # it can be read
            if (
                not ensure(context, texts[number % 2]).is_reached
                or ensure(context, texts[number % 2], check=True).changed
            ):
                wrong.append("the next run does not get there")
        yield {"delay": delay, "wrong": wrong}
    clean(base)


def main() -> None:
    job = json.load(sys.stdin)
    for result in globals()[job["what"]](job):
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
