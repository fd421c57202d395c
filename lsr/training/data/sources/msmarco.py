"""MS MARCO's layout: `collection.tsv`, `queries.<split>.tsv` and `qrels.<split>.tsv` in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import BadDocumentError, LsrError
from lsr.eval.data.qrels import read_qrels
from lsr.eval.data.query_files import read_queries
from lsr.io.text_files import numbered_lines
from lsr.training.data.sources.records import RawExample, Reference
from lsr.types import Document

_NAMES = ("collection.tsv", "collection.tsv.gz")


@dataclass(frozen=True, slots=True)
class MsMarcoFiles:
    """Files of one split."""

    collection: Path
    queries: Path
    qrels: Path


def is_collection(path: Path) -> bool:
    """Return whether a file is a collection by its name."""
    return path.name in _NAMES and path.is_file()


def collection_of(folder: Path) -> Path | None:
    """Return the collection in a folder, None where there is none."""
    return next((folder / name for name in _NAMES if (folder / name).is_file()), None)


def msmarco_files(folder: Path, split: str) -> MsMarcoFiles:
    """Return the files of a split. Raises LsrError for one that is missing, with the splits there are."""
    collection = collection_of(folder)
    if collection is None:
        raise LsrError(f"{folder}: no collection.tsv")
    found = []
    for part in ("queries", "qrels"):
        names = [f"{part}.{split}.tsv", f"{part}.{split}.tsv.gz"]
        path = next((folder / name for name in names if (folder / name).is_file()), None)
        if path is None:
            splits = sorted({file.name.split(".")[1] for file in folder.glob(f"{part}.*.tsv*")})
            raise LsrError(f"{folder}: no {names[0]}; there are the splits {', '.join(splits) or '(none)'}: data.split")
        found.append(path)
    return MsMarcoFiles(collection, *found)


def read_collection(path: Path) -> Iterator[Document]:
    """Yield the documents of a collection: id, text, or id, URL, title, text, between tabs.

    Raises BadDocumentError for a line with another number of columns.
    """
    for number, line in numbered_lines(path):
        cells = line.split("\t")
        if len(cells) == 2:
            yield Document(cells[0], cells[1])
        elif len(cells) == 4:  # of MS MARCO's whole documents
            yield Document(cells[0], cells[3], cells[2])
        else:
            raise BadDocumentError(
                f"{path}, line {number:,}: {len(cells)} columns; id and text, or id, URL, title and text were expected"
            )


def judged_queries(files: MsMarcoFiles) -> Iterator[tuple[str, list[RawExample]]]:
    """Yield each judged query's examples, one a relevant document. Raises LsrError for a query without a text."""
    queries = read_queries(files.queries)
    for query_id, judged in read_qrels(files.qrels).items():
        if query_id not in queries:
            raise LsrError(f"{files.qrels}: query {query_id!r} has no text in {files.queries.name}")
        negatives: list[Reference] = [doc_id for doc_id, relevance in judged.items() if relevance <= 0]
        positives = [doc_id for doc_id, relevance in judged.items() if relevance > 0]
        yield query_id, [RawExample(queries[query_id], [doc_id, *negatives], None) for doc_id in positives]
