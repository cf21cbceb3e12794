"""modprobe -a -j N: loading the modules of several operands at the same time."""

from __future__ import annotations

from ..effects.ahead import Ahead, LiveBehind
from ..errors import Error
from ..planning.insertion import plan_insertion
from ..planning.steps import COMMAND

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..planning.steps import Step
    from .modprobe import Session


def insert_all(session: Session, operands: Sequence[str], jobs: int) -> list[int]:
    """Load all operands as one after the other would; the status of each."""
    world = session.world
    actor = session.actor()
    ahead = Ahead(actor.kernel(), jobs, actor.manner(), world.dependencies)
    actor.act_through(ahead, world.replace(live=LiveBehind(session.roots, ahead)))
    statuses: list[int] = []
    try:
        while len(statuses) < len(operands):
            batch = _batch(session, operands[len(statuses) :], ahead)
            statuses += [session.insert(operand, "") for operand in batch]
            ahead.finish()
    finally:
        ahead.finish()
    return statuses


def _batch(session: Session, operands: Sequence[str], ahead: Ahead) -> Sequence[str]:
    """Begin to load the first operands, as many as there are before one that runs a command; that many.

    What a command does depends on what is loaded, and what is planned after it on what it did. So an operand that runs
    one makes a batch alone, and nothing is loaded ahead of it.
    """
    steps: list[Step] = []
    for number, operand in enumerate(operands):
        plan = _plan(session, operand)
        if any(step.action == COMMAND for step in plan):
            ahead.start(steps)
            return operands[: max(number, 1)]
        steps += plan
    ahead.start(steps)
    return operands


def _plan(session: Session, operand: str) -> list[Step]:
    """What an operand takes by now. What is wrong with it will be told when its turn comes."""
    steps: list[Step] = []
    try:
        for target in session.find(operand):
            steps += plan_insertion(session.world, target, session.request(""))
    except Error:
        pass
    return steps
