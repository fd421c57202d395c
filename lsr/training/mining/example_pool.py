"""Examples and the pool of their documents, for a training that a hybrid search of that pool teaches.

`python -m lsr.training.mining.example_pool PAIRS.parquet MADE.parquet --output FOLDER` draws examples, cuts their
documents to a length that a training reads whole, adds queries of keyphrases for these documents, and writes
`examples.parquet` and `pool.jsonl`. `lsr index FOLDER/pool.jsonl --dense joint --no-passages` then makes the index that
teaches (`index:FOLDER`).
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError, UsageError
from lsr.io.atomic import atomic_file
from lsr.training.data.sources.records import text_id
from lsr.training.synthetic.queries import QueryGeneration, generate_queries
from lsr.types import Document

EXAMPLES_FILE, POOL_FILE = "examples.parquet", "pool.jsonl"
FEWEST_WORDS = 15
WORDS = 100


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and its document. source: the column of that name, or the name of the file."""

    source: str
    query: str
    document: Document


def read_pairs(path: Path, *, words: int) -> Iterator[Pair]:
    """Yield the pairs of a Parquet file, documents cut to a number of words, short ones left out.

    A title that is the query is left out of the document. Raises LsrError for a file that can't be read.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise LsrError(f"{path}: can't be read as Parquet ({error})") from error
    for row in rows:
        if not {"query", "positive"} <= row.keys():
            raise LsrError(f"{path}: has no columns query and positive, but {', '.join(row)}")
        parts = row["positive"].split()
        if len(parts) < FEWEST_WORDS:
            continue
        title = row.get("title") or ""
        title = "" if title.strip().lower() == row["query"].strip().lower() else title
        text = " ".join(parts[:words])
        yield Pair(row.get("source") or path.stem, row["query"], Document("pool", text, title))


def draw(pairs: Iterable[Pair], most: Mapping[str, int], *, seed: int) -> list[Pair]:
    """Return a random sample: of each source as many as `most` has for it, all where it has none."""
    by_source: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    unknown = [name for name in most if name not in by_source]
    if unknown:
        raise UsageError(f"--most: no pair is of source {unknown[0]!r}: there are {', '.join(by_source)}")
    chance, found = random.Random(seed), []
    for source, some in by_source.items():
        chance.shuffle(some)
        found += some[: most.get(source, len(some))]
    chance.shuffle(found)
    return found


def phrase_queries(documents: Sequence[Document], n: int, *, seed: int) -> list[Pair]:
    """Return up to n queries of keyphrases, whose documents stay as they are."""
    making = QueryGeneration(shares={"phrase": 1.0}, passage_words=0, seed=seed)
    known = {document.doc_id: document for document in documents}
    found = [
        Pair("phrase", example.query, example.documents[0])
        for example in generate_queries(documents, making)
        if known[example.documents[0].doc_id].text == example.documents[0].text
    ]
    random.Random(seed).shuffle(found)
    return found[:n]


def write_pool(pairs: Sequence[Pair], output: Path, *, n_phrases: int, seed: int) -> tuple[int, int]:
    """Write the examples, those of keyphrases added, and the pool; return the numbers of examples and documents."""
    import pyarrow
    import pyarrow.parquet as parquet

    output.mkdir(parents=True, exist_ok=True)
    documents = {text_id(pair.document): pair.document for pair in pairs}
    pool = [Document(doc_id, document.text, document.title) for doc_id, document in documents.items()]
    everything = [*pairs, *phrase_queries(pool, n_phrases, seed=seed)]
    random.Random(seed).shuffle(everything)
    columns = {
        "source": [pair.source for pair in everything],
        "query": [pair.query for pair in everything],
        "title": [pair.document.title for pair in everything],
        "positive": [pair.document.text for pair in everything],
        "positive_id": [text_id(pair.document) for pair in everything],
    }
    with atomic_file(output / POOL_FILE) as file:
        for document in pool:
            line = {"_id": document.doc_id, "title": document.title, "text": document.text}
            file.write((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))
    with atomic_file(output / EXAMPLES_FILE) as file:
        parquet.write_table(pyarrow.table(columns), file)
    return len(everything), len(pool)


def _most(text: str) -> tuple[str, int]:
    source, _, number = text.rpartition("=")
    return source, int(number)


def main() -> None:
    """Draw the examples and write them with their pool."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="PAIRS", help="Parquet files of queries and positives")
    parser.add_argument("--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument(
        "--most", nargs="*", type=_most, default=[], metavar="SOURCE=N", help="of a source (default: all)"
    )
    parser.add_argument("--words", type=int, default=WORDS, help="of a document (default: 100)")
    parser.add_argument("--phrases", type=int, default=0, metavar="N", help="queries of keyphrases (default: 0)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    pairs = (pair for path in args.files for pair in read_pairs(path, words=args.words))
    found = draw(pairs, dict(args.most), seed=args.seed)
    n_examples, n_documents = write_pool(found, args.output, n_phrases=args.phrases, seed=args.seed)
    print(f"{n_examples:,} examples of {n_documents:,} documents in {args.output}")  # noqa: T201


if __name__ == "__main__":
    main()
