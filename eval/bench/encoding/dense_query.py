"""The time of a query's dense vector by the bundled model: the compiled kernels beside numpy, on one thread.

Run as `python -m lsr.eval.bench.encoding.dense_query QUERIES.jsonl`. Both encode the same queries in turn, one at a
time, from text. Numpy is what a single `lsr search` takes, and all searches took before the kernels were there.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def encoders() -> dict[str, Any]:
    """Return the bundled model's encoders of dense queries, by the names of their rows."""
    from lsr.encoders.base import model_of
    from lsr.encoders.dense.base import dense_description
    from lsr.encoders.dense.numpy_encoder import open_bare
    from lsr.encoders.registry import load_encoder

    compiled = model_of(load_encoder("default", n_threads=1))
    return {"compiled kernels, int8": compiled, "numpy, float32": open_bare(dense_description(compiled))}


def times(each: dict[str, Any], texts: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each encoder for each text, the least of some rounds, taken in turn."""
    found: dict[str, list[float]] = {name: [float("inf")] * len(texts) for name in each}
    for round_ in range(rounds + 1):
        for i, text in enumerate(texts):
            for name, encoder in each.items():
                began = time.perf_counter()
                encoder.encode_dense_queries([text])
                if round_:  # the first warms up
                    found[name][i] = min(found[name][i], time.perf_counter() - began)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Print a table of the encoders."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.dense_query", description=__doc__)
    parser.add_argument("queries", type=Path, help="queries.jsonl of a collection")
    parser.add_argument("--number", type=int, default=50, help="queries, from the first one on (default 50)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the least time counts (default 3)")
    args = parser.parse_args(argv)
    os.environ |= dict.fromkeys(_THREADS, "1") | {"TOKENIZERS_PARALLELISM": "false"}
    import numpy as np  # reads the environment

    lines = args.queries.read_text("utf-8").splitlines()[: args.number]
    texts = [json.loads(line)["text"] for line in lines]
    each = encoders()
    first = next(iter(each.values())).encode_dense_queries(texts)
    found = times(each, texts, args.rounds)
    least = statistics.median(next(iter(found.values())))
    sys.stdout.write(f"| | ms a query, median | mean | times | 1 - cosine with the first |\n|{' --- |' * 5}\n")
    for name, seconds in found.items():
        apart = 1 - float(np.mean((each[name].encode_dense_queries(texts) * first).sum(1)))
        median, mean = statistics.median(seconds), statistics.fmean(seconds)
        sys.stdout.write(f"| {name} | {median * 1e3:.2f} | {mean * 1e3:.2f} | {median / least:.2f} | {apart:.5f} |\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
