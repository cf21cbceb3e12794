# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unload modules and load them again; whatever fails, bring the old state back."""

from __future__ import annotations

import errno

from ..diagnosis.reload import COMPARE, LOAD, UNLOAD, Member, ReloadStep, differences
from ..diagnostics import ERROR
from ..errors import Error, InsertError, KernelError, RemoveError
from ..observer import Observer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..diagnostics import Diagnostic
    from ..state.live import LiveKernel
    from .executor import Loader

_REFUSES_PARAMETERS = (errno.EINVAL, errno.ERANGE, errno.ENOENT, errno.ENODEV)
"""What loading says when a module does not take a value that it showed itself."""

MOST_TRIES = 3
"""For modules that come back by themselves: udev loads them as soon as their devices are there."""


class DiffersError(Error):
    """Parameters have other values after loading than they are to have; `differences` says which."""

    def __init__(self, found: Sequence[Diagnostic]) -> None:
        parts = [f"{one.module}.{one.subject} {one.text}" for one in found]
        super().__init__(f"has other values than before: {'; '.join(parts)}", module=found[0].module)
        self.differences: tuple[Diagnostic, ...] = tuple(found)


class Reloading:
    """Reloads `members`, in the order in which they are loaded; the first is the one asked for, with `new` parameters.

    `steps` has what was done, in order, also in vain. `warnings` has differences that are none of ours to mend.
    """

    def __init__(
        self,
        kernel: Loader,
        live: LiveKernel,
        members: Sequence[Member],
        new: Mapping[str, str],
        observer: Observer | None = None,
    ) -> None:
        self.kernel = kernel
        self.live = live
        self.members = members
        self.new = new
        self.observer: Observer = observer or Observer()
        self.steps: list[ReloadStep] = []
        self.warnings: list[Diagnostic] = []

    def run(self) -> None:
        """Unload all, load all, and compare. Raises what failed, and brings nothing back."""
        for member in reversed(self.members):
            self._do(ReloadStep(UNLOAD, member.name), member)
        for member in self.members:
            self._do(ReloadStep(LOAD, member.name, member.shown(self._new_of(member))), member)
        for member in self.members:
            self._do(ReloadStep(COMPARE, member.name), member)

    def planned(self) -> list[ReloadStep]:
        """Return the steps of `run`, none done."""
        return [
            *(ReloadStep(UNLOAD, member.name) for member in reversed(self.members)),
            *(ReloadStep(LOAD, member.name, member.shown(self._new_of(member))) for member in self.members),
            *(ReloadStep(COMPARE, member.name) for member in self.members),
        ]

    def restore(self) -> None:
        """Bring back what was there before: modules, and their parameters. Raises what cannot be brought back.

        What is in place already stays as it is.
        """
        wrong = self._with_wrong_values()
        for member in reversed(self.members):
            if member.name in wrong:
                self._do(ReloadStep(UNLOAD, member.name, undo=True), member)
        missing = [member for member in self.members if self.live.state(member.name) is None]
        for member in missing:
            self._do(ReloadStep(LOAD, member.name, member.shown(), undo=True), member)
        for member in missing:
            self._do(ReloadStep(COMPARE, member.name, undo=True), member)

    def _new_of(self, member: Member) -> Mapping[str, str]:
        return self.new if member is self.members[0] else {}

    def _with_wrong_values(self) -> set[str]:
        """Return the modules that have other values than before, and those that need them: they have to go first."""
        found: set[str] = set()
        for member in self.members:
            if self.live.state(member.name) is not None:
                needed = [name for name in found if member.name in self.live.holders(name)]
                values = self.live.parameters(member.name)
                if needed or any(one.severity == ERROR for one in differences(member, values)):
                    found.add(member.name)
        return found

    def _do(self, step: ReloadStep, member: Member) -> None:
        """Carry out a step, and note it. Raises what failed."""
        self.observer.step_started(step)
        new = {} if step.undo else self._new_of(member)
        try:
            if step.action == UNLOAD:
                self._unload(member)
            elif step.action == LOAD:
                self._load(member, new)
            else:
                self._compare(member, new)
        except Error as error:
            self.steps.append(step.replace(error=str(error)))
            self.observer.step_done(step, error)
            raise
        self.steps.append(step.replace(done=True))
        self.observer.step_done(step, None)

    def _unload(self, member: Member) -> None:
        try:
            self.kernel.remove(member.name)
        except RemoveError as error:
            if error.errno != errno.ENOENT:  # else somebody else was quicker
                raise

    def _load(self, member: Member, new: Mapping[str, str]) -> None:
        try:
            self._insert(member, member.arguments(new))
        except KernelError as error:
            if not member.tried or error.errno not in _REFUSES_PARAMETERS:
                raise
            self._insert(member, member.arguments(new, with_tried=False))

    def _insert(self, member: Member, arguments: str) -> None:
        for _ in range(MOST_TRIES):
            try:
                return self.kernel.insert(member.path, arguments)
            except InsertError as error:
                if error.errno != errno.EEXIST:
                    raise
            self._unload(member)  # somebody else has loaded it, with other parameters
        return self.kernel.insert(member.path, arguments)

    def _compare(self, member: Member, new: Mapping[str, str]) -> None:
        found = differences(member, self.live.parameters(member.name), new)
        wrong = [one for one in found if one.severity == ERROR]
        self.warnings += [one for one in found if one.severity != ERROR]
        if wrong:
            raise DiffersError(wrong)


def values_of(live: LiveKernel, members: Iterable[Member]) -> dict[str, dict[str, str | None]]:
    """Return the parameters that modules have now, by module and name; none of a module that is not loaded."""
    return {member.name: live.parameters(member.name) for member in members if live.state(member.name) is not None}
