"""Interface of evaluators: an encoder in, a number of 0 to 1 out; and their registry."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsr.training.registry import Registry

if TYPE_CHECKING:
    from lsr.encoders.sparse.encoder import NeuralEncoder

Evaluation = Callable[["NeuralEncoder"], float]


@dataclass(frozen=True, slots=True)
class EvaluatorKind:
    """Kind of evaluation. open: (files, measure=…, **options) → Evaluation. description: a line for lists."""

    open: Callable[..., Evaluation]
    description: str
    takes_measure: bool


EVALUATORS: Registry[EvaluatorKind] = Registry("evaluator", "lsr.training.evaluators")


def register_evaluator(name: str, description: str, *, takes_measure: bool = False) -> Callable[[Any], Any]:
    """Register the function below as evaluator `name`; its keyword-only parameters are `options` in a config."""

    def register(function: Any) -> Any:
        EVALUATORS.add(name, EvaluatorKind(function, description, takes_measure))
        return function

    return register


def open_evaluator(kind: str, files: Sequence[str], *, measure: str | None, options: Mapping[str, Any]) -> Evaluation:
    """Open the evaluation that a config names. measure: None for the kind's own. Raises what reading files raises."""
    chosen: dict[str, Any] = {} if measure is None else {"measure": measure}
    return EVALUATORS[kind].open(files, **chosen, **options)
