# SPDX-License-Identifier: LGPL-2.1-or-later
"""Whether the kernel would load each module of a tree: what it compares, and what would make it refuse.

Source: kernel/module/main.c (resolve_symbol, check_modinfo), kernel/module/version.c, kernel/module/signing.c.
"""

from __future__ import annotations

from ..depmod.examine import XZ_CHECKS
from ..depmod.facts import decode_failure
from ..depmod.resolve import ALWAYS_KNOWN, split_names
from ..depmod.symbol_ids import unpack_ids
from ..formats.elf_fast import LAYOUT
from ..formats.elf_linkage import is_symbol
from ..formats.namespaces import FOR_MODULES, is_for_module
from ..names import decode
from ..records import Record
from .signatures import BAD, UNKNOWN_KEY, UNSIGNED, ModuleSignature

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping, Sequence
    from typing import Any

    from ..depmod.examine import Examined
    from ..formats.elf_linkage import Offer

DAMAGED, VERMAGIC, UNKNOWN_SYMBOL, SYMBOL_VERSION = "damaged-file", "vermagic", "unknown-symbol", "symbol-version"
GPL_ONLY, NAMESPACE, DUPLICATE_SYMBOL, DUPLICATE_NAME = "gpl-only", "namespace", "duplicate-symbol", "duplicate-name"
CYCLE, DECOMPRESSION = "cycle", "decompression"
UNKNOWN_KEY_CODE, UNSIGNED_CODE, BAD_SIGNATURE = "unknown-key", "unsigned", "bad-signature"
"""Codes of problems."""

CURRENT, STALE, DIFFERENT, MISSING = "current", "stale", "different", "missing"
"""Words for an index: as depmod would write it; not so, and older than the tree; not so; not there."""

NEWER_INDEXES = frozenset(("modules.weakdep",))
"""Indexes that depmod of kmod before version 33 does not write: nothing is wrong where they are missing."""

_FREE = frozenset(
    (b"GPL", b"GPL v2", b"GPL and additional rights", b"Dual BSD/GPL", b"Dual MIT/GPL", b"Dual MPL/GPL")
)  # fmt: skip
"""Licences with which a module may use symbols that are for modules under the GPL alone (include/linux/license.h)."""

_LIST_PREFIX = FOR_MODULES.encode()
_MOST_NAMED = 4
"""Symbols that are named in one text; of more it says how many."""


class Problem(Record):
    """Something for which the kernel would refuse a module; `code` is a word for its kind, which never changes."""

    code: str
    text: str


class ModuleVerdict(Record):
    """What was found out about one module.

    `path` is its file. `ok` says that there is no problem. `vermagic_ok` is whether the kernel that takes its siblings
    takes its vermagic, None of a file that cannot be read. `unresolved` are the needed symbols that nobody exports, and
    `crc_mismatch` those that somebody exports in another version.
    """

    path: str
    ok: bool
    problems: tuple[Problem, ...]
    vermagic_ok: bool | None
    unresolved: tuple[str, ...]
    crc_mismatch: tuple[str, ...]
    signature: ModuleSignature


class Exporters(Record):
    """Who exports what.

    `kernel` is what the kernel exports, None if that is not known; `others` are exports of modules that are not
    verified, by name; `modules` has those of the modules that are, with their positions. `are_all` says that no other
    module can export what these do not: all could be read.
    """

    kernel: Mapping[bytes, Offer] | None
    others: Mapping[bytes, Offer]
    modules: Mapping[bytes, tuple[int, Offer]]
    are_all: bool = True


class Surroundings(Record):
    """What decides besides the modules themselves.

    `vermagic` is the one that is right if the modules do not show it. `wants_signatures` says whether a module that
    is not signed is refused. `unpacks_xz`: whether the kernel unpacks xz files itself, None if that is not known.
    """

    vermagic: bytes
    wants_signatures: bool
    unpacks_xz: bool | None


class _Flags:
    """What is true of each key: found out once, for all modules that need it."""

    def __init__(
        self,
        symbols: Sequence[tuple[bytes, int | None]],
        exporters: Exporters,
        ask_again: Callable[[int], Sequence[Offer]],
    ) -> None:
        self.unresolved: dict[int, bytes] = {}
        self.mismatched: dict[int, tuple[bytes, str]] = {}
        self.unversioned: set[int] = set()
        self.gpl: dict[int, bytes] = {}
        self.namespaced: dict[int, tuple[bytes, bytes]] = {}
        self._exporters = exporters
        self._ask_again = ask_again
        self._asked: dict[int, dict[bytes, Offer]] = {}
        in_kernel, in_modules = (exporters.kernel or {}).get, exporters.modules.get
        first: dict[tuple[bytes, int | None], int] = {}
        twins: list[tuple[int, int]] = []  # ids of what another process has given an id, too
        nothing = None, None
        for number, symbol in enumerate(symbols):
            before = first.setdefault(symbol, number)
            if before != number:
                twins.append((number, before))
                continue
            name, crc = symbol
            offer = in_kernel(name) or in_modules(name, nothing)[1]
            if offer is None or offer[1] != crc or offer[3]:
                self._look_at(number, name, crc)
            elif offer[2]:
                self.gpl[number] = name
        self._copy(twins)
        self.any: set[int] = {*self.unresolved, *self.mismatched}
        self.suspicious: set[int] = {*self.any, *self.unversioned, *self.namespaced}

    def _copy(self, twins: Sequence[tuple[int, int]]) -> None:
        flags: list[dict[int, Any]] = [self.unresolved, self.mismatched, self.gpl, self.namespaced]
        for flag in flags:
            if flag:
                flag.update([(number, flag[before]) for number, before in twins if before in flag])
        self.unversioned.update([number for number, before in twins if before in self.unversioned])

    def _look_at(self, number: int, name: bytes, crc: int | None) -> None:
        """Note what is wrong with a needed symbol of this name and version, whichever module needs it."""
        exporters = self._exporters
        if not name:
            return
        wanted = name[1:] if name.startswith(b".") else name  # entry points of 64-bit PowerPC
        offer = exporters.kernel.get(wanted) if exporters.kernel else None
        position = None
        if offer is None:
            found = exporters.modules.get(wanted)
            if found:
                position, offer = found
            else:
                offer = exporters.others.get(wanted)
        if offer is None:
            is_known = exporters.kernel is not None and exporters.are_all
            if is_known and wanted not in ALWAYS_KNOWN and wanted != LAYOUT:
                self.unresolved[number] = name
            return
        _, there, gpl, namespace = offer
        if there is not None and crc is None:
            self.unversioned.add(number)
        elif there is not None and crc != there and not self._is_same(position, wanted, crc):
            owner = "the kernel" if position is None and wanted not in exporters.others else "its module"
            self.mismatched[number] = name, f"{decode(name)} (0x{crc:08x}, {owner} has 0x{there:08x})"
        if gpl:
            self.gpl[number] = name
        if namespace:
            self.namespaced[number] = name, namespace

    def _is_same(self, position: int | None, name: bytes, crc: int | None) -> bool:
        """Ask the reader that checks everything before a module is said to export another version."""
        if position is None:
            return False
        if position not in self._asked:
            self._asked[position] = {offer[0]: offer for offer in self._ask_again(position)}
        offer = self._asked[position].get(name)
        return offer is not None and offer[1] == crc


class Verification:
    """Judges modules: `verdicts` are in their order.

    `paths` are those of the files, `names` the modules' names. `symbols` has the needed symbols and their CRCs by id.
    `ask_again` reads a module's exports with more care.
    """

    def __init__(
        self,
        paths: Sequence[str],
        names: Sequence[bytes],
        modules: Sequence[Examined],
        symbols: Sequence[tuple[bytes, int | None]],
        exporters: Exporters,
        surroundings: Surroundings,
        ask_again: Callable[[int], Sequence[Offer]],
    ) -> None:
        self._paths = paths
        self._names = names
        self._modules = modules
        self._symbols_by_id = symbols
        self._surroundings = surroundings
        self._flags = _Flags(symbols, exporters, ask_again)
        self._versioned = [bool(module.ids) and self._has_versions(module) for module in modules]
        self._plain: dict[tuple[object, ...], bool] = {}
        self._magic: dict[tuple[bytes, bool], bool] = {}
        self._signatures: dict[tuple[object, ...], ModuleSignature] = {}
        self._more: dict[int, list[Problem]] = {}
        self.vermagic: bytes = surroundings.vermagic or self._usual_vermagic()

    def _has_versions(self, module: Examined) -> bool:
        first = memoryview(module.ids)[:4].cast("I")[0]
        return self._symbols_by_id[first][1] is not None

    def _usual_vermagic(self) -> bytes:
        counts: dict[bytes, int] = {}
        for module in self._modules:
            counts[module.origin[0]] = counts.get(module.origin[0], 0) + 1
        counts.pop(b"", None)
        return max(counts, key=counts.__getitem__) if counts else b""

    def add(self, position: int, code: str, text: str) -> None:
        """Add a problem that the module itself does not show."""
        self._more.setdefault(position, []).append(Problem(code, text))

    def add_duplicates(self, duplicates: Iterable[tuple[bytes, int, int]], doubled: Container[bytes]) -> None:
        """Add symbols that two modules export, and those `doubled`, which the kernel exports as well.

        The kernel refuses the second one to be loaded. Namespaces are left out, which depmod takes for symbols where
        these have no versions: modules may share them.
        """
        found: dict[int, dict[str, list[bytes]]] = {}
        exported: dict[int, set[bytes]] = {}
        for symbol, one, other in duplicates:
            for position in (one, other):
                if position not in exported:
                    exported[position] = {offer[0] for offer in self._modules[position].offers if is_symbol(offer)}
            if symbol in exported[one] and symbol in exported[other]:
                for here, there in ((one, other), (other, one)):
                    found.setdefault(here, {}).setdefault(decode(self._names[there]), []).append(symbol)
        for position, module in enumerate(self._modules if doubled else ()):
            for offer in module.offers:
                if offer[0] in doubled and is_symbol(offer):
                    found.setdefault(position, {}).setdefault("the kernel", []).append(offer[0])
        for position, rivals in found.items():
            for rival, symbols in rivals.items():
                self.add(position, DUPLICATE_SYMBOL, f"exports {_some(symbols)}, as {rival} does")

    def add_rival(self, position: int, symbol: bytes, rival: str) -> None:
        """Add a symbol that another module exports, too, which is not verified."""
        self.add(position, DUPLICATE_SYMBOL, f"exports {decode(symbol)}, as {rival} does")

    def add_cycles(self, cycles: Iterable[Sequence[str]]) -> None:
        """Add modules that need each other."""
        places = {decode(name): position for position, name in enumerate(self._names)}
        for cycle in cycles:
            for name in dict.fromkeys(cycle):
                self.add(places[name], CYCLE, f"needs itself: {' -> '.join(cycle)}")

    def verdicts(self) -> list[ModuleVerdict]:
        """Return what is true of each module."""
        return [self._verdict(position, module) for position, module in enumerate(self._modules)]

    def _verdict(self, position: int, module: Examined) -> ModuleVerdict:
        """Return what is true of one module."""
        signature = self._signatures.get(module.signature)
        if signature is None:
            signature = self._signatures[module.signature] = ModuleSignature(*module.signature)
        if self._is_plain(position, module, signature):
            return ModuleVerdict(self._paths[position], True, (), True, (), (), signature)
        problems: list[Problem] = []
        unresolved: tuple[str, ...] = ()
        mismatched: tuple[str, ...] = ()
        magic_ok: bool | None = None
        if module.failure:
            problems.append(Problem(DAMAGED, decode_failure(module.failure)[1]))
        else:
            if module.origin[3]:
                problems.append(Problem(DAMAGED, f"an ELF file, but no module: {decode(module.origin[3])}"))
            magic_ok = self._takes_vermagic(position, module, problems)
            unresolved, mismatched = self._symbols(position, module, problems)
        if self._surroundings.unpacks_xz and not fits_kernel(module):
            problems.append(Problem(DECOMPRESSION, "the kernel unpacks xz files itself, and none with such check sums"))
        problem = self._of_signature(signature)
        if problem:
            problems.append(problem)
        problems += self._more.get(position, ())
        return ModuleVerdict(
            self._paths[position], not problems, tuple(problems), magic_ok, unresolved, mismatched, signature
        )

    def _is_plain(self, position: int, module: Examined, signature: ModuleSignature) -> bool:
        """Tell at once of most modules that there is nothing to look at more closely."""
        kind = module.origin, self._versioned[position], module.signature
        plain = self._plain.get(kind)
        if plain is None:
            takes = self._takes_vermagic(position, module, [])
            plain = (
                takes and module.origin[1] in _FREE and not module.origin[3] and self._of_signature(signature) is None
            )
            self._plain[kind] = plain
        if not plain or module.failure or module.xz_check is not None or position in self._more:
            return False
        if _LIST_PREFIX in module.origin[2]:
            return False
        return self._flags.suspicious.isdisjoint(unpack_ids(module.ids))

    def _takes_vermagic(self, position: int, module: Examined, problems: list[Problem]) -> bool:
        """Compare as the kernel does: of a module with versions of symbols, all but the release counts."""
        own, has_versions = module.origin[0], self._versioned[position]
        takes = self._magic.get((own, has_versions))
        if takes is None:
            usual = self.vermagic
            takes = own == usual != b"" or (has_versions and own.partition(b" ")[2] == usual.partition(b" ")[2] != b"")
            self._magic[own, has_versions] = takes
        if not takes:
            shown = f"'{decode(own)}'" if own else "none"
            wanted = f"'{decode(self.vermagic)}'" if self.vermagic else "that of a kernel"
            problems.append(Problem(VERMAGIC, f"vermagic is {shown}, and should be {wanted}"))
        return takes

    def _symbols(
        self, position: int, module: Examined, problems: list[Problem]
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the symbols that nobody exports, and those of another version.

        Adds to `problems` what is wrong with these and with other symbols.
        """
        flags, ids = self._flags, unpack_ids(module.ids)
        unresolved: list[bytes] = []
        mismatched: list[int] = []
        if flags.any and not flags.any.isdisjoint(ids):
            spared = {*split_names(module.weak), *split_names(module.unused)}
            unresolved = [name for number in ids if (name := flags.unresolved.get(number)) and name not in spared]
            unused = split_names(module.unused)
            mismatched = [item for item in ids if item in flags.mismatched and flags.mismatched[item][0] not in unused]
            if unresolved:
                text = f"needs {_some(unresolved)}, which neither the kernel nor a module exports"
                problems.append(Problem(UNKNOWN_SYMBOL, text))
            if mismatched:
                texts = [flags.mismatched[number][1] for number in mismatched]
                problems.append(Problem(SYMBOL_VERSION, f"wants another version of {_some(texts)}"))
        if flags.unversioned and not self._versioned[position] and not flags.unversioned.isdisjoint(ids):
            problems.append(Problem(SYMBOL_VERSION, "has no versions of symbols, and the kernel's have some"))
        if module.origin[1] not in _FREE and not flags.gpl.keys().isdisjoint(ids):
            names = [flags.gpl[number] for number in ids if number in flags.gpl]
            licence = f"'{decode(module.origin[1])}'" if module.origin[1] else "none"
            problems.append(
                Problem(GPL_ONLY, f"needs {_some(names)} for modules under the GPL; its licence: {licence}")
            )
        if not flags.namespaced.keys().isdisjoint(ids):
            self._namespaces(position, module, [flags.namespaced[item] for item in ids if item in flags.namespaced],
                             problems)  # fmt: skip
        for imported in split_names(module.origin[2]) if _LIST_PREFIX in module.origin[2] else ():
            if decode(imported).startswith(FOR_MODULES):
                text = f"imports {decode(imported)}, which the kernel lets no module import"
                problems.append(Problem(NAMESPACE, text))
        wrong = tuple([decode(flags.mismatched[number][0]) for number in mismatched])
        return tuple(map(decode, unresolved)), wrong

    def _namespaces(
        self, position: int, module: Examined, needed: Sequence[tuple[bytes, bytes]], problems: list[Problem]
    ) -> None:
        imported = split_names(module.origin[2])
        lacking: dict[bytes, list[bytes]] = {}
        for name, namespace in needed:
            if decode(namespace).startswith(FOR_MODULES):
                if is_for_module(decode(namespace), decode(self._names[position])):
                    continue
            elif namespace in imported:
                continue
            lacking.setdefault(namespace, []).append(name)
        for namespace, names in lacking.items():
            text = f"needs {_some(names)} of namespace {decode(namespace)}, which it does not import"
            if decode(namespace).startswith(FOR_MODULES):
                text = f"needs {_some(names)}, which only {decode(namespace).removeprefix(FOR_MODULES)} may use"
            problems.append(Problem(NAMESPACE, text))

    def _of_signature(self, signature: ModuleSignature) -> Problem | None:
        if signature.state == BAD:
            return Problem(BAD_SIGNATURE, f"bad signature: {signature.text}")
        if not self._surroundings.wants_signatures:
            return None
        if signature.state == UNSIGNED:
            return Problem(UNSIGNED_CODE, "has no signature")
        if signature.state == UNKNOWN_KEY:
            by = f" of {signature.signer}" if signature.signer else ""
            return Problem(UNKNOWN_KEY_CODE, f"signed with an unknown key{by}: {signature.key_id}")
        return None


def fits_kernel(module: Examined) -> bool:
    """Tell whether the kernel's own decompressor takes the file, if it is one for xz."""
    return module.xz_check is None or module.xz_check in XZ_CHECKS


def _some(names: Sequence[bytes] | Sequence[str]) -> str:
    shown = [name if isinstance(name, str) else decode(name) for name in names[:_MOST_NAMED]]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
