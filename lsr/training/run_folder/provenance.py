"""Provenance of a trained model, as JSON values."""

from __future__ import annotations

import importlib.metadata
import platform
import time
from typing import TYPE_CHECKING, Any

from lsr.version import __version__

if TYPE_CHECKING:
    from lsr.training.trainer import SparseTrainer

LIBRARIES = ("torch", "transformers", "accelerate", "tokenizers", "numpy")


def training_record(trainer: SparseTrainer, step: int, now: float) -> dict[str, Any]:
    """Return the content of `training.json`: config, versions, seed, steps, metrics. step: of the saved model."""
    evaluations = trainer.run_state.evaluations
    return {
        "format": 1,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)),
        "config": trainer.config.to_json(),
        "seed": trainer.config.train.seed,
        "steps": trainer.state.global_step,
        "model_of_step": step,
        "seconds": round(trainer.seconds, 3),
        "n_examples": len(trainer.train_dataset),
        "n_processes": trainer.args.world_size,
        "device": str(trainer.args.device),
        "n_trained_weights": sum(value.numel() for value in trainer.student.parameters() if value.requires_grad),
        "metrics": next((e for e in reversed(evaluations) if e["step"] == step), {}),
        "evaluations": evaluations,
        "lambda": trainer.objective.weights(trainer.state.global_step),
        "versions": {
            "lsr-search": __version__,
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        },
    }
