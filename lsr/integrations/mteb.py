"""A search model of MTEB, which measures it by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.api.build import index as make_index
from lsr.api.index import Index
from lsr.errors import LsrError
from lsr.integrations.common import MissingFrameworkError
from lsr.query.filters.filter import DocumentFilter
from lsr.query.options import SearchOptions
from lsr.version import __version__

try:
    from mteb.models.model_meta import ModelMeta
except ImportError as error:
    raise MissingFrameworkError("mteb") from error


class LsrSearch:
    """MTEB's `SearchProtocol`: `mteb.evaluate(LsrSearch("default"), tasks)` indexes and searches each task.

    encoder: as of `lsr.index`. building: further arguments of `lsr.index`, as {"dense": "joint"}. options: options of
    every search, as of `Index.search`. Indexes lie in a folder for temporary files until the next task.
    """

    def __init__(self, encoder: str | Path, *, building: Mapping[str, Any] | None = None, **options: Any) -> None:
        self._encoder = encoder
        self._building = dict(building or {})
        self._options = SearchOptions(**{"plain": True, **options})
        self._given = options
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._index: Index | None = None

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """The description of the model, under which MTEB keeps its results."""
        name = str(self._encoder)
        return ModelMeta(
            loader=None, name=name if name.count("/") == 1 else f"lsr-search/{Path(name).name}", revision=__version__,
            release_date=None, languages=None, n_parameters=None, memory_usage_mb=None, max_tokens=None,
            embed_dim=None, license=None, open_weights=None, public_training_code=None, public_training_data=None,
            framework=[], similarity_fn_name=None, use_instructions=False, training_datasets=None,
            model_type=["sparse"], experiment_kwargs={**self._building, **self._given} or None,
        )  # fmt: skip

    def index(self, corpus: Any, **described: Any) -> None:
        """Index a task's corpus: a dataset with `id`, `text` and perhaps `title`. described: the task, not used."""
        self.close()
        self._folder = tempfile.TemporaryDirectory(prefix="lsr-mteb-")
        folder = Path(self._folder.name) / "index"
        self._index = make_index(_documents(corpus), folder, encoder=self._encoder, **self._building)

    def search(
        self, queries: Any, *, top_k: int, top_ranked: Mapping[str, Sequence[str]] | None = None, **described: Any
    ) -> dict[str, dict[str, float]]:
        """Return scores by doc_id, by the id of the query. top_ranked: the candidates of a task of reranking.

        Equal scores are told apart by their last bits, in the order of the index: MTEB would order them by doc_id.
        """
        if self._index is None:
            raise LsrError("there is no corpus yet: call index() before search()")
        searcher = self._index.searcher
        ids, texts = list(queries["id"]), list(queries["text"])
        options = self._options.replace(k=top_k)
        if top_ranked is None:
            found = searcher.search(texts, options)
        else:
            allowed = [DocumentFilter.from_doc_ids(searcher.index, top_ranked[query_id]) for query_id in ids]
            found = [searcher.search(text, options, where=where) for text, where in zip(texts, allowed, strict=True)]
        return {
            query_id: dict(zip((hit.doc_id for hit in results), descending([hit.score for hit in results]), strict=True))
            for query_id, results in zip(ids, found, strict=True)
        }

    def close(self) -> None:
        """Remove the index of the last task."""
        if self._index is not None:
            self._index.close()
        if self._folder is not None:
            self._folder.cleanup()
        self._index = self._folder = None


def descending(scores: Sequence[float]) -> list[float]:
    """Return scores that never rise, each below the one before by at least the last bit of a 32-bit float."""
    found: list[float] = []
    for score in scores:
        single = np.float32(score)
        if found and single >= np.float32(found[-1]):
            single = np.nextafter(np.float32(found[-1]), np.float32(-np.inf))
        found.append(float(single))
    return found


def _documents(corpus: Any) -> Iterator[dict[str, str]]:
    for row in corpus:
        yield {"doc_id": row["id"], "title": row.get("title") or "", "text": row.get("text") or row.get("body") or ""}
