"""Card of a trained model: README.md beside it, with front matter as the Hugging Face hub reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from lsr.encoders.families import FAMILIES
from lsr.training.config.config import TrainingConfig

CARD_FILE = "README.md"


def model_card(config: TrainingConfig, record: Mapping[str, Any]) -> str:
    """Return the card of a model. record: the content of `training.json`."""
    name = config.name or "A sparse encoder"
    family = FAMILIES.get(config.encoder.family)
    lines = [*_front_matter(config, record), "", f"# {name}", ""]
    kind = "a further training of a saved encoder" if family is None else f"of family `{config.encoder.family}`"
    lines += [f"A learned sparse encoder, {kind}, trained from `{_shown(config.encoder.start)}`.", ""]
    papers = [paper for paper in (None if family is None else family.paper, config.paper) if paper]
    lines += [f"- Paper: {paper}" for paper in dict.fromkeys(papers)]
    lines += [
        f"- Steps: {record['steps']:,}, of which the model of step {record['model_of_step']:,} is here",
        f"- Examples: {record['n_examples']:,}; batches of {config.train.batch_size}, {config.train.accumulate} a step",
        f"- Losses: {', '.join(f'{name} ({loss.weight:g})' for name, loss in config.loss.items())}",
        f"- Seconds: {record['seconds']:,.0f} on {record['device']}, {record['n_processes']} process(es)",
    ]
    if config.teacher:
        lines.append(f"- Teachers: {', '.join(_shown(one.name) for one in config.teacher)}")
    lines += ["", "## Use", "", "    lsr index notes/ --encoder path/to/this/folder", '    lsr search "a query"', ""]
    lines += ['From Python: `lsr.index(texts, encoder="path/to/this/folder")`.', ""]
    metrics = dict(record["metrics"])
    metrics.pop("step", None)
    if metrics:
        lines += ["## Measured", "", "| | |", "| --- | --- |"]
        lines += [f"| {name} | {value:.4f} |" for name, value in metrics.items()] + [""]
        if config.eval.max_documents is not None:
            lines += [
                f"Over {config.eval.max_documents:,} documents of each collection: comparable with itself alone.",
                "",
            ]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    lines += ["`training.json` has the whole config, the seed and the evaluations.", f"Made with {versions}."]
    return "\n".join(lines) + "\n"


def _front_matter(config: TrainingConfig, record: Mapping[str, Any]) -> list[str]:
    """Return the YAML head; its strings are JSON, which YAML reads."""
    lines = ["---", "tags:", "- sparse-encoder", "- learned-sparse-retrieval", f"- {json.dumps(config.encoder.family)}"]
    lines += ["library_name: lsr-search", "pipeline_tag: feature-extraction"]
    base = _shown(config.encoder.start)
    if "/" in base:
        lines.append(f"base_model: {json.dumps(base)}")
    sets = [name for one in (config.data.files, *(one.files for one in config.data.sets)) for name in one]
    named = [name.removeprefix("hf:").partition("@")[0].partition(":")[0] for name in sets if name.startswith("hf:")]
    if named:
        lines += ["datasets:", *(f"- {json.dumps(name)}" for name in dict.fromkeys(named))]
    del record
    return [*lines, "---"]


def _shown(place: str) -> str:
    """Return a model's name without the folders of the machine that it was on."""
    kind, colon, rest = place.rpartition(":")
    parts = rest.rstrip("/").split("/")
    is_name = len(parts) <= 2 and not rest.startswith((".", "~"))
    return kind + colon + (rest if is_name else parts[-1])
