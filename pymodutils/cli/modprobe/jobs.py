# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -a -j N: loading the modules of several operands at the same time."""

from __future__ import annotations

from ...errors import Error
from .execution import Execution
from .load import find, load_operand, load_planned, plan_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ...context import Context
    from ...planning.plan import Plan
    from .options import ModprobeOptions
    from .output import Output


def load_side_by_side(operands: Sequence[str], context: Context, options: ModprobeOptions, output: Output) -> int:
    """Load all operands as one after the other would; return the status."""
    execution = Execution(context, options, output.reporter)
    statuses: list[int] = []
    while len(statuses) < len(operands):
        batch = _Batch(context, options)
        with context.prefetch(
            batch.plan(operands[len(statuses) :]),
            options.jobs,
            ignore_modversions=options.force or options.force_modversion,
            ignore_vermagic=options.force or options.force_vermagic,
        ):
            for operand, plans in batch.operands:
                if output.context is None and batch.still_holds(plans):
                    status = load_planned(operand, plans[0], options, output, execution)
                else:
                    status = load_operand(operand, "", context, options, output, execution)
                statuses.append(status)
    return max(statuses)


class _Batch:
    """The first of some operands, each with what it takes before any of them is loaded.

    There are as many as there are before one that runs a command. What a command does depends on what is loaded, and
    what is planned after it on what it did. So an operand that runs one makes a batch alone, and nothing is loaded
    ahead of it.
    """

    def __init__(self, context: Context, options: ModprobeOptions) -> None:
        self._context = context
        self._options = options
        self.operands: list[tuple[str, list[Plan]]] = []

    def plan(self, operands: Sequence[str]) -> Iterator[Plan]:
        """Take operands in, and yield what to load ahead."""
        for operand in operands:
            plans = self._plans(operand)
            runs_command = any(step.action == "command" for plan in plans for step in plan.steps)
            if runs_command and self.operands:
                return
            self.operands.append((operand, plans))
            if runs_command:
                return
            yield from plans

    def _plans(self, operand: str) -> list[Plan]:
        """Return what an operand takes by now. What is wrong with it is reported when its turn comes."""
        context, options = self._context, self._options
        try:
            return [plan_for(target, "", context, options) for target in find(operand, context, options)]
        except Error:
            return []

    def still_holds(self, plans: list[Plan]) -> bool:
        """Tell whether to carry out what was planned is the same as to plan the operand again when its turn has come.

        It is for one module that is still to be loaded, if all that it takes are files: those that have been loaded
        meanwhile are left out then.
        """
        if len(plans) != 1 or self._options.json or self._options.first_time:
            return False
        (part,) = plans[0].parts
        target = part.target
        if target is None or target.builtin or self._context.system.is_available(target.name):
            return False
        return part.loads_only_files
