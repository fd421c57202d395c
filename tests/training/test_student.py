"""The student: faster ways give the values and gradients of the plain ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lsr.encoders.config import EncoderConfig
from lsr.encoders.families import family_config
from lsr.encoders.network.heads.max_projection import trainable_largest_logits
from lsr.encoders.network.heads.pooling import largest_logits
from lsr.encoders.network.sparse_model import TokenWeights
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.rerank.sparse_tokens import SparseTokens
from lsr.encoders.rerank.sparse_tokens import sums_of_maxima as of_the_reranker
from lsr.errors import BadDocumentError, UsageError
from lsr.training.config.config import make_config
from lsr.training.data.collator import Collator
from lsr.training.data.example import Example
from lsr.training.model.length_groups import length_groups
from lsr.training.model.student import Student
from lsr.training.model.token_scores import sums_of_maxima
from lsr.training.preflight import check_parts
from lsr.types import Document

FAMILIES = ("splade", "splade-sum", "inference-free-l0", "splade-lexical", "unicoil", "efficient-splade")


def student_of(model: Path, family: str, **options: Any) -> Student:
    query = model if family == "efficient-splade" else None
    return Student(start_encoder(family, model, query=query, seed=1, device="cpu"), **options)


def inputs_of(student: Student, examples: Sequence[Example]) -> dict[str, Any]:
    return Collator(student.export(), negatives=2, max_length=32, max_query_length=32)(examples)


def gradients(student: Student, inputs: dict[str, Any], terms: Tensor | None = None) -> dict[str, Tensor]:
    torch.manual_seed(5)  # of dropout
    queries, documents = student(inputs["queries"], inputs["documents"], terms)
    scores = queries.weights @ documents.weights.T
    loss = torch.nn.functional.cross_entropy(scores / 10, inputs["positives"]) + documents.weights.mean()
    student.zero_grad()
    loss.backward()
    return {name: value.grad.clone() for name, value in student.named_parameters() if value.grad is not None}


def assert_close(one: dict[str, Tensor], other: dict[str, Tensor], tolerance: float = 1e-5) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, atol=tolerance, rtol=1e-3, msg=name)


def test_sums_of_maxima_are_those_of_the_reranker_and_in_groups_the_same(random_model: Path, toy: Any) -> None:
    examples = toy.examples(negatives=2)[:5]
    student = student_of(random_model, "slim", tokens_kept=4)
    inputs = inputs_of(student, examples)
    student.eval()
    with torch.no_grad():
        queries, documents = student(inputs["queries"], inputs["documents"])
        found = sums_of_maxima(queries.tokens, documents.tokens)
    plain = SparseTokens(student.export(), kept=4)
    texts = [document.full_text for example in examples for document in example.documents]
    rows = plain.encode_texts(texts, texts)
    wanted = [of_the_reranker(plain.encode_query(example.query), rows) for example in examples]
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-4)

    def all_gradients(one: Student) -> dict[str, Tensor]:
        queries, documents = one(inputs["queries"], inputs["documents"])
        one.zero_grad()
        sums_of_maxima(queries.tokens, documents.tokens)[:, 0].sum().backward()
        return {name: value.grad.clone() for name, value in one.named_parameters() if value.grad is not None}

    expected = all_gradients(student)
    student._cached_batch = 2
    assert_close(expected, all_gradients(student))
    assert any(float(value.abs().max()) > 0 for value in expected.values())


def test_queries_without_terms_score_0() -> None:
    nothing = TokenWeights(torch.zeros(2, 3, 4, requires_grad=True), torch.zeros(2, 3, 4, dtype=torch.int64))
    some = TokenWeights(torch.ones(5, 2, 4), torch.ones(5, 2, 4, dtype=torch.int64))
    scores = sums_of_maxima(nothing, some)
    assert scores.shape == (2, 5) and not scores.any()
    scores.sum().backward()


@pytest.mark.parametrize("family", ["inference-free", "unicoil", "splade-lexical"])
def test_sums_of_maxima_need_vectors_of_tokens(family: str, random_model: Path) -> None:
    config = make_config(
        {
            "encoder": {"start": str(random_model), "family": family},
            "loss": {"infonce": {"weight": 1.0}},
            "train": {"steps": 1, "scores": "sums-of-maxima"},
        }
    )
    with pytest.raises(UsageError, match=r"train\.scores is 'sums-of-maxima', but .*: take family slim"):
        check_parts(student_of(random_model, family), config)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 70), st.booleans(), st.integers(0, 1000))
def test_the_trainable_maximum_has_the_values_and_gradients_of_the_plain_one(
    n_texts: int, longest: int, n_terms: int, has_bias: bool, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    tensors = [
        torch.randn(*shape, generator=generator, requires_grad=True)
        for shape in ((n_texts, longest, 6), (n_terms, 6), (n_terms,))
    ]
    texts, weight, bias = tensors[0], tensors[1], tensors[2] if has_bias else None
    wanted = [value for value in (texts, weight, bias) if value is not None]
    outputs = largest_logits(texts, weight, bias), trainable_largest_logits(texts, weight, bias)
    torch.testing.assert_close(outputs[1], outputs[0])
    for_each = [torch.autograd.grad((torch.relu(output) ** 2).sum(), wanted) for output in outputs]
    for plain, ours in zip(*for_each, strict=True):
        torch.testing.assert_close(ours, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_trained_is_what_encodes(family: str, random_model: Path, toy: Any) -> None:
    student = student_of(random_model, family).eval()
    examples = toy.examples()[:6]
    queries, documents = student(*(inputs_of(student, examples)[side] for side in ("queries", "documents")))
    encoder = student.export()
    texts = [document for example in examples for document in example.documents]
    for found, rows in (
        (documents.weights, encoder.encode_documents(texts)),
        (queries.weights, encoder.encode_queries([example.query for example in examples])),
    ):
        dense = np.zeros(found.shape, np.float32)
        for i, (term_ids, weights) in enumerate(rows):
            dense[i, term_ids] = weights
        np.testing.assert_allclose(found.detach().numpy(), dense, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_gradient_caching_gives_the_plain_gradients(family: str, random_model: Path, toy: Any) -> None:
    # Without dropout: its random numbers are drawn text by text there, batch by batch here.
    examples = toy.examples()[:5]
    found = []
    for cached_batch in (0, 4):
        student = student_of(
            random_model, family, learn_query_table=family.startswith("inf"), cached_batch=cached_batch
        )
        found.append(gradients(student.eval(), inputs_of(student, examples)))
    assert_close(*found)


def test_gradient_caching_draws_the_same_dropout_twice(random_model: Path, toy: Any) -> None:
    """The second pass has to see what the first one saw: else the gradient is of another function."""
    examples = toy.examples()[:4]
    whole = student_of(random_model, "splade", cached_batch=64)  # one group a side: the plain computation, cached
    plain = student_of(random_model, "splade", cached_batch=0)
    inputs = inputs_of(whole, examples)
    order = sorted(range(12), key=lambda i: (-inputs["documents"]["lengths"][i], i))
    assert order == list(range(12)), "the toy's documents are of one length, so that no group reorders them"
    assert_close(gradients(plain.train(), inputs), gradients(whole.train(), inputs))


def test_chosen_terms_have_the_values_and_gradients_of_all(random_model: Path, toy: Any) -> None:
    student = student_of(random_model, "inference-free", learn_query_table=True).eval()
    inputs = inputs_of(student, toy.examples()[:4])
    others = torch.tensor([7, 30, 31])
    terms = torch.unique(torch.cat([inputs["queries"]["ids"], others]))
    every = student(inputs["queries"], inputs["documents"])
    chosen = student(inputs["queries"], inputs["documents"], terms)
    torch.testing.assert_close(chosen[1].weights, every[1].weights[:, terms])
    torch.testing.assert_close(chosen[0].weights, every[0].weights[:, terms])
    for a, b in ((every[0].weights @ every[1].weights.T, chosen[0].weights @ chosen[1].weights.T),):
        torch.testing.assert_close(a, b)


def test_a_table_that_counts_repeated_tokens_is_trained_as_it_encodes(random_model: Path, toy: Any) -> None:
    config = EncoderConfig.from_json({**family_config("inference-free").to_json(), "query_repeats": "log"})
    student = Student(start_encoder(config, random_model, seed=1, device="cpu"), learn_query_table=True)
    query = "key00 key01 key00"
    inputs = inputs_of(student, [Example(query, (toy.documents[0],), None)])
    trained = student(inputs["queries"], inputs["documents"])[0].weights
    row = student.export().encode_queries([query])
    expected = np.zeros(student.vocab_size, np.float32)
    expected[row.term_ids] = row.weights
    assert {1.0, np.float32(1 + np.log(2))} <= set(row.weights.tolist())
    np.testing.assert_allclose(trained[0].detach().numpy(), expected, rtol=1e-6)


def test_frozen_layers_get_no_gradient_and_no_dropout(random_model: Path, toy: Any) -> None:
    student = student_of(random_model, "splade").train()
    student.freeze(1, embeddings=False)
    names = gradients(student, inputs_of(student, toy.examples()[:4])).keys()
    assert names and not any("encoder.layer" in name or "embeddings" in name for name in names)
    assert not student.document.backbone.model.bert.encoder.layer[0].training
    with pytest.raises(UsageError, match=r"freeze_layers is 2, but the model has 1 layers"):
        student.freeze(2, embeddings=False)


def test_query_weights_stay_0_or_more_and_can_come_back(random_model: Path, toy: Any) -> None:
    student = student_of(random_model, "inference-free", learn_query_table=True)
    assert student.table is not None
    inputs = inputs_of(student, toy.examples()[:4])
    term = int(inputs["queries"]["ids"][0])
    with torch.no_grad():
        student.table[term] = -1.0
    assert gradients(student, inputs)["table"][term] != 0
    assert student.table[term] == 0
    assert student.export().query.weights.min() >= 0


@pytest.mark.parametrize("family", FAMILIES)
def test_an_exported_student_is_saved_and_loaded_bit_for_bit(family: str, tmp_path: Path, random_model: Path) -> None:
    student = student_of(random_model, family, learn_query_table=True)
    with torch.no_grad():
        for value in student.parameters():
            value.add_(torch.rand_like(value) * 0.1)
    save_encoder(student.export(), tmp_path / "saved")
    again = Student(load_neural(tmp_path / "saved", device="cpu"))
    before, after = student.state_dict(), again.state_dict()
    assert before.keys() == after.keys()
    for name, value in before.items():
        if name == "table":
            value[[0, 2, 3, 4]] = 0  # special tokens weigh nothing
        assert torch.equal(value, after[name]), name


@given(st.lists(st.integers(1, 120), min_size=1, max_size=40), st.integers(0, 6), st.booleans())
def test_groups_hold_every_text_once(lengths: list[int], largest: int, on_cpu: bool) -> None:
    groups = length_groups(lengths, largest, on_cpu=on_cpu)
    assert sorted(i for group in groups for i in group) == list(range(len(lengths)))
    assert not largest or max(map(len, groups)) <= largest
    if not largest and not on_cpu:
        assert len(groups) == 1


def test_texts_of_very_different_length_are_computed_apart() -> None:
    groups = length_groups([100] * 10 + [10] * 30, 0, on_cpu=True)
    assert sorted(map(len, groups)) == [10, 30]


def test_a_text_without_tokens_is_refused(random_model: Path) -> None:
    student = student_of(random_model, "inference-free")
    empty = Example("key01", (Document("d", " "),))
    with pytest.raises(BadDocumentError, match=r"document ' ' has no token"):
        inputs_of(student, [empty])
    with pytest.raises(BadDocumentError, match=r"query ' ' has no token"):
        inputs_of(student, [Example(" ", (Document("d", "key01"),))])


def test_a_batch_knows_which_documents_are_the_same(random_model: Path) -> None:
    student = student_of(random_model, "inference-free")
    one, two = Document("a", "key01 key02"), Document("b", "key03")
    inputs = inputs_of(student, [Example("key01", (one, two)), Example("key02", (Document("c", "key01 key02"),))])
    assert inputs["positives"].tolist() == [0, 2]
    assert inputs["own"].tolist() == [[True, True, False], [False, False, True]]
    assert inputs["same"].tolist() == [[False, False, True], [True, False, False]]


def test_a_title_that_is_the_query_is_left_out_and_teachers_read_what_the_student_reads(random_model: Path) -> None:
    document = Document("1", "w3 w4", "W1  w2")
    examples = [Example("w1 w2", (document, document)), Example("w2 w1", (document,))]
    batch = inputs_of(student_of(random_model, "inference-free-l0"), examples)
    texts = [document.full_text for document in batch["texts"].documents]
    assert texts == ["w3 w4", "w3 w4", document.full_text]
    assert batch["documents"]["lengths"][0] < batch["documents"]["lengths"][2]
    alone = Example("w1 w2", (Document("2", "", "w1 w2"),))
    assert inputs_of(student_of(random_model, "inference-free-l0"), [alone])["texts"].documents[0].title == "w1 w2"
