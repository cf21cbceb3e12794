# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists of modules that were wanted: names in lines, or what `kmod watch --json` printed."""

from __future__ import annotations

from ..names import normalize_name
from ..records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class LoggedModule(Record):
    """A module that was wanted; of a request also `asked`, the alias that it was asked for, and `by`, the process."""

    name: str
    asked: str | None = None
    by: str | None = None


def parse_watch_log(lines: Iterable[str]) -> Iterator[LoggedModule]:
    """Yield the modules of a list. Lines of JSON that are no events are passed over; `#` begins a remark."""
    import json

    for line in lines:
        if not line.lstrip().startswith("{"):
            for name in line.partition("#")[0].split()[:1]:
                yield LoggedModule(normalize_name(name))
            continue
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):  # cut off, or no JSON
            continue
        yield from _wanted(event)


def _wanted(event: dict[str, object]) -> Iterator[LoggedModule]:
    kind, module, modules, asked = (event.get(field) for field in ("event", "module", "modules", "asked"))
    if kind == "load" and isinstance(module, str):
        yield LoggedModule(normalize_name(module))
    elif kind == "request" and isinstance(modules, list):
        comm, pid, uid = (event.get(field) for field in ("comm", "pid", "uid"))
        by = f"{'-' if comm is None else comm}[{pid}] uid {'-' if uid is None else uid}"
        for name in modules:
            if isinstance(name, str):
                yield LoggedModule(normalize_name(name), asked if isinstance(asked, str) else None, by)
