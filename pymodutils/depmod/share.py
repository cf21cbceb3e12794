"""The work that two processes share: extracting facts from all modules, and making the files of aliases.

Each takes chunks of modules until none is left; then they exchange what they found, and the second makes modules.alias
and its index while the first resolves and renders everything else. With one CPU, or when the second process dies, the
first does it all.
"""

from __future__ import annotations

import os
from struct import pack, unpack

from ..errors import FileError
from . import parallel, render
from .cache import take_stamps
from .extract import INFOS, NO_STAMP, extract
from .factcodec import decode_facts, decode_fields, decode_stamps, encode_facts, encode_fields, encode_stamps
from .render import LeftOut
from .resolve import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from .extract import Facts, Stamp

    Extract = tuple[Stamp, Facts]
    Known = Mapping[bytes, Extract]
    """Stamps and facts of an earlier run, by path."""
    Progress = Callable[[int, int], None]
    """Called now and then with how many modules have been read, of how many."""


class SharedWork:
    """Extraction and the alias files for modules with these `names` and `paths`; a context manager.

    Files that still have the stamp they have in `known` are not read. Raises `FileError` when `directory`, to which the
    paths are relative, cannot be opened.
    """

    def __init__(self, directory: str, names: Sequence[bytes], paths: Sequence[bytes], known: Known) -> None:
        self._names = names
        self._paths = paths
        self._taken: dict[int, Extract] = {}  # by position
        self._helper: parallel.Helper | None = None
        try:
            self._directory = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, directory) from None
        if known:
            self._reuse(known)
        self.reused = len(self._taken)
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

    # --- the first process

    def extract_all(self, progress: Progress | None = None) -> list[Extract]:
        """The stamps and facts of all modules, in order. From here on a second process may be at work."""
        if len(self._paths) >= 4 * parallel.MIN_CHUNK and parallel.processors() > 1:
            self._helper = parallel.start(self._help)
        mine = self._extract_share(progress)
        if self._helper:
            infos = [facts[INFOS] for _, facts in mine.values()]
            self._helper.send(encode_fields([_encode_positions(mine), *infos]))
            message = self._helper.receive()
            if message is not None:
                self._taken.update(decode_extracts(message))
        return self._all()

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
        positions, *infos = decode_fields(message)
        own = {position: facts[INFOS] for position, (_, facts) in self._taken.items()}
        own.update(zip(_decode_positions(positions), infos, strict=True))
        files, left_out = self._make_alias_files([own[position] for position in range(len(self._paths))])
        brackets = b"\0".join([item.key for item in left_out if item.bracket])
        others = b"\0".join([item.key for item in left_out if not item.bracket])
        channel.send(encode_fields([*files.values(), brackets, others]))

    # --- both

    def _extract_share(self, progress: Progress | None = None) -> dict[int, Extract]:
        """Extract chunk after chunk as long as there are any."""
        mine = {}
        for chunk in self._tokens:
            for number in chunk:
                position = self._todo[number]
                mine[position] = extract(self._directory, self._paths[position])
            if progress:
                progress(len(self._todo) - self._tokens.left(), len(self._todo))
        self._taken.update(mine)
        return mine

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
    return encode_fields([_encode_positions(extracts), stamps, encode_facts([facts for _, facts in extracts.values()])])


def decode_extracts(data: bytes) -> dict[int, Extract]:
    """The inverse of `encode_extracts`. Raises `FormatError`."""
    positions, stamps, facts = decode_fields(data)
    pairs = zip(decode_stamps(stamps), decode_facts(facts), strict=True)
    return dict(zip(_decode_positions(positions), pairs, strict=True))


def _encode_positions(positions: Collection[int]) -> bytes:
    return pack(f"<{len(positions)}I", *positions)


def _decode_positions(data: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(data) // 4}I", data)
