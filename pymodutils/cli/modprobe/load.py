# SPDX-License-Identifier: LGPL-2.1-or-later
"""modprobe loads modules, or shows how it would (-n, -D, -R)."""

from __future__ import annotations

import errno

from ...errors import Error, FileError, InsertError

BAD_NAME = "unmatched bracket"
"""Reason of a step that stands for a softdep whose name cannot be one."""

MANY = 64
"""From so many operands on, showing how they would be loaded is worth more than one process."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...context import Context
    from ...planning.lookup import Match
    from ...planning.plan import Plan
    from .execution import Execution
    from .options import ModprobeOptions
    from .output import Output


def load(operands: list[str], context: Context, options: ModprobeOptions, output: Output) -> int:
    """Load the first operand with the others as parameters, or all operands (-a); return the status."""
    execution = None
    if not options.only_shows:
        from .execution import Execution

        execution = Execution(context, options, output.reporter)
    if options.all and options.only_shows and not options.json and len(operands) >= MANY:
        from ..batches import answer_all

        context.begin_batch()
        return answer_all(
            operands, lambda operand: load_operand(operand, "", context, options, output, None), output.console
        )
    if options.all:
        return max([load_operand(operand, "", context, options, output, execution) for operand in operands])
    parameters = ""
    if len(operands) > 1:
        from ...formats.parameters import join_parameters

        parameters = join_parameters(operands[1:])
    return load_operand(operands[0], parameters, context, options, output, execution)


def load_operand(
    operand: str,
    parameters: str,
    context: Context,
    options: ModprobeOptions,
    output: Output,
    execution: Execution | None,
) -> int:
    """Load every module that an operand stands for, or show how without `execution`; return the last one's status."""
    try:
        targets = find(operand, context, options)
    except FileError as error:
        return output.reporter.no_such_file(operand, error)
    if not targets:
        return output.reporter.not_found(operand, context)
    if options.show_alias:
        output.lines(target.name for target in targets)
        if options.json:
            output.reporter.found(operand, targets)
        return 0
    status = 0
    for target in targets:
        try:
            plan = plan_for(target, parameters, context, options)
            status = _load_plan(operand, plan, options, output, execution)
        except Error as error:
            status = output.reporter.not_loaded(operand, target, error, parameters)
            continue
        if execution and output.context:
            output.remark(target, plan)
    return status


def find(operand: str, context: Context, options: ModprobeOptions) -> list[Match]:
    """Return the modules that an operand stands for. Raises `FileError` for a path; the kernel asks for none."""
    if options.by_kernel and operand.startswith(("/", "./")):
        return []
    return context.lookup(operand)


def plan_for(target: Match, parameters: str, context: Context, options: ModprobeOptions) -> Plan:
    """Return the plan for one module as the options want it."""
    return context.plan_load(
        target,
        parameters,
        ignore_loaded=options.show_depends,
        ignore_commands=options.ignore_commands,
        use_blacklist=options.use_blacklist,
    )


def load_planned(operand: str, plan: Plan, options: ModprobeOptions, output: Output, execution: Execution) -> int:
    """Carry out the plan for the one module that an operand stands for; return the status."""
    try:
        return _load_plan(operand, plan, options, output, execution)
    except Error as error:
        return output.reporter.not_loaded(operand, plan.targets[0], error)


def _load_plan(operand: str, plan: Plan, options: ModprobeOptions, output: Output, execution: Execution | None) -> int:
    """Show or carry out the plan for one module; return the status. Raises `Error`."""
    (part,) = plan.parts
    if options.json or BAD_NAME in [step.reason for step in part.steps]:
        output.reporter.planned(operand, plan)
    gone = part.impossible
    if gone:
        raise FileError(gone.reason, path=gone.path, module=gone.module, errno=errno.ENOENT)
    if execution:
        execution.load(plan)
    elif options.first_time and _is_loaded(plan):
        raise InsertError("already in the kernel", module=plan.targets[0].name, errno=errno.EEXIST)
    else:
        output.lines(plan.lines())
    return 0


def _is_loaded(plan: Plan) -> bool:
    """Tell whether there is nothing to do since the module is in the kernel."""
    last = plan.steps[-1]
    return last.asked_for and last.reason == "already in the kernel"
