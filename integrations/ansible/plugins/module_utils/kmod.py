# SPDX-License-Identifier: LGPL-2.1-or-later
"""Call verbs of kmod and read their JSON: all that the modules of this collection do."""

from __future__ import annotations

import json
import os
import tempfile

COMMON = {
    "executable": {"type": "path", "default": "kmod"},
    "root": {"type": "path"},
    "release": {"type": "str"},
}
"""Options that all modules have."""


def where(params):
    """Return the options of kmod that tell which system is meant."""
    words = []
    if params.get("root"):
        words.append("--root={}".format(params["root"]))
    if params.get("release"):
        words.append("--set-version={}".format(params["release"]))
    return words


def call(module, words, names=()):
    """Run `kmod VERB --json ... -- NAMES` and return its document; end the task where there is none."""
    executable = module.params["executable"]
    if "/" not in executable:
        executable = module.get_bin_path(executable, required=True, opt_dirs=["/usr/sbin", "/sbin"])
    command = [executable, words[0], "--json", *where(module.params), *words[1:], "--", *names]
    try:
        status, out, err = module.run_command(command, handle_exceptions=False)
    except OSError as error:
        module.fail_json(msg=f"{executable}: {error.strerror}")
    try:
        document = json.loads(out)
    except ValueError:
        document = None
    if document is None or document.get("schema") != "pymodutils/1":
        reason = err.strip() or "no JSON from it; is this kmod that of pymodutils?"
        module.fail_json(msg="{}: {}".format(" ".join(command), reason), rc=status)
    if status not in (0, 1):
        module.fail_json(
            msg=err.strip() or f"kmod {words[0]} could not find it out", rc=status, errors=document["errors"]
        )
    return document


def call_with_file(module, words, text):
    """Do as `call` for a verb that reads a file with this text.

    By a file, since a kmod that is not ours ends before it reads its input, and all that is then said is "broken pipe".
    """
    number, path = tempfile.mkstemp(suffix=".toml", dir=module.tmpdir)
    with os.fdopen(number, "w", encoding="utf-8", errors="surrogateescape") as stream:
        stream.write(text)
    try:
        return call(module, words, [path])
    finally:
        os.unlink(path)


def toml(value):
    """Return a value as TOML writes it: text, numbers, booleans, lists and tables."""
    if isinstance(value, dict):
        return "{{{}}}".format(", ".join(f"{toml(str(key))} = {toml(value[key])}" for key in sorted(value)))
    if isinstance(value, (list, tuple)):
        return "[{}]".format(", ".join(toml(item) for item in value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
