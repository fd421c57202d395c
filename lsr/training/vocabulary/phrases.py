"""Phrases beside a checkpoint that a training starts from, with their embeddings."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from lsr.encoders.pretrained.sparse_folder import PHRASE_VECTORS_FILE, PHRASES_FILE
from lsr.encoders.pretrained.transformers_checkpoint import read_model, read_tokenizer_of
from lsr.encoders.text.phrases import Phrases, make_phrases, write_phrases
from lsr.errors import EncoderError, UsageError
from lsr.io.text_files import numbered_lines
from lsr.training.vocabulary.keyphrases import mentioned_titles, mine_bigrams, mine_keyphrases
from lsr.types import Document

TOKENS, DENSE, NONE = "tokens", "dense:", "none"
KEYPHRASES, BIGRAMS = "keyphrases", "bigrams"


@dataclass(frozen=True, slots=True)
class PhraseSettings:
    """Settings of phrases as terms: the table `encoder.phrases` of a config.

    files: text files with a phrase a line, as `lsr mine --keyphrases` writes them. corpus: texts whose keyphrases are
    mined, with `kind` "bigrams" all pairs of words, or that mention `titles`. titles: documents whose titles are the
    phrases. most: number of phrases.
    min_documents: documents of the corpus that a phrase is taken from. embeddings: `tokens` for the mean of the
    embeddings of a phrase's tokens, `dense:MODEL`, or `none` for a head that needs none.
    """

    files: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    titles: tuple[str, ...] = ()
    kind: str = KEYPHRASES
    most: int = 5000
    min_documents: int = 3
    embeddings: str = TOKENS

    def __post_init__(self) -> None:
        """Raise UsageError for values that don't fit."""
        if not self.files and not self.corpus:
            raise UsageError("config: encoder.phrases: name files of phrases, or a corpus to mine them from")
        if self.titles and not self.corpus:
            raise UsageError("config: encoder.phrases.titles: name the corpus that mentions them")
        for name in ("most", "min_documents"):
            if getattr(self, name) < 1:
                raise UsageError(f"config: encoder.phrases.{name} is {getattr(self, name)}, but has to be 1 or more")
        if self.kind not in (KEYPHRASES, BIGRAMS):
            raise UsageError(f"config: encoder.phrases.kind is {self.kind!r}, but has to be {KEYPHRASES} or {BIGRAMS}")
        if self.embeddings not in (TOKENS, NONE) and not self.embeddings.startswith(DENSE):
            raise UsageError(
                f"config: encoder.phrases.embeddings is {self.embeddings!r}, but has to be {TOKENS!r}, {NONE!r} or "
                "'dense:MODEL'"
            )


def with_phrases(checkpoint: Path, settings: Mapping[str, Any], work: Path) -> Path:
    """Return a copy of a checkpoint in `work` with phrases beside it. settings: of `PhraseSettings`.

    Raises UsageError for settings that don't fit, EncoderError for a model that can't be read.
    """
    try:
        values: dict[str, Any] = {
            n: tuple(value) if isinstance(value, list) else value for n, value in settings.items()
        }
        wanted = PhraseSettings(**values)
    except TypeError as error:
        raise UsageError(f"config: encoder.phrases: {str(error).partition(') ')[2] or error}") from error
    target = work / "with-phrases"
    if (target / PHRASE_VECTORS_FILE).is_file():
        return target
    tokenizer = read_tokenizer_of(checkpoint)
    phrases = make_phrases(_names(wanted), tokenizer.backend_tokenizer, most=wanted.most)
    embeddings = _embeddings(phrases, wanted.embeddings, checkpoint)
    temporary = work / "with-phrases.part"
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.copytree(checkpoint, temporary)
    write_phrases(phrases, temporary / PHRASES_FILE)
    save_file({"embeddings": embeddings.contiguous()}, temporary / PHRASE_VECTORS_FILE)
    shutil.rmtree(target, ignore_errors=True)
    temporary.replace(target)
    return target


def _names(settings: PhraseSettings) -> list[str]:
    names = [line.strip() for file in settings.files for _, line in numbered_lines(Path(file))]
    if settings.corpus:
        limits = {"most": settings.most, "min_documents": settings.min_documents}
        documents = _documents(settings.corpus)
        if settings.titles:
            names += mentioned_titles(_documents(settings.titles), documents, **limits)
        else:
            names += (mine_bigrams if settings.kind == BIGRAMS else mine_keyphrases)(documents, **limits)
    return list(dict.fromkeys(names))


def _documents(paths: Sequence[str]) -> list[Document]:
    from lsr.indexer.corpus.reader import read_corpus

    # One by one, since the ids of several corpora may be the same.
    return [document for path in paths for document in read_corpus([Path(path)])]


def _embeddings(phrases: Phrases, kind: str, checkpoint: Path) -> Tensor:
    if kind == NONE:
        return torch.zeros(len(phrases.names), 1)
    if kind == TOKENS:
        model = read_model(checkpoint, "masked-LM", torch.float32)
        projection = model.get_output_embeddings()
        if projection is None:
            raise EncoderError(f"{checkpoint}: {type(model).__name__} has no embeddings of tokens: take dense:MODEL")
        weight = projection.weight.detach().float()
        return torch.stack([weight[list(ids)].mean(0) for ids in phrases.tokens])
    from lsr.encoders.dense.encoder import load_dense
    from lsr.training.model.model_folder import model_folder

    encoder = load_dense(model_folder(kind.removeprefix(DENSE)))
    vectors = encoder.encode_dense_documents([Document(name, name) for name in phrases.names])
    return torch.from_numpy(vectors).float()
