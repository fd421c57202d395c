"""The trainer: `transformers.Trainer` with a sparse encoder's loss, checkpoints and evaluation."""

from __future__ import annotations

import shutil
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import broadcast_object_list
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.utils.data import Sampler
from transformers import PrinterCallback, ProgressCallback, Trainer, TrainingArguments

from lsr.encoders.network.sparse_model import TrainingOutput
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.training.config.config import TrainingConfig
from lsr.training.config.from_config import make_vector_losses
from lsr.training.config.trainer_arguments import parameter_groups
from lsr.training.data.collator import Collator
from lsr.training.data.read_examples import Examples
from lsr.training.evaluation import Evaluator
from lsr.training.losses.base import ScoredBatch
from lsr.training.model.sampled_terms import sample_terms
from lsr.training.model.student import Student
from lsr.training.model.token_scores import sums_of_maxima
from lsr.training.model.word_scores import WordScores
from lsr.training.objective import Objective
from lsr.training.panel import Panel
from lsr.training.regularisers.base import TermWeights
from lsr.training.run_folder.checkpoints import MODEL, TENSORS_FILE, Checkpoint, finish, rotate
from lsr.training.run_folder.log import RunLog
from lsr.training.run_folder.run_state import RunState
from lsr.training.stop_conditions import CollapseGuard, TrainingError, check_numbers, start_again


class SparseTrainer(Trainer):
    """Trainer of a student on examples, with the settings of a config.

    The library does steps, optimizer, precision, processes and resuming; here are the loss, the log, the content of
    checkpoints, and evaluation through a real index.
    """

    def __init__(
        self,
        student: Student,
        config: TrainingConfig,
        examples: Examples,
        collator: Collator,
        panel: Panel,
        evaluator: Evaluator | None,
        log: RunLog | None,
        arguments: TrainingArguments,
        order: Sampler[int] | None = None,
        words: WordScores | None = None,
    ) -> None:
        super().__init__(model=student, args=arguments, data_collator=collator, train_dataset=examples)
        for callback in (PrinterCallback, ProgressCallback):
            self.remove_callback(callback)
        self.student = student
        self.optimizer: Any
        self.control: Any
        self.config = config
        self.objective = Objective(config, student.vocab_size)
        self.run_state = RunState()
        self._vector_losses = make_vector_losses(config)
        self._panel = panel
        self._evaluator = evaluator
        self.run_log = log
        self.resumed_from: str | None = None
        self._order = order
        self._words = words
        self._guard = CollapseGuard(config.sparsity)
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._n_summed = 0
        self._step_terms: list[tuple[float, float]] = []
        self._n_micro = 0
        self._has_ended_early = False
        self._began = time.monotonic()
        self._logged_at = self._began

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return self._order if self._order is not None else super()._get_train_sampler(train_dataset)

    # The loss of a step.

    def compute_loss(
        self, model: Any, inputs: Mapping[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Return the loss of a batch. Raises TrainingError where it isn't a number."""
        del return_outputs, num_items_in_batch
        terms, counts = self._sample(inputs)
        queries, documents = model(inputs["queries"], inputs["documents"], terms)
        if self.config.train.compared_tokens:
            scores = sums_of_maxima(queries.tokens, documents.tokens)
        else:
            scores = queries.weights.float() @ documents.weights.float().T
        if self._words is not None:
            texts = inputs["texts"]
            scores = scores + torch.from_numpy(self._words(texts.queries, texts.documents)).to(scores.device)
        only = self.config.losses_of(inputs["texts"].source)
        teacher = self._panel.scores(inputs["texts"], inputs) if only & self.config.taught_losses.keys() else None
        scored = ScoredBatch(
            scores, inputs["positives"], inputs["own"], inputs["same"], teacher, queries.logits,
            self._standing(inputs["documents"], terms) if "overlap" in only else None,
        )  # fmt: skip
        loss = self.objective(
            scored, _term_weights(queries, terms, counts), _term_weights(documents, terms, counts),
            step=self.state.global_step,
            vector_losses=self._losses_of_vectors(inputs, queries, documents, only),
            only=only,
        )  # fmt: skip
        parts = dict(
            zip(loss.parts, torch.stack([value.float() for value in loss.parts.values()]).tolist(), strict=True)
        )
        check_numbers(self.state.global_step, parts, Path(self.args.output_dir))
        self._accumulate(parts)
        return loss.total

    def _standing(self, documents: Mapping[str, Any], terms: Tensor | None) -> Tensor:
        """Return which terms stand in each document's text as tokens, bool, (n_documents, n_terms)."""
        ids, literal = documents["input_ids"], documents["literal"]
        found = torch.zeros(len(ids), self.student.vocab_size, dtype=torch.bool, device=ids.device)
        rows, places = torch.nonzero(literal, as_tuple=True)
        found[rows, ids[rows, places]] = True
        return found if terms is None else found[:, terms]

    def _losses_of_vectors(
        self, inputs: Mapping[str, Any], queries: Any, documents: Any, only: Collection[str]
    ) -> dict[str, Tensor]:
        losses = {name: loss for name, loss in self._vector_losses.items() if name in only}
        if not losses:
            return {}
        wanted = self._panel.vectors(inputs["texts"], documents.dense.device)
        sides = [pair for pair in zip((queries.dense, documents.dense), wanted, strict=True) if pair[0] is not None]
        return {name: torch.stack([loss(*pair) for pair in sides]).mean() for name, loss in losses.items()}

    def _sample(self, inputs: Mapping[str, Any]) -> tuple[Tensor | None, Tensor | None]:
        n_others = self.config.sparsity.sampled_terms
        if not n_others:
            return None, None
        # The seed depends on the batch alone, so that a resumed run draws the same terms.
        seed = (self.config.train.seed, self.state.global_step, self._n_micro, self.args.process_index)
        wanted = inputs["queries"]["ids"].cpu().numpy()
        sample = sample_terms(wanted, self.student.vocab_size, n_others, np.random.default_rng(seed))
        device = self.args.device
        return torch.from_numpy(sample.term_ids).to(device), torch.from_numpy(sample.counts).to(device)

    def _accumulate(self, parts: Mapping[str, float]) -> None:
        for name, value in parts.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
            self._counts[name] = self._counts.get(name, 0) + 1
        self._n_summed += 1
        self._n_micro += 1
        self._step_terms.append((parts["document_terms"], parts["query_terms"]))

    def end_step(self) -> None:
        """Update λ after a step, and check for collapse. Raises TrainingError where there is one."""
        means = torch.tensor(self._step_terms).mean(0).to(self.args.device)
        if self.args.world_size > 1:
            means = self.accelerator.reduce(means, "mean")
        active = dict(zip(("documents", "queries"), means.tolist(), strict=True))
        self._step_terms, self._n_micro = [], 0
        self.objective.end_step(active)
        if not self.student.has_table:
            self._guard.check(self.state.global_step, active)
        else:
            self._guard.check(self.state.global_step, {"documents": active["documents"]})

    # The log.

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the means since the last row."""
        del start_time
        if not self._n_summed or "learning_rate" not in logs:
            return
        now = time.monotonic()
        n_examples = self._n_summed * self.config.train.batch_size * self.args.world_size
        # Of a loss that learns from some data sets alone, the mean is over their batches.
        means = {name: value / self._counts.get(name, self._n_summed) for name, value in self._sums.items()}
        row = {"step": float(self.state.global_step), "seconds": self.seconds, **means}
        row |= {f"lambda_{side}": value for side, value in self.objective.weights(self.state.global_step).items()}
        row |= {"examples_per_s": n_examples / max(1e-9, now - self._logged_at)}
        row |= {"learning_rate": logs["learning_rate"]}
        if "grad_norm" in logs:
            row["grad_norm"] = float(logs["grad_norm"])
        self._sums, self._counts, self._n_summed, self._logged_at = {}, {}, 0, now
        if self.run_log is not None:
            self.run_log.add(row)

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including the runs before it was resumed."""
        return self.run_state.seconds + time.monotonic() - self._began

    # Evaluation.

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Measure the student on all datasets, and compare with the best so far."""
        del args, kwargs
        metrics: dict[str, float] = {}
        if self._evaluator is not None and self.is_world_process_zero():
            began = time.monotonic()
            self.student.eval()
            measured = self._evaluator(self.student.export())
            self.student.train()
            name = self.config.eval.measure
            metrics = {f"{name} {dataset}": value for dataset, value in measured.values.items()}
            metrics[name] = measured.mean
            if self.run_log is not None:
                self.run_log.add({"step": float(self.state.global_step), "seconds": self.seconds, **metrics})
            self.run_state.evaluations.append({"step": self.state.global_step, **metrics})
            self._rank(measured.mean)
            self._logged_at += time.monotonic() - began
        decided = [self.control.should_save, self.control.should_training_stop, self._has_ended_early]
        if self.args.world_size > 1:  # the first process has measured; the others get its decision
            broadcast_object_list(decided)
        self.control.should_save, self.control.should_training_stop, self._has_ended_early = decided
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _rank(self, value: float) -> None:
        is_best = self.run_state.rank(self.state.global_step, value)
        self._has_ended_early = 0 < self.config.eval.patience <= self.run_state.n_worse
        if is_best or self._has_ended_early:
            self.control.should_save = True
        if self._has_ended_early:
            self.control.should_training_stop = True

    @property
    def negatives_are_due(self) -> bool:
        """True where the training pauses after this step to mine negatives again."""
        mining = self.config.data.mining
        is_due = mining is not None and mining.is_due(self.state.global_step, steps=self.state.max_steps)
        return is_due and not self._has_ended_early

    def end_early(self) -> None:
        """Let this step be the last: no more negatives are due."""
        self._has_ended_early = True

    # Checkpoints.

    def any_process(self, *conditions: bool) -> list[bool]:
        """Return for each condition whether it holds in any process: all have to do the same at the same step."""
        if self.args.world_size == 1:
            return list(conditions)
        votes = self.accelerator.reduce(torch.tensor(conditions, device=self.args.device, dtype=torch.float32), "sum")
        return [bool(vote) for vote in votes.tolist()]

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        super()._save_checkpoint(model, trial)
        self.accelerator.wait_for_everyone()
        if not self.is_world_process_zero():
            return
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        controllers, tensors = self.objective.state()
        save_file({name: value.contiguous() for name, value in tensors.items()}, folder / TENSORS_FILE)
        state = {
            "progress": self.run_state.state() | {"seconds": self.seconds},
            "controllers": controllers,
            "guard": self._guard.state(),
            "logged": {"sums": self._sums, "n_summed": self._n_summed, "counts": self._counts},
        }
        finish(folder, state)
        rotate(folder.parent, keep=self.config.train.keep, best=self.run_state.best_step)

    def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
        del state_dict
        if not self.args.should_save:
            return
        for name, value in self.student.named_parameters():
            if value.requires_grad and not bool(torch.isfinite(value).all()):
                raise TrainingError(
                    f"step {self.state.global_step}: weight {name} is not finite, so it isn't saved: lower "
                    f"train.learning_rate or train.max_grad_norm, {start_again(Path(self.args.output_dir))}"
                )
        folder = Path(output_dir or self.args.output_dir) / MODEL
        if folder.exists():
            shutil.rmtree(folder)
        save_encoder(self.student.export(), folder)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load nothing: the student of a resumed run is the checkpoint's encoder."""

    def resume(self, checkpoint: Checkpoint) -> None:
        """Restore a checkpoint's controllers and counts; `train(resume_from_checkpoint=…)` does the rest."""
        self.objective.load(checkpoint.state["controllers"], load_file(checkpoint.folder / TENSORS_FILE))
        self._guard.load(checkpoint.state["guard"])
        self.run_state.load(checkpoint.state["progress"])
        self.resumed_from = str(checkpoint.folder)
        logged = checkpoint.state["logged"]
        self._sums, self._n_summed = dict(logged["sums"]), logged["n_summed"]
        self._counts = dict(logged.get("counts", dict.fromkeys(self._sums, self._n_summed)))

    # The optimizer.

    def create_optimizer(self, model: Any = None) -> Any:
        """Make AdamW, with separate learning rates for the query table and the heads where the config has them."""
        if self.optimizer is None:
            groups = parameter_groups(self.student, self.config)
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, self.student)
            self.optimizer = kind(groups, **options)
        return self.optimizer


def _term_weights(output: TrainingOutput, terms: Tensor | None, counts: Tensor | None) -> TermWeights:
    return TermWeights(output.weights.float(), terms, counts, output.logits)
