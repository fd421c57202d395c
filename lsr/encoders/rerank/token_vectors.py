"""Token vectors by name or of an encoder: on the compiled kernels, or in torch where the model needs it.

Nothing here imports torch until a model needs it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from lsr.encoders.base import model_of
from lsr.encoders.compiled.choose import FLOAT32, INT8, compiled_options
from lsr.encoders.dense.base import DenseEncoder
from lsr.encoders.pretrained.colbert_folder import read_late_layout
from lsr.encoders.pretrained.hub import locate
from lsr.encoders.registry import load_dense_encoder
from lsr.encoders.runtime import RUNTIME, kernels_of

Vectors = npt.NDArray[np.float16]


class TokenVectorModel(Protocol):
    """A model that gives a vector for each token, as late interaction compares them."""

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    def encode_texts(self, texts: Sequence[str], names: Sequence[str]) -> list[Vectors]:
        """Return the token vectors of documents' texts. names: their names in an error."""
        ...

    def encode_query(self, text: str) -> Vectors:
        """Return the token vectors of a query."""
        ...


class CompiledTokens:
    """Token vectors of a dense or joint encoder on the compiled kernels."""

    def __init__(self, encoder: Any) -> None:
        from lsr.encoders.sparse.query_table import TableQueryEncoder

        self.description: Mapping[str, Any] = encoder.description
        self._document = encoder.document
        by_table = isinstance(encoder.query, TableQueryEncoder)
        # A table's queries get their vectors of the documents' model, behind its prompt.
        self._query = encoder.document if by_table else encoder.query
        self._prompt = encoder.query.prompt if by_table else ""

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.description["name"])

    def encode_texts(self, texts: Sequence[str], names: Sequence[str]) -> list[Vectors]:
        """Return the token vectors of documents' texts. names: their names in an error."""
        vectors: list[Vectors] = self._document.token_vectors(list(zip(texts, names, strict=True)))
        return vectors

    def encode_query(self, text: str) -> Vectors:
        """Return the token vectors of a query."""
        from lsr.encoders.compiled.model import named_queries

        vectors: list[Vectors] = self._query.token_vectors(named_queries([text], self._prompt))
        return vectors[0]


def token_vectors_of(encoder: DenseEncoder) -> TokenVectorModel:
    """Return the token vectors behind a dense encoder's own. Raises UsageError for one without a transformer."""
    model = model_of(encoder)
    if getattr(model, RUNTIME, None) in (kernels_of(INT8), kernels_of(FLOAT32)):
        return CompiledTokens(model)
    from lsr.encoders.rerank.late_interaction import late_interaction_of

    return late_interaction_of(encoder)


def load_token_vectors(name_or_path: str | Path, **options: Any) -> TokenVectorModel:
    """Load a ColBERT or PyLate model, or a dense one for its token vectors. options: as of `load_late_interaction`."""
    if compiled_options(name_or_path, options) is not None and read_late_layout(locate(name_or_path).folder) is None:
        return token_vectors_of(load_dense_encoder(name_or_path, **options))
    from lsr.encoders.rerank.late_interaction import load_late_interaction

    return load_late_interaction(name_or_path, **options)
