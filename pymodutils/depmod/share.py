"""The work that two processes share: extracting facts from all modules, and the files made of .modinfo strings alone.

Each takes chunks of modules until none is left; then they exchange what they found, and the second makes modules.alias
and the like while the first resolves and renders everything else. Where little has to be read, the second makes only
modules.alias.bin, the largest of all. With one CPU, or when the second process dies, the first does it all.
"""

from __future__ import annotations

import os
from struct import pack, unpack

from ..errors import FileError
from . import parallel, render
from .extract import INFOS, ORDER, extract, undefined_symbols
from .factcodec import decode_fields, decode_names, encode_fields, encode_names, facts_of, fields_of
from .render import LeftOut
from .resolve import split
from .stamps import decode_stamps, encode_stamps, take_stamps
from .symbol_numbers import SymbolNumbers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from types import TracebackType
    from typing import Self

    from .cache import Extract, Known
    from .extract import Facts

    Progress = Callable[[Callable[[], int], int], None]
    """Called often, with a function that tells how many modules have been read, and how many there are."""
    InfoTexts = tuple[dict[str, bytes], list[tuple[bytes, bytes]]]
    """The files, and (module, device file) without numbers."""
    AliasIndex = tuple[bytes, list[LeftOut]]
    """The file, and what did not fit into it."""

WORTH_A_PROCESS = 4 * parallel.MIN_CHUNK
"""Modules from which on a second process is worth its start."""


class SharedWork:
    """What is to be done for modules with these `names` and `paths`; a context manager.

    Files that still have the stamp they have in `known` are not read. Raises `FileError` when `directory`, to which the
    paths are relative, cannot be opened. Stamps are taken only if `stamped`; no facts are shuffled if `in_order`.
    """

    def __init__(
        self,
        directory: str,
        names: Sequence[bytes],
        paths: Sequence[bytes],
        known: Known,
        *,
        stamped: bool,
        in_order: bool,
    ) -> None:
        self._stamped = stamped
        self._in_order = in_order
        self._names = names
        self._paths = paths
        self._known = known.extracts
        self._taken: dict[int, Extract] = {}  # by position
        self._new_symbols: list[bytes] = []
        self._other_symbols: list[bytes] = []  # those that the second process gave numbers
        self._helper: parallel.Helper | None = None
        self._helper_makes_texts = False
        try:
            # Files outside may be meant although there is no module directory.
            outside = all(path.startswith(b"/") for path in paths)
            self._directory = os.open("/" if outside else directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise FileError.of(error, directory) from None
        if self._known:
            self._reuse()
        self.reused = len(self._taken)
        self._todo = [position for position in range(len(paths)) if position not in self._taken]
        self._tokens = parallel.Tokens(len(self._todo))
        self._symbols = SymbolNumbers(known.symbols, look_up=len(self._todo) >= WORTH_A_PROCESS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper:
            self._helper.stop()
        self._tokens.close()
        os.close(self._directory)

    def _reuse(self) -> None:
        """Take over the facts of files that are still the same."""
        stamps = take_stamps(self._directory, self._paths)
        for position, path in enumerate(self._paths):
            found = self._known.get(path)
            if found is None or (self._in_order and found[1][ORDER]):
                continue
            if found[0] == stamps[path]:
                self._taken[position] = found

    # --- the first process

    def extract_all(self, progress: Progress | None = None) -> list[Extract]:
        """The stamps and facts of all modules, in order. From here on a second process may be at work."""
        if len(self._todo) >= WORTH_A_PROCESS and parallel.processors() > 1:
            self._helper = self._start_sharing()
            self._helper_makes_texts = True
        mine = self._extract_share(progress)
        if self._helper:
            infos = [facts[INFOS] for _, facts in mine.values()]
            self._helper.send(encode_fields([_encode_numbers(mine), *infos]))
        self._new_symbols = self._symbols.new_names()
        if self._helper:
            message = self._helper.receive()
            if message is None:
                self._make_up_for_helper()
            else:
                found, self._other_symbols = decode_extracts(message)
                self._taken.update(found)
        return [self._taken[position] for position in range(len(self._paths))]

    def _start_sharing(self) -> parallel.Helper | None:
        try:
            self._tokens.share()
        except OSError:
            return None
        return parallel.start(self._help)

    def _make_up_for_helper(self) -> None:
        """Extract what a dead process took with it."""
        missing = [position for position in range(len(self._paths)) if position not in self._taken]
        self._taken.update({position: self._extract(position) for position in missing})
        self._new_symbols = self._symbols.new_names()

    def symbol_names(self) -> list[bytes]:
        """The names of needed symbols by number."""
        return self._symbols.all_names(self._new_symbols, self._other_symbols)

    def begin_info_files(self, facts: Sequence[Facts]) -> None:
        """Let a second process make modules.alias.bin at least, if there is none yet that makes all of them."""
        if self._helper is None and len(facts) >= WORTH_A_PROCESS and parallel.processors() > 1:
            self._helper = parallel.start(lambda channel: self._send_alias_index(channel, facts_infos(facts)))

    def info_files(self, facts: Sequence[Facts]) -> tuple[dict[str, bytes], list[tuple[bytes, bytes]], list[LeftOut]]:
        """The files made of .modinfo strings, and what did not fit: as in `InfoTexts` and `AliasIndex`."""
        files, incomplete = self._info_texts(facts)
        files["modules.alias.bin"], left_out = self._alias_index(facts)
        return files, incomplete, left_out

    def _info_texts(self, facts: Sequence[Facts]) -> InfoTexts:
        """From the second process if it has helped from the beginning."""
        message = self._helper.receive() if self._helper and self._helper_makes_texts else None
        return self._make_info_texts(facts_infos(facts)) if message is None else decode_info_texts(message)

    def _alias_index(self, facts: Sequence[Facts]) -> AliasIndex:
        """From the second process if it lives."""
        message = self._helper.receive() if self._helper else None
        return self._make_alias_index(facts_infos(facts)) if message is None else decode_alias_index(message)

    def undefined_symbols(self, position: int) -> Sequence[bytes]:
        """The undefined symbols of one module in the order of its symbol table."""
        return undefined_symbols(self._directory, self._paths[position])

    # --- the second process

    def _help(self, channel: parallel.Channel) -> None:
        self._symbols.take_turn(1)
        mine = self._extract_share()
        channel.send(encode_extracts(mine, self._symbols.new_names()))
        message = channel.receive()
        if message is None:
            return
        positions, *infos = decode_fields(message)
        found = {position: facts[INFOS] for position, (_, facts) in self._taken.items()}
        found.update(zip(_decode_numbers(positions), infos, strict=True))
        everything = [found[position] for position in range(len(self._paths))]
        channel.send(encode_info_texts(self._make_info_texts(everything)))
        self._send_alias_index(channel, everything)

    def _send_alias_index(self, channel: parallel.Channel, infos: Sequence[bytes]) -> None:
        channel.send(encode_alias_index(self._make_alias_index(infos)))

    # --- both

    def _extract_share(self, progress: Progress | None = None) -> dict[int, Extract]:
        """Extract chunk after chunk as long as there are any."""
        mine = {}
        total = len(self._todo)
        for chunk in self._tokens:
            for number in chunk:
                position = self._todo[number]
                mine[position] = self._extract(position)
            if progress:
                progress(lambda: total - self._tokens.left(), total)
        self._taken.update(mine)
        return mine

    def _extract(self, position: int) -> Extract:
        path = self._paths[position]
        before = self._known.get(path)
        in_order = self._in_order or (before is not None and not before[1][ORDER])  # then it decided something
        return extract(self._directory, path, self._symbols, stamped=self._stamped, in_order=in_order)

    def _make_info_texts(self, infos: Sequence[bytes]) -> InfoTexts:
        names = self._names
        incomplete: list[tuple[bytes, bytes]] = []
        files = {
            "modules.alias": render.alias_text(names, infos),
            "modules.softdep": render.info_text(render.SOFTDEP_TITLE, b"softdep", names, infos),
            "modules.weakdep": render.info_text(render.WEAKDEP_TITLE, b"weakdep", names, infos),
            "modules.devname": render.devname_text(names, infos, incomplete),
        }
        return files, incomplete

    def _make_alias_index(self, infos: Sequence[bytes]) -> AliasIndex:
        left_out: list[LeftOut] = []
        return render.alias_index(self._names, infos, left_out), left_out


def facts_infos(facts: Sequence[Facts]) -> list[bytes]:
    """The .modinfo strings of each module."""
    return [fact[INFOS] for fact in facts]


def encode_info_texts(made: InfoTexts) -> bytes:
    """As one string."""
    files, incomplete = made
    devices = b"\0".join([part for pair in incomplete for part in pair])
    return encode_fields([b"\0".join(map(os.fsencode, files)), devices, *files.values()])


def decode_info_texts(data: bytes) -> InfoTexts:
    """The inverse of `encode_info_texts`. Raises `FormatError`."""
    names, devices, *contents = decode_fields(data)
    parts = iter(split(devices))
    files = dict(zip(map(os.fsdecode, names.split(b"\0")), contents, strict=True))
    return files, list(zip(parts, parts, strict=True))


def encode_alias_index(made: AliasIndex) -> bytes:
    """As one string."""
    data, left_out = made
    brackets = [item.key for item in left_out if item.bracket]
    others = [item.key for item in left_out if not item.bracket]
    return encode_fields([b"\0".join(brackets), b"\0".join(others), data])


def decode_alias_index(message: bytes) -> AliasIndex:
    """The inverse of `encode_alias_index`. Raises `FormatError`."""
    brackets, others, data = decode_fields(message)
    return data, [LeftOut(key, True) for key in split(brackets)] + [LeftOut(key, False) for key in split(others)]


def encode_extracts(extracts: dict[int, Extract], symbols: Sequence[bytes]) -> bytes:
    """Positions, stamps and facts, and the names of symbols, as one string."""
    stamps = encode_stamps([stamp for stamp, _ in extracts.values()])
    facts = fields_of([facts for _, facts in extracts.values()])
    return encode_fields([_encode_numbers(extracts), stamps, encode_names(symbols), *facts])


def decode_extracts(data: bytes) -> tuple[dict[int, Extract], list[bytes]]:
    """The inverse of `encode_extracts`. Raises `FormatError`."""
    positions, stamps, symbols, *fields = decode_fields(data)
    pairs = zip(decode_stamps(stamps), facts_of(fields), strict=True)
    return dict(zip(_decode_numbers(positions), pairs, strict=True)), decode_names(symbols)


def _encode_numbers(numbers: Collection[int]) -> bytes:
    return pack(f"<{len(numbers)}I", *numbers)


def _decode_numbers(data: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(data) // 4}I", data)
