# SPDX-License-Identifier: LGPL-2.1-or-later
"""The second process: what the helper of `share.SharedWork` does after it was forked."""

from __future__ import annotations

from .info_files import make_alias_index, make_info_texts
from .messages import decode_infos, encode_alias_index, encode_extracts, encode_info_texts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .extractor import Extractor
    from .parallel import Channel


def help_extracting(channel: Channel, names: Sequence[bytes], extractor: Extractor) -> None:
    """Extract a share of the modules, get the .modinfo strings of the others, and make all files of them."""
    extractor.symbols.use_odd_ids()
    mine = extractor.extract_chunks()
    channel.send(encode_extracts(mine, extractor.symbols.new_names()))
    message = channel.receive()
    if message is None:
        return
    found = {position: facts.infos for position, (_, facts) in extractor.taken.items()} | decode_infos(message)
    infos = [found[position] for position in range(len(names))]
    channel.send(encode_info_texts(make_info_texts(names, infos)))
    send_alias_index(channel, names, infos)


def send_alias_index(channel: Channel, names: Sequence[bytes], infos: Sequence[bytes]) -> None:
    """Make modules.alias.bin and send it."""
    channel.send(encode_alias_index(make_alias_index(names, infos)))
