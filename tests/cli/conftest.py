"""Running commands as a person would, on small corpora and tiny models made here."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.main import main

DOCUMENTS = [
    {"_id": "cats", "title": "On cats", "text": "A cat sleeps most of the day. Cats purr when they sleep well."},
    {"_id": "dogs", "title": "On dogs", "text": "A dog guards the house. Dogs chase cats."},
    {"_id": "trees", "title": "", "text": "Trees grow slowly, and a house of their wood lasts."},
    {"_id": "empty", "title": "", "text": ""},
]


@dataclass(frozen=True)
class Outcome:
    """What a command did. lines: of stdout."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def objects(self) -> list[Any]:
        """The lines of stdout as JSON."""
        return [json.loads(line) for line in self.lines]


Lsr = Callable[..., Outcome]


@pytest.fixture
def lsr(capsys: pytest.CaptureFixture[str]) -> Lsr:
    """Run a command in this process."""

    def run(*args: object) -> Outcome:
        capsys.readouterr()
        try:
            code = main([str(arg) for arg in args])
        except SystemExit as stop:  # argparse leaves like this
            code = int(stop.code or 0)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return run


def heed_interrupts() -> None:
    """Take SIGINT as usual: a shell's background jobs, and what they start, ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def start(args: Sequence[object], *, cwd: Path, **options: Any) -> subprocess.Popen[str]:
    """Start a command in a process of its own."""
    command = [sys.executable, "-m", "lsr", *map(str, args)]
    environment: dict[str, str] = {**os.environ, "PYTHONSAFEPATH": "1", **options.pop("env", {})}
    usual: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "preexec_fn": heed_interrupts}
    return subprocess.Popen(command, cwd=cwd, env=environment, text=True, **usual | options)


@pytest.fixture
def lsr_process(tmp_path: Path) -> Lsr:
    """Run a command in a process of its own, in the test's folder."""

    def run(*args: object, cwd: Path | None = None, **options: Any) -> Outcome:
        process = start(args, cwd=cwd or tmp_path, **options)
        out, err = process.communicate()
        return Outcome(process.returncode, out, err)

    return run


@pytest.fixture
def start_lsr(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start commands in processes of their own; those still running at the end are ended."""
    started: list[subprocess.Popen[str]] = []

    def run(*args: object, cwd: Path | None = None, **options: Any) -> subprocess.Popen[str]:
        started.append(start(args, cwd=cwd or tmp_path, **options))
        return started[-1]

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


def write_jsonl(path: Path, records: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def jsonl() -> Callable[[Path, Sequence[Any]], Path]:
    """Write records to a file of JSON lines."""
    return write_jsonl


@pytest.fixture(scope="session")
def documents() -> list[dict[str, str]]:
    return [dict(document) for document in DOCUMENTS]


@pytest.fixture(scope="session")
def bm25_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of the four documents, made by the command."""
    folder = tmp_path_factory.mktemp("bm25")
    write_jsonl(folder / "corpus.jsonl", DOCUMENTS)
    assert main(["index", str(folder / "corpus.jsonl"), "--index", str(folder / "index")]) == 0
    return folder / "index"


@pytest.fixture(scope="session")
def large_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus that takes some seconds to index."""
    records = [{"_id": str(i), "text": f"word{i % 997} word{i % 89} word{i % 5} and more text"} for i in range(40_000)]
    return write_jsonl(tmp_path_factory.mktemp("large") / "corpus.jsonl", records)


TOKENS = "[PAD] [UNK] [CLS] [SEP] [MASK] a cat ##s dog chase sleep house tree on the of day guard".split()


@pytest.fixture(scope="session")
def masked_lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A masked-LM checkpoint of random weights, as transformers saves it."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertForMaskedLM, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("masked-lm")
    tokenizer = Tokenizer(models.WordPiece({token: i for i, token in enumerate(TOKENS)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {f"{name}_token": f"[{name.upper()}]" for name in ("pad", "unk", "cls", "sep", "mask")}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=32, **names).save_pretrained(folder)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=len(TOKENS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=32, initializer_range=0.5,
    )  # fmt: skip
    BertForMaskedLM(config).eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def router(tmp_path_factory: pytest.TempPathFactory, masked_lm: Path) -> Path:
    """An inference-free model on that checkpoint, in the layout of Sentence-Transformers."""
    from lsr.encoders.pretrained.load_encoder import start_encoder
    from lsr.encoders.pretrained.save_encoder import save_encoder

    folder = tmp_path_factory.mktemp("router") / "model"
    weights = {token: 1.0 + i / 10 for i, token in enumerate(TOKENS)} | {"the": 0.0}
    save_encoder(start_encoder("inference-free", masked_lm, query_weights=weights), folder)
    return folder
