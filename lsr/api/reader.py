"""The reading half of an index: searches, documents, statistics, generations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, overload

from lsr.api.arguments import check_count, check_path, check_text, doc_ids_of, is_one_doc_id, queries_of
from lsr.api.documents import all_documents, documents_by_id
from lsr.api.opened import AS_ONE, Opened, Opening
from lsr.api.stats import Stats, stats_of
from lsr.api.wording import python_messages
from lsr.errors import UsageError
from lsr.io.fork_safe import ForkSafeLock
from lsr.kernels.jit.first_use import SEARCH, warn_before_compiling
from lsr.query.engine.compile_ahead import COMPILING
from lsr.types import Document

if TYPE_CHECKING:
    from lsr.encoders.base import Encoder
    from lsr.query.options import SearchOptions
    from lsr.query.searcher import Searcher
    from lsr.types import Results


class IndexReader:
    """An index opened for reading; `lsr.Index` adds the methods that change it."""

    @python_messages
    def __init__(
        self,
        path: str | Path,
        *,
        encoder: str | Path | Encoder | None = None,
        dense_encoder: str | Path | None = None,
        generation: int | None = None,
        opening: Opening = AS_ONE,
    ) -> None:
        """Open an index; the arguments are those of `lsr.open`, and `generation` (default: the last)."""
        self._path = check_path(path, "path")
        if generation is not None:
            generation = check_count(generation, "generation")
        self._opened: Opened | None = Opened.of(self._path, encoder, dense_encoder, generation, opening)
        self._changing = ForkSafeLock(reentrant=True)

    @property
    def path(self) -> Path:
        """The folder of the index."""
        return self._path

    @property
    def generation(self) -> int:
        """The number of the generation that searches see."""
        return self._current.generation

    @property
    def searcher(self) -> Searcher:
        """The searcher of that generation, for code that works below this interface."""
        return self._current.searcher

    @property
    def _current(self) -> Opened:
        opened = self._opened
        if opened is None:
            raise UsageError(f"the index at {self._path} is closed; open it again with lsr.open")
        return opened

    def __len__(self) -> int:
        return self._current.n_documents

    def __iter__(self) -> Iterator[Document]:
        return self.documents()

    def __contains__(self, doc_id: object) -> bool:
        return is_one_doc_id(doc_id) and doc_id != "" and self.get(doc_id) is not None  # type: ignore[call-overload]

    def __repr__(self) -> str:
        opened = self._opened
        if opened is None:
            return f"{type(self).__name__}({str(self._path)!r}, closed)"
        manifest, n_documents = opened.stored.manifest, opened.n_documents
        parts = [repr(str(self._path)), f"{n_documents:,} document{'' if n_documents == 1 else 's'}"]
        parts.append(f"encoder {str(manifest.encoder.get('name'))!r}")
        if manifest.dense is not None:
            parts.append(f"dense {str(manifest.dense.get('name'))!r}")
        return f"{type(self).__name__}({', '.join(parts)}, generation {manifest.generation})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @overload
    def search(self, query: str, options: SearchOptions | None = None, **given: Any) -> Results: ...

    @overload
    def search(
        self, query: Sequence[str] | Iterable[str], options: SearchOptions | None = None, **given: Any
    ) -> list[Results]: ...

    @python_messages
    def search(
        self, query: str | Iterable[str], options: SearchOptions | None = None, **given: Any
    ) -> Results | list[Results]:
        """Search the index for one query, or for many.

        Args:
            query: text of a query, or several texts in a list, tuple or Series.
            options: options made before (default: `SearchOptions()`).
            given: options by name, which take the place of those of `options`: `k`, `offset`, `where`, `min_score`,
                `fields`, `sort`, `facets`, `total`, `hybrid`, `rerank`, `feedback`, `approximate`, `explain`, `threads`
                and the others that docs/PYTHON.md lists.

        Returns:
            The hits of the query, best first; of many queries, a list of these in their order.

        Raises:
            UsageError: an option is unknown, of a wrong kind or out of its range.
            EncoderError: the encoder of queries can't be opened.
        """
        return self._search(query, options, given)

    @overload
    def explain(self, query: str, options: SearchOptions | None = None, **given: Any) -> Results: ...

    @overload
    def explain(
        self, query: Sequence[str] | Iterable[str], options: SearchOptions | None = None, **given: Any
    ) -> list[Results]: ...

    @python_messages
    def explain(
        self, query: str | Iterable[str], options: SearchOptions | None = None, **given: Any
    ) -> Results | list[Results]:
        """Search, and say of every hit what each term of the query added to its score (`hit.terms`).

        The arguments, results and errors are those of `search`.
        """
        return self._search(query, options, {**given, "explain": True})

    def _search(
        self, query: str | Iterable[str], options: SearchOptions | None, given: Mapping[str, Any]
    ) -> Results | list[Results]:
        searcher = self._current.searcher
        texts = query if isinstance(query, str) else queries_of(query)
        if COMPILING.is_done():
            warn_before_compiling(SEARCH)
        found: Results | list[Results] = searcher.search(texts, options, **given)
        return found

    @overload
    def get(self, doc_ids: str | int) -> Document | None: ...  # type: ignore[overload-overlap]

    @overload
    def get(self, doc_ids: Iterable[str | int]) -> list[Document | None]: ...

    @python_messages
    def get(self, doc_ids: str | int | Iterable[str | int]) -> Document | list[Document | None] | None:
        """Return a document by its doc_id, or several by theirs.

        Args:
            doc_ids: one doc_id (a `str`, or a whole number, which means its decimal text), or several in a list.

        Returns:
            The document, None if the index doesn't have it; of several, a list of these in their order. A document
            that was cut into passages is put together again.
        """
        found = documents_by_id(self._current.stored, doc_ids_of(doc_ids))
        return found[0] if is_one_doc_id(doc_ids) else found

    @python_messages
    def documents(self, where: str | None = None) -> Iterator[Document]:
        """Return an iterator over the documents, in the order in which they were added.

        Args:
            where: filter on their fields, such as `year >= 2020` (default: all documents).
        """
        return all_documents(self._current.stored, None if where is None else check_text(where, "where"))

    def _newest(self) -> Opened:
        """Go on to the last generation, and return it. Called by the holder of the lock."""
        self._opened = self._current.refreshed()
        return self._opened

    @python_messages
    def stats(self) -> Stats:
        """Return what the index holds, how large its parts are, and what it was made with."""
        return stats_of(self._current.stored)

    @python_messages
    def refresh(self) -> Self:
        """Go on to the last generation of the index, if other processes have changed it; return this index.

        Raises:
            IndexMissingError: the index is gone.
        """
        with self._changing:
            self._newest()
        return self

    def close(self) -> None:
        """Let writers remove the files of this generation. No other method may be called afterwards."""
        opened, self._opened = self._opened, None
        if opened is not None:
            opened.searcher.close()
