"""A corpus read while somebody watches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import total_bytes
from lsr.indexer.progress import Progress
from lsr.types import Document

SHOWN_BYTES = 1 << 18


def read_shown(
    sources: Sequence[Path], *, exclude: Sequence[Path], skip_bad: bool, report: CorpusReport, listener: Progress
) -> Iterator[Document]:
    """Yield the documents of a corpus, as `read_corpus` does, and tell how far it is."""
    listener.start("reading", total_bytes(sources, exclude=exclude), "B")
    shown = 0
    for document in read_corpus(sources, skip_bad=skip_bad, report=report, exclude=exclude):
        if report.bytes_done - shown > SHOWN_BYTES:
            listener.advance(report.bytes_done - shown)
            shown = report.bytes_done
        yield document
    listener.advance(report.bytes_done - shown)
