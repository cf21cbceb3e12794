# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the two processes send each other, as bytes."""

from __future__ import annotations

import os
from struct import pack, unpack

from .factcodec import decode_fields, decode_names, encode_fields, encode_names, facts_from_fields, facts_to_fields
from .render import RejectedKey
from .resolve import split_names
from .stamps import decode_stamps, encode_stamps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from .facts import Extract
    from .info_files import AliasIndex, InfoTexts


def encode_infos(infos: Mapping[int, bytes]) -> bytes:
    """Return the .modinfo strings of modules, by position, as one string."""
    return encode_fields([_encode_numbers(infos), *infos.values()])


def decode_infos(data: bytes) -> dict[int, bytes]:
    """Return what `encode_infos` was given. Raises `FormatError`."""
    positions, *infos = decode_fields(data)
    return dict(zip(_decode_numbers(positions), infos, strict=True))


def encode_info_texts(made: InfoTexts) -> bytes:
    """Return the files made, and what is incomplete, as one string."""
    files, incomplete = made
    devices = b"\0".join([part for pair in incomplete for part in pair])
    return encode_fields([b"\0".join(map(os.fsencode, files)), devices, *files.values()])


def decode_info_texts(data: bytes) -> InfoTexts:
    """Return what `encode_info_texts` was given. Raises `FormatError`."""
    names, devices, *contents = decode_fields(data)
    parts = iter(split_names(devices))
    files = dict(zip(map(os.fsdecode, names.split(b"\0")), contents, strict=True))
    return files, list(zip(parts, parts, strict=True))


def encode_alias_index(made: AliasIndex) -> bytes:
    """Return the index made, and what did not fit, as one string."""
    data, rejected = made
    brackets = [item.key for item in rejected if item.bracket]
    others = [item.key for item in rejected if not item.bracket]
    return encode_fields([b"\0".join(brackets), b"\0".join(others), data])


def decode_alias_index(message: bytes) -> AliasIndex:
    """Return what `encode_alias_index` was given. Raises `FormatError`."""
    brackets, others, data = decode_fields(message)
    rejected = [RejectedKey(key, True) for key in split_names(brackets)]
    return data, rejected + [RejectedKey(key, False) for key in split_names(others)]


def encode_extracts(extracts: Mapping[int, Extract], symbols: Sequence[bytes]) -> bytes:
    """Return positions, stamps and facts, and the names of symbols, as one string."""
    stamps = encode_stamps([stamp for stamp, _ in extracts.values()])
    facts = facts_to_fields([facts for _, facts in extracts.values()])
    return encode_fields([_encode_numbers(extracts), stamps, encode_names(symbols), *facts])


def decode_extracts(data: bytes) -> tuple[dict[int, Extract], list[bytes]]:
    """Return what `encode_extracts` was given. Raises `FormatError`."""
    positions, stamps, symbols, *fields = decode_fields(data)
    pairs = zip(decode_stamps(stamps), facts_from_fields(fields), strict=True)
    return dict(zip(_decode_numbers(positions), pairs, strict=True)), decode_names(symbols)


def _encode_numbers(numbers: Collection[int]) -> bytes:
    return pack(f"<{len(numbers)}I", *numbers)


def _decode_numbers(data: bytes) -> tuple[int, ...]:
    return unpack(f"<{len(data) // 4}I", data)
