"""What a column of a row group of a Parquet file becomes in memory, from the headers of its pages and its dictionary."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, BinaryIO, NamedTuple

from lsr.indexer.integrity.parquet_pages import Page, PageHeaderError, pages

OLD_PADDING = 100
"""Bytes behind a column in which Arrow looks for pages too, where it takes the writer for an old one."""
_MOST_ENTRIES = 1 << 20
_LARGEST_DICTIONARY = 1 << 26
"""Bytes; the texts of a larger one may be as long as it is."""


class ColumnSize(NamedTuple):
    """Sizes of a column, by what the headers of its pages say.

    unpacked: bytes of its pages. longest: bytes of the longest text that pages may repeat without storing it again.
    longest_prefixed: the same, of texts that aren't in a dictionary.
    """

    unpacked: int
    n_values: int
    longest: int
    longest_prefixed: int


def column_size(file: BinaryIO, chunk: Any, padding: int, *, texts: bool) -> ColumnSize:
    """Return the sizes of a column chunk. Raises PageHeaderError.

    chunk: its metadata. padding: bytes behind it that may be of it.
    """
    # As Arrow finds where a chunk begins.
    start = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < start:
        start = chunk.dictionary_page_offset
    found = list(pages(file, start, chunk.total_compressed_size))
    end = found[-1].start + found[-1].packed if found else start
    with suppress(PageHeaderError):  # what is there may be anything else
        found += pages(file, end, start + chunk.total_compressed_size + padding - end)
    prefixed = max((page.unpacked for page in found if texts and page.has_prefixes), default=0)
    entries = [_longest_entry(file, page, chunk.compression) for page in found if texts and page.is_dictionary]
    return ColumnSize(
        sum(page.unpacked for page in found),
        sum(page.n_values for page in found),
        max([prefixed, *entries]),
        prefixed,
    )


def _longest_entry(file: BinaryIO, page: Page, compression: str) -> int:
    """Return the length of the longest text of a dictionary, or that of the dictionary where it can't be known."""
    import pyarrow as pa

    if page.unpacked > _LARGEST_DICTIONARY:
        return page.unpacked
    file.seek(page.start)
    data = file.read(page.packed)
    try:
        if compression != "UNCOMPRESSED":
            data = pa.Codec(compression.lower()).decompress(data, page.unpacked, asbytes=True)
    except (pa.ArrowException, OSError, ValueError):
        return page.unpacked
    at = longest = n_entries = 0
    while at + 4 <= len(data):
        length = int.from_bytes(data[at : at + 4], "little")
        longest = max(longest, length)
        at += 4 + length
        n_entries += 1
        if n_entries == _MOST_ENTRIES:
            return max(longest, len(data) - at)
    return min(longest, page.unpacked)
