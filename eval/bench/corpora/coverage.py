"""Share of the text files of folders that are indexed: `python -m lsr.eval.bench.corpora.coverage FOLDER …`."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lsr.indexer.corpus.file_format import SourceFile
from lsr.indexer.corpus.reader import Owner, Unheard, read_roots
from lsr.indexer.corpus.registry import suffix_of
from lsr.indexer.corpus.report import CorpusReport
from lsr.indexer.corpus.walk import roots_of

_BINARY_BYTES = 8192


@dataclass(frozen=True, slots=True)
class Coverage:
    """The text files of a folder, and those that gave no document. Both are counts by suffix."""

    texts: Counter[str]
    missed: Counter[str]
    n_documents: int
    seconds: float

    @property
    def share(self) -> float:
        """Share of the text files that gave documents."""
        return 1 - self.missed.total() / self.texts.total() if self.texts else 1.0


def coverage_of(folder: Path) -> Coverage:
    """Read a folder as `lsr index` does, and compare what gave documents with its text files.

    A text file is UTF-8, not empty, has no NUL, and is neither hidden nor a link nor in a hidden folder.
    """
    texts = set(_text_files(folder))
    listener = _Listener()
    report = CorpusReport()
    began = time.process_time()
    n_documents = sum(1 for _ in read_roots(roots_of([folder]), report=report, listener=listener))
    seconds = time.process_time() - began
    missed = texts - listener.seen
    return Coverage(_by_suffix(texts), _by_suffix(missed), n_documents, seconds)


class _Listener(Unheard):
    """Notes the files that documents come from."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def owner(self, doc_id: str, source: SourceFile) -> Owner | None:
        """Note the file of a document; no other has it."""
        self.seen.add(source.inside)
        return None


def _by_suffix(names: set[str]) -> Counter[str]:
    return Counter(suffix_of(Path(name).name) or "no suffix" for name in names)


def _text_files(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(place, name)
            if not name.startswith(".") and not path.is_symlink() and _is_text(path):
                yield os.path.relpath(path, folder)


def _is_text(path: Path) -> bool:
    try:
        data = path.read_bytes()
        data.decode()
    except (OSError, UnicodeDecodeError):
        return False
    return bool(data.strip()) and b"\0" not in data[:_BINARY_BYTES]


def main() -> int:
    """Print a row for each folder: text files, share indexed, and what is missing."""
    rows = [("folder", "text files", "indexed", "documents", "seconds", "not indexed")]
    for name in sys.argv[1:]:
        found = coverage_of(Path(name))
        missing = ", ".join(
            f"{count} of {found.texts[suffix]} {suffix}" for suffix, count in found.missed.most_common()
        )
        rows.append(
            (
                Path(name).name, f"{found.texts.total():,}", f"{found.share:.1%}", f"{found.n_documents:,}",
                f"{found.seconds:.1f}", missing or "-",
            )
        )  # fmt: skip
    for row in rows:
        sys.stdout.write("  ".join(f"{cell:>10}" if at else f"{cell:<16}" for at, cell in enumerate(row)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
