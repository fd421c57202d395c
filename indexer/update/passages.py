"""Documents that were cut into passages: the passages of a document, and its text joined again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lsr.encoders.text.splitter import passage_id
from lsr.indexer.storage.index import StoredIndex
from lsr.types import PASSAGE_END, PASSAGE_OF, PASSAGE_START, Document, passage_span


def owner_of(document: Document) -> str:
    """Return the id of the document that a passage is of; a document that was not cut is its own."""
    return str(document.fields.get(PASSAGE_OF, document.doc_id))


def passages_of(index: StoredIndex, doc_id: str) -> list[Document]:
    """Return the passages of a document, or itself alone if it was not cut; none if it isn't there."""
    (first,) = index.get([doc_id])
    if first is None:
        return []
    found = [first]
    while PASSAGE_OF in first.fields:
        (following,) = index.get([passage_id(doc_id, len(found))])
        if following is None or owner_of(following) != doc_id:
            break
        found.append(following)
    return found


def whole(passages: Sequence[Document]) -> Document:
    """Return the document that passages are of. passages: all of them, in their order."""
    text = ""
    for passage in passages:
        start, _ = passage_span(passage.fields) or (0, 0)
        text += " " * (start - len(text)) + passage.text[max(0, len(text) - start) :]
    hidden = (PASSAGE_OF, PASSAGE_START, PASSAGE_END)
    fields = {name: value for name, value in passages[0].fields.items() if name not in hidden}
    return replace(passages[0], text=text, fields=fields)


class Passages:
    """The passages that a transaction has to delete with their documents, where an index has any."""

    def __init__(self, index: StoredIndex) -> None:
        self._index = index if index.manifest.passages is not None else None
        self._added: Counter[str] = Counter()
        self._last = ""

    def of_all(self, doc_ids: Iterable[str]) -> Iterator[str]:
        """Yield the doc_ids, each with those of its further passages."""
        for doc_id in doc_ids:
            yield doc_id
            if self._index is not None:
                yield from self._further(doc_id)

    def _further(self, doc_id: str) -> list[str]:
        assert self._index is not None
        stored = len(passages_of(self._index, doc_id))
        return [passage_id(doc_id, number) for number in range(1, max(stored, self._added.pop(doc_id, 0)))]

    def replaced_by(self, documents: Sequence[Document]) -> list[str]:
        """Return the doc_ids of further passages of the documents that these, or passages of theirs, replace."""
        if self._index is None:
            return []
        owners = dict.fromkeys(map(owner_of, documents))
        owners.pop(self._last, None)  # whose first passages came with the batch before
        return [further for owner in owners for further in self._further(owner)]

    def note(self, documents: Sequence[Document]) -> None:
        """Remember how many passages of each document were added."""
        if self._index is not None and documents:
            self._added.update(owner_of(document) for document in documents if PASSAGE_OF in document.fields)
            self._last = owner_of(documents[-1])
