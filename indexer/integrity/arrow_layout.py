"""A look at the layout of an Arrow file before it is read: nothing in it is compressed.

Writers compress nothing, and pyarrow would decompress whatever a stranger's file says: 100 kB become gigabytes. The
file's footer and the headers of its record batches are flatbuffers (Arrow columnar format, IPC file format); of them
only the fields that say what is compressed are looked at.
"""

from __future__ import annotations

import struct

_MAGIC = b"ARROW1"
_FOOTER_DICTIONARIES, _FOOTER_BATCHES = 2, 3
_MESSAGE_TYPE, _MESSAGE_HEADER = 1, 2
_RECORD_BATCH = 3
_BATCH_COMPRESSION = 3
_BLOCK = struct.Struct("<qi4xq")
_CONTINUATION = b"\xff\xff\xff\xff"


def check_layout(data: memoryview) -> None:
    """Raise ValueError for an Arrow file that has compressed buffers or dictionaries, or whose layout is broken."""
    try:
        _check(data)
    except (struct.error, IndexError) as error:
        raise ValueError(f"its layout is broken: {error}") from error


def _check(data: memoryview) -> None:
    if bytes(data[:6]) != _MAGIC or bytes(data[-6:]) != _MAGIC:
        raise ValueError("not an Arrow file")
    end = len(data) - 10
    size = _int32(data, end)
    if not 0 < size <= end:
        raise ValueError("its footer is outside the file")
    footer = data[end - size : end]
    table = _table(footer, 0)
    if _vector(footer, table, _FOOTER_DICTIONARIES)[1]:
        raise ValueError("it has dictionaries, which no writer makes")
    start, n_blocks = _vector(footer, table, _FOOTER_BATCHES)
    if n_blocks * _BLOCK.size > len(footer):
        raise ValueError("it names more record batches than there is room for")
    for number in range(n_blocks):
        offset, length, _ = _BLOCK.unpack_from(footer, start + number * _BLOCK.size)
        if offset < 0 or length < 0 or offset + length > len(data):
            raise ValueError(f"record batch {number} is outside the file")
        _check_batch(data[offset : offset + length], number)


def _check_batch(block: memoryview, number: int) -> None:
    if bytes(block[:4]) != _CONTINUATION:
        raise ValueError(f"record batch {number} has no header")
    message = block[8:]
    table = _table(message, 0)
    at = _field(message, table, _MESSAGE_TYPE)
    header = _field(message, table, _MESSAGE_HEADER)
    if at is None or header is None or message[at] != _RECORD_BATCH:
        raise ValueError(f"record batch {number} is none")
    if _field(message, _table(message, header), _BATCH_COMPRESSION) is not None:
        raise ValueError(f"record batch {number} is compressed, which no writer does")


def _int32(data: memoryview, at: int) -> int:
    if at < 0:
        raise ValueError("its layout is broken")
    return int(struct.unpack_from("<i", data, at)[0])


def _table(data: memoryview, at: int) -> int:
    """Return the place of the table that the offset at a place leads to."""
    return at + int(struct.unpack_from("<I", data, at)[0])


def _field(data: memoryview, table: int, number: int) -> int | None:
    """Return the place of a table's field, None where it is left out."""
    vtable = table - _int32(data, table)
    if vtable < 0:
        raise ValueError("its layout is broken")
    place = 4 + 2 * number
    if place + 2 > struct.unpack_from("<H", data, vtable)[0]:
        return None
    offset = struct.unpack_from("<H", data, vtable + place)[0]
    return table + int(offset) if offset else None


def _vector(data: memoryview, table: int, number: int) -> tuple[int, int]:
    """Return where the items of a vector begin, and how many there are; none where it is left out."""
    field = _field(data, table, number)
    if field is None:
        return 0, 0
    at = _table(data, field)
    return at + 4, int(struct.unpack_from("<I", data, at)[0])
