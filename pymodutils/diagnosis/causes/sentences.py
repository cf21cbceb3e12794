# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the kernel's module loader writes into its log when it refuses a module: the sentences, as a table.

Source: kernel/module/*.c, kernel/params.c, kernel/bpf/btf.c, security/lockdown/lockdown.c; Linux 6.1, 6.12 and 6.18.
"""

from __future__ import annotations

import re
from errno import (
    EACCES,
    EBADMSG,
    EBUSY,
    EINVAL,
    EKEYREJECTED,
    ENOENT,
    ENOEXEC,
    ENOKEY,
    ENOMEM,
    ENOPKG,
    EPERM,
    ESRCH,
)

from ...names import normalize_name
from ...records import Record
from ...state.kernellog import KernelLog
from .case import FITS, HEARD, SAID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from ...formats.kernellog import LogRecord
    from .case import Case

(
    VERMAGIC,
    SYMBOL_VERSION,
    NO_VERSION,
    UNKNOWN_SYMBOL,
    NAMESPACE,
    NOT_IMPORTABLE,
    PROPRIETARY,
    WAITED,
    DUPLICATE,
    BLACKLISTED,
    REJECTED,
    LOCKDOWN,
    BAD_SIGNATURE,
    BAD_VALUE,
    UNKNOWN_PARAMETER,
    DAMAGED,
    DECOMPRESSION,
    SECURITY_MODULE,
    MEMORY,
    KEY_NOT_FOUND,
) = (
    "vermagic",
    "symbol version",
    "no symbol version",
    "unknown symbol",
    "namespace",
    "not importable",
    "proprietary",
    "waited",
    "duplicate",
    "blacklisted",
    "rejected",
    "lockdown",
    "bad signature",
    "bad value",
    "unknown parameter",
    "damaged",
    "decompression",
    "security module",
    "memory",
    "key not found",
)
"""Words of `Sentence.kind`."""

ANY: tuple[int, ...] = ()


class Sentence(Record):
    """A sentence of the kernel: its kind, its form, and the errnos that the loader returns after it (ANY for all)."""

    kind: str
    form: str
    errnos: tuple[int, ...]


SENTENCES = (
    Sentence(VERMAGIC, r"(?P<module>\S+): version magic '(?P<has>[^']*)' should be '(?P<wants>[^']*)'", (ENOEXEC,)),
    Sentence(
        SYMBOL_VERSION,
        r"(?P<module>\S+): disagrees about version of symbol (?P<symbol>\S+)",
        (EINVAL, ENOEXEC, ESRCH, ENOENT),
    ),
    Sentence(NO_VERSION, r"(?P<module>\S+): no symbol version for (?P<symbol>\S+)", (EINVAL, ENOEXEC, ENOENT)),
    Sentence(
        UNKNOWN_SYMBOL,
        r"(?P<module>\S+): Unknown symbol (?P<symbol>\S+) \(err (?P<error>-?\d+)\)",
        (ENOENT, EINVAL, EBUSY, ENOMEM),
    ),
    Sentence(
        NAMESPACE,
        r"(?P<module>\S+): module uses symbol \(?(?P<symbol>[^)\s]+)\)? from namespace (?P<namespace>\S+), "
        r"but does not import it",
        (EINVAL, ENOENT),
    ),
    Sentence(
        NOT_IMPORTABLE,
        r"(?P<module>\S+): module tries to import module namespace: (?P<namespace>module:\S*)",
        (EPERM,),
    ),
    Sentence(
        PROPRIETARY,
        r"(?P<module>\S+): module using GPL-only symbols uses symbols? (?P<symbol>\S+) "
        r"from proprietary module (?P<owner>\S+?)\.?$",
        (ENOENT, EACCES, EINVAL),
    ),
    Sentence(WAITED, r"(?P<module>\S+): gave up waiting for init of module (?P<owner>\S+?)\.?$", (EBUSY,)),
    Sentence(
        DUPLICATE,
        r"(?P<module>\S+): exports duplicate symbol (?P<symbol>\S+) \(owned by (?P<owner>\S+)\)",
        (ENOEXEC,),
    ),
    Sentence(BLACKLISTED, r"Module (?P<module>\S+) is blacklisted", (EPERM,)),
    Sentence(
        REJECTED,
        r"Loading of (?P<what>unsigned module|module with unavailable key|module with unsupported crypto) is rejected",
        (EKEYREJECTED,),
    ),
    Sentence(LOCKDOWN, r"Lockdown: (?:.+: )?(?P<what>[^:]*module[^:]*) is restricted", (EPERM,)),
    Sentence(
        BAD_SIGNATURE,  # before Linux 5.4 with the name of the module, since then with the word `module` in its place
        r"(?:module|(?P<module>\S+)): "
        r"(?P<what>not signed with expected PKCS#7 message|PKCS#7 signature info has unexpected .*)",
        (EBADMSG, ENOPKG, EKEYREJECTED),
    ),
    Sentence(
        BAD_VALUE,
        r"(?P<module>\S+): `(?P<value>.*)' (?P<how>invalid|too large) for parameter `(?P<parameter>[^']*)'",
        ANY,
    ),
    Sentence(UNKNOWN_PARAMETER, r"(?P<module>\S+): unknown parameter '(?P<parameter>.*)' ignored", ANY),
    Sentence(DAMAGED, r"(?P<module>\S+): (?P<what>module has no symbols \(stripped\?\)|No module found in object)",
             (ENOEXEC,)),
    Sentence(DAMAGED, r"(?P<what>failed to validate module \[(?P<module>[^\]]+)\] BTF: -?\d+)", (EINVAL,)),
    Sentence(DAMAGED, r"(?P<module>\S+): (?P<what>module is marked as livepatch module, but .*)", (ENOEXEC,)),
    Sentence(DAMAGED, r"module (?P<module>\S+): (?P<what>.*\.gnu\.linkonce\.this_module section .*)", (ENOEXEC,)),
    Sentence(
        DAMAGED,
        r"(?:module: )?(?P<what>Invalid ELF (?:header|section).*|Invalid (?:module )?architecture.*|"
        r"Module len \d+ truncated.*)",
        (ENOEXEC,),
    ),
    Sentence(
        DAMAGED,  # x86 begins these with `module: `, arm64 with `module NAME: `
        r"(?=[Mm]odule|x86/)(?:[Mm]odules?: )?(?:module (?P<module>\S+): )?"
        r"(?P<what>.*(?:[Ii]nvalid relocation target|overflow in relocation|Unknown rela reloc|unsupported RELA).*)",
        (ENOEXEC,),
    ),
    Sentence(
        DAMAGED,  # arm, riscv, loongarch
        r"(?P<module>\S+): (?P<what>section \d+ reloc \d+ sym '.*': .*|[Uu]nknown relocation(?: type|:) \d+|"
        r"target [0-9a-f]{8,16} can not be addressed by .*|Unsupport relocation type \d+.*)",
        (ENOEXEC, EINVAL),
    ),
    Sentence(
        DECOMPRESSION,
        r"(?:module: )?(?P<what>decompression failed with status -?\d+|not an? \w+ compressed module|"
        r"unsupported compression.*)",
        (EINVAL, ENOEXEC),
    ),
    Sentence(SECURITY_MODULE, r"LoadPin: (?P<what>kernel-module.* (?:[a-z-]+-)?denied .*)", (EPERM,)),
    Sentence(
        SECURITY_MODULE,  # SELinux; `permissive=1` only tells what it would forbid
        r"(?!.* permissive=1)(?:.* )?(?P<what>avc:\s+denied\s+(?:\{[^}]*module_load[^}]*\}"
        r"|.*lockdown_reason=\"unsigned module loading\").*)",
        (EACCES, EPERM),
    ),
    Sentence(
        SECURITY_MODULE,  # IMA
        r"(?P<what>(?:audit: )?type=1800 .*op=\"?appraise_data\b.* res=0.*"
        r"|impossible to appraise a module without a file descriptor.*)",
        (EACCES,),
    ),
    Sentence(
        MEMORY,
        r"(?P<what>vmap allocation for size \d+ failed.*|(?:\S+: )?vmalloc(?: error: size|: allocation failure:) .*)",
        (ENOMEM,),
    ),
    Sentence(MEMORY, r"(?P<module>\S+): (?P<what>Could not allocate \d+ bytes percpu data)", (ENOMEM,)),
    Sentence(KEY_NOT_FOUND, r"Request for unknown module key '(?P<key>.*)' err -\d+", (ENOKEY, EKEYREJECTED)),
)  # fmt: skip
"""All sentences. They may stand behind nothing else: a module's own words are not the loader's."""

_KINDS = tuple({sentence.kind for sentence in SENTENCES})

MOMENT = 0.1
"""Seconds between two lines of one attempt, at most."""

_FORMS = [(sentence, re.compile(sentence.form)) for sentence in SENTENCES]


class Said(Record):
    """A sentence that the log has: its kind, the line, its parts by name, and how strong a cause it is (case.py)."""

    kind: str
    text: str
    parts: tuple[tuple[str, str], ...]
    strength: int

    def part(self, name: str) -> str:
        """Return a part of the sentence; empty when it has no such part."""
        return dict(self.parts).get(name, "")


def said(case: Case, *kinds: str) -> list[Said]:
    """Return the sentences of some kinds that the log has about the module, and that go with the kernel's answer."""
    found = list(_said(case, kinds))
    nameless = [record.seconds or 0 for record, sentence in found if not sentence.part("module")]
    # Of lines at different times nobody can tell which belongs to this attempt, but where all came after the call.
    is_one = case.log.is_since_call or not nameless or max(nameless) - min(nameless) <= MOMENT
    strength = HEARD if is_one else FITS
    known = dict.fromkeys(sentence for _, sentence in found)
    return [sentence if sentence.part("module") else sentence.replace(strength=strength) for sentence in known]


def told(case: Case, *kinds: str) -> list[Said]:
    """Return those of the sentences that surely belong to this attempt."""
    return [sentence for sentence in said(case, *kinds) if sentence.strength != FITS]


def _said(case: Case, kinds: tuple[str, ...]) -> Iterator[tuple[LogRecord, Said]]:
    for record in case.log.records:
        for sentence, form in _FORMS:
            found = form.match(record.text) if sentence.kind in kinds else None
            if found is None:
                continue
            parts = {name: text for name, text in found.groupdict().items() if text is not None}
            if "module" in parts and not case.calls_it(parts["module"]):
                continue
            if sentence.errnos and case.errno not in sentence.errnos:
                continue
            yield record, Said(sentence.kind, record.text, tuple(parts.items()), SAID)


def last_attempt(case: Case) -> KernelLog:
    """Return the log as far as it belongs to the last attempt that it tells of, where older ones may be in it as well.

    The loader writes all that it has to say of a module within a moment.
    """
    records = case.log.records
    said_at = [number for number, record in enumerate(records) if _is_about(case, record)]
    if not said_at:
        return case.log
    first = said_at[-1]
    while first and (records[first].seconds or 0) - (records[first - 1].seconds or 0) <= MOMENT:
        first -= 1
    return case.log.replace(records=records[first:])


def _is_about(case: Case, record: LogRecord) -> bool:
    return any(_said(case.replace(log=KernelLog((record,))), _KINDS))


def own_words(case: Case) -> list[str]:
    """Return what the module itself, or the driver in it, wrote into the log."""
    found: list[str] = []
    for record in case.log.records:
        name, colon, _ = record.text.partition(": ")
        driver = name.split(" ")[0]
        about = case.calls_it(driver) or case.calls_it(driver.partition("[")[0])
        if colon and about and record.text not in found and not _is_loaders(record.text):
            found.append(record.text)
    return found


def mentions(case: Case) -> list[str]:
    """Return the lines of the log that name the module, or begin with the first part of its name; not the loader's.

    Many drivers write under another name than that of their module: kvm_intel under `kvm`.
    """
    word = re.compile(rf"(?<![a-z0-9]){re.escape(case.module).replace('_', '[-_]')}(?![a-z0-9])", re.IGNORECASE)
    found: list[str] = []
    for record in case.log.records:
        prefix = normalize_name(record.text.partition(":")[0])
        if _is_loaders(record.text) or record.text in found:
            continue
        if word.search(record.text) or (prefix and case.module.startswith(f"{prefix}_")):
            found.append(record.text)
    return found


_HARMLESS = re.compile(
    r"\S+: (?:loading out-of-tree module|module verification failed|module license|loading module not compiled|"
    r"module is from the staging|loading test module|module is already loaded)"
)


def _is_loaders(text: str) -> bool:
    return bool(_HARMLESS.match(text)) or any(form.match(text) for _, form in _FORMS)
