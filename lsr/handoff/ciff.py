"""The Common Index File Format: an inverted index as Protocol Buffers messages, each after its length.

Lin et al., "Supporting Interoperability Between Open-Source Search Engines with the Common Index File Format" (SIGIR
2020, arXiv:2003.08276). A header, then a posting list for each term in ascending order of its bytes, then a record for
each document. In a posting list doc ids are differences to the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import BinaryIO, NamedTuple

VERSION = 1
LARGEST = (1 << 31) - 1
"""Numbers of the format have 32 bits, with a sign."""


class CiffList(NamedTuple):
    """A posting list: pairs of doc id, ascending, and whole weight."""

    term: str
    postings: list[tuple[int, int]]


def varint(value: int) -> bytes:
    """Return a whole number, not negative, seven bits a byte, the lowest first."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _number(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value) if value else b""


def _bytes(field: int, value: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(value)) + value


def header(n_lists: int, n_docs: int, total_terms: int, average_length: float, description: str) -> bytes:
    """Return the header message. total_terms: sum of all documents' lengths."""
    import struct

    counts = (VERSION, n_lists, n_docs, n_lists, n_docs, total_terms)
    numbers = b"".join(_number(field, value) for field, value in enumerate(counts, start=1))
    average = varint(7 << 3 | 1) + struct.pack("<d", average_length)
    return numbers + average + _bytes(8, description.encode())


def posting_list(found: CiffList) -> bytes:
    """Return the message of a posting list."""
    parts = [_bytes(1, found.term.encode("utf-8")), _number(2, len(found.postings))]
    parts.append(_number(3, sum(weight for _, weight in found.postings)))
    before = 0
    for doc_id, weight in found.postings:
        parts.append(_bytes(4, _number(1, doc_id - before) + _number(2, weight)))
        before = doc_id
    return b"".join(parts)


def document(number: int, doc_id: str, length: int) -> bytes:
    """Return the record of a document."""
    return _number(1, number) + _bytes(2, doc_id.encode("utf-8")) + _number(3, length)


def write_messages(file: BinaryIO, messages: Iterable[bytes]) -> None:
    """Write messages, each after its length."""
    for message in messages:
        file.write(varint(len(message)))
        file.write(message)
