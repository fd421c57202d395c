"""From a config to what `transformers.Trainer` takes: its arguments, and the optimizer's groups of parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from lsr.training.config.config import TrainingConfig
from lsr.training.model.student import Student

WAIT_SECONDS = 86_400
"""How long processes wait for the first, which reads, mines and measures for all; the usual half hour is short."""


def parameter_groups(student: Student, config: TrainingConfig) -> list[dict[str, Any]]:
    """Return what is trained, in groups of one learning rate and one weight decay; biases and norms have none."""
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
    """Return the library's arguments for a config. folder: for checkpoints."""
    train = config.train
    on_cpu = train.device == "cpu" or not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=train.steps,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulate,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.schedule,
        warmup_steps=train.warmup,
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
