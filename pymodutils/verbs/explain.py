# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod explain: why did that fail; or would it work, and what stands in the way?"""

from __future__ import annotations

import posix

from ..diagnosis.causes import explain_case
from ..diagnosis.causes.case import ACTIONS, LOAD, UNLOAD, Case, Explanation
from ..diagnosis.rules import knows_softdeps
from ..errors import Error, FileError, LiveKernelNotAskedError, NameSyntaxError
from ..formats.parameters import parameters_text
from ..names import has_module_extension, module_name, normalize_name
from ..osparts import absolute, is_file, is_path_like
from ..planning.lookup import FILE, MODULES_DEP, Match, lookup, match, match_file, names_file
from ..records import Record
from .collect import Collector
from .report import Report, as_diagnostic, for_same_system, head, unlisted, unlisted_before

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Mapping

    from ..context import Context
    from ..diagnostics import Diagnostic
    from ..state.system import System

    Name = str | os.PathLike[str] | Match


class ExplainedModule(Record):
    """A module that an answer is about: what was asked for, its name, its file and where it stands in the kernel.

    `state` is `live`, `coming`, `going` or `builtin`, None for a module that is not in the kernel, or if that is not
    known.
    """

    asked: str
    name: str
    path: str | None
    state: str | None


class ExplainReport(Report):
    """Why something failed, or what stands in the way of it.

    `log_read` tells whether the kernel's log was read, None where it had nothing to tell; `log_problem` says why it
    could not be: then the answer rests on files alone.
    """

    modules: tuple[ExplainedModule, ...]
    explanations: tuple[Explanation, ...]
    log_read: bool | None
    log_problem: str | None

    @property
    def is_clear(self) -> bool:
        """Whether nothing was found to explain a failure, or to stand in the way."""
        return not self.explanations


def explain(
    context: Context,
    what: Error | Name | Iterable[Name],
    *,
    parameters: str | Mapping[str, object] = "",
    action: str = LOAD,
    asked: str | None = None,
    kernel_log: int | None = None,
) -> ExplainReport:
    """Return why an error came about, or what stands in the way of loading modules; nothing is loaded.

    `what` is an error of this package, or names, aliases or paths of modules. By a path is meant insmod, which loads no
    dependencies. `action` says what was, or would be, done with the module: `load`, `unload`, or, of an error only,
    `describe`, as modinfo does. `parameters` are those of a load. `asked` is the operand of the request that failed,
    where that is another module than the error's. `kernel_log` is an open descriptor of /dev/kmsg that stands where the
    log ended before the call; without it, records are taken by their time. What cannot be found out is an error of the
    report. Raises `ValueError` for another action.
    """
    if action not in ACTIONS:
        raise ValueError(f"an action is one of {', '.join(ACTIONS)}, not {action!r}")
    collector = Collector(context, position=kernel_log)
    errors: list[Diagnostic] = []
    words = parameters_text(parameters)
    if isinstance(what, Error):
        case = collector.of_error(what, asked, action)
        cases = [case.replace(parameters=(words,) if words else ())] if case else []
    else:
        names = [what] if isinstance(what, (str, Match)) or is_path_like(what) else what
        cases = []
        for name in names:
            try:
                cases += _requests(collector, name, words, action)
            except Error as error:
                errors.append(as_diagnostic(error, _text(name)))
    explanations = dict.fromkeys(_about_it(context, found) for case in cases for found in explain_case(case))
    errors += collector.unread.values()
    for case in cases:
        if not knows_softdeps(context.tolerant_system, case.module):
            errors += unlisted(context.tolerant_system.tree)
    log = collector.log
    return ExplainReport(
        **head("explain", context, dict.fromkeys(errors)),
        modules=tuple(dict.fromkeys(_module(case) for case in cases if case.module)),
        explanations=tuple(explanations),
        log_read=None if log is None else log.problem is None,
        log_problem=log.problem if log else None,
    )


def _about_it(context: Context, found: Explanation) -> Explanation:
    steps = [for_same_system(context, command) for command in found.next]
    return found.replace(next=tuple([step for step in steps if step]))


def _module(case: Case) -> ExplainedModule:
    state = "builtin" if case.builtin and not case.state else case.state
    return ExplainedModule(case.asked, case.module, case.path, state)


def _requests(collector: Collector, name: Name, parameters: str, action: str) -> Iterator[Case]:
    """Yield the cases of a request that was not made yet. Raises `Error`."""
    context = collector.context
    system = context.tolerant_system.replace(tree=collector.tree)
    text = _text(name)
    if action == UNLOAD and not context.live.is_asked:
        raise LiveKernelNotAskedError("this is another system or release than the running one: nothing is unloaded")
    found = [name] if isinstance(name, Match) else _find(system, name)
    if action == UNLOAD:
        for module in found or [match(system, normalize_name(text), None, MODULES_DEP)]:
            yield collector.foreseen_removal(text, module.name)
        return
    for module in found[:1]:
        collector.unread.update((text, error) for error in unlisted_before(collector.tree, module.origin, text))
    if not found:
        yield from collector.foreseen(text, None, parameters)
    for module in found:
        yield from collector.foreseen(text, module, parameters)


def _find(system: System, name: str | os.PathLike[str]) -> list[Match]:
    """Return what a name stands for, modules that there are: as modprobe finds it, or the file, as insmod does."""
    text = posix.fspath(name)
    if text is not name or names_file(text) or (has_module_extension(text) and is_file(text)):
        path = absolute(text)
        try:
            return [match_file(system, path)]
        except FileError:  # which is what stands in the way
            return [Match(module_name(path), None, path, (), FILE)]
    try:
        return [module for module in lookup(system, text) if module.path or module.builtin]
    except NameSyntaxError:
        return []


def _text(name: Name) -> str:
    return (name.alias or name.name) if isinstance(name, Match) else posix.fspath(name)
