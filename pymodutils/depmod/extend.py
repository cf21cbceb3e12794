# SPDX-License-Identifier: LGPL-2.1-or-later
"""Make the indexes of a module directory with others laid over it, from its own indexes and their modules.

The text indexes tell of the base's modules nearly all that depmod has to know: their order, what each needs directly or
not, the module that each symbol is taken from, and all aliases. They do not tell which symbols a module needs, and of a
symbol that several export only the last one. Where that decides something, some modules of the base are read, or all of
them: `Unknown` names these cases.
"""

from __future__ import annotations

import os
import stat

from ..errors import FileError
from ..formats.pieces import join_many
from ..records import Record
from ..state.files import read_or_none
from . import render
from .extract import extract_names
from .info_files import make_alias_index, make_info_texts
from .inputs import BUILD_FILES, Inputs, read_build_file
from .order import full_dependencies
from .pipeline import incomplete_device, render_builtin
from .resolve import find_owners, look_up_names
from .scan import choose, module_name, sort_modules, walk

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from ..diagnostics import Diagnostic
    from ..formats.elf_fast import RawFacts
    from .scan import Duplicate, NamedPath
    from .settings import DepmodSettings

TEXTS = ("modules.dep", "modules.alias", "modules.softdep", "modules.weakdep", "modules.symbols")
_WHITEOUT = f"{stat.S_IFCHR:o}"


class Unknown(Exception):
    """Tells that the base's indexes leave something open that its modules decide, and what: an answer, no error."""


class BaseIndexes(Record):
    """What the text indexes of the base tell.

    `paths` are those of the modules in their order, `needed` what each needs, directly or not, in the order of
    modules.dep; modules are numbers. `owners` has the module's name for each symbol, `infos` the .modinfo strings of
    each module.
    """

    paths: list[bytes]
    names: list[bytes]
    needed: list[list[int]]
    owners: dict[bytes, bytes]
    infos: list[bytes]


def read_base(directory: str) -> BaseIndexes:
    """Read the text indexes of a module directory. Raises `Unknown` and `FileError`."""
    texts = {}
    for name in TEXTS:
        data = read_or_none(f"{directory}/{name}")
        if data is None:
            if name == "modules.dep":
                raise FileError("there are no indexes to begin with: let depmod make them", path=f"{directory}/{name}")
            raise Unknown(f"the base has no {name}")
        texts[name] = data
    lines = [line.partition(b":") for line in texts["modules.dep"].split(b"\n") if line]
    paths = [path for path, _, _ in lines]
    numbers = {path: number for number, path in enumerate(paths)}
    names = list(map(module_name, paths))
    try:
        needed = [[numbers[other] for other in rest.split()] for _, _, rest in lines]
        infos = _infos(names, texts)
    except (KeyError, ValueError):
        raise Unknown("an index of the base is damaged, or names a module that modules.dep has not") from None
    if len(set(names)) < len(names):
        raise Unknown("modules.dep of the base has two modules of one name")
    owners = dict(_pairs(texts["modules.symbols"], b"alias symbol:"))
    return BaseIndexes(paths, names, needed, owners, infos)


def _pairs(text: bytes, start: bytes) -> Iterable[tuple[bytes, bytes]]:
    """Yield what stands between `start` and the last word of each line, and that word."""
    for line in text.split(b"\n"):
        if line.startswith(start):
            value, _, name = line[len(start) :].rpartition(b" ")
            yield value, name


def _infos(names: Sequence[bytes], texts: Mapping[str, bytes]) -> list[bytes]:
    """Return the .modinfo strings of each module. Raises KeyError and ValueError for what depmod did not write."""
    found: dict[bytes, list[bytes]] = {name: [] for name in names}
    for value, name in _pairs(texts["modules.alias"], b"alias "):
        found[name].append(b"alias=" + value)
    for kind in (b"softdep", b"weakdep"):
        for line in texts[f"modules.{kind.decode()}"].split(b"\n"):
            if line.startswith(kind):
                _, name, value = line.split(b" ", 2)
                found[name].append(kind + b"=" + value)
    infos = [b"\0".join(found[name]) for name in names]
    if render.alias_text(names, infos) != texts["modules.alias"]:
        raise ValueError
    return infos


class Overlaid(Record):
    """A base with what lies over it: the merged inputs, and which of their modules are the overlays' own.

    `changed` are the names of the base's modules that are not there any more, or are another file.
    """

    inputs: Inputs
    own: frozenset[bytes]
    changed: frozenset[bytes]
    problems: list[Diagnostic]


def lay_over(base: str, base_paths: Sequence[bytes], overlays: Sequence[str], settings: DepmodSettings) -> Overlaid:
    """Lay module directories over the base, the last one on top. Raises `FileError`.

    A whiteout, as overlayfs has it, hides a file. A module of the base of which the file is gone counts as hidden, too.
    """
    problems: list[Diagnostic] = []
    elsewhere: dict[bytes, bytes] = {}
    hidden: set[bytes] = set()
    for overlay in overlays:
        _add_overlay(os.fsencode(overlay), settings, elsewhere, hidden, problems)
    here = os.fsencode(base)
    there = [path for path in base_paths if path not in hidden and os.path.isfile(os.path.join(here, path))]
    modules = {path for path in elsewhere if path not in map(os.fsencode, BUILD_FILES)}
    paths = sorted({*there, *modules})
    found: list[NamedPath] = [(module_name(path), path) for path in paths]
    duplicates: list[Duplicate] = []
    if len(dict(found)) < len(found):
        found, duplicates = choose(found, settings, here)
    order_file = elsewhere.get(b"modules.order", here + b"/modules.order")
    order = read_build_file(os.path.dirname(os.fsdecode(order_file)), "modules.order", problems)
    found = sort_modules(found, order, os.fsdecode(order_file), problems)
    own = frozenset(path for _, path in found if path in modules)
    unchanged = {path for _, path in found} - own
    changed = frozenset(module_name(path) for path in base_paths if path not in unchanged)
    return Overlaid(Inputs(base, found, duplicates, [], elsewhere), own, changed, problems)


def _add_overlay(
    overlay: bytes, settings: DepmodSettings, elsewhere: dict[bytes, bytes], hidden: set[bytes],
    problems: list[Diagnostic],
) -> None:  # fmt: skip
    below = len(overlay) + 1
    found: list[Diagnostic] = []
    for entry in walk(overlay, settings.excluded, found, []):
        path = entry.path[below:]
        elsewhere[path] = os.path.abspath(entry.path)
        hidden.discard(path)
    for problem in found:
        file = os.fsencode(problem.file or "")
        if problem.code == "no-regular-file" and problem.subject == _WHITEOUT and os.stat(file).st_rdev == 0:
            hidden.add(file[below:])
            elsewhere.pop(file[below:], None)
        else:
            problems.append(problem)
    for name in map(os.fsencode, BUILD_FILES):
        if os.path.isfile(overlay + b"/" + name):
            elsewhere[name] = os.path.abspath(overlay + b"/" + name)


class Extension:
    """Makes the indexes of what `Overlaid` describes, and reads no more of the base than it must.

    With `trusted`, no module of the base needs a symbol that the base's modules lack and an overlay exports: true of
    any kernel as it was built, where such a symbol is the kernel's own. Raises `Unknown` and `CycleError`.
    """

    def __init__(self, base: BaseIndexes, merged: Overlaid, *, trusted: bool) -> None:
        self.read_of_base: int = 0
        """How many modules of the base were read."""
        self.failures: list[tuple[bytes, bytes]] = []
        """Paths of overlay modules that are not readable, and why, as in `ModuleFacts`."""
        self._base = base
        self._merged = merged
        self._inputs = merged.inputs
        self._names = merged.inputs.names
        self._paths = merged.inputs.paths
        self._number = {name: number for number, name in enumerate(self._names)}
        self._in_base = {name: number for number, name in enumerate(base.names)}
        self._own = [number for number, path in enumerate(self._paths) if path in merged.own]
        self._facts = {number: self._read(number) for number in self._own}
        self._check_order()
        self._owners = self._merge_owners(trusted=trusted)
        self._direct: dict[int, list[int]] = {number: self._direct_of(facts) for number, facts in self._facts.items()}

    def files(self) -> tuple[dict[str, bytes], list[Diagnostic]]:
        """Return the bytes of each file, and what did not fit into them."""
        names = self._names
        lines = render.dep_lines(self._paths, full_dependencies(self._dependencies(), names, None, self._sort_freed))
        infos = self._infos()
        owners = self._owners
        dep_index, rejected = render.make_dep_index(names, lines)
        files = {
            "modules.dep": join_many([line + b"\n" for line in lines]),
            "modules.dep.bin": dep_index,
            "modules.symbols": render.symbol_text(names, owners),
            "modules.symbols.bin": render.symbol_index(names, owners, rejected),
        }
        texts, incomplete = make_info_texts(names, infos)
        index, unfit = make_alias_index(names, infos)
        builtin, problems = render_builtin(self._inputs)
        files |= {**texts, "modules.alias.bin": index, **builtin}
        problems = [*(key.diagnostic() for key in (*rejected, *unfit)), *problems, *map(incomplete_device, incomplete)]
        return {name: files[name] for name in render.FILES}, problems

    # --- reading

    def _read(self, number: int) -> RawFacts:
        path = os.fsencode(self._inputs.full_path(self._paths[number]))
        directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            facts, failure = extract_names(directory, path)
        finally:
            os.close(directory)
        if failure:
            self.failures.append((path, failure))
        return facts

    def _read_of_base(self, number: int) -> list[int]:
        """Return the direct dependencies of a module of the base, which is read."""
        if number not in self._direct:
            self.read_of_base += 1
            self._direct[number] = self._direct_of(self._read(number))
        return self._direct[number]

    def _direct_of(self, facts: RawFacts) -> list[int]:
        found = map(self._owners.get, look_up_names(list(facts.needs), b""))
        return [number for number in dict.fromkeys(found) if number is not None]

    # --- what decides

    def _check_order(self) -> None:
        """Raise `Unknown` if modules of the base come in another order now, where that may decide something.

        Of modules that export a symbol twice the base names only the last: it has to stay behind all that were before.
        """
        exporting = set(self._base.owners.values())
        last = -1
        for name in self._base.names:
            number = self._number.get(name, last)
            if name in self._merged.changed:
                if number < last and name in exporting:
                    raise Unknown(f"{os.fsdecode(name)} comes before modules that may export what it exports")
            elif number < last:
                raise Unknown("modules of the base come in another order")
            else:
                last = number

    def _merge_owners(self, *, trusted: bool) -> dict[bytes, int]:
        exported, _twice = find_owners([self._facts[number].exports for number in self._own])
        owners: dict[bytes, int] = {}
        lost = self._merged.changed
        for symbol, name in self._base.owners.items():
            number = self._number.get(name)
            if name not in lost and number is not None:
                owners[symbol] = number
            elif symbol not in exported or number is None or self._own[exported[symbol]] < number:
                # The base tells of no other module of its own that exports it, too.
                raise Unknown(f"{os.fsdecode(name)} does not export {os.fsdecode(symbol)} any more: another may")
        self._taken: set[bytes] = set()
        for symbol, position in exported.items():
            number = self._own[position]
            before = owners.get(symbol)
            if before is None and symbol not in self._base.owners and not trusted:
                raise Unknown(f"an overlay exports {os.fsdecode(symbol)}, which some module of the base may need")
            if before is None or before < number:
                if symbol in self._base.owners:
                    self._taken.add(self._base.owners[symbol])
                owners[symbol] = number
        return owners

    def _dependencies(self) -> list[list[int]]:
        """Return what each module needs: directly if it was read, else directly or not."""
        base = self._base
        suspect = {self._in_base[name] for name in (*self._merged.changed, *self._taken) if name in self._in_base}
        found: list[list[int]] = []
        for number, name in enumerate(self._names):
            if number in self._direct:
                found.append(self._direct[number])
                continue
            needed = base.needed[self._in_base[name]]
            if suspect.isdisjoint(needed):
                found.append([self._number[base.names[other]] for other in needed])
            else:
                found.append(self._read_of_base(number))
        self._ties = _ties(base)
        return found

    def _sort_freed(self, module: int, freed: list[int]) -> None:
        """Put dependencies of a module in the order of first need: as they were in the base, or by reading it."""
        name = self._names[module]
        if module not in self._direct:
            known = self._ties.get(self._in_base[name], [])
            place = {self._number[self._base.names[other]]: at for at, other in enumerate(known)}
            if place.keys() >= set(freed):
                freed.sort(key=place.__getitem__)
                return
        freed.sort(key=self._read_of_base(module).index)

    def _infos(self) -> list[bytes]:
        base = self._base
        return [
            self._facts[number].infos if number in self._facts else base.infos[self._in_base[name]]
            for number, name in enumerate(self._names)
        ]


def _ties(base: BaseIndexes) -> dict[int, list[int]]:
    """Return the dependencies of modules of the base that became free together, in the order of first need.

    What is first needed of them comes last in modules.dep. Raises `Unknown` if that is not in the order in which depmod
    writes it.
    """
    found: dict[int, list[int]] = {}
    places = [{other: place for place, other in enumerate(needed)} for needed in base.needed]

    def sort_freed(module: int, freed: list[int]) -> None:
        freed.sort(key=places[module].__getitem__, reverse=True)
        found[module] = list(freed)

    if full_dependencies(base.needed, base.names, None, sort_freed) != base.needed:
        raise Unknown("modules.dep of the base is not in the order of depmod")
    return found
