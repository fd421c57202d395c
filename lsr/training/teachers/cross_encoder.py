"""Cross-encoders as teachers: a sequence classifier that reads query and document together.

Hofstätter et al., "Improving Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation" (2020,
arXiv:2010.02666).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsr.training.data.example import Example
from lsr.training.teachers.base import Advance, Scores, TeacherRequest, Wanted, ignore, register_teacher
from lsr.training.teachers.pairs import Pair, PairScores
from lsr.training.teachers.store import open_store
from lsr.types import Document


class CrossEncoderTeacher:
    """Teacher that scores a pair by a classifier's logit. Made by `load_cross_encoder`."""

    def __init__(self, name: str, scores: PairScores) -> None:
        self.name = name
        self._scores = scores

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        """Return the wanted scores, NaN elsewhere."""
        return self._scores.matrix(queries, documents, wanted)

    def prepare(self, examples: Iterable[Example], advance: Advance = ignore) -> int:
        """Cache the scores of the examples' own documents; return the number of new ones."""
        return self._scores.prepare(examples, advance)


def load_cross_encoder(name: str, model: str, cache: Path | None, **options: Any) -> CrossEncoderTeacher:
    """Load a cross-encoder as a teacher. options, errors: of `lsr.encoders.rerank.cross_encoder.load_cross_encoder`."""
    from lsr.encoders.rerank import cross_encoder

    encoder = cross_encoder.load_cross_encoder(model, **options)

    def compute(pairs: Sequence[Pair]) -> npt.NDArray[np.float32]:
        scores: npt.NDArray[np.float32] = encoder.scores([(query, document.full_text) for query, document in pairs])
        return scores

    return CrossEncoderTeacher(name, PairScores(open_store(cache, "cross-encoder", encoder.description), compute))


@register_teacher("cross-encoder", takes_model=True)
def open_cross_encoder(request: TeacherRequest, **options: Any) -> CrossEncoderTeacher:
    """Open a cross-encoder as a teacher. options: of `load_cross_encoder`."""
    return load_cross_encoder(request.name, request.model, request.cache, **options)
