"""`lsr index` with models: resumed after an interruption, passages, dense vectors, and a model that was moved."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.indexer.encode.resumable_job import kept_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.query.query_encoders import QueryEncoders

Lsr = Callable[..., Any]
WORDS = "a cat dog chase sleep house tree the of day guard".split()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def records(n: int, length: int = 6) -> list[dict[str, str]]:
    return [{"_id": str(i), "text": " ".join(WORDS[(i * j + j) % 11] for j in range(length))} for i in range(n)]


def answers(lsr: Lsr, index: str) -> list[dict[str, float]]:
    """Return the scores of all documents for some queries."""
    found = (lsr("search", query, "-k", 5000, "--index", index, "--json") for query in ("cat", "the house of a guard"))
    return [{hit["doc_id"]: hit["score"] for hit in done.objects} for done in found]


def alike(some: list[dict[str, float]], others: list[dict[str, float]]) -> bool:
    """Say whether answers are the same but for the last bits of a weight: texts were batched otherwise."""
    return [pytest.approx(scores, rel=0.02) for scores in some] == others


SLOWLY = """
import sys, time
from lsr.cli.main import main
from lsr.encoders.sparse.encoder import NeuralEncoder
from lsr.indexer.encode import resumable_job as job

encode = NeuralEncoder.encode_documents
job.SHARD_DOCUMENTS = 64
NeuralEncoder.encode_documents = lambda self, documents: time.sleep(0.3) or encode(self, documents)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_index_goes_on_where_it_was(
    tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path, how: signal.Signals
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", records(1000))
    assert lsr("index", corpus, "--encoder", masked_lm, "--index", "whole").code == 0
    command = [sys.executable, "-c", SLOWLY, "index", str(corpus), "--encoder", str(masked_lm)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed_interrupts)
    shard = tmp_path / ".lsr.partial" / "shard-000000.parquet"
    while not shard.exists() and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(how)
    _, err = process.communicate()
    assert process.returncode == {signal.SIGINT: 130, signal.SIGKILL: -9}[how]
    assert not (tmp_path / ".lsr" / "manifest-00000001.json").exists() and shard.exists()
    if how != signal.SIGKILL:
        assert f"documents are encoded: they are kept in {shard.parent}, and the same command resumes from them" in err
    again = lsr("index", corpus, "--encoder", masked_lm)
    assert again.code == 0 and again.out.startswith("indexed 1,000 documents in ")
    assert "lsr: an interrupted run has encoded " in again.err
    assert not shard.parent.exists()
    assert lsr("check").code == 0
    assert alike(answers(lsr, ".lsr"), answers(lsr, "whole"))


def heed_interrupts() -> None:
    """Take SIGINT as usual: a shell's background jobs, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def n_kept(folder: Path) -> int:
    """Return how many documents an interrupted run in this folder has kept."""
    n = kept_documents(folder / ".lsr.partial")
    assert 0 < n < 600
    return n


@pytest.fixture
def interrupted(tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corpus of which some documents are encoded, and no index yet."""
    from lsr.encoders.sparse.encoder import NeuralEncoder

    corpus: Path = jsonl(tmp_path / "corpus.jsonl", records(700))
    encode = NeuralEncoder.encode_documents

    def stopping(self: Any, documents: Any) -> Any:
        if any(document.doc_id == "600" for document in documents):
            raise KeyboardInterrupt
        return encode(self, documents)

    monkeypatch.setattr(NeuralEncoder, "encode_documents", stopping)
    stopped = lsr("index", corpus, "--encoder", masked_lm)
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert stopped.code == 130 and f"{n_kept(tmp_path)} documents are encoded: they are kept in " in stopped.err
    assert not (tmp_path / ".lsr").exists()
    return corpus


def encoded_now(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Note which documents are encoded from now on."""
    from lsr.encoders.sparse.encoder import NeuralEncoder

    encode, seen = NeuralEncoder.encode_documents, []

    def noting(self: Any, documents: Any) -> Any:
        seen.extend(document.doc_id for document in documents)
        return encode(self, documents)

    monkeypatch.setattr(NeuralEncoder, "encode_documents", noting)
    return seen


def test_only_what_is_missing_is_encoded(
    tmp_path: Path, lsr: Lsr, interrupted: Path, masked_lm: Path, monkeypatch: Any
) -> None:
    seen, n = encoded_now(monkeypatch), n_kept(tmp_path)
    done = lsr("index", interrupted, "--encoder", masked_lm)
    assert done.code == 0 and f"an interrupted run has encoded {n} documents" in done.err
    assert seen == [str(i) for i in range(n, 700)]


def test_a_changed_corpus_is_encoded_anew_and_it_is_said(
    tmp_path: Path, lsr: Lsr, interrupted: Path, masked_lm: Path, jsonl: Any, monkeypatch: Any
) -> None:
    changed = records(700)
    changed[3]["text"] = "tree tree"
    jsonl(interrupted, changed)
    seen = encoded_now(monkeypatch)
    done = lsr("index", interrupted, "--encoder", masked_lm)
    assert done.code == 0 and "the corpus has changed since the interrupted run: 0 documents are the same" in done.err
    assert len(seen) == 700 and not (tmp_path / ".lsr.partial").exists()


def test_another_model_or_other_settings_begin_anew_and_it_is_said(
    lsr: Lsr, interrupted: Path, masked_lm: Path, router: Path, monkeypatch: Any
) -> None:
    seen = encoded_now(monkeypatch)
    done = lsr("index", interrupted, "--encoder", router)
    assert done.code == 0 and "what an earlier run left doesn't fit" in done.err and "encoding again" in done.err
    assert len(seen) == 700


def test_words_need_nothing_of_what_a_model_encoded(tmp_path: Path, lsr: Lsr, interrupted: Path) -> None:
    n = n_kept(tmp_path)
    done = lsr("index", interrupted)
    assert done.code == 0
    assert f"{n} documents that an interrupted run had encoded by a model are of no use here: removed" in done.err
    assert not (tmp_path / ".lsr.partial").exists()


def test_a_folder_of_other_things_beside_the_index_is_left_alone(
    tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", records(5))
    (tmp_path / ".lsr.partial").mkdir()
    (tmp_path / ".lsr.partial" / "mine.parquet").write_text("mine")
    done = lsr("index", corpus, "--encoder", masked_lm)
    assert done.code == 1 and "holds Parquet files of something else" in done.err
    (tmp_path / ".lsr.partial" / "mine.parquet").rename(tmp_path / ".lsr.partial" / "mine.txt")
    assert lsr("index", corpus, "--encoder", masked_lm).code == 0
    assert [path.name for path in (tmp_path / ".lsr.partial").iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("encoder", ["bm25", "model"])
def test_passages_of_long_texts(tmp_path: Path, lsr: Lsr, masked_lm: Path, encoder: str) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "long.txt").write_text(
        "a tree of the day . " * 30 + "guard cat chase dog . " + "house " * 200
    )
    (tmp_path / "notes" / "short.txt").write_text("a cat sleeps")
    name = "bm25" if encoder == "bm25" else masked_lm
    length = ["--passage-length", 24] if encoder == "bm25" else []
    done = lsr("index", "notes", "--encoder", name, "--passages", "--overlap", 4, *length)
    assert done.code == 0 and done.out.startswith("indexed 2 documents (") and " passages) in " in done.out
    unit = "words" if encoder == "bm25" else "tokens"
    assert f" {unit} of 2 documents, 1 longer than " in done.err and "lsr: read all " in done.err
    assert "read 2 documents from 2 files" in done.err
    hits = lsr("search", "guard dog", "--json").objects
    ids = [hit["doc_id"] for hit in hits]
    assert len(ids) == len(set(ids)) and "long.txt" in ids
    text = (tmp_path / "notes" / "long.txt").read_text()
    hit = next(hit for hit in hits if hit["doc_id"] == "long.txt")
    assert hit["text"] == text[hit["passage"]["start"] : hit["passage"]["end"]] and len(hit["text"]) < 200
    if encoder == "bm25":
        assert "guard cat chase dog" in hit["text"]
        assert "passage" not in lsr("search", "sleeps", "--json").objects[0]
    (tmp_path / "q.tsv").write_text("q1\tguard dog\nq2\tcat\n")
    assert lsr("search", "--queries", "q.tsv", "--run", "out.trec").code == 0
    lines = [line.split() for line in (tmp_path / "out.trec").read_text().splitlines()]
    assert [line[2] for line in lines if line[0] == "q1"] == ids
    assert "passages" in lsr("stats").out


def test_a_model_reads_documents_whole_unless_told_otherwise(tmp_path: Path, lsr: Lsr, masked_lm: Path) -> None:
    """What stands at the end of a long document is found; words have no limit, so they are counted as before."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "long.txt").write_text("house of the day . " * 40 + "guard dog")
    (tmp_path / "notes" / "short.txt").write_text("a cat sleeps")
    (done,) = lsr("index", "notes", "--encoder", masked_lm, "--json").objects
    assert done["documents"] == 2 < done["passages"] and done["tokens_read"] == done["tokens"]
    with StoredIndex.open(".lsr") as index:
        assert any(document.text.endswith("guard dog") for document in index.segments[0].documents)
    again = lsr("index", "notes", "--encoder", masked_lm, "--no-passages", "--index", "cut")
    assert again.out.startswith("indexed 2 documents in ")
    assert " of 2 documents, 1 of them to the limit of " in again.err and "--passages reads them whole" in again.err
    words = lsr("index", "notes", "--encoder", "bm25", "--index", "words")
    assert words.out.startswith("indexed 2 documents in ") and "tokens" not in words.err
    assert [StoredIndex.open(path).manifest.passages is None for path in (".lsr", "cut", "words")] == [
        False,
        True,
        True,
    ]


@pytest.mark.parametrize(("option", "said"), [("--passages", "read all "), ("--no-passages", "--passages reads them")])
def test_adding_and_updating_say_how_many_tokens_were_read(
    tmp_path: Path, lsr: Lsr, masked_lm: Path, jsonl: Any, option: str, said: str
) -> None:
    jsonl(tmp_path / "one.jsonl", [{"_id": "one", "text": "a cat sleeps"}])
    assert lsr("index", "one.jsonl", "--encoder", masked_lm, option).code == 0
    jsonl(tmp_path / "long.jsonl", [{"_id": "long", "text": "house of the day . " * 40}])
    for command in ("add", "update"):
        done = lsr(command, "long.jsonl")
        line = next(line for line in done.err.splitlines() if " of 1 document, " in line)
        assert done.code == 0 and said in line


@pytest.mark.parametrize("option", ["--passages", "--no-passages"])
def test_what_is_added_is_read_as_the_index_was(tmp_path: Path, lsr: Lsr, masked_lm: Path, option: str) -> None:
    (tmp_path / "short.txt").write_text("a cat sleeps")
    (tmp_path / "long.txt").write_text("house of the day . " * 40 + "guard dog")
    assert lsr("index", "short.txt", "--encoder", masked_lm, option).code == 0
    assert lsr("add", "long.txt").code == 0
    with StoredIndex.open(".lsr") as index:
        assert (index.manifest.n_docs > 2) == (option == "--passages")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["corpus.jsonl", "--no-passages", "--overlap", "3"], "--overlap and --passage-length go with --passages"),
        (["--vectors", "some.parquet", "--passage-length", "30"], "--passages cuts the texts of a CORPUS"),
        (["corpus.jsonl", "--overlap", "3"], "--overlap and --passage-length go with --passages"),
        (["corpus.jsonl", "--passages", "--overlap", "500"], "overlap is 500, but has to lie in 0"),
        (["corpus.jsonl", "--passages", "--passage-length", "3"], "max_length is 3"),
        (["--passages", "--dense", "x/y"], "--passages cuts the texts of a CORPUS"),
        (["corpus.jsonl", "--dense", "joint"], "takes the dense vectors of a joint encoder, but the encoder is bm25"),
        (["--dense", "x/y", "--encoder", "bm25"], "--encoder goes with CORPUS"),
    ],
)
def test_what_does_not_go_together_is_refused(
    tmp_path: Path, lsr: Lsr, jsonl: Any, options: list[str], message: str
) -> None:
    jsonl(tmp_path / "corpus.jsonl", records(3))
    done = lsr("index", *options)
    assert done.code == 2 and message in done.err and done.err.count("\n") <= 2
    assert not (tmp_path / ".lsr").exists()


def test_dense_vectors_with_the_corpus_and_added_later(tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", records(300))
    assert lsr("index", corpus, "--dense", masked_lm, "--index", "both").code == 0
    assert lsr("index", corpus).code == 0
    before = answers(lsr, ".lsr")
    (done,) = lsr("index", "--dense", masked_lm, "--json").objects
    assert (done["documents"], done["dimension"], done["generation"]) == (300, 16, 2)
    with StoredIndex.open("both") as both, StoredIndex.open(".lsr") as added:
        assert both.dense is not None and added.dense is not None
        assert np.array_equal(both.dense.matrices[0], added.dense.matrices[0])
        assert both.dense.description == added.dense.description
        assert added.dense.description["name"] == str(masked_lm)
        query = QueryEncoders(added).dense.encode_dense_queries(["cat"])
        assert query.shape == (1, 16)
    assert answers(lsr, ".lsr") == before == answers(lsr, "both")
    assert lsr("check").out.startswith("sound: 300 documents")
    assert "of 16 numbers, by " in lsr("stats").out
    again = lsr("index", "--dense", masked_lm)
    assert again.code == 1 and "has dense vectors by" in again.err and "--overwrite replaces them" in again.err
    assert lsr("index", "--dense", masked_lm, "--overwrite").code == 0


def test_one_pass_of_a_joint_model_gives_both(tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path) -> None:
    from lsr.encoders.config import DenseConfig, EncoderConfig
    from lsr.encoders.pretrained.load_encoder import start_encoder
    from lsr.encoders.pretrained.save_encoder import save_encoder

    joint = start_encoder(EncoderConfig("mine", dense=DenseConfig(pooling="cls")), masked_lm)
    save_encoder(joint, tmp_path / "joint-model")
    corpus = jsonl(tmp_path / "corpus.jsonl", records(300))
    assert lsr("index", corpus, "--encoder", "./joint-model", "--dense", "joint").code == 0
    assert lsr("index", corpus, "--encoder", "./joint-model", "--index", "later").code == 0
    assert lsr("index", "--index", "later", "--dense", "joint").code == 0
    assert alike(answers(lsr, ".lsr"), answers(lsr, "later"))
    with StoredIndex.open(".lsr") as index, StoredIndex.open("later") as later:
        assert index.dense is not None and later.dense is not None
        assert np.allclose(index.dense.matrices[0], later.dense.matrices[0], atol=2e-3)
        expected = joint.encode_dense_queries(["cat"])
        assert np.allclose(QueryEncoders(index).dense.encode_dense_queries(["cat"]), expected, atol=1e-5)


def test_a_model_that_was_moved_is_named_at_the_search(tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", records(40))
    shutil.copytree(masked_lm, tmp_path / "model")
    assert lsr("index", corpus, "--encoder", "./model").code == 0
    found = lsr("search", "cat", "--json").out
    (tmp_path / "model").rename(tmp_path / "moved")
    lost = lsr("search", "cat", "--json")
    assert lost.code == 1 and f"{tmp_path / 'model'}, which isn't there any more: say with --encoder" in lost.err
    assert lsr("search", "cat", "--json", "--encoder", "./moved").out == found
    from safetensors.numpy import load_file, save_file

    weights = load_file(tmp_path / "moved" / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 1}, tmp_path / "moved" / "model.safetensors", {"format": "pt"})
    other = lsr("search", "cat", "--encoder", "./moved")
    assert other.code == 1 and "revision 'sha256:" in other.err
    assert lsr("index", corpus, "--index", "words").code == 0
    needless = lsr("search", "cat", "--index", "words", "--encoder", "./moved")
    assert needless.code == 2 and "needs no model for its queries: leave out the encoder" in needless.err


def test_a_broken_model_is_stopped_at_the_document(tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path) -> None:
    from safetensors.numpy import load_file, save_file

    shutil.copytree(masked_lm, tmp_path / "broken")
    weights = load_file(masked_lm / "model.safetensors")
    name = "bert.embeddings.word_embeddings.weight"
    weights[name] = weights[name].copy()
    weights[name][6] = np.nan
    save_file(weights, tmp_path / "broken" / "model.safetensors", {"format": "pt"})
    documents = [*({"_id": str(i), "text": "a dog"} for i in range(5)), {"_id": "it", "text": "cat"}]
    corpus = jsonl(tmp_path / "corpus.jsonl", documents)
    # The projection to the vocabulary shares the broken row, so a sparse vector of any document is broken by it.
    for option, doc_id in (("--encoder", "0"), ("--dense", "it")):
        done = lsr("index", corpus, option, "./broken")
        assert done.code == 1 and f"document '{doc_id}'" in done.err and "NaN" in done.err
        assert not (tmp_path / ".lsr").exists() and not (tmp_path / ".lsr.partial").exists()


def test_a_place_that_can_not_be_written_to_is_named(
    tmp_path: Path, lsr: Lsr, jsonl: Any, masked_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = jsonl(tmp_path / "corpus.jsonl", records(5))
    (tmp_path / ".lsr.partial").write_text("a file where the shards should stand")
    done = lsr("index", corpus, "--encoder", masked_lm)
    assert done.code == 1 and "can't write to " in done.err and "is a file, where a folder is due" in done.err
    assert not (tmp_path / ".lsr").exists() and (tmp_path / ".lsr.partial").is_file()
    (tmp_path / ".lsr.partial").unlink()

    def full(*args: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", full)
    done = lsr("index", corpus, "--encoder", masked_lm)
    assert done.code == 1 and ".lsr.partial: No space left on device; free some space" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["corpus.jsonl"]
