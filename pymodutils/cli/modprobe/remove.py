"""modprobe -r: remove modules with all that only they needed, or show how (-n)."""

from __future__ import annotations

from ...errors import Error
from ..options import has_matched_brackets

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...planning.lookup import Match
    from . import ModprobeOptions, Output
    from .execution import Execution


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
        return output.reporter.not_found(operand, context) if has_matched_brackets(operand) else 1
    for target in targets:
        gone = _carry_out(target, execution) if execution else _foresee(operand, target, context, options, output)
        if not gone:
            return 1
    return 0


def _carry_out(target: Match, execution: Execution) -> bool:
    """Remove one module; tell whether it is gone. What goes wrong is reported step by step."""
    try:
        execution.unload(target)
    except Error:
        return False
    return True


def _foresee(operand: str, target: Match, context: Context, options: ModprobeOptions, output: Output) -> bool:
    """Show the steps; tell whether the module would be gone."""
    plan = context.plan_unload(
        target,
        holders=options.remove_holders,
        ignore_loaded=options.show_depends,
        ignore_commands=options.ignore_commands,
        waits=options.wait > 0,
        first_time=options.first_time,
        follow=False,
    )
    output.reporter.planned(operand, plan)
    for step in plan.steps:
        line = step.line()
        if line is None:
            output.reporter.left_alone(step)
        else:
            output.lines([line])
    return plan.met
