"""Result files: one JSON object for a system and a dataset, with all that is needed to check the number."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.eval.reports.provenance import Provenance
from lsr.io.dataclass_json import from_json, to_json
from lsr.io.text_files import written_whole

FORMAT = "lsr-eval-result"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """Size and oddities of a dataset. The corpus counts are None where no corpus was read."""

    name: str
    split: str
    n_queries: int
    n_judgements: int
    qrels_sha256: str
    n_queries_without_qrels: int | None
    n_docs: int | None
    n_docs_without_title: int | None
    n_docs_without_text: int | None
    n_unknown_judged: int | None


@dataclass(frozen=True, slots=True)
class Protocol:
    """The rules of the evaluation."""

    k: int | None
    """Results asked for a query; None where a run file was given."""
    text: str | None
    """Rule by which title and text are joined."""
    drop_identical_ids: bool
    ties: str
    approximate: str | None
    """None for exact search, else which approximation with which settings."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Microseconds a query: the median, the 99th percentile and the mean."""

    p50_us: float
    p99_us: float
    mean_us: float
    n: int


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Sizes and times of a search; None where nothing could be measured, never a guess."""

    threads: int
    document_terms: float | None
    """Mean active terms a document."""
    query_terms: float | None
    flops: float | None
    """Expected multiplications for a query and a document: Σ_j p_j(query) · p_j(document)."""
    index_size_bytes: int | None
    """All that search reads: vocabulary, query encoder, postings; without the stored texts."""
    stored_texts_bytes: int | None
    index_s: float | None
    """Seconds to build the index, encoding included; None where it was there already."""
    encode: Latency | None
    search: Latency | None
    qps: float | None


@dataclass(frozen=True, slots=True)
class Result:
    """One system on one dataset."""

    system: str
    encoder: Mapping[str, Any] | None
    """The encoder's own description, out of the index's manifest; None for a run made elsewhere."""
    dataset: DatasetFacts
    protocol: Protocol
    measures: Mapping[str, float]
    n_queries_without_results: int
    n_queries_not_judged: int
    n_unjudged_at_10: float
    identical_ids_dropped: int | None
    efficiency: Efficiency | None
    per_query: Mapping[str, Mapping[str, float]] | None
    provenance: Provenance


def write_result(path: Path, result: Result) -> None:
    """Write a result file, completely or not at all."""
    entry = {"format": FORMAT, "format_version": FORMAT_VERSION, **to_json(result)}
    with written_whole(path) as file:
        json.dump(entry, file, indent=1, ensure_ascii=False, allow_nan=False)
        file.write("\n")


def read_result(path: Path) -> Result:
    """Read a result file, every field checked. Raises LsrError for anything else, with path and field."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LsrError(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise LsrError(f"{path}: no JSON: {error}") from error
    if not isinstance(entry, dict) or entry.pop("format", None) != FORMAT:
        raise LsrError(f"{path}: no result file of lsr eval: the format {FORMAT!r} isn't named in it")
    version = entry.pop("format_version", None)
    if version != FORMAT_VERSION:
        raise LsrError(f"{path}: format version {version!r}; this program reads {FORMAT_VERSION}")
    return from_json(Result, entry, where=str(path))


def is_result_file(path: Path) -> bool:
    """Say whether a file calls itself a result, of whatever version; other JSON lies in folders too."""
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(entry, dict) and entry.get("format") == FORMAT


def qrels_sha256(qrels: Mapping[str, Mapping[str, int]]) -> str:
    """Return a fingerprint of judgements that doesn't depend on their order or file format."""
    digest = hashlib.sha256()
    for query_id in sorted(qrels):
        for doc_id in sorted(qrels[query_id]):
            digest.update(f"{query_id}\t{doc_id}\t{qrels[query_id][doc_id]}\n".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
