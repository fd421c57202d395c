"""Preparation of tables from files and BEIR folders, cached for each state of these."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from lsr.eval.data.datasets import Dataset, load_dataset
from lsr.eval.data.query_files import read_queries
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import walk
from lsr.training.cached_folder import cached_folder, digest_of, file_state
from lsr.training.data.sources.corpus import CorpusTable, write_corpus
from lsr.training.data.sources.files import Records, kind_of, place_of, read_records
from lsr.training.data.sources.hub_dataset import HubDataset
from lsr.training.data.sources.importer import ExampleImporter
from lsr.training.data.sources.msmarco import (
    collection_of,
    is_collection,
    judged_queries,
    msmarco_files,
    read_collection,
)
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
        """Return the folder with the table of a file, or a folder of BEIR or MS MARCO; it is cached."""
        if not file.is_dir():
            return self._of_file(file)
        return self._of_msmarco(file) if collection_of(file) is not None else self._of_beir(file)

    def of_dataset(self, source: HubDataset) -> Path:
        """Return the folder with the table of a Hugging Face dataset, made if it isn't cached."""
        queries_state = None if self.queries is None else file_state(self.queries)
        corpus_folder = self._corpus_folder()
        state = digest_of(source.state(), str(corpus_folder), queries_state)

        def make(folder: Path) -> None:
            self._import(folder, corpus_folder, lambda *_: source.records(), source.place)

        return cached_folder(self.cache, self._subject(Path(str(source))), state, make)

    def _of_msmarco(self, folder: Path) -> Path:
        files = msmarco_files(folder, self.split)
        corpus_folder = self._corpus_of_collection(files.collection)

        def make(made: Path) -> None:
            with TableWriter(made) as writer:
                importer = self._importer(writer, CorpusTable(corpus_folder))
                for query_id, raws in judged_queries(files):
                    importer.add(raws, f"{files.qrels}, query {query_id!r}")
                importer.finish()

        state = [file_state(path) for path in (files.collection, files.queries, files.qrels)]
        return cached_folder(self.cache, self._subject(folder), digest_of(state, str(corpus_folder)), make)

    def _corpus_of_collection(self, collection: Path) -> Path:
        return cached_folder(
            self.cache, digest_of(FORMAT, "corpus", str(collection.resolve())), digest_of(file_state(collection)),
            lambda folder: write_corpus(folder, read_collection(collection)),
        )  # fmt: skip

    def _of_file(self, file: Path) -> Path:
        kind_of(file)
        corpus_folder = self._corpus_folder()
        state = [file_state(file), str(corpus_folder), None if self.queries is None else file_state(self.queries)]

        def make(folder: Path) -> None:
            def records(queries: bool, corpus: bool) -> Records:
                return read_records(file, queries=queries, corpus=corpus)

            self._import(folder, corpus_folder, records, lambda number: place_of(file, number))

        return cached_folder(self.cache, self._subject(file), digest_of(state), make)

    def _import(
        self,
        folder: Path,
        corpus_folder: Path | None,
        records: Callable[[bool, bool], Records],
        place_at: Callable[[int], str],
    ) -> None:
        """Write records as a table. records: of whether ids of queries and of documents can be looked up."""
        queries = None if self.queries is None else read_queries(self.queries)
        corpus = None if corpus_folder is None else CorpusTable(corpus_folder)
        reader = RecordReader(queries, corpus=corpus is not None)
        with TableWriter(folder) as writer:
            importer = self._importer(writer, corpus)
            for number, record in records(queries is not None, corpus is not None):
                place = place_at(number)
                importer.add(list(reader.read(record, place)), place)
            importer.finish()

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
        if len(corpus) == 1 and is_collection(corpus[0]):
            return self._corpus_of_collection(corpus[0])
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
