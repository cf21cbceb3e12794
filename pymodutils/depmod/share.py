"""The work that two processes share: extracting facts from all modules, resolving, and making the files of aliases.

Each takes chunks of modules until none is left; then they exchange what they found, and each resolves its own. The
second makes modules.alias and its index while the first renders everything else. With one CPU, or when the second
process dies, the first does it all.
"""

from __future__ import annotations

import os
from itertools import islice
from struct import pack, unpack

from ..errors import FileError
from . import parallel, render
from .cache import take_stamps
from .extract import EXPORTS, INFOS, NEEDS, NO_STAMP, extract
from .factcodec import decode_facts, decode_fields, decode_stamps, encode_facts, encode_fields, encode_stamps
from .render import LeftOut
from .resolve import Resolution, direct_dependencies, find_owners, split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from .extract import Facts, Stamp

    Extract = tuple[Stamp, Facts]
    Known = Mapping[bytes, Extract]
    """Stamps and facts of an earlier run, by path."""
    Progress = Callable[[Callable[[], int], int], None]
    """Called often, with a function that tells how many modules have been read, and how many there are."""


class SharedWork:
    """Extraction, resolution and the alias files for modules with these `names` and `paths`; a context manager.

    `prefix` as in `resolve.find_owners`. Files that still have the stamp they have in `known` are not read. Raises
    `FileError` when `directory`, to which the paths are relative, cannot be opened.
    """

    def __init__(
        self, directory: str, names: Sequence[bytes], paths: Sequence[bytes], known: Known, prefix: bytes = b""
    ) -> None:
        self._names = names
        self._paths = paths
        self._prefix = prefix
        self._taken: dict[int, Extract] = {}  # by position
        self._helper: parallel.Helper | None = None
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, directory) from None
        if known:
            self._reuse(known)
        self._reused = list(self._taken)
        self._todo = [position for position in range(len(paths)) if position not in self._taken]
        self._tokens = parallel.Tokens(len(self._todo))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper:
            self._helper.stop()
        self._tokens.close()
        os.close(self._directory)

    def _reuse(self, known: Known) -> None:
        """Take over the facts of files that are still the same."""
        stamps = take_stamps(self._directory, self._paths)
        for position, path in enumerate(self._paths):
            found = known.get(path)
            if found is not None and found[0] == stamps[path] != NO_STAMP:
                self._taken[position] = found

    @property
    def reused(self) -> int:
        """How many modules were not read, as their facts were known."""
        return len(self._reused)

    # --- the first process

    def extract_all(self, progress: Progress | None = None) -> list[Extract]:
        """The stamps and facts of all modules, in order. From here on a second process may be at work."""
        if len(self._paths) >= 4 * parallel.MIN_CHUNK and parallel.processors() > 1:
            self._helper = parallel.start(self._help)
        mine = self._extract_share(progress)
        if self._helper:
            found = [(facts[EXPORTS], facts[INFOS]) for _, facts in mine.values()]
            self._helper.send(encode_fields([_encode_numbers(mine), *[field for pair in found for field in pair]]))
            message = self._helper.receive()
            if message is not None:
                self._taken.update(decode_extracts(message))
        return self._all()

    def resolve(self, facts: Sequence[Facts]) -> Resolution:
        """Owners and direct dependencies of all modules."""
        owners, duplicates = find_owners([fact[EXPORTS] for fact in facts], self._prefix)
        dependencies: list[list[int] | None] = [None] * len(facts)
        for position in self._own_share(first=True) if self._helper else range(len(facts)):
            dependencies[position] = direct_dependencies(facts[position][NEEDS], owners, self._prefix)
        message = self._helper.receive() if self._helper else None
        if message is not None:
            for position, direct in decode_dependencies(message).items():
                dependencies[position] = direct
        whole = [
            direct_dependencies(fact[NEEDS], owners, self._prefix) if direct is None else direct
            for direct, fact in zip(dependencies, facts, strict=True)
        ]
        return Resolution(owners, whole, duplicates)

    def alias_files(self, facts: Sequence[Facts]) -> tuple[dict[str, bytes], list[LeftOut]]:
        """modules.alias and its index, and what did not fit into it; from the second process if it lives."""
        message = self._helper.receive() if self._helper else None
        if message is None:
            return self._make_alias_files([fact[INFOS] for fact in facts])
        text, index, brackets, others = decode_fields(message)
        left_out = [LeftOut(key, True) for key in split(brackets)] + [LeftOut(key, False) for key in split(others)]
        return {"modules.alias": text, "modules.alias.bin": index}, left_out

    # --- the second process

    def _help(self, channel: parallel.Channel) -> None:
        channel.send(encode_extracts(self._extract_share()))
        message = channel.receive()
        if message is None:
            return
        positions, *fields = decode_fields(message)
        found = {position: (facts[EXPORTS], facts[INFOS]) for position, (_, facts) in self._taken.items()}
        found.update(zip(_decode_numbers(positions), zip(fields[::2], fields[1::2], strict=True), strict=True))
        exports, infos = zip(*[found[position] for position in range(len(self._paths))], strict=True)
        owners, _ = find_owners(exports, self._prefix)
        channel.send(
            encode_dependencies(
                {
                    position: direct_dependencies(self._taken[position][1][NEEDS], owners, self._prefix)
                    for position in self._own_share(first=False)
                }
            )
        )
        files, left_out = self._make_alias_files(infos)
        brackets = b"\0".join([item.key for item in left_out if item.bracket])
        others = b"\0".join([item.key for item in left_out if not item.bracket])
        channel.send(encode_fields([*files.values(), brackets, others]))

    # --- both

    def _extract_share(self, progress: Progress | None = None) -> dict[int, Extract]:
        """Extract chunk after chunk as long as there are any."""
        mine = {}
        total = len(self._todo)
        for chunk in self._tokens:
            for number in chunk:
                position = self._todo[number]
                mine[position] = extract(self._directory, self._paths[position])
            if progress:
                progress(lambda: total - self._tokens.left(), total)
        self._taken.update(mine)
        self._mine = mine
        return mine

    def _own_share(self, *, first: bool) -> list[int]:
        """The modules that this process resolves: those it extracted, and half of those that none had to."""
        half = len(self._reused) // 2
        return [*self._mine, *(self._reused[:half] if first else self._reused[half:])]

    def _all(self) -> list[Extract]:
        """Everything in order; what a dead process took with it is extracted here."""
        taken = self._taken
        return [
            taken[position] if position in taken else extract(self._directory, path)
            for position, path in enumerate(self._paths)
        ]

    def _make_alias_files(self, infos: Sequence[bytes]) -> tuple[dict[str, bytes], list[LeftOut]]:
        left_out: list[LeftOut] = []
        return {
            "modules.alias": render.alias_text(self._names, infos),
            "modules.alias.bin": render.alias_index(self._names, infos, left_out),
        }, left_out


def encode_extracts(extracts: dict[int, Extract]) -> bytes:
    """Positions, stamps and facts as one string."""
    stamps = encode_stamps([stamp for stamp, _ in extracts.values()])
    return encode_fields([_encode_numbers(extracts), stamps, encode_facts([facts for _, facts in extracts.values()])])


def decode_extracts(data: bytes) -> dict[int, Extract]:
    """The inverse of `encode_extracts`. Raises `FormatError`."""
    positions, stamps, facts = decode_fields(data)
    pairs = zip(decode_stamps(stamps), decode_facts(facts), strict=True)
    return dict(zip(_decode_numbers(positions), pairs, strict=True))


def encode_dependencies(dependencies: Mapping[int, Sequence[int]]) -> bytes:
    """Positions, how many modules each depends on, and these."""
    counts = [len(direct) for direct in dependencies.values()]
    flat = [other for direct in dependencies.values() for other in direct]
    return encode_fields([_encode_numbers(dependencies), _encode_numbers(counts), _encode_numbers(flat)])


def decode_dependencies(data: bytes) -> dict[int, list[int]]:
    """The inverse of `encode_dependencies`. Raises `FormatError`."""
    positions, counts, flat = map(_decode_numbers, decode_fields(data))
    take = iter(flat)
    return {position: list(islice(take, count)) for position, count in zip(positions, counts, strict=True)}


def _encode_numbers(numbers: Collection[int]) -> bytes:
    return pack(f"<{len(numbers)}I", *numbers)


def _decode_numbers(data: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(data) // 4}I", data)
