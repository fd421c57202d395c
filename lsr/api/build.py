"""Making an index of any source of documents."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.api.arguments import check_count, check_flag, check_path
from lsr.api.encoders import dense_encoder_of, encoder_of, passage_settings, reader_of
from lsr.api.index import Index
from lsr.api.records import Names
from lsr.api.sources import Paths, Stream, read_sources
from lsr.api.wording import python_messages
from lsr.errors import UsageError
from lsr.indexer.encode.units import Workers
from lsr.indexer.shards.build_task import Builders
from lsr.indexer.shards.manifest import RANGE, Partition
from lsr.indexer.storage.find_index import DEFAULT_NAME
from lsr.kernels.jit.first_use import BUILD, warn_before_compiling

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.encoders.dense.base import DenseEncoder
    from lsr.encoders.text.token_count import TokenCount
    from lsr.indexer.corpus.expansions.reading import Expansions
    from lsr.indexer.encode.document_reader import DocumentReader
    from lsr.indexer.storage.manifest import Manifest
    from lsr.io.progress import Progress
    from lsr.types import Document

logger = logging.getLogger("lsr")


@python_messages
def index(
    sources: str | Path | Document | Mapping[str, Any] | Iterable[Any],
    path: str | Path = DEFAULT_NAME,
    *,
    encoder: str | Path | Encoder | None = None,
    dense: str | Path | DenseEncoder | None = None,
    passages: bool | Mapping[str, int] | None = None,
    expansions: str | Path | None = None,
    language: str | None = None,
    stop_words: str | Iterable[str] | None = None,
    overwrite: bool = False,
    text: str | Sequence[str] | None = None,
    title: str | None = None,
    id: str | None = None,  # noqa: A002
    fields: Iterable[str] | None = None,
    reading: Mapping[str, Any] | None = None,
    skip_bad: bool = False,
    reorder: bool = True,
    shards: int | None = None,
    partition: str = RANGE,
    smooth: bool = False,
    prune: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Index:
    """Make an index of texts, and open it.

    Args:
        sources: paths of files and folders (a `str` by itself, `Path`s, or a list of existing paths), the URL of a
            corpus (a `str` by itself: `s3://`, `gs://`, `abfs://`, `hf://`, `https://`, `ir_datasets:NAME`),
            `Document`s, dicts, texts in a list, a pandas or polars DataFrame, an Arrow table, or an iterable of
            Documents, dicts or texts, which is read as a stream. A text without a doc_id gets its position as one,
            counted from 0.
        path: folder of the index (default: `.lsr` here).
        encoder: `bm25`, `default`, the folder of a model, its name on the hub, or a loaded encoder (default:
            $LSR_ENCODER, else the bundled model).
        dense: dense model whose vectors are stored too: a folder, a name on the hub, `joint`, or a loaded encoder.
        passages: cut documents that are longer than the models read into passages, and find each by its best one: True,
            a dict of `overlap` and `max_length` in tokens, or False to read their starts only (default: True where a
            model encodes, which reads a limited number of tokens; words need no passages).
        expansions: file or folder of texts that the encoder reads behind each document's own, as `lsr expand` writes
            them; hits show the documents without.
        language: language of the words of `bm25`, or beside a model: a Snowball language, or `none` (default: english).
        stop_words: words that count for nothing, or the language whose list is taken (default: of the language).
        overwrite: replace the index that is at the path.
        text: column or key of the text, or several, joined in this order with an empty line between two (default: the
            first of the usual names, such as `text` or `contents`).
        title: column or key of the title (default: `title` or `headline`, where there is one).
        id: column or key of the doc_id (default: `doc_id`, `id` or another usual name, where there is one).
        fields: columns or keys that are kept as fields (default: all others).
        reading: other options of reading files: `delimiter`, `header`, `quoting`, `formats`, `include`, `exclude`, as
            `{"exclude": ["old/"]}`.
        skip_bad: skip, and count, records and files that can't be read, instead of raising.
        reorder: bring similar documents together, so that searches are faster; results are the same.
        shards: make a set of so many shards, which is searched as one index (default: a single index).
        partition: how a set's documents are divided: `range`, in the order of addition, or `hash`, by their doc_ids.
        smooth: mix each document's vector with those of its nearest ones by their dense vectors, for which `dense` is
            needed; searches find more then, documents that are added later are not smoothed.
        prune: share of a document's mass, the sum of its weights, whose heaviest terms are indexed, above 0 and below 1
            (default: all terms are): the index is smaller, searches are faster, and may find other documents.
        threads: number of worker threads (default: all cores).
        progress: listener to the progress of the work (default: none).

    Returns:
        The index, open.

    Raises:
        UsageError: an argument is of a wrong kind.
        BadDocumentError: a document can't be read; the message names it.
        IndexExistsError: there is an index at the path, and `overwrite` is False.
        IndexLockedError: another writer is at work there.
        EncoderError: the encoder can't be loaded.

    Example:
        >>> import lsr
        >>> notes = ["Trees grow slowly.", "A cat sleeps most of the day."]
        >>> index = lsr.index(notes, "my-index", encoder="bm25")
        >>> index
        Index('my-index', 2 documents, encoder 'bm25', generation 1)
        >>> index.search("sleeping cats")[0].doc_id
        '1'
    """
    folder = check_path(path, "path")
    passage_settings(passages)
    options = BuildOptions(
        overwrite=check_flag(overwrite, "overwrite"),
        skip_bad=check_flag(skip_bad, "skip_bad"),
        reorder=check_flag(reorder, "reorder"),
        threads=None if threads is None else check_count(threads, "threads"),
        progress=progress,
        shards=None if shards is None else Partition(check_count(shards, "shards"), partition),
        smooth=check_flag(smooth, "smooth"),
        prune=prune,
    )
    options.check(dense is not None)
    from lsr.indexer.corpus.expansions.reading import read_expansions

    source = read_sources(sources, Names.of(text, title, id, fields, reading))
    warn_before_compiling(BUILD)
    loaded = encoder_of(encoder, words={"language": language, "stop_words": stop_words})
    loaded_dense = dense_encoder_of(dense, loaded)
    behind = None if expansions is None else read_expansions(check_path(expansions, "expansions"))
    reader = reader_of(passages, loaded, loaded_dense, behind=0 if behind is None else behind.room)
    options = replace(options, expansions=behind)
    built = build(source, folder, loaded, dense=loaded_dense, reader=reader, options=options)
    for line in built.summary:
        logger.info("%s", line)
    return Index(folder, encoder=loaded)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildOptions:
    """Settings of an index build.

    Attributes:
        overwrite: replace an index.
        skip_bad: skip and count what can't be read.
        reorder: bring similar documents together.
        threads: number of worker threads (default: all cores).
        progress: listener to the progress of the work.
        shards: the division of a set of shards (default: a single index).
        smooth: smooth documents over their neighbours, which needs dense vectors.
        prune: share of a document's mass whose terms are indexed (default: all are).
        expansions: texts that the sparse encoder reads behind the documents' own.
        workers: other processes that encode by models (default: this one).
        builders: other processes that build the shards of a set (default: this one).
    """

    overwrite: bool = False
    skip_bad: bool = False
    reorder: bool = True
    threads: int | None = None
    progress: Progress | None = None
    shards: Partition | None = None
    smooth: bool = False
    prune: float | None = None
    expansions: Expansions | None = None
    workers: Workers | None = None
    builders: Builders | None = None

    def check(self, with_dense: bool) -> None:
        """Raise UsageError where smoothing is asked for and can't be done. with_dense: dense vectors are stored."""
        if self.smooth and not with_dense:
            raise UsageError("smoothing needs dense vectors, which say which documents are near: give a dense model")
        if self.smooth and self.shards is not None:
            raise UsageError("smoothing is of single indexes: leave out smoothing, or the shards")
        if self.smooth and self.prune is not None:
            raise UsageError("smoothing adds the terms of neighbours, pruning leaves terms out: leave out one of them")


@dataclass(frozen=True, slots=True)
class Built:
    """An index that was made: its manifest, lines that sum up what was read and skipped, and counts of tokens."""

    manifest: Manifest
    summary: tuple[str, ...] = ()
    tokens: TokenCount | None = None

    @property
    def n_documents(self) -> int:
        """Number of documents, each counted once where it was cut into passages."""
        return self.manifest.n_docs if self.tokens is None else self.tokens.documents


def build(
    source: Paths | Stream,
    path: Path,
    encoder: Encoder,
    *,
    dense: DenseEncoder | None = None,
    reader: DocumentReader | None = None,
    options: BuildOptions | None = None,
) -> Built:
    """Make an index of checked sources with loaded encoders.

    Args:
        source: the files, or the documents.
        path: folder of the index.
        encoder: encoder of the sparse vectors.
        dense: encoder of the dense vectors, if they are stored too.
        reader: cuts long documents into passages, and counts tokens (default: they stay as they are).
        options: settings (default: `BuildOptions()`).

    Raises:
        LsrError: as `index` says.
    """
    from lsr.indexer.pipeline import index_corpus, index_documents
    from lsr.io.cores import available_cores

    given = options or BuildOptions()
    common: dict[str, Any] = {
        "dense": dense,
        "reader": reader,
        "overwrite": given.overwrite,
        "reorder": given.reorder,
        "threads": given.threads or available_cores(),
        "progress": given.progress,
        "shards": given.shards,
        "expansions": given.expansions,
        "builders": given.builders,
        "prune": given.prune,
    }
    given.check(dense is not None)
    if isinstance(source, Stream):
        manifest = index_documents(source.documents, path, encoder, **common)
        built = Built(manifest, *(((), None) if reader is None else (tuple(reader.summary()), reader.count)))
        return _smoothed(built, path, given)
    common |= {"skip_bad": given.skip_bad, "reading": source.reading, "workers": given.workers}
    manifest, summary = index_corpus(source.paths, path, encoder, **common)
    return _smoothed(Built(manifest, tuple(summary), None if reader is None else reader.count), path, given)


def _smoothed(built: Built, path: Path, options: BuildOptions) -> Built:
    """Return an index that was made, smoothed where that is asked for."""
    if not options.smooth or not built.manifest.n_docs:
        return built
    from lsr.indexer.update.smooth import smooth_index

    return replace(built, manifest=smooth_index(path, progress=options.progress))
