"""Checks before the first step: parts, examples, device, schedule, a first batch, memory."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lsr.errors import LsrError, UsageError
from lsr.training.config.config import TrainingConfig
from lsr.training.config.from_config import candidates_of
from lsr.training.config.without_effect import without_effect
from lsr.training.data.collator import Collator
from lsr.training.data.example import Example, Examples
from lsr.training.model.student import Student
from lsr.training.panel import FILE, Panel
from lsr.training.regularisers.base import REGULARISERS
from lsr.training.sparsity.schedules import SCHEDULES

log = logging.getLogger(__name__)

N_ENCODED = 8
"""Examples that are encoded to check logits, scores and memory."""

N_SCANNED = 2000
"""Examples whose texts and scores are checked, evenly over all."""

HEADROOM = 1.2
"""Memory of a step, as a multiple of its tensors: fragments, workspaces, the loss."""


def check_parts(student: Student, config: TrainingConfig) -> None:
    """Raise UsageError where the regularisers or the scores don't fit the encoder's sides."""
    sparsity = config.sparsity
    if config.train.compared_tokens:
        _check_tokens(student)
    if sparsity.sampled_terms and not student.has_table:
        raise UsageError("config: sparsity.sampled_terms needs queries from a table, but here they have a model")
    if sparsity.queries is not None and REGULARISERS[sparsity.queries.regulariser].needs_idf_table:
        name = sparsity.queries.regulariser
        raise UsageError(f"config: sparsity.queries.regulariser is {name!r}, but that is for documents alone")
    if sparsity.documents is None or not REGULARISERS[sparsity.documents.regulariser].needs_idf_table:
        return
    name = sparsity.documents.regulariser
    if student.table is None:
        raise UsageError(
            f"config: sparsity.documents.regulariser is {name!r}, but queries have a model, not a table of idf: "
            "take 'flops', or a family such as inference-free"
        )
    weights = student.table.detach()
    weights = weights[weights > 0]
    if not len(weights) or bool((weights == weights[0]).all()):
        raise UsageError(
            f"config: sparsity.documents.regulariser is {name!r}, but all terms weigh the same in queries: set "
            "encoder.query_table to 'idf', or take 'flops'"
        )


def _check_tokens(student: Student) -> None:
    """Raise UsageError for an encoder whose tokens have no vectors of terms."""
    if student.query is None:
        raise UsageError("config: train.scores is 'sums-of-maxima', but queries have no model: take family slim")
    for tower in (student.document, student.query):
        if tower.config.head not in ("mlm", "causal") or tower.config.expansion != "all":
            raise UsageError(
                f"config: train.scores is 'sums-of-maxima', but a head {tower.config.head!r} with expansion "
                f"{tower.config.expansion!r} doesn't score all terms at each token: take family slim"
            )


def warn_of_schedules(config: TrainingConfig) -> None:
    """Log a warning for settings without effect, and for a warm-up or a ramp that is longer than the training."""
    train = config.train
    for line in without_effect(config):
        log.warning(line)
    if train.warmup_steps != train.warmup:
        n = train.warmup_steps
        instead = f"the learning rate grows over the first {n:,} steps instead" if n else "there is no warm-up"
        log.warning(f"train.warmup is {train.warmup:,} steps, but train.steps is {train.steps:,}: {instead}")
    for name in ("documents", "queries"):
        side = getattr(config.sparsity, name)
        if side is None or side.ramp <= train.steps:
            continue
        reached = "the target is not reached"
        if side.target is None:
            share = SCHEDULES[side.schedule](train.steps, side.ramp)
            if share == 1:
                continue
            reached = f"the weight reaches {share:.2g} of sparsity.{name}.weight"
        log.warning(
            f"sparsity.{name}.ramp is {side.ramp:,} steps, but train.steps is {train.steps:,}: {reached}; set the "
            "ramp to a third of the steps"
        )


def check_examples(examples: Examples, config: TrainingConfig, *, n_processes: int) -> None:
    """Raise UsageError or LsrError for too few examples, or empty texts in N_SCANNED of them."""
    wanted = config.train.batch_size * config.train.accumulate * n_processes
    if len(examples) < wanted:
        raise UsageError(
            f"{len(examples):,} examples, but a step takes {wanted:,} (train.batch_size × accumulate × processes):"
            f" set train.batch_size to {max(2, len(examples) // (config.train.accumulate * n_processes))}, or give more"
        )
    for i, example in _scanned(examples):
        if not example.query.strip():
            raise LsrError(f"example {i}: its query is empty: remove it")
        for document in example.documents[: 1 + config.data.negatives]:
            if not document.full_text.strip():
                raise LsrError(f"example {i}, query {example.query!r:.60}: document {document.doc_id!r} is empty")


def check_candidates(examples: Examples, config: TrainingConfig) -> None:
    """Raise UsageError or LsrError where any of N_SCANNED examples lacks scores or negatives that a loss needs."""
    needs_scores = any(teacher.name == FILE for teacher in config.teacher)
    for i, example in _scanned(examples):
        losses = config.losses_of(example.source)
        if needs_scores and example.scores is None and losses & config.taught_losses.keys():
            raise LsrError(
                f"example {i}, query {example.query!r:.60}, has no scores, but teacher 'file' gives those: take "
                "another teacher, or let `lsr mine --teacher` write them"
            )
        needs_negatives = _own_only(config, losses)
        if needs_negatives and (len(example.documents) < 2 or not config.data.negatives):
            raise UsageError(
                f"example {i}, query {example.query!r:.60}, has {len(example.documents) - 1} negatives and "
                f"data.negatives is {config.data.negatives}, but loss.{needs_negatives} ranks an example's own "
                "documents: mine negatives with `lsr mine`, set data.negatives, or set its candidates to 'batch'"
            )


def _scanned(examples: Examples) -> Iterator[tuple[int, Example]]:
    return ((i, examples[i]) for i in range(0, len(examples), max(1, len(examples) // N_SCANNED)))


def check_first_batch(
    student: Student,
    collator: Collator,
    panel: Panel,
    examples: Examples,
    config: TrainingConfig,
) -> None:
    """Check the untrained student's output for a few examples, and the memory of a step.

    Raises LsrError where logits are no numbers, where no document has a term, where all scores are the same, where a
    teacher has no score, or where memory doesn't suffice, with the batch that would fit.
    """
    stride = max(1, len(examples) // N_ENCODED)
    few = [examples[i * stride] for i in range(min(N_ENCODED, len(examples)))]
    device = next(student.parameters()).device
    taught = [one for one in few if config.losses_of(one.source) & config.taught_losses.keys()]
    if taught:
        inputs = _on(collator(taught), device)
        panel.scores(inputs["texts"], inputs)
    inputs = _on(collator(few), device)
    state = torch.random.get_rng_state()
    student.train()
    saved = _SavedBytes(student)
    with saved.counted(), student.uncached():
        queries, documents = student(inputs["queries"], inputs["documents"])
    torch.random.set_rng_state(state)
    student.zero_grad()
    _check_vectors(queries.weights, documents.weights, documents.logits)
    n_texts = len(documents.weights)
    lengths: list[int] = inputs["documents"]["lengths"]
    longest = config.train.max_length or max(lengths)
    per_text = saved.n_bytes / n_texts * (longest / (sum(lengths) / n_texts))
    _check_memory(student, config, per_text, inputs["documents"]["input_ids"].device)


def _check_vectors(queries: Tensor, documents: Tensor, logits: Tensor | None) -> None:
    for name, values in (("query", queries), ("document", documents)):
        if not bool(torch.isfinite(values).all()):
            raise LsrError(f"before the first step {name} weights are not finite: the checkpoint is broken")
    active = (documents > 0).float().sum(1)
    if not bool(active.any()):
        highest = "" if logits is None else f" (the highest logit is {float(logits.detach().amax()):.3g})"
        raise LsrError(
            f"before the first step no document has a term{highest}, so that nothing can be learned: start from "
            "another checkpoint, or fit its head (encoder.fit_head)"
        )
    scores = (queries.float() @ documents.float().T).detach()
    spread = float(scores.std(dim=1, correction=0).mean())
    if spread <= 1e-6 * max(1.0, float(scores.abs().mean())):
        raise LsrError(
            f"before the first step all documents score the same ({float(scores.mean()):.3g}) for a query: nothing "
            "tells them apart; start from another checkpoint"
        )
    share = float(active.mean()) / documents.shape[1]
    if share > 0.25:
        log.warning(f"{share:.0%} of all terms are active at the start: sparsity has to come from the training")


def _check_memory(student: Student, config: TrainingConfig, per_text: float, device: torch.device) -> None:
    free = free_bytes(device)
    if free is None:
        return
    texts_an_example = 1 + config.data.negatives
    n_texts = config.train.cached_batch or config.train.batch_size * texts_an_example
    trained = sum(value.numel() * value.element_size() for value in student.parameters() if value.requires_grad)
    needed = HEADROOM * (n_texts * per_text + 3 * trained)  # gradients, and AdamW's two means
    if needed <= free:
        return
    fitting = max(0, int((free / HEADROOM - 3 * trained) / per_text))
    if fitting < 1:
        raise LsrError(
            f"too little memory: {free / 1e9:.1f} GB are free on {device.type}, and one text and the optimizer take "
            f"{HEADROOM * (per_text + 3 * trained) / 1e9:.1f} GB: freeze layers, lower "
            "train.max_length, or take a smaller model"
        )
    batch = fitting // texts_an_example
    remedy = f"train.batch_size {batch} would fit" if batch >= 2 else f"train.cached_batch {fitting} would fit"
    raise LsrError(
        f"too little memory: {n_texts} texts at a time take about {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are "
        f"free on {device.type}: {remedy}, or train.cached_batch {fitting} with the batch as it is"
    )


def free_bytes(device: torch.device) -> int | None:
    """Return the free memory of a device, None if unknown. A limit of a control group counts."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError):
        return None
    return min(free, _group_free(Path("/sys/fs/cgroup")) or free)


def _group_free(folder: Path) -> int | None:
    try:
        limit = int((folder / "memory.max").read_text(encoding="ascii"))
        return limit - int((folder / "memory.current").read_text(encoding="ascii"))
    except (OSError, ValueError):  # no such file, or "max"
        return None


class _SavedBytes:
    """Counter of the bytes that a forward pass keeps for the backward one, parameters left out."""

    def __init__(self, student: Student) -> None:
        self._own = {value.untyped_storage().data_ptr() for value in student.parameters()}
        self._seen: set[int] = set()
        self.n_bytes = 0

    def counted(self) -> Any:
        return torch.autograd.graph.saved_tensors_hooks(self._count, lambda tensor: tensor)

    def _count(self, tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own and storage.data_ptr() not in self._seen:
            self._seen.add(storage.data_ptr())
            self.n_bytes += storage.nbytes()
        return tensor


def _own_only(config: TrainingConfig, among: Collection[str]) -> str | None:
    """Return the first of some losses that ranks an example's own documents alone, None if none does."""
    chosen = {name: loss for name, loss in config.loss.items() if name in among}
    return next((name for name, loss in chosen.items() if candidates_of(name, loss) == "own"), None)


def _on(inputs: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    def moved(value: Any) -> Any:
        if isinstance(value, Tensor):
            return value.to(device)
        return {key: moved(item) for key, item in value.items()} if isinstance(value, dict) else value

    return {key: moved(value) for key, value in inputs.items()}
