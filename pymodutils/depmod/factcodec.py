"""Facts of many modules as one string of bytes: for the other process, and for the cache.

A count, the length of every field, then all fields joined; facts by column. Not `marshal`, whose reader trusts its
input.
"""

from __future__ import annotations

from itertools import accumulate, pairwise
from struct import Struct, pack, unpack_from
from struct import error as UnpackError

from ..errors import FormatError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from .extract import Facts, Stamp

_COUNT = Struct("<I")


def encode_fields(fields: Sequence[bytes]) -> bytes:
    """The fields as one string."""
    return b"".join(field_pieces(fields))


def field_pieces(fields: Sequence[bytes]) -> list[bytes]:
    """What `encode_fields` joins: megabytes need not be copied before they are written."""
    return [_COUNT.pack(len(fields)), pack(f"<{len(fields)}I", *map(len, fields)), *fields]


def decode_fields(data: bytes | memoryview) -> list[bytes]:
    """The inverse of `encode_fields`. Raises `FormatError`."""
    view = memoryview(data)
    try:
        (count,) = _COUNT.unpack_from(view)
        start = _COUNT.size + 4 * count
        if start > len(view):
            raise FormatError("too short")
        ends = list(accumulate(unpack_from(f"<{count}I", view, _COUNT.size), initial=start))
    except UnpackError:
        raise FormatError("too short") from None
    if ends[-1] != len(view):
        raise FormatError("lengths do not add up")
    return [bytes(view[begin:end]) for begin, end in pairwise(ends)]


_COLUMNS = 5


def encode_facts(facts: Sequence[Facts]) -> bytes:
    """The facts as one string."""
    return b"".join(fact_pieces(facts))


def fact_pieces(facts: Sequence[Facts]) -> list[bytes]:
    """What `encode_facts` joins: first all exported symbols, then all needed ones, and so on.

    Within a field no name is empty, so two NULs in a row are between fields.
    """
    columns = zip(*facts, strict=True) if facts else [()] * _COLUMNS
    return field_pieces([pack("<I", len(facts)), *map(b"\0\0".join, columns)])


def decode_facts(data: bytes | memoryview) -> list[Facts]:
    """The inverse of `encode_facts`. Raises `FormatError`."""
    fields = decode_fields(data)
    if len(fields) != 1 + _COLUMNS:
        raise FormatError("not all facts have five fields")
    count, *columns = fields
    if count == bytes(4):
        return []
    parts = [column.split(b"\0\0") for column in columns]
    if {len(fields) for fields in parts} != {int.from_bytes(count, "little")}:
        raise FormatError("not all columns of facts are of one length")
    return list(zip(*parts, strict=True))


def encode_stamps(stamps: Collection[Stamp]) -> bytes:
    """The stamps as one string; a time before 1970 as 0."""
    numbers = [max(number, 0) for stamp in stamps for number in stamp]
    return pack(f"<{len(numbers)}Q", *numbers)


def decode_stamps(data: bytes) -> list[Stamp]:
    """The inverse of `encode_stamps`. Raises `FormatError`."""
    if len(data) % 24:
        raise FormatError("not all stamps have three numbers")
    parts = iter(unpack_from(f"<{len(data) // 8}Q", data))
    return list(zip(parts, parts, parts, strict=True))
