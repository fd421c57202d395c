"""Teachers of a training, which score a batch together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lsr.errors import LsrError, UsageError
from lsr.training.config.config import TrainingConfig
from lsr.training.config.from_config import candidates_of
from lsr.training.config.losses import TeacherSettings
from lsr.training.data.collator import BatchTexts
from lsr.training.losses.base import LOSSES
from lsr.training.losses.distillation import combined_scores

FILE = "file"
"""Teacher whose scores come with the examples."""


class Panel:
    """Teachers of a config. open_one: opens one by its settings, any but `file`."""

    def __init__(self, config: TrainingConfig, open_one: Callable[[TeacherSettings], Any]) -> None:
        self._settings = config.teacher
        self._teachers = [None if one.name == FILE else open_one(one) for one in config.teacher]
        taught = config.taught_losses
        self._is_taught = bool(taught)
        self._over_batch = any(candidates_of(name, loss) == "batch" for name, loss in taught.items())
        self._normalise = any(LOSSES[name].normalises for name in taught)

    def scores(self, texts: BatchTexts, batch: Mapping[str, Any]) -> Tensor | None:
        """Return the teachers' combined scores, float32 on the batch's device; None if no loss needs any.

        Raises LsrError naming teacher, query and document where a wanted score is missing.
        """
        if not self._is_taught:
            return None
        own, same = batch["own"], batch["same"]
        mask = (torch.ones_like(own) if self._over_batch else own) & ~same
        wanted = mask.cpu().numpy()
        found = [
            self._ask(teacher, settings.name, texts, wanted)
            for teacher, settings in zip(self._teachers, self._settings, strict=True)
        ]
        tensors = [torch.from_numpy(scores).to(own.device) for scores in found]
        return combined_scores(tensors, [one.weight for one in self._settings], mask, normalise=self._normalise)

    def vectors(self, texts: BatchTexts, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the queries' and the documents' vectors of the first dense teacher, for vector regression.

        Raises UsageError if there is no dense teacher.
        """
        teacher = next((one for one in self._teachers if hasattr(one, "document_vectors")), None)
        if teacher is None:
            raise UsageError("loss.regression needs a teacher with dense vectors: add [[teacher]] name = 'dense:MODEL'")
        vectors = teacher.query_vectors(texts.queries), teacher.document_vectors(texts.documents)
        queries, documents = (torch.from_numpy(np.asarray(one, np.float32)).to(device) for one in vectors)
        return queries, documents

    def _ask(
        self, teacher: Any, name: str, texts: BatchTexts, wanted: npt.NDArray[np.bool_]
    ) -> npt.NDArray[np.float32]:
        if teacher is None:
            if texts.scores is None:
                raise LsrError("teacher 'file': an example has no scores: give a file with scores, or another teacher")
            scores = texts.scores
        else:
            scores = np.asarray(teacher.scores(texts.queries, texts.documents, wanted), np.float32)
        lacking = np.argwhere(wanted & ~np.isfinite(scores))
        if len(lacking):
            row, column = lacking[0]
            raise LsrError(
                f"teacher {name!r} has no score for query {texts.queries[row]!r:.60} and document "
                f"{texts.documents[column].doc_id!r} ({len(lacking)} pairs of this batch): "
                + ("set loss.….candidates to 'own'" if teacher is None else "compute its scores again")
            )
        return np.where(wanted, scores, np.float32(np.nan))
