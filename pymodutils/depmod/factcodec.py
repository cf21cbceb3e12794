"""Facts of many modules as one string of bytes: for the other process, and for the cache.

A count, the length of every field, then all fields joined. Not `marshal`, whose reader trusts its input.
"""

from __future__ import annotations

from itertools import accumulate
from struct import Struct, pack, unpack_from
from struct import error as UnpackError

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from .extract import Facts

FIELDS = 5
_COUNT = Struct("<I")


def encode_facts(facts: Sequence[Facts]) -> bytes:
    """The facts as bytes."""
    fields = [field for one in facts for field in one]
    return b"".join((_COUNT.pack(len(facts)), pack(f"<{len(fields)}I", *map(len, fields)), *fields))


def decode_facts(data: bytes) -> list[Facts]:
    """The inverse of `encode_facts`. Raises `FormatError`."""
    fields = decode_fields(data, FIELDS)
    parts = iter(fields)
    return list(zip(parts, parts, parts, parts, parts, strict=True))


def decode_fields(data: bytes, width: int) -> list[bytes]:
    """All fields of `width` to a record, one after the other. Raises `FormatError`."""
    try:
        (count,) = _COUNT.unpack_from(data)
        start = _COUNT.size + 4 * width * count
        if start > len(data):
            raise FormatError("too short")
        ends = list(accumulate(unpack_from(f"<{width * count}I", data, _COUNT.size), initial=start))
    except UnpackError:
        raise FormatError("too short") from None
    if ends[-1] != len(data):
        raise FormatError("lengths do not add up")
    return [data[begin:end] for begin, end in zip(ends, ends[1:], strict=False)]
