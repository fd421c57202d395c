"""Queries made from a corpus as examples on the disk: made once for each state of its files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from lsr.errors import LsrError
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import walk
from lsr.io.cache import cache_home
from lsr.training.data.read_examples import ExampleSet
from lsr.training.data.sources.intake import ExamplesReport
from lsr.training.data.sources.table import ExampleTable, TableWriter
from lsr.training.run_folder.caches import digest_of, kept_folder, state_of
from lsr.training.synthetic.queries import MakingReport, QueryMaking, make_queries

FORMAT = 1
"""Raised whenever the same documents would give other queries."""


def read_made_examples(
    corpus: Sequence[str | Path], making: QueryMaking | None = None, *, cache: Path | None = None
) -> ExampleSet:
    """Make queries from the documents of files and folders, of any kind that can be indexed, or find them made.

    cache: where they are kept; default, the user's cache. Raises what `read_corpus` raises, and LsrError if
    no document gave a query.
    """
    settings = making or QueryMaking()
    paths = [Path(path) for path in corpus]
    state = [state_of(source.path) for source in walk(paths, CorpusReport())]

    def make(folder: Path) -> None:
        report = MakingReport()
        with TableWriter(folder) as writer:
            for example in make_queries(read_corpus(paths), settings, report=report):
                writer.example(example.query, [writer.document(document) for document in example.documents], None)
            n_made = sum(report.made.values())
            if not n_made:
                raise LsrError(f"no query could be made of {', '.join(map(str, paths))}: {'; '.join(report.summary())}")
            writer.meta["report"] = ExamplesReport(n_records=report.n_documents, n_examples=n_made).to_json()
            writer.meta["making"] = report.summary()

    subject = digest_of(FORMAT, "made", [str(path.resolve()) for path in paths], asdict(settings))
    table = ExampleTable(kept_folder(cache or cache_home() / "examples", subject, digest_of(state), make))
    return ExampleSet([table], ExamplesReport(**table.meta["report"]))
