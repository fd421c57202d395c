"""Encodes ever more documents, and says what memory that took above the loaded model.

Run as `python model_memory_worker.py [MODEL] N …`: prints the peak above the loaded model, in bytes, after so many
documents each; the numbers ascend. Without MODEL, a name or a folder, a small random one is made, so that 50,000
documents take minutes, but all that is done a batch, a window and a shard is done as with a large one.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from lsr.types import Document  # before torch, which asks while it is loaded how many kernels to keep

import torch  # isort: skip

N_WORDS, TERMS = 8000, 200
WORDS = [f"word{i}" for i in range(N_WORDS)]
WARM_UP = 32


def save_model(folder: Path) -> Path:
    """Save a random masked-LM model of one layer whose texts have about TERMS active terms."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"word{i}" for i in range(N_WORDS - 5))]
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=256, **names)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=N_WORDS, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=128,
        max_position_embeddings=256, initializer_range=0.1,
    )  # fmt: skip
    model = BertForMaskedLM(config).eval()
    with torch.no_grad():
        inputs = wrapped([document.text for document in documents(8)], return_tensors="pt", padding=True)
        logits = model(**inputs).logits.masked_fill(inputs["attention_mask"][:, :, None] == 0, -1e9)
        model.cls.predictions.bias -= logits.amax(1).topk(TERMS, dim=1).values[:, -1].mean()
    model.save_pretrained(folder)
    wrapped.save_pretrained(folder)
    return folder


def documents(n: int, words: Sequence[str] = WORDS) -> Iterator[Document]:
    """Yield passages of 20 to 130 words, which differ in their words and lengths."""
    rng = random.Random(0)
    for i in range(n):
        drawn = (words[int(len(words) * rng.random() ** 3)] for _ in range(rng.randint(20, 130)))
        yield Document(str(i), " ".join(drawn))


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(model: str | None, marks: list[int]) -> None:
    """Measure, and print a JSON object: the peak by the number of documents."""
    torch.set_num_threads(1)
    from lsr.encoders.registry import load_encoder
    from lsr.indexer.encode.encode_corpus import encode_corpus

    with tempfile.TemporaryDirectory() as scratch:
        encoder: Any = load_encoder(model or save_model(Path(scratch) / "model"), device="cpu")
        words = WORDS if model is None else [term for term in encoder.terms if term.isalpha()]
        encoder.encode_documents(list(documents(WARM_UP, words)))
        before = peak_bytes()
        peaks: dict[str, int] = {}

        def watched() -> Iterator[Document]:
            for i, document in enumerate(documents(marks[-1], words)):
                if i in marks:
                    peaks[str(i)] = peak_bytes() - before
                yield document

        encode_corpus(watched(), encoder, Path(scratch) / "vectors")
        peaks[str(marks[-1])] = peak_bytes() - before
    sys.stdout.write(json.dumps(peaks) + "\n")


if __name__ == "__main__":
    named = not sys.argv[1].isdecimal()
    main(sys.argv[1] if named else None, [int(text) for text in sys.argv[1 + named :]])
