# SPDX-License-Identifier: LGPL-2.1-or-later
"""/proc/modules: one line for each module in the kernel, newest first.

Source: kernel/module/procfs.c (m_show), Documentation/admin-guide/tainted-kernels.rst;
docs/behaviour/2-formats.md, "The kernel side".
"""

from __future__ import annotations

from ..errors import FormatError
from ..names import decode
from ..records import Record

_NOT_HOLDERS = ("[permanent]", "")
_STATES = {"Live": "live", "Loading": "coming", "Unloading": "going"}  # to the words of /sys/module/NAME/initstate
_STATE_WORDS = [[word] for word in _STATES]


class LoadedModule(Record):
    """One module in the kernel.

    `size` is in bytes. `refcount` is None when the kernel cannot unload modules. `state` is `live`, `coming` or
    `going`, or `unknown` for a word that no kernel writes. `address` is 0 when hidden from this user. `taint` has the
    flag letters, none for a module that does not taint.
    """

    name: str
    size: int
    refcount: int | None
    holders: tuple[str, ...]
    permanent: bool
    state: str
    address: int
    taint: str


def parse_proc_modules(data: bytes, path: str = "/proc/modules") -> list[LoadedModule]:
    """Return all modules of a snapshot of /proc/modules, in its order. Raises `FormatError` for a line of another form.

    The kernel hands the file out by the page: a module that is loaded meanwhile moves the others on, and the one at a
    page's end comes again. It counts once.
    """
    modules: dict[str, LoadedModule] = {}
    for number, line in enumerate(decode(data).split("\n"), 1):
        if line:
            module = _parse_line(line)
            if module is None:
                raise FormatError("not a line of /proc/modules", path=path, line=number)
            modules.setdefault(module.name, module)
    return list(modules.values())


def _parse_line(line: str) -> LoadedModule | None:
    words = [word for word in line.replace("\t", " ").split(" ") if word]
    try:
        name, size, refcount = words[0], int(words[1]), _count(words[2])
        if len(words) > 3 and words[3][0] in "([" and words[4:5] not in _STATE_WORDS:
            return LoadedModule(name, size, refcount, _old_holders(words[3:]), False, "live", 0, "")
        holders = words[3].split(",") if len(words) > 3 and words[3] != "-" else []
        state = _STATES.get(words[4], "unknown") if len(words) > 4 else "live"
        address = int(words[5], 16) if len(words) > 5 else 0
    except (IndexError, ValueError):
        return None
    taint = words[6].strip("()") if len(words) > 6 else ""
    named = tuple([holder for holder in holders if holder not in _NOT_HOLDERS])
    return LoadedModule(name, size, refcount, named, "[permanent]" in holders, state, address, taint)


def _old_holders(words: list[str]) -> tuple[str, ...]:
    """Return the holders in a line of Linux 2.4: `[a b]`, next to notes like `(unused)` and `(autoclean)`."""
    text = " ".join(words)
    return tuple(text.partition("[")[2].partition("]")[0].split())


def _count(word: str) -> int | None:
    """Return a count of users: the kernel shows -1 of a module that is being unloaded, which nobody uses."""
    return None if word == "-" else max(int(word), 0)
