# SPDX-License-Identifier: LGPL-2.1-or-later
"""Kernel modules by kmod of pymodutils: a Salt execution module.

Put it into `_modules` of the file roots. CLI: salt '*' pymodutils_kernel.status sctp
"""

import json

__virtualname__ = "pymodutils_kernel"


def __virtual__():
    """Load only where there is a kmod."""
    if __salt__["cmd.has_exec"]("kmod"):
        return __virtualname__
    return False, "kmod is not installed"


def _call(words, member, stdin=None):
    """Return a member of the document of a verb; it has none where the verb has no answer."""
    # a status of 1 is an answer, and no error for Salt's log
    result = __salt__["cmd.run_all"](["kmod", *words], stdin=stdin, python_shell=False, ignore_retcode=True)
    try:
        document = json.loads(result["stdout"])
    except ValueError:
        document = {}
    if document.get("schema") != "pymodutils/1":
        raise RuntimeError(result["stderr"] or "kmod is not that of pymodutils")
    if member not in document:
        raise RuntimeError(result["stderr"])
    return document[member]


def status(*names):
    """Return what `kmod status` says of modules, of all loaded ones by default."""
    return _call(["status", "--json", *names], "modules")


def check(*names):
    """Return by which doors modules can get in."""
    return _call(["check", "--json", *names], "checks")


def ensure(name, test=False, **wanted):
    """Bring a module into a wanted state, as kmod-ensure(8) describes it; with `test` only tell what would be done."""
    lines = [f"[module.{_toml(name)}]"]
    lines += [f"{key} = {_toml(value)}" for key, value in sorted(wanted.items()) if not key.startswith("__")]
    words = ["ensure", "--json", *(["--check"] if test else []), "-"]
    return _call(words, "results", stdin="\n".join(lines) + "\n")[0]


def _toml(value):
    if isinstance(value, dict):
        return "{{{}}}".format(", ".join(f"{_toml(str(key))} = {_toml(value[key])}" for key in sorted(value)))
    if isinstance(value, (list, tuple)):
        return "[{}]".format(", ".join(map(_toml, value)))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
