"""A plan is data: a list of steps, which `-n`, `-D`, `-v`, JSON and execution all render."""

from __future__ import annotations

from ..records import Record

INSERT, BUILTIN, COMMAND, SKIP = "insert", "builtin", "command", "skip"
REMOVE, REMOVE_IF_UNUSED = "remove", "remove-if-unused"

REQUEST, DEPENDENCY, HOLDER = "request", "dependency", "holder"
SOFTDEP_PRE, SOFTDEP_POST = "softdep pre", "softdep post"

# Reasons for doing nothing about a module.
ALREADY, BLACKLISTED = "already in the kernel", "blacklisted"
NOT_LOADED, IS_BUILTIN, IN_USE = "not in the kernel", "part of the kernel", "in use"
# Reasons that tell that something is missing; the module's own absence may also be that of an INSERT step.
NO_SUCH_MODULE, NOT_FOUND, BAD_NAME = "no such module", "not found", "unmatched bracket"
FILE_MISSING = "file of a dependency is missing"
MISSING = (NO_SUCH_MODULE, NOT_FOUND, BAD_NAME, FILE_MISSING)


class Step(Record):
    """One thing to do.

    `action` is one of the constants above; `module` the name and `alias` what it was found by; `path` its file, None
    when it has none; `options` its parameters by the configuration and `parameters` those of the request; `command` the
    shell command of a `command` step, as configured. `why` it is in the plan, `origin` the file and line (or index)
    that put it there, `reason` why just this action.
    A failure of a step that is not `required` is ignored. `after` names the modules that must be done with before.
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


class Request(Record):
    """What is wanted of a plan, whatever the module.

    `parameters` go to the asked-for module; `ignore_loaded` plans as if nothing were in the kernel (`-D`);
    `ignore_commands` is `-i`, `use_blacklist` `-b`, `remove_holders` `--remove-holders`; `wait` skips the in-use check;
    with `first_time` a module that is gone already counts as not removed.
    """

    parameters: str = ""
    ignore_loaded: bool = False
    ignore_commands: bool = False
    use_blacklist: bool = False
    remove_holders: bool = False
    wait: bool = False
    first_time: bool = False


def step_line(step: Step) -> str | None:
    """The step as `-n`, `-D` and `-v` show it; None for one that shows nothing."""
    if step.action == INSERT:
        return f"insmod {step.path} {step.arguments}" if step.path else None
    if step.action == BUILTIN:
        return f"builtin {step.module}"
    if step.action == COMMAND:
        # An install command is followed by the module's options, a remove command by nothing.
        return f"install {step.command} {step.arguments}"
    if step.action in (REMOVE, REMOVE_IF_UNUSED):
        return f"rmmod {step.module}" if step.command is None else f"remove {step.command}"
    return None
