# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the two processes send each other, as bytes.

They are marshal's, which trusts its input: each process hears only from the other one, which it has forked or is
forked from.
"""

from __future__ import annotations

import marshal

from .factcodec import decode_names, encode_names
from .facts import ModuleFacts
from .render import RejectedKey

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .facts import Extract
    from .info_files import InfoTexts
    from .render import IndexFile
    from .versions import Versions

_FORM = 2  # later ones look out for objects that come twice, which takes longer


def encode_infos(infos: Mapping[int, bytes]) -> bytes:
    """Return the .modinfo strings of modules, by position, as one string."""
    return marshal.dumps(dict(infos), _FORM)


def decode_infos(data: bytes) -> dict[int, bytes]:
    """Return what `encode_infos` was given."""
    infos: dict[int, bytes] = marshal.loads(data)
    return infos


def encode_info_texts(made: InfoTexts) -> bytes:
    """Return the files made, and what is incomplete, as one string."""
    return marshal.dumps(made, _FORM)


def decode_info_texts(data: bytes) -> InfoTexts:
    """Return what `encode_info_texts` was given."""
    made: InfoTexts = marshal.loads(data)
    return made


def encode_index_file(made: IndexFile) -> bytes:
    """Return the index made, and what did not fit, as one string."""
    data, rejected = made
    return marshal.dumps((data, [(item.key, item.bracket) for item in rejected]), _FORM)


def decode_index_file(message: bytes) -> IndexFile:
    """Return what `encode_index_file` was given."""
    data, rejected = marshal.loads(message)
    return data, [RejectedKey(key, bracket) for key, bracket in rejected]


def encode_lines(lines: Sequence[bytes]) -> bytes:
    """Return the lines of modules.dep as one string."""
    return marshal.dumps(list(lines), _FORM)


def decode_lines(data: bytes) -> list[bytes]:
    """Return what `encode_lines` was given."""
    lines: list[bytes] = marshal.loads(data)
    return lines


def encode_extracts(
    extracts: Mapping[int, Extract], symbols: Sequence[bytes], versions: Mapping[int, Versions]
) -> bytes:
    """Return positions, stamps and facts, the names of symbols, and their versions in modules, as one string."""
    stamps = [stamp for stamp, _ in extracts.values()]
    facts = [tuple(facts) for _, facts in extracts.values()]
    return marshal.dumps((list(extracts), stamps, facts, encode_names(symbols), dict(versions)), _FORM)


def decode_extracts(data: bytes) -> tuple[dict[int, Extract], list[bytes], dict[int, Versions]]:
    """Return what `encode_extracts` was given."""
    positions, stamps, facts, symbols, versions = marshal.loads(data)
    extracts = zip(stamps, map(ModuleFacts, facts), strict=True)
    return dict(zip(positions, extracts, strict=True)), decode_names(symbols), versions
