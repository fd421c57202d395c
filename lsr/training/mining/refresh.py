"""Hard negatives mined during a training, every so many steps, by the current encoder.

Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval" (ANCE, ICLR 2021,
arXiv:2007.00808). There another machine mines during the training, with negatives that lag behind; here the training
pauses at a checkpoint, and resumes from it with the negatives of that checkpoint's encoder. So the negatives of a step
depend on its number alone, and a resumed run equals an uninterrupted one.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.errors import LsrError
from lsr.training.cached_folder import cached_folder
from lsr.training.config.config import TrainingConfig
from lsr.training.config.data import MiningSettings
from lsr.training.config.from_config import options_of_teacher
from lsr.training.config.losses import TeacherSettings
from lsr.training.data.example import Examples
from lsr.training.data.load import candidate_documents
from lsr.training.data.read_examples import ExampleSet, ExamplesReport
from lsr.training.data.sources.importer import ExampleImporter
from lsr.training.data.sources.records import RawExample
from lsr.training.data.sources.table import ExampleTable, TableWriter
from lsr.training.mining.hard_negatives import MiningReport, mine
from lsr.training.model.model_folder import model_folder
from lsr.training.run_folder.checkpoints import Checkpoint

log = logging.getLogger(__name__)

NEGATIVES = "negatives"
"""Folder of a run with the mined negatives, `step-N` those mined after step N; checkpoints need it."""

START = "start"
"""Name of the untrained encoder as the one that mines the first negatives."""


class Refresher:
    """Miner of hard negatives with the current checkpoint, which caches them in the run's folder.

    folder: of the run. open_teacher: opens one by its settings. device: of the encoder.
    """

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        *,
        open_teacher: Callable[[TeacherSettings], Any],
        device: str,
    ) -> None:
        self._config = config
        self._folder = folder / NEGATIVES
        self._open_teacher = open_teacher
        self._device = device

    def examples(self, examples: Examples, encoder: NeuralEncoder, checkpoints: Sequence[Checkpoint]) -> Examples:
        """Mine hard negatives with the current checkpoint, or load those mined before.

        examples: as the files have them. encoder: untrained. checkpoints: all finished ones, oldest first.
        Raises LsrError where the mined negatives are gone, and the checkpoint that mined them is, too.
        """
        settings = self._config.data.mining
        if settings is None:
            return examples
        steps = self._config.train.steps
        wanted = {settings.mined_after(checkpoint.step, steps=steps) for checkpoint in checkpoints}
        step = settings.mined_after(checkpoints[-1].step if checkpoints else 0, steps=steps)
        if step is None:
            return examples
        name = f"step-{step}"

        def make(folder: Path) -> None:
            with self._miner(settings, step, encoder, checkpoints) as miner:
                self._mine(folder, miner, examples, settings, step)

        table = ExampleTable(cached_folder(self._folder, name, "mined", make))
        if len(table) != len(examples):
            raise LsrError(
                f"{table.folder}: made of {len(table):,} examples, not of {len(examples):,}: start again with "
                "--overwrite"
            )
        self._remove_others(wanted | {step})
        return ExampleSet([table], ExamplesReport(**table.meta["report"]))

    @contextmanager
    def _miner(
        self, settings: MiningSettings, step: int, encoder: NeuralEncoder, checkpoints: Sequence[Checkpoint]
    ) -> Iterator[Encoder]:
        """Open the encoder that mines."""
        options: dict[str, Any] = {"device": self._device}
        if self._config.train.precision == "bfloat16":
            options["dtype"] = "bfloat16"
        if step:
            found = next((one for one in checkpoints if one.step == step), None)
            if found is None:
                raise self._gone(step)
            yield load_encoder(found.model, **options)
        elif settings.first == START:
            if checkpoints:
                raise self._gone(step)
            untrained = self._folder / START
            save_encoder(encoder, untrained)
            yield load_encoder(untrained, **options)
            shutil.rmtree(untrained)
        elif settings.first == "bm25":
            yield load_encoder("bm25")
        else:
            yield load_encoder(model_folder(str(settings.first)), **options)

    def _gone(self, step: int) -> LsrError:
        return LsrError(
            f"{self._folder / f'step-{step}-mined'} is gone, which this run needs, and so is the encoder of step "
            f"{step} that could mine it again: start again with --overwrite"
        )

    def _mine(self, folder: Path, miner: Encoder, examples: Examples, settings: MiningSettings, step: int) -> None:
        config, report = self._config, MiningReport()
        who = f"the encoder of step {step:,}" if step else str(settings.first)
        log.info(f"mining {config.data.negatives} negatives for each of {len(examples):,} examples with {who}")
        index = self._folder / f"index-{step}"  # a fixed name, so that an interrupted one is resumed
        mined = mine(
            examples,
            miner,
            index,
            mining=settings.options(negatives=config.data.negatives, seed=config.train.seed + step),
            teacher=self._teacher(settings),
            more=candidate_documents(examples, config.data),
            report=report,
        )
        with TableWriter(folder) as writer:
            importer = ExampleImporter(writer, None, max_negatives=None, refuse_empty=False)
            for number, example in enumerate(mined):
                raw = RawExample(example.query, list(example.documents), None)
                importer.add([raw], f"example {number}")
            importer.finish()
        shutil.rmtree(index)
        for line in report.summary():
            log.info(line)

    def _teacher(self, settings: MiningSettings) -> Any:
        if settings.teacher is None:
            return None
        options = options_of_teacher(self._config, settings.teacher)
        return self._open_teacher(TeacherSettings(settings.teacher, options=options))

    def _remove_others(self, wanted: set[int | None]) -> None:
        kept = {f"step-{step}-mined" for step in wanted}
        for path in self._folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)
