"""Headers of the pages of a Parquet file, read without unpacking any: what each says that it will unpack to.

A header is a struct of Thrift's compact protocol, in front of each page. Arrow allocates what it says before it
unpacks, whatever the footer says of the column.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from lsr.errors import LsrError

LARGEST_HEADER = 1 << 24
"""Bytes; Arrow's own limit."""
_FIRST_READ = 1 << 12
_DEEPEST = 16
_MOST_FIELDS = 1000

_UNPACKED, _PACKED, _N_VALUES, _DICTIONARY = 2, 3, 1, 7
_ENCODING_OF = {5: 2, _DICTIONARY: 2, 8: 4}
"""Numbers of fields: of a header, its sizes and its structs for each kind of page; of these, the number of values, and,
by the kind, the encoding."""
_DELTA_BYTE_ARRAY = 7
_TRUE, _FALSE, _BYTE, _I16, _I32, _I64, _DOUBLE, _BINARY = range(1, 9)
_STRUCT = 12
"""Types of values. Lists and maps are in no page header."""


class PageHeaderError(LsrError):
    """Refusal of a page header that can't be read. The message is without the file's name."""


class Page(NamedTuple):
    """What a header says of its page: bytes unpacked, bytes in the file, values.

    is_dictionary: holds the values that other pages name by number. has_prefixes: each text may begin with a part of
    the one before, which isn't repeated. start: byte in the file behind the header.
    """

    unpacked: int
    packed: int
    n_values: int
    is_dictionary: bool
    has_prefixes: bool
    start: int


def pages(file: BinaryIO, start: int, size_bytes: int) -> Iterator[Page]:
    """Yield the pages of a column chunk that is at `start`. Raises PageHeaderError."""
    at, end = start, start + size_bytes
    while at < end:
        page = _page_at(file, at)
        yield page
        at = page.start + page.packed


def _page_at(file: BinaryIO, at: int) -> Page:
    n_read = _FIRST_READ
    while True:
        file.seek(at)
        data = file.read(n_read)
        try:
            return _Reader(data).page(at)
        except IndexError:
            if len(data) < n_read or n_read >= LARGEST_HEADER:
                raise PageHeaderError(f"the header of the page at byte {at:,} doesn't end") from None
        except ValueError as error:
            raise PageHeaderError(f"the header of the page at byte {at:,} {error}") from None
        n_read *= 16


class _Reader:
    """Reads Thrift's compact protocol. Raises IndexError at the end of the data, ValueError for what is malformed."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._n_fields = 0

    def page(self, at: int) -> Page:
        """Return what a header says that begins at a byte of the file."""
        sizes = {_UNPACKED: -1, _PACKED: -1}
        n_values, is_dictionary, has_prefixes = 0, False, False
        for number, kind in self._fields():
            if number in sizes and kind == _I32:
                sizes[number] = self._int32()
            elif number in _ENCODING_OF and kind == _STRUCT:
                more, encoding = self._values_of_page(_ENCODING_OF[number])
                n_values = max(n_values, more)
                is_dictionary |= number == _DICTIONARY
                has_prefixes |= encoding == _DELTA_BYTE_ARRAY
            else:
                self._skip(kind, 0)
        if min(sizes.values()) < 0:
            raise ValueError("has no sizes, or negative ones")
        return Page(sizes[_UNPACKED], sizes[_PACKED], n_values, is_dictionary, has_prefixes, at + self._at)

    def _values_of_page(self, encoding_field: int) -> tuple[int, int]:
        n_values = encoding = 0
        for number, kind in self._fields():
            if number == _N_VALUES and kind == _I32:
                n_values = max(n_values, self._int32())
            elif number == encoding_field and kind == _I32:
                encoding = self._int32()
            else:
                self._skip(kind, 1)
        return n_values, encoding

    def _fields(self) -> Iterator[tuple[int, int]]:
        """Yield number and type of each field of a struct; its value is to be read before the next."""
        number = 0
        while head := self._byte():
            self._n_fields += 1
            if self._n_fields > _MOST_FIELDS:
                raise ValueError(f"has more than {_MOST_FIELDS:,} fields")
            number = number + (head >> 4) if head >> 4 else self._int32()
            if not 0 < number < 1 << 15:
                raise ValueError(f"has a field of number {number}")
            yield number, head & 15

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _varint(self) -> int:
        value = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
        raise ValueError("has a number that doesn't end")

    def _int32(self) -> int:
        value = self._varint()
        value = (value >> 1) ^ -(value & 1)
        if not -(1 << 31) <= value < 1 << 31:
            raise ValueError("has a number that doesn't fit")
        return value

    def _advance(self, n_bytes: int) -> None:
        self._at += n_bytes
        if self._at > len(self._data):
            raise IndexError

    def _skip(self, kind: int, depth: int) -> None:
        if depth > _DEEPEST:
            raise ValueError("is too deep")
        if kind in (_TRUE, _FALSE):  # of a field: in its head
            return
        if kind in (_I16, _I32, _I64):
            self._varint()
        elif kind in (_BYTE, _DOUBLE, _BINARY):
            self._advance(1 if kind == _BYTE else 8 if kind == _DOUBLE else self._varint())
        elif kind == _STRUCT:
            for _, inner in self._fields():
                self._skip(inner, depth + 1)
        else:
            raise ValueError(f"has a value of type {kind}, which no page header has")
