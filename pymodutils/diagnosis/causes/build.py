# SPDX-License-Identifier: LGPL-2.1-or-later
"""vermagic, symbol-version: the module was built for another kernel."""

from __future__ import annotations

from errno import EINVAL, ENOENT, ENOEXEC, ESRCH

from ...diagnostics import Evidence
from ...shellwords import command
from ...state.modulereading import MODULE_LAYOUT
from .case import FITS, IN_SOURCE, SAID, SHOWN, Case, Cause, logged
from .sentences import NO_VERSION, SYMBOL_VERSION, UNKNOWN_SYMBOL, VERMAGIC, said
from .signatures import reinstall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


def vermagic(case: Case) -> Iterator[Cause]:
    """The version magic of the module is not the kernel's."""
    file = case.file
    for sentence in said(case, VERMAGIC):
        has, wants = sentence.part("has"), sentence.part("wants")
        evidence = [Evidence(case.path, f"vermagic {has}")] if case.path else []
        yield Cause("vermagic", _text(has, wants), (*evidence, logged(sentence.text)), _rebuild(case), SAID)
    if file is None or not file.is_readable or not case.answers(ENOEXEC):
        return
    if file.vermagic is None:
        text = "the module has no version magic, which kernels refuse unless they are built to take it"
        yield Cause("vermagic", text, (Evidence(file.path, "no vermagic"),), _rebuild(case), FITS)
        return
    expected = case.sibling.vermagic if case.sibling else None
    if expected is None or case.sibling is None:
        if case.is_live and case.release and file.vermagic.split()[:1] != [case.release]:
            evidence = [Evidence(file.path, f"vermagic {file.vermagic}"), Evidence("uname -r", case.release)]
            # Of a module with versions of symbols, a kernel that has such versions does not compare the release.
            strength = FITS if file.versions else SHOWN
            yield Cause("vermagic", _text(file.vermagic, case.release), tuple(evidence), _rebuild(case), strength)
    elif not _same_magic(file.vermagic, expected, has_versions=bool(file.versions)):
        evidence = [Evidence(file.path, f"vermagic {file.vermagic}"),
                    Evidence(case.sibling.path, f"vermagic {expected}")]  # fmt: skip
        yield Cause("vermagic", _text(file.vermagic, expected), tuple(evidence), _rebuild(case))


def _same_magic(has: str, wants: str, *, has_versions: bool) -> bool:
    """Compare as the kernel does: for a module with symbol versions, the release itself does not count."""
    if has_versions:
        return has.partition(" ")[2].rstrip() == wants.partition(" ")[2].rstrip()
    return has.rstrip() == wants.rstrip()


def _text(has: str, wants: str) -> str:
    built, runs = has.partition(" ")[0], wants.partition(" ")[0]
    if built != runs:
        return f"built for {built or 'no release'}, and this kernel is {runs} (vermagic)"
    mine, theirs = has.split()[1:], wants.split()[1:]
    lacks = [word for word in theirs if word not in mine]
    more = [word for word in mine if word not in theirs]
    parts = [f"without {' '.join(lacks)}"] * bool(lacks) + [f"with {' '.join(more)}"] * bool(more)
    return f"built for another configuration of {runs}: {', '.join(parts) or 'other options'} (vermagic)"


def _rebuild(case: Case) -> tuple[str, ...]:
    known = reinstall(case)
    if known:
        return known
    if "/dkms/" in (case.path or "") and case.has("dkms"):
        return (command("dkms autoinstall -k", case.release),)
    return (f"{command('make -C', f'/lib/modules/{case.release}/build')}{IN_SOURCE}",)


def symbol_version(case: Case) -> Iterator[Cause]:
    """The versions (CRCs) of symbols that the module was built with are not those that there are."""
    # Of the kernel's own structures the loader looks at the version first of all, with an answer of its own.
    layout = case.errno in (ENOEXEC, ESRCH)
    differ = [sentence for sentence in said(case, SYMBOL_VERSION)
              if (sentence.part("symbol") == MODULE_LAYOUT) is layout or case.errno == ESRCH]  # fmt: skip
    if case.errno == ENOENT and case.is_refusal:
        # The answer is that of the last symbol that was looked for: others may have been of another version.
        unknown = {sentence.part("symbol") for sentence in said(case, UNKNOWN_SYMBOL)}
        differ = [sentence for sentence in differ if sentence.part("symbol") in unknown]
    if differ:
        symbols = [sentence.part("symbol") for sentence in differ]
        yield Cause("symbol-version", _versions_text(symbols), tuple(logged(sentence.text) for sentence in differ[:3]),
                    _rebuild(case), SAID)  # fmt: skip
    lacking = said(case, NO_VERSION)
    if lacking and {sentence.part("symbol") for sentence in said(case, UNKNOWN_SYMBOL)} & {
        sentence.part("symbol") for sentence in lacking
    }:
        text = f"built without a version of {lacking[0].part('symbol')}, which this kernel wants"
        evidence = tuple(logged(sentence.text) for sentence in lacking[:3])
        yield Cause("symbol-version", text, evidence, _rebuild(case), SAID)
    if case.answers(ENOEXEC, EINVAL, ESRCH):
        yield from _shown_versions(case)


def _shown_versions(case: Case) -> Iterator[Cause]:
    """Explain by versions of symbols that differ between files, whatever the log says."""
    file, sibling = case.file, case.sibling
    if file is None or not file.is_readable:
        return
    mine = file.layout_version
    theirs = sibling.layout_version if sibling else None
    if sibling and mine is not None and theirs is not None and mine != theirs and case.answers(ENOEXEC, ESRCH):
        evidence = (Evidence(file.path, f"{MODULE_LAYOUT} 0x{mine:08x}"),
                    Evidence(sibling.path, f"{MODULE_LAYOUT} 0x{theirs:08x}"))  # fmt: skip
        yield Cause("symbol-version", _versions_text([MODULE_LAYOUT]), evidence, _rebuild(case), SHOWN)
    if not case.answers(EINVAL):
        return
    versions = {version.name: version.crc for version in file.versions}
    for symbol in case.symbols:
        crc = versions.get(symbol.name)
        if crc is not None and symbol.crc is not None and crc != symbol.crc and symbol.providers:
            owner = symbol.providers[0].name
            evidence = (Evidence(file.path, f"{symbol.name} 0x{crc:08x}"),
                        Evidence(f"module {owner}", f"{symbol.name} 0x{symbol.crc:08x}"))  # fmt: skip
            yield Cause("symbol-version", _versions_text([symbol.name]), evidence, _rebuild(case), SHOWN)


def _versions_text(symbols: list[str]) -> str:
    if MODULE_LAYOUT in symbols:
        return "built for a kernel whose own structures are laid out otherwise (version of module_layout)"
    names = ", ".join(symbols[:3])
    return f"built against another version of {names}{' and others' if len(symbols) > 3 else ''}"
