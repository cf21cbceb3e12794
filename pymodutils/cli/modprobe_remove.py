"""modprobe -r: remove modules with all that only they needed."""

from __future__ import annotations

from ..errors import Error
from ..planning.plan import SKIP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..planning.lookup import Match
    from .modprobe import Session


def remove(session: Session, operand: str) -> int:
    """Remove every module that an operand stands for; the first failure ends it."""
    # kmod removes by name alone, never by a path.
    targets = [] if operand.startswith(("/", "./")) else session.context.lookup(operand)
    if not targets:
        if "[" in operand or "]" in operand:
            return _bad_name(session, operand)
        return session.unknown(operand, f"Module {operand} not found.")
    for target in targets:
        gone = _foresee(session, operand, target) if session.dry else _carry_out(session, target)
        if not gone:
            return 1
    return 0


def _bad_name(session: Session, operand: str) -> int:
    """Tell nothing of an operand with unmatched brackets, as kmod does; return the status."""
    from ..errors import NameSyntaxError
    from ..names import normalize_alias

    try:
        normalize_alias(operand)
    except NameSyntaxError:
        return 1
    return session.unknown(operand, f"Module {operand} not found.")


def _carry_out(session: Session, target: Match) -> bool:
    """Remove one module; tell whether it is gone. The reporter says what went wrong."""
    flags = session.flags
    try:
        session.context.unload(
            target,
            holders="remove-holders" in flags,
            wait=session.settings.wait / 1000,
            first_time="first-time" in flags,
            force="force" in flags,
            ignore_commands="ignore-commands" in flags,
            environment=session.environment(),
            observer=session.reporter(),
        )
    except Error:
        return False
    return True


def _foresee(session: Session, operand: str, target: Match) -> bool:
    """Show the steps; tell whether the module would be gone."""
    flags = session.flags
    plan = session.context.plan_unload(
        target,
        holders="remove-holders" in flags,
        ignore_loaded="show-depends" in flags,
        ignore_commands="ignore-commands" in flags,
        waits=session.settings.wait > 0,
        first_time="first-time" in flags,
    )
    if session.plans:
        session.plans.add(operand, plan)
    for step in plan.steps:
        line = step.line()
        if step.action == SKIP:
            session.reporter().refuse(step)
        elif line is not None and not session.plans:
            session.console.write(f"{line}\n")
    return plan.met
