"""Documents that were cut into passages: the passages of a document, and its text joined again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from lsr.encoders.text.passage_names import early_passage_id, passage_id
from lsr.errors import BadDocumentError
from lsr.indexer.storage.index import StoredIndex
from lsr.types import PASSAGE_FIELDS, PASSAGE_MARK, PASSAGE_OF, PASSAGE_TITLE, Document, passage_span


def owner_of(document: Document) -> str:
    """Return the id of the document that a passage is of; a document that was not cut is its own."""
    return str(document.fields.get(PASSAGE_OF, document.doc_id))


def is_further(document: Document) -> bool:
    """Tell whether a document is a passage of another name than its document's: any but the first."""
    return PASSAGE_OF in document.fields and owner_of(document) != document.doc_id


def passages_of(index: StoredIndex, doc_id: str) -> list[Document]:
    """Return the passages of a document, or itself alone if it was not cut; none if it isn't there."""
    (first,) = index.get([doc_id])
    if first is None or owner_of(first) != doc_id:
        return []
    found = [first]
    while PASSAGE_OF in first.fields:
        number = len(found)
        following = index.get([passage_id(doc_id, number), early_passage_id(doc_id, number)])
        own = [one for one in following if one is not None and is_further(one) and owner_of(one) == doc_id]
        if not own:
            break
        found.append(own[0])
    return found


def whole(passages: Sequence[Document]) -> Document:
    """Return the document that passages are of. passages: all of them, in their order."""
    text = ""
    for passage in passages:
        start, _ = passage_span(passage.fields) or (0, 0)
        text += " " * (start - len(text)) + passage.text[max(0, len(text) - start) :]
    first = passages[0]
    fields = {name: value for name, value in first.fields.items() if name not in PASSAGE_FIELDS}
    return replace(first, text=text, fields=fields, title=document_title(first))


def document_title(passage: Document) -> str:
    """Return the title of a passage's document, of which the passage may have the start only."""
    return str(passage.fields.get(PASSAGE_TITLE, passage.title))


class Passages:
    """The passages that a transaction has to delete with their documents, where an index has any.

    unknown: names to be deleted that are those of passages, and no doc_ids.
    """

    def __init__(self, index: StoredIndex) -> None:
        self._index = index if index.manifest.passages is not None else None
        self._added: Counter[str] = Counter()
        self._last = ""
        self.unknown: list[str] = []

    def of_all(self, doc_ids: Iterable[str]) -> Iterator[tuple[str, bool]]:
        """Yield the doc_ids, each with the names of its further passages, and whether it is such a name."""
        for doc_id in doc_ids:
            if self._index is not None and self._is_passage(doc_id):
                self.unknown.append(doc_id)
                continue
            yield doc_id, False
            if self._index is not None:
                yield from ((name, True) for name in self._further(doc_id))

    def _is_passage(self, name: str) -> bool:
        assert self._index is not None
        if name.startswith(PASSAGE_MARK):
            return True
        (found,) = self._index.get([name])
        return found is not None and is_further(found)

    def _further(self, doc_id: str) -> Iterator[str]:
        """Yield the names of a document's further passages: stored ones, and those added here."""
        assert self._index is not None
        stored = [passage.doc_id for passage in passages_of(self._index, doc_id)[1:]]
        added = [passage_id(doc_id, number) for number in range(1, self._added.pop(doc_id, 0))]
        yield from dict.fromkeys([*stored, *added])

    def replaced_by(self, documents: Sequence[Document]) -> list[tuple[str, bool]]:
        """Return the names of further passages of the documents that these, or passages of theirs, replace.

        Raises BadDocumentError for a doc_id that an early index has given to a passage.
        """
        if self._index is None:
            return []
        owners = dict.fromkeys(map(owner_of, documents))
        owners.pop(self._last, None)  # whose first passages came with the batch before
        for owner in owners:
            if self._is_passage(owner):
                raise BadDocumentError(
                    f"doc_id {owner} is the name of a passage in this index, which an early version made: index again "
                    "with --overwrite, or rename the document"
                )
        return [(further, True) for owner in owners for further in self._further(owner)]

    def note(self, documents: Sequence[Document]) -> None:
        """Remember how many passages of each document were added."""
        if self._index is not None and documents:
            self._added.update(owner_of(document) for document in documents if PASSAGE_OF in document.fields)
            self._last = owner_of(documents[-1])

    def further(self, documents: Sequence[Document]) -> list[bool]:
        """Return for each document whether it is a further passage of another, which counts as no document."""
        return [False] * len(documents) if self._index is None else list(map(is_further, documents))
