"""Bundling of a trained model: `python -m lsr.training.model.package_model RUN/model lsr/models/NAME`.

Words, rarity and the threshold of weights may be set here: nothing that was trained depends on them.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

from lsr.encoders.compiled.export import write_factors
from lsr.encoders.config import WordsConfig
from lsr.encoders.pretrained.load_encoder import load_neural
from lsr.encoders.pretrained.save_encoder import save_encoder
from lsr.errors import UsageError
from lsr.indexer.corpus.reader import read_corpus
from lsr.io.atomic import atomic_folder
from lsr.training.model.average import Average, average

LARGEST_BYTES = 50_000_000


def package_model(
    model: Path,
    target: Path,
    *,
    words: float | None = None,
    words_beside_dense: float | None = None,
    rarity: float | None = None,
    threshold: float | None = None,
    texts: Sequence[str] = (),
    averaged_with: tuple[Path, float] | None = None,
) -> int:
    """Write a model compactly to `target`, replacing the one there but for its card. Return its size in bytes.

    In torch it computes in bfloat16 on CPUs with instructions for it. words, words_beside_dense: their weight, and
    that in a hybrid search (`WordsConfig`). rarity, threshold: as `EncoderConfig` and `Pruning` have them (default:
    unchanged). texts: some hundred, to which the screen of the vocabulary head is fitted. averaged_with: another model
    and the share of its weights. Raises UsageError for a model above LARGEST_BYTES, one without words that could be
    weighed, and two whose weights don't fit.
    """
    encoder = load_neural(model, device="cpu", dtype="float32", threshold=threshold)
    if averaged_with is not None:
        other, share = averaged_with
        average(encoder, Average(load_neural(other, device="cpu", dtype="float32"), share))
    its_words = encoder.config.words if words is None else WordsConfig(weight=words)
    if words_beside_dense is not None:
        if its_words is None:
            raise UsageError(f"{model} has no words that could weigh {words_beside_dense:g} beside a dense vector")
        its_words = replace(its_words, beside_dense=words_beside_dense)
    encoder.config = replace(
        encoder.config,
        cpu_bfloat16=True,
        words=its_words,
        rarity=encoder.config.rarity if rarity is None else rarity,
    )
    with atomic_folder(target) as part:
        save_encoder(encoder, part, compact=True)
        write_factors(part, texts)
        for path in part.rglob("*.safetensors"):
            path.chmod(0o644)  # they are written readable for their owner alone
        size = sum(path.stat().st_size for path in part.rglob("*") if path.is_file())
        if size > LARGEST_BYTES:
            raise UsageError(f"{model}: {size:,} bytes, but a bundled model has at most {LARGEST_BYTES:,}")
        for name in ("README.md", "LICENSE"):
            if (target / name).is_file():
                shutil.copy2(target / name, part / name)
        shutil.rmtree(target, ignore_errors=True)
    return size


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--words", type=float, metavar="WEIGHT", help="give it words of this weight")
    parser.add_argument(
        "--words-beside-dense", type=float, metavar="WEIGHT", help="their weight in a hybrid search (default: the same)"
    )
    parser.add_argument("--rarity", type=float, metavar="P", help="weigh a query's terms by how rare they are")
    parser.add_argument("--threshold", type=float, metavar="W", help="drop weights below this")
    parser.add_argument(
        "--texts", type=Path, metavar="CORPUS", help="fit the head's screen to every 2,000th text of it"
    )
    parser.add_argument(
        "--average", nargs=2, metavar=("MODEL", "SHARE"), help="mix its weights with those of another, SHARE of them"
    )
    given = vars(parser.parse_args())
    mixed = given.pop("average")
    given["averaged_with"] = None if mixed is None else (Path(mixed[0]), float(mixed[1]))
    corpus = given.pop("texts")
    given["texts"] = [] if corpus is None else [of.text for of in islice(read_corpus([corpus]), 0, 500_000, 2_000)]
    print(f"{package_model(given.pop('model'), target := given.pop('target'), **given):,} bytes in {target}")  # noqa: T201
