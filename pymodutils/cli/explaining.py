# SPDX-License-Identifier: LGPL-2.1-or-later
"""Explain a failure after a command's own messages. Imported only when there is something to explain."""

from __future__ import annotations

from ..context import Context
from .explanations import WIDTH, lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..diagnosis.causes.case import Explanation
    from ..errors import Error
    from ..planning.lookup import Match
    from ..roots import Roots
    from .console import Console


def explain_failure(
    error: Error,
    context: Context,
    console: Console,
    *,
    asked: str | None = None,
    parameters: str = "",
    action: str = "load",
) -> tuple[Explanation, ...]:
    """Print why something failed, as far as that is known; return the causes.

    `action` is what the command does with a module: `load`, `unload` or `describe`.
    """
    try:
        from ..verbs.explain import explain

        report = explain(
            context,
            error,
            asked=asked,
            parameters=parameters,
            action=action,
            kernel_log=console.log_position,
        )
    except Exception:  # no explanation is worth another message, and an initial file system may lack what explains
        return ()
    if console.explains_all or not all(map(_says_no_more, report.explanations)):
        for line in lines(report, asked):
            console.write_stderr_line(f"  {line}")
    return report.explanations


def _says_no_more(explanation: Explanation) -> bool:
    """Tell whether a cause only repeats kmod's message: that nothing is called so, with nothing to do about it."""
    return explanation.code == "not-found" and not explanation.next


def live_context(roots: Roots | None) -> Context:
    """Return the running system, for a command that has no context of its own."""
    return Context(roots, live=True, on_problem=lambda _problem: None)


def remark(context: Context, target: Match, parameters: str, console: Console) -> None:
    """Print in one line why a success changed nothing."""
    try:
        from ..verbs.explain import explain

        explanations = explain(context, target, parameters=parameters).explanations
    except Exception:
        return
    codes = ("denied", "refused-dependency", "blacklisted", "already-loaded")
    for explanation in [found for found in explanations if found.code in codes][:1]:
        places = [evidence.source for evidence in explanation.evidence if not evidence.source.startswith("/sys")]
        where = f" ({places[0]})" if places else ""
        console.write_stderr_line(f"  {'note:':<{WIDTH}}{explanation.text}{where}")


def remark_ignored(name: str, records: Sequence[bytes], console: Console) -> None:
    """Print in one line which parameters the kernel ignored, as records of its log say."""
    ignored = ignored_parameters(name, records)
    if ignored:
        known = "parameter" if len(ignored) == 1 else "parameters"
        text = f"{name} has no {known} {', '.join(ignored)}: the kernel ignored it"
        console.write_stderr_line(f"  {'note:':<{WIDTH}}{text}")


def ignored_parameters(name: str, records: Sequence[bytes]) -> list[str]:
    """Return the parameters of a module of which records of /dev/kmsg say that the kernel ignored them."""
    start = f";{name}: unknown parameter '"
    found = []
    for record in records:
        text = record.decode("utf-8", "surrogateescape").partition("\n")[0]
        _, match, rest = text.partition(start)
        if match and rest.endswith("' ignored"):
            found.append(rest.removesuffix("' ignored"))
    return list(dict.fromkeys(found))
