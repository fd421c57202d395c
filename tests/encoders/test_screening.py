"""Finding the logits above 0 with half the bits: never one lost, and each of them exact."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from lsr.encoders.network.heads import mlm, screening
from lsr.encoders.network.heads.base import TokenStates
from lsr.encoders.network.heads.mlm import MLMHead
from lsr.encoders.network.heads.pooling import largest_logits, rectangle
from lsr.encoders.network.heads.screening import ERROR, Screen


def oracle(hidden, weight, bias, lengths):
    """In double precision, a text at a time."""
    logits = hidden.double() @ weight.double().T + bias.double()
    return torch.stack([text.amax(0) for text in logits.split(lengths.tolist())])


def problem(seed, lengths, hidden_size, spread, shift):
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(sum(lengths), hidden_size, generator=generator) * spread
    weight = torch.randn(97, hidden_size, generator=generator) * spread
    bias = torch.randn(97, generator=generator) - shift
    return hidden, weight, bias, torch.tensor(lengths)


@given(
    st.integers(0, 10_000),
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.sampled_from([1, 3, 32, 257]),
    st.sampled_from([0.01, 1.0, 30.0]),
    st.floats(-1, 50),
)
def test_no_logit_above_0_is_lost(seed, lengths, hidden_size, spread, shift):
    hidden, weight, bias, lengths = problem(seed, lengths, hidden_size, spread, shift)
    expected = oracle(hidden, weight, bias, lengths)
    found = Screen(weight).largest_logits(rectangle(hidden, lengths), bias)
    if found is None:
        return
    tolerance = 1e-5 * max(1.0, float(expected.abs().max()))
    assert torch.allclose(found.clamp(min=0).double(), expected.clamp(min=0), atol=tolerance, rtol=1e-5)


@given(st.integers(0, 10_000), st.sampled_from([1, 2, 31, 768]), st.sampled_from([1e-3, 1.0, 1e3]))
def test_a_rough_product_is_never_further_off_than_it_is_allowed(seed, hidden_size, spread):
    hidden, weight, _, _ = problem(seed, [6], hidden_size, spread, 0)
    rough = (hidden.bfloat16() @ weight.bfloat16().T).double()
    off = (rough - hidden.double() @ weight.double().T).abs()
    allowed = ERROR * hidden.double().norm(dim=1)[:, None] * weight.double().norm(dim=1)
    assert (off <= allowed).all()


def test_many_logits_above_0_are_left_to_the_plain_way():
    hidden, weight, bias, lengths = problem(1, [4, 2], 16, 1.0, -100)
    assert Screen(weight).largest_logits(rectangle(hidden, lengths), bias) is None


def test_what_is_not_a_number_is_not_hidden():
    hidden, weight, bias, lengths = problem(2, [3, 3], 16, 1.0, 40)
    hidden[4, 0] = torch.nan
    found = Screen(weight).largest_logits(rectangle(hidden, lengths), bias)
    assert found is None or (found[1].isnan().all() and not found[0].isnan().any())


def test_an_encoder_with_a_screen_gives_what_it_gives_without(monkeypatch):
    torch.manual_seed(0)
    projection = torch.nn.Linear(32, 500)
    with torch.no_grad():
        projection.bias -= 2
    lengths = torch.tensor([5, 1, 7])
    states = TokenStates(torch.randn(13, 32), torch.zeros(13).long(), torch.ones(13).bool(), lengths)
    head = MLMHead(projection, 500, activation="log1p(relu)", pooling="max")
    plain = head(states).detach()  # not in inference mode: never screened
    monkeypatch.setattr(mlm, "is_worthwhile", lambda weight: True)
    with torch.inference_mode():
        assert torch.allclose(head(states), plain, atol=1e-6)
        assert head._screen is not None and head._screening
    with torch.no_grad():
        projection.weight *= 3  # as training does: the screen is made again
    assert not head._screen.is_of(projection.weight)
    expected = head(states).detach()
    with torch.inference_mode():
        assert torch.allclose(head(states), expected, atol=1e-6)
        assert (expected > 0).any()
    head.train()
    assert head._screen is None


@given(st.lists(st.integers(1, 6), min_size=1, max_size=5))
def test_a_rectangle_holds_each_text_and_then_its_last_token(lengths):
    hidden = torch.arange(sum(lengths) * 2.0).view(-1, 2)
    texts = rectangle(hidden, torch.tensor(lengths))
    for text, expected in zip(texts, hidden.split(lengths), strict=True):
        assert torch.equal(text[: len(expected)], expected)
        assert (text[len(expected) :] == expected[-1]).all()


def test_possible_logits_in_several_parts_are_the_same(monkeypatch):
    hidden, weight, bias, lengths = problem(5, [4, 1, 9, 2], 32, 0.3, 2)
    whole = Screen(weight).largest_logits(rectangle(hidden, lengths), bias)
    monkeypatch.setattr(screening, "EXACT_ELEMENTS", 1)
    parts = Screen(weight).largest_logits(rectangle(hidden, lengths), bias)
    assert (whole > 0).any() and torch.allclose(whole, parts, atol=1e-6)


def test_largest_logits_are_those_of_a_plain_product():
    hidden, weight, bias, lengths = problem(3, [3, 1, 8], 16, 1.0, 0)
    assert torch.allclose(
        largest_logits(rectangle(hidden, lengths), weight, bias).double(),
        oracle(hidden, weight, bias, lengths),
        atol=1e-5,
    )


def test_screening_is_for_cpus_and_float32_only():
    assert not screening.is_worthwhile(torch.zeros(2, 2, dtype=torch.bfloat16))
    assert not screening.is_worthwhile(torch.zeros(2, 9000))
    assert not screening.is_worthwhile(torch.zeros(2, 2, device="meta"))
