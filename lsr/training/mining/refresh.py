"""Hard negatives found during a training, anew every so many steps, by the encoder as it is then.

Xiong et al., "Approximate Nearest Neighbor Negative Contrastive Learning for Dense Text Retrieval" (ANCE, ICLR 2021,
arXiv:2007.00808). There another machine mines while training goes on, with negatives that lag behind; here the
training pauses at a checkpoint, and goes on from it with what that checkpoint's encoder finds. So which negatives a
step sees depends on its number alone, and a resumed run equals an uninterrupted one.
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
from lsr.training.config.config import TeacherSettings, TrainingConfig
from lsr.training.config.data import MinedNegatives
from lsr.training.data.example import Examples
from lsr.training.data.load import haystack_documents
from lsr.training.data.read_examples import ExampleSet, ExamplesReport
from lsr.training.data.sources.intake import Intake
from lsr.training.data.sources.records import RawExample
from lsr.training.data.sources.table import ExampleTable, TableWriter
from lsr.training.mining.hard_negatives import MiningReport, mine
from lsr.training.run_folder.caches import kept_folder
from lsr.training.run_folder.checkpoints import Checkpoint
from lsr.training.teachers.registry import model_folder

log = logging.getLogger(__name__)

NEGATIVES = "negatives"
"""The folder of a run that holds what was mined, `step-N` what was found after step N; it belongs to checkpoints."""

START = "start"
"""Who finds the first negatives: the encoder as it begins."""


class Refresher:
    """Finds the negatives that a run goes on with, or finds them found.

    folder: of the run. open_teacher: opens one by its settings. device: on which the encoder runs.
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
        """Return the examples with the negatives that the run goes on with: mined now if they aren't there yet.

        examples: as the files have them. encoder: as the run begins. checkpoints: all finished ones, oldest first.
        Raises LsrError where what was mined is gone, and so is the checkpoint that it was mined with.
        """
        settings = self._config.data.mining
        if settings is None:
            return examples
        steps = self._config.train.steps
        wanted = {settings.in_force(checkpoint.step, steps=steps) for checkpoint in checkpoints}
        step = settings.in_force(checkpoints[-1].step if checkpoints else 0, steps=steps)
        if step is None:
            return examples
        name = f"step-{step}"

        def make(folder: Path) -> None:
            with self._miner(settings, step, encoder, checkpoints) as miner:
                self._mine(folder, miner, examples, settings, step)

        table = ExampleTable(kept_folder(self._folder, name, "mined", make))
        if len(table) != len(examples):
            raise LsrError(f"{table.folder}: made of {len(table):,} examples, not of {len(examples):,}: begin anew")
        self._remove_others(wanted | {step})
        return ExampleSet([table], ExamplesReport(**table.meta["report"]))

    @contextmanager
    def _miner(
        self, settings: MinedNegatives, step: int, encoder: NeuralEncoder, checkpoints: Sequence[Checkpoint]
    ) -> Iterator[Encoder]:
        """Open the encoder whose mistakes are wanted."""
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
            begun = self._folder / START
            save_encoder(encoder, begun)
            yield load_encoder(begun, **options)
            shutil.rmtree(begun)
        elif settings.first == "bm25":
            yield load_encoder("bm25")
        else:
            yield load_encoder(model_folder(str(settings.first)), **options)

    def _gone(self, step: int) -> LsrError:
        return LsrError(
            f"{self._folder / f'step-{step}-mined'} is gone, which this run goes on with, and so is the encoder of "
            f"step {step} that it could be made with: begin anew with --overwrite"
        )

    def _mine(self, folder: Path, miner: Encoder, examples: Examples, settings: MinedNegatives, step: int) -> None:
        config, report = self._config, MiningReport()
        who = f"the encoder of step {step:,}" if step else str(settings.first)
        log.info(f"finding {config.data.negatives} negatives for each of {len(examples):,} examples with {who}")
        index = self._folder / f"index-{step}"  # by its name an interrupted one is found again
        mined = mine(
            examples,
            miner,
            index,
            mining=settings.mining(negatives=config.data.negatives, seed=config.train.seed + step),
            teacher=self._teacher(settings),
            more=haystack_documents(examples, config.data),
            report=report,
        )
        with TableWriter(folder) as writer:
            intake = Intake(writer, None, max_negatives=None, refuse_empty=False)
            for number, example in enumerate(mined):
                raw = RawExample(example.query, list(example.documents), None)
                intake.take([raw], f"example {number}")
            intake.finish()
        shutil.rmtree(index)
        for line in report.summary():
            log.info(line)

    def _teacher(self, settings: MinedNegatives) -> Any:
        if settings.teacher is None:
            return None
        # The same model may teach; what it computed is then there, if it is opened with the same options.
        options = next((one.options for one in self._config.teacher if one.name == settings.teacher), {})
        return self._open_teacher(TeacherSettings(settings.teacher, options=options))

    def _remove_others(self, wanted: set[int | None]) -> None:
        kept = {f"step-{step}-mined" for step in wanted}
        for path in self._folder.iterdir():
            if path.name not in kept:
                shutil.rmtree(path)
