# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod devices: which driver each device has, and which modules could drive it."""

from __future__ import annotations

import errno
import os

from ..diagnosis.outcome import KernelRules
from ..diagnosis.requests import DENIED, foresee_match
from ..diagnosis.status import state_of
from ..diagnostics import Place
from ..errors import Error, LiveKernelNotAskedError, MissingTreeError, NameSyntaxError
from ..observer import counted
from ..planning.lookup import lookup
from ..records import Record
from ..state.kernelfacts import read_kernel_facts
from ..state.look import Look
from ..state.modaliases import device_aliases
from ..state.modulefile import is_signed
from .report import Report, as_diagnostic, head, shows_machine, unlisted, unread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..context import Context
    from ..diagnostics import Diagnostic
    from ..observer import Observer
    from ..state.modaliases import DeviceAlias


class DeviceCandidate(Record):
    """A module that says it can drive a device.

    `state` is that of `Status`. `by` is the rule that keeps it from being loaded for the device: a blacklist or install
    rule, or the kernel's own; None for no rule.
    """

    module: str
    state: str
    by: Place | None


class Device(Record):
    """A device that has a modalias.

    `path` is its directory in /sys. `driver` is the name of the driver that is bound to it, None for none. `candidates`
    are the modules that its modalias stands for, best first. `bus` is the bus on which a driver can be bound to it,
    None for a device of a class and for an entry of the firmware's tables that stands for another device.
    """

    path: str
    modalias: str
    driver: str | None
    candidates: tuple[DeviceCandidate, ...]
    bus: str | None

    @property
    def is_unhandled(self) -> bool:
        """Whether the device is on a bus and no driver is bound to it."""
        return self.bus is not None and self.driver is None


class DevicesReport(Report):
    """The devices of this machine, by path."""

    devices: tuple[Device, ...]


def devices(context: Context, *, unhandled: bool = False, observer: Observer | None = None) -> DevicesReport:
    """Return the devices of this machine that have a modalias, their drivers, and the modules that could drive them.

    `unhandled` leaves only those on a bus that no driver is bound to. The modules are those of the context's release,
    which need not be the running one. `observer` hears of progress. What cannot be looked up is an error of the report,
    so is a module directory that is not there, and a device that cannot be read, which is left out. Raises
    `LiveKernelNotAskedError` for another system, and `FileError`.
    """
    roots = context.roots
    if not shows_machine(context):
        raise LiveKernelNotAskedError("this is another system than the running one: its devices are not known")
    finder = _Finder(context)
    look = Look(roots)
    found = [device for device in device_aliases(look) if device.modalias and _is_read(look, device)]
    wanted = [device for device in found if not unhandled or (device.bus and device.driver is None)]
    devices = []
    for device in counted(wanted, "devices", observer):
        modalias = device.modalias or ""
        candidates = finder.candidates(modalias)
        devices.append(Device(device.path, modalias, device.driver, candidates, device.bus))
    return DevicesReport(**head("devices", context, [*finder.errors, *unread(look)]), devices=tuple(devices))


def _is_read(look: Look, device: DeviceAlias) -> bool:
    """Tell whether it is known what drives a device."""
    return look.unread.keys().isdisjoint((f"{device.path}/driver", f"{device.path}/subsystem"))


class _Finder:
    """Finds candidates; many devices have the same modalias."""

    def __init__(self, context: Context) -> None:
        roots = context.roots
        self.system = context.system
        self.rules = KernelRules(read_kernel_facts(roots, context.live), is_signed, roots.proc, roots.sys)
        self.loaded = context.loaded_by_name()
        self.errors: list[Diagnostic] = []
        if not context.exists:
            directory = context.tree.directory
            missing = MissingTreeError(os.strerror(errno.ENOENT), path=directory, errno=errno.ENOENT)
            self.errors.append(as_diagnostic(missing))
        self.errors += unlisted(context.tolerant_system.tree)
        self.known: dict[str, tuple[DeviceCandidate, ...]] = {}

    def candidates(self, modalias: str) -> tuple[DeviceCandidate, ...]:
        if modalias not in self.known:
            try:
                self.known[modalias] = self.look_up(modalias)
            except NameSyntaxError:
                self.known[modalias] = ()
            except Error as error:
                self.known[modalias] = ()
                problem = as_diagnostic(error).replace(subject=None)
                if problem not in self.errors:  # one for each index, not for each device
                    self.errors.append(problem)
        return self.known[modalias]

    def look_up(self, modalias: str) -> tuple[DeviceCandidate, ...]:
        found: dict[str, DeviceCandidate] = {}
        for module in lookup(self.system, modalias):
            if module.name in found:  # several of its aliases match
                continue
            foreseen = foresee_match(self.system, self.rules, module)
            state = state_of(self.system, module, module.name, self.loaded)
            by = foreseen.by if foreseen.outcome == DENIED else None
            found[module.name] = DeviceCandidate(module.name, state, by)
        return tuple(found.values())
