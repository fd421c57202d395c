"""Examples with synthetic queries of a corpus, cached for each state of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lsr.errors import LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import walk
from lsr.io.cache import cache_home
from lsr.training.cached_folder import cached_folder, digest_of, file_state
from lsr.training.data.read_examples import ExampleSet
from lsr.training.data.sources.importer import ExamplesReport
from lsr.training.data.sources.table import ExampleTable, TableWriter
from lsr.training.synthetic.queries import GenerationReport, QueryGeneration, generate_queries

FORMAT = 1
"""Version of the queries: raised whenever the same documents would give others."""


def read_synthetic_examples(
    corpus: Sequence[str | Path], generation: QueryGeneration | None = None, *, cache: Path | None = None
) -> ExampleSet:
    """Generate queries from files and folders of any kind that can be indexed, or load those generated before.

    cache: folder for them (default: the user's cache). Raises what `read_corpus` raises, and LsrError if no document
    gave a query.
    """
    settings = generation or QueryGeneration()
    paths = [Path(path) for path in corpus]
    state = [file_state(source.path) for source in walk(paths, CorpusReport())]

    def make(folder: Path) -> None:
        report = GenerationReport()
        with TableWriter(folder) as writer:
            for example in generate_queries(read_corpus(paths), settings, report=report):
                writer.example(example.query, [writer.document(document) for document in example.documents], None)
            n_generated = sum(report.made.values())
            if not n_generated:
                raise LsrError(
                    f"no query could be generated from {', '.join(map(str, paths))}: {'; '.join(report.summary())}"
                )
            writer.meta["report"] = ExamplesReport(n_records=report.n_documents, n_examples=n_generated).to_json()
            writer.meta["generated"] = report.summary()

    subject = digest_of(FORMAT, "made", [str(path.resolve()) for path in paths], asdict(settings))
    table = ExampleTable(cached_folder(cache or cache_home() / "examples", subject, digest_of(state), make))
    return ExampleSet([table], ExamplesReport(**table.meta["report"]))
