"""Writer of examples as a Parquet file that `read_examples` and other programs read.

Columns: query, positive, title, positive_id; negatives, a list of objects with id, title and text; scores, a list of
one number a document, the positive's first, null where there are none.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder
from lsr.errors import LsrError
from lsr.io.atomic import atomic_file
from lsr.io.progress import Progress
from lsr.training.data.example import Example, Examples
from lsr.training.mining.hard_negatives import MiningOptions, MiningReport, mine
from lsr.training.teachers.base import Teacher
from lsr.types import Document

ROW_GROUP = 1024


def _schema() -> Any:
    import pyarrow as pa

    text = pa.string()
    document = pa.struct([("id", text), ("title", text), ("text", text)])
    return pa.schema(
        [
            ("query", text),
            ("positive", text),
            ("title", text),
            ("positive_id", text),
            ("negatives", pa.list_(document)),
            ("scores", pa.list_(pa.float32())),
        ]
    )


def mine_to_file(
    examples: Examples,
    encoder: Encoder | None,
    output: Path,
    *,
    index: Path | None = None,
    mining: MiningOptions | None = None,
    teacher: Teacher | None = None,
    more: Iterable[Document] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> MiningReport:
    """Mine negatives for examples and write them to a file that `read_examples` takes.

    index: an existing index, or where one is made and kept; None makes one beside the output and removes it. For the
    rest see `lsr.training.mining.hard_negatives.mine`.
    """
    report = MiningReport()
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as scratch:
        mined = mine(
            examples, encoder, index or Path(scratch) / "index", mining=mining, teacher=teacher, more=more,
            threads=threads, progress=progress, report=report,
        )  # fmt: skip
        write_examples(output, mined)
    return report


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write examples atomically; return their number. Raises LsrError if the file can't be written."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    n = 0
    try:
        with (
            atomic_file(path) as file,
            pq.ParquetWriter(file, _schema(), compression="zstd", use_dictionary=False) as writer,
        ):
            for rows in _row_groups(examples):
                writer.write_table(pa.Table.from_pylist(rows, schema=_schema()))
                n += len(rows)
    except OSError as error:
        raise LsrError(f"{path}: can't be written: {error.strerror or error}") from error
    return n


def _row_groups(examples: Iterable[Example]) -> Iterable[list[dict[str, Any]]]:
    rows: list[dict[str, Any]] = []
    for example in examples:
        positive, *negatives = example.documents
        rows.append(
            {
                "query": example.query,
                "positive": positive.text,
                "title": positive.title,
                "positive_id": positive.doc_id,
                "negatives": [{"id": d.doc_id, "title": d.title, "text": d.text} for d in negatives],
                "scores": None if example.scores is None else list(example.scores),
            }
        )
        if len(rows) == ROW_GROUP:
            yield rows
            rows = []
    if rows:
        yield rows
