# SPDX-License-Identifier: LGPL-2.1-or-later
"""unknown-symbol, duplicate-symbol: who provides what the module needs, and who has what it exports."""

from __future__ import annotations

from errno import EBUSY, EINVAL, ENOENT, ENOEXEC, EPERM

from ...diagnostics import Evidence
from ...formats.namespaces import FOR_MODULES, is_for_module
from ...shellwords import command
from .case import FITS, SAID, SHOWN, Case, Cause, listed, logged
from .sentences import (
    DUPLICATE,
    NAMESPACE,
    NO_VERSION,
    NOT_IMPORTABLE,
    PROPRIETARY,
    SYMBOL_VERSION,
    UNKNOWN_SYMBOL,
    WAITED,
    said,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from .case import NeededSymbol, Provider
    from .sentences import Said

CODE = "unknown-symbol"


def unknown_symbol(case: Case) -> Iterator[Cause]:
    """A symbol that the module needs is not there for it."""
    for sentence in said(case, NAMESPACE):
        yield _not_imported(case, sentence)
    for sentence in said(case, NOT_IMPORTABLE):
        yield _imports_list(sentence.part("namespace"), logged(sentence.text), SAID)
    for sentence in said(case, PROPRIETARY):
        text = (f"it uses symbols for GPL modules only and {sentence.part('symbol')} of the proprietary module "
                f"{sentence.part('owner')}: not both")  # fmt: skip
        yield Cause(CODE, text, (logged(sentence.text),), strength=SAID)
    for sentence in said(case, WAITED):
        owner = sentence.part("owner")
        text = f"it needs symbols of {owner}, whose init function has not ended for 30 seconds"
        yield Cause(CODE, text, (logged(sentence.text),), (command("kmod status", owner),), SAID)
    explained = {sentence.part("symbol")
                 for sentence in said(case, NAMESPACE, PROPRIETARY, SYMBOL_VERSION, NO_VERSION)}  # fmt: skip
    lines = {sentence.part("symbol"): sentence.text for sentence in said(case, UNKNOWN_SYMBOL)}
    waits = said(case, WAITED)
    named = [symbol for symbol in lines if symbol not in explained]
    if named and case.is_refusal and not waits:
        yield from _unknown(case, named, lines, SAID)
    elif not lines and case.answers(ENOENT):
        missing = [symbol.name for symbol in case.symbols if _is_missing(case, symbol)]
        yield from _unknown(case, missing, {}, SHOWN)
        file = case.file
        if not missing and case.is_refusal and file is not None and file.is_readable and not file.is_gpl:
            text = f"a symbol that it needs may be for GPL modules only, and its licence is {file.license!r}"
            yield Cause(CODE, text, (Evidence(file.path, f"license {file.license}"),), (), FITS)
    if not lines and case.answers(EINVAL):
        yield from _namespaces(case)
    if case.file is not None and case.answers(EPERM):
        for namespace in case.file.imports:
            if namespace.startswith(FOR_MODULES):
                yield _imports_list(namespace, Evidence(case.file.path, f"import_ns={namespace}"), FITS)


def _is_missing(case: Case, symbol: NeededSymbol) -> bool:
    """Tell whether a symbol is surely not there for the module; when foreseen, modprobe loads its providers."""
    if case.is_foreseen and not case.by_path and symbol.providers:
        return False
    if symbol.gpl_only and case.file is not None and not case.file.is_gpl:
        return True
    return symbol.is_available is False


def _unknown(case: Case, names: list[str], lines: dict[str, str], strength: int) -> Iterator[Cause]:
    """Explain symbols that are unknown, one cause for all that have the same one."""
    known = {symbol.name: symbol for symbol in case.symbols}
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    proofs: dict[tuple[str, tuple[str, ...]], list[Evidence]] = {}
    for name in names:
        text, evidence, then = _why(case, name, known.get(name))
        groups.setdefault((text, then), []).append(name)
        proofs.setdefault((text, then), []).extend(evidence)
    for (text, then), symbols in groups.items():
        shown = [logged(lines[symbol]) for symbol in symbols[:2] if symbol in lines]
        shown += [
            Evidence(case.path or case.module, f"needs {symbol}") for symbol in symbols[:2] if symbol not in lines
        ]
        proof = tuple(dict.fromkeys([*shown, *proofs[text, then]]))[:4]
        yield Cause(CODE, f"{listed(symbols)}: {text}", proof, then, strength)


def _why(case: Case, name: str, symbol: NeededSymbol | None) -> tuple[str, list[Evidence], tuple[str, ...]]:
    """Return why a symbol is unknown to a module, what shows that, and what to do."""
    if symbol is None:
        return "the kernel does not have it for this module", [], ()
    closed = case.file is not None and case.file.is_readable and not case.file.is_gpl
    for provider in symbol.providers:
        if provider.denied_by:
            evidence = [Evidence(provider.denied_by.origin, provider.denied_by.text)]
            return f"exported by {provider.name}, which a rule keeps out", evidence, ()
        if provider.state == "live" and symbol.gpl_only and closed:
            return _for_gpl(case, provider)
    for provider in symbol.providers:
        if provider.state in ("coming", "going"):
            return f"exported by {provider.name}, which is just {provider.state}", [], ()
    waiting = [provider.name for provider in symbol.providers if provider.state is None]
    if waiting:
        evidence = [Evidence("modules.symbols", f"{name} is exported by {' or '.join(waiting)}")]
        return f"exported by {' or '.join(waiting)}, which is not loaded", evidence, _load(case, waiting[0])
    if symbol.in_kernel and symbol.gpl_only is not False and closed:
        return _for_gpl(case, None)
    if not symbol.providers and symbol.in_kernel is False:
        places = [Evidence("modules.symbols", f"no module exports {name}"),
                  Evidence("/proc/kallsyms", f"the kernel does not export {name}")]  # fmt: skip
        return "neither the kernel nor a module of the index exports it", places, _built_elsewhere(case)
    if not symbol.providers:
        evidence = [Evidence("modules.symbols", f"no module exports {name}")]
        return "no module of the index exports it, and the kernel does not have it for this module", evidence, (
            _built_elsewhere(case))  # fmt: skip
    return "the kernel does not have it for this module", [], ()


def _for_gpl(case: Case, owner: Provider | None) -> tuple[str, list[Evidence], tuple[str, ...]]:
    license = (case.file.license if case.file else None) or "none"
    whose = f"{owner.name} exports it" if owner else "the kernel exports it"
    evidence = [Evidence(case.path or case.module, f"license {license}")]
    return f"{whose} for GPL modules only, and the licence of this one is {license!r}", evidence, ()


def _load(case: Case, provider: str) -> tuple[str, ...]:
    if case.by_path or case.asked.endswith(".ko"):
        return (command("modprobe", provider), command("insmod", case.asked))
    return (command("depmod", case.release), command("modprobe", case.asked))


def _built_elsewhere(case: Case) -> tuple[str, ...]:
    if "/dkms/" in (case.path or "") and case.has("dkms"):
        return (command("dkms autoinstall -k", case.release),)
    return ()


def _not_imported(case: Case, sentence: Said) -> Cause:
    namespace, symbol = sentence.part("namespace"), sentence.part("symbol")
    return Cause(CODE, _namespace_text(symbol, namespace), (logged(sentence.text),), strength=SAID)


def _namespace_text(symbol: str, namespace: str) -> str:
    if namespace.startswith(FOR_MODULES):
        return f"{symbol} is exported for the modules {namespace.removeprefix(FOR_MODULES)} alone"
    return f"{symbol} is in the namespace {namespace}, which the module does not import (MODULE_IMPORT_NS)"


def _imports_list(namespace: str, evidence: Evidence, strength: int) -> Cause:
    text = f"it imports the namespace {namespace}, and the kernel lets no module import a list of modules"
    return Cause(CODE, text, (evidence,), strength=strength)


def _namespaces(case: Case) -> Iterator[Cause]:
    """Find symbols in namespaces that the module does not import."""
    file = case.file
    if file is None or not file.is_readable:
        return
    for symbol in case.symbols:
        if not symbol.namespace or is_for_module(symbol.namespace, case.module):
            continue
        if symbol.namespace in file.imports and not symbol.namespace.startswith(FOR_MODULES):
            continue
        imports = " ".join(file.imports) or "no namespace"
        owner = symbol.providers[0].name if symbol.providers else "the kernel"
        evidence = (Evidence(file.path, f"imports {imports}"),
                    Evidence(owner, f"exports {symbol.name} in {symbol.namespace}"))  # fmt: skip
        yield Cause(CODE, _namespace_text(symbol.name, symbol.namespace), evidence, (), FITS)


def duplicate_symbol(case: Case) -> Iterator[Cause]:
    """Something else exports a symbol that the module exports."""
    for sentence in said(case, DUPLICATE):
        owner = sentence.part("owner")
        text = f"it exports {sentence.part('symbol')}, which {_owner(owner)} exports already"
        yield Cause("duplicate-symbol", text, (logged(sentence.text),), _unload(owner), SAID)
    file = case.file
    if file is None or not file.is_readable or not case.answers(ENOEXEC):
        return
    exported = {symbol.name for symbol in file.exports}
    owned: dict[str, list[str]] = {}
    for symbol in case.symbols:
        for provider in symbol.providers if symbol.name in exported else ():
            if provider.state == "live" and provider.name != case.module:
                owned.setdefault(provider.name, []).append(symbol.name)
    for owner, names in owned.items():
        evidence = (Evidence(file.path, f"exports {listed(names)}"),
                    Evidence("modules.symbols", f"{owner} exports {listed(names)}, and is loaded"))  # fmt: skip
        text = f"it exports {listed(names)}, which {_owner(owner)} exports already"
        yield Cause("duplicate-symbol", text, evidence, _unload(owner))


def _owner(name: str) -> str:
    return "the kernel" if name in ("kernel", "vmlinux") else f"the module {name}"


def _unload(owner: str) -> tuple[str, ...]:
    return () if owner in ("kernel", "vmlinux") else (command("modprobe -r", owner),)


def may_lack_symbols(number: int | None) -> bool:
    """Tell whether an errno may be about symbols."""
    return number in (ENOENT, EINVAL, ENOEXEC, EBUSY)
