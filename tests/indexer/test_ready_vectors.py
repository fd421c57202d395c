"""Ready vectors in Parquet files become an index; what is no vector is named by file and row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lsr.encoders.registry import load_encoder
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.pipeline import index_vectors
from lsr.indexer.storage.index import StoredIndex
from lsr.indexer.transfer.read_vectors import read_vectors
from lsr.types import Document, SparseBatch

VectorsFile = Callable[..., Path]


class Fixed:
    """An encoder of four terms whose vectors were made elsewhere."""

    terms = ("cat", "dog", "##s", "tree")
    corpus_weighting = None
    description = {"kind": "fixed", "name": "fixed", "query_side": "model"}  # noqa: RUF012

    def encode_documents(self, documents: Any) -> SparseBatch:
        raise AssertionError("vectors are ready")

    encode_queries = encode_documents

    def save_query_side(self, folder: Path) -> None:
        (folder / "note.json").write_text("{}")


def test_terms_weights_titles_and_texts_are_taken(tmp_path: Path, vectors_file: VectorsFile, small: Any) -> None:
    path = vectors_file(
        {
            "id": ["a", "b c", "d"],
            "terms": [["dog", "cat"], ["cat"], []],
            "weights": [[3, 1], [255], []],
            "title": ["A", None, "D"],
            "text": ["x", "y", None],
            "other": [1, 2, 3],
        }
    )
    manifest, notes = index_vectors([path], tmp_path / "index")
    assert notes == [] and manifest.scale == 1.0 and manifest.encoder["kind"] == "vectors"
    assert small.content(tmp_path / "index") == [
        (Document("a", "x", "A"), {"dog": 3, "cat": 1}),
        (Document("b c", "y"), {"cat": 255}),
        (Document("d", "", "D"), {}),
    ]


def test_term_ids_without_an_encoder_are_names(tmp_path: Path, vectors_file: VectorsFile, small: Any) -> None:
    path = vectors_file({"id": [7], "term_ids": [[70_000, 3]], "weights": [[1.0, 2.0]]})
    index_vectors([path], tmp_path / "index")
    assert [row for _, row in small.content(tmp_path / "index")] == [{"70000": 1, "3": 2}]


def test_term_ids_of_an_encoder_are_its_terms(tmp_path: Path, vectors_file: VectorsFile, small: Any) -> None:
    path = vectors_file({"id": ["a"], "term_ids": [[3, 0]], "weights": [[5, 6]]})
    index_vectors([path], tmp_path / "index", encoder=Fixed())
    assert [row for _, row in small.content(tmp_path / "index")] == [{"tree": 5, "cat": 6}]
    outside = vectors_file({"id": ["a", "b"], "term_ids": [[0], [1, 4]], "weights": [[5], [1, 2]]}, "outside.parquet")
    with pytest.raises(BadDocumentError, match=r"outside.parquet, row 2: term id 4; the encoder's are 0 … 3"):
        index_vectors([outside], tmp_path / "other", encoder=Fixed())


def test_terms_that_an_encoder_does_not_know_are_dropped_and_counted(
    tmp_path: Path, vectors_file: VectorsFile, small: Any
) -> None:
    path = vectors_file({"id": ["a"], "terms": [["tree", "zebra", "cat"]], "weights": [[5, 6, 7]]})
    _, notes = index_vectors([path], tmp_path / "index", encoder=Fixed())
    assert notes == ["1 weights of terms that the encoder doesn't know were dropped"]
    assert [row for _, row in small.content(tmp_path / "index")] == [{"tree": 5, "cat": 7}]
    assert len(StoredIndex.open(tmp_path / "index").vocabulary) == 4


def test_several_files_share_a_vocabulary(tmp_path: Path, vectors_file: VectorsFile, small: Any) -> None:
    files = [
        vectors_file({"id": [name], "terms": [terms], "weights": [[1.0] * len(terms)]}, f"{name}.parquet")
        for name, terms in (("a", ["x", "y"]), ("b", ["y", "z"]))
    ]
    index_vectors(files, tmp_path / "index")
    assert [row for _, row in small.content(tmp_path / "index")] == [{"x": 1, "y": 1}, {"y": 1, "z": 1}]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (
            {"id": ["a"], "terms": [["x"]]},
            "has the columns id, terms; ready vectors have id, terms or term_ids, weights",
        ),
        ({"id": ["a"], "terms": ["x"], "weights": [[1.0]]}, "row 1: the column terms holds string, not lists"),
        ({"id": ["a"], "terms": [["x"]], "weights": [["1"]]}, "row 1: the column weights holds string, not numbers"),
        ({"id": ["a", "b"], "terms": [["x"], ["y"]], "weights": [[1.0], [1.0, 2.0]]}, "row 2: 1 terms, but 2 weights"),
        ({"id": ["a", None], "terms": [["x"], ["y"]], "weights": [[1.0], [2.0]]}, "row 2: it has no id"),
        ({"id": ["a", "b"], "terms": [["x"], None], "weights": [[1.0], []]}, "row 2: it has no terms"),
        (
            {"id": ["a", "b"], "terms": [["x"], ["y", None]], "weights": [[1], [1, 2]]},
            "row 2: one of its terms is missing",
        ),
        ({"id": ["a", "b"], "terms": [["x"], ["y"]], "weights": [[1], [None]]}, "row 2: one of its weights is missing"),
        (
            {"id": ["a", "b"], "terms": [[], ["y", "x"]], "weights": [[], [1.0, -2.0]]},
            "row 2: weight -2.0; weights must be",
        ),
        ({"id": ["a"], "terms": [["y"]], "weights": [[float("nan")]]}, "row 1: weight nan; weights must be finite"),
        ({"id": ["a"], "terms": [["y"]], "weights": [[1e300]]}, r"row 1: weight 1e\+300; weights must be finite"),
        (
            {"id": ["a", "b"], "terms": [["x"], ["y", "y"]], "weights": [[1], [1, 2]]},
            "row 2: a term is there twice",
        ),
        ({"id": ["a"], "terms": [["y"]], "weights": [[1]], "fields": ["{"]}, "row 1: its fields are no JSON"),
        (
            {"id": ["a"], "terms": [["y"]], "weights": [[1]], "fields": ["[1]"]},
            r"row 1: its fields are '\[1\]', not a JSON object",
        ),
    ],
)
def test_what_is_no_vector_is_named(
    tmp_path: Path, vectors_file: VectorsFile, columns: dict[str, Any], message: str
) -> None:
    with pytest.raises(LsrError, match=message):
        index_vectors([vectors_file(columns)], tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_fields_are_kept_as_json_or_as_a_struct(tmp_path: Path, vectors_file: VectorsFile) -> None:
    columns = {"id": ["a", "b", "c"], "terms": [["x"]] * 3, "weights": [[1.0]] * 3}
    for name, fields in {"json": ['{"n": 1}', "", None], "struct": [{"n": 1}, None, {"n": None}]}.items():
        index_vectors([vectors_file(columns | {"fields": fields}, f"{name}.parquet")], tmp_path / name)
        segment = StoredIndex.open(tmp_path / name).segments[0]
        assert [segment.document(row).fields.get("n") for row in range(3)] == [1, None, None]


def test_rows_are_counted_through_the_whole_file(tmp_path: Path) -> None:
    n = 9000
    weights = [[1.0]] * n
    weights[8500] = [-1.0]
    pq.write_table(
        pa.table({"id": [str(i) for i in range(n)], "terms": [["x"]] * n, "weights": weights}), tmp_path / "v"
    )
    with pytest.raises(BadDocumentError, match=r"v, row 8,501: weight -1\.0"):
        list(read_vectors(tmp_path / "v", {"x": 0}.get))


def test_files_that_are_no_parquet(tmp_path: Path, vectors_file: VectorsFile) -> None:
    whole = vectors_file({"id": ["a"], "terms": [["x"]], "weights": [[1.0]]})
    (tmp_path / "cut.parquet").write_bytes(whole.read_bytes()[:-20])
    (tmp_path / "text.parquet").write_text("id,terms\n")
    for name in ("cut.parquet", "text.parquet", "missing.parquet", "."):
        with pytest.raises(LsrError, match="not a readable Parquet file"):
            index_vectors([tmp_path / name], tmp_path / "index")


def test_no_vector_at_all_is_an_error(tmp_path: Path, vectors_file: VectorsFile) -> None:
    empty = vectors_file({"id": pa.array([], pa.string()), "terms": pa.array([], pa.list_(pa.string())),
                          "weights": pa.array([], pa.list_(pa.float32()))})  # fmt: skip
    with pytest.raises(LsrError, match="there is no vector in"):
        index_vectors([empty], tmp_path / "index")


def test_an_id_in_two_files_is_refused(tmp_path: Path, vectors_file: VectorsFile) -> None:
    columns = {"id": ["a", "b"], "terms": [["x"], ["y"]], "weights": [[1.0], [1.0]]}
    files = [vectors_file(columns), vectors_file(columns | {"id": ["c", "b"]}, "more.parquet")]
    with pytest.raises(LsrError, match="doc_id b is there twice: it is that of document 2 and of document 4"):
        index_vectors(files, tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_vectors_cannot_be_of_an_encoder_that_needs_the_corpus(tmp_path: Path, vectors_file: VectorsFile) -> None:
    path = vectors_file({"id": ["a"], "terms": [["x"]], "weights": [[1.0]]})
    with pytest.raises(UsageError, match="bm25 weighs words by statistics of the corpus"):
        index_vectors([path], tmp_path / "index", encoder=load_encoder("bm25"))
