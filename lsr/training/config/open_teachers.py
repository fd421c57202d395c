"""What a config names beside its data: teachers opened, and the order of examples that one of them decides."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.io.cache import cache_home
from lsr.training.config.config import TeacherSettings, TrainingConfig
from lsr.training.data.example import Examples
from lsr.training.data.topic_batches import TOPICS_FILE, TopicSampler, cluster, kept_topics, save_topics
from lsr.training.teachers.registry import open_teacher

log = logging.getLogger(__name__)


def teacher_opener(examples: Examples) -> Callable[[TeacherSettings], Any]:
    """Return what opens a teacher by its settings, with the user's cache. examples: whose statistics `bm25` takes."""

    def open_one(settings: TeacherSettings) -> Any:
        return open_teacher(settings.name, cache=cache_home() / "teachers", examples=examples, **settings.options)

    return open_one


def batch_order(
    config: TrainingConfig,
    output: Path,
    examples: Examples,
    open_one: Callable[[TeacherSettings], Any],
) -> TopicSampler | None:
    """Return the order in which examples come, where `data.topics` asks for one. output: the run's folder."""
    data = config.data
    if not data.topics:
        return None
    path = output / TOPICS_FILE
    topics = kept_topics(path)
    if topics is None:
        log.info(f"clustering the queries of {len(examples):,} examples into {data.topics:,} topics")
        # The same model may teach; its vectors are then computed once, if it is opened with the same options.
        options = next((one.options for one in config.teacher if one.name == data.topic_model), {})
        teacher = open_one(TeacherSettings(str(data.topic_model), options=options))
        if not hasattr(teacher, "query_vectors") or not str(data.topic_model).startswith("dense:"):
            raise UsageError(f"config: data.topic_model is {data.topic_model!r}, but has to be dense:MODEL")
        texts = [examples[i].query for i in range(len(examples))]
        topics = cluster(teacher.query_vectors(texts), data.topics, seed=config.train.seed)
        save_topics(path, topics)
    size = config.train.batch_size
    return TopicSampler(topics, batch_size=size, per_batch=data.topics_per_batch, seed=config.train.seed)
