"""BM25 as a teacher: words weighed by the statistics of a corpus, as the index would weigh them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.errors import LsrError, UsageError
from lsr.indexer.encode.windows import windows
from lsr.indexer.storage.files import map_array, save_array
from lsr.indexer.storage.vocabulary import Vocabulary, save_vocabulary
from lsr.training.cached_folder import cached_folder, digest_of
from lsr.training.data.example import Example
from lsr.training.data.read_examples import documents_of
from lsr.training.teachers.base import Advance, Scores, TeacherRequest, Wanted, ignore, register_teacher
from lsr.training.teachers.sparse_product import sparse_product
from lsr.types import Document, SparseBatch

_WINDOW = 2048


@dataclass(frozen=True, slots=True)
class CorpusCounts:
    """Statistics of a corpus for BM25: its terms, their document frequencies, and the mean length in words."""

    terms: Sequence[str]
    df: npt.NDArray[np.int64]
    n_docs: int
    mean_length: float


class BM25Teacher:
    """Teacher that scores as a BM25 index of the corpus, but for the rounding of its impacts.

    Counting the words of a text costs less than a look into a cache, so only the corpus's counts are cached.
    counts: of the corpus; a word that it lacks has a document frequency of 0.
    """

    name = "bm25"

    def __init__(self, counts: CorpusCounts, *, k1: float = 0.9, b: float = 0.4) -> None:
        self._counts = counts
        self._encoder = BM25Encoder(k1=k1, b=b, terms=counts.terms)

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return BM25 scores of all cells; a batch of a few dozen texts takes milliseconds."""
        return sparse_product(*self._vectors(queries, documents))

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Return 0: there is nothing to cache."""
        return 0

    def _vectors(self, queries: Sequence[str], documents: Sequence[Document]) -> tuple[SparseBatch, SparseBatch]:
        counted = self._encoder.encode_documents(documents)
        counts = self._counts
        df = np.zeros(len(self._encoder.terms), np.int64)
        df[: len(counts.df)] = counts.df
        statistics = CorpusCounts(self._encoder.terms, df, counts.n_docs, counts.mean_length)
        counted = SparseBatch(counted.indptr, counted.term_ids, counted.weights, len(df))
        return self._encoder.encode_queries(queries), self._encoder.corpus_weighting.weigh(counted, statistics)


@register_teacher("bm25")
def open_bm25(request: TeacherRequest, *, k1: float = 0.9, b: float = 0.4) -> BM25Teacher:
    """Open a BM25 teacher. Raises UsageError where there is no corpus whose statistics it could take."""
    documents = request.documents
    if documents is None:
        if request.examples is None:
            raise UsageError("teacher bm25: give the documents that it takes its statistics of, or the examples")
        documents = documents_of(request.examples)
    return BM25Teacher(cached_counts(documents, request.cache), k1=k1, b=b)


def count_corpus(documents: Iterable[Document], analyser: AnalyserSettings | None = None) -> CorpusCounts:
    """Count the words of a corpus. analyser: splits texts (default: as BM25 does). Raises LsrError without any."""
    encoder = BM25Encoder(analyser)
    df = np.zeros(0, np.int64)
    n_docs, length = 0, 0.0
    for window in windows(documents, max_documents=_WINDOW):
        batch = encoder.encode_documents(window)
        found = np.bincount(batch.term_ids, minlength=len(encoder.terms))
        found[: len(df)] += df
        df = found.astype(np.int64)
        n_docs += len(window)
        length += float(batch.weights.sum(dtype=np.float64))
    if not length:
        raise LsrError("bm25: the corpus for its statistics holds no word")
    return CorpusCounts(list(encoder.terms), df, n_docs, length / n_docs)


def cached_counts(
    documents: Callable[[], Iterable[Document]], cache: Path | None, analyser: AnalyserSettings | None = None
) -> CorpusCounts:
    """Return the counts of a corpus, cached.

    documents: gives the corpus, possibly twice: first for its digest. analyser: as of `count_corpus`.
    """
    if cache is None:
        return count_corpus(documents(), analyser)
    from lsr.indexer.encode.shards import SourceHash

    source = SourceHash()
    source.update(documents())
    key = digest_of(source.value(), BM25Encoder(analyser).description["revision"])
    return _read_counts(
        cached_folder(cache, f"bm25-{key}", "counts", lambda f: _write_counts(f, documents(), analyser))
    )


def _write_counts(folder: Path, documents: Iterable[Document], analyser: AnalyserSettings | None) -> None:
    counts = count_corpus(documents, analyser)
    save_vocabulary(folder, counts.terms)
    save_array(folder / "df.npy", counts.df)
    save_array(folder / "totals.npy", np.array([counts.n_docs, counts.mean_length], np.float64))


def _read_counts(folder: Path) -> CorpusCounts:
    n_docs, mean_length = map_array(folder / "totals.npy", np.float64, 1)
    df = map_array(folder / "df.npy", np.int64, 1)
    return CorpusCounts(list(Vocabulary(folder)), df, int(n_docs), float(mean_length))
