"""Reading of folders and files as a stream of documents, whatever their formats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.corpus.doc_ids import DocIdLedger
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.registry import formats_read
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import walk
from lsr.types import Document


def read_corpus(
    paths: Sequence[Path],
    *,
    skip_bad: bool = False,
    report: CorpusReport | None = None,
    exclude: Sequence[Path] = (),
    options: CorpusOptions | None = None,
) -> Iterator[Document]:
    """Yield the documents below these folders and files, one at a time, in an order that never changes.

    paths: folders (read recursively) and files; see `walk` for what is skipped and how paths become ids.
    skip_bad: skip broken records and files and repeated ids, and count them, instead of raising.
    report: what was read and skipped is counted here meanwhile.
    exclude: folders to skip, such as the index that is being written.
    options: names of columns, formats and patterns (default: guessed from the files).

    Raises at once LsrError for a path that isn't there and UsageError where none is given; while reading
    BadDocumentError, naming file and line, for a broken record, a broken file of records or one that was named, and a
    repeated doc_id; at the end LsrError if there was no document at all. What isn't UTF-8, and what can't be opened or
    read in a folder, is counted, and no error.
    """
    intake = Intake(report if report is not None else CorpusReport(), skip_bad, options or CorpusOptions())
    sources = walk(paths, intake.report, exclude=exclude, options=intake.options)
    return _Reading(list(paths), list(exclude), intake).documents(sources)


class _Reading:
    """A reading of a corpus."""

    def __init__(self, paths: list[Path], exclude: list[Path], intake: Intake) -> None:
        self._paths = paths
        self._exclude = exclude
        self._intake = intake
        self._ledger = DocIdLedger()

    def documents(self, sources: Iterator[SourceFile]) -> Iterator[Document]:
        report, ledger = self._intake.report, self._ledger
        for file_ord, source in enumerate(sources):
            start_bytes, documents, skipped = report.bytes_done, report.documents, report.count_skipped()
            try:
                for position, document in source.format.read(source, self._intake):
                    earlier = ledger.enter(document.doc_id, file_ord, position)
                    if earlier is not None:
                        self._repeated(document.doc_id, earlier, source, position)
                        continue
                    report.documents += 1
                    if not document.text and not document.title:
                        report.empty_documents += 1
                    yield document
            except FileSkippedError as error:
                if source.named and error.reason in (Reason.UNREADABLE, Reason.NO_LIBRARY):
                    self._intake.bad_file(source, f"can't be read: {error.detail}")
                else:
                    report.skip(error.reason, f"{source.label}: {error.detail}" if error.detail else source.label)
            except FileBrokenError as error:
                if source.named or source.compression or source.format.holds_records:
                    self._intake.bad_file(source, str(error))
                else:
                    report.skip(Reason.BAD_FILE, f"{source.label}: {error}")
            if report.documents > documents:
                report.files += 1
            elif report.count_skipped() == skipped:
                report.skip(Reason.NO_RECORD, source.label)
            report.bytes_done = start_bytes + source.size_bytes
        if not report.documents:
            raise self._nothing()

    def _repeated(self, doc_id: str, earlier: tuple[int, int], source: SourceFile, position: int) -> None:
        """Raise BadDocumentError naming both places, or count the later one."""
        report = self._intake.report
        known = report.count_skipped(Reason.DUPLICATE) > 0
        message = "" if known else f"{doc_id} in {self._earlier(earlier)} and again in {_place(source, position)}"
        if not self._intake.skip_bad:
            raise BadDocumentError(
                f"doc_id stands twice: {message}; give each document its own, index the files apart,"
                " or keep the first only with --skip-bad"
            )
        report.skip(Reason.DUPLICATE, message)

    def _earlier(self, place: tuple[int, int]) -> str:
        """Name a place of this reading; the files are walked again, so that nobody has to remember them all."""
        file_ord, position = place
        sources = walk(self._paths, CorpusReport(), exclude=self._exclude, options=self._intake.options)
        source = next(islice(sources, file_ord, None), None)
        return _place(source, position) if source else "a file that is gone"

    def _nothing(self) -> LsrError:
        given = ", ".join(str(path) for path in self._paths[:3]) + (", …" if len(self._paths) > 3 else "")
        skipped = "; ".join(self._intake.report.skipped_summary()) or "skipped nothing: there is no file"
        return LsrError(f"no document to index in {given}: looked for {formats_read()}; {skipped}")


def _place(source: SourceFile, position: int) -> str:
    return f"{source.label}, {source.format.unit} {position:,}" if position else source.label
