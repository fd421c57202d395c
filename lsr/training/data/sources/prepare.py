"""Preparation of tables from files and BEIR folders, cached for each state of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.data.query_files import read_queries
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import walk
from lsr.training.cached_folder import cached_folder, digest_of, file_state
from lsr.training.data.sources.corpus import CorpusTable, write_corpus
from lsr.training.data.sources.files import kind_of, place_of, read_records
from lsr.training.data.sources.importer import ExampleImporter
from lsr.training.data.sources.records import RawExample, RecordReader
from lsr.training.data.sources.table import TableWriter

FORMAT = 1
"""Version of prepared examples: a higher one prepares the same files again."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """Options of `lsr.training.data.read_examples.read_examples`, which explains them."""

    cache: Path
    corpus: tuple[Path, ...] = ()
    queries: Path | None = None
    split: str = "train"
    max_negatives: int | None = None
    refuse_empty: bool = False

    def table_of(self, file: Path) -> Path:
        """Return the folder with the table of a file or BEIR folder, made if it isn't cached."""
        return self._of_beir(file) if file.is_dir() else self._of_file(file)

    def _of_file(self, file: Path) -> Path:
        kind_of(file)
        corpus_folder = self._corpus_folder()
        state = [file_state(file), str(corpus_folder), None if self.queries is None else file_state(self.queries)]

        def make(folder: Path) -> None:
            queries = None if self.queries is None else read_queries(self.queries)
            corpus = None if corpus_folder is None else CorpusTable(corpus_folder)
            reader = RecordReader(queries, corpus=corpus is not None)
            with TableWriter(folder) as writer:
                importer = self._importer(writer, corpus)
                for number, record in read_records(file, queries=queries is not None, corpus=corpus is not None):
                    place = place_of(file, number)
                    importer.add(list(reader.read(record, place)), place)
                importer.finish()

        return cached_folder(self.cache, self._subject(file), digest_of(state), make)

    def _of_beir(self, beir: Path) -> Path:
        dataset = load_dataset(beir, split=self.split)
        queries = next(path for name in ("queries.jsonl", "queries.jsonl.gz") if (path := beir / name).is_file())
        corpus_folder = cached_folder(
            self.cache, digest_of(FORMAT, "corpus", str(dataset.corpus_path.resolve())),
            digest_of(file_state(dataset.corpus_path)), lambda folder: write_corpus(folder, dataset.documents()),
        )  # fmt: skip

        def make(folder: Path) -> None:
            with TableWriter(folder) as writer:
                importer = self._importer(writer, CorpusTable(corpus_folder))
                for query_id, raws in _judged(dataset):
                    importer.add(raws, f"{dataset.qrels_path}, query {query_id!r}")
                importer.finish()

        state = [file_state(path) for path in (dataset.corpus_path, queries, dataset.qrels_path)]
        return cached_folder(self.cache, self._subject(beir), digest_of(state, str(corpus_folder)), make)

    def _corpus_folder(self) -> Path | None:
        if not self.corpus:
            return None
        corpus = list(self.corpus)
        state = [file_state(source.path) for source in walk(corpus, CorpusReport())]
        return cached_folder(
            self.cache, digest_of(FORMAT, "corpus", *(str(path.resolve()) for path in corpus)), digest_of(state),
            lambda folder: write_corpus(folder, read_corpus(corpus)),
        )  # fmt: skip

    def _subject(self, file: Path) -> str:
        options = [self.split, self.max_negatives, self.refuse_empty, *map(str, self.corpus), str(self.queries)]
        return digest_of(FORMAT, str(file.resolve()), options)

    def _importer(self, writer: TableWriter, corpus: CorpusTable | None) -> ExampleImporter:
        return ExampleImporter(writer, corpus, max_negatives=self.max_negatives, refuse_empty=self.refuse_empty)


def _judged(dataset: Dataset) -> Iterator[tuple[str, list[RawExample]]]:
    """Yield each query's examples: one a relevant document, with those judged irrelevant as negatives."""
    for query_id, judged in dataset.qrels.items():
        by_relevance: defaultdict[bool, list[str]] = defaultdict(list)
        for doc_id, relevance in judged.items():
            by_relevance[relevance > 0].append(doc_id)
        query = dataset.queries[query_id]
        yield query_id, [RawExample(query, [doc_id, *by_relevance[False]], None) for doc_id in by_relevance[True]]
