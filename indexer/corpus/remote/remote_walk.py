"""The files of a corpus that lies elsewhere, chosen as those of folders are."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast

from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.registry import begins_as_text, format_named, format_of, is_left_out, suffix_of
from lsr.indexer.corpus.remote.arrow_store import ArrowStore, StoreFile, explained
from lsr.indexer.corpus.remote.ir_documents import FORMAT, load
from lsr.indexer.corpus.remote.url import IR_DATASETS, WEB, Url
from lsr.indexer.corpus.remote.web import WebFile
from lsr.indexer.corpus.report import CorpusReport, Reason

_MANIFEST = re.compile(r"(?:manifest|set)-\d+\.json")
_SNIFFED_BYTES = 8192
_BEIR_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_BEIR_COMPANIONS = frozenset({"queries.jsonl", "queries.jsonl.gz", "qrels"})


class Choice(Protocol):
    """The choice of files by the patterns of the options."""

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether the patterns leave an entry out."""
        ...

    def format_of(self, path: str) -> tuple[FileFormat, str] | None:
        """Return the format that the options give a file."""
        ...


class RemoteSource:
    """A corpus that lies elsewhere, opened: nothing is asked of it before its files are.

    doc_id_path: the id of a file, or what the ids of the files begin with.
    """

    def __init__(self, url: Url, *, alone: bool) -> None:
        self.url = url
        self.doc_id_path = "." if alone else url.inside
        self._web = WebFile(url) if url.scheme in WEB else None
        self._store = ArrowStore(url) if url.scheme not in (*WEB, IR_DATASETS) else None
        if url.scheme == IR_DATASETS:
            load(url.inside)

    def files(self, number: int, choice: Choice, report: CorpusReport) -> Iterator[SourceFile]:
        """Yield the files to be read. number: of the root. Raises LsrError where the place doesn't answer."""
        if self._store is not None:
            listed = list(self._store.files())
            if [file.inside for file in listed] == [""]:
                opens = partial(self._store.open, listed[0].key)
                yield from self._one(listed[0].size_bytes, opens, number, choice, report)
            else:
                yield from self._listed(self._store, listed, number, choice, report)
        elif self._web is not None:
            opened = self._web.open
            yield from self._one(self._web.head.size_bytes, lambda: cast("IO[bytes]", opened()), number, choice, report)
        else:
            name = self.url.inside
            yield SourceFile(
                Path(name), self.url.name, name, FORMAT, "", 0, named=True, root=number, inside=name, reopen=_nothing
            )

    def _one(
        self, size: int, opened: Callable[[], IO[bytes]], number: int, choice: Choice, report: CorpusReport
    ) -> Iterator[SourceFile]:
        name = self._web.head.name if self._web is not None else PurePosixPath(self.url.inside).name
        known = choice.format_of(name) or format_of(name) or self._sniffed(opened, self.url.name, name, report)
        if known is not None:
            doc_id = fit_doc_id(name if self.doc_id_path == "." else self.doc_id_path)
            yield SourceFile(
                Path(name), self.url.name, doc_id, *known, size, named=True, root=number, inside=name, reopen=opened
            )

    def _listed(
        self, store: ArrowStore, listed: Sequence[StoreFile], number: int, choice: Choice, report: CorpusReport
    ) -> Iterator[SourceFile]:
        indexes, corpora = _indexes(listed), _beir_folders(listed)
        for key, inside, size in listed:
            label = f"{self.url.name.rstrip('/')}/{inside}"
            label = label if label.isprintable() else repr(label)[1:-1]
            reason = _reason_to_skip(inside, indexes, corpora) or _left_out(inside, choice)
            if reason is not None:
                report.skip(reason, label)
                continue
            name = inside.rpartition("/")[2]
            opened = partial(store.open, key)
            known = choice.format_of(inside) or (None if is_left_out(name) else format_of(name))
            if known is None and is_left_out(name):
                report.skip(Reason.UNKNOWN_KIND, label, suffix=suffix_of(name))
                continue
            known = known or self._sniffed(opened, label, name, report)
            if known is not None:
                doc_id = fit_doc_id(inside if self.doc_id_path == "." else f"{self.doc_id_path}/{inside}")
                where: dict[str, Any] = {"root": number, "inside": inside, "reopen": opened}
                yield SourceFile(Path(name), label, doc_id, *known, size, named=False, **where)

    def _sniffed(
        self, opened: Callable[[], IO[bytes]], label: str, name: str, report: CorpusReport
    ) -> tuple[FileFormat, str] | None:
        """Return the format of a text without a known suffix, None, counted, for what is none."""
        with explained(label), opened() as stream:
            head = io.BufferedReader(cast("io.RawIOBase", stream), _SNIFFED_BYTES).read(_SNIFFED_BYTES)
        if begins_as_text(head):
            return format_named("text"), ""
        report.skip(Reason.UNKNOWN_KIND, label, suffix=suffix_of(name))
        return None


def _nothing() -> IO[bytes]:
    return io.BytesIO()


def _folder_of(inside: str) -> str:
    return inside.rpartition("/")[0]


def _indexes(listed: Sequence[StoreFile]) -> frozenset[str]:
    """Return the folders that are indexes, or sets of them."""
    return frozenset(_folder_of(file.inside) for file in listed if _MANIFEST.fullmatch(file.inside.rpartition("/")[2]))


def _beir_folders(listed: Sequence[StoreFile]) -> dict[str, str]:
    """Return the corpus file of each folder that is laid out as BEIR's."""
    names: dict[str, set[str]] = {}
    for file in listed:
        parts = file.inside.split("/")
        for depth in range(len(parts)):
            names.setdefault("/".join(parts[:depth]), set()).add(parts[depth])
    return {
        folder: next(name for name in _BEIR_CORPUS if name in inner)
        for folder, inner in names.items()
        if inner & _BEIR_COMPANIONS and inner & set(_BEIR_CORPUS)
    }


def _reason_to_skip(inside: str, indexes: frozenset[str], corpora: dict[str, str]) -> Reason | None:
    parts = inside.split("/")
    if any(part in ("", ".", "..") for part in parts):
        return Reason.BAD_NAME
    if any(part.startswith(".") for part in parts):
        return Reason.HIDDEN
    above = ["/".join(parts[:depth]) for depth in range(len(parts))]
    if any(folder in indexes for folder in above):
        return Reason.INDEX
    for depth, folder in enumerate(above):
        if folder in corpora and parts[depth] != corpora[folder]:
            return Reason.BESIDE_BEIR
    return None


def _left_out(inside: str, choice: Choice) -> Reason | None:
    parts = inside.split("/")
    above = ("/".join(parts[:depth]) for depth in range(1, len(parts)))
    if any(choice.leaves_out(folder, is_folder=True) for folder in above):
        return Reason.EXCLUDED
    known = choice.format_of(inside) or format_of(parts[-1])
    is_archive = known is not None and known[0].name == "archive"
    return Reason.EXCLUDED if choice.leaves_out(inside, is_folder=is_archive) else None
