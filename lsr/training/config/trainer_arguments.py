"""Arguments of `transformers.Trainer` for a config, and the optimizer's groups of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from lsr.errors import UsageError
from lsr.training.config.config import TrainingConfig
from lsr.training.config.steps import TrainSettings
from lsr.training.model.student import Student

WAIT_SECONDS = 86_400
"""Longest wait of processes for the first, which reads, mines and measures; half an hour would be too short."""


def parameter_groups(student: Student, config: TrainingConfig) -> list[dict[str, Any]]:
    """Return the trained parameters, grouped by learning rate and weight decay; biases and norms have no decay."""
    train = config.train
    by_group: dict[tuple[float, float], list[Any]] = {}
    towers = [tower for tower in (student.document, student.query) if tower is not None]
    bodies = {id(value) for tower in towers for value in tower.backbone.model.base_model.parameters()}
    for name, value in student.named_parameters():
        if not value.requires_grad:
            continue
        rate, decay = train.learning_rate, train.weight_decay if value.dim() > 1 else 0.0
        if name == "table":
            rate = train.table_learning_rate or rate
        elif id(value) not in bodies:
            rate = train.head_learning_rate or rate
        by_group.setdefault((rate, decay), []).append(value)
    return [{"params": values, "lr": rate, "weight_decay": decay} for (rate, decay), values in by_group.items()]


def training_arguments(config: TrainingConfig, folder: Path) -> TrainingArguments:
    """Return the library's arguments for a config. folder: for checkpoints.

    Raises UsageError for a device that isn't there, or a precision that it doesn't compute in.
    """
    train = config.train
    on_cpu = _is_on_cpu(train)
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=train.steps,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulate,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup_steps,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        seed=train.seed,
        data_seed=train.seed,
        bf16=train.precision == "bfloat16",
        fp16=train.precision == "float16",
        use_cpu=on_cpu,
        logging_strategy="steps",
        logging_steps=train.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        label_names=[],
        dataloader_drop_last=True,
        dataloader_num_workers=train.workers,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=True,
        ddp_timeout=WAIT_SECONDS,
        optim="adamw_torch",
        log_level="error",
    )


def _is_on_cpu(train: TrainSettings) -> bool:
    has_cuda = torch.cuda.is_available()
    if train.device == "cuda" and not has_cuda:
        raise UsageError(
            "config: train.device is 'cuda', but torch finds no CUDA device here: set it to 'cpu', or leave it out"
        )
    if train.device == "mps" and not torch.backends.mps.is_available():
        raise UsageError(
            "config: train.device is 'mps', but torch finds no Apple GPU here: set it to 'cpu', or leave it out"
        )
    on_cpu = train.device == "cpu" or (train.device != "mps" and not has_cuda)
    if on_cpu and train.precision == "float16":
        raise UsageError(
            "config: train.precision is 'float16', but there is no training in it on a CPU: set it to 'float32', or to "
            "'bfloat16' where the processor has instructions for it (--set train.precision=bfloat16)"
        )
    return on_cpu
