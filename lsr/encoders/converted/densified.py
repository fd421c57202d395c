"""Densified vectors: sparse ones made dense by slicing, so that an index of dense vectors serves a sparse model.

Lin and Lin, "A Dense Representation Framework for Lexical and Semantic Matching" (ACM TOIS 2023, arXiv:2206.09912):
the vocabulary is cut into slices; of each, a vector keeps the largest weight and which term of the slice it is of. The
*gated inner product* counts a slice only where query and document name the same term. A dense index knows no gate: it
multiplies two weights of a slice whatever their terms. So each weight gets a sign here that its term alone decides,
at random: products of the same term keep theirs, those of different terms cancel out on average, as in feature hashing
(Weinberger et al., ICML 2009). What an index of dense vectors finds so is an approximation; docs/HYBRID.md measures it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import Encoder, model_of
from lsr.encoders.dense.base import DenseVectors
from lsr.encoders.registry import EncoderKind, load_encoder, open_document_encoder, register
from lsr.encoders.runtime import RUNTIME, Runtime
from lsr.errors import UsageError
from lsr.types import Document, SparseBatch

KIND = "densified"
SLICES = 768
"""Of the paper: as many as a BERT's dense vector has numbers."""
LEAST_SLICES, MOST_SLICES = 8, 65_536
EMPTY = -1


@dataclass(frozen=True, slots=True)
class Slices:
    """Densified vectors, a row each. values: float32, (n, n_slices), 0 where a slice has no term. term_ids: int32, of
    the terms that the values are of, EMPTY where there is none."""

    values: npt.NDArray[np.float32]
    term_ids: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.values)


def densify(vectors: SparseBatch, n_slices: int = SLICES) -> Slices:
    """Return the largest weight of each slice and its term; of equal weights the smaller term id's.

    Term i is of slice i mod n_slices: vocabularies are ordered by frequency, so each slice gets common and rare terms.
    Raises UsageError for fewer than 8 slices, or more than 65,536.
    """
    if not LEAST_SLICES <= n_slices <= MOST_SLICES:
        raise UsageError(f"densified: {n_slices} slices; give {LEAST_SLICES} to {MOST_SLICES:,}")
    values = np.zeros((len(vectors), n_slices), np.float32)
    term_ids = np.full((len(vectors), n_slices), EMPTY, np.int32)
    rows = np.repeat(np.arange(len(vectors)), np.diff(vectors.indptr))
    # The last of a cell stays: the heaviest, of equal ones the smallest id.
    order = np.lexsort((-vectors.term_ids, vectors.weights))
    cells = rows[order], vectors.term_ids[order] % n_slices
    values[cells] = vectors.weights[order]
    term_ids[cells] = vectors.term_ids[order]
    return Slices(values, term_ids)


def signed(slices: Slices) -> DenseVectors:
    """Return values with their terms' signs: as a dense index takes them."""
    return np.where(_is_negative(slices.term_ids), -slices.values, slices.values)


class DensifiedEncoder:
    """A sparse encoder as a dense one.

    encoder: gives final weights; one that weighs by statistics of a corpus is refused. n_slices: numbers of a vector.
    """

    def __init__(self, encoder: Encoder, n_slices: int = SLICES) -> None:
        if encoder.corpus_weighting is not None:
            raise UsageError(
                f"densified: {encoder.description['name']} weighs words by statistics of a corpus, which a dense "
                "vector can't wait for: name a learned sparse model"
            )
        densify(SparseBatch.from_rows([], 0), n_slices)  # refuses a number of slices outside the range
        self._whole = encoder  # as it is recorded, and opened again
        self._encoder = model_of(encoder)
        self._n_slices = n_slices

    @property
    def dimension(self) -> int:
        """Slices."""
        return self._n_slices

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder, as JSON values."""
        sparse = self._whole.description
        return {
            "kind": KIND,
            "name": f"{KIND}:{sparse['name']}",
            "revision": sparse["revision"],
            "tokenizer_hash": sparse.get("tokenizer_hash"),
            "query_side": "model",
            "settings": {"dimension": self._n_slices, "normalise": False, "encoder": dict(sparse)},
        }

    @property
    def runtime(self) -> Runtime | None:
        """The model's runtime, None where it has only one."""
        runtime: Runtime | None = getattr(self._encoder, RUNTIME, None)
        return runtime

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that the sparse encoder reads; None: all."""
        length: int | None = getattr(self._encoder, "text_length", None)
        return length

    def encode_dense_documents(self, documents: Sequence[Document]) -> DenseVectors:
        """Return one row a document."""
        return signed(densify(self._encoder.encode_documents(documents), self._n_slices))

    def encode_dense_queries(self, texts: Sequence[str]) -> DenseVectors:
        """Return one row a text."""
        return signed(densify(self._encoder.encode_queries(texts), self._n_slices))


def _is_negative(term_ids: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
    """Return a random bit for each term id, the same on every machine.

    It is the last bit of MurmurHash3's finaliser, which is as good as random.
    """
    mixed = term_ids.astype(np.uint32)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        mixed ^= mixed >> np.uint32(shift)
        mixed *= np.uint32(factor)
    mixed ^= mixed >> np.uint32(16)
    negative: npt.NDArray[np.bool_] = (mixed & np.uint32(1)).astype(bool)
    return negative


def _load_dense(name: str, *, sparse: Encoder | None = None, **options: Any) -> DensifiedEncoder:
    """Load the encoder that `E` or `N:E` names as a dense one, of N slices. sparse: of the index; doesn't matter."""
    del sparse
    n_slices, colon, encoder = name.partition(":")
    if not (colon and n_slices.isdigit()):
        n_slices, encoder = str(SLICES), name
    if not encoder:
        raise UsageError(f"{KIND}:{name} names no sparse encoder: {KIND}:E, E being the folder of a model or its name")
    return DensifiedEncoder(load_encoder(encoder, **options), int(n_slices))


def _open_dense(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any
) -> DensifiedEncoder:
    settings = description["settings"]
    encoder = open_document_encoder(settings["encoder"], (), moved_to=moved_to, **options)
    return DensifiedEncoder(encoder, int(settings["dimension"]))


register(EncoderKind(KIND, usage=f"{KIND}:E", load_dense=_load_dense, open_dense=_open_dense))
