"""Results as MTEB's task-result files, and a stub of the model's description: what a pull request there is made of.

Written without the package `mteb`; a test reads the files with its own loader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.eval.reports.results import Result
from lsr.io.text_files import written_whole
from lsr.version import __version__

MTEB_VERSION = "2.26.24"
"""The version of mteb whose file format this is, and whose revisions of the datasets are named below."""


@dataclass(frozen=True, slots=True)
class Task:
    """A BEIR dataset as MTEB calls it; `revision` is that of its copy of the dataset."""

    name: str
    revision: str
    split: str = "test"


TASKS: Mapping[str, Task] = {
    "arguana": Task("ArguAna", "c22ab2a51041ffd869aaddef7af8d8215647e41a"),
    "climate-fever": Task("ClimateFEVER", "47f2ac6acb640fc46020b02a5b59fdda04d39380"),
    "dbpedia-entity": Task("DBPedia", "c0f706b76e590d620bd6618b3ca8efdd34e2d659"),
    "fever": Task("FEVER", "bea83ef9e8fb933d90a2f1d5515737465d613e12"),
    "fiqa": Task("FiQA2018", "27a168819829fe9bcd655c2df245fb19452e8e06"),
    "hotpotqa": Task("HotpotQA", "ab518f4d6fcca38d87c25209f94beba119d02014"),
    "msmarco": Task("MSMARCO", "c5a29a104738b98a9e76336939199e264163d4a0", "dev"),
    "nfcorpus": Task("NFCorpus", "ec0fa4fe99da2ff19ca1214b7966684033a58814"),
    "nq": Task("NQ", "b774495ed302d8c44a3a7ea25c90dbce03968f31"),
    "quora": Task("QuoraRetrieval", "e4e08e0b7dbe3c8700f0daef558ff32256715259"),
    "scidocs": Task("SCIDOCS", "f8c2fcf00f625baaa80f62ec5bd9e1fff3b8ae88"),
    "scifact": Task("SciFact", "d56462d0e63a25450459c4f213e49ffdb866f7f9"),
    "trec-covid": Task("TRECCOVID", "bb9466bac8153a0349341eb1b22e06409e78ef4e"),
    "webis-touche2020": Task("Touche2020", "a34f9a33db75fa0cbb21bb5cfc3dae8dc8bec93f"),
}
"""By BEIR's name. CQADupStack is missing: MTEB computes its score from twelve separate tasks."""

_SCORES = {"nDCG": "ndcg", "MAP": "map", "Recall": "recall", "P": "precision", "MRR": "mrr"}


def write_mteb_files(
    results: Sequence[Result], folder: Path, *, model: str, revision: str
) -> tuple[list[Path], list[str]]:
    """Write one system's results to `folder/results/MODEL/REVISION/`; return the files, and what was left out.

    model: `organisation/name`, as MTEB lists models. Raises UsageError for another form, LsrError where the results
    are of several systems, lack nDCG@10, or belong to no task of MTEB.
    """
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", model) or not re.fullmatch(r"[\w.-]+", revision):
        raise UsageError(f"MTEB names models organisation/name at a revision, not {model!r} at {revision!r}")
    systems = sorted({result.system for result in results})
    if len(systems) != 1:
        raise LsrError(f"MTEB files are of one model, but these are {', '.join(systems)}: choose one with --system")
    target = folder / "results" / model.replace("/", "__") / revision
    paths, left_out = [], []
    for result in results:
        problem = _mismatch(result)
        if problem:
            left_out.append(f"{result.dataset.name} ({result.dataset.split}): {problem}")
            continue
        paths.append(target / f"{TASKS[result.dataset.name].name}.json")
        _write(paths[-1], task_result(result))
    if not paths:
        raise LsrError(f"none of the results fits a task of MTEB: {'; '.join(left_out)}")
    _write(target / "model_meta.json", model_meta(results[0], model, revision))
    with written_whole(target / "model_meta.py") as file:
        file.write(model_meta_stub(results[0], model, revision))
    return paths, left_out


def task_result(result: Result) -> dict[str, Any]:
    """Return a result in the form of mteb's TaskResult, marked with what made it."""
    task = TASKS[result.dataset.name]
    if "nDCG@10" not in result.measures:
        raise LsrError(f"{result.dataset.name}: the result has no nDCG@10, MTEB's main score; measure it with it")
    scores: dict[str, Any] = {}
    for measure, value in result.measures.items():
        kind, _, cutoff = measure.partition("@")
        if kind in _SCORES:
            scores[f"{_SCORES[kind]}_at_{cutoff}"] = round(value, 6)
    scores |= {
        "main_score": round(result.measures["nDCG@10"], 6),
        "hf_subset": "default",
        "languages": ["eng-Latn"],
        "made_by": f"lsr-search {__version__} (not run by mteb), {result.provenance.date}",
        "qrels_sha256": result.dataset.qrels_sha256,
    }
    return {
        "dataset_revision": task.revision,
        "task_name": task.name,
        "mteb_version": MTEB_VERSION,
        "scores": {task.split: [scores]},
        "evaluation_time": None,
        "kg_co2_emissions": None,
        "date": datetime.fromisoformat(result.provenance.date).timestamp(),
    }


def model_meta(result: Result, model: str, revision: str) -> dict[str, Any]:
    """Return the fields of mteb's ModelMeta that a result knows; None where a person has to fill in."""
    encoder = result.encoder or {}
    document = (encoder.get("settings") or {}).get("document") or {}
    return {
        "name": model,
        "revision": revision,
        "release_date": result.provenance.date[:10],
        "languages": ["eng-Latn"],
        "n_parameters": None,
        "memory_usage_mb": None,
        "max_tokens": document.get("max_length"),
        "embed_dim": None,
        "license": None,
        "open_weights": None,
        "public_training_code": None,
        "public_training_data": None,
        "framework": ["NumPy"],
        "similarity_fn_name": "dot",
        "use_instructions": False,
        "training_datasets": None,
        "model_type": ["sparse"],
    }


def model_meta_stub(result: Result, model: str, revision: str) -> str:
    """Return Python text that defines the ModelMeta, for mteb's model_implementations."""
    fields = "".join(f"    {name}={value!r},\n" for name, value in model_meta(result, model, revision).items())
    made = f"lsr-search {__version__}, from its result of {result.system!r}, {result.provenance.date}"
    return (
        f'"""Description of {model} for mteb. Made by {made}.\n\n'
        "Every None is unknown to the program: fill it in, and give `loader` mteb's wrapper for the model,\n"
        'before a pull request."""\n\n'
        "from mteb.models.model_meta import ModelMeta\n\n"
        f"{re.sub(r'[^a-z0-9]+', '_', model.lower())} = ModelMeta(\n    loader=None,\n{fields})\n"
    )


def _mismatch(result: Result) -> str | None:
    """Return the reason why a result can't be MTEB's task, or None."""
    task = TASKS.get(result.dataset.name)
    if task is None:
        return "no task of MTEB"
    if result.dataset.split != task.split:
        return f"MTEB measures the split {task.split}"
    if result.protocol.approximate is not None:
        return "approximate search"
    return None


def _write(path: Path, entry: Mapping[str, Any]) -> None:
    with written_whole(path) as file:
        json.dump(entry, file, indent=2, allow_nan=False)
        file.write("\n")
