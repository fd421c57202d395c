"""Expansions of documents: texts that encoders read behind a document's own, and hits don't show.

Nogueira et al., "Document Expansion by Query Prediction" (2019, arXiv:1904.08375), whose queries are appended to each
document; of scored ones only the best of the whole corpus are kept: Gospodinov, MacAvaney and Macdonald,
"Doc2Query--: When Less is More" (ECIR 2023, arXiv:2301.03266). `lsr expand` makes such files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.corpus.expansions.files import Expanded, expanded_rows
from lsr.types import PASSAGE_OF, Document

EXPANSIONS = "expansions"
"""Name of the record beside an encoder's description, of an index whose documents were expanded."""
TOKENS_PER_WORD = 1.5
"""Estimated tokens of a word, by which passages leave room for expansions."""


@dataclass(frozen=True, slots=True)
class Expansions:
    """The expansions of a corpus, by doc_id.

    texts: of each document, joined. record: what an index says of them, as JSON values.
    """

    texts: Mapping[str, str]
    record: Mapping[str, Any]

    def of(self, document: Document) -> str:
        """Return the text behind a document or one of its passages, empty where there is none."""
        owner = document.fields.get(PASSAGE_OF, document.doc_id)
        found = self.texts.get(str(owner))
        if found is None and owner == document.doc_id:  # passages of a training's examples are called ID#number
            found = self.texts.get(document.doc_id.rpartition("#")[0])
        return found or ""

    def expanded(self, documents: Sequence[Document]) -> list[Document]:
        """Return documents as an encoder reads them: each text with its expansions behind it."""
        behind = [self.of(document) for document in documents]
        return [
            replace(document, text=f"{document.text} {more}") if more else document
            for document, more in zip(documents, behind, strict=True)
        ]

    @property
    def room(self) -> int:
        """Tokens, by estimate, that the longest expansion of a document takes."""
        longest = max((text.count(" ") + 1 for text in self.texts.values()), default=0)
        return int(TOKENS_PER_WORD * longest)


def read_expansions(path: str | Path, *, keep: float = 1.0) -> Expansions:
    """Read a file of expansions, or a folder of them, as `lsr expand` writes both.

    keep: share of all expansions that is kept, those of the highest scores; 1 for all. They are held in memory.
    Raises UsageError for a share outside 0…1 or without scores, BadDocumentError for a broken record, LsrError for a
    file that isn't there or has no expansion.
    """
    if not 0 < keep <= 1:
        raise UsageError(f"the share of expansions to keep is {keep}, but has to be above 0 and at most 1")
    place = Path(path)
    rows = list(expanded_rows(place))
    least = least_score(rows, keep, place)
    digest = hashlib.sha256()
    texts: dict[str, str] = {}
    n_kept = 0
    for row in kept_rows(rows, least):
        digest.update(json.dumps([row.doc_id, row.texts], ensure_ascii=True).encode())
        if row.doc_id in texts:
            raise BadDocumentError(f"{place}: document {row.doc_id!r} has expansions twice: join them in one record")
        texts[row.doc_id] = " ".join(row.texts)
        n_kept += len(row.texts)
    if not n_kept:
        raise LsrError(f"{place} holds no expansion: make some by 'lsr expand'")
    record = {"documents": len(texts), "expansions": n_kept, "keep": keep, "sha256": digest.hexdigest()}
    return Expansions(texts, record)


def least_score(rows: Sequence[Expanded], keep: float, place: Path) -> float | None:
    """Return the least score of the share of expansions that is kept, None for all of them.

    Of equal scores at the limit all are kept. Raises UsageError where expansions have no scores.
    """
    if keep == 1:
        return None
    without = next((row for row in rows if row.scores is None and row.texts), None)
    if without is not None:
        raise UsageError(
            f"{place}: the expansions of document {without.doc_id!r} have no scores to choose by: score them by "
            "'lsr expand CORPUS --from FILE --scorer MODEL'"
        )
    scores = np.array([score for row in rows for score in row.scores or ()], np.float64)
    n_kept = max(1, round(keep * len(scores)))
    return float(np.partition(scores, len(scores) - n_kept)[len(scores) - n_kept]) if len(scores) else None


def kept_rows(rows: Iterable[Expanded], least: float | None) -> Iterator[Expanded]:
    """Yield documents with their expansions of at least a score, those without any left out."""
    for row in rows:
        kept = [i for i in range(len(row.texts)) if least is None or (row.scores or ())[i] >= least]
        if kept:
            scores = None if row.scores is None else tuple(row.scores[i] for i in kept)
            yield Expanded(row.doc_id, tuple(row.texts[i] for i in kept), scores)
