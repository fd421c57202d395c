"""A model adapted to an index's own documents, with or without judgements: `lsr tune --minutes`.

Queries made from the documents, with candidates and scores of the index's own hybrid search, teach the sparse model for
some minutes: its hybrid is better than any of its legs, and knows these documents. As in GPL (Wang et al., NAACL 2022)
the teacher's scores say which of the candidates are relevant, too. Judged queries, where there are any, are taught
beside them. On held-out queries, judged ones where there are any, the model is compared with the one before, and kept
only if it is better beyond chance.
"""

from __future__ import annotations

import json
import logging
import random
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.encoders.registry import load_encoder
from lsr.encoders.threads import limited_threads
from lsr.errors import LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.shards.manifest import refuse_set
from lsr.indexer.storage.index import StoredIndex
from lsr.io.atomic import atomic_file
from lsr.models import bundled_folder
from lsr.query.hybrid.dense_scores import dense_of
from lsr.query.searcher import Searcher
from lsr.training.config.config import TrainingConfig, make_config
from lsr.training.data.example import Example
from lsr.training.tuning.choose import JUDGED
from lsr.training.tuning.legs import ndcg_of
from lsr.training.tuning.probes import Judgements, Probe, judged_probes, made_probes
from lsr.training.tuning.taught import NEGATIVES, taught_examples
from lsr.types import Document

log = logging.getLogger(__name__)

EXAMPLES_FILE, RUN, RESULT_FILE = "examples.jsonl", "run", "tuning.json"
N_HELD_OUT, N_QUERIES = 200, 2_000
FEWEST_JUDGED = 10
"""Judged queries, at least, that the models are compared on; as many are taught."""
POOL = 3_000
"""Documents among which the held-out queries' are looked for: the models encode these twice."""
_SETTINGS: Mapping[str, Any] = {
    "data": {"negatives": NEGATIVES},
    "loss": {
        "ensemble": {"weight": 1.0, "candidates": "own", "temperature": 3.0},
        "infonce": {"weight": 0.1, "temperature": 3.0},
    },
    "teacher": [{"name": "file"}],
    "train": {
        "batch_size": 16, "learning_rate": 2e-5, "schedule": "constant", "warmup": 20, "max_length": 128,
        "log_every": 10,
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Adapted:
    """Outcome of an adaptation. before, after: nDCG@10 of both models on the held-out queries, by terms alone.

    model: folder of the adapted model. is_better: it is, beyond chance. queries: the kind of the held-out ones.
    """

    model: Path
    is_better: bool
    before: float
    after: float
    n_held_out: int
    n_examples: int
    steps: int
    queries: str = "made queries"


def adapt_model(
    index: str | Path,
    output: Path,
    *,
    minutes: float,
    steps: int = 2_000,
    n_queries: int = N_QUERIES,
    n_held_out: int = N_HELD_OUT,
    judged: Judgements | None = None,
    encoder: str | Path | None = None,
    dense: str | Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Adapted:
    """Train the model of an index further on queries made from its documents, and compare it with the one before.

    output: folder of the run; the same call resumes one that was interrupted, and returns the outcome of one that has
    ended. minutes: of training, beside making queries and comparing. steps: the most. n_queries, n_held_out: queries
    made to train and to compare with. judged: texts of queries by id, and relevance by query id and doc_id; half of
    them are taught beside the made ones, the others compare the models. encoder, dense: present places of the models.
    settings: parts of the training's config to change. Raises UsageError for an index without dense vectors, without a
    learned model, and for a set; LsrError where there are too few queries, and what training raises.
    """
    from lsr.training.train import train

    refuse_set(index, "models are tuned to")
    result = output / RESULT_FILE
    if result.is_file():
        return _read_result(result)
    with StoredIndex.open(index) as opened, limited_threads(threads):
        dense_of(opened)
        start = _start_of(opened, encoder)
        held_out, taught = _probes(opened, n_queries, n_held_out, judged, seed)
        output.mkdir(parents=True, exist_ok=True)
        file = output / EXAMPLES_FILE
        if not file.is_file():
            searcher = Searcher(opened, encoder=encoder, dense_encoder=dense)
            _write(file, taught_examples(searcher, taught, random.Random(seed)))
        examples = _read(file)
        config = _config(start, opened, minutes, min(steps, 100_000), seed, settings)
        trained = train(config, output / RUN, resume=(output / RUN).exists(), examples=examples)
        log.info("comparing both models on %s held-out queries", f"{len(held_out):,}")
        pool = _pool(opened, held_out, random.Random(seed))
        before, after = (_measured(folder, pool, held_out) for folder in (start, str(trained.model)))
    found = Adapted(
        trained.model, JUDGED.admits(after - before), float(before.mean()), float(after.mean()),
        len(held_out), len(examples), int(trained.record["steps"]),
        "made queries" if judged is None else "judged queries",
    )  # fmt: skip
    with atomic_file(result) as out:
        out.write(json.dumps({**asdict(found), "model": str(found.model)}, indent=1).encode())
    return found


def _read_result(path: Path) -> Adapted:
    content = json.loads(path.read_text(encoding="utf-8"))
    return Adapted(**{**content, "model": Path(content["model"])})


def _start_of(index: StoredIndex, moved_to: str | Path | None) -> str:
    """Return the folder, or the name, of an index's model. Raises UsageError for an index without one."""
    described = index.manifest.encoder
    if described.get("query_side") not in ("table", "model"):
        raise UsageError(
            f"the index at {index.path} is of {described.get('name')}, which can't be trained: tune an index of a "
            "learned model"
        )
    name = str(moved_to or described["name"])
    return str(bundled_folder(name) or name)


def _probes(
    index: StoredIndex, n_queries: int, n_held_out: int, judged: Judgements | None, seed: int
) -> tuple[list[Probe], list[Probe]]:
    """Return the held-out queries and those to teach. Raises LsrError where there are too few."""
    if judged is None:
        probes = made_probes(index, n_queries + n_held_out, seed=seed)
        held_out, taught = probes[:n_held_out], probes[n_held_out:]
        if len(held_out) < n_held_out or len(taught) < 2 * NEGATIVES:
            raise LsrError(
                f"{index.path}: {len(probes):,} queries can be made from its documents, but a tuning needs more than "
                f"{n_held_out:,}, with which the models are compared"
            )
        return held_out, taught
    known = judged_probes(index, *judged)
    random.Random(seed).shuffle(known)
    n = min(n_held_out, len(known) // 2)
    if n < FEWEST_JUDGED:
        raise LsrError(
            f"{index.path}: {len(known):,} judged queries have a text and a relevant document in it, but a training by "
            f"them needs {2 * FEWEST_JUDGED}, half of them to compare the models: train by made queries alone"
        )
    return known[:n], known[n:] + made_probes(index, n_queries, seed=seed)


def _write(path: Path, examples: Iterator[Example]) -> None:
    with atomic_file(path) as out:
        for example in examples:
            documents = [[document.doc_id, document.title, document.text] for document in example.documents]
            line = {"query": example.query, "documents": documents, "scores": example.scores}
            out.write((json.dumps(line, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass"))


def _read(path: Path) -> list[Example]:
    examples = []
    with path.open(encoding="utf-8", errors="surrogatepass") as lines:
        for line in lines:
            content = json.loads(line)
            documents = tuple(Document(doc_id, text, title) for doc_id, title, text in content["documents"])
            examples.append(Example(content["query"], documents, tuple(content["scores"])))
    if not examples:
        raise LsrError(f"{path}: no made query finds its document among the candidates: there is nothing to learn from")
    return examples


def _config(
    start: str, index: StoredIndex, minutes: float, steps: int, seed: int, changes: Mapping[str, Any] | None
) -> TrainingConfig:
    """Return the config of the training. The target of terms a document is what the model's documents have now."""
    values: dict[str, Any] = {name: dict(part) if isinstance(part, dict) else part for name, part in _SETTINGS.items()}
    has_table = index.manifest.encoder["query_side"] == "table"
    values["encoder"] = {"start": start, "family": "saved", "dropout": 0.0, "learn_query_table": has_table}
    values["train"] |= {"minutes": minutes, "steps": steps, "seed": seed}
    values["sparsity"] = {"documents": {"regulariser": "flops", "target": _model_terms(index), "ramp": 1}}
    for name, part in (changes or {}).items():
        values[name] = {**values.get(name, {}), **part}
    return make_config(values)


def _model_terms(index: StoredIndex) -> float:
    """Return the mean number of the model's terms of a document, without exact words."""
    words = index.manifest.encoder.get("settings", {}).get("words")
    first_word = len(index.vocabulary) if words is None else int(words["n_model_terms"])
    terms = np.arange(first_word, dtype=np.int32)
    return max(1.0, float(index.document_frequencies(terms).sum()) / max(1, len(index)))


def _pool(index: StoredIndex, held_out: Sequence[Probe], chance: random.Random) -> list[Document]:
    """Return the held-out queries' documents as they are looked for, and a sample of all others."""
    changed = {probe.position: probe.changed for probe in held_out if probe.changed is not None}
    ours = {position for probe in held_out for position in probe.relevant}
    pool: list[Document] = []
    others: list[Document] = []
    for position, document in index.placed_documents():
        shown = changed.get(position, document)
        (pool if position in ours else others).append(Document(str(position), shown.text, shown.title))
    return pool + chance.sample(others, min(len(others), max(0, POOL - len(pool))))


def _measured(folder: str, pool: Sequence[Document], held_out: Sequence[Probe]) -> npt.NDArray[np.float64]:
    """Return a model's nDCG@10 of each held-out query, by terms alone."""
    encoder = load_encoder(folder)
    with tempfile.TemporaryDirectory(prefix="lsr-tuning-") as place:
        path = Path(place) / "index"
        index_documents(pool, path, encoder)
        with StoredIndex.open(path) as index:
            moved = folder if index.manifest.encoder["query_side"] == "model" else None
            results = Searcher(index, encoder=moved).search([probe.text for probe in held_out], k=10, plain=True)
    found = [
        ndcg_of([int(hit.doc_id) for hit in hits], probe.relevant)
        for hits, probe in zip(results, held_out, strict=True)
    ]
    return np.array(found)
