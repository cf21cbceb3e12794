# SPDX-License-Identifier: LGPL-2.1-or-later
"""kmod verify: would the kernel load each module of a tree, and are the indexes those that depmod would write?"""

from __future__ import annotations

import errno
import os

from ..depmod.errors import CycleError
from ..depmod.examine import examine, expected_files
from ..depmod.facts import decode_failure
from ..depmod.inputs import Inputs, gather_inputs
from ..depmod.observer import RunObserver
from ..depmod.render import FILES
from ..depmod.resolve import ALWAYS_KNOWN, split_names
from ..depmod.scan import are_ranked, module_name
from ..depmod.settings import DEFAULT, read_settings
from ..diagnosis.firmwarekeys import describe_build, firmware_rules
from ..diagnosis.signatures import (
    CANNOT_VERIFY,
    PKCS7_SINCE,
    UNSIGNED,
    Keyring,
    Libraries,
    ModuleSignature,
    VerificationKey,
    version_of,
)
from ..diagnosis.verification import (
    CURRENT,
    DIFFERENT,
    DUPLICATE_NAME,
    MISSING,
    NEWER_INDEXES,
    STALE,
    Exporters,
    ModuleVerdict,
    Surroundings,
    Verification,
    fits_kernel,
)
from ..diagnostics import ERROR, NOTE, Diagnostic
from ..errors import Error, FileError, MissingSupportError, MissingTreeError
from ..formats.elf_fast import LAYOUT
from ..formats.elf_linkage import from_keys, general_offers, is_symbol
from ..formats.index import Index
from ..formats.signature import MAGIC
from ..formats.source import BytesSource
from ..frozendict import FrozenDict
from ..names import decode, encode
from ..observer import Observer
from ..planning.lookup import require_regular
from ..state.files import read_or_none
from ..state.firmware import EfiVariables
from ..state.kernelfacts import read_kernel_facts
from ..state.kernelfiles import KernelFiles, read_certificates, read_symbols
from ..state.modulefile import ModuleFile, elf_of
from .report import CANNOT_TELL, Report, as_diagnostic, head, need, several, shows_machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from ..context import Context
    from ..depmod.examine import Answer, Examination
    from ..depmod.settings import DepmodSettings
    from ..diagnosis.firmwarekeys import FirmwareRules
    from ..formats.elf_linkage import Offer
    from ..state.kernelfiles import Certificates, ExportsFile

    StrPath = str | os.PathLike[str]

AUTO, NO_KEYS = "auto", "none"
"""Values of `keys`: those of the kernel's image and this machine's firmware; no keys, so that none is verified."""

_NOT_VERIFIED: Answer = (None, None, None, None, None)
_UNSIGNED: Answer = (UNSIGNED, None, None, None, None)
_NOT_SHOWN = (errno.EACCES, errno.EPERM, errno.EIO, errno.ENOMEM)
"""Why a file cannot be read that may be a good module all the same."""
_DEBIANS_BUILDER = b"(debian-kernel@lists.debian.org)"
_FILE_IS_FORBIDDEN = b"Module hash %*phN is blacklisted"
"""Words in a kernel's image: who built it; what it says when it refuses a file for its hash."""
_SIBLINGS = 8
"""Modules of the tree that are looked into for their vermagic."""


class VerifyReport(Report):
    """Whether the kernel would load modules, and what depmod would change.

    `modules` has a verdict on each; `indexes` says of each of depmod's files how it stands, and is empty if only some
    files were asked about, or not all could be read. `keys` are those that signatures were verified with. `symbols` is
    the file that told what the kernel exports, None if there is none. `vermagic` is the one that the modules should
    have. `notes` say what limits the answer and makes it no other one.
    """

    modules: tuple[ModuleVerdict, ...]
    indexes: Mapping[str, str]
    keys: tuple[VerificationKey, ...]
    symbols: str | None
    vermagic: str | None
    notes: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether there is no problem with any module, and each index is as it should be."""
        return all(module.ok for module in self.modules) and not self.wrong_indexes

    @property
    def wrong_indexes(self) -> dict[str, str]:
        """The indexes that depmod would change, and how they stand."""
        return {
            name: state
            for name, state in self.indexes.items()
            if state != CURRENT and not (state == MISSING and name in NEWER_INDEXES)
        }


def verify(
    context: Context,
    files: StrPath | Iterable[StrPath] = (),
    *,
    keys: str | os.PathLike[str] | Iterable[StrPath] = AUTO,
    symbols: StrPath | None = None,
    observer: Observer | None = None,
) -> VerifyReport:
    """Return whether the kernel would load the modules of a tree, or those in `files`, and how its indexes stand.

    `keys` says with which keys signatures are verified: `auto`, `none`, paths of files with certificates or of a
    kernel's image, or several of these. `symbols` is the file that tells what the kernel exports: Module.symvers,
    System.map, a list like /proc/kallsyms, or an image; by default the first of those where they usually are.
    `observer` hears of progress. What could not be found out is in the report's `errors`. Raises `MissingTreeError`,
    `FileError` for one of `keys` or `symbols`, and `MissingSupportError` when a library is missing for keys that were
    named.
    """
    chosen = several(keys)
    operands = [os.fspath(path) for path in several(files)]
    paths = [os.fspath(path) for path in chosen]
    if not operands and not context.exists:  # before keys are read, which takes libraries that are slow to come
        raise MissingTreeError(os.strerror(errno.ENOENT), path=context.tree.directory)
    work = _Work(context, paths, symbols, RunObserver(observer or Observer()))
    return work.of_files(operands) if operands else work.of_tree()


def libraries() -> Libraries:
    """Return the libraries that verify signatures. Raises `MissingSupportError`."""
    names = ("x509", "hazmat.primitives.hashes", "hazmat.primitives.asymmetric.padding",
             "hazmat.primitives.asymmetric.ec", "hazmat.primitives.asymmetric.rsa",
             "hazmat.primitives.asymmetric.utils", "exceptions")  # fmt: skip
    need("cryptography", "verify")
    x509, hashes, padding, ec, rsa, utils, exceptions = [need(f"cryptography.{name}", "verify") for name in names]
    need("asn1crypto", "verify")
    return Libraries(
        x509, hashes, padding, ec, rsa, utils.Prehashed, exceptions.InvalidSignature,
        need("asn1crypto.cms", "verify"), need("asn1crypto.x509", "verify"),
    )  # fmt: skip


class _Work:
    """One run."""

    def __init__(self, context: Context, keys: Sequence[str], symbols: StrPath | None, observer: RunObserver) -> None:
        self.context = context
        self.errors: list[Diagnostic] = []
        self.notes: list[str] = []
        self._observer = observer
        self._files = KernelFiles(context.roots)
        self._keyring = self._read_keys(keys)
        self._symbols: ExportsFile | None = None
        self._named_symbols = symbols
        self._has_read_all = True

    # --- what the kernel has

    def _read_keys(self, chosen: Sequence[str]) -> Keyring | None:
        """Return the keys that the kernel takes; None where signatures are not to be verified, or cannot be."""
        named = [path for path in chosen if path not in (AUTO, NO_KEYS)]
        if not named and AUTO not in chosen:
            return None
        try:
            library = libraries()
        except MissingSupportError as error:
            if named:
                raise
            self.notes.append(f"signatures are not verified: {error.reason}")
            return None
        found: Certificates = []
        firmware = None
        are_all = True
        for path in named:
            found += read_certificates(path, need("asn1crypto.pem", "verify"))
        if AUTO in chosen:
            try:
                found += self._files.certificates()
            except Error as error:
                self.errors.append(as_diagnostic(error))
            firmware = self._read_firmware()
            are_all = not self.errors
        takes_old = tuple(version_of(self.context.roots.kernel_release)) < PKCS7_SINCE
        keyring = Keyring(found, library, takes_old=takes_old, firmware=firmware, are_all=are_all)
        self.notes += [f"a certificate cannot be read: {path}" for path in keyring.unreadable]
        return keyring

    def _read_firmware(self) -> FirmwareRules | None:
        """Return what the firmware of this machine means for the kernel, whichever of its kernels that is."""
        roots = self.context.roots
        if not shows_machine(self.context, with_modules=True):
            return None
        firmware = EfiVariables(roots)
        variables = firmware.variables()
        self.errors += [as_diagnostic(error) for error in firmware.problems]
        if not variables.keys and not variables.forbidden:
            return None
        is_debians, checks_files = self._files.has_words(_DEBIANS_BUILDER, _FILE_IS_FORBIDDEN)
        build = describe_build(
            version_of(roots.kernel_release), self._files.config(), is_debians=is_debians, checks_files=checks_files
        )
        return firmware_rules(variables, build)

    def _read_symbols(self) -> None:
        path = self._named_symbols
        if path is not None:
            found = read_symbols(os.fspath(path))
            if found is None:
                raise FileError("does not tell what a kernel exports", path=os.fspath(path))
        else:
            found = self._files.symbols()
        if found is None:
            text = "what the kernel exports is not known: no Module.symvers, image or System.map of it"
            self.errors.append(Diagnostic(CANNOT_TELL, ERROR, text))
            self.errors += [as_diagnostic(error) for error in self._files.problems]
        self._symbols = found

    def _wants_signatures(self) -> bool:
        """Tell whether modules have to be signed; where that is not known, if there are keys to do it with."""
        facts = read_kernel_facts(self.context.roots, self.context.live)
        known = facts.wants_signatures
        return bool(self._keyring and self._keyring.keys) if known is None else known

    def _surroundings(self, vermagic: bytes = b"") -> Surroundings:
        live = self.context.live
        unpacks = live.compression() == "xz" if live.is_asked else None
        return Surroundings(vermagic, self._wants_signatures(), unpacks)

    # --- all modules

    def of_tree(self) -> VerifyReport:
        """Verify all modules and the indexes."""
        tree, roots = self.context.tree, self.context.roots
        settings, problems = read_settings(roots.config_dirs("depmod.d"), roots.kernel_release)
        self.errors += [problem for problem in problems if problem.severity == ERROR]
        collector = _Collector(self._observer)
        inputs = gather_inputs(tree.directory, settings, None, collector)
        self.errors += collector.problems
        self._has_read_all = not collector.unread
        found = self._examine(tree.directory, inputs, keep_helper=True)
        try:
            return self._judge_tree(inputs, found, settings)
        finally:
            found.close()

    def _judge_tree(self, inputs: Inputs, found: Examination, settings: DepmodSettings) -> VerifyReport:
        """Judge the modules of a tree together, and its indexes, while a second process makes what these should be."""
        symbols = from_keys(found.keys)
        cycles: Sequence[Sequence[str]] = ()
        files: Mapping[str, bytes] = {}
        judged: list[Verification] = []

        def judge() -> None:
            judged.append(self._verification(inputs, found, symbols, self._surroundings()))

        try:
            names = [name for name, _ in symbols]
            resolution, files = expected_files(inputs, found, names, self._observer, judge)
            owners, duplicates = resolution.owners, resolution.duplicates
        except CycleError as error:
            cycles, owners, duplicates = error.cycles, {}, []
        if not judged:
            judge()
        verification = judged[0]
        verification.add_duplicates(duplicates, self._in_kernel(owners))
        verification.add_cycles(cycles)
        self._add_rivals(verification, inputs, settings)
        self._observer.end()
        return self._report(verification, self._compare(inputs, files) if self._has_read_all else {})

    def _progress(self, done: int, total: int) -> None:
        self._observer.progress(done, total, "modules")

    def _examine(self, directory: str, inputs: Inputs, *, keep_helper: bool) -> Examination:
        """Read all modules. Raises `MissingSupportError` where a library is missing that unpacks them."""
        self._observer.begin("extract")
        keyring = self._keyring

        def check_image(image: bytes) -> Answer:
            return _as_tuple(keyring.check(image)) if keyring else ()

        found = examine(
            directory,
            inputs.real_paths,
            check_image if keyring else None,
            _of_tail,
            self._progress,
            names=inputs.names if keep_helper else None,
            meanwhile=self._read_symbols,
        )
        self._note_unread(inputs, found)
        return found

    def _note_unread(self, inputs: Inputs, found: Examination) -> None:
        """Note which files were not read. Raises `MissingSupportError` where a library is missing that unpacks them."""
        for path, module in zip(inputs.paths, found.modules, strict=True):
            number, reason = decode_failure(module.failure) if module.failure else (0, "")
            if number == errno.ENOSYS:
                found.close()
                raise MissingSupportError(reason, path=inputs.full_path(path))
            if number in _NOT_SHOWN:
                text = "cannot be read, so nothing is known of it"
                where = inputs.full_path(path)
                self.errors.append(Diagnostic(CANNOT_TELL, ERROR, f"{text}: {reason}", file=where, errno=number))
                self._has_read_all = False

    def _verification(
        self,
        inputs: Inputs,
        found: Examination,
        symbols: Sequence[tuple[bytes, int | None]],
        surroundings: Surroundings,
        others: Mapping[bytes, Offer] | None = None,
    ) -> Verification:
        """Return what judges these modules. `others` is what modules export that are not among them."""
        modules: dict[bytes, tuple[int, Offer]] = {}
        for position, module in enumerate(found.modules):
            for offer in module.offers:
                modules[offer[0]] = position, offer
        paths = [inputs.full_path(path) for path in inputs.paths]
        self._note_checks(inputs, found, surroundings)
        kernel = self._symbols.exports if self._symbols else None
        exporters = Exporters(kernel, others or {}, modules, self._has_read_all)
        return Verification(
            paths,
            inputs.names,
            found.modules,
            symbols,
            exporters,
            surroundings,
            lambda number: _offers(paths[number]),
        )

    def _in_kernel(self, exported: Mapping[bytes, int]) -> AbstractSet[bytes]:
        """Return which of these symbols the kernel exports as well."""
        return exported.keys() & self._symbols.exports.keys() if self._symbols else set()

    def _add_rivals(self, verification: Verification, inputs: Inputs, settings: DepmodSettings) -> None:
        """Add modules of which there are several files, and no rule of depmod.d says which one counts."""
        places = {name: position for position, name in enumerate(inputs.names)}
        directory = encode(inputs.directory)
        for name, winner, loser in inputs.duplicates:
            other = inputs.full_path(loser)
            if are_ranked(winner, loser, settings, directory):
                self.notes.append(f"{inputs.full_path(winner)} counts instead of {other}")
            else:
                verification.add(places[name], DUPLICATE_NAME, f"is also at {other}, and no rule says which one counts")

    def _compare(self, inputs: Inputs, files: Mapping[str, bytes]) -> dict[str, str]:
        """Return how each index stands; none where depmod would write none, for circles."""
        states: dict[str, str] = {}
        changed: int | None = None
        for name in FILES if files else ():
            path = f"{inputs.directory}/{name}"
            try:
                data = read_or_none(path)
                written = os.stat(path).st_mtime_ns if data is not None else 0
            except (Error, OSError) as error:
                self.errors.append(as_diagnostic(error if isinstance(error, Error) else FileError.of(error, path)))
                continue
            if data is None:
                states[name] = MISSING
            elif data == files[name] or _says_the_same(name, data, files[name]):
                states[name] = CURRENT
            else:
                changed = _last_change(inputs) if changed is None else changed
                states[name] = STALE if written < changed else DIFFERENT
        return states

    # --- some files

    def of_files(self, operands: Sequence[str]) -> VerifyReport:
        """Verify these files, as modules for the kernel of the tree."""
        there = []
        for operand in operands:
            path = os.path.abspath(operand)
            try:
                require_regular(path)
                there.append(encode(path))
            except FileError as error:
                self.errors.append(as_diagnostic(error, operand))
        inputs = Inputs("/", [(module_name(path), path) for path in there], [], [])
        found = self._examine("/", inputs, keep_helper=False)
        symbols = from_keys(found.keys)
        others = self._exports_of_tree(found, inputs, [name for name, _ in symbols])
        verification = self._verification(inputs, found, symbols, self._surroundings(self._usual_vermagic()), others)
        self._add_other_exporters(verification, inputs, found)
        self._observer.end()
        return self._report(verification, {})

    def _exports_of_tree(self, found: Examination, inputs: Inputs, needed: Sequence[bytes]) -> dict[bytes, Offer]:
        """Return what modules of the tree export of what these files need.

        modules.symbols tells where to look; for what it does not know all modules are read, since it may be out of
        date.
        """
        offers: dict[bytes, Offer] = {}
        kernel = self._symbols.exports if self._symbols else {}
        own = {offer[0] for module in found.modules for offer in module.offers}
        weak = {name for module in found.modules for name in split_names(module.weak)}
        wanted = (
            {name.removeprefix(b".") for name in needed} - own - weak - kernel.keys() - ALWAYS_KNOWN - {b"", LAYOUT}
        )
        if not self.context.exists:
            return offers
        replaced, seen = set(inputs.names), set[str]()
        for name in sorted(wanted):
            for provider in self.context.tree.modules_by_symbol(decode(name)) if name not in offers else ():
                other = self.context.tree.find(provider)
                if other and other.path not in seen and encode(provider) not in replaced:
                    seen.add(other.path)
                    offers.update({offer[0]: offer for offer in _offers(other.path)})
        if not wanted <= offers.keys() and kernel:
            collector = _Collector(RunObserver(Observer()))
            everything = gather_inputs(self.context.tree.directory, DEFAULT, None, collector)
            self.errors += collector.unread
            self._has_read_all = self._has_read_all and not collector.unread
            read = examine(everything.directory, everything.real_paths, None, _of_tail, self._progress)
            self._note_unread(everything, read)
            for module, name in zip(read.modules, everything.names, strict=True):
                if name not in replaced:
                    offers.update({offer[0]: offer for offer in module.offers})
        return offers

    def _add_other_exporters(self, verification: Verification, inputs: Inputs, found: Examination) -> None:
        names = {*inputs.names}
        first: dict[bytes, int] = {}
        duplicates: list[tuple[bytes, int, int]] = []
        for position, module in enumerate(found.modules):
            for offer in filter(is_symbol, module.offers):
                if first.setdefault(offer[0], position) != position:
                    duplicates.append((offer[0], first[offer[0]], position))
                for other in self.context.tree.modules_by_symbol(decode(offer[0])) if self.context.exists else ():
                    if encode(other) not in names:
                        verification.add_rival(position, offer[0], other)
        verification.add_duplicates(duplicates, self._in_kernel(first))
        for position, name in enumerate(inputs.names):
            if inputs.names.index(name) != position:
                other = inputs.full_path(inputs.paths[inputs.names.index(name)])
                verification.add(position, DUPLICATE_NAME, f"has the same name as {other}")

    def _usual_vermagic(self) -> bytes:
        """Return the vermagic of most of the first modules of the tree."""
        if not self.context.exists:
            return b""
        found: list[str] = []
        for path in self._paths_of_tree():
            try:
                with ModuleFile(path) as file:
                    found += [field.value for field in file.modinfo() if field.key == "vermagic"]
            except Error:
                continue
            if len(found) == _SIBLINGS:
                break
        return encode(max(found, key=found.count)) if found else b""

    def _paths_of_tree(self) -> Iterator[str]:
        """Yield the paths of modules, those in modules.dep first."""
        yield from [module.path for module in self.context.tree.modules()]
        inputs = gather_inputs(self.context.tree.directory, DEFAULT, None, RunObserver(Observer()))
        yield from [inputs.full_path(path) for path in inputs.paths]

    # --- what comes out

    def _note_checks(self, inputs: Inputs, found: Examination, surroundings: Surroundings) -> None:
        """Note xz files that some kernels cannot unpack, where it is not known whether this one does it itself."""
        unfit = [path for path, module in zip(inputs.paths, found.modules, strict=True) if not fits_kernel(module)]
        if unfit and surroundings.unpacks_xz is None:
            text = "an xz file with check sums that no kernel knows, should it unpack modules itself"
            more = f" (and {len(unfit) - 1} more)" if len(unfit) > 1 else ""
            self.notes.append(f"{text}: {inputs.full_path(unfit[0])}{more}")

    def _report(self, verification: Verification, indexes: Mapping[str, str]) -> VerifyReport:
        modules = verification.verdicts()
        self._add_unverified(modules)
        return VerifyReport(
            **head("verify", self.context, self.errors),
            modules=tuple(modules),
            indexes=FrozenDict(indexes),
            keys=self._keyring.keys if self._keyring else (),
            symbols=self._symbols.path if self._symbols else None,
            vermagic=decode(verification.vermagic) or None,
            notes=tuple(dict.fromkeys(self.notes)),
        )

    def _add_unverified(self, modules: Sequence[ModuleVerdict]) -> None:
        """Add to what could not be found out the signatures that cannot be verified, each kind once."""
        kinds: dict[str, list[str]] = {}
        for module in modules:
            if module.signature.state == CANNOT_VERIFY:
                kinds.setdefault(module.signature.text or "", []).append(module.path)
        for text, paths in kinds.items():
            more = f" ({len(paths)} modules)" if len(paths) > 1 else ""
            self.errors.append(
                Diagnostic(CANNOT_TELL, ERROR, f"cannot verify its signature: {text}{more}", file=paths[0])
            )


class _Collector(RunObserver):
    """Passes on what happens, and keeps what is wrong with the tree itself."""

    _KINDS = ("dangling-link", "no-regular-file", "unreadable-file", "unreadable-external-directory")

    def __init__(self, observer: RunObserver) -> None:
        super().__init__(observer)
        self.problems: list[Diagnostic] = []

    @property
    def unread(self) -> list[Diagnostic]:
        """Those for which there may be modules that nobody saw."""
        return [problem for problem in self.problems if problem.code.startswith("unreadable-")]

    def diagnostic(self, diagnostic: Diagnostic) -> None:
        """Keep it if it is about files."""
        if diagnostic.severity != NOTE and diagnostic.code in self._KINDS:
            self.problems.append(diagnostic)
        super().diagnostic(diagnostic)


def _of_tail(tail: bytes) -> Answer:
    """Tell of a signature what can be told without keys: that there is none."""
    return _NOT_VERIFIED if tail.endswith(MAGIC) else _UNSIGNED


def _as_tuple(signature: ModuleSignature) -> Answer:
    return signature.state, signature.signer, signature.key_id, signature.key_source, signature.text


def _offers(path: str) -> Sequence[Offer]:
    """Return what a module exports, by the readers that check everything; nothing of a damaged one."""
    try:
        with ModuleFile(path) as file:
            return general_offers(elf_of(file))
    except Error:
        return ()


def _says_the_same(name: str, found: bytes, expected: bytes) -> bool:
    """Tell whether an index differs from what our depmod would write in no way that matters.

    kmod's modules.symbols is in the order of its hash table. Its binary indexes had another order of nodes before
    version 33, and were empty files when there was nothing to tell.
    """
    if name == "modules.symbols":
        return len(found) == len(expected) and sorted(found.split(b"\n")) == sorted(expected.split(b"\n"))
    if not name.endswith(".bin"):
        return False
    try:
        entries = list(Index(BytesSource(found)).dump()) if found else []
        return entries == list(Index(BytesSource(expected)).dump())
    except Error:
        return False


def _last_change(inputs: Inputs) -> int:
    """Return when a module or a directory of the tree was last changed (ns)."""
    latest = 0
    for path in [*inputs.real_paths, *inputs.directories, b""]:
        try:
            status = os.stat(inputs.full_path(path))
        except OSError:
            continue
        latest = max(latest, status.st_mtime_ns, 0 if path == b"" else status.st_ctime_ns)
    return latest
