# SPDX-License-Identifier: LGPL-2.1-or-later
"""A plan is data: a list of steps, which `-n`, `-D`, `-v`, JSON and execution all render."""

from __future__ import annotations

from ..osparts import exists
from ..records import Record
from .lookup import BAD_NAME, NO_MATCH

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .lookup import Match

INSERT, BUILTIN, COMMAND, SKIP = "insert", "builtin", "command", "skip"
REMOVE, REMOVE_IF_UNUSED = "remove", "remove-if-unused"
"""Words of `Step.action`."""

REQUEST, DEPENDENCY, HOLDER = "request", "dependency", "holder"
SOFTDEP_PRE, SOFTDEP_POST = "softdep pre", "softdep post"
"""Words of `Step.why`."""

# Reasons for doing nothing about a module.
ALREADY, BLACKLISTED = "already in the kernel", "blacklisted"
NOT_LOADED, IS_BUILTIN, IN_USE = "not in the kernel", "part of the kernel", "in use"
INSTALL_LINE = "install line at "
"""How the reason begins for running a command in place of loading the module; the FILE:LINE of the rule follows."""
# Reasons that tell that something is missing; the module's own absence may also be that of an INSERT step.
NO_SUCH_MODULE = "no such module"
DEPENDENCY_FILE_MISSING, FILE_MISSING = "file of a dependency is missing", "file is missing"
_MISSING = (NO_SUCH_MODULE, NO_MATCH, BAD_NAME, DEPENDENCY_FILE_MISSING)


class Step(Record):
    """One thing to do.

    `action` is `insert`, `builtin`, `command`, `skip`, `remove` or `remove-if-unused`. `module` is the name and `alias`
    what it was found by. `path` is its file, None when it has none. `options` are its parameters by the configuration,
    `parameters` those of the request. `command` is the shell command of an install or remove rule, as configured. `why`
    is why the step is in the plan, `origin` the FILE:LINE or index that put it there, `reason` why it is just this
    action. A failure of a step that is not `required` does not end the work. `asked_for` marks the request's own
    module. `after` names the modules that must be done with before.
    """

    action: str
    module: str
    alias: str | None = None
    path: str | None = None
    options: str = ""
    parameters: str = ""
    command: str | None = None
    why: str = REQUEST
    origin: str | None = None
    reason: str | None = None
    required: bool = True
    asked_for: bool = False
    after: tuple[str, ...] = ()

    @property
    def arguments(self) -> str:
        """All parameters: those of the configuration, a space even if nothing follows it, those of the request."""
        return f"{self.options} {self.parameters}" if self.options else self.parameters

    def line(self) -> str | None:
        """Return the step as `modprobe -n`, `-D` and `-v` show it; None for one that they do not show."""
        if self.action == INSERT:
            return f"insmod {self.path} {self.arguments}" if self.path else None
        if self.action == BUILTIN:
            return f"builtin {self.module}"
        if self.action == COMMAND:
            # An install command is followed by the module's options, a remove command by nothing.
            return f"install {self.command} {self.arguments}"
        if self.action in (REMOVE, REMOVE_IF_UNUSED):
            return f"rmmod {self.module}" if self.command is None else f"remove {self.command}"
        return None


class PlanRequest(Record):
    """What a plan is to bring about, and how.

    `asked` is the name, alias or path as it was asked for. `removal` tells unloading from loading. `parameters` go to
    the module asked for. `ignore_loaded` plans as if nothing were in the kernel (modprobe's -D). `ignore_commands` is
    -i, `use_blacklist` is -b, `holders` is --remove-holders. `waits` plans the removal of a module in use, too.
    `first_time` counts a module that is gone already as not removed.
    """

    asked: str
    removal: bool = False
    parameters: str = ""
    ignore_loaded: bool = False
    ignore_commands: bool = False
    use_blacklist: bool = False
    holders: bool = False
    waits: bool = False
    first_time: bool = False


class Missing(Record):
    """Something that a plan would need and that is not there.

    `module` is its name, or what was looked for; `path` the file where known; `why`, `origin` and `required` are those
    of the step that wants it; `reason` says what is wrong.
    """

    module: str
    path: str | None
    why: str
    origin: str | None
    required: bool
    reason: str


class TargetPlan(Record):
    """The plan for one of the modules that a request stands for, `target`.

    `target` is None when the request stands for nothing. `impossible` is what keeps the whole plan from being made.
    `met` tells whether the request is met when each step succeeds.
    """

    target: Match | None
    steps: tuple[Step, ...]
    met: bool = True
    impossible: Missing | None = None

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the plan would need and is not there, as the disk is now."""
        if self.impossible:
            return (self.impossible,)
        return tuple([missing for step in self.steps if (missing := _missing(step))])

    @property
    def loads_only_files(self) -> bool:
        """Whether each step loads a file, or stands for a module that is there already; False without steps."""
        return bool(self.steps) and all(
            step.path is not None if step.action == INSERT else step.reason in (ALREADY, IS_BUILTIN)
            for step in self.steps
        )


class Plan(Record):
    """What loading or unloading takes, decided and not yet done: the request, and a part for each of its modules."""

    request: PlanRequest
    parts: tuple[TargetPlan, ...]

    @property
    def steps(self) -> tuple[Step, ...]:
        """The steps of all parts, in order."""
        return tuple([step for part in self.parts for step in part.steps])

    @property
    def missing(self) -> tuple[Missing, ...]:
        """What the plan would need and is not there, as the disk is now."""
        return tuple([missing for part in self.parts for missing in part.missing])

    @property
    def targets(self) -> tuple[Match, ...]:
        """The modules that the request stands for."""
        return tuple([part.target for part in self.parts if part.target])

    @property
    def met(self) -> bool:
        """Whether the request is met when each step succeeds."""
        return all(part.met for part in self.parts)

    def lines(self) -> list[str]:
        """Return the steps as `modprobe -n` prints them."""
        return [line for step in self.steps if (line := step.line()) is not None]

    def documents(self) -> list[dict[str, Any]]:
        """Return the members of `plans` in the JSON document of `modprobe --json`."""
        return [
            {
                "operand": self.request.asked,
                "module": part.target and part.target.name,
                "alias": part.target and part.target.alias,
                "origin": part.target and part.target.origin,
                "steps": None if part.target is None else [step.as_dict() for step in part.steps],
                "missing": [missing.as_dict() for missing in part.missing],
                "met": part.met and not any(missing.required for missing in part.missing),
            }
            for part in self.parts
        ]

    def to_json(self) -> str:
        """Return the plan as the JSON document of `modprobe --json`, pymodutils-json(5)."""
        from ..json_text import render

        return render({"plans": self.documents()})


def no_such_target(request: PlanRequest) -> Plan:
    """Return the plan for a request that stands for nothing."""
    missing = Missing(request.asked, None, REQUEST, None, True, NO_MATCH)
    return Plan(request, (TargetPlan(None, (), False, missing),))


def _missing(step: Step) -> Missing | None:
    reason = step.reason if step.reason in _MISSING else None
    if step.action == INSERT and step.path and not exists(step.path):
        reason = FILE_MISSING
    if reason is None:
        return None
    return Missing(step.module, step.path, step.why, step.origin, step.required, reason)
