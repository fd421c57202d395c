"""Collation of examples into the tensors of a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from lsr.encoders.network.token_batch import TextTokens
from lsr.encoders.pretrained.load_model import LoadedTower
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.encoders.sparse.query_table import TableQueryEncoder, frequency_factors
from lsr.encoders.text.tokenizer import TextTokenizer, copy_of
from lsr.errors import BadDocumentError
from lsr.indexer.corpus.expansions.reading import Expansions
from lsr.training.data.read_examples import Example
from lsr.types import Document


@dataclass(frozen=True, slots=True)
class BatchTexts:
    """Texts of a batch, for teachers. scores: float32, (n_queries, n_documents), NaN where the file has none.

    source: number of the data set that all its examples are of.
    """

    queries: tuple[str, ...]
    documents: tuple[Document, ...]
    scores: npt.NDArray[np.float32] | None
    source: int = 0


class Collator:
    """Collator of batches for one encoder; holds tokenizers only, so that workers may have it.

    negatives: number of hard negatives of each example, the first ones. expansions: texts that the encoder reads behind
    the documents' own, which teachers don't.
    max_length, max_query_length: tokens; None: as many as the models take.
    """

    def __init__(
        self,
        encoder: NeuralEncoder,
        *,
        negatives: int,
        max_length: int | None,
        max_query_length: int | None,
        expansions: Expansions | None = None,
    ) -> None:
        self._expansions = expansions
        self._negatives = negatives
        self._documents = _TowerReader(encoder.document, max_length)
        query = encoder.query
        self._queries: _TowerReader | _TableReader = (
            _TableReader(query, max_query_length)
            if isinstance(query, TableQueryEncoder)
            else _TowerReader(query, max_query_length)
        )

    def __call__(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the tensors of a batch; `texts` holds a `BatchTexts`.

        Raises BadDocumentError for a text that has no token.
        """
        queries = [example.query for example in examples]
        kept = [
            [_untitled(example.query, document) for document in example.documents[: 1 + self._negatives]]
            for example in examples
        ]
        documents = [document for group in kept for document in group]
        ends = np.cumsum([len(group) for group in kept])
        starts = ends - [len(group) for group in kept]
        own = np.zeros((len(queries), len(documents)), bool)
        for row, (start, end) in enumerate(zip(starts, ends, strict=True)):
            own[row, start:end] = True
        read = documents if self._expansions is None else self._expansions.expanded(documents)
        texts = [document.full_text for document in read]
        numbers: dict[str, int] = {}
        text_ids = np.array([numbers.setdefault(text, len(numbers)) for text in texts])
        same = text_ids[starts][:, None] == text_ids[None, :]
        same[np.arange(len(queries)), starts] = False
        return {
            "queries": self._queries.read(queries, "query"),
            "documents": self._documents.read(texts, "document"),
            "positives": torch.from_numpy(starts.astype(np.int64)),
            "own": torch.from_numpy(own),
            "same": torch.from_numpy(same),
            "texts": BatchTexts(
                tuple(queries), tuple(documents), _file_scores(examples, kept, own), examples[0].source
            ),
        }


def _untitled(query: str, document: Document) -> Document:
    """Leave out a title that equals the query: a match of a title with itself teaches nothing.

    In pairs of title and abstract, where titles are the queries, the abstract alone has to match.
    """
    is_query = bool(document.title) and document.title.casefold().split() == query.casefold().split()
    return Document(document.doc_id, document.text, "") if is_query and document.text.strip() else document


class _TowerReader:
    def __init__(self, loaded: LoadedTower, max_length: int | None) -> None:
        limits = [length for length in (loaded.max_length, max_length) if length is not None]
        copies = 2 if loaded.tower.config.echo else 1
        tokenizer = copy_of(loaded.backend)
        self._tower = loaded.tower
        self._tokenizer = TextTokenizer(tokenizer, max_length=min(limits, default=None), copies=copies)

    def read(self, texts: Sequence[str], what: str) -> dict[str, Any]:
        tokens: list[TextTokens] = self._tower.tokens(texts, tokenizer=self._tokenizer)
        for text, text_tokens in zip(texts, tokens, strict=True):
            if not (text_tokens.literal & text_tokens.scored).any():
                raise BadDocumentError(f"{what} {text!r:.80} has no token that the model reads: remove its example")
        batch = self._tower.padded(tokens)
        return {
            "input_ids": batch.input_ids,
            "attention_mask": batch.attention_mask,
            "literal": batch.literal,
            "scored": batch.scored,
            "lengths": [len(text_tokens) for text_tokens in tokens],
        }


class _TableReader:
    def __init__(self, table: TableQueryEncoder, max_length: int | None) -> None:
        limits = [length for length in (table.max_length, max_length) if length is not None]
        self._prompt = table.prompt
        self._repeats = table.repeats
        self._tokenizer = TextTokenizer(
            copy_of(table.tokenizer), max_length=min(limits, default=None), special_tokens=False
        )

    def read(self, texts: Sequence[str], what: str) -> dict[str, Any]:
        rows: list[int] = []
        ids: list[int] = []
        factors: list[float] = []
        for row, encoding in enumerate(self._tokenizer.encode([self._prompt + text for text in texts])):
            terms = sorted(set(encoding.ids))
            if not terms:
                raise BadDocumentError(f"{what} {texts[row]!r:.80} has no token: remove its example")
            rows += [row] * len(terms)
            ids += terms
            factors += frequency_factors(encoding.ids).tolist() if self._repeats == "log" else [1.0] * len(terms)
        return {
            "rows": torch.tensor(rows),
            "ids": torch.tensor(ids),
            "factors": torch.tensor(factors),
            "n_texts": len(texts),
        }


def _file_scores(
    examples: Sequence[Example], kept: Sequence[Sequence[Document]], own: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32] | None:
    if all(example.scores is None for example in examples):
        return None
    scores = np.full(own.shape, np.nan, np.float32)
    for row, (example, group) in enumerate(zip(examples, kept, strict=True)):
        if example.scores is not None:
            scores[row, own[row]] = example.scores[: len(group)]
    return scores
