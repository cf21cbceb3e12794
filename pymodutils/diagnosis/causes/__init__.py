# SPDX-License-Identifier: LGPL-2.1-or-later
"""Why the kernel, or modprobe, refuses: a table of causes, each a pure function over what was collected.

A function looks at a `Case` and yields what it finds, as `Cause`. It says nothing that the case does not show.
docs/explain.md has a section for each code.
"""

from __future__ import annotations

from ...records import Record
from .build import symbol_version, vermagic
from .case import FITS, NOBODY, Case, Cause, Explanation
from .files import damaged_file, decompression
from .initialization import init_failed, no_device, no_memory
from .lookup import not_found
from .parameters import bad_parameter, unknown_parameter
from .privilege import lockdown, modules_disabled, no_privilege
from .rules import blacklisted, denied, refused_dependency
from .signatures import bad_signature, unknown_key, unsigned
from .symbols import duplicate_symbol, unknown_symbol
from .use import already_loaded, in_use, permanent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class KnownCause(Record):
    """A code, what it means, and the function that recognizes it."""

    code: str
    meaning: str
    find: Callable[[Case], Iterator[Cause]]


CAUSES = (
    KnownCause("not-found", "there is no such module, alias or file", not_found),
    KnownCause("denied", "the policy of kmod deny keeps it out", denied),
    KnownCause("refused-dependency", "an install line of it, or of a dependency, loads nothing or fails",
               refused_dependency),
    KnownCause("blacklisted", "a blacklist line or module_blacklist= keeps it out", blacklisted),
    KnownCause("modules-disabled", "kernel.modules_disabled is set, or the kernel was built without modules",
               modules_disabled),
    KnownCause("no-privilege", "the process lacks a capability, or is filtered or contained", no_privilege),
    KnownCause("lockdown", "the kernel is locked down and takes only signed modules", lockdown),
    KnownCause("unsigned", "there is no signature, and the kernel wants one", unsigned),
    KnownCause("unknown-key", "it is signed by a key that the kernel does not know", unknown_key),
    KnownCause("bad-signature", "the signature does not fit the file", bad_signature),
    KnownCause("decompression", "the file cannot be decompressed", decompression),
    KnownCause("damaged-file", "the file is damaged, or no module for this machine", damaged_file),
    KnownCause("vermagic", "it was built for another kernel, by its version magic", vermagic),
    KnownCause("symbol-version", "it was built against other versions of symbols", symbol_version),
    KnownCause("unknown-symbol", "a symbol that it needs is not there for it", unknown_symbol),
    KnownCause("duplicate-symbol", "a symbol that it exports is there already", duplicate_symbol),
    KnownCause("bad-parameter", "a parameter does not take the value given", bad_parameter),
    KnownCause("unknown-parameter", "it has no such parameter", unknown_parameter),
    KnownCause("already-loaded", "the kernel has it already", already_loaded),
    KnownCause("no-memory", "the kernel has no memory, or no addresses, left for it", no_memory),
    KnownCause("no-device", "no device fits it, or another driver has the device", no_device),
    KnownCause("init-failed", "its init function gave up", init_failed),
    KnownCause("in-use", "something holds it", in_use),
    KnownCause("permanent", "it cannot be unloaded", permanent),
)  # fmt: skip
"""All causes, in the order in which explanations are shown."""


def explain_case(case: Case) -> tuple[Explanation, ...]:
    """Return the causes of a failure that the case supports best, or all that stands in the way of a request.

    Of a failure, what the kernel's log says goes before what files show, and that before what merely fits. Where two
    causes are left that nothing tells apart, neither is certain: the loader gives up at the first that it finds.
    """
    found = [(known.code, cause) for known in CAUSES for cause in known.find(case)]
    if case.refused_by != NOBODY and found:
        best = max(cause.strength for _, cause in found)
        found = [(code, cause) for code, cause in found if cause.strength == best]
    alone = _are_one({code for code, _ in found})
    explanations = [
        Explanation(
            module=cause.module or case.module,
            code=cause.code,
            certain=_is_certain(case, cause, alone=alone),
            errno=case.errno,
            text=cause.text,
            evidence=cause.evidence,
            next=cause.next,
            asked=case.asked,
        )
        for _, cause in found
    ]
    return tuple(dict.fromkeys(explanations))


_SAID_TOGETHER = frozenset({"symbol-version", "unknown-symbol"})
"""What the loader says of one attempt, in any order: it looks at all symbols before it gives up."""


def _are_one(codes: set[str]) -> bool:
    """Tell whether causes leave no room for one another."""
    return len(codes) == 1 or codes == _SAID_TOGETHER


def _is_certain(case: Case, cause: Cause, *, alone: bool) -> bool:
    return cause.strength != FITS and (alone or case.refused_by == NOBODY)
