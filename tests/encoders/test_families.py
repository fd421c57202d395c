"""Families: their vectors are what their papers say, and a saved model gives the same again."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pytest
import torch

from lsr.encoders.config import EncoderConfig, Pruning, TowerConfig
from lsr.encoders.families import FAMILIES
from lsr.encoders.pretrained.load_encoder import load_neural, start_encoder
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.encoders.registry import load_encoder, open_query_encoder
from lsr.errors import EncoderError, UsageError
from lsr.types import Document, SparseBatch

TEXTS = ["the cat sat on the mat", "Dogs running.", "", "walkers learned sparse retrieval " * 20, "cat cat cat"]
SPECIAL = {0, 2, 3, 4}  # [PAD] [CLS] [SEP] [MASK]
QUERY_WEIGHTS = {"cat": 2.5, "sat": 0.5, "sparse": 4.0}


def documents(texts):
    return [Document(str(i), text) for i, text in enumerate(texts)]


def dense(batch: SparseBatch) -> np.ndarray:
    batch.check()
    rows = np.zeros((len(batch), batch.vocab_size), np.float32)
    for i, (terms, weights) in enumerate(batch):
        rows[i, terms] = weights
    return rows


@pytest.fixture(scope="module")
def decoder_folder(tiny, tmp_path_factory):
    """Save a decoder with untied embeddings, whose tokenizer puts one token before each text."""
    from tokenizers import processors
    from transformers import MistralConfig, MistralForCausalLM

    folder = tmp_path_factory.mktemp("decoder")
    torch.manual_seed(5)
    config = MistralConfig(
        vocab_size=len(tiny.words),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
    )
    MistralForCausalLM(config).save_pretrained(folder)
    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A", pair="[CLS] $A $B", special_tokens=[("[CLS]", 2)]
    )
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def begin(tiny, plain_folder, decoder_folder, tmp_path_factory):
    """Begin an encoder of tiny random weights, those that a checkpoint doesn't bring among them."""
    other = tiny.save_plain(tmp_path_factory.mktemp("other"), seed=8)

    def begin(config):
        family = FAMILIES[config].config if isinstance(config, str) else config
        encoder = start_encoder(
            config,
            decoder_folder if family.document.head == "causal" else plain_folder,
            query=other if family.query_side == "own" else None,
            query_weights=QUERY_WEIGHTS if family.query_side == "table" else None,
        )
        torch.manual_seed(2)
        with torch.no_grad():
            for weight in encoder.document.tower.head.own_weights().values():
                weight.copy_(torch.randn_like(weight) * 0.5)
        return encoder

    begin.other = other
    return begin


def activated(scores: torch.Tensor, activation: str) -> torch.Tensor:
    scores = torch.relu(scores)
    return {"relu": scores, "log1p(relu)": scores.log1p(), "log1p(log1p(relu))": scores.log1p().log1p()}[activation]


@torch.no_grad()
def oracle_row(folder, config: TowerConfig, text: str, head: dict[str, torch.Tensor]) -> np.ndarray:
    """Return one text's vector, read off the papers: no batches, no padding, no chunks."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(config.prompt + text, truncation=True, max_length=config.max_length or 64)["input_ids"]
    literal = [i for i in ids if i not in SPECIAL]
    if not text.strip():
        return np.zeros(len(tokenizer), np.float32)
    pool = (lambda w: w.amax(0)) if config.pooling == "max" else (lambda w: w.sum(0))
    if config.head == "mlp":
        hidden = AutoModel.from_pretrained(folder).eval()(input_ids=torch.tensor([ids])).last_hidden_state[0]
        scores = hidden
        for layer in range(config.mlp_layers):
            name = f"layers.{2 * layer}"
            scores = scores @ head[f"{name}.weight"].T + head[f"{name}.bias"]
            scores = torch.relu(scores) if layer + 1 < config.mlp_layers else scores
        found = defaultdict(list)
        for i, score in zip(ids, activated(scores[:, 0], config.activation), strict=True):
            if i not in SPECIAL:
                found[i].append(float(score))
        row = np.zeros(len(tokenizer), np.float32)
        for i, values in found.items():
            row[i] = max(values) if config.pooling == "max" else sum(values)
        return row
    if config.head == "causal":
        model = AutoModelForCausalLM.from_pretrained(folder).eval()
        room = (64 - 1) // 2
        body = literal[:room]
        logits = model(input_ids=torch.tensor([[2, *body, *body]])).logits[0, 1 + len(body) :]
        return pool(activated(logits, config.activation)).numpy()
    model = AutoModelForMaskedLM.from_pretrained(folder).eval()
    row = pool(activated(model(input_ids=torch.tensor([ids])).logits[0], config.activation)).numpy()
    if config.expansion == "input":
        row[[i for i in range(len(row)) if i not in literal]] = 0
    if config.head == "gated":
        hidden = model.bert(input_ids=torch.tensor([ids])).last_hidden_state[0]
        hidden = model.cls.predictions.transform(hidden)
        gate = torch.nn.functional.gelu(hidden @ head["gate.0.weight"].T + head["gate.0.bias"])
        gate = torch.nn.functional.layer_norm(gate, gate.shape[1:], head["gate.2.weight"], head["gate.2.bias"])
        gate = (gate @ model.get_input_embeddings().weight.T).amax(0) + head["gate_bias"]
        row[[i for i in range(len(row)) if gate[i] <= 0 and i not in literal]] = 0
    return row


def oracle(folder, config, texts, head=None):
    return np.stack([oracle_row(folder, config, text, head or {}) for text in texts])


def oracle_queries(encoder, begin, folder):
    config = encoder.config
    words = list(encoder.terms)
    if config.query_side == "own":
        return oracle(begin.other, config.query_tower, TEXTS, encoder.query.tower.head.own_weights())
    if config.query_side == "same":
        return oracle(folder, config.query_tower, TEXTS, encoder.document.tower.head.own_weights())
    rows = np.zeros((len(TEXTS), len(words)), np.float32)
    for row, text in zip(rows, TEXTS, strict=True):
        for i in encoder.document.tokenizer(text, truncation=True, add_special_tokens=False)["input_ids"]:
            row[i] = 1 if config.query_side == "binary" else QUERY_WEIGHTS.get(words[i], 0)
    return rows


OTHERS = ("phrases", "ngrams", "wta")
"""Heads with oracles in test_phrases, test_ngrams and test_wta."""
PLAIN = [name for name, family in FAMILIES.items() if family.config.document.head not in OTHERS]


@pytest.mark.parametrize("family", PLAIN)
def test_a_family_gives_what_its_paper_says(begin, plain_folder, decoder_folder, family):
    encoder = begin(family)
    folder = decoder_folder if encoder.config.document.head == "causal" else plain_folder
    rows = dense(encoder.encode_documents(documents(TEXTS)))
    expected = oracle(folder, encoder.config.document, TEXTS, encoder.document.tower.head.own_weights())
    assert np.abs(rows - expected).max() <= 1e-4 * max(1, expected.max())
    assert 0 < (rows > 0).sum() < rows.size
    queries = dense(encoder.encode_queries(TEXTS))
    expected = oracle_queries(encoder, begin, folder)
    assert np.abs(queries - expected).max() <= 1e-4 * max(1, expected.max())
    assert (queries @ rows.T)[0, 0] > 0


@pytest.mark.parametrize("family", PLAIN)
def test_a_saved_family_gives_the_same_again(begin, tmp_path, family):
    encoder = begin(family)
    save_encoder(encoder, tmp_path / "model")
    again = load_encoder(tmp_path / "model")
    for ours, theirs in (
        (encoder.encode_documents(documents(TEXTS)), again.encode_documents(documents(TEXTS))),
        (encoder.encode_queries(TEXTS), again.encode_queries(TEXTS)),
    ):
        assert np.array_equal(dense(ours), dense(theirs))
    # Saving leaves the encoder as it was.
    assert np.array_equal(
        dense(encoder.encode_documents(documents(TEXTS))), dense(again.encode_documents(documents(TEXTS)))
    )
    description = json.loads(json.dumps(again.description))
    (tmp_path / "query").mkdir()
    again.save_query_side(tmp_path / "query")
    ids = {term: i for i, term in enumerate(again.terms)}
    opened = open_query_encoder(description, tmp_path / "query", ids.get, len(ids))
    assert np.array_equal(dense(opened.encode_queries(TEXTS)), dense(again.encode_queries(TEXTS)))


@pytest.mark.parametrize(
    "family", ["splade", "splade-sum", "splade-doc", "efficient-splade", "inference-free", "inference-free-l0"]
)
def test_sentence_transformers_loads_what_is_saved(begin, tmp_path, family):
    from sentence_transformers import SparseEncoder

    encoder = begin(family)
    save_encoder(encoder, tmp_path / "model")
    theirs = SparseEncoder(str(tmp_path / "model"), device="cpu")
    texts = [text for text in TEXTS if text]
    for ours, expected in (
        (encoder.encode_documents(documents(texts)), theirs.encode_document(texts)),
        (encoder.encode_queries(texts), theirs.encode_query(texts)),
    ):
        assert np.abs(dense(ours) - expected.to_dense().numpy()).max() <= 1e-4


def test_what_sentence_transformers_saves_again_is_loaded_again(begin, tmp_path):
    from sentence_transformers import SparseEncoder

    encoder = begin("inference-free-l0")
    save_encoder(encoder, tmp_path / "ours")
    SparseEncoder(str(tmp_path / "ours"), device="cpu").save_pretrained(str(tmp_path / "theirs"))
    again = load_encoder(tmp_path / "theirs")
    assert np.array_equal(dense(again.encode_queries(TEXTS)), dense(encoder.encode_queries(TEXTS)))
    rows = dense(again.encode_documents(documents(TEXTS)))
    assert np.abs(rows - dense(encoder.encode_documents(documents(TEXTS)))).max() <= 1e-6


def test_prompts_lengths_and_different_poolings_survive_the_sentence_transformers_layout(begin, tmp_path):
    from sentence_transformers import SparseEncoder

    config = EncoderConfig(
        "mine",
        TowerConfig(prompt="index . ", max_length=9, activation="log1p(log1p(relu))"),
        "same",
        TowerConfig(prompt="query ", max_length=9, pooling="sum"),
    )
    encoder = begin(config)
    save_encoder(encoder, tmp_path / "model")
    assert not (tmp_path / "model" / "lsr_encoder.json").exists()
    theirs, again = SparseEncoder(str(tmp_path / "model"), device="cpu"), load_encoder(tmp_path / "model")
    texts = [text for text in TEXTS if text]
    for ours, once_more, expected in (
        (encoder.encode_documents(documents(texts)), again.encode_documents(documents(texts)), theirs.encode_document),
        (encoder.encode_queries(texts), again.encode_queries(texts), theirs.encode_query),
    ):
        assert np.array_equal(dense(ours), dense(once_more))
        assert np.abs(dense(ours) - expected(texts).to_dense().numpy()).max() <= 1e-4


def test_any_new_combination_can_be_written_as_a_config(begin, plain_folder, tmp_path):
    """Weights of the input's own terms for queries, expanded and pruned documents, of one model."""
    written = {
        "family": "mine",
        "document": {"activation": "log1p(log1p(relu))", "pooling": "sum", "pruning": {"top_k": 4, "threshold": 0.1}},
        "query_side": "same",
        "query": {"expansion": "input", "max_length": 5, "prompt": "query "},
    }
    config = EncoderConfig.from_json(json.loads(json.dumps(written)))
    assert EncoderConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    encoder = begin(config)
    save_encoder(encoder, tmp_path / "model")
    again = load_encoder(tmp_path / "model")
    full = oracle(plain_folder, config.document, TEXTS)
    for rows in (dense(e.encode_documents(documents(TEXTS))) for e in (encoder, again)):
        for row, whole in zip(rows, full, strict=True):
            kept = [i for i in np.argsort(-whole, kind="stable")[:4] if whole[i] > 0.1]
            assert sorted(kept) == list(np.flatnonzero(row))
    expected = oracle(plain_folder, config.query_tower, TEXTS)
    for e in (encoder, again):
        assert np.abs(dense(e.encode_queries(TEXTS)) - expected).max() <= 1e-4


def test_a_plain_checkpoint_can_be_read_as_a_family_that_needs_no_more(plain_folder):
    encoder = load_encoder(plain_folder, family="splade-lexical")
    assert encoder.description["kind"] == "splade-lexical"
    rows = dense(encoder.encode_documents(documents(["cat"])))
    assert np.flatnonzero(rows).tolist() in ([], [encoder.terms.index("cat")])
    with pytest.raises(EncoderError, match=r"head\.safetensors is missing"):
        load_encoder(plain_folder, family="unicoil")
    with pytest.raises(UsageError, match="more than one model"):
        load_encoder(plain_folder, family="efficient-splade")
    with pytest.raises(UsageError, match="no family 'splat': known are splade"):
        load_encoder(plain_folder, family="splat")


def test_a_family_is_not_forced_upon_a_model_that_says_what_it_is(router_folder):
    with pytest.raises(UsageError, match="leave out family 'splade'"):
        load_encoder(router_folder, family="splade")


def test_every_family_names_its_paper():
    for name, family in FAMILIES.items():
        assert name == family.config.family
        assert "arXiv:" in family.paper and family.expansion


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"family": "x", "document": {"head": "tail"}}, "head is 'tail', but has to be one of mlm"),
        ({"family": "x", "document": {"activation": "tanh"}}, "activation is 'tanh'"),
        ({"family": "x", "document": {"expansion": "some"}}, "expansion is 'some'"),
        ({"family": "x", "document": {"echo": True}}, "echo is for a decoder's head"),
        ({"family": "x", "document": {"mlp_layers": 0}}, "mlp_layers is 0"),
        ({"family": "x", "document": {"colour": 1}}, "colour unknown"),
        ({"family": "x", "query_side": "oracle"}, "query_side is 'oracle'"),
        ({"family": "x", "query": {"head": "mlp"}}, "make query_side 'own'"),
        ({"query_side": "same"}, "missing 1 required positional argument: 'family'"),
    ],
)
def test_a_config_that_can_not_be_is_refused(values, message):
    with pytest.raises((UsageError, EncoderError), match=message):
        EncoderConfig.from_json(values)


def test_saving_never_overwrites(begin, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(EncoderError, match="is not an empty folder"):
        save_encoder(begin("splade"), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_heads_that_do_not_fit_are_refused(begin, tmp_path):
    from safetensors.torch import save_file

    save_encoder(begin("unicoil"), tmp_path / "model")
    head = tmp_path / "model" / "document" / "head.safetensors"
    save_file({"layers.0.weight": torch.ones(1, 7)}, head)
    with pytest.raises(EncoderError, match="doesn't fit the model"):
        load_encoder(tmp_path / "model")
    head.unlink()
    with pytest.raises(EncoderError, match=r"head\.safetensors is missing"):
        load_encoder(tmp_path / "model")


def test_a_format_of_the_future_is_refused(begin, tmp_path):
    save_encoder(begin("sparterm"), tmp_path / "model")
    path = tmp_path / "model" / "lsr_encoder.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(EncoderError, match="has format 99, but this program reads 1"):
        load_encoder(tmp_path / "model")


def test_parts_that_do_not_go_together_are_refused(plain_folder, tiny, tmp_path):
    with pytest.raises(UsageError, match="query_side 'own' alone"):
        start_encoder("splade", plain_folder, query=plain_folder)
    with pytest.raises(UsageError, match="query_side 'own' alone"):
        start_encoder("efficient-splade", plain_folder)
    with pytest.raises(UsageError, match="query_side 'table' alone"):
        start_encoder("splade", plain_folder, query_weights={})
    other = tiny.save_plain(tmp_path, vocab_size=50)
    with pytest.raises(EncoderError, match="different vocabularies"):
        start_encoder("efficient-splade", plain_folder, query=other)


def test_unsaved_encoders_are_never_taken_for_each_other(begin):
    assert begin("splade").description["revision"] != begin("splade").description["revision"]


def test_heads_can_be_trained(begin):
    for family in PLAIN:
        tower = begin(family).document.tower.train()
        weights = tower(tower.padded(tower.tokens(["the cat sat", "dogs"])))
        weights.sum().backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in tower.parameters()), family


def test_pruning_is_part_of_what_tells_encoders_apart(plain_folder):
    plain, pruned = load_neural(plain_folder), load_neural(plain_folder, top_k=5)
    assert pruned.config.document.pruning == Pruning(top_k=5)
    assert plain.description["settings"] != pruned.description["settings"]
    with pytest.raises(EncoderError, match="settings"):
        from lsr.encoders.registry import check_same

        check_same(plain.description, pruned.description)
