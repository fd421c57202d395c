"""Ready vectors out of the Common Index File Format (Lin et al., SIGIR 2020, arXiv:2003.08276).

The file is an inverted index, so all postings are in memory, 9 bytes each, before the first document is known.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from lsr.errors import LsrError
from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.io.plain_file import opened
from lsr.types import Document, SparseBatch

ROWS = 4096
SUFFIX = ".ciff"
LARGEST = (1 << 31) - 1
"""Numbers of the format have 32 bits, with a sign."""
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


class MalformedError(Exception):
    """A message that isn't of the format."""


def read_ciff(path: Path, term_id: Callable[[str], int | None]) -> Iterator[tuple[list[Document], SparseBatch, int]]:
    """Yield documents with their vectors, a few thousand at a time, and how many unknown terms were dropped.

    Raises LsrError for a file that can't be read or isn't of the format.
    """
    try:
        with opened(path) as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = _Index(data, term_id)
    except (OSError, ValueError) as error:
        raise LsrError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error})") from error
    except (MalformedError, IndexError) as error:
        raise LsrError(f"{path}: not a whole file of the Common Index File Format ({error})") from error
    yield from found.batches()


class _Index:
    """The postings and documents of a file."""

    def __init__(self, data: mmap.mmap, term_id: Callable[[str], int | None]) -> None:
        self.dropped = 0
        head, at = _message(data, 0)
        counts = {field: value for field, value in _fields(head) if isinstance(value, int)}
        n_lists, n_docs = counts.get(2, 0), counts.get(3, 0)
        if n_lists > len(data) or n_docs > len(data):
            raise MalformedError(f"{n_lists:,} posting lists and {n_docs:,} documents")
        docs, terms, weights = [np.empty(0, np.int64)], [np.empty(0, np.int32)], [np.empty(0, np.int64)]
        for _ in range(n_lists):
            body, at = _message(data, at)
            name, of_term, of_docs = _posting_list(body)
            found = term_id(name)
            if found is None:
                self.dropped += len(of_docs)
                continue
            docs.append(np.array(of_docs, np.int64))
            weights.append(np.array(of_term, np.int64))
            terms.append(np.full(len(of_docs), found, np.int32))
        self.doc_ids: list[str] = [""] * n_docs
        for _ in range(n_docs):
            body, at = _message(data, at)
            number, doc_id = _document(body)
            if not doc_id:
                raise MalformedError(f"document {number:,} has no id")
            if number >= n_docs or self.doc_ids[number]:
                raise MalformedError(f"document {number:,} of {n_docs:,} is there twice, or beyond them")
            self.doc_ids[number] = fit_doc_id(doc_id)
        all_docs, all_terms, all_weights = np.concatenate(docs), np.concatenate(terms), np.concatenate(weights)
        if len(all_docs) and int(all_docs.max()) >= n_docs:
            raise MalformedError("a posting of a document that isn't there")
        order = np.lexsort((all_terms, all_docs))
        self.docs, self.terms, self.weights = all_docs[order], all_terms[order], all_weights[order].astype(np.float32)
        if bool(((np.diff(self.docs) == 0) & (np.diff(self.terms) == 0)).any()):
            raise MalformedError("a term is there twice")

    def batches(self) -> Iterator[tuple[list[Document], SparseBatch, int]]:
        """Yield the documents in their order."""
        for first in range(0, len(self.doc_ids), ROWS):
            last = min(first + ROWS, len(self.doc_ids))
            indptr = np.searchsorted(self.docs, np.arange(first, last + 1))
            span = slice(int(indptr[0]), int(indptr[-1]))
            size = int(self.terms[span].max(initial=-1)) + 1
            batch = SparseBatch(
                (indptr - indptr[0]).astype(np.int64), self.terms[span], self.weights[span], size
            )  # fmt: skip
            yield [Document(doc_id, "") for doc_id in self.doc_ids[first:last]], batch, self.dropped if not first else 0


def _varint(data: bytes | mmap.mmap, at: int) -> tuple[int, int]:
    """Return a number and the offset behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise MalformedError("a number of more than 64 bits")


def _message(data: mmap.mmap, at: int) -> tuple[bytes, int]:
    """Return the bytes of the message at an offset, and the offset behind it."""
    if at >= len(data):
        raise MalformedError("it ends early")
    size, at = _varint(data, at)
    if size > len(data) - at:
        raise MalformedError("it ends in a message")
    return data[at : at + size], at + size


def _fields(body: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields of a message by number; floats are skipped."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        kind = tag & 7
        if kind == _VARINT:
            value, at = _varint(body, at)
            yield tag >> 3, value
        elif kind == _BYTES:
            size, at = _varint(body, at)
            if size > len(body) - at:
                raise MalformedError("a field ends behind its message")
            yield tag >> 3, body[at : at + size]
            at += size
        elif kind in (_EIGHT, _FOUR):
            at += 8 if kind == _EIGHT else 4
        else:
            raise MalformedError(f"a field of kind {kind}")


def _text(value: int | bytes) -> str:
    if isinstance(value, int):
        raise MalformedError("a number in the place of a text")
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise MalformedError("a text that is not UTF-8") from error


def _posting_list(body: bytes) -> tuple[str, list[int], list[int]]:
    """Return the term, the weights and the documents of a posting list."""
    term, weights, docs, before = "", [], [], 0
    for field, value in _fields(body):
        if field == 1:
            term = _text(value)
        elif field == 4 and isinstance(value, bytes):
            gap = weight = 0
            for number, inner in _fields(value):
                if isinstance(inner, int):
                    gap, weight = (inner, weight) if number == 1 else (gap, inner)
            before += gap
            if not 0 < weight <= LARGEST or before > LARGEST:
                raise MalformedError(f"weight {weight} of {term!r:.40} in document {before}")
            docs.append(before)
            weights.append(weight)
    return term, weights, docs


def _document(body: bytes) -> tuple[int, str]:
    """Return the number and doc_id of a document's record."""
    number, doc_id = 0, ""
    for field, value in _fields(body):
        if field == 1 and isinstance(value, int):
            number = value
        elif field == 2:
            doc_id = _text(value)
    return number, doc_id
