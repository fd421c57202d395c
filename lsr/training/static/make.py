"""Making of a static encoder: `python -m lsr.training.static.make FOLDER --pairs FILE --texts CORPUS`.

The default model reads texts, and what it says of their words is stored. No query and no judgement is used.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lsr.encoders.compiled.encoder import CompiledEncoder
from lsr.encoders.compiled.open import open_compiled
from lsr.encoders.config import Pruning, WordsConfig
from lsr.encoders.sparse.query_table import TableQueryEncoder
from lsr.encoders.static.config import StaticConfig
from lsr.encoders.static.folder import CONTINUING, MOST_TERMS, StaticParts, write_static
from lsr.errors import UsageError
from lsr.io.atomic import atomic_folder
from lsr.kernels.encode.static_rows import Rows
from lsr.training.data.read_examples import read_examples
from lsr.training.static.collect import CollectedRows, Collection, collect

log = logging.getLogger(__name__)

HELD_OUT = 4000
"""Pairs whose texts aren't read: settings were chosen on them."""


@dataclass(frozen=True, slots=True)
class RowSettings:
    """Settings of the rows.

    least: mean weight below which a term is left out, unless it is a token of the word. literal: weight of a token
    without a row, which stands for itself alone.
    """

    least: float = 0.1
    literal: float = 1.0


def make_static(encoder: CompiledEncoder, collected: CollectedRows, settings: RowSettings) -> StaticParts:
    """Return a static encoder of collected rows, with the query table of the model.

    Raises UsageError for a model without one, and for one whose words can't be told by their tokens.
    """
    if not isinstance(encoder.query, TableQueryEncoder):
        raise UsageError(f"{encoder.name}: its queries need a model, but a static encoder has a table")
    vocab_size = encoder.document.weights.vocab_size
    pieces = json.loads(encoder.tokenizer.to_str())["model"]
    if pieces.get("continuing_subword_prefix") != CONTINUING or vocab_size > MOST_TERMS:
        raise UsageError(
            f"{encoder.name}: a static encoder needs WordPieces that continue a word by {CONTINUING!r}, at most "
            f"{MOST_TERMS:,} of them, as BERT's tokenizers have them"
        )
    weights = collected.sums / collected.counts[collected.word]
    own = np.array([t in collected.words[w] for w, t in zip(collected.word, collected.term, strict=True)], bool)
    kept = own | (weights >= settings.least)
    used, row = np.unique(collected.word[kept], return_inverse=True)
    words = [collected.words[word] for word in used]
    alone = _tokens_alone(encoder, words)
    words += [(token,) for token in alone]
    row = np.concatenate([row, len(used) + np.arange(len(alone))])
    terms = np.concatenate([collected.term[kept], alone])
    weights = np.concatenate([weights[kept], np.full(len(alone), settings.literal)])
    scale = float(weights.max() / 255)
    stored = np.rint(weights / scale).astype(np.uint8)
    row, terms, stored = row[stored > 0], terms[stored > 0], stored[stored > 0]
    rows = Rows(_starts(np.bincount(row, minlength=len(words))), terms.astype(np.uint16), stored)
    document = encoder.config.document
    config = StaticConfig(
        scale,
        max_length=document.max_length or 256,
        pruning=Pruning(threshold=document.pruning.threshold),
        repeats=document.repeats,
        query_repeats=encoder.config.query_repeats,
    )
    tokens = np.concatenate([np.array(word, np.int32) for word in words])
    table = np.zeros(vocab_size, np.float32)
    table[: len(encoder.query.weights)] = encoder.query.weights
    return StaticParts(config, encoder.tokenizer, _starts(np.array([len(word) for word in words])), tokens, rows, table)


def _tokens_alone(encoder: CompiledEncoder, words: Sequence[tuple[int, ...]]) -> npt.NDArray[np.int64]:
    """Return the tokens that texts may have and that are no word with a row."""
    assert isinstance(encoder.query, TableQueryEncoder)
    weighed = np.flatnonzero(encoder.query.weights > 0)
    return np.setdiff1d(weighed, [word[0] for word in words if len(word) == 1]).astype(np.int64)


def _starts(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def read_texts(pairs: Sequence[Path], corpora: Sequence[Path], *, n_each: int, held_out: int, seed: int) -> list[str]:
    """Return the texts of documents, each once, in random order: of pairs but those held out, and of corpora.

    n_each: documents of each corpus, drawn at random. A title that is the query is left out, as in a training.
    """
    from lsr.indexer.corpus.reader import read_corpus

    rng = np.random.default_rng(seed)
    examples = read_examples(pairs)
    left_out = set(np.random.default_rng(99).permutation(len(examples))[:held_out].tolist())
    texts: dict[str, None] = {}
    for i in range(len(examples)):
        if i not in left_out:
            example = examples[i]
            document = example.documents[0]
            is_query = document.title.casefold().split() == example.query.casefold().split()
            texts[document.text if is_query else document.full_text] = None
    for path in corpora:
        documents = [document.full_text for document in read_corpus([path])]
        chosen = np.sort(rng.choice(len(documents), min(n_each, len(documents)), replace=False))
        texts.update(dict.fromkeys(documents[i] for i in chosen))
    every = list(texts)
    return [every[i] for i in rng.permutation(len(every))]


def main() -> None:
    """Make the encoder that the command line names, in place of the one there but for its card."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="default", help="model that reads the texts (default: the bundled one)")
    parser.add_argument("--pairs", type=Path, nargs="+", default=[], help="training examples, whose documents are read")
    parser.add_argument("--texts", type=Path, nargs="+", default=[], help="corpora")
    parser.add_argument("--n-each", type=int, default=50_000, help="documents of each corpus")
    parser.add_argument("--n-read", type=int, default=Collection().n_texts, help="texts that the model reads")
    parser.add_argument("--work", type=Path, default=Path("build/train/static"), help="folder of what was read")
    parser.add_argument("--words", type=float, default=8.0, help="weight of exact words")
    parser.add_argument("--words-beside-dense", type=float, default=24.0, help="the same in a hybrid search")
    parser.add_argument("--rarity", type=float, default=0.5, help="exponent of a query term's rarity")
    given = parser.parse_args()
    encoder = open_compiled(given.model)
    texts = read_texts(given.pairs, given.texts, n_each=given.n_each, held_out=HELD_OUT, seed=1)
    log.info("%s texts", f"{len(texts):,}")
    collected = collect(encoder, texts, Collection(n_texts=given.n_read), work=given.work)
    log.info("%s contexts of %s words", f"{collected.counts.sum():,}", f"{(collected.counts > 0).sum():,}")
    parts = make_static(encoder, collected, RowSettings())
    save(parts, given.folder, given.words, given.words_beside_dense, given.rarity)


def save(parts: StaticParts, folder: Path, words: float, beside_dense: float, rarity: float) -> None:
    """Write an encoder with exact words to a folder, in place of the one there but for its card."""
    config = replace(parts.config, words=WordsConfig(weight=words, beside_dense=beside_dense), rarity=rarity)
    with atomic_folder(folder) as part:
        write_static(replace(parts, config=config), part)
        if (folder / "README.md").is_file():
            shutil.copy2(folder / "README.md", part / "README.md")
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
