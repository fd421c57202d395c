"""Makes the golden index of the present format: python tests/indexer/golden_index.py FOLDER.

Once a format is released its golden index is never made again: it stands for all that are out there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.indexer.pipeline import index_documents
from lsr.indexer.update.update import add_documents, delete_documents, update_documents
from lsr.query.searcher import Searcher
from lsr.types import Document

WORDS = "ant bee cat dog elk fox gnu hen ibex jay kite lynx".split()
QUERIES = ["ant", "bee cat", "dog elk fox gnu", "jay jay kite", "lynx ibex ant hen", "none of these"]
FILTERS = ["year >= 2003", "lang == 'en' and not tags contains 'odd'"]


def document(number: int, revision: int = 0) -> Document:
    words = [WORDS[(number * step + step + revision) % len(WORDS)] for step in range(1, 3 + number % 5)]
    fields: dict[str, Any] = {"year": 2000 + number % 7, "lang": ["en", "de"][number % 2]}
    if number % 3 == 0:
        fields["tags"] = ["odd" if number % 2 else "even", "third"]
    return Document(f"doc/{number}", " ".join(words) + " ü 日本", f"Title {number}", fields)


def make(path: Path) -> None:
    """Make an index with every kind of file of the format."""
    index_documents([document(i) for i in range(80)], path, BM25Encoder(AnalyserSettings(version=1)))
    add_documents([document(i) for i in range(80, 95)], path, merge=False)
    update_documents([document(i, 1) for i in (3, 90, 100)], path, merge=False)
    delete_documents(["doc/7", "doc/81"], path, merge=False)


def answers(path: Path) -> dict[str, Any]:
    """Return what an index finds, for JSON."""
    searcher = Searcher(path)
    found = {
        query: [[hit.doc_id, hit.score, hit.title, hit.text] for hit in searcher.search(query, k=20)]
        for query in QUERIES
    }
    for text in FILTERS:
        hits = searcher.search("ant bee cat", k=20, where=text)
        found[text] = [[hit.doc_id, hit.score, hit.title, hit.text] for hit in hits]
    return {"found": found, "fields": {d.doc_id: dict(d.fields) for d in searcher.index.documents()}}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    make(folder / "index")
    (folder / "index" / "writer.lock").unlink()
    text = json.dumps(answers(folder / "index"), ensure_ascii=False, indent=1)
    (folder / "answers.json").write_text(text + "\n", encoding="utf-8")
