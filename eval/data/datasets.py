"""BEIR folders: `corpus.jsonl`, `queries.jsonl`, `qrels/<split>.tsv`, read so that nothing is dropped silently."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import BadDocumentError, LsrError
from lsr.eval.data.parquet_folders import parquet_datasets
from lsr.eval.data.qrels import read_qrels
from lsr.eval.data.query_files import id_text, json_lines, read_queries
from lsr.eval.data.tydi_folders import tydi_dataset
from lsr.indexer.corpus.records import RecordReader
from lsr.indexer.corpus.report import CorpusReport
from lsr.types import Document

logger = logging.getLogger("lsr")
PARTS = frozenset(("_id", "title", "text"))
"""Keys of a document in BEIR's layout; the others become its fields."""


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """Counts from one reading of a corpus."""

    n_docs: int
    n_without_title: int
    n_without_text: int
    n_unknown_judged: int
    """Documents that the qrels judge and the corpus lacks: nothing can find them, though they count in the ideal."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A test collection, its documents left on disk.

    `queries` are those of the split's qrels, in their order; whatever else `queries.jsonl` holds (other splits,
    queries that nobody judged) is only counted.
    """

    name: str
    split: str
    corpus_path: Path
    qrels_path: Path
    queries: Mapping[str, str]
    qrels: Mapping[str, Mapping[str, int]]
    n_queries_without_qrels: int

    @property
    def n_judgements(self) -> int:
        """Number of (query, document) pairs judged, relevant or not."""
        return sum(len(judged) for judged in self.qrels.values())

    def documents(self) -> Iterator[Document]:
        """Stream the corpus, with other values than id, title and text as fields.

        Raises BadDocumentError, with file and line, for a broken line or a duplicate id.
        """
        first_seen: dict[str, int] = {}
        records = RecordReader(CorpusReport())
        for number, entry in json_lines(self.corpus_path):
            doc_id = id_text(entry.get("_id"), f"{self.corpus_path}:{number}: '_id'")
            if first_seen.setdefault(doc_id, number) != number:
                raise BadDocumentError(
                    f"{self.corpus_path}:{number}: the id {doc_id!r} is already in line {first_seen[doc_id]}"
                )
            yield Document(
                doc_id,
                _text_of(entry, "text", self.corpus_path, number),
                _text_of(entry, "title", self.corpus_path, number),
                records.fields(((name, value) for name, value in entry.items() if name not in PARTS), doc_id),
            )

    def summary(self) -> CorpusSummary:
        """Count documents, missing titles and texts, and judged documents that the corpus lacks."""
        unknown = {doc_id for judged in self.qrels.values() for doc_id in judged}
        n_docs = n_without_title = n_without_text = 0
        for document in self.documents():
            n_docs += 1
            n_without_title += not document.title
            n_without_text += not document.text
            unknown.discard(document.doc_id)
        if not n_docs:
            raise LsrError(f"{self.corpus_path}: no documents in the file")
        return CorpusSummary(n_docs, n_without_title, n_without_text, len(unknown))


def load_dataset(folder: Path, *, split: str = "test", name: str | None = None) -> Dataset:
    """Read a BEIR folder's queries and qrels; the corpus stays on disk.

    Judged queries with an empty text don't count, with a warning. Raises LsrError where a file is missing, a line is
    broken (with its number), a query id given twice, or a query judged that isn't among the queries.
    """
    corpus_path = _existing(folder, "corpus.jsonl")
    queries_path = _existing(folder, "queries.jsonl")
    qrels_path = _split_path(folder, split)
    qrels = read_qrels(qrels_path)
    texts = read_queries(queries_path)
    lacking = [query_id for query_id in qrels if query_id not in texts]
    if lacking:
        raise LsrError(
            f"{qrels_path}: {len(lacking)} of {len(qrels)} judged queries have no text in {queries_path.name},"
            f" the first being {lacking[0]!r}; the two files don't belong together"
        )
    without_text = [query_id for query_id in qrels if not texts[query_id].strip()]
    if without_text:
        logger.warning(
            f"{queries_path}: {len(without_text):,} of {len(qrels):,} judged queries have an empty text,"
            f" and don't count (first: {without_text[0]!r})"
        )
        qrels = {query_id: judged for query_id, judged in qrels.items() if texts[query_id].strip()}
        if not qrels:
            raise LsrError(f"{queries_path}: no judged query has a text; there is nothing to measure")
    return Dataset(
        name=name or folder.resolve().name,
        split=split,
        corpus_path=corpus_path,
        qrels_path=qrels_path,
        queries={query_id: texts[query_id] for query_id in qrels},
        qrels=qrels,
        n_queries_without_qrels=len(texts) - len(qrels) - len(without_text),
    )


def dataset_folders(folder: Path) -> list[tuple[str, Path]]:
    """Return (name, folder) of the BEIR datasets at `folder`: itself, or, where it holds several, each below it.

    The parts of CQADupStack, which count as one dataset, are named `cqadupstack/android` and so on. Folders of Parquet
    tables, as NanoBEIR's are, and those of Mr. TyDi and MIRACL are written as BEIR folders into the cache first. Raises
    LsrError where there is none.
    """
    name = folder.resolve().name
    if (topics := tydi_dataset(folder)) is not None:
        return [(name, topics)]
    if _find(folder, "corpus.jsonl"):
        return [(name, folder)]
    if not folder.is_dir():
        raise LsrError(f"{folder}: no such folder")
    tables = parquet_datasets(folder) or [
        one for inner in sorted(folder.iterdir()) if inner.is_dir() for one in parquet_datasets(inner)
    ]
    if tables:
        return tables
    before = f"{name}/" if name == "cqadupstack" else ""
    found = []
    for inner in sorted(folder.iterdir()):
        if (topics := tydi_dataset(inner)) is not None:
            found.append((inner.name, topics))
        elif _find(inner, "corpus.jsonl"):
            found.append((f"{before}{inner.name}", inner))
    if not found:
        raise LsrError(f"{folder}: no BEIR dataset: neither it nor a folder in it holds corpus.jsonl")
    return found


def _split_path(folder: Path, split: str) -> Path:
    path = _find(folder / "qrels", f"{split}.tsv")
    if path:
        return path
    splits = sorted({file.name.split(".")[0] for file in (folder / "qrels").glob("*.tsv*")})
    raise LsrError(f"{folder / 'qrels'}: no split {split!r}; there is {', '.join(splits) or 'none'}")


def _existing(folder: Path, name: str) -> Path:
    path = _find(folder, name)
    if not path:
        raise LsrError(f"{folder}: no BEIR dataset: {name} is missing")
    return path


def _find(folder: Path, name: str) -> Path | None:
    return next((path for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _text_of(entry: Mapping[str, Any], key: str, path: Path, number: int) -> str:
    value = entry.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadDocumentError(f"{path}:{number}: {key!r} is {type(value).__name__}, not text")
    return value
