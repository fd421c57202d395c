"""Result files gathered into one table, beside published figures: the data behind Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError
from lsr.eval.reports.published import BEIR_13, PUBLISHED, Published
from lsr.eval.reports.results import Result, is_result_file, read_result
from lsr.eval.reports.table import whole_name

MEASURE = "nDCG@10"


@dataclass(frozen=True, slots=True)
class Row:
    """A system's line: `values` by dataset, in nDCG@10; `mean` over all of the leaderboard's datasets, if it has all.

    Latency, size and QPS are means over the datasets measured; None for published figures, which were timed on
    other machines or not at all.
    """

    system: str
    detail: str
    measured: bool
    values: Mapping[str, float]
    mean: float | None
    beir13: float | None
    search_p50_us: float | None = None
    encode_p50_us: float | None = None
    size_bytes: float | None = None
    n_docs: float | None = None


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Rows, the best mean first, and what has to be said with them."""

    datasets: tuple[str, ...]
    rows: tuple[Row, ...]
    sources: Mapping[str, str]
    """Source of each published row."""
    hardware: tuple[str, ...]
    notes: tuple[str, ...]


def collect_results(paths: Sequence[Path]) -> list[Result]:
    """Read result files, and those in folders, where other JSON is skipped.

    Of two for the same system, dataset and split the one made later counts.
    Raises LsrError where there is none, or where one dataset was judged by different qrels.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(filter(is_result_file, path.rglob("*.json"))) if path.is_dir() else [path]
    latest: dict[tuple[str, str, str], Result] = {}
    for file in files:
        result = read_result(file)
        key = (result.system, result.dataset.name, result.dataset.split)
        if key not in latest or latest[key].provenance.date < result.provenance.date:
            latest[key] = result
    if not latest:
        raise LsrError(f"no result files in {', '.join(map(str, paths))}; 'lsr eval … --output DIR' writes them")
    _check_same_qrels(latest.values())
    return list(latest.values())


def _check_same_qrels(results: Iterable[Result]) -> None:
    seen: dict[tuple[str, str], Result] = {}
    for result in results:
        first = seen.setdefault((result.dataset.name, result.dataset.split), result)
        if first.dataset.qrels_sha256 != result.dataset.qrels_sha256:
            raise LsrError(
                f"{result.dataset.name}: {first.system} and {result.system} were measured with different qrels;"
                " measure both with the same"
            )


def make_leaderboard(results: Sequence[Result], *, published: Sequence[Published] = PUBLISHED) -> Leaderboard:
    """Set measured results beside published figures of the same datasets.

    A published system takes part where it has a figure for one of the datasets. Raises LsrError where a result
    lacks nDCG@10.
    """
    for result in results:
        if MEASURE not in result.measures:
            raise LsrError(f"{result.system} on {result.dataset.name} has no {MEASURE}; measure it again with it")
    datasets = tuple(sorted({_label(result) for result in results}))
    rows = [_measured_row(system, group, datasets) for system, group in _by_system(results).items()]
    beside = [p for p in published if set(p.ndcg_10) & set(datasets)]
    rows += [_published_row(p, datasets) for p in beside]
    rows.sort(key=lambda row: (row.mean is None, -(row.mean or 0.0), row.system))
    return Leaderboard(
        datasets=datasets,
        rows=tuple(rows),
        sources={p.system: p.source for p in beside},
        hardware=tuple(dict.fromkeys(_hardware(result) for result in results if result.efficiency)),
        notes=tuple(_notes(results)),
    )


def _label(result: Result) -> str:
    """Return a dataset's name, with its split unless that is test."""
    name = whole_name(result.dataset.name)
    return name if result.dataset.split in ("test", "-") else f"{name} ({result.dataset.split})"


def _by_system(results: Sequence[Result]) -> dict[str, list[Result]]:
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.system, []).append(result)
    return groups


def _measured_row(system: str, results: Sequence[Result], datasets: Sequence[str]) -> Row:
    parts: dict[str, list[float]] = {}
    for result in results:
        parts.setdefault(_label(result), []).append(result.measures[MEASURE])
    values = {label: sum(metrics) / len(metrics) for label, metrics in parts.items()}
    costs = [result.efficiency for result in results if result.efficiency]
    return Row(
        system=system,
        detail=_encoder_text(results[0]),
        measured=True,
        values=values,
        mean=_mean_of(values, datasets),
        beir13=_mean_of(values, BEIR_13),
        search_p50_us=_average([c.search.p50_us for c in costs if c.search]),
        encode_p50_us=_average([c.encode.p50_us for c in costs if c.encode]),
        size_bytes=_average([float(c.index_size_bytes) for c in costs if c.index_size_bytes is not None]),
        n_docs=_average([float(r.dataset.n_docs) for r in results if r.dataset.n_docs is not None]),
    )


def _published_row(entry: Published, datasets: Sequence[str]) -> Row:
    detail = f"{entry.family}, {entry.parameters} parameters" if entry.parameters != "–" else entry.family
    return Row(entry.system, detail, False, entry.ndcg_10, _mean_of(entry.ndcg_10, datasets), entry.beir13)


def _mean_of(values: Mapping[str, float], datasets: Sequence[str]) -> float | None:
    return sum(values[d] for d in datasets) / len(datasets) if all(d in values for d in datasets) else None


def _average(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _encoder_text(result: Result) -> str:
    if result.encoder is None:
        return "a run made elsewhere"
    parts = [str(result.encoder[key]) for key in ("kind", "name", "method") if result.encoder.get(key)]
    if result.encoder.get("revision"):
        parts.append(f"revision {str(result.encoder['revision']).removeprefix('sha256:')[:12]}")
    return ", ".join(dict.fromkeys(parts))


def _hardware(result: Result) -> str:
    machine = result.provenance.hardware
    memory = f"{machine.memory_bytes / 2**30:.0f} GiB"
    return f"{machine.cpu} ({machine.architecture}), {machine.cores} cores, {memory}, {result.provenance.platform}"


def _notes(results: Sequence[Result]) -> list[str]:
    notes = [
        "Measured rows: exact search; a query without results counts 0.",
        "Latencies are medians of single queries on one thread, averaged over the datasets.",
        "Published rows are as their sources print them, rounded as there, and were not measured here.",
    ]
    dropped = sorted({r.dataset.name for r in results if r.protocol.drop_identical_ids})
    if dropped:
        notes.append(f"Hits with the query's own id were dropped in: {', '.join(dropped)}.")
    modified = sorted({r.system for r in results if r.provenance.git_modified})
    if modified:
        notes.append(f"Made from a checkout with uncommitted changes: {', '.join(modified)}.")
    approximate = sorted({f"{r.system}: {r.protocol.approximate}" for r in results if r.protocol.approximate})
    if approximate:
        notes.append(f"Approximate search: {'; '.join(approximate)}.")
    return notes
