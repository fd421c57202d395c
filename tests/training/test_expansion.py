"""Expansion of documents: generated, resumed, scored, indexed, and trained with."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import lsr
from lsr.cli.main import main
from lsr.encoders.lexical.bm25 import BM25Encoder
from lsr.errors import BadDocumentError, LsrError, UsageError
from lsr.indexer.corpus.expansions.files import Expanded, write_expansions
from lsr.indexer.corpus.expansions.reading import read_expansions
from lsr.indexer.pipeline import index_documents
from lsr.training.data.collator import Collator
from lsr.training.expansion.expand import expand_corpus
from lsr.training.expansion.generators import GivenExpansions, MadeQueries
from lsr.training.expansion.language_model import Sampling, load_generator
from lsr.types import PASSAGE_OF, Document

TEXTS = ["a walker in the forest", "slow trains cross the mountains", "bread of rye and wheat", "rivers of ice"]
DOCUMENTS = [Document(f"d{i}", text) for i, text in enumerate(TEXTS)]


def tiny_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", *sorted({word for text in TEXTS for word in text.split()}), "Text:", "Query:"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_max_length=32, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import T5Config, T5ForConditionalGeneration

    folder, tokenizer = tmp_path_factory.mktemp("t5"), tiny_tokenizer()
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2,
        decoder_start_token_id=0, eos_token_id=1, pad_token_id=0,
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    folder, tokenizer = tmp_path_factory.mktemp("llama"), tiny_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, max_position_embeddings=32, eos_token_id=1, bos_token_id=0, pad_token_id=0,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


SAMPLING = Sampling(per_document=3, max_new_tokens=6, seed=1)


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_model_writes_queries_that_a_seed_decides(kind: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(kind)
    prompt = "Text: {text} Query:" if kind == "llama" else None
    sampling = Sampling(per_document=3, max_new_tokens=6, seed=1, prompt=prompt)
    once = load_generator(folder, sampling, device="cpu").generate(DOCUMENTS)
    again = load_generator(folder, sampling, device="cpu").generate(DOCUMENTS)
    other = load_generator(folder, Sampling(3, max_new_tokens=6, seed=2, prompt=prompt), device="cpu")
    assert once == again != other.generate(DOCUMENTS)
    assert [row.doc_id for row in once] == ["d0", "d1", "d2", "d3"]
    assert any(row.texts for row in once)
    assert all(0 <= len(row.texts) <= 3 and len(text.split()) <= 6 for row in once for text in row.texts)
    if kind == "llama":  # the answer alone, without the prompt
        assert not any("Query:" in text and "Text:" in text for row in once for text in row.texts)


def test_long_documents_are_cut_at_what_the_model_reads(llama: Path) -> None:
    generator = load_generator(llama, SAMPLING, device="cpu")
    assert generator.text_length is not None and generator.text_length < 32
    (row,) = generator.generate([Document("long", "forest " * 500)])
    assert row.doc_id == "long"
    with pytest.raises(UsageError, match="nothing is left for a document"):
        load_generator(llama, Sampling(max_new_tokens=40), device="cpu")


class Failing(MadeQueries):
    """A generator that is interrupted at a window."""

    def __init__(self, documents: Sequence[Document], at: int) -> None:
        super().__init__(documents, seed=3)
        self.left, self.n_windows = at, 0

    def generate(self, documents: Sequence[Document]) -> list[Expanded]:
        if self.n_windows == self.left:
            raise KeyboardInterrupt
        self.n_windows += 1
        return super().generate(documents)


def many() -> list[Document]:
    rng = np.random.default_rng(0)
    words = [f"{a}{b}" for a in "bcdfg" for b in ("ark", "ell", "ind", "oat")]
    return [Document(f"m{i}", ". ".join(" ".join(rng.choice(words, 8)) for _ in range(4))) for i in range(150)]


@pytest.mark.parametrize("name", ["out.jsonl", "folder"])
def test_an_interrupted_run_resumes_to_the_same_expansions(tmp_path: Path, name: str) -> None:
    documents = many()
    whole = expand_corpus(documents, Failing(documents, 99), tmp_path / f"whole-{name}")
    with pytest.raises(KeyboardInterrupt):
        expand_corpus(documents, Failing(documents, 2), tmp_path / name)
    resumed = Failing(documents, 99)
    done = expand_corpus(documents, resumed, tmp_path / name)
    assert (done.n_docs, done.n_resumed, resumed.n_windows) == (150, 128, 1)
    assert done.n_expansions == whole.n_expansions > 100
    assert read_expansions(done.out).texts == read_expansions(whole.out).texts
    assert not (tmp_path / f"{name}.partial").exists()


def test_other_settings_and_documents_are_no_continuation(tmp_path: Path) -> None:
    documents = many()
    with pytest.raises(KeyboardInterrupt):
        expand_corpus(documents, Failing(documents, 2), tmp_path / "out.jsonl")
    with pytest.raises(LsrError, match="another model or other settings"):
        expand_corpus(documents, MadeQueries(documents, seed=4), tmp_path / "out.jsonl")
    with pytest.raises(LsrError, match="other documents"):
        expand_corpus(documents[1:], Failing(documents, 99), tmp_path / "out.jsonl")
    assert not (tmp_path / "out.jsonl").exists()


class Lengths:
    """Scores a query by its length, for every document; cells that aren't asked for are NaN."""

    name = "lengths"

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Any = None) -> Any:
        found = np.array([[len(query)] * len(documents) for query in queries], np.float32)
        return np.where(wanted, found, np.nan)

    def prepare(self, examples: Any, advance: Any = None) -> int:
        return 0


def test_the_best_share_of_all_expansions_is_kept(tmp_path: Path) -> None:
    rows = [Expanded("a", ("one", "three"), None), Expanded("b", ("sixteen",), None), Expanded("c", (), None)]
    write_expansions(tmp_path / "given.jsonl", rows)
    documents = [Document(doc_id, "text") for doc_id in "abcd"]
    given = GivenExpansions(tmp_path / "given.jsonl")
    expand_corpus(documents, given, tmp_path / "kept.jsonl", scorer=Lengths(), keep=0.67)
    assert read_expansions(tmp_path / "kept.jsonl").texts == {"a": "three", "b": "sixteen"}
    expand_corpus(documents, given, tmp_path / "all", scorer=Lengths())
    assert read_expansions(tmp_path / "all").texts == {"a": "one three", "b": "sixteen"}
    assert read_expansions(tmp_path / "all", keep=0.34).texts == {"b": "sixteen"}
    with pytest.raises(UsageError, match="no scores"):
        read_expansions(tmp_path / "given.jsonl", keep=0.5)
    with pytest.raises(UsageError, match="name a file"):
        expand_corpus(documents, given, tmp_path / "folder", scorer=Lengths(), keep=0.5)
    with pytest.raises(LsrError, match="--overwrite"):
        expand_corpus(documents, given, tmp_path / "kept.jsonl")


def test_an_index_scores_expanded_texts_and_shows_the_documents(tmp_path: Path) -> None:
    behind = {"d0": "hiking trail", "d2": "bakery oven bakery"}
    write_expansions(tmp_path / "e.jsonl", [Expanded(key, tuple(text.split()), None) for key, text in behind.items()])
    index = lsr.index(DOCUMENTS, tmp_path / "index", encoder="bm25", expansions=tmp_path / "e.jsonl")
    by_hand = [Document(d.doc_id, f"{d.text} {behind.get(d.doc_id, '')}".strip()) for d in DOCUMENTS]
    oracle = lsr.index(by_hand, tmp_path / "oracle", encoder="bm25")
    for query in ("bakery", "hiking in the mountains", "rye"):
        found, wanted = index.search(query), oracle.search(query)
        assert [(hit.doc_id, hit.score) for hit in found] == [(hit.doc_id, hit.score) for hit in wanted] != []
    assert index.search("bakery")[0].text == "bread of rye and wheat"
    manifest = json.loads(next((tmp_path / "index").glob("manifest*")).read_text())
    assert manifest["encoder"]["expansions"]["documents"] == 2
    assert "expansions" not in json.loads(next((tmp_path / "oracle").glob("manifest*")).read_text())["encoder"]


def test_added_documents_take_expansions_or_a_warning(tmp_path: Path, logged: pytest.LogCaptureFixture) -> None:
    write_expansions(tmp_path / "e.jsonl", [Expanded("d0", ("hiking",), None), Expanded("new", ("bakery",), None)])
    expansions = read_expansions(tmp_path / "e.jsonl")
    index_documents(DOCUMENTS, tmp_path / "index", BM25Encoder(), expansions=expansions)
    (tmp_path / "new.jsonl").write_text('{"id": "new", "text": "flour"}\n')
    add = ["add", str(tmp_path / "new.jsonl"), "--index", str(tmp_path / "index")]
    assert main([*add, "--expansions", str(tmp_path / "e.jsonl")]) == 0
    assert lsr.open(tmp_path / "index").search("bakery")[0].doc_id == "new"
    assert not logged.records or "expanded" not in logged.text
    lsr.open(tmp_path / "index").add([Document("other", "yeast")])
    assert "the index's documents were expanded, these aren't" in logged.text


def test_passages_leave_room_for_expansions(tmp_path: Path) -> None:
    write_expansions(tmp_path / "e.jsonl", [Expanded("d", ("needle",), None)])
    expansions = read_expansions(tmp_path / "e.jsonl")
    passage = Document("\x1fd", "some words", fields={PASSAGE_OF: "d"})
    assert expansions.expanded([passage])[0].text == "some words needle"
    assert expansions.room == 1

    class Reads:
        text_length = 64
        description: Any = None

        def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> Any:
            from lsr.encoders.text.splitter import PassageSplitter, word_tokenizer

            return PassageSplitter(word_tokenizer(), max_length or 64, overlap=overlap)

    from lsr.indexer.encode.document_reader import reader_for

    lengths = {
        behind: reader_for(Reads(), behind=behind).settings["max_length"]  # type: ignore[arg-type,union-attr,index]
        for behind in (0, 10, 1000)
    }
    assert lengths == {0: 64, 10: 54, 1000: 32}


def test_a_student_reads_expansions_and_its_teachers_dont(toy: Any, random_model: Path) -> None:
    from lsr.encoders.pretrained.load_encoder import start_encoder
    from lsr.indexer.corpus.expansions.reading import Expansions

    encoder = start_encoder("splade", random_model, device="cpu")
    examples = [toy.examples()[0], toy.examples()[-1]]
    doc_id = examples[0].documents[0].doc_id
    limits: dict[str, Any] = {"negatives": 1, "max_length": None, "max_query_length": None}
    plain = Collator(encoder, **limits)(examples)
    expanded = Collator(encoder, **limits, expansions=Expansions({doc_id: "key31 key30"}, {}))(examples)
    longer = [2 * (document.doc_id == doc_id) for document in plain["texts"].documents]
    assert longer[0] == 2 and 0 in longer
    lengths = zip(plain["documents"]["lengths"], longer, strict=True)
    assert expanded["documents"]["lengths"] == [n + more for n, more in lengths]
    assert expanded["texts"].documents == plain["texts"].documents


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1]", "an object with id"),
        ('{"expansions": ["a"]}', "the id is None"),
        ('{"id": "a", "expansions": [1]}', "texts were expected"),
        ('{"id": "a"}', "texts were expected"),
        ('{"id": "a", "expansions": ["x"], "scores": []}', "a number for each"),
        ('{"id": "a", "expansions": ["x"], "scores": [NaN]}', "a number for each"),
        ("{", "broken JSON"),
        ('{"id": "a", "expansions": ["x"]}\n{"id": "a", "expansions": ["y"]}', "twice"),
    ],
)
def test_broken_records_are_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "e.jsonl").write_text(f"{line}\n")
    with pytest.raises(BadDocumentError, match=message):
        read_expansions(tmp_path / "e.jsonl")


def test_commands_say_what_does_not_fit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.jsonl").write_text('{"id": "a", "text": "a walker in the forest of ice"}\n')
    corpus, out = str(tmp_path / "c.jsonl"), str(tmp_path / "e.jsonl")
    made = ["expand", corpus, "--make-queries", "--out", out]
    for arguments, message in (
        ([*made, "--keep", "0.5"], "name a --scorer"),
        ([*made, "--prompt", "{text}"], "--prompt and --max-length"),
        ([*made, "--scorer", "bm25"], "name a model"),
        (["index", corpus, "--keep-expansions", "0.5"], "--expansions"),
        (["index", corpus, "--expansions", str(tmp_path / "none.jsonl")], "no such file of expansions"),
    ):
        assert main(arguments) != 0
        assert message in capsys.readouterr().err
    assert main([*made, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["documents"] == 1
