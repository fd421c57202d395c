"""Encoders of an index's queries, opened when they are first needed, and shared between generations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, QueryEncoder
from lsr.encoders.dense.base import DenseEncoder
from lsr.errors import UsageError
from lsr.indexer.encode.open_encoders import malformed_as_damage, open_dense_encoder_of, open_query_encoder_of
from lsr.indexer.storage.index import StoredIndex
from lsr.io.fork_safe import ForkSafeLock
from lsr.query.idf_weighting import idf_weighted


class QueryEncoders:
    """The sparse and dense encoders of one index generation's queries. Safe to use from many threads.

    encoder: the index's encoder where it is loaded already, or the folder of its model now; default, where it was.
    dense_encoder: the same for its dense encoder. before: encoders of an earlier generation, whose loaded models
    are reused. once: no other query follows, so the compiled kernels are not loaded for it. Raises EncoderError for
    another encoder than the index's, UsageError for a folder that nothing needs.
    """

    def __init__(
        self,
        index: StoredIndex,
        *,
        encoder: Encoder | str | Path | None = None,
        dense_encoder: DenseEncoder | str | Path | None = None,
        before: QueryEncoders | None = None,
        once: bool = False,
    ) -> None:
        self.index = index
        self._once = once
        self._given = None if encoder is None or isinstance(encoder, str | Path) else encoder
        self._folder = encoder if isinstance(encoder, str | Path) else None
        self._dense_given = None if dense_encoder is None or isinstance(dense_encoder, str | Path) else dense_encoder
        self._dense_folder = dense_encoder if isinstance(dense_encoder, str | Path) else None
        self._opening = ForkSafeLock()
        self._models: dict[str, Any] = {} if before is None else before._models_for(index)
        self._sparse: QueryEncoder | None = None
        if self._folder is not None and index.manifest.encoder["query_side"] != "model":
            raise UsageError(f"the index at {index.path} needs no model for its queries: leave out the encoder")
        if self._given is not None:
            check_encoder(index.manifest.encoder, self._given, "encode_queries")
        if self._dense_given is not None:
            check_encoder(index.manifest.dense or {}, self._dense_given, "encode_dense_queries")
            self._models["dense"] = self._dense_given

    @property
    def model_place(self) -> str | Path | None:
        """The present folder of the sparse encoder's model that the user named, None where it was."""
        return self._folder

    def _models_for(self, index: StoredIndex) -> dict[str, Any]:
        """Return the loaded models that another generation can use."""
        ours, theirs = self.index.manifest, index.manifest
        same = ours.vocabulary == theirs.vocabulary and ours.encoder_files == theirs.encoder_files
        with self._opening:
            return dict(self._models) if same and ours.dense == theirs.dense else {}

    def refreshed(self, index: StoredIndex) -> QueryEncoders:
        """Return the encoders of another generation of the same index, with the loaded models that it shares."""
        encoder, dense = self._given or self._folder, self._dense_given or self._dense_folder
        return QueryEncoders(index, encoder=encoder, dense_encoder=dense, before=self, once=self._once)

    def _opened(self, name: str, open_it: Callable[[], Any]) -> Any:
        if name not in self._models:
            self._models[name] = open_it()
        return self._models[name]

    @property
    def sparse(self) -> QueryEncoder:
        """The encoder of sparse queries, loaded when first asked for.

        Raises EncoderError if it can't be loaded, or is another than the index was built with.
        """
        if self._sparse is None:
            with self._opening:
                model = self._opened("sparse", self._open_sparse)
                # Idf is that of this generation, while the model is shared between generations.
                with malformed_as_damage(self.index):
                    self._sparse = idf_weighted(model, self.index, self.index.manifest.encoder)
        return self._sparse

    def _open_sparse(self) -> Any:
        # An encoder whose queries need no model (a table, or words) has its query side in the index.
        if self._given is None or self.index.manifest.encoder["query_side"] != "model":
            return open_query_encoder_of(self.index, moved_to=self._folder)
        return fitted_to(self.index, self._given)

    @property
    def dense(self) -> Any:
        """The encoder of the dense vectors (`lsr.encoders.dense.base.DenseEncoder`), loaded when first asked for.

        Raises UsageError for an index without dense vectors, EncoderError if it can't be loaded, or is another than
        the documents' was.
        """
        with self._opening:
            return self._opened("dense", self._open_dense)

    @property
    def dense_queries(self) -> Any:
        """An encoder of dense queries, without torch where that is possible (`encode_dense_queries`).

        Raises the same errors as `dense`.
        """
        with self._opening:
            if "dense" in self._models:
                return self._models["dense"]
            return self._opened("dense queries", self._open_dense_queries)

    def _open_dense(self) -> Any:
        return open_dense_encoder_of(self.index, moved_to=self._dense_place)

    def _open_dense_queries(self) -> Any:
        from lsr.encoders.dense.numpy_encoder import open_bare
        from lsr.models import bundled_folder

        described, place = self.index.manifest.dense, self._dense_place
        bare = None
        # Numpy takes eight times as long as the bundled model's kernels, but one query is done before they are loaded.
        if described is not None and (self._once or bundled_folder(str(place or described.get("name"))) is None):
            bare = open_bare(described, moved_to=place)
        return bare or self._opened("dense", self._open_dense)

    @property
    def _dense_place(self) -> str | Path | None:
        manifest = self.index.manifest
        joint = manifest.dense is not None and manifest.dense["kind"] == manifest.encoder["kind"]
        return self._dense_folder or (self._folder if joint else None)


def check_encoder(recorded: Mapping[str, Any], encoder: Any, method: str) -> None:
    """Raise EncoderError for another encoder than an index was made with, UsageError for an object that is none."""
    from lsr.encoders.registry import check_same

    description = getattr(encoder, "description", None)
    if description is None or not hasattr(encoder, method):
        raise UsageError(
            f"the encoder is {encoder!r:.60}; it must be an encoder as load_encoder() returns it, or its folder"
        )
    check_same(_without_words(recorded), _without_words(description))


def _without_words(description: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a description without its words: those of queries are made as the index records it."""
    settings = description.get("settings")
    if not isinstance(settings, Mapping) or settings.get("words") is None:
        return description
    return {**description, "settings": {**settings, "words": True}}


def fitted_to(index: StoredIndex, encoder: Encoder) -> Any:
    """Return a loaded encoder as a query encoder over the vocabulary of an index, which was made with it."""
    from lsr.encoders.registry import fit_query_encoder

    return fit_query_encoder(encoder, index.manifest.encoder, index.vocabulary.lookup, len(index.vocabulary))
