"""Facts of many modules as one string of bytes: for the other process, and for the cache.

A count, the length of every field, then all fields joined. Not `marshal`, whose reader trusts its input.
"""

from __future__ import annotations

from itertools import accumulate, chain, pairwise
from struct import Struct, pack, unpack_from
from struct import error as UnpackError

from ..errors import FormatError
from ..formats.pieces import join

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .extract import Facts

_COUNT = Struct("<I")


def encode_fields(fields: Sequence[bytes]) -> bytes:
    """The fields as one string."""
    return join([_COUNT.pack(len(fields)), pack(f"<{len(fields)}I", *map(len, fields)), *fields])


def decode_fields(data: bytes) -> list[bytes]:
    """The inverse of `encode_fields`. Raises `FormatError`."""
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


_COLUMNS = 6


def fields_of(facts: Iterable[Facts]) -> list[bytes]:
    """The fields of all facts one after the other."""
    return list(chain.from_iterable(facts))


def facts_of(fields: Sequence[bytes]) -> list[Facts]:
    """The inverse of `fields_of`. Raises `FormatError`."""
    if len(fields) % _COLUMNS:
        raise FormatError("not all facts have six fields")
    parts = iter(fields)
    return list(zip(parts, parts, parts, parts, parts, parts, strict=True))


_AT_ONCE = 1000


def encode_names(names: Sequence[bytes]) -> bytes:
    """The names as one string; they have no NULs."""
    return join([b"\0".join([*names[at : at + _AT_ONCE], b""]) for at in range(0, len(names), _AT_ONCE)])


def decode_names(data: bytes) -> list[bytes]:
    """The inverse of `encode_names`."""
    return data.split(b"\0")[:-1]
