"""Every recipe trains, saves, loads, indexes and searches: nearly perfect, and as sparse as was asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.encoders.registry import load_encoder
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher
from lsr.training.config.config import make_config
from lsr.training.config.toml_values import read_config, with_overrides
from lsr.training.recipes import RECIPES_FOLDER, recipes
from lsr.training.train import train

pytestmark = pytest.mark.usefixtures("without_plots")

DOCUMENT_TARGET, QUERY_TARGET = 7.0, 5.0

# What a recipe for millions of steps needs to be one for a toy.
SMALL = [
    "train.steps=250", "train.batch_size=16", "train.learning_rate=5e-3", "train.warmup=10", "train.log_every=25",
    "train.precision=float32", "encoder.dropout=0.0", "data.negatives=4",
]  # fmt: skip
TARGETS = {
    "documents": [f"sparsity.documents.target={DOCUMENT_TARGET}", "sparsity.documents.ramp=100"],
    "queries": [f"sparsity.queries.target={QUERY_TARGET}", "sparsity.queries.ramp=100"],
}
PER_RECIPE: dict[str, list[str]] = {
    "dyvo": ["encoder.phrases.embeddings=tokens"],
    "uhd": ["encoder.document.wide={layers=[1], width=256, active=12}"],
    "l0-mask": [f"sparsity.documents.threshold={DOCUMENT_TARGET - 2}"],
}


def small_config(name: str, model: Path) -> Any:
    values = read_config(RECIPES_FOLDER / f"{name}.toml")
    changes = [*SMALL, f"encoder.start={model}", *PER_RECIPE.get(name, [])]
    if "phrases" in values["encoder"]:
        changes.append(f'encoder.phrases.files=["{model / "phrases.txt"}"]')
    for side, targets in TARGETS.items():
        changes += targets if side in values.get("sparsity", {}) else []
    return make_config(with_overrides(values, changes))


def reciprocal_rank(encoder: Any, toy: Any, index: Path) -> float:
    index_documents(toy.documents, index, encoder)
    searcher = Searcher(index)
    ranks = []
    for query, number in toy.testing:
        found = [hit.doc_id for hit in searcher.search(query, k=10)]
        ranks.append(found.index(f"d{number}") if f"d{number}" in found else 100)
    return float(np.mean(1 / (1 + np.array(ranks))))


def test_slim_trains_on_sums_of_maxima(tmp_path: Path, random_model: Path, toy: Any) -> None:
    values = small_config("slim", random_model).to_json()
    values["train"]["scores"] = "sums-of-maxima"
    result = train(make_config(values), tmp_path / "run", examples=toy.examples(scored=True, negatives=4))
    assert reciprocal_rank(load_encoder(result.model), toy, tmp_path / "index") >= 0.9


@pytest.mark.parametrize("name", [recipe.name for recipe in recipes()])
def test_a_recipe_reaches_nearly_perfect_ranking_as_sparse_as_asked(
    name: str, tmp_path: Path, random_model: Path, toy: Any, toy_beir: Path, key_teacher: Any
) -> None:
    config = small_config(name, random_model)
    result = train(config, tmp_path / "run", examples=toy.examples(scored=True, negatives=4), teachers=key_teacher)

    encoder = load_encoder(result.model)
    assert reciprocal_rank(encoder, toy, tmp_path / "index") >= 0.9

    targets = {"documents": config.sparsity.documents, "queries": config.sparsity.queries}
    vectors = {
        "documents": encoder.encode_documents(toy.documents),
        "queries": encoder.encode_queries([query for query, _ in toy.training]),
    }
    for side, settings in targets.items():
        if settings is not None:
            assert vectors[side].nnz / len(vectors[side]) == pytest.approx(settings.target, rel=0.1), side
