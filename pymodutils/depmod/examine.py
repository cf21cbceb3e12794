# SPDX-License-Identifier: LGPL-2.1-or-later
"""Read all modules once, on all CPUs, for what verification and depmod's files need; then make these files.

Each process takes chunks of modules until none is left, and marshals what it found for the first. A needed symbol with
its version is a key (`elf_linkage.key`), and a key has an id: most modules need the same few, so that what is true of a
key has to be found out once.
"""

from __future__ import annotations

import marshal
import os
from itertools import count

from ..errors import Error, FileError
from ..formats.compression import MOST_MODULE_BYTES, detect
from ..formats.elf_linkage import NOTHING, read_general_linkage, read_image_linkage, read_linkage
from ..formats.signeddata import TAIL
from ..formats.source import BytesSource, FileSource
from ..records import Record
from . import parallel
from .cache import NO_CACHED_FACTS
from .extract import OPEN_FLAGS, read_whole
from .extractor import WORTH_A_PROCESS, Extractor
from .facts import ModuleFacts, encode_failure
from .findings import Findings
from .helper import help_rendering
from .messages import decode_infos, encode_infos
from .pipeline import BuildRequest, render_builtin, resolve_and_render
from .share import SharedWork
from .symbol_ids import packer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections import defaultdict
    from collections.abc import Callable, Sequence

    from ..formats.elf_linkage import Linkage, Offer
    from .inputs import Inputs
    from .observer import RunObserver
    from .resolve import Resolution

    Answer = tuple[str | None, ...]
    """What is said of a signature."""
    CheckImage = Callable[[bytes], Answer]
    """Tells of the signature of a whole module."""
    CheckTail = Callable[[bytes], Answer]
    """Tells of it what the last bytes of a module show, `TAIL` or more."""
    Progress = Callable[[int, int], None]
    Row = tuple[tuple[bytes, ...], bytes, bytes, bytes, bytes, bytes, Sequence[Offer], bytes, Answer, int | None]
else:
    from _collections import defaultdict

XZ_MAGIC = b"\xfd7zXZ\x00"
XZ_CHECKS = (0, 1)
"""Kinds of check sums in xz files that the kernel's own decompressor knows: none, and CRC32."""
NO_ANSWER: Answer = (None,)
_HEAD = 64
_ELF = b"\x7fELF"


class Examined(
    tuple[
        "tuple[bytes, ...]", bytes, bytes, bytes, bytes, bytes, "Sequence[Offer]", bytes, "Answer", "int | None"
    ]
):  # fmt: skip
    """What was found out about one module file. Names that are joined have NULs between them."""

    __slots__ = ()

    @property
    def origin(self) -> tuple[bytes, ...]:
        """As in `Linkage`."""
        return self[0]

    @property
    def ids(self) -> bytes:
        """Ids of keys, packed; see `symbol_ids`."""
        return self[2]

    @property
    def weak(self) -> bytes:
        """As in `Linkage`."""
        return self[3]

    @property
    def unused(self) -> bytes:
        """As in `Linkage`."""
        return self[4]

    @property
    def offers(self) -> Sequence[Offer]:
        """As in `Linkage`."""
        return self[6]

    @property
    def failure(self) -> bytes:
        """Why the module could not be read, as in `ModuleFacts`."""
        return self[7]

    @property
    def signature(self) -> Answer:
        """What was said of the signature."""
        return self[8]

    @property
    def xz_check(self) -> int | None:
        """Which check sum an xz file has, None for other files."""
        return self[9]

    @property
    def facts(self) -> ModuleFacts:
        """What depmod keeps of it."""
        _origin, infos, ids, weak, _unused, shuffled, offers, failure, _signature, _check = self
        exports = b"\0".join([name for name, *_ in offers]) if offers else b""
        return ModuleFacts((exports, ids, weak, infos, shuffled, failure))


class Examination(Record):
    """All modules in their order, and the keys by id; an id that nobody has is the key of nothing, b"".

    `helper` is a process that waits for the .modinfo strings of all modules but those in `helped`, which it has.
    """

    modules: list[Examined]
    keys: list[bytes]
    helper: parallel.Helper | None
    helped: frozenset[int]

    def close(self) -> None:
        """End the helper."""
        if self.helper:
            self.helper.stop()


def examine(
    directory: str,
    paths: Sequence[bytes],
    check_image: CheckImage | None,
    check_tail: CheckTail,
    progress: Progress | None = None,
    *,
    names: Sequence[bytes] | None = None,
    meanwhile: Callable[[], None] | None = None,
) -> Examination:
    """Read the modules at `paths`, which are relative to `directory`. Raises `FileError` when that cannot be opened.

    Without `check_image` signatures are not verified, and `check_tail` alone is asked. With the modules' `names` a
    helper may wait for `expected_files` afterwards. This process does `meanwhile` while others have begun.
    """
    try:
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FileError.of(error, directory) from None
    tokens = parallel.Tokens(len(paths))
    try:
        return _Pool(fd, paths, check_image, check_tail, tokens, names).run(progress, meanwhile)
    finally:
        tokens.close()
        os.close(fd)


class _Pool:
    """The processes that examine modules."""

    def __init__(
        self, directory: int, paths: Sequence[bytes], check_image: CheckImage | None, check_tail: CheckTail,
        tokens: parallel.Tokens, names: Sequence[bytes] | None,
    ) -> None:  # fmt: skip
        self._directory = directory
        self._paths = paths
        self._check_image = check_image
        self._check_tail = check_tail
        self._tokens = tokens
        self._names = names

    def run(self, progress: Progress | None, meanwhile: Callable[[], None] | None) -> Examination:
        """Examine all, and put together what each process found."""
        helpers, processes = self._start_helpers()
        own = _Worker(self, 0, processes)
        kept: parallel.Helper | None = None
        try:
            if meanwhile:
                meanwhile()
            own.work(progress)
            messages = [helper.receive() for helper in helpers]
            if self._names is not None and helpers and messages[0] is not None:
                kept = helpers[0]
        finally:
            for helper in helpers:
                if helper is not kept:
                    helper.stop()
        found, names = dict(own.found), {0: own.keys()}
        helped: frozenset[int] = frozenset()
        for number, message in enumerate(messages, 1):
            if message is not None:
                theirs, names[number] = marshal.loads(message)
                found.update(theirs)
                helped = frozenset(theirs) if number == 1 else helped
        missing = [position for position in range(len(self._paths)) if position not in found]
        if missing:  # what a dead process took with it
            own.take(missing)
            found, names[0] = found | own.found, own.keys()
        keys = [b""] * (processes * max(map(len, names.values()), default=0))
        for number, listed in names.items():
            keys[number : number + processes * len(listed) : processes] = listed
        modules = [Examined(found[position]) for position in range(len(self._paths))]
        return Examination(modules, keys, kept, helped)

    def _start_helpers(self) -> tuple[list[parallel.Helper], int]:
        """Return the helpers that could be started, and how many processes may give out ids."""
        count = min(parallel.processors(), -(-len(self._paths) // self._tokens.size)) - 1
        if len(self._paths) < WORTH_A_PROCESS or count < 1:
            return [], 1
        try:
            self._tokens.share()
        except OSError:
            return [], 1
        helpers = []
        for number in range(1, count + 1):
            helper = parallel.start(lambda channel, number=number: self._help(channel, number, count + 1))  # type: ignore[misc]
            if helper is None:
                break
            helpers.append(helper)
        return helpers, count + 1

    def _help(self, channel: parallel.Channel, number: int, processes: int) -> None:
        worker = _Worker(self, number, processes)
        worker.work(None)
        channel.send(marshal.dumps((worker.found, worker.keys())))
        if self._names is None or number > 1 or (message := channel.receive()) is None:
            return
        infos = {position: row[1] for position, row in worker.found.items()} | decode_infos(message)
        help_rendering(channel, self._names, [infos[position] for position in range(len(self._names))])

    def chunks(self) -> parallel.Tokens:
        """Return what gives out chunks of modules."""
        return self._tokens

    def total(self) -> int:
        """Return how many modules there are."""
        return len(self._paths)

    def examine(self, position: int) -> tuple[Linkage, bytes, Answer, int | None]:
        """Return what one module has to say: its linkage, why it cannot be read, its signature, its check sum."""
        try:
            fd = os.open(self._paths[position], OPEN_FLAGS, dir_fd=self._directory)
            try:
                return self._open(fd)
            finally:
                os.close(fd)
        except Error as error:
            return NOTHING, encode_failure(error), NO_ANSWER, None
        except OSError as error:
            return NOTHING, encode_failure(FileError.of(error, "")), NO_ANSWER, None

    def _open(self, fd: int) -> tuple[Linkage, bytes, Answer, int | None]:
        """Return the answer of `examine` for an open file."""
        head = os.pread(fd, _HEAD, 0)
        image, check = None, None
        if not head.startswith(_ELF) and detect(head):
            from ..formats.decompress_fast import decompress_fast

            image = decompress_fast(read_whole(fd, MOST_MODULE_BYTES))
            check = head[7] & 15 if head.startswith(XZ_MAGIC) else None
        elif self._check_image:
            image = read_whole(fd, MOST_MODULE_BYTES)
        if image is None:
            linkage, end = read_linkage(fd, head)
            if end is None:
                end = os.pread(fd, TAIL, max(os.fstat(fd).st_size - TAIL, 0))
            answer = self._check_tail(end)
        else:
            answer = self._check_image(image) if self._check_image else self._check_tail(image[-TAIL:])
            linkage = read_image_linkage(image)
        if linkage is not None:
            return linkage, b"", answer, check
        linkage, damage = read_general_linkage(FileSource(fd) if image is None else BytesSource(image))
        return linkage, encode_failure(damage) if damage else b"", answer, check


class _Worker:
    """One process's part of the work. Ids go round the processes, so that none is given out twice."""

    def __init__(self, pool: _Pool, number: int, processes: int) -> None:
        self._pool = pool
        self._ids: defaultdict[bytes, int] = defaultdict(count(number, processes).__next__)
        self.found: dict[int, Row] = {}

    def keys(self) -> list[bytes]:
        """Return the keys in the order of their ids."""
        return list(self._ids)

    def work(self, progress: Progress | None) -> None:
        """Examine chunk after chunk as long as there are any."""
        total = self._pool.total()
        for chunk in self._pool.chunks():
            self.take(chunk)
            if progress:
                progress(chunk.stop, total)  # others have taken what is missing before

    def take(self, positions: Sequence[int]) -> None:
        """Examine these."""
        found, examine, id_of = self.found, self._pool.examine, self._ids.__getitem__
        for position in positions:
            linkage, failure, answer, check = examine(position)
            origin, infos, needs, weak, unused, shuffled, offers = linkage
            ids = packer(len(needs))(*map(id_of, needs))
            found[position] = origin, infos, ids, weak, unused, shuffled, offers, failure, answer, check


def expected_files(
    inputs: Inputs,
    found: Examination,
    symbols: Sequence[bytes],
    observer: RunObserver,
    meanwhile: Callable[[], None] = lambda: None,
) -> tuple[Resolution, dict[str, bytes]]:
    """Return who owns which symbol, and the files that depmod would write.

    `symbols` are the names of needed symbols by id. This process does `meanwhile` while the helper is still at work;
    in a tree with cycles nobody does. Raises `CycleError`, and `FileError` when the directory goes away.
    """
    facts = [module.facts for module in found.modules]
    extractor = Extractor(inputs.directory, inputs.real_paths, NO_CACHED_FACTS, stamped=False, in_order=False)
    with SharedWork(inputs.names, extractor) as work:
        if found.helper:
            others = {number: item.infos for number, item in enumerate(facts) if number not in found.helped}
            found.helper.send(encode_infos(others))
            work.let_help(found.helper)
        else:
            work.begin_info_files(facts)
        request = BuildRequest(inputs, stamped=False)
        resolution, files, _ = resolve_and_render(request, work, facts, symbols, {}, Findings(), observer)
        meanwhile()
        files |= render_builtin(inputs)[0]
        files |= work.info_files(facts)[0]
        files["modules.dep.bin"] = work.dep_index()[0]
    return resolution, files
