"""Cutting a transformer before its projection: the same logits, whatever the architecture."""

from __future__ import annotations

import pytest
import torch
import transformers

from lsr.encoders.network.backbone import Backbone
from lsr.encoders.network.heads.base import TokenStates
from lsr.encoders.network.heads.mlm import MLMHead

SMALL = {
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 40,
    "pad_token_id": 0,
}
SIZES = {
    "DistilBert": {"vocab_size": 60, "dim": 32, "n_layers": 2, "n_heads": 2, "hidden_dim": 48},
    "ModernBert": {**SMALL, "global_attn_every_n_layers": 1, "cls_token_id": 1, "sep_token_id": 2, "eos_token_id": 2},
    "Electra": {**SMALL, "embedding_size": 16},
    "MobileBert": {**SMALL, "embedding_size": 16, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    "Mistral": {**SMALL, "num_key_value_heads": 2},
    "Qwen2": {**SMALL, "num_key_value_heads": 2},
    "Gemma2": {**SMALL, "num_key_value_heads": 2, "head_dim": 16, "final_logit_softcapping": 3.0},
}
MASKED = ("Bert", "DistilBert", "Roberta", "XLMRoberta", "ModernBert", "Electra", "MPNet", "DebertaV2", "MobileBert")
CAUSAL = ("Llama", "Mistral", "Qwen2", "Gemma2")
NOT_CUT = ("MobileBert", "Gemma2")  # one projects with two matrices, the other bends its logits afterwards


def make(name, head):
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(**SIZES.get(name, SMALL))
    config.initializer_range = 0.3
    model = getattr(transformers, f"{name}{head}")(config).eval()
    with torch.no_grad():
        for key, value in model.named_parameters():
            if key.endswith("bias"):
                value.normal_()
    return model


@pytest.mark.parametrize(("name", "head"), [(n, "ForMaskedLM") for n in MASKED] + [(n, "ForCausalLM") for n in CAUSAL])
@torch.inference_mode()
def test_a_cut_model_gives_the_pooled_logits_of_the_whole_one(name, head):
    model = make(name, head)
    ids = torch.tensor([[5, 6, 7, 8, 9], [10, 11, 12, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    logits = model(input_ids=ids, attention_mask=mask).logits
    expected = torch.relu(logits.masked_fill(mask[:, :, None] == 0, -1e9).amax(1))

    backbone = Backbone(model)
    assert (backbone.projection is None) == (name in NOT_CUT)
    mlm = MLMHead(backbone.projection, backbone.vocab_size, activation="relu", pooling="max")
    scored = mask.bool()
    states = TokenStates(backbone(ids, mask)[scored], ids[scored], scored[scored], scored.sum(1))
    assert torch.allclose(mlm(states), expected, atol=1e-4)

    whole = backbone.whole()
    assert torch.equal(whole(input_ids=ids, attention_mask=mask).logits, logits)
    backbone.cut()
    assert torch.allclose(backbone(ids, mask)[scored], states.hidden)
