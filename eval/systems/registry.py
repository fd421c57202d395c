"""Systems by name, path or value: what `lsr.evaluate` and `lsr eval` take, made into systems."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lsr.errors import UsageError
from lsr.eval.data.datasets import Dataset
from lsr.eval.systems.encoder_system import EncoderSystem
from lsr.eval.systems.index_system import IndexSystem
from lsr.eval.systems.indexed_system import IndexedSystem, SearchedSystem
from lsr.eval.systems.lucene_systems import BM25, IMPACT, LuceneBM25, LuceneImpact
from lsr.eval.systems.system import System, SystemRun
from lsr.indexer.shards.manifest import is_set
from lsr.indexer.storage.find_index import DEFAULT_NAME
from lsr.indexer.storage.generations import generations
from lsr.indexer.storage.index import StoredIndex
from lsr.io.progress import Progress
from lsr.query.options import SearchOptions
from lsr.query.searcher import Searcher


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Threads, cache and files for making systems.

    threads: for indexing and throughput. cache: folder of indexes (default: the user's). vectors, queries: ready
    vectors of documents and queries, for baselines that search them.
    """

    threads: int = 1
    cache: Path | None = None
    progress: Progress | None = None
    vectors: Path | None = None
    queries: Path | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for a number of threads below 1."""
        if self.threads < 1:
            raise UsageError(f"threads is {self.threads}; it must be at least 1")


BASELINES: Mapping[str, Callable[[Resources], System]] = {
    BM25: lambda _: LuceneBM25(),
    IMPACT: lambda resources: LuceneImpact(resources.vectors, resources.queries),
}
"""Systems that are known by a name."""


def open_baseline(name: str, resources: Resources) -> System:
    """Return a system by its name. Raises UsageError for an unknown one, and what opening it raises."""
    if name not in BASELINES:
        raise UsageError(f"unknown baseline {name!r}: use one of {', '.join(BASELINES)}")
    return BASELINES[name](resources)


def open_systems(given: Any, options: SearchOptions | None = None, resources: Resources | None = None) -> list[System]:
    """Return the systems that a value, a sequence of values, or a mapping of names to values names.

    A value is a `System`; an index, by its path, opened, or as a searcher, which is searched as it is; an encoder, or
    its name, with which each dataset is indexed; or the name of a baseline. options: of the searches of indexes
    (default: those of a searcher given, else plain ones). Raises
    UsageError for anything else, for no system, and for two of one name.
    """
    made_with = resources or Resources()
    if isinstance(given, Mapping):
        systems = [_opened(value, options, made_with, name=str(name)) for name, value in given.items()]
    elif isinstance(given, Sequence) and not isinstance(given, str):
        names = distinct_names([Path(value) if isinstance(value, str | Path) else None for value in given])
        systems = [_opened(v, options, made_with, name=name) for v, name in zip(given, names, strict=True)]
    else:
        systems = open_systems([given], options, made_with)
    check_names(systems)
    return systems


class Renamed:
    """A system by another name."""

    def __init__(self, system: System, name: str) -> None:
        self._system = system
        self.name = name

    def run(self, dataset: Dataset, k: int) -> SystemRun:
        """Run the system."""
        return self._system.run(dataset, k)


def check_names(systems: Sequence[System]) -> None:
    """Raise UsageError for no system, and for two of one name."""
    names = [system.name for system in systems]
    if not names:
        raise UsageError("no system to evaluate: name an index, an encoder or a system")
    if len(set(names)) < len(names):
        raise UsageError(f"two systems have the same name, among {', '.join(names)}: rename a folder")


def distinct_names(paths: Sequence[Path | None]) -> list[str | None]:
    """Return the last parts of paths, or where two have the same, the whole paths; None stays None."""
    names = [None if path is None else _last_part(path) for path in paths]
    told = [name for name in names if name is not None]
    return names if len(set(told)) == len(told) else [None if path is None else str(path) for path in paths]


def _last_part(path: Path) -> str:
    shown = path.resolve().parent if path.name == DEFAULT_NAME else path
    return shown.name or str(shown)


def _opened(value: Any, options: SearchOptions | None, resources: Resources, *, name: str | None) -> System:
    system = _system(value, resources, name)
    if options is not None and isinstance(system, IndexedSystem):
        system = SearchedSystem(system, options)
    return system if name in (None, system.name) else Renamed(system, str(name))


def _system(value: Any, resources: Resources, name: str | None) -> System:
    if isinstance(value, str) and value in BASELINES:
        return open_baseline(value, resources)
    if isinstance(value, str | Path) and (path := _index_path(Path(value))) is not None:
        value = path
    elif isinstance(value, str | Path):
        value = str(value)
    searcher = getattr(value, "searcher", value)
    if isinstance(searcher, Path | StoredIndex | Searcher):
        return IndexSystem(searcher, name=name, threads=resources.threads)
    if isinstance(value, str) or _is_encoder(value):
        return EncoderSystem(
            value, name=name, cache=resources.cache, threads=resources.threads, progress=resources.progress
        )
    if callable(getattr(value, "run", None)) and isinstance(getattr(value, "name", None), str):
        system: System = value
        return system
    raise UsageError(
        f"{value!r:.80} is {type(value).__name__}, which is no system: give an index or its path, an encoder or its"
        " name, or an object with name and run(dataset, k)"
    )


def _index_path(path: Path) -> Path | None:
    return next((folder for folder in (path, path / DEFAULT_NAME) if generations(folder) or is_set(folder)), None)


def _is_encoder(value: Any) -> bool:
    return all(hasattr(value, part) for part in ("encode_documents", "encode_queries", "description"))
