"""modprobe -r: remove modules with all that only they needed."""

from __future__ import annotations

from ..errors import NameSyntaxError
from ..planning.lookup import lookup
from ..planning.removal import foreseen, plan_removal
from ..planning.steps import BAD_NAME, HOLDER, IN_USE, IS_BUILTIN, NOT_LOADED, REQUEST, SKIP, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..planning.lookup import Found
    from ..planning.removal import Steps
    from ..planning.steps import Step
    from .modprobe import Session


def remove(session: Session, operand: str) -> int:
    """Remove every module that an operand stands for; the first failure ends it."""
    return _Removal(session).run(operand)


class _Removal:
    def __init__(self, session: Session) -> None:
        self.session = session

    def run(self, operand: str) -> int:
        session = self.session
        try:
            targets = lookup(session.world, operand)
        except NameSyntaxError:
            return 1
        if not targets:
            return session.unknown(operand, f"Module {operand} not found.")
        for target in targets:
            steps = plan_removal(session.world, target, self.request())
            if session.dry:
                gone = self.foresee(operand, target, steps)
            else:
                gone = session.actor().runner().removal(steps, self.refuse)
            if not gone:
                return 1
        return 0

    def request(self) -> Request:
        flags = self.session.flags
        return Request(
            ignore_loaded="show-depends" in flags,
            ignore_commands="ignore-commands" in flags,
            remove_holders="remove-holders" in flags,
            wait=self.session.settings.wait > 0,
            first_time="first-time" in flags,
        )

    def foresee(self, operand: str, target: Found, steps: Steps) -> bool:
        """Show the steps; whether the module would be gone."""
        session = self.session
        found, gone = foreseen(steps)
        if session.plans:
            session.plans.add(operand, target, found)
        for step in found:
            if step.action == SKIP:
                self.refuse(step)
            else:
                session.show_steps([step])
        return gone

    def refuse(self, step: Step) -> None:
        """Say why nothing is done about a module."""
        session = self.session
        if step.reason == BAD_NAME:
            session.report_bad_names([step])
        elif step.reason == IS_BUILTIN and step.why == REQUEST:
            session.fatal(f"Module {step.module} is builtin.")
        elif step.reason == IN_USE:
            session.fatal(f"Module {step.module} is in use.")
        elif step.reason == NOT_LOADED and step.why != HOLDER and "first-time" in session.flags:
            session.fatal(f"Module {step.module} is not in kernel.")
