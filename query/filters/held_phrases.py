"""Documents that hold a phrase in title or text, of those alone that hold the terms of its words.

Where each word has one term, whatever its accents (`Analyser.folds_first`), the posting lists of a phrase's words say
which documents have to be read. Elsewhere all are. A document that was cut into passages holds what one of its passages
holds, or what two have together where one ends and the next begins; all its passages then count as holding it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from lsr.encoders.lexical.analyser import Analyser
from lsr.encoders.lexical.phrase import Phrase
from lsr.encoders.registry import find_words
from lsr.errors import UsageError
from lsr.indexer.encode.open_encoders import malformed_as_damage
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.storage.posting_list import term_postings
from lsr.indexer.transfer.ready_vectors import READY_VECTORS
from lsr.indexer.update.passages import whole
from lsr.io.fork_safe import cached_property
from lsr.query.typed_query import Conditions
from lsr.types import passage_span

Mask = npt.NDArray[np.bool_]
"""bool, by position in the index."""

LONGEST_TERM = 200
"""Characters of a word up to which its term is trusted: analysers cut longer ones."""
_TEXTS = ("title", "text")
CACHED = 8
"""Phrases of a filter whose documents are cached while its segments are gone through."""
READ_AT_ONCE = 4096
"""Documents whose texts are in memory together."""


class HeldPhrases:
    """Phrases looked up in the documents of one index generation."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index
        self._cached: dict[tuple[str, Phrase], Mask] = {}

    def meet(self, conditions: Conditions) -> Mask:
        """Return which documents meet conditions. Raises IndexDamagedError; UsageError for an index without texts."""
        mask = self._index.places.filled.copy()
        for phrase in conditions.required:
            mask = self.hold(phrase, within=mask)
        for phrase in conditions.excluded:
            mask &= ~self.hold(phrase, within=mask)
        return mask

    def possible(self, conditions: Conditions) -> Mask:
        """Return which documents hold the terms of all required phrases: those that meet the conditions, and more."""
        mask = np.ones(self._index.n_positions, bool)
        for phrase in conditions.required:
            mask &= self._candidates(phrase)
        return mask

    def n_read(self, conditions: Conditions) -> int:
        """Return the number of texts, about, that `meet` reads for these conditions."""
        count = int(np.count_nonzero(self.possible(conditions))) if conditions.required else 0
        return count + sum(int(np.count_nonzero(self._candidates(phrase))) for phrase in conditions.excluded)

    def which_meet(self, positions: npt.NDArray[np.int64], conditions: Conditions) -> Mask:
        """Return which of some documents meet conditions, by their texts alone. positions: one for each document."""
        self._check_texts()
        mask = np.empty(len(positions), bool)
        order = np.argsort(positions)
        ordered = positions[order]
        documents = self._read(ordered) if self._owners is None else map(self._whole, self._owners[ordered].tolist())
        for place, document in zip(order.tolist(), documents, strict=True):
            mask[place] = all(any(map(phrase.is_in, document)) for phrase in conditions.required) and not any(
                any(map(phrase.is_in, document)) for phrase in conditions.excluded
            )
        return mask

    def hold_in(self, name: str, phrase: Phrase) -> Mask:
        """Return which documents hold a phrase in their `title` or `text`, the last answers cached."""
        key = name, phrase
        if key not in self._cached:
            if len(self._cached) >= CACHED:
                self._cached.clear()
            self._cached[key] = self.hold(phrase, title=name == "title", text=name == "text")
        return self._cached[key]

    def hold(self, phrase: Phrase, *, within: Mask | None = None, title: bool = True, text: bool = True) -> Mask:
        """Return which documents hold a phrase in their title or text. within: those that are asked about."""
        self._check_texts()

        def holds(document: tuple[str, str]) -> bool:
            return (title and phrase.is_in(document[0])) or (text and phrase.is_in(document[1]))

        candidates = self._candidates(phrase)
        if within is not None:
            candidates = candidates & within
        mask = np.zeros(len(candidates), bool)
        if self._owners is None:
            positions = np.flatnonzero(candidates)
            mask[positions] = np.fromiter(map(holds, self._read(positions)), bool, len(positions))
            return mask
        owners = np.unique(self._owners[candidates])
        found = np.array([owner for owner in owners.tolist() if holds(self._whole(owner))], np.int64)
        mask[np.isin(self._owners, found)] = True
        return mask

    def _candidates(self, phrase: Phrase) -> Mask:
        mask = self._index.places.filled.copy()
        for term_id in self._term_ids(phrase):
            held = np.zeros(len(mask), bool)
            if term_id is not None:
                self._mark(term_id, held)
            if self._owners is not None:
                of_documents = np.zeros(self._owners.max(initial=-1) + 1, bool)
                of_documents[self._owners[held]] = True
                held = of_documents[self._owners]
            mask &= held
        return mask

    def _mark(self, term_id: int, held: Mask) -> None:
        for number, segment in enumerate(self._index.segments):
            segment.trust()
            local, _ = segment.local_terms(np.array([term_id], np.int32))
            if len(local):
                segment.trust(local)
                docs, _ = term_postings(segment.arrays, int(local[0]))
                held[self._index.places.at(number, segment.arrays["insertion"][docs])] = True

    def _term_ids(self, phrase: Phrase) -> Iterator[int | None]:
        """Yield the terms that every document with the phrase holds; None for one that no document does."""
        if self._words is None or not self._words[0].folds_first:
            return
        analyser, mark = self._words
        for word in dict.fromkeys(phrase.words):
            term = analyser.term(word) if len(word) <= LONGEST_TERM else None
            if term is not None:
                yield self._index.vocabulary.lookup(mark + term)

    @cached_property
    def _words(self) -> tuple[Analyser, str] | None:
        """The analyser of the index's words, and the mark of their terms; None where words are no terms."""
        found = None
        if self._index.manifest.encoder["kind"] != READY_VECTORS:
            with malformed_as_damage(self._index):
                found = find_words(self._index.manifest.encoder)
        return None if found is None else (Analyser(found.settings), found.mark)

    def _read(self, positions: npt.NDArray[np.int64]) -> Iterator[tuple[str, str]]:
        for first in range(0, len(positions), READ_AT_ONCE):
            some = positions[first : first + READ_AT_ONCE]
            texts: list[tuple[str, str]] = [("", "")] * len(some)
            for segment, indices, rows in self._index.by_segment(some):
                for index, text in zip(indices.tolist(), segment.documents.texts(rows), strict=True):
                    texts[index] = text
            yield from texts

    @cached_property
    def _owners(self) -> npt.NDArray[np.int64] | None:
        """The number of each position's document; None where documents were not cut."""
        if self._index.manifest.passages is None:
            return None
        numbers: dict[str, int] = {}
        owners = []
        for segment in self._index.segments:
            ids = segment.documents.document_ids(range(segment.n_docs))
            owners += [numbers.setdefault(doc_id, len(numbers)) for doc_id in ids]
        return self._index.places.by_position(np.array(owners, np.int64), len(numbers))

    @cached_property
    def _documents(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """The positions by their documents, and where those of each document begin."""
        assert self._owners is not None
        order = np.argsort(self._owners, kind="stable")
        return order, np.searchsorted(self._owners[order], np.arange(self._owners.max(initial=-1) + 2))

    def _whole(self, owner: int) -> tuple[str, str]:
        """Return the title and text of a document, put together of its passages."""
        order, starts = self._documents
        passages = []
        for segment, _, rows in self._index.by_segment(order[starts[owner] : starts[owner + 1]]):
            passages += [segment.document(row) for row in rows if segment.live_rows[row]]
        if not passages:
            return "", ""
        document = whole(sorted(passages, key=lambda passage: passage_span(passage.fields) or (0, 0)))
        return document.title, document.text

    def _check_texts(self) -> None:
        if self._has_texts:
            return
        raise UsageError(
            f"the index at {self._index.path} holds no texts, so that phrases, +word and -word can't be looked up: "
            "leave them out, or search for the query as it is by --plain"
        )

    @cached_property
    def _has_texts(self) -> bool:
        """False for an index of ready vectors that came without texts."""
        segments = self._index.segments
        if self._index.manifest.encoder["kind"] != READY_VECTORS or not segments:
            return True
        return any(pc.any(pc.not_equal(s.documents.column(name), "")).as_py() for s in segments for name in _TEXTS)
