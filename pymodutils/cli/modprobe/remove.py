# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe -r: remove modules with all that only they needed, or show how (-n)."""

from __future__ import annotations

from ...errors import Error
from ...names import has_matched_brackets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...planning.lookup import Match
    from ...planning.plan import Plan
    from .execution import Execution
    from .options import ModprobeOptions
    from .output import Output


def remove(operands: list[str], context: Context, options: ModprobeOptions, output: Output) -> int:
    """Remove all operands, and return the status; a failure does not keep the next from being tried."""
    execution = None
    if not options.only_shows:
        from .execution import Execution

        execution = Execution(context, options, output.reporter)
    return max([_remove_operand(operand, context, options, output, execution) for operand in operands])


def _remove_operand(
    operand: str, context: Context, options: ModprobeOptions, output: Output, execution: Execution | None
) -> int:
    """Remove every module that an operand stands for; the first failure ends it. Returns the status."""
    # kmod removes by name alone, never by a path.
    targets = [] if operand.startswith(("/", "./")) else context.lookup(operand)
    if not targets:
        # kmod says nothing of what cannot be a name.
        if not has_matched_brackets(operand):
            return output.reporter.no_name(operand)
        return output.reporter.not_found(operand, context)
    for target in targets:
        gone = _remove_target(operand, target, context, options, output, execution)
        if not gone:
            return 1
    return 0


def _remove_target(
    operand: str,
    target: Match,
    context: Context,
    options: ModprobeOptions,
    output: Output,
    execution: Execution | None,
) -> bool:
    """Remove one module, or show how; tell whether it is, or would be, gone."""
    if options.json or not execution:
        plan = plan_for(target, context, options)
        output.reporter.planned(operand, plan)
        if not execution:
            _show(plan, output)
            return plan.met
    try:
        execution.unload(target)
    except Error:  # reported step by step
        return False
    return True


def plan_for(target: Match, context: Context, options: ModprobeOptions) -> Plan:
    """Return the plan for one module as the options want it."""
    return context.plan_unload(
        target,
        holders=options.remove_holders,
        ignore_loaded=options.show_depends,
        ignore_commands=options.ignore_commands,
        waits=options.wait > 0,
        first_time=options.first_time,
        follow=False,
    )


def _show(plan: Plan, output: Output) -> None:
    for step in plan.steps:
        line = step.line()
        if line is None:
            output.reporter.left_alone(step)
        else:
            output.lines([line])
