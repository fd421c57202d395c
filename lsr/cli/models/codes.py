"""`lsr codes`: fit sparse codes to a dense model, for the inverted index."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from lsr.cli.common import (
    TerminalProgress,
    add_command,
    add_device_argument,
    add_index_argument,
    index_path,
    note,
    positive,
)
from lsr.output.numbers import counted
from lsr.output.terminal import say

EXAMPLES = """\
examples:
  lsr codes --out my-codes              for the dense vectors of the index here
  lsr codes notes/ --dense all-MiniLM-L6-v2 --out my-codes  for a corpus' texts
  lsr index notes/ --encoder codes:my-codes                 index the codes
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "codes",
        "fit sparse codes to a dense model's vectors",
        "Fit an autoencoder whose hidden layer is sparse to dense vectors, those of an\n"
        "index or of a corpus' texts, and write it to a folder. 'codes:FOLDER' is then\n"
        "an encoder like any other: its documents and queries are found by the inverted\n"
        "index. docs/HYBRID.md has the loss of quality.",
        EXAMPLES,
    )
    parser.add_argument("corpus", nargs="*", type=Path, metavar="CORPUS", help="folders and files to read")
    add_index_argument(parser)
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="the folder for the codes")
    parser.add_argument("--dense", metavar="E", help="the dense model that encodes CORPUS")
    parser.add_argument("--codes", type=positive, default=4096, metavar="N", help="number of codes (default: 4096)")
    parser.add_argument(
        "--active", type=positive, default=128, metavar="K", help="active codes of a vector (default: 128)"
    )
    parser.add_argument("--steps", type=int, default=1000, metavar="N", help="steps of the fit (default: 1000)")
    parser.add_argument(
        "--nested", action="store_true", help="fit the first quarter and half of the codes by themselves, too"
    )
    parser.add_argument(
        "--pursuit", action="store_true", help="choose codes by matching pursuit, each for what those before leave"
    )
    parser.add_argument("--sentence-transformers", type=Path, metavar="DIR",
                        help="also write them as its SparseAutoEncoder behind the dense model")  # fmt: skip
    parser.add_argument("--sample", type=positive, default=100_000, metavar="N",
                        help="fit to a random sample of N vectors (default: 100000)")  # fmt: skip
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="seed of random choices (default: 0)")
    add_device_argument(parser)
    parser.add_argument("--dtype", metavar="T", help="dtype of the dense model: float32, bfloat16 or float16")
    parser.add_argument("--json", action="store_true", help="print the counts as a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Fit the codes, and print the counts."""
    from lsr.encoders.converted.fit_codes import FittingSettings, fit_codes
    from lsr.encoders.converted.sparse_codes import reconstruction, save_codes
    from lsr.errors import UsageError

    if bool(args.corpus) != bool(args.dense):
        raise UsageError(
            "--dense E goes with CORPUS, whose texts it encodes; without both, an index's vectors are taken"
        )
    if args.sentence_transformers is not None and args.pursuit:
        raise UsageError("--pursuit is nothing that Sentence-Transformers has: leave out --sentence-transformers")
    settings = FittingSettings(
        n_codes=args.codes, n_active=args.active, steps=args.steps, seed=args.seed,
        nested=args.nested, pursuit=args.pursuit,
    )  # fmt: skip
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        vectors, description = _of_corpus(args, progress) if args.corpus else _of_index(args)
        vectors = vectors[vectors.any(axis=1)]
        progress.start("fitting", settings.steps, "step")
        autoencoder = fit_codes(vectors, settings, device=args.device, advance=progress.advance)
    finally:
        progress.close()
    explained = reconstruction(autoencoder, vectors[:10_000])
    facts = {
        "n_vectors": len(vectors),
        "steps": settings.steps,
        "seed": settings.seed,
        "explained": round(explained, 4),
    }
    save_codes(args.out, autoencoder, description, **facts)
    if args.sentence_transformers is not None:
        from lsr.encoders.converted.write_csr import write_csr
        from lsr.encoders.pretrained.hub import locate

        write_csr(args.sentence_transformers, autoencoder, Path(locate(str(description["name"])).folder))
    seconds = time.perf_counter() - began
    if args.json:
        from lsr.io.printable import json_line

        done = {"out": str(args.out), "codes": args.codes, "active": args.active, "seconds": round(seconds, 3)}
        say(json_line(done | facts))
        return 0
    say(
        f"fitted {counted(args.codes, 'code')}, {args.active} of them active, to {counted(len(vectors), 'vector')} in "
        f"{seconds:.1f} s: {100 * explained:.0f} % of their variance is kept; {args.out}"
    )
    note(f"index with them by --encoder codes:{args.out}")
    return 0


def _of_index(args: argparse.Namespace) -> tuple[Any, Any]:
    """Return dense vectors of the index, and the description of their encoder."""
    import numpy as np

    from lsr.indexer.storage.index import StoredIndex
    from lsr.query.hybrid.dense_scores import dense_of, rows_at
    from lsr.query.hybrid.dense_search import allowed_rows
    from lsr.query.searcher import Searcher

    with StoredIndex.open(index_path(args)) as index:
        dense = dense_of(index)
        mask = allowed_rows(index, None)
        positions = np.arange(int(index.places.starts[-1])) if mask is None else np.flatnonzero(mask)
        positions = np.sort(index.places.of_places(positions))
        if len(positions) > args.sample:
            rng = np.random.default_rng(args.seed)
            positions = np.sort(rng.choice(positions, args.sample, replace=False))
        return rows_at(Searcher(index), positions), dict(dense.description)


def _of_corpus(args: argparse.Namespace, progress: TerminalProgress) -> tuple[Any, Any]:
    """Return dense vectors of a corpus' texts, and the description of their encoder."""
    import random

    import numpy as np

    from lsr.encoders.dense.base import dense_description
    from lsr.encoders.registry import load_dense_encoder
    from lsr.errors import LsrError
    from lsr.indexer.corpus.reader import read_corpus
    from lsr.types import Document

    options = {name: value for name in ("device", "dtype") if (value := getattr(args, name)) is not None}
    encoder = load_dense_encoder(args.dense, **options)
    # Vitter's algorithm R: each text read so far is in the sample with the same probability.
    kept: list[Document] = []
    rng = random.Random(args.seed)
    progress.start("reading", None, "document")
    for number, document in enumerate(read_corpus(args.corpus)):
        progress.advance(1)
        if len(kept) < args.sample:
            kept.append(document)
        elif (place := rng.randrange(number + 1)) < args.sample:
            kept[place] = document
    if not kept:
        raise LsrError(f"there is no document in {', '.join(map(str, args.corpus))}")
    progress.start("encoding", len(kept), "document")
    parts = []
    for first in range(0, len(kept), 256):
        parts.append(encoder.encode_dense_documents(kept[first : first + 256]))
        progress.advance(len(parts[-1]))
    return np.concatenate(parts), dict(dense_description(encoder))
