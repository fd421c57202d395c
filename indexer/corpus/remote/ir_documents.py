"""Documents of the collections that ir_datasets knows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsr.errors import LsrError, MissingExtraError
from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.intake import Intake, RecordError
from lsr.indexer.corpus.records import NoTextFieldError, RecordReader
from lsr.indexer.corpus.remote.url import IR_DATASETS
from lsr.types import Document


def load(name: str) -> Any:
    """Return a dataset by its name. Raises LsrError where there is none, or it has no documents."""
    try:
        import ir_datasets
    except ImportError as error:
        raise MissingExtraError("ir_datasets", "ir") from error
    try:
        dataset = ir_datasets.load(name)
    except KeyError:
        raise LsrError(f"ir_datasets has no dataset {name!r:.100}: 'ir_datasets list' lists them") from None
    if not dataset.has_docs():
        raise LsrError(f"the dataset {name!r:.100} of ir_datasets has no documents: name one that has")
    return dataset


def read_ir_documents(source: SourceFile, intake: Intake) -> Iterator[tuple[int, Document]]:
    """Yield (number from 1, document): title and text where a record has them, else its default text."""
    records = RecordReader(intake.report, intake.options)
    name = source.inside
    try:
        for number, found in enumerate(load(name).docs_iter(), 1):
            record = found._asdict()
            try:
                try:
                    document = records.document(record)
                except NoTextFieldError:
                    if intake.options.text is not None:
                        raise
                    document = records.document({"doc_id": found.doc_id, "text": found.default_text()})
            except RecordError as error:
                intake.bad_record(source, number, str(error))
                continue
            yield number, document
    except (OSError, RuntimeError, EOFError) as error:
        said = " ".join(str(error).split())[:300]
        raise LsrError(
            f"{source.label}: can't be read or downloaded ({said}): check the network and the disk"
        ) from error


FORMAT = FileFormat(
    IR_DATASETS, (), read_ir_documents, title="`title`", text="`text`, or the default text", unit="document",
    holds_records=True,
)  # fmt: skip
