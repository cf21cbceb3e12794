# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod watch: who asks for modules, and what comes of it, as it happens."""

from __future__ import annotations

import time

from ..diagnosis.outcome import KernelRules
from ..diagnosis.requests import DENIED, FAILED, LOADED, NOT_FOUND, RequestOutcome, foresee_request, is_met
from ..diagnostics import WARNING, Diagnostic, Place
from ..effects.tracing import Trace
from ..errors import Error, LiveKernelNotAskedError
from ..formats import tracepipe
from ..names import normalize_name
from ..state.files import read_or_none
from ..state.kernelfacts import read_kernel_facts
from ..state.modulefile import is_signed
from ..state.requester import NOBODY_KNOWS, requester, sees_all_processes
from .report import Report, head

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from ..context import Context
    from ..formats.tracepipe import TraceEntry
    from ..observer import Observer
    from ..state.requester import Requester

REQUESTS, LOADS = "requests", "loads"
"""What `watch` can be told to watch, apart from the references of one module."""

REQUEST, LOAD, FREE, GET, PUT, LOST = "request", "load", "free", "get", "put", "lost"
"""Words of `WatchEvent.event`."""

NO_HELPER = "no-helper"
"""Code of a diagnostic: the kernel asks nobody for modules."""

_EVENTS = {
    tracepipe.REQUEST: REQUEST,
    tracepipe.LOAD: LOAD,
    tracepipe.FREE: FREE,
    tracepipe.GET: GET,
    tracepipe.PUT: PUT,
}
_LOOK_AGAIN = 0.05  # seconds between looks at what is not decided yet
_SURELY_WAITING = 0.5  # seconds in which a process that asks may not have come to its waiting
_BETWEEN_LOSSES = 1.0  # seconds between two words of lost events
_LONGEST = 30.0  # seconds after which nobody can say what came of a request


class WatchEvent(Report):
    """One event.

    `event` is `request`, `load`, `free`, `get`, `put` or `lost`. `time` is in seconds since 1970. `comm` and `pid` are
    the process, `uid` the user who started it; each is None when it is not known. `call_site` is the kernel's function
    that asked, or that took or gave back a reference.

    Of a request, `asked` is what was asked for, `modules` what that stands for, `outcome` one of `loaded`, `denied`,
    `not-found` and `failed`, and `by` the rule that decided; the outcome is None when it cannot be told. Of the others,
    `module` is the module, `refcount` the count of its references afterwards, `taint` the letters that it brings.
    `lost` is how many events are missing, None in an event `lost` when that is not known.
    """

    event: str = ""
    time: float = 0.0
    comm: str | None = None
    pid: int | None = None
    uid: int | None = None
    call_site: str | None = None
    asked: str | None = None
    modules: tuple[str, ...] = ()
    outcome: str | None = None
    by: Place | None = None
    module: str | None = None
    refcount: int | None = None
    taint: str | None = None
    lost: int | None = None


def watch(
    context: Context,
    what: str | Iterable[str] = (REQUESTS, LOADS),
    *,
    refs: str | None = None,
    seconds: float | None = None,
    observer: Observer | None = None,
) -> Generator[WatchEvent, None, None]:
    """Yield what happens with modules from now on, for `seconds` or until the iterator is closed.

    `what` has words of `requests` (what the kernel asks modprobe for) and `loads` (what comes in and goes); `refs` is
    the name of a module whose references are watched. A request is told when its outcome is known. `observer` hears
    when the kernel asks nobody for modules. It needs root and tracefs, and has an instance there as long as it runs.
    Blocks between events. Raises `LiveKernelNotAskedError`; at the first event `Error` and `FileError`.
    """
    kinds = [what] if isinstance(what, str) else list(what)
    if not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: nothing happens there")
    unknown = [kind for kind in kinds if kind not in (REQUESTS, LOADS)]
    if unknown or not (kinds or refs):
        raise ValueError(f"watch what? {', '.join(unknown) or 'nothing is asked for'}")
    helper = context.live.text("sys/kernel/modprobe")
    if REQUESTS in kinds and observer and helper is not None and not helper.strip():
        place = f"{context.roots.proc}/sys/kernel/modprobe"
        observer.diagnostic(Diagnostic(NO_HELPER, WARNING, "is empty: the kernel asks nobody for modules", file=place))
    return _Watch(context, kinds, refs).events(seconds)


class _Pending:
    """A request whose outcome is not known yet."""

    def __init__(self, event: WatchEvent, entry: TraceEntry, foreseen: RequestOutcome) -> None:
        self.event = event
        self.entry = entry
        self.foreseen = foreseen
        self.since = time.monotonic()
        self.looks = 0


class _Watch:
    def __init__(self, context: Context, kinds: list[str], refs: str | None) -> None:
        self.context = context
        self.refs = None if refs is None else normalize_name(refs)
        self.events_of = [tracepipe.REQUEST] if REQUESTS in kinds else []
        if LOADS in kinds:
            self.events_of += [tracepipe.LOAD, tracepipe.FREE]
        if self.refs is not None:
            self.events_of += [tracepipe.GET, tracepipe.PUT]
        roots = context.roots
        self.proc = roots.proc
        self.head = head("watch", context)
        self.rules = KernelRules(read_kernel_facts(roots, context.live), is_signed, roots.proc, roots.sys)
        self.names_processes = sees_all_processes(self.proc)
        self.epoch = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        self.pending: list[_Pending] = []
        self.told_lost = self.seen_lost = 0
        self.unclear = 0
        self.next_loss = 0.0

    def events(self, seconds: float | None) -> Generator[WatchEvent, None, None]:
        end = None if seconds is None else time.monotonic() + seconds
        with Trace(self.events_of, module=self.refs, roots=self.context.roots) as trace:
            left = 1.0
            while left > 0:
                left = 3600.0 if end is None else end - time.monotonic()
                wait = max(min(left, _LOOK_AGAIN if self.pending else left, self.until_loss()), 0.0)
                yield from self.told(trace.read(wait))
                yield from self.decided()
                yield from self.missing(trace)
            for request in self.pending:  # out of time: what has not come has not come yet
                outcome = LOADED if self.is_met(request) else None
                yield request.event.replace(outcome=outcome)
            trace.count_lost()
            self.next_loss = 0.0
            yield from self.missing(trace)

    def told(self, entries: list[TraceEntry]) -> Iterator[WatchEvent]:
        """Tell of events; first ask who caused them, since processes end."""
        processes: dict[tuple[int, str | None], Requester] = {}
        for entry in entries:
            key = entry.pid, entry.comm
            if key not in processes:
                processes[key] = self.process(entry)
        for entry in entries:
            process = processes[entry.pid, entry.comm]
            is_request = entry.event == tracepipe.REQUEST
            event = WatchEvent(
                **self.head,
                event=_EVENTS[entry.event],
                time=round(self.epoch + entry.time, 6),
                comm=entry.comm or process.comm,
                pid=entry.pid,
                uid=process.uid,
                call_site=entry.call_site,
                asked=entry.name if is_request else None,
                module=None if is_request else entry.name,
                refcount=entry.refcount,
                taint=entry.taint,
            )
            if is_request:
                yield from self.request(event, entry)
            else:
                yield event

    def process(self, entry: TraceEntry) -> Requester:
        if not self.names_processes:
            return NOBODY_KNOWS
        return requester(self.proc, entry.pid, entry.comm, entry.time)

    def request(self, event: WatchEvent, entry: TraceEntry) -> Iterator[WatchEvent]:
        """Tell of a request at once if rules or indexes decide it, or if the module is there; else wait for it."""
        if self.context.stale:
            self.context.refresh()
        foreseen = foresee_request(self.context.tolerant_system, self.rules, entry.name)
        request = _Pending(event.replace(modules=foreseen.modules), entry, foreseen)
        if self.is_met(request):
            yield request.event.replace(outcome=LOADED)
        elif foreseen.outcome in (DENIED, NOT_FOUND):
            yield request.event.replace(outcome=foreseen.outcome, by=foreseen.by)
        else:
            self.pending.append(request)

    def decided(self) -> Iterator[WatchEvent]:
        """Tell of the requests that are decided by now."""
        waiting, self.pending = self.pending, []
        for request in waiting:
            if self.is_met(request):
                yield request.event.replace(outcome=LOADED)
            elif self.is_over(request):
                outcome = FAILED if request.event.modules else None
                yield request.event.replace(outcome=outcome, by=request.foreseen.by)
            elif time.monotonic() > request.since + _LONGEST:
                yield request.event
            else:
                self.pending.append(request)

    def is_met(self, request: _Pending) -> bool:
        return is_met(self.context.tolerant_system, request.entry.name, request.foreseen.modules)

    def is_over(self, request: _Pending) -> bool:
        """Tell whether the process that asked has its answer: it does not wait any more. None can be told of others."""
        if not request.entry.waits or not self.names_processes:
            return False
        if time.monotonic() < request.since + _SURELY_WAITING:
            return False
        request.looks = 0 if b"usermodehelper" in self.waits_in(request.entry.pid) else request.looks + 1
        return request.looks > 2

    def waits_in(self, pid: int) -> bytes:
        """Return the kernel's function in which a process sleeps; nothing for one that does not, or has ended."""
        try:
            return read_or_none(f"{self.proc}/{pid}/wchan") or b""
        except Error:
            return b""

    def missing(self, trace: Trace) -> Iterator[WatchEvent]:
        """Tell of events that were lost, or that could not be understood, since the last word of that."""
        self.seen_lost = trace.lost
        self.unclear += trace.take_unclear()
        if self.misses and time.monotonic() >= self.next_loss:
            lost = None if self.unclear else self.seen_lost - self.told_lost
            self.told_lost, self.unclear = self.seen_lost, 0
            self.next_loss = time.monotonic() + _BETWEEN_LOSSES
            yield WatchEvent(**self.head, event=LOST, time=round(time.time(), 6), lost=lost)

    @property
    def misses(self) -> bool:
        """Whether events were lost, or could not be understood, that nothing was said of yet."""
        return self.seen_lost > self.told_lost or self.unclear > 0

    def until_loss(self) -> float:
        """Return the seconds until it is time to tell of lost events."""
        return self.next_loss - time.monotonic() if self.misses else float("inf")
