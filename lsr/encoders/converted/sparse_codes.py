"""Sparse codes of dense vectors, so that any dense model is served by an inverted index.

Wen et al., "Beyond Matryoshka: Revisiting Sparse Coding for Adaptive Representation" (ICML 2025, arXiv:2503.01776): an
autoencoder whose hidden layer keeps its k largest values; these are the sparse vector, its codes the terms. With
`pursuit` codes are chosen one after another, each for what the ones before leave: Mallat and Zhang, "Matching Pursuits
with Time-Frequency Dictionaries" (1993), for autoencoders Costa et al., "From Flat to Hierarchical: Extracting Sparse
Representations with Matching Pursuit" (2025, arXiv:2506.03093). Nothing here imports torch:
`lsr.encoders.converted.fit_codes` makes autoencoders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import QueryEncoder
from lsr.encoders.converted.csr_folder import is_csr, read_csr, weights_of_csr
from lsr.encoders.dense.base import DenseEncoder, DenseVectors, dense_description
from lsr.encoders.dense.numpy_encoder import open_bare
from lsr.encoders.pretrained.hub import hash_of_weights, is_hub_name, locate
from lsr.encoders.pretrained.known_models import refuse_unknown, remember
from lsr.encoders.pretrained.mapped_weights import Floats, Tensors
from lsr.encoders.pretrained.sparse_folder import read_json
from lsr.encoders.registry import EncoderKind, QuerySide, load_dense_encoder, open_dense_encoder, register
from lsr.encoders.runtime import RUNTIME, Runtime
from lsr.encoders.sparse.vocabulary_map import RemappedQueryEncoder
from lsr.encoders.text.term_spans import NoWords, TermFinder
from lsr.errors import EncoderError
from lsr.io.cache import expanded
from lsr.io.private_folder import private_copy
from lsr.types import Document, SparseBatch

KIND = "codes"
CONFIG, WEIGHTS = "codes.json", "codes.safetensors"
FORMAT = 1
_PARTS = ("encoder", "bias", "centre", "decoder")
_ROWS = 1024
"""Texts whose codes are computed at a time: 16 MiB where there are 4,096."""


@dataclass(frozen=True, slots=True)
class SparseAutoencoder:
    """A linear layer, of whose values the largest are kept, and one back.

    encoder: float32, (n_codes, dimension). bias: float32, (n_codes). centre: float32, (dimension), taken off before
    and added after. decoder: float32, (n_codes, dimension), rows of unit length. n_active: codes of a vector, at most.
    normalise: whether a vector's mean is taken off before, and the rest divided by its standard deviation.
    pursuit: whether codes are chosen by matching pursuit with the decoder, instead of by the encoder's largest values.
    """

    encoder: Floats
    bias: Floats
    centre: Floats
    decoder: Floats
    n_active: int
    normalise: bool = False
    pursuit: bool = False

    def __post_init__(self) -> None:
        """Raise EncoderError unless all parts fit each other and are made of numbers."""
        n_codes, dimension = self.encoder.shape if self.encoder.ndim == 2 else (0, 0)
        shapes = [part.shape for part in (self.encoder, self.bias, self.centre, self.decoder)]
        if shapes != [(n_codes, dimension), (n_codes,), (dimension,), (n_codes, dimension)] or not n_codes:
            raise EncoderError(f"sparse codes: weights of shapes {', '.join(map(str, shapes))} don't fit each other")
        if not 1 <= self.n_active <= n_codes:
            raise EncoderError(f"sparse codes: {self.n_active} active of {n_codes} codes; it must be 1 to {n_codes}")
        if not all(np.isfinite(part).all() for part in (self.encoder, self.bias, self.centre, self.decoder)):
            raise EncoderError("sparse codes: the weights hold NaN or infinity; fit them again")

    @property
    def n_codes(self) -> int:
        """Codes that there are."""
        return len(self.bias)

    @property
    def dimension(self) -> int:
        """Numbers of a dense vector."""
        return len(self.centre)

    def first(self, n_codes: int) -> SparseAutoencoder:
        """Return the first codes alone, which stand for a vector by themselves where they were fitted `nested`.

        Raises EncoderError for more than there are, or fewer than are active.
        """
        if not self.n_active <= n_codes <= self.n_codes:
            raise EncoderError(
                f"sparse codes: the first {n_codes} of {self.n_codes}, but {self.n_active} are active; take "
                f"{self.n_active} to {self.n_codes}"
            )
        return replace(self, encoder=self.encoder[:n_codes], bias=self.bias[:n_codes], decoder=self.decoder[:n_codes])

    def codes(self, vectors: DenseVectors) -> SparseBatch:
        """Return the largest positive codes of each vector, equal ones by number; none of a vector of zeros.

        Raises EncoderError for vectors of another dimension.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self.dimension:
            raise EncoderError(
                f"sparse codes: vectors of shape {vectors.shape}, but the codes were fitted to {self.dimension} numbers"
            )
        return SparseBatch.concatenate(
            [SparseBatch(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), self.n_codes)]
            + [self._codes(vectors[first : first + _ROWS]) for first in range(0, len(vectors), _ROWS)]
        )

    def _codes(self, vectors: DenseVectors) -> SparseBatch:
        prepared = _normalised(vectors) if self.normalise else vectors
        if self.pursuit:
            values = self._pursued(prepared - self.centre)
        else:
            values = np.maximum((prepared - self.centre) @ self.encoder.T + self.bias, 0)
        values[~vectors.any(axis=1)] = 0  # a text of nothing but white space
        largest = np.sort(np.argsort(-values, axis=1, kind="stable")[:, : self.n_active], axis=1)
        weights = np.take_along_axis(values, largest, axis=1)
        kept = weights > 0
        indptr = np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int64)
        return SparseBatch(indptr, largest[kept].astype(np.int32), weights[kept].astype(np.float32), self.n_codes)

    def _pursued(self, rest: DenseVectors) -> DenseVectors:
        """Return the values of codes by matching pursuit: each the product of its direction with what is left."""
        values = np.zeros((len(rest), self.n_codes), np.float32)
        each = np.arange(len(rest))
        products = rest @ self.decoder.T
        for _ in range(self.n_active):
            best = products.argmax(axis=1)
            found = np.maximum(products[each, best], 0)
            if not found.any():
                break
            values[each, best] += found
            products -= found[:, None] * (self.decoder[best] @ self.decoder.T)
        return values

    def reconstruct(self, codes: SparseBatch) -> DenseVectors:
        """Return the dense vectors that codes stand for, float32, (n, dimension); normalised ones where they are."""
        rows = np.empty((len(codes), self.dimension), np.float32)
        for row, (term_ids, weights) in zip(rows, codes, strict=True):
            row[:] = weights @ self.decoder[term_ids] + self.centre
        return rows


def _normalised(vectors: DenseVectors) -> DenseVectors:
    """Return vectors of mean 0 and deviation 1."""
    centred = vectors - vectors.mean(axis=1, keepdims=True)
    rows: DenseVectors = centred / (centred.std(axis=1, ddof=1, keepdims=True) + 1e-5)
    return rows


def save_codes(folder: Path, autoencoder: SparseAutoencoder, dense: Mapping[str, Any], **facts: Any) -> None:
    """Write an autoencoder to `folder`, which is made if need be.

    dense: description of the encoder whose vectors it was fitted to. facts: JSON values about the fitting.
    """
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: np.ascontiguousarray(getattr(autoencoder, name)) for name in _PARTS}
    save_file(parts, folder / WEIGHTS)
    config = {"format": FORMAT, "n_active": autoencoder.n_active, "dense": dict(dense), "fitted": facts}
    for name in ("normalise", "pursuit"):
        if getattr(autoencoder, name):
            config[name] = True
    (folder / CONFIG).write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_codes(folder: Path) -> tuple[SparseAutoencoder, Mapping[str, Any]]:
    """Read what `save_codes` wrote: the autoencoder, and the description of its dense encoder.

    Raises EncoderError if it isn't there, or isn't whole.
    """
    if not (folder / CONFIG).is_file():
        raise EncoderError(f"{folder} holds no sparse codes: there is no {CONFIG}; 'lsr codes' makes them")
    config = read_json(folder / CONFIG)
    if config.get("format") != FORMAT:
        raise EncoderError(
            f"{folder / CONFIG} has format {config.get('format')}, but this program reads {FORMAT}: use a newer one"
        )
    tensors = Tensors(folder / WEIGHTS)
    try:
        parts = {name: tensors.get(name) for name in _PARTS}
        autoencoder = SparseAutoencoder(
            n_active=int(config["n_active"]), normalise=bool(config.get("normalise", False)),
            pursuit=bool(config.get("pursuit", False)), **parts,
        )  # fmt: skip
        return autoencoder, dict(config["dense"])
    except (KeyError, TypeError, ValueError) as error:
        raise EncoderError(f"{folder / CONFIG} is not as 'lsr codes' writes it: {error!r}") from error


class CodesQueryEncoder:
    """Query texts as codes. dense: anything with `encode_dense_queries`, with torch or without."""

    def __init__(self, dense: Any, autoencoder: SparseAutoencoder) -> None:
        self._dense = dense
        self._autoencoder = autoencoder

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text."""
        return self._autoencoder.codes(self._dense.encode_dense_queries(texts))


class SparseCodesEncoder:
    """A dense encoder as a sparse one, whose terms are codes.

    folder: holds the autoencoder. weights: its file (default: that of `lsr codes`). name: of the model (default: the
    folder).
    """

    def __init__(
        self,
        folder: Path,
        dense: DenseEncoder,
        autoencoder: SparseAutoencoder,
        *,
        weights: Path | None = None,
        name: str | None = None,
    ) -> None:
        if dense.dimension != autoencoder.dimension:
            raise EncoderError(
                f"{folder}: the codes were fitted to vectors of {autoencoder.dimension} numbers, but "
                f"{dense.description.get('name')} gives {dense.dimension}"
            )
        self._folder = folder
        self._dense = dense
        self._autoencoder = autoencoder
        self._name = name or str(folder)
        self._revision = hash_of_weights([weights or folder / WEIGHTS])

    @property
    def terms(self) -> Sequence[str]:
        """The codes' names."""
        return names_of(self._autoencoder.n_codes)

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        return {
            "kind": KIND,
            "name": f"{KIND}:{self._name}",
            "revision": self._revision,
            "tokenizer_hash": self._dense.description.get("tokenizer_hash"),
            "query_side": "model",
            "needs_corpus_statistics": False,
            "settings": {
                "n_codes": self._autoencoder.n_codes,
                "n_active": self._autoencoder.n_active,
                "dense": dict(dense_description(self._dense)),
                **({"normalise": True} if self._autoencoder.normalise else {}),
            },
        }

    @property
    def runtime(self) -> Runtime | None:
        """The model's runtime, None where it has only one."""
        runtime: Runtime | None = getattr(self._dense, RUNTIME, None)
        return runtime

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that the dense encoder reads; None: all."""
        length: int | None = getattr(self._dense, "text_length", None)
        return length

    def splitter(self, **options: Any) -> Any:
        """Return the dense encoder's splitter of documents into passages."""
        dense: Any = self._dense
        return dense.splitter(**options)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row."""
        return self._autoencoder.codes(self._dense.encode_dense_documents(documents))

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        return self._autoencoder.codes(self._dense.encode_dense_queries(texts))

    def save_query_side(self, folder: Path) -> None:
        """Write the autoencoder to `folder`: queries need that and the dense model."""
        save_codes(folder, self._autoencoder, dense_description(self._dense))


def names_of(n_codes: int) -> list[str]:
    """Return the terms of codes: no text has such words."""
    return [f"[code {number}]" for number in range(n_codes)]


def reconstruction(autoencoder: SparseAutoencoder, vectors: npt.NDArray[np.float32]) -> float:
    """Return the share of the vectors' variance that their codes explain, at most 1."""
    rest = vectors - autoencoder.reconstruct(autoencoder.codes(vectors))
    spread = vectors - vectors.mean(axis=0)
    return 1.0 - float((rest.astype(np.float64) ** 2).sum() / max(1e-12, (spread.astype(np.float64) ** 2).sum()))


def _load(name: str | Path, **options: Any) -> SparseCodesEncoder:
    """Load sparse codes and the dense encoder that they were fitted to. options: `device`, `dtype`."""
    folder = expanded(name).resolve()
    of_library = (folder / "modules.json").is_file() and not (folder / CONFIG).is_file()
    if not of_library and (folder.is_dir() or not is_hub_name(name)):
        autoencoder, description = read_codes(folder)
        encoder = SparseCodesEncoder(folder, open_dense_encoder(description, **options), autoencoder)
    else:
        source = locate(name)
        if not is_csr(source.folder):
            raise EncoderError(f"{source.folder} holds no sparse codes: 'lsr codes' makes them")
        dense = load_dense_encoder(name, **options)
        weights = weights_of_csr(source.folder)
        encoder = SparseCodesEncoder(
            source.folder, dense, SparseAutoencoder(**read_csr(source.folder)), weights=weights, name=source.name
        )
    remember(encoder.description["name"], encoder.description["revision"])
    return encoder


def _open_documents(
    description: Mapping[str, Any], terms: Sequence[str], *, moved_to: str | Path | None = None, **options: Any
) -> SparseCodesEncoder:
    del terms  # codes are numbered alike in all indexes
    if moved_to is not None:
        return _load(moved_to, **options)
    name = str(description["name"])
    refuse_unknown(name, str(description["revision"]), "sparse codes", "--encoder")
    return _load(name.removeprefix(f"{KIND}:"), **options)


def _open_queries(description: Mapping[str, Any], side: QuerySide) -> QueryEncoder:
    """Open the queries' side, without torch where the dense model is one for numpy."""
    described = description["settings"]["dense"]
    dense = open_bare(described, moved_to=side.moved_to) or open_dense_encoder(described, moved_to=side.moved_to)
    try:
        with private_copy(side.files) as folder:
            autoencoder = read_codes(folder)[0]
    except OSError as error:
        raise EncoderError(f"{side.files} can't be read ({error.strerror or error}): index the corpus again") from error
    codes = CodesQueryEncoder(dense, autoencoder)
    return RemappedQueryEncoder(codes, names_of(int(description["settings"]["n_codes"])), side.lookup, side.vocab_size)


def _fit_queries(encoder: Any, description: Mapping[str, Any], side: QuerySide) -> QueryEncoder:
    del description
    return RemappedQueryEncoder(encoder, encoder.terms, side.lookup, side.vocab_size)


def _find_terms(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    """Return a finder that finds nothing: codes are no words of a text."""
    del description, encoder
    return NoWords()


register(
    EncoderKind(
        KIND,
        usage=f"{KIND}:FOLDER",
        load=_load,
        open_documents=_open_documents,
        open_queries=_open_queries,
        fit_queries=_fit_queries,
        find_terms=_find_terms,
    )
)
