"""Reading of folders and files as a stream of documents, whatever their formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from lsr.errors import BadDocumentError, LsrError
from lsr.indexer.corpus.doc_ids import DocIdLedger
from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.intake import FileBrokenError, FileSkippedError, Intake
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.registry import formats_read
from lsr.indexer.corpus.remote.url import Place
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import Root, roots_of, walk_roots
from lsr.types import Document


def read_corpus(
    paths: Sequence[Place],
    *,
    skip_bad: bool = False,
    report: CorpusReport | None = None,
    exclude: Sequence[Path] = (),
    options: CorpusOptions | None = None,
) -> Iterator[Document]:
    """Yield the documents below these folders and files, one at a time, in an order that never changes.

    paths: folders (read recursively) and files, here or by URL; see `walk` for what is skipped, and for ids.
    skip_bad: skip broken records and files and repeated ids, and count them, instead of raising.
    report: what was read and skipped is counted here meanwhile.
    exclude: folders to skip, such as the index that is being written.
    options: names of columns, formats and patterns (default: guessed from the files).

    Raises at once LsrError for a path that isn't there and UsageError where none is given; while reading
    BadDocumentError, naming file and line, for a broken record, a broken file of records or one that was named, and a
    repeated doc_id; at the end LsrError if there was no document at all. What isn't UTF-8, and what can't be opened or
    read in a folder, is counted, and no error.
    """
    roots = roots_of(paths, options, skip_bad=skip_bad)
    return read_roots(roots, report=report, exclude=exclude)


@dataclass(frozen=True, slots=True)
class Owner:
    """The file that a document of an index came from. goes_first: its document is kept, not the one just read."""

    label: str
    goes_first: bool


class Listener(Protocol):
    """Hears which files are read, and knows the documents of others. ledger: takes the ids that are read."""

    ledger: DocIdLedger

    def done(self, source: SourceFile, *, complete: bool) -> None:
        """Note that a file was read. complete: reading it again would give nothing else."""
        ...

    def owner(self, doc_id: str, source: SourceFile) -> Owner | None:
        """Return the other file that an index has a document from, None where the one just read takes its place."""
        ...


class Unheard:
    """A listener that keeps the ledger alone."""

    def __init__(self) -> None:
        self.ledger = DocIdLedger()

    def done(self, source: SourceFile, *, complete: bool) -> None:
        """Do nothing."""

    def owner(self, doc_id: str, source: SourceFile) -> Owner | None:
        """Know no other file."""
        return None


Files = Callable[[CorpusReport], Iterator[SourceFile]]


def read_roots(
    roots: Sequence[Root],
    *,
    report: CorpusReport | None = None,
    exclude: Sequence[Path] = (),
    apart: Iterable[str] = (),
    listener: Listener | None = None,
) -> Iterator[Document]:
    """Yield the documents below roots, as `read_corpus` does. apart: real paths of other sources, not read here."""
    apart = tuple(apart)

    def files(report: CorpusReport) -> Iterator[SourceFile]:
        return walk_roots(roots, report, exclude=exclude, apart=apart)

    return read_files(files, roots, report=report, listener=listener)


def read_files(
    files: Files, roots: Sequence[Root], *, report: CorpusReport | None = None, listener: Listener | None = None,
    may_be_none: bool = False,
) -> Iterator[Document]:  # fmt: skip
    """Yield the documents of files. files: gives them, counting what it skips; called again to name one in an error.

    may_be_none: no document at all is no error. Raises what `read_corpus` raises.
    """
    reading = _Reading(files, roots, report if report is not None else CorpusReport(), listener or Unheard())
    return reading.documents(files(reading.report), may_be_none=may_be_none)


class _Reading:
    """A reading of a corpus."""

    def __init__(self, files: Files, roots: Sequence[Root], report: CorpusReport, listener: Listener) -> None:
        self.report = report
        self._files = files
        self._given = [root.given for root in roots]
        self._intakes = [Intake(report, root.skip_bad, root.options) for root in roots]
        self._listener = listener

    def documents(self, sources: Iterator[SourceFile], *, may_be_none: bool) -> Iterator[Document]:
        report, ledger = self.report, self._listener.ledger
        for file_ord, source in enumerate(sources):
            intake, complete = self._intakes[source.root], True
            start_bytes, documents, skipped = report.bytes_done, report.documents, report.count_skipped()
            try:
                for position, document in source.format.read(source, intake):
                    owner = self._listener.owner(document.doc_id, source)
                    if owner is not None:  # which the ledger must not take for one of this file
                        self._repeated(document.doc_id, owner.label, source, position, goes_first=owner.goes_first)
                        continue
                    earlier = ledger.enter(document.doc_id, file_ord, position)
                    if earlier is not None:
                        self._repeated(document.doc_id, self._earlier(earlier), source, position, goes_first=False)
                        continue
                    report.documents += 1
                    if not document.text and not document.title:
                        report.empty_documents += 1
                    yield document
            except FileSkippedError as error:
                complete = error.reason not in (Reason.UNREADABLE, Reason.NO_LIBRARY)
                # What lies elsewhere must not shrink with the network's mood.
                is_due = source.named or source.reopen is not None
                if is_due and error.reason in (Reason.UNREADABLE, Reason.NO_LIBRARY):
                    intake.bad_file(source, f"can't be read: {error.detail}")
                else:
                    report.skip(error.reason, f"{source.label}: {error.detail}" if error.detail else source.label)
            except FileBrokenError as error:
                if source.named or source.compression or source.format.holds_records:
                    intake.bad_file(source, str(error))
                else:
                    report.skip(Reason.BAD_FILE, f"{source.label}: {error}")
            if report.documents > documents:
                report.files += 1
            elif report.count_skipped() == skipped:
                report.skip(Reason.NO_RECORD, source.label)
            report.bytes_done = start_bytes + source.size_bytes
            self._listener.done(source, complete=complete)
        if not report.documents and not may_be_none:
            raise self._nothing()

    def _repeated(self, doc_id: str, earlier: str, source: SourceFile, position: int, *, goes_first: bool) -> None:
        """Raise BadDocumentError naming both places, or count the later one. goes_first: the earlier one is right."""
        report = self.report
        message = f"{doc_id} in {earlier} and again in {_place(source, position)}"
        if not self._intakes[source.root].skip_bad and not goes_first:
            raise BadDocumentError(
                f"doc_id stands twice: {message}; give each document its own, index the files apart,"
                " or keep the first only with --skip-bad"
            )
        report.skip(Reason.DUPLICATE, message)

    def _earlier(self, place: tuple[int, int]) -> str:
        """Name a place of this reading; the files are walked again, so that nobody has to remember them all."""
        if self.report.count_skipped(Reason.DUPLICATE):  # whose first example alone is shown
            return "an earlier file"
        file_ord, position = place
        source = next(islice(self._files(CorpusReport()), file_ord, None), None)
        return _place(source, position) if source else "a file that is gone"

    def _nothing(self) -> LsrError:
        given = ", ".join(self._given[:3]) + (", …" if len(self._given) > 3 else "")
        skipped = "; ".join(self.report.skipped_summary()) or "skipped nothing: there is no file"
        return LsrError(f"no document to index in {given}: looked for {formats_read()}; {skipped}")


def _place(source: SourceFile, position: int) -> str:
    return f"{source.label}, {source.format.unit} {position:,}" if position else source.label
