"""A folder to write corpora into, and the short way to read them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.report import CorpusReport
from lsr.types import Document

sys.path.insert(0, str(Path(__file__).parent))  # for `made_pdf`

Plant = Callable[[Mapping[str, str | bytes]], Path]
Read = Callable[..., dict[str, Document]]


@pytest.fixture
def plant(tmp_path: Path) -> Plant:
    """Write files (relative path → content) into one folder, and return it."""

    def write(files: Mapping[str, str | bytes]) -> Path:
        folder = tmp_path / "corpus"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    return write


@pytest.fixture
def report() -> CorpusReport:
    return CorpusReport()


@pytest.fixture
def read(report: CorpusReport) -> Read:
    """Read paths to a mapping of doc_id to document, in the order of reading, counting in `report`."""

    def documents(*paths: Path, skip_bad: bool = False, options: CorpusOptions | None = None) -> dict[str, Document]:
        found = list(read_corpus(paths, skip_bad=skip_bad, report=report, options=options))
        assert len({document.doc_id for document in found}) == len(found) == report.documents
        return {document.doc_id: document for document in found}

    return documents
