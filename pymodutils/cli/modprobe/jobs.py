# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -a -j N: loading the modules of several operands at the same time."""

from __future__ import annotations

from ...errors import Error
from .execution import Execution
from .load import find, load_operand, plan_for

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...context import Context
    from ...planning.plan import Plan
    from .options import ModprobeOptions
    from .output import Output


def load_side_by_side(operands: Sequence[str], context: Context, options: ModprobeOptions, output: Output) -> int:
    """Load all operands as one after the other would; return the status."""
    execution = Execution(context, options, output.reporter)
    statuses: list[int] = []
    while len(statuses) < len(operands):
        batch, plans = _batch(operands[len(statuses) :], context, options)
        with context.prefetch(
            plans,
            options.jobs,
            ignore_modversions=options.force or options.force_modversion,
            ignore_vermagic=options.force or options.force_vermagic,
        ):
            statuses += [load_operand(operand, "", context, options, output, execution) for operand in batch]
    return max(statuses)


def _batch(operands: Sequence[str], context: Context, options: ModprobeOptions) -> tuple[Sequence[str], list[Plan]]:
    """Return the first operands, as many as there are before one that runs a command, and what to load ahead of them.

    What a command does depends on what is loaded, and what is planned after it on what it did. So an operand that runs
    one makes a batch alone, and nothing is loaded ahead of it.
    """
    plans: list[Plan] = []
    for number, operand in enumerate(operands):
        more = _plans(operand, context, options)
        if any(step.action == "command" for plan in more for step in plan.steps):
            return operands[: max(number, 1)], plans
        plans += more
    return operands, plans


def _plans(operand: str, context: Context, options: ModprobeOptions) -> list[Plan]:
    """Return what an operand takes by now. What is wrong with it is reported when its turn comes."""
    try:
        return [plan_for(target, "", context, options) for target in find(operand, context, options)]
    except Error:
        return []
