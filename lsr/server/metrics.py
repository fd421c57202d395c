"""Metrics of the server, as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from prometheus_client import Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import CollectorRegistry

from lsr.api.documents import count_documents
from lsr.query.stages import Seconds
from lsr.server.served_index import ServedIndexes

__all__ = ["CONTENT_TYPE_LATEST", "Metrics"]

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counts and durations of requests and stages, and the state of the indexes. Safe to use from many threads."""

    def __init__(self, indexes: ServedIndexes, n_calls: Callable[[], int]) -> None:
        self._indexes = indexes
        self._registry = registry = CollectorRegistry()
        ProcessCollector(namespace="lsr", registry=registry)
        self._requests = Counter("lsr_requests", "Requests", ("route", "method", "status"), registry=registry)
        self._durations = Histogram(
            "lsr_request_seconds", "Seconds from request to answer", ("route",), registry=registry, buckets=BUCKETS
        )
        self._stages = Histogram(
            "lsr_stage_seconds", "Seconds of a stage of a search", ("stage",), registry=registry, buckets=BUCKETS
        )
        self._generations = Gauge("lsr_index_generation", "Generation that is served", ("index",), registry=registry)
        self._documents = Gauge("lsr_index_documents", "Documents of the index", ("index",), registry=registry)
        Gauge("lsr_requests_in_flight", "Requests that are worked on or wait", registry=registry).set_function(n_calls)
        self._children: dict[Any, Any] = {}

    def observe_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request."""
        self._child(self._requests, route, method, str(status)).inc()
        self._child(self._durations, route).observe(seconds)

    def observe_stages(self, seconds: Seconds, others: Mapping[str, float]) -> None:
        """Count the stages of a search. others: seconds of what comes after the ranking."""
        for stage, value in (*seconds._asdict().items(), *others.items()):
            if value:
                self._child(self._stages, stage).observe(value)

    def _child(self, metric: Any, *labels: str) -> Any:
        key = (metric, *labels)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = metric.labels(*labels)
        return found

    def text(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        for name, index in self._indexes.items():
            self._generations.labels(name).set(index.index.manifest.generation)
            self._documents.labels(name).set(count_documents(index.index))
        return generate_latest(self._registry)
