# SPDX-License-Identifier: LGPL-2.1-or-later
"""The first process: share with a helper the extracting, and the making of files from .modinfo strings alone.

Each takes chunks of modules until none is left; then they exchange what they found, and the helper makes modules.alias
and the like while the first process resolves and renders everything else, but for modules.dep.bin: by the time that its
lines are known, the helper has less left to do. Where little has to be read, the helper makes no files but
modules.alias.bin, the largest of all, and modules.dep.bin. With one CPU, or when the helper dies, the first process
does it all. `helper.py` is the other side.
"""

from __future__ import annotations

from . import helper, parallel
from .extractor import WORTH_A_PROCESS, Extractor
from .info_files import infos_of, make_alias_index, make_info_texts
from .messages import decode_extracts, decode_index_file, decode_info_texts, encode_infos, encode_lines
from .render import make_dep_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

    from .extractor import Progress
    from .facts import Extract, ModuleFacts
    from .info_files import InfoTexts
    from .render import IndexFile, RejectedKey
    from .versions import Versions


class SharedWork:
    """What is to be done for modules with these `names`, whose facts `extractor` finds; a context manager."""

    def __init__(self, names: Sequence[bytes], extractor: Extractor) -> None:
        self._names = names
        self._extractor = extractor
        self._new_symbols: list[bytes] = []
        self._helper_symbols: list[bytes] = []  # those that the helper gave ids
        self._helper: parallel.Helper | None = None
        self._helper_makes_texts = False
        self._makes_info_files = False
        self._dep_lines: Sequence[bytes] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._helper:
            self._helper.stop()
        self._extractor.close()

    def extract_all(self, progress: Progress | None = None) -> list[Extract]:
        """Return the stamps and facts of all modules, in order. From here on a helper may be at work."""
        extractor = self._extractor
        if extractor.is_much and parallel.processors() > 1:
            self._helper = self._start_helper()
            self._helper_makes_texts = self._helper is not None
        mine = extractor.extract_chunks(progress)
        if self._helper:
            self._helper.send(encode_infos({position: facts.infos for position, (_, facts) in mine.items()}))
        self._new_symbols = extractor.symbols.new_names()
        if self._helper:
            message = self._helper.receive()
            if message is None:
                extractor.extract_missing()
                self._new_symbols = extractor.symbols.new_names()
            else:
                found, self._helper_symbols, versions = decode_extracts(message)
                extractor.taken.update(found)
                extractor.versions.update(versions)
        return [extractor.taken[position] for position in range(len(self._names))]

    def _start_helper(self) -> parallel.Helper | None:
        try:
            self._extractor.share()
        except OSError:
            return None
        return parallel.start(lambda channel: helper.help_extracting(channel, self._names, self._extractor))

    def symbol_names(self) -> list[bytes]:
        """Return the names of needed symbols by id."""
        return self._extractor.symbols.all_names(self._new_symbols, self._helper_symbols)

    def undefined_symbols(self, position: int) -> Sequence[bytes]:
        """Return the undefined symbols of one module in the order of its symbol table."""
        return self._extractor.undefined_symbols(position)

    @property
    def versions(self) -> dict[int, Versions]:
        """Versions of symbols by module, as far as they were taken with the facts."""
        return self._extractor.versions

    def begin_info_files(self, facts: Sequence[ModuleFacts]) -> None:
        """Let a helper make modules.alias.bin at least, if there is none yet that makes all files."""
        self._makes_info_files = True
        if self._helper is None and len(facts) >= WORTH_A_PROCESS and parallel.processors() > 1:
            infos = infos_of(facts)
            self._helper = parallel.start(lambda channel: helper.make_indexes(channel, self._names, infos))

    def let_help(self, helper: parallel.Helper) -> None:
        """Take the files made of .modinfo strings from a helper that has been started and told all it needs."""
        self._helper = helper
        self._makes_info_files = self._helper_makes_texts = True

    def begin_dep_index(self, lines: Sequence[bytes]) -> None:
        """Let the helper make modules.dep.bin of its lines, if it makes the files that come from .modinfo strings."""
        self._dep_lines = lines
        if self._helper and self._makes_info_files:
            self._helper.send(encode_lines(lines))

    def dep_index(self) -> IndexFile:
        """Return modules.dep.bin, which was begun. `info_files` comes before, if these are made."""
        message = self._helper.receive() if self._helper and self._makes_info_files else None
        return make_dep_index(self._names, self._dep_lines) if message is None else decode_index_file(message)

    def info_files(
        self, facts: Sequence[ModuleFacts]
    ) -> tuple[dict[str, bytes], list[tuple[bytes, bytes]], list[RejectedKey]]:
        """Return the files made of .modinfo strings, and what did not fit: as in `InfoTexts` and `IndexFile`."""
        files, incomplete = self._info_texts(facts)
        files["modules.alias.bin"], rejected = self._alias_index(facts)
        return files, incomplete, rejected

    def _info_texts(self, facts: Sequence[ModuleFacts]) -> InfoTexts:
        # From the helper if it has helped from the beginning.
        message = self._helper.receive() if self._helper and self._helper_makes_texts else None
        return make_info_texts(self._names, infos_of(facts)) if message is None else decode_info_texts(message)

    def _alias_index(self, facts: Sequence[ModuleFacts]) -> IndexFile:
        # From the helper if it lives.
        message = self._helper.receive() if self._helper else None
        return make_alias_index(self._names, infos_of(facts)) if message is None else decode_index_file(message)
