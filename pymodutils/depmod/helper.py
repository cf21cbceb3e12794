# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second process: what the helper of `share.SharedWork` does after it was forked."""

from __future__ import annotations

from .info_files import make_alias_index, make_info_texts
from .messages import decode_infos, decode_lines, encode_extracts, encode_index_file, encode_info_texts
from .render import make_dep_index

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .extractor import Extractor
    from .parallel import Channel


def help_extracting(channel: Channel, names: Sequence[bytes], extractor: Extractor) -> None:
    """Extract a share of the modules, get the .modinfo strings of the others, and make files."""
    extractor.symbols.use_odd_ids()
    mine = extractor.extract_chunks()
    channel.send(encode_extracts(mine, extractor.symbols.new_names(), extractor.versions))
    message = channel.receive()
    if message is not None:
        found = {position: facts.infos for position, (_, facts) in extractor.taken.items()} | decode_infos(message)
        help_rendering(channel, names, [found[position] for position in range(len(names))])


def help_rendering(channel: Channel, names: Sequence[bytes], infos: Sequence[bytes]) -> None:
    """Make all files of .modinfo strings, and then indexes as `make_indexes` does."""
    channel.send(encode_info_texts(make_info_texts(names, infos)))
    make_indexes(channel, names, infos)


def make_indexes(channel: Channel, names: Sequence[bytes], infos: Sequence[bytes]) -> None:
    """Make modules.alias.bin, and modules.dep.bin if its lines come."""
    channel.send(encode_index_file(make_alias_index(names, infos)))
    message = channel.receive()
    if message is not None:
        channel.send(encode_index_file(make_dep_index(names, decode_lines(message))))
