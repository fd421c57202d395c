"""Test collections as Parquet tables, as NanoBEIR and others are on the hub: `corpus/`, `queries/` and `qrels/`.

Files are called `<split>-00000-of-00001.parquet`. Either the folder is one collection, whose split says nothing, or
each split is one (`NanoMSMARCO`, …).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.eval.data.converted import converted_once

PARTS = ("corpus", "queries", "qrels")
_FILE = re.compile(r"(?P<split>.+?)-\d{5}-of-\d{5}\.parquet")
_PLAIN = ("train", "test", "dev", "validation", "corpus", "queries", "qrels", "default")
"""Splits that are no names of collections."""


def parquet_datasets(folder: Path) -> list[tuple[str, Path]]:
    """Return (name, BEIR folder in the cache) of each collection in a folder of Parquet tables; none in any other.

    Raises LsrError for tables that lack columns, or a collection that lacks a part.
    """
    by_part = {part: _files(folder / part) for part in PARTS}
    if not any(by_part.values()):
        return []
    names = dict.fromkeys(name for part in PARTS for name in by_part[part] if name not in _PLAIN)
    if not names:
        tables = {part: [file for files in by_part[part].values() for file in files] for part in PARTS}
        return [(folder.resolve().name, _beir_of(folder, tables))]
    return [(name, _beir_of(folder, {part: by_part[part].get(name, []) for part in PARTS})) for name in names]


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return a part's files by their split."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.parquet")):
        match = _FILE.fullmatch(path.name)
        found.setdefault(path.stem if match is None else match["split"], []).append(path)
    return found


def _beir_of(folder: Path, tables: Mapping[str, list[Path]]) -> Path:
    missing = next((part for part in PARTS if not tables[part]), None)
    if missing is not None:
        raise LsrError(f"{folder / missing}: no Parquet file, so that the collection is not complete")
    parts = [path for part in PARTS for path in tables[part]]
    return converted_once("tables", parts, lambda made: _write(made, tables))


def _write(made: Path, tables: Mapping[str, list[Path]]) -> None:
    for part in ("corpus", "queries"):
        with (made / f"{part}.jsonl").open("w", encoding="utf-8") as file:
            for path, row in _rows(tables[part]):
                own = {"_id": str(_value(path, row, "_id", "id", "query-id", "corpus-id"))}
                text = {"text": _value(path, row, "text", "query")}
                title = {"title": row["title"]} if row.get("title") else {}
                file.write(json.dumps({**own, **title, **text}, ensure_ascii=False) + "\n")
    (made / "qrels").mkdir()
    with (made / "qrels" / "test.tsv").open("w", encoding="utf-8") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for path, row in _rows(tables["qrels"]):
            ids = _value(path, row, "query-id", "query_id"), _value(path, row, "corpus-id", "corpus_id")
            score = next((row[name] for name in ("score", "relevance") if row.get(name) is not None), 1)
            file.write(f"{ids[0]}\t{ids[1]}\t{int(score)}\n")


def _rows(paths: list[Path]) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path in paths:
        try:
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(1024):
                    yield from ((path, row) for row in batch.to_pylist())
        except (OSError, pa.ArrowException) as error:
            raise LsrError(f"{path}: not a readable Parquet file: {' '.join(str(error).split())}") from error


def _value(path: Path, row: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    raise LsrError(f"{path}: a row has none of the columns {', '.join(names)}; there are {', '.join(row)}")
