"""Encoding of a corpus by Ray: numbered units go to actors, which write the shards.

An actor holds the model. One that dies is started again by Ray and gets its units again; a shard is written aside under
a name that nobody else uses and renamed, so each is there once. What the driver had finished is not encoded again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lsr.cluster.replies import result_of, said
from lsr.cluster.session import connected, first_line
from lsr.errors import ClusterError, UsageError
from lsr.indexer.encode.shards import Shard, shard_name
from lsr.indexer.encode.units import Unit
from lsr.io.folder import Folder
from lsr.types import Document

AHEAD = 2
"""Units that an actor has under way, so that it need not wait for the next."""
LOADING_S = 600.0
"""Time that actors get to start and to load their model, which may be downloaded first."""


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """The encoders that each actor loads, and what it writes.

    encoder, options: name of the sparse encoder (None for a dense one alone) and the options of its loading; dense,
    dense_options: the same for dense vectors. staged: write what an index is made of, instead of vectors to be kept.
    with_text: keep titles, texts and fields beside these. threads: of each actor.
    """

    encoder: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    dense: str | None = None
    dense_options: Mapping[str, Any] = field(default_factory=dict)
    staged: bool = False
    with_text: bool = True
    threads: int = 1


class EncodeActor:
    """A model in a process of a cluster."""

    def __init__(self, spec: str) -> None:
        from lsr.encoders.registry import load_dense_encoder, load_encoder
        from lsr.indexer.encode.document_encoders import Legs

        self._spec = EncoderSpec(**json.loads(spec))
        sparse = None if self._spec.encoder is None else load_encoder(self._spec.encoder, **self._spec.options)
        dense = None
        if self._spec.dense is not None:
            dense = load_dense_encoder(self._spec.dense, sparse=sparse, **self._spec.dense_options)
        if sparse is not None and dense is None and not self._spec.staged:
            self._legs = Legs.of(sparse)
        else:
            self._legs = Legs(sparse, dense)
        if self._spec.staged:
            models = self._legs.models
            is_words = sparse is not None and sparse.corpus_weighting is not None
            self._legs = Legs(None, models.dense) if is_words else models

    def description(self) -> str:
        """Return the description of the encoders, and the id of this process, as JSON."""
        import os

        return json.dumps([self._legs.description, os.getpid()])

    def encode(self, number: int, windows: bytes, folder: str) -> str:
        """Write the shard of a unit; return what it says of itself, or an error, as JSON."""
        return said(lambda: self._encode(number, windows, folder))

    def _encode(self, number: int, windows: bytes, folder: str) -> list[Any]:
        from lsr.encoders.threads import limited_threads
        from lsr.indexer.encode.encode_corpus import vector_columns
        from lsr.indexer.encode.resumable_job import write_unit
        from lsr.indexer.encode.resume import staged_columns

        spec, legs = self._spec, self._legs
        batches = [[Document(*values) for values in batch] for batch in json.loads(windows)]
        with limited_threads(spec.threads):
            encoded = (
                (batch, staged_columns(legs, batch) if spec.staged else
                 vector_columns(legs, batch, with_text=spec.with_text))
                for batch in batches
            )  # fmt: skip
            shard = write_unit(Folder.open(Path(folder)) / shard_name(number), encoded, token=secrets.token_hex(6))
        return [str(shard.path), shard.n_docs, shard.source]


class RayEncoders:
    """Actors that encode units; see `lsr.indexer.encode.units.Workers`. pids: of their processes, as they started.

    workers: number of actors (default: one a machine, or one a GPU where actors get one). gpus: GPUs of each.
    The folders that are written to must be the same on all machines. Raises ClusterError, UsageError.
    """

    def __init__(
        self, address: str | None, spec: EncoderSpec, *, workers: int | None = None, gpus: float = 0.0
    ) -> None:
        self._ray = ray = connected(address)
        resources = ray.cluster_resources()
        n = workers or int(resources.get("GPU", 0) / gpus if gpus else sum(node["Alive"] for node in ray.nodes()))
        if n < 1:
            raise UsageError(f"the cluster has {resources.get('GPU', 0):g} GPUs, but each worker is to get {gpus:g}")
        cpus = min(spec.threads, max(1, int(resources.get("CPU", 1)) // n))
        options = {
            "max_restarts": -1, "max_task_retries": -1, "num_cpus": cpus, "num_gpus": gpus,
            "scheduling_strategy": "SPREAD",
        }  # fmt: skip
        text = json.dumps(asdict(spec))
        self._actors = [ray.remote(EncodeActor).options(**options).remote(text) for _ in range(n)]
        self.pids: list[int] = []
        self._description = self._agreed()

    def _agreed(self) -> Mapping[str, Any]:
        try:
            refs = [actor.description.remote() for actor in self._actors]
            found = [json.loads(text) for text in self._ray.get(refs, timeout=LOADING_S)]
        except self._ray.exceptions.GetTimeoutError as error:
            raise ClusterError(
                f"{len(self._actors)} workers were not ready within {LOADING_S:g} s: 'ray status' says whether the "
                "cluster has room; fewer --workers or --threads need less"
            ) from error
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"a worker can't load the encoder: {first_line(error)}") from error
        descriptions = [description for description, _ in found]
        if any(description != descriptions[0] for description in descriptions):
            raise ClusterError(
                "the workers don't have the same encoder, or compute in other data types or on other devices: "
                "make their machines alike, or use --gpus"
            )
        self.pids = [pid for _, pid in found]
        first: Mapping[str, Any] = descriptions[0]
        return first

    @property
    def description(self) -> Mapping[str, Any]:
        """The description of the workers' encoders, with its runtime."""
        return self._description

    def encode(self, units: Iterable[Unit], folder: Path) -> Iterator[tuple[int, Shard]]:
        """Write a shard of each unit into a folder, and yield it with its number, in any order."""
        under_way: dict[Any, tuple[int, int]] = {}
        load = [0] * len(self._actors)
        place = str(folder.resolve())
        for unit in units:
            while min(load) >= AHEAD:
                yield self._finished(under_way, load)
            at = min(range(len(load)), key=load.__getitem__)
            reference = self._actors[at].encode.remote(unit.number, _packed(unit), place)
            under_way[reference] = (at, unit.number)
            load[at] += 1
        while under_way:
            yield self._finished(under_way, load)

    def _finished(self, under_way: dict[Any, tuple[int, int]], load: list[int]) -> tuple[int, Shard]:
        (reference,), _ = self._ray.wait(list(under_way), num_returns=1)
        at, number = under_way.pop(reference)
        load[at] -= 1
        try:
            path, n_docs, source = result_of(self._ray.get(reference))
        except self._ray.exceptions.RayError as error:
            raise ClusterError(f"a worker failed at unit {number}: {first_line(error)}") from error
        return number, Shard(Path(path), n_docs, source)

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            self._ray.kill(actor)


def _packed(unit: Unit) -> bytes:
    windows = [
        [(one.doc_id, one.text, one.title, dict(one.fields)) for one in window] for window in unit.windows
    ]  # fmt: skip
    return json.dumps(windows).encode()
