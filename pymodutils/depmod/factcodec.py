# SPDX-License-Identifier: LGPL-2.1-or-later
"""Facts of many modules as one string of bytes, for the cache.

The string is a count, the length of every field, then all fields joined. It is not `marshal`'s, which trusts its input.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from struct import Struct, pack, unpack_from
from struct import error as UnpackError

from ..errors import FormatError
from ..formats.pieces import join_many
from .facts import FIELDS, ModuleFacts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_COUNT = Struct("<I")


def encode_fields(fields: Sequence[bytes]) -> bytes:
    """Return the fields as one string."""
    return join_many([_COUNT.pack(len(fields)), pack(f"<{len(fields)}I", *map(len, fields)), *fields])


def decode_fields(data: bytes) -> list[bytes]:
    """Return the fields in what `encode_fields` made. Raises `FormatError`."""
    try:
        (count,) = _COUNT.unpack_from(data)
        start = _COUNT.size + 4 * count
        if start > len(data):
            raise FormatError("too short")
        ends = accumulate(unpack_from(f"<{count}I", data, _COUNT.size), initial=start)
    except UnpackError:
        raise FormatError("too short") from None
    end = start
    fields = [data[begin : (end := stop)] for begin, stop in pairwise(ends)]
    if end != len(data):
        raise FormatError("lengths do not add up")
    return fields


def facts_to_fields(facts: Iterable[ModuleFacts]) -> list[bytes]:
    """Return the fields of all facts one after the other."""
    return list(chain.from_iterable(facts))


def facts_from_fields(fields: Sequence[bytes]) -> list[ModuleFacts]:
    """Return the facts in what `facts_to_fields` made. Raises `FormatError`."""
    if len(fields) % FIELDS:
        raise FormatError("not all facts have six fields")
    parts = iter(fields)
    return list(map(ModuleFacts, zip(parts, parts, parts, parts, parts, parts, strict=True)))


_AT_ONCE = 1000


def encode_names(names: Sequence[bytes]) -> bytes:
    """Return the names, which have no NULs, as one string."""
    return join_many([b"\0".join([*names[at : at + _AT_ONCE], b""]) for at in range(0, len(names), _AT_ONCE)])


def decode_names(data: bytes) -> list[bytes]:
    """Return the names in what `encode_names` made."""
    return data.split(b"\0")[:-1]
