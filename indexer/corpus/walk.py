"""The files of a corpus, in a fixed order, with all that is skipped counted.

Ids are paths relative to the folder that all given paths share: for one folder, that folder; for several, the
deepest that holds them all. So `docs`, `docs/*` and `docs/a docs/b` name a file alike, and no two files share an id.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import LsrError, UsageError
from lsr.indexer.corpus.compression import uncompressed_name
from lsr.indexer.corpus.doc_ids import fit_doc_id
from lsr.indexer.corpus.file_format import FileFormat, SourceFile
from lsr.indexer.corpus.gitglob import Pattern, patterns_of
from lsr.indexer.corpus.ignores import IgnoreRules
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.registry import format_named, format_of, is_left_out, looks_like_text, suffix_of
from lsr.indexer.corpus.remote.remote_walk import RemoteSource
from lsr.indexer.corpus.remote.url import Place, Url
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.standard_input import DOC_ID, STANDARD_INPUT, looks_like_jsonl, spooled_input

_MANIFEST = re.compile(r"manifest-\d+\.json")
_BEIR_CORPUS = ("corpus.jsonl", "corpus.jsonl.gz")
_BEIR_COMPANIONS = frozenset({"queries.jsonl", "queries.jsonl.gz", "qrels"})


DEFAULT_OPTIONS = CorpusOptions()
NO_SOURCE = -1
"""Number of the source of what is read once: standard input."""


@dataclass(frozen=True, slots=True)
class Root:
    """A folder or file where a walk begins.

    given: its path as the user wrote it. real: where it is. doc_id_path: the id of a file, or what the ids of a
    folder's files begin with. source: number of the source that it is, or lies in. inside: its path in that source.
    remote: the corpus that it is, where that lies elsewhere; `real` is then no path.
    """

    given: str
    real: Path
    doc_id_path: str
    options: CorpusOptions = DEFAULT_OPTIONS
    skip_bad: bool = False
    source: int = 0
    inside: str = ""
    remote: RemoteSource | None = None


def total_bytes(paths: Sequence[Place], *, exclude: Sequence[Path] = (), options: CorpusOptions | None = None) -> int:
    """Return the size in bytes, on the disk, of all files that a reading of these paths would open.

    Raises LsrError for a path that isn't there, UsageError where none is given.
    """
    return sum(source.size_bytes for source in walk(paths, CorpusReport(), exclude=exclude, options=options))


def walk(
    paths: Sequence[Place],
    report: CorpusReport,
    *,
    exclude: Sequence[Path] = (),
    options: CorpusOptions | None = None,
) -> Iterator[SourceFile]:
    """Yield the files to be read below these paths, sorted by name in each folder, folders in their place.

    Skipped and counted in the report: hidden entries, what git ignores, links, index folders (and the
    `exclude`d), the files beside a BEIR corpus, kinds that aren't read, what can't be opened. A path given
    itself is read even if it is hidden, ignored or a link. A path given twice, or lying in another, is read once.

    Raises LsrError (at once) for a path that isn't there, UsageError where none is given.
    """
    return walk_roots(roots_of(paths, options), report, exclude=exclude)


def walk_roots(
    roots: Sequence[Root], report: CorpusReport, *, exclude: Sequence[Path] = (), apart: Iterable[str] = ()
) -> Iterator[SourceFile]:
    """Yield the files below roots as `walk` does. apart: real paths of other sources, which are skipped silently."""
    excluded = frozenset(os.path.realpath(path) for path in exclude)
    return _Walk(roots, report, excluded, frozenset(apart)).files()


def roots_of(paths: Sequence[Place], options: CorpusOptions | None = None, *, skip_bad: bool = False) -> list[Root]:
    """Return the roots of paths, each a source, numbered from 0. Raises LsrError, UsageError as `walk`."""
    if not paths:
        raise UsageError("no corpus given: name a folder or file to index")
    chosen = options or CorpusOptions()
    files = [path for path in paths if isinstance(path, Path) and path != STANDARD_INPUT]
    found = _roots_of(files, chosen, skip_bad=skip_bad) if files else []
    if STANDARD_INPUT in paths:
        found.insert(0, input_root(chosen, skip_bad=skip_bad))
    return found + remote_roots(paths, chosen, skip_bad=skip_bad)


def remote_roots(paths: Sequence[Place], options: CorpusOptions, *, skip_bad: bool) -> list[Root]:
    """Return the roots of those places that are URLs, none of which is a source that an index follows."""
    urls = {place.name: place for place in paths if isinstance(place, Url)}
    opened = [RemoteSource(url, alone=len(paths) == 1) for url in urls.values()]
    return [
        Root(one.url.name, Path(one.url.name), one.doc_id_path, options, skip_bad, NO_SOURCE, remote=one)
        for one in opened
    ]


def input_root(options: CorpusOptions, *, skip_bad: bool) -> Root:
    """Return standard input as a root."""
    real = Path(os.path.realpath(spooled_input()))
    return Root(str(STANDARD_INPUT), real, DOC_ID, options, skip_bad, NO_SOURCE)


def _roots_of(paths: Sequence[Path], options: CorpusOptions, *, skip_bad: bool) -> list[Root]:
    absolutes = []
    for path in paths:
        if not _exists(path):
            raise no_such_path(path)
        absolutes.append(os.path.normpath(path.absolute()))
    base = os.path.commonpath(absolutes)
    if not Path(base).is_dir():
        base = str(Path(base).parent)
    roots: dict[Path, Root] = {}
    for path, absolute in zip(paths, absolutes, strict=True):
        real = Path(os.path.realpath(path))
        if real not in roots:
            doc_id_path = os.path.relpath(absolute, base)
            roots[real] = Root(str(path), real, doc_id_path, options, skip_bad, len(roots))
    return list(roots.values())


def no_such_path(path: Path) -> LsrError:
    """Return the error for a path that isn't there."""
    return LsrError(
        f"no such file or folder: {_shown(str(path))}: check the spelling, or name the folder that holds the texts"
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise LsrError(f"can't reach {_shown(str(path))}: {error.strerror}: check its permissions") from None


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:
        raise LsrError(f"can't reach {_shown(str(path))}: {error.strerror}: check its permissions") from None


def _state(root: Root) -> os.stat_result:
    """Return the state of a file that was named. Raises LsrError."""
    try:
        return root.real.stat()
    except OSError as error:
        raise LsrError(f"can't reach {_shown(root.given)}: {error.strerror}: check its permissions") from None


def _shown(path: str) -> str:
    """Return a path as one printable line, whatever bytes its names hold."""
    return path if path.isprintable() else repr(path)[1:-1]


class FileChoice:
    """The choice of files by the patterns of the options; paths are relative to the folder that was given."""

    def __init__(self, options: CorpusOptions) -> None:
        self._include = patterns_of("\n".join(options.include))
        self._exclude = patterns_of("\n".join(options.exclude))
        self._formats = [(format_named(name), patterns) for name, patterns in options.named_formats]

    def leaves_out(self, path: str, *, is_folder: bool) -> bool:
        """Tell whether the patterns leave an entry out; folders are entered unless they are excluded."""
        if self._exclude and _fit(self._exclude, path, is_folder=is_folder):
            return True
        return bool(self._include) and not is_folder and not _fit(self._include, path, is_folder=False)

    def format_of(self, path: str) -> tuple[FileFormat, str] | None:
        """Return the format that the options give a file, and its compression; None where they give none."""
        for known, patterns in self._formats:
            if _fit(patterns, path, is_folder=False):
                return known, uncompressed_name(path.lower())[1]
        return None


def _fit(patterns: Sequence[Pattern], path: str, *, is_folder: bool) -> bool:
    name = path[path.rfind("/") + 1 :]
    return any(pattern.matches(path, name, is_folder=is_folder) for pattern in patterns)


class _Walk:
    """A walk over some roots; the stack replaces recursion, so that no depth of folders is too deep."""

    def __init__(
        self, roots: Sequence[Root], report: CorpusReport, excluded: frozenset[str], apart: frozenset[str]
    ) -> None:
        self._roots = roots
        self._report = report
        self._excluded = excluded
        self._number = 0
        self._chosen = FileChoice(CorpusOptions())
        self._root_paths = frozenset(str(root.real) for root in roots) | apart

    def files(self) -> Iterator[SourceFile]:
        for number, root in enumerate(self._roots):
            self._number, self._chosen = number, FileChoice(root.options)
            if root.remote is not None:
                yield from root.remote.files(number, self._chosen, self._report)
            elif str(root.real) in self._excluded:
                self._report.skip(Reason.INDEX, _shown(root.given))
            elif _is_folder(root.real):
                yield from self._folder(root)
            else:
                yield from self._file(root)

    def _file(self, root: Root) -> Iterator[SourceFile]:
        label = _shown(root.given)
        state = _state(root)
        where: dict[str, Any] = {"root": self._number, "inside": root.inside, "mtime_ns": state.st_mtime_ns}
        size = state.st_size
        if not stat.S_ISREG(state.st_mode):
            self._report.skip(Reason.SPECIAL, label)
            return
        given = Path(root.given).name
        if Path(root.given) == STANDARD_INPUT:
            guessed = format_named("jsonl" if looks_like_jsonl(root.real) else "text")
            chosen, compression = self._chosen.format_of(given) or (guessed, "")
            yield SourceFile(root.real, "standard input", DOC_ID, chosen, compression, size, named=True, **where)
            return
        known = (
            self._chosen.format_of(root.inside or given)
            or format_of(given)
            or self._format_of(root.real, label, named=True)
        )
        if known is not None:
            yield SourceFile(root.real, label, fit_doc_id(root.doc_id_path), *known, size, named=True, **where)

    def _folder(self, root: Root) -> Iterator[SourceFile]:
        start = str(root.real)
        name_at = len(start.rstrip("/")) + 1
        stack = [(iter(self._entries(start, root.given)), IgnoreRules.of_root(start))]
        while stack:
            entries, rules = stack[-1]
            entry = next(entries, None)
            if entry is None:
                stack.pop()
                continue
            relative = entry.path[name_at:]
            label = _shown(str(Path(root.given, relative)))
            try:
                reason = self._reason_to_skip(entry, root, rules)
                is_folder = reason is None and entry.is_dir(follow_symlinks=False)
            except OSError as error:  # a link into a folder that can't be entered, or an entry that is gone
                self._report.skip(Reason.UNREADABLE, f"{label}: {error.strerror}")
                continue
            inside = f"{root.inside}/{relative}" if root.inside else relative
            is_entered = is_folder or (reason is None and self._is_archive(inside))
            if reason is None and self._chosen.leaves_out(inside, is_folder=is_entered):
                reason = Reason.EXCLUDED
            if reason is not None:
                self._report.skip(reason, label)
            elif entry.path in self._root_paths:
                continue
            elif is_folder:
                stack.append((iter(self._entries(entry.path, label)), rules.inside(entry.path)))
            else:
                yield from self._found(entry, label, inside, os.path.normpath(f"{root.doc_id_path}/{relative}"))

    def _found(self, entry: os.DirEntry[str], label: str, inside: str, doc_id: str) -> Iterator[SourceFile]:
        known = self._chosen.format_of(inside) or self._format_of(Path(entry.path), label, named=False)
        if known is None:
            return
        try:
            state = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._report.skip(Reason.UNREADABLE, f"{label}: {error.strerror}")
            return
        yield SourceFile(
            Path(entry.path), label, fit_doc_id(doc_id), *known, state.st_size, named=False,
            root=self._number, inside=inside, mtime_ns=state.st_mtime_ns,
        )  # fmt: skip

    def _is_archive(self, relative: str) -> bool:
        """Tell whether a file is entered like a folder, so that patterns choose among its members."""
        found = self._chosen.format_of(relative) or format_of(relative[relative.rfind("/") + 1 :])
        return found is not None and found[0].name == "archive"

    def _format_of(self, path: Path, label: str, *, named: bool) -> tuple[FileFormat, str] | None:
        """Return format and compression of a file, by its name or first bytes; None to skip it."""
        left_out = is_left_out(path.name) and not named
        known = None if left_out else format_of(path.name)
        if known is not None:
            return known
        try:
            if not left_out and looks_like_text(path):
                return format_named("text"), ""
        except OSError as error:
            self._report.skip(Reason.UNREADABLE, f"{label}: {error.strerror}")
            return None
        self._report.skip(Reason.UNKNOWN_KIND, label, suffix=suffix_of(path.name))
        return None

    def _reason_to_skip(self, entry: os.DirEntry[str], root: Root, rules: IgnoreRules) -> Reason | None:
        if entry.path in self._excluded:
            return Reason.INDEX
        if entry.path in self._root_paths:
            return None
        if entry.name.startswith("."):
            return Reason.HIDDEN
        if entry.is_symlink():
            target = Path(os.path.realpath(entry.path))
            if not Path(entry.path).exists():  # also where links lead in a circle
                return Reason.LINK_BROKEN
            return Reason.LINK_INSIDE if target.is_relative_to(root.real) else Reason.LINK_OUT
        is_folder = entry.is_dir(follow_symlinks=False)
        if not is_folder and not entry.is_file(follow_symlinks=False):
            return Reason.SPECIAL
        return Reason.IGNORED if rules.ignores(entry.path, is_folder=is_folder) else None

    def _entries(self, folder: str, label: str) -> list[os.DirEntry[str]]:
        """Return the entries of a folder that may be read, sorted by name."""
        try:
            with os.scandir(folder) as scan:
                entries = sorted(scan, key=lambda entry: entry.name)
        except OSError as error:
            self._report.skip(Reason.UNREADABLE, f"{label}: {error.strerror}")
            return []
        names = {entry.name for entry in entries}
        if "segments" in names and any(map(_MANIFEST.fullmatch, names)):
            self._report.skip(Reason.INDEX, label)
            return []
        corpus = next((name for name in _BEIR_CORPUS if name in names), None)
        if corpus and names & _BEIR_COMPANIONS:
            for entry in entries:
                if entry.name != corpus:
                    self._report.skip(Reason.BESIDE_BEIR, _shown(str(Path(label, entry.name))))
            return [entry for entry in entries if entry.name == corpus]
        return entries
