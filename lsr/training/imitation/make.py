"""Making of dense vectors that imitate a sparse teacher: `python -m lsr.training.imitation.make FOLDER …`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from lsr.encoders.converted.imitation import save_imitation
from lsr.encoders.dense.base import DenseEncoder, dense_description
from lsr.errors import LsrError
from lsr.training.data.example import Example
from lsr.training.imitation.fit import ImitationSettings, fit_imitation
from lsr.training.synthetic.examples import read_synthetic_examples
from lsr.training.synthetic.queries import QueryGeneration
from lsr.training.teachers.base import Scores
from lsr.training.teachers.registry import open_teacher

log = logging.getLogger(__name__)
AT_ONCE = 256


def make_imitation(
    folder: Path,
    examples: Sequence[Example],
    dense: DenseEncoder,
    teacher: Any,
    *,
    weight: float | None = 1.0,
    settings: ImitationSettings | None = None,
) -> None:
    """Fit an imitation of a teacher to examples, and write it to a folder.

    weight: factor of its scores beside the dense model's, None for the imitation alone. Raises what `fit_imitation`
    raises.
    """
    settings = settings or ImitationSettings()
    queries = [example.query for example in examples]
    documents = [example.documents[0] for example in examples]

    def scores(chosen: np.ndarray) -> Scores:
        found: Scores = teacher.scores([queries[i] for i in chosen], [documents[i] for i in chosen])
        return found

    of_queries, of_documents = [], []
    for first in range(0, len(examples), AT_ONCE):
        of_queries.append(dense.encode_dense_queries(queries[first : first + AT_ONCE]))
        of_documents.append(dense.encode_dense_documents(documents[first : first + AT_ONCE]))
    imitation = fit_imitation(np.concatenate(of_queries), np.concatenate(of_documents), scores, settings)
    facts = {"teacher": teacher.name, "examples": len(examples), "steps": settings.steps, "seed": settings.seed}
    save_imitation(folder, imitation, dense_description(dense), weight=weight, **facts)


def main(argv: Sequence[str] | None = None) -> int:
    """Fit an imitation to queries made of texts."""
    parser = argparse.ArgumentParser(description="fit dense vectors that imitate a sparse teacher")
    parser.add_argument("folder", type=Path, help="folder for the imitation, then spar:FOLDER is a dense model")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="corpus whose queries are generated")
    parser.add_argument("--dense", default="all-MiniLM-L6-v2", help="dense model (default: all-MiniLM-L6-v2)")
    parser.add_argument("--teacher", default="bm25", help="bm25, or sparse:MODEL (default: bm25)")
    parser.add_argument("--weight", type=float, default=1.0, help="of its scores beside the dense ones (default: 1)")
    parser.add_argument("--alone", action="store_true", help="the imitation alone, without the dense model's vectors")
    parser.add_argument("--steps", type=int, default=1000, help="steps of the fit (default: 1000)")
    parser.add_argument("--per-document", type=int, default=2, help="queries of a document (default: 2)")
    args = parser.parse_args(argv)
    from lsr.encoders.registry import load_dense_encoder

    try:
        examples = read_synthetic_examples(args.texts, QueryGeneration(per_document=args.per_document, min_words=8))
        teacher = open_teacher(args.teacher, examples=examples)
        make_imitation(
            args.folder, [examples[i] for i in range(len(examples))], load_dense_encoder(args.dense), teacher,
            weight=None if args.alone else args.weight, settings=ImitationSettings(steps=args.steps),
        )  # fmt: skip
    except LsrError as error:
        sys.stderr.write(f"lsr: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
