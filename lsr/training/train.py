"""Run of a training from its config to a saved model."""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from transformers import TrainingArguments

from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.errors import LsrError
from lsr.training.callbacks import StepCallback, StopRequest, graceful_stop
from lsr.training.config.config import TrainingConfig, make_config
from lsr.training.config.from_config import (
    batch_order,
    create_encoder,
    resume_encoder,
    teacher_opener,
)
from lsr.training.config.losses import TeacherSettings
from lsr.training.config.trainer_arguments import training_arguments
from lsr.training.data.collator import Collator
from lsr.training.data.example import Examples
from lsr.training.data.load import decontaminate, open_examples, read_training_expansions
from lsr.training.data.read_examples import ExampleSet
from lsr.training.evaluation import Evaluator
from lsr.training.mining.refresh import Refresher
from lsr.training.model.student import Student
from lsr.training.model.token_idf import inverse_document_frequencies
from lsr.training.model.transformer_options import choose_attention
from lsr.training.model.word_scores import word_scores
from lsr.training.panel import Panel
from lsr.training.preflight import (
    check_candidates,
    check_examples,
    check_first_batch,
    check_parts,
    warn_of_schedules,
)
from lsr.training.run_folder.card import CARD_FILE, model_card
from lsr.training.run_folder.checkpoints import MODEL, Checkpoint, finished_checkpoints, remove_unfinished
from lsr.training.run_folder.folder import (
    CHECKPOINTS,
    TRAINING_FILE,
    check_unchanged,
    is_finished,
    locked,
    prepare,
    read_run_config,
    write_config,
    write_json,
)
from lsr.training.run_folder.log import RunLog
from lsr.training.run_folder.plots import plot_run
from lsr.training.run_folder.provenance import training_record
from lsr.training.trackers.base import TrackedRun, open_trackers
from lsr.training.trainer import SparseTrainer
from lsr.types import Document

log = logging.getLogger(__name__)

PLOT_FILE = "training.png"


class TrainingInterruptedError(LsrError):
    """A signal ended the training after a checkpoint; the message says how to resume."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """Outcome of a training. model: folder of the encoder. record: content of `training.json`."""

    model: Path
    record: Mapping[str, Any]


def train(
    config: TrainingConfig,
    output: Path,
    *,
    resume: bool = False,
    overwrite: bool = False,
    examples: Examples | None = None,
    teachers: Callable[[TeacherSettings], Any] | None = None,
) -> TrainingResult:
    """Train an encoder, and save it in `output`/model.

    resume: continue from the last checkpoint in `output`, or from the start if there is none; a finished training is
    left as it is. overwrite: remove a run that is there. examples: replace those of the config. teachers: opens a
    teacher (default: `open_teacher` with the user's cache).
    Raises LsrError and its kinds, before the first step wherever possible; TrainingInterruptedError after Ctrl-C or
    SIGTERM, when a checkpoint is saved.
    """
    arguments = training_arguments(config, output / CHECKPOINTS)
    is_main = arguments.process_index == 0
    with ExitStack() as stack:
        if is_main:
            stack.enter_context(locked(output))
            prepare(output, resume=resume, overwrite=overwrite)
            if resume:
                check_unchanged(make_config(read_run_config(output)).to_json(), config.to_json())
            else:
                write_config(output, config.to_json())
            (output / CHECKPOINTS).mkdir(exist_ok=True)
            remove_unfinished(output / CHECKPOINTS)
        PartialState().wait_for_everyone()
        if resume and is_finished(output):
            found = _finished_result(output)
            log.info(f"{output}: this training was finished after {found.record['steps']:,} steps: nothing to resume")
            return found
        if not is_main:
            stack.enter_context(_unlogged())
        while True:
            trainer = _open(config, output, arguments, examples, teachers, resumed=resume)
            # Signals end what comes before at once; only from here on is there a step to wait for.
            with graceful_stop() as request:
                _run(trainer, request, output)
            if not trainer.negatives_are_due:
                return _result(trainer, output)
            # The run resumes from the checkpoint that it has just saved, with new negatives.
            resume = True
            del trainer
            _free_memory()


def _open(
    config: TrainingConfig,
    output: Path,
    arguments: TrainingArguments,
    examples: Examples | None,
    teachers: Callable[[TeacherSettings], Any] | None,
    *,
    resumed: bool,
) -> SparseTrainer:
    """Open and check everything that the config names, and return the trainer of it."""
    is_main = arguments.process_index == 0
    found = finished_checkpoints(output / CHECKPOINTS)
    last = found[-1] if found else None
    evaluator = Evaluator(config.eval, seed=config.train.seed) if config.eval.measures and is_main else None
    # The first process fills the caches that the others then read.
    with arguments.main_process_first(local=False):
        given = examples if examples is not None else open_examples(config.data)
        if last is None and isinstance(given, ExampleSet):
            for line in given.summary():
                log.info(line)
        given = decontaminate(given, config.data, output)
        check_examples(given, config, n_processes=arguments.world_size)
        encoder = _encoder(config, output, given, last)
        open_one = teachers or teacher_opener(given)
        refresher = Refresher(config, output, open_teacher=open_one, device=arguments.device.type)
        examples = refresher.examples(given, encoder, found)
        check_candidates(examples, config)
        panel = Panel(config, open_one)
        order = batch_order(config, output, examples, open_one)
        words = word_scores(encoder.config, given)
    choose_attention(encoder, precision=config.train.precision, on_cpu=arguments.use_cpu)
    student = Student(
        encoder,
        learn_query_table=config.encoder.learn_query_table,
        cached_batch=config.train.cached_batch,
        with_dense="regression" in config.loss,
        tokens_kept=config.train.compared_tokens,
    )
    student.freeze(config.encoder.freeze_layers, embeddings=config.encoder.freeze_embeddings)
    check_parts(student, config)
    collator = Collator(
        encoder,
        negatives=config.data.negatives,
        max_length=config.train.max_length,
        max_query_length=config.train.max_query_length,
        expansions=read_training_expansions(config.data),
    )
    if last is None:
        warn_of_schedules(config)
        check_first_batch(student.to(arguments.device), collator, panel, examples, config)
    run_log = _run_log(config, output, last) if is_main else None
    trainer = SparseTrainer(student, config, examples, collator, panel, evaluator, run_log, arguments, order, words)
    if last is not None:
        trainer.resume(last)
        log.info(f"resuming from step {last.step:,} of {config.train.steps:,}")
    elif resumed:
        log.info("there is no finished checkpoint to resume from: starting from the beginning")
    return trainer


def _run_log(config: TrainingConfig, output: Path, last: Checkpoint | None) -> RunLog:
    resumed_at = last.step if last else None
    run = TrackedRun(config.name or output.name, output, config.to_json(), resumed_at)
    return RunLog(output, resumed_at=resumed_at, trackers=open_trackers(config.train.trackers, run))


def _run(trainer: SparseTrainer, request: StopRequest, output: Path) -> None:
    """Train to the end, until negatives are due, or until a signal, for which TrainingInterruptedError is raised."""
    trainer.add_callback(StepCallback(trainer, request))
    try:
        trainer.train(resume_from_checkpoint=trainer.resumed_from)
    finally:
        if trainer.run_log is not None:
            trainer.run_log.close()
    if request:
        raise TrainingInterruptedError(
            f"interrupted by {request.signal_name} after step {trainer.state.global_step:,}; checkpoint saved; resume "
            f"with: lsr train --resume --output {output}"
        )


def _result(trainer: SparseTrainer, output: Path) -> TrainingResult:
    """Save the model of a training that has ended."""
    if trainer.is_world_process_zero():
        _finish(trainer, output)
    trainer.accelerator.wait_for_everyone()
    return _finished_result(output)


def _finished_result(output: Path) -> TrainingResult:
    return TrainingResult(output / MODEL, json.loads((output / TRAINING_FILE).read_text(encoding="utf-8")))


def _free_memory() -> None:
    """Free the memory of a trainer that has ended: it is part of reference cycles."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def _unlogged() -> Iterator[None]:
    """Log errors alone: of several processes, the first one logs for all."""
    logger = logging.getLogger("lsr.training")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _encoder(config: TrainingConfig, output: Path, examples: Examples, last: Checkpoint | None) -> NeuralEncoder:
    if last is not None:
        return resume_encoder(config.encoder, last.model)
    settings, seed = config.encoder, config.train.seed
    if settings.query_table != "idf":
        return create_encoder(settings, output, seed=seed)
    plain = create_encoder(settings, output, seed=seed)
    documents = _corpus(settings.idf_corpus) if settings.idf_corpus else _documents_of(examples)
    idf = inverse_document_frequencies(documents, plain, largest=settings.idf_max)
    return create_encoder(settings, output, seed=seed, idf=idf)


def _documents_of(examples: Examples) -> Iterator[Document]:
    for i in range(len(examples)):
        yield from examples[i].documents


def _corpus(paths: tuple[str, ...]) -> Iterator[Document]:
    from lsr.indexer.corpus.reader import read_corpus

    return read_corpus([Path(path) for path in paths])


def _finish(trainer: SparseTrainer, output: Path) -> None:
    """Save the best model, or the last where nothing was measured, with its provenance."""
    step = trainer.run_state.best_step or trainer.state.global_step
    chosen = next(c for c in finished_checkpoints(output / CHECKPOINTS) if c.step == step)
    target, temporary = output / MODEL, output / f"{MODEL}.part"
    for folder in (target, temporary):
        if folder.exists():
            shutil.rmtree(folder)
    shutil.copytree(chosen.model, temporary)
    record = training_record(trainer, chosen.step, time.time())
    write_json(temporary / TRAINING_FILE, record)
    (temporary / CARD_FILE).write_text(model_card(trainer.config, record), encoding="utf-8")
    temporary.replace(target)
    write_json(output / TRAINING_FILE, record)
    log.info(f"trained {trainer.state.global_step:,} steps in {record['seconds']:,.0f} s; the model is in {target}")
    if importlib.util.find_spec("matplotlib") is not None and trainer.run_log is not None:
        name = trainer.config.name or output.name
        plot_run(trainer.run_log.rows, output / PLOT_FILE, targets=trainer.objective.targets(), title=name)
