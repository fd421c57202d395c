"""A toy world: documents of a few key words among noise, a random small transformer, and configs to train it."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from lsr.training.data.example import Example
from lsr.types import Document

N_DOCS = 32
KEYS = [f"key{i:02d}" for i in range(32)]
NOISE = [f"noise{i}" for i in range(8)]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = SPECIAL + KEYS + NOISE


@dataclass(frozen=True)
class Toy:
    """documents, by number; queries (text, number of the document) to learn from, and others to be tested by."""

    documents: tuple[Document, ...]
    training: tuple[tuple[str, int], ...]
    testing: tuple[tuple[str, int], ...]

    def examples(self, *, negatives: int = 2, scored: bool = False) -> list[Example]:
        rng = random.Random(3)
        found = []
        for query, number in self.training:
            others = rng.sample([i for i in range(N_DOCS) if i != number], negatives)
            chosen = tuple(self.documents[i] for i in (number, *others))
            scores = tuple(float(self.score(query, document)) for document in chosen) if scored else None
            found.append(Example(query, chosen, scores))
        return found

    @staticmethod
    def score(query: str, document: Document) -> int:
        return sum(4 for word in query.split() if word.startswith("key") and word in document.text.split())

    def save_beir(self, folder: Path) -> Path:
        (folder / "qrels").mkdir(parents=True)
        rows = ({"_id": d.doc_id, "title": "", "text": d.text} for d in self.documents)
        (folder / "corpus.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        queries = [{"_id": f"q{i}", "text": text} for i, (text, _) in enumerate(self.testing)]
        (folder / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in queries))
        lines = [f"q{i}\td{number}\t1\n" for i, (_, number) in enumerate(self.testing)]
        (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
        return folder


class KeyTeacher:
    """Scores by the key words that a query and a document share."""

    name = "keys"

    def scores(self, queries: Sequence[str], documents: Sequence[Document], wanted: Any = None) -> Any:
        import numpy as np

        return np.array([[Toy.score(query, document) for document in documents] for query in queries], np.float32)


def make_toy() -> Toy:
    rng = random.Random(1)
    documents: list[Document] = []
    training: list[tuple[str, int]] = []
    testing: list[tuple[str, int]] = []
    for number in range(N_DOCS):
        keys = rng.sample(KEYS, 4)
        words = keys + rng.sample(NOISE, 3)
        rng.shuffle(words)
        documents.append(Document(f"d{number}", " ".join(words)))
        for n, place in ((8, training), (1, testing)):
            for _ in range(n):
                chosen = rng.sample(keys, 3) + rng.sample(NOISE, 1)
                rng.shuffle(chosen)
                place.append((" ".join(chosen), number))
    return Toy(tuple(documents), tuple(training), tuple(testing))


def make_tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names)


def save_random_model(folder: Path, **changes: Any) -> Path:
    from transformers import BertConfig, BertForMaskedLM

    values = {
        "vocab_size": len(WORDS),
        "hidden_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 32,
        "initializer_range": 0.1,
    }
    torch.manual_seed(0)
    BertForMaskedLM(BertConfig(**{**values, **changes})).save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    (folder / "phrases.txt").write_text("".join(f"{a} {b}\n" for a, b in zip(KEYS, NOISE * 4, strict=True)))
    return folder


@pytest.fixture(scope="session")
def toy() -> Toy:
    return make_toy()


@pytest.fixture(scope="session")
def toy_beir(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy.save_beir(tmp_path_factory.mktemp("toy") / "toy")


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny models only lose by more threads, most of all beside other processes."""
    torch.set_num_threads(1)


@contextmanager
def lines_logged(lines: list[str]) -> Iterator[None]:
    class Appending(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger("lsr"), Appending()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


@pytest.fixture(scope="session")
def logging_to() -> Callable[[list[str]], AbstractContextManager[None]]:
    """Append what the package logs to a list; for fixtures of a wider scope than `logged`."""
    return lines_logged


@pytest.fixture
def without_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes half a second a training; where it isn't looked at, it isn't done."""
    monkeypatch.setattr("lsr.training.train.plot_run", lambda *args, **options: None)


@pytest.fixture(scope="session")
def key_teacher() -> Callable[[Any], KeyTeacher]:
    return lambda settings: KeyTeacher()
