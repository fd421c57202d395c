"""Test collections in the layout of Mr. TyDi and MIRACL: documents with their ids, topics and qrels of each split.

Zhang et al., "Mr. TyDi: A Multi-lingual Benchmark for Dense Retrieval" (2021, arXiv:2108.08787): a language's
`collection/docs.jsonl` (`id`, `contents`: the title, an empty line, the text), `topic.<split>.tsv` and
`qrels.<split>.txt`; on the hub `corpus.jsonl` (`docid`, `title`, `text`) and `ir-format-data/`. MIRACL
(arXiv:2210.09984): `docs-0.jsonl` and further ones, `topics/` and `qrels/`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lsr.errors import LsrError
from lsr.eval.data.converted import converted_once
from lsr.eval.data.qrels import read_qrels
from lsr.eval.data.query_files import id_text, json_lines, read_queries

_END = r"\.(?:tsv|txt)(?:\.gz)?"
_TOPICS = re.compile(rf"topics?\.(?:.*-)?(?P<split>[^.-]+){_END}")
_QRELS = re.compile(rf"qrels\.(?:.*-)?(?P<split>[^.-]+){_END}")
_CORPUS = re.compile(r"docs(?:-\d+)?\.jsonl(?:\.gz)?|corpus\.jsonl(?:\.gz)?")


def tydi_dataset(folder: Path) -> Path | None:
    """Return the BEIR folder in the cache that this layout is written to; None for another layout.

    Raises LsrError for a collection that lacks a part, or whose splits call different queries the same.
    """
    topics = _by_split(_TOPICS, folder, folder / "ir-format-data", folder / "topics")
    if not topics:
        return None
    qrels = _by_split(_QRELS, folder, folder / "ir-format-data", folder / "qrels")
    documents = [path for place in (folder / "collection", folder) for path in _files(place, _CORPUS)]
    judged = [split for split in topics if split in qrels]
    if not judged:
        raise LsrError(f"{folder}: topics of {', '.join(topics)}, but no qrels.<split>.txt of them: nothing to measure")
    if not documents:
        raise LsrError(f"{folder}: topics, but no documents: collection/docs.jsonl or corpus.jsonl is missing")
    parts = [*documents, *(path for split in judged for path in (topics[split], qrels[split]))]

    def write(made: Path) -> None:
        _write_queries(made, {split: topics[split] for split in judged})
        _write_qrels(made, {split: qrels[split] for split in judged})
        _write_documents(made, documents)

    return converted_once("topics", parts, write)


def _by_split(pattern: re.Pattern[str], *places: Path) -> dict[str, Path]:
    """Return files by the split in their name; of two of one split the first."""
    found: dict[str, Path] = {}
    for place in places:
        for path in _files(place, pattern):
            match = pattern.fullmatch(path.name)
            assert match is not None
            found.setdefault(match["split"], path)
    return found


def _files(folder: Path, pattern: re.Pattern[str]) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name) and path.is_file())


def _write_queries(made: Path, topics: Mapping[str, Path]) -> None:
    texts: dict[str, str] = {}
    for path in topics.values():
        for query_id, text in read_queries(path).items():
            if texts.setdefault(query_id, text) != text:
                raise LsrError(f"{path}: query {query_id!r} has another text in another split: keep one split's topics")
    with (made / "queries.jsonl").open("w", encoding="utf-8") as file:
        for query_id, text in texts.items():
            file.write(json.dumps({"_id": query_id, "text": text}, ensure_ascii=False) + "\n")


def _write_qrels(made: Path, qrels: Mapping[str, Path]) -> None:
    (made / "qrels").mkdir()
    for split, path in qrels.items():
        with (made / "qrels" / f"{split}.tsv").open("w", encoding="utf-8") as file:
            file.write("query-id\tcorpus-id\tscore\n")
            for query_id, judged in read_qrels(path).items():
                file.writelines(f"{query_id}\t{doc_id}\t{score}\n" for doc_id, score in judged.items())


def _write_documents(made: Path, documents: list[Path]) -> None:
    with (made / "corpus.jsonl").open("w", encoding="utf-8") as file:
        for path in documents:
            for row in _rows(path):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def _rows(path: Path) -> Iterator[dict[str, str]]:
    for number, entry in json_lines(path):
        where = f"{path}:{number}"
        doc_id = id_text(_first(entry, "docid", "id", "_id"), f"{where}: 'docid'")
        title, text = entry.get("title") or "", entry.get("text")
        if text is None:
            head, found, rest = str(entry.get("contents") or "").partition("\n\n")
            title, text = (head, rest) if found else (title, head)
        if not isinstance(title, str) or not isinstance(text, str):
            raise LsrError(f"{where}: title and text are not both text")
        yield {"_id": doc_id, "title": title, "text": text}


def _first(entry: Mapping[str, Any], *names: str) -> Any:
    return next((entry[name] for name in names if entry.get(name) is not None), None)
