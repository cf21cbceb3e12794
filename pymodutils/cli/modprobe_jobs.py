"""modprobe -a -j N: loading the modules of several operands at the same time."""

from __future__ import annotations

from ..errors import Error
from ..planning.plan import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..planning.plan import Plan
    from .modprobe import Session


def insert_all(session: Session, operands: Sequence[str], jobs: int) -> list[int]:
    """Load all operands as one after the other would; return the status of each."""
    flags = session.flags
    statuses: list[int] = []
    while len(statuses) < len(operands):
        batch, plans = _batch(session, operands[len(statuses) :])
        with session.context.prefetch(
            plans,
            jobs,
            ignore_modversions=bool(flags & {"force", "force-modversion"}),
            ignore_vermagic=bool(flags & {"force", "force-vermagic"}),
        ):
            statuses += [session.insert(operand, "") for operand in batch]
    return statuses


def _batch(session: Session, operands: Sequence[str]) -> tuple[Sequence[str], list[Plan]]:
    """Return the first operands, as many as there are before one that runs a command, and what to load ahead of them.

    What a command does depends on what is loaded, and what is planned after it on what it did. So an operand that runs
    one makes a batch alone, and nothing is loaded ahead of it.
    """
    plans: list[Plan] = []
    for number, operand in enumerate(operands):
        more = _plans(session, operand)
        if any(step.action == COMMAND for plan in more for step in plan.steps):
            return operands[: max(number, 1)], plans
        plans += more
    return operands, plans


def _plans(session: Session, operand: str) -> list[Plan]:
    """Return what an operand takes by now. What is wrong with it will be told when its turn comes."""
    try:
        return [session.plan(target) for target in session.find(operand)]
    except Error:
        return []
