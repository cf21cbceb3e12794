# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: modules of Ansible, one after the other, with the modprobe that comes first in PATH.

    python3.11 -IS ansiblemodules.py FOLDER < JOB > RESULTS       a line of JSON, and lines of JSON

FOLDER has what the modules import. A job is a list of steps: [module, its arguments, for instance
{"name": "loop", "_ansible_check_mode": true}]. For each the result has what the module answered, and what there is
then.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Any

ANSWER = "/run/ansible-answer"


def there_is() -> dict[str, Any]:
    """The loaded modules with the values of their parameters, and the files that these modules of Ansible write."""
    modules = {}
    for line in Path("/proc/modules").read_text().splitlines():
        folder = Path("/sys/module", line.split()[0], "parameters")
        paths = sorted(folder.iterdir()) if folder.exists() else []
        modules[line.split()[0]] = {path.name: _text(path) for path in paths}
    files = {}
    for folder in (Path("/etc/modprobe.d"), Path("/etc/modules-load.d")):
        paths = sorted(folder.iterdir()) if folder.exists() else []
        files.update({str(path): path.read_text() for path in paths if "~" not in path.name})
    return {"modules": modules, "files": files}


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except OSError:
        return None


def answer(module: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Run a module in a process of its own, which is a copy of this one, so that nothing is imported twice."""
    if (pid := os.fork()) == 0:
        status = 1
        try:
            output = os.open(ANSWER, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.argv = ["module", json.dumps({"ANSIBLE_MODULE_ARGS": arguments})]
            runpy.run_module(f"ansible_collections.community.general.plugins.modules.{module}", run_name="__main__")
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    text = Path(ANSWER).read_text()
    try:
        found: dict[str, Any] = json.loads(text)
    except ValueError:  # a traceback
        found = {"text": text}
    found.pop("invocation", None)
    return {"status": status, **found}


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    import_module("ansible.module_utils.basic")
    import_module("ansible_collections.community.general.plugins.module_utils.module_helper")

    for module, arguments in json.load(sys.stdin):
        print(json.dumps({"answer": answer(module, arguments), "then": there_is()}), flush=True)


if __name__ == "__main__":
    main()
