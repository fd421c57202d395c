"""Negatives are what a model ranks high and isn't an answer; the same seed gives the same ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.errors import EncoderError, IndexMissingError, LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.query.searcher import Searcher
from lsr.training.data.decontamination import NGRAM_WORDS, check_no_overlap, count_overlap
from lsr.training.data.example import Example
from lsr.training.data.read_examples import concatenate, read_examples
from lsr.training.mining.hard_negatives import MiningOptions, MiningReport, mine
from lsr.training.mining.mined_file import mine_to_file, write_examples
from lsr.training.teachers.base import Scores, Wanted
from lsr.types import Document, SparseBatch

TOPICS = "river mountain glacier forest desert island".split()


def texts(n: int) -> list[Document]:
    """Documents of six topics; those of one are alike, and the nearer their numbers, the more."""
    return [
        Document(f"d{i}", " ".join([TOPICS[i % 6]] * (1 + i // 6) + [f"word{i}", f"pair{i // 2}", "filling", "text"]))
        for i in range(n)
    ]


def examples_of(documents: Sequence[Document]) -> list[Example]:
    return [Example(f"{TOPICS[i % 6]} word{i}", (document,)) for i, document in enumerate(documents)]


def found(examples: Sequence[Example], path: Path, **options: Any) -> list[Example]:
    teacher, report = options.pop("teacher", None), options.pop("report", None)
    more = options.pop("more", ())
    return list(
        mine(
            examples, BM25Encoder(), path, mining=MiningOptions(**options), teacher=teacher, report=report, more=more,
            threads=1,
        )
    )  # fmt: skip


class ByLength:
    """A teacher that likes long texts; counts what it was asked for."""

    name = "by length"

    def __init__(self) -> None:
        self.asked = 0

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Wanted | None = None) -> Scores:
        assert wanted is not None
        self.asked += int(wanted.sum())
        scores = np.tile(np.array([len(d.text.split()) for d in documents], np.float32), (len(queries), 1))
        return np.where(wanted, scores, np.float32(np.nan))

    def prepare(self, examples: Any, advance: Any = None) -> int:
        return 0


def test_the_best_documents_but_the_positive_become_negatives(tmp_path: Path) -> None:
    documents = texts(60)
    index_documents(documents, tmp_path / "plain", BM25Encoder())
    searcher = Searcher(tmp_path / "plain")
    for example in found(examples_of(documents), tmp_path / "index", negatives=4, depth=6, order="top"):
        positive, *negatives = example.documents
        expected = [hit.doc_id for hit in searcher.search(example.query, k=7) if hit.doc_id != positive.doc_id]
        assert [d.doc_id for d in negatives] == expected[:4]
        assert example.scores is None


def test_the_very_top_is_skipped(tmp_path: Path) -> None:
    examples = examples_of(texts(60))
    all_of_them = found(examples, tmp_path / "index", negatives=6, order="top", depth=6)
    skipped = found(examples, tmp_path / "index", negatives=4, skip=2, order="top", depth=6)
    assert [e.documents[1:] for e in skipped] == [e.documents[3:] for e in all_of_them]


def test_random_ones_come_from_the_depth_and_differ_by_seed(tmp_path: Path) -> None:
    examples = examples_of(texts(60))
    deep = found(examples, tmp_path / "index", negatives=6, order="top", depth=6)
    once = found(examples, tmp_path / "index", negatives=3, depth=6, seed=1)
    again = found(examples, tmp_path / "other", negatives=3, depth=6, seed=1)
    other = found(examples, tmp_path / "index", negatives=3, depth=6, seed=2)
    assert once == again
    assert once != other
    for example, whole in zip(once, deep, strict=True):
        assert {d.doc_id for d in example.documents[1:]} <= {d.doc_id for d in whole.documents[1:]}
        assert len({d.doc_id for d in example.documents}) == 4


def test_no_positive_of_a_query_is_its_negative(tmp_path: Path) -> None:
    same_text = Document("copy", "RIVER  word0 pair0 filling text", "with a title")
    documents = [*texts(30), same_text]
    examples = [Example("river", (document,)) for document in documents if "river" in document.text]
    examples += [Example("river word0", (documents[0],)), Example("glacier", (documents[2],))]
    mined = found(examples, tmp_path / "index", negatives=5, depth=30, order="top", more=documents)
    assert all(
        len(example.documents) == 1 for example in mined if example.query == "river"
    )  # all that is found is right
    by_query = {example.query: [d.doc_id for d in example.documents[1:]] for example in mined}
    assert "copy" not in by_query["river word0"]
    assert "d0" not in by_query["river word0"]
    assert by_query["river word0"]
    assert "d2" not in by_query["glacier"]
    assert "d8" in by_query["glacier"]


def test_variants_of_a_document_are_known_by_its_id(tmp_path: Path) -> None:
    whole = Document("d1", "glacier ice and snow and more of the same")
    cropped = Document("d1", "snow and more of the same glacier")
    other = Document("d2", "glacier of another kind")
    mined = found(
        [Example("glacier", (whole,)), Example("snow", (cropped,))], tmp_path / "i", negatives=2, depth=5, more=[other]
    )
    assert [[d.doc_id for d in e.documents] for e in mined] == [["d1", "d2"], ["d1"]]


def test_a_teacher_keeps_out_what_it_scores_near_the_positive(tmp_path: Path) -> None:
    examples = examples_of(texts(60))
    teacher, report = ByLength(), MiningReport()
    mined = found(examples, tmp_path / "i", negatives=3, depth=9, max_teacher_ratio=0.8, teacher=teacher, report=report)
    for example in mined:
        lengths = [len(d.text.split()) for d in example.documents]
        assert example.scores == tuple(float(length) for length in lengths)
        assert all(length <= 0.8 * lengths[0] for length in lengths[1:])
    assert report.n_refused > 0
    assert report.n_examples == 60
    assert report.n_negatives == sum(len(e.documents) - 1 for e in mined)
    assert report.n_short == sum(len(e.documents) < 4 for e in mined)
    assert any("the teacher scored too near" in line for line in report.summary())


def test_a_teacher_is_asked_no_more_than_needed(tmp_path: Path) -> None:
    examples = examples_of(texts(120))
    teacher = ByLength()
    found(examples, tmp_path / "i", negatives=1, depth=18, max_teacher_ratio=None, teacher=teacher)
    assert teacher.asked <= len(examples) * 3


@pytest.mark.parametrize(
    ("options", "positive", "ceiling"),
    [
        ({"max_teacher_ratio": 0.9}, 10.0, 9.0),
        ({"max_teacher_ratio": 0.9}, -10.0, -11.0),
        ({"max_teacher_ratio": None, "teacher_margin": 2.0}, 10.0, 8.0),
        ({"max_teacher_ratio": 0.5, "teacher_margin": 2.0}, 10.0, 5.0),
        ({"max_teacher_ratio": None}, 10.0, np.inf),
    ],
)
def test_what_a_negative_may_score(options: dict[str, Any], positive: float, ceiling: float) -> None:
    assert MiningOptions(**options).ceiling(positive) == pytest.approx(ceiling)


def test_settings_that_cannot_be() -> None:
    for options, message in (
        ({"negatives": 0}, "negatives is 0"),
        ({"skip": -1}, "skip is -1"),
        ({"negatives": 8, "skip": 5, "depth": 12}, "depth is 12, but has to be at least 13"),
        ({"order": "best"}, "order is 'best', but has to be one of random, top"),
        ({"max_teacher_ratio": 1.2}, "max_teacher_ratio is 1.2"),
        ({"teacher_margin": -1.0}, "teacher_margin is -1.0"),
    ):
        with pytest.raises(UsageError, match=message):
            MiningOptions(**options)  # type: ignore[arg-type]


def test_an_index_of_any_corpus_will_do(tmp_path: Path) -> None:
    documents = texts(60)
    index_documents(documents, tmp_path / "index", BM25Encoder())
    examples = [Example("river word0", (Document("elsewhere", documents[0].text),)), Example("forest", (documents[3],))]
    mined = list(mine(examples, None, tmp_path / "index", mining=MiningOptions(negatives=5, depth=5, order="top")))
    first = [d.doc_id for d in mined[0].documents[1:]]
    assert len(first) == 5
    assert "d0" not in first  # it is the positive, under another id
    assert all("forest" in d.text and d.doc_id != "d3" for d in mined[1].documents[1:])
    with pytest.raises(IndexMissingError):
        list(mine(examples, None, tmp_path / "none"))


class Letters:
    """A learned encoder, as the index sees it: weights of letters; it can be told to fail."""

    corpus_weighting = None
    terms = tuple("abcdefghijklmnopqrstuvwxyz")
    description = {"kind": "letters", "name": "letters", "revision": "1", "query_side": "model", "settings": {}}  # noqa: RUF012

    def __init__(self, fail_after: int = 1 << 30) -> None:
        self.n_encoded = 0
        self._fail_after = fail_after

    def encode_queries(self, queries: Sequence[str]) -> SparseBatch:
        rows = [{i: float(text.count(c)) for i, c in enumerate(self.terms) if c in text} for text in queries]
        return SparseBatch.from_rows(rows, 26)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        self.n_encoded += len(documents)
        if self.n_encoded > self._fail_after:
            raise EncoderError("out of power")
        return self.encode_queries([document.full_text for document in documents])

    def save_query_side(self, folder: Path) -> None: ...


def test_encoding_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    documents = [Document(f"d{i}", f"text number {i} {'abcdefgh'[i % 8] * (i % 50)}") for i in range(3000)]
    examples = [Example(f"number {'abcdefgh'[i % 8]}", (document,)) for i, document in enumerate(documents)]
    index = tmp_path / "index"
    with pytest.raises(EncoderError, match="out of power"):
        list(mine(examples, Letters(fail_after=2048), index, mining=MiningOptions(negatives=2, depth=20)))
    again = Letters()
    mined = list(mine(examples, again, index, mining=MiningOptions(negatives=2, depth=20)))
    assert again.n_encoded == len(documents) - 2048
    assert mined == list(mine(examples, Letters(), tmp_path / "fresh", mining=MiningOptions(negatives=2, depth=20)))
    assert not (tmp_path / "index.vectors").exists()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    documents = texts(60)
    path.write_text("".join(json.dumps({"query": f"{TOPICS[i % 6]} word{i}", "positive": d.text, "title": f"t{i}",
                                        "positive_id": d.doc_id}) + "\n" for i, d in enumerate(documents)))  # fmt: skip
    examples = read_examples([path], cache=tmp_path / "cache")
    output = tmp_path / "out" / "mined.parquet"
    report = mine_to_file(
        examples, BM25Encoder(), output, teacher=ByLength(), mining=MiningOptions(negatives=3, depth=9)
    )
    read = read_examples([output], cache=tmp_path / "cache")
    assert list(output.parent.iterdir()) == [output]
    assert (len(read), read.report.n_negatives, read.report.n_with_scores) == (60, report.n_negatives, 60)
    assert list(read) == list(
        mine(examples, BM25Encoder(), tmp_path / "i", teacher=ByLength(), mining=MiningOptions(negatives=3, depth=9))
    )
    assert read[7].documents[0] == Document("d7", documents[7].text, "t7")
    assert len(concatenate([examples, read])) == 120


def test_a_file_that_could_not_be_finished_is_not_there(tmp_path: Path) -> None:
    def examples() -> Any:
        yield Example("q", (Document("1", "text"),))
        raise LsrError("no more")

    with pytest.raises(LsrError, match="no more"):
        write_examples(tmp_path / "out.parquet", examples())
    assert list(tmp_path.iterdir()) == []


SENTENCE = "It was the seventh of March when the two brothers reached the northern shore of the lake."


def beir(folder: Path, text: str) -> Path:
    (folder / "qrels").mkdir(parents=True)
    (folder / "corpus.jsonl").write_text(json.dumps({"_id": "1", "title": "", "text": text}) + "\n")
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "who reached the lake"}) + "\n")
    return folder


def test_texts_of_test_collections_are_found_in_training_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    collection = beir(tmp_path / "tested", f"Before that, all was quiet. {SENTENCE} Nobody saw them.")
    other = beir(
        tmp_path / "other", "An altogether different text that shares nothing with the examples at all, not a run."
    )
    words = SENTENCE.split()
    clean = Example("two brothers", (Document("1", " ".join(words[: NGRAM_WORDS - 1]) + " elsewhere"),))
    in_positive = Example("q", (Document("2", "x " + " ".join(words[2 : 2 + NGRAM_WORDS]).upper() + ", y"),))
    in_negative = Example("q", (Document("3", "fine"), Document("4", SENTENCE)))
    in_query = Example(SENTENCE, (Document("5", "fine"),))
    overlap = count_overlap([clean, in_positive, in_negative, in_query], [collection, other])
    assert (overlap.n_examples, overlap.n_overlapping) == (4, 3)
    assert overlap.by_collection == {"tested": 3, "other": 0}
    monkeypatch.setattr("lsr.training.data.decontamination.MAX_HELD_RUNS", 5)  # each collection by itself
    assert count_overlap([clean, in_positive, in_negative, in_query], [collection, other]) == overlap
    with pytest.raises(LsrError, match="3 of 4 examples share a run of 13 words with a test collection: 3 with tested"):
        check_no_overlap([clean, in_positive, in_negative, in_query], [tmp_path])
    assert "none of 1 examples shares" in check_no_overlap([clean], [collection, other]).summary()
    twin = beir(tmp_path / "elsewhere" / "other", SENTENCE)
    assert count_overlap([in_query], [other, twin]).by_collection == {str(other): 0, str(twin): 1}
    with pytest.raises(LsrError, match="no such folder"):
        count_overlap([clean], [tmp_path / "nowhere"])


def test_the_data_here_is_free_of_test_collections(shared: Path, tmp_path: Path) -> None:
    examples = read_examples([shared / "data" / "train" / "pairs.parquet"], cache=tmp_path)
    some = [examples[i] for i in range(0, len(examples), 60)]
    assert check_no_overlap(some, [shared / "data" / "beir" / "cranfield"]).n_examples == len(some)


plain = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
filled = plain.map(lambda text: f"{text}x")
a_document = st.builds(Document, doc_id=filled, text=filled, title=plain)
an_example = st.lists(a_document, min_size=1, max_size=4).flatmap(
    lambda documents: st.builds(
        Example,
        query=filled,
        documents=st.just(tuple(documents)),
        scores=st.none() | st.tuples(*[st.floats(-100, 100, width=32) for _ in documents]),
    )
)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(written=st.lists(an_example, min_size=1, max_size=5))
def test_any_examples_survive_being_written_and_read(written: list[Example], tmp_path: Path) -> None:
    path = tmp_path / "any.parquet"
    write_examples(path, written)
    assert list(read_examples([path], cache=tmp_path / "cache")) == written
