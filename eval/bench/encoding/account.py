"""An account of the microseconds that a token takes in int8, step by step, beside what the core can.

Run as `python -m lsr.eval.bench.encoding.account CORPUS`. One thread encodes the same passages some times; each call of
a kernel is timed by the processor's time, so that steps add up to the whole and other work disturbs least.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from lsr.encoders.compiled import forward, model, products
from lsr.encoders.compiled.open import open_compiled
from lsr.eval.bench.encoding.passages import passages
from lsr.kernels.encode.limits import float_limit, integer_limit
from lsr.kernels.encode.pack import FloatLinear, PackedLinear

STEPS: tuple[tuple[ModuleType, str], ...] = (
    *((forward, name) for name in ("embed_rows", "attend", "normalise_rows")),
    *((products, name) for name in ("round_rows", "round_gelu_rows", "linear", "linear_and_gelu", "linear_onto")),
    *((products, name) for name in ("unrounded_rows", "float_linear", "round_for_screen", "largest_bounds")),
    *((products, name) for name in ("candidates", "scores_of", "largest_scores")),
    *((model, name) for name in ("log1p_of", "count_repeats", "prune")),
)
"""Functions that are timed, each in the module that calls it."""


@dataclass(slots=True)
class Step:
    """Seconds of the processor that a step took in all, and its operations where it is a product of matrices."""

    seconds: float = 0.0
    operations: float = 0.0


@dataclass(frozen=True, slots=True)
class Account:
    """Steps by name, and seconds of the processor of the whole, for n_tokens."""

    steps: dict[str, Step]
    seconds: float
    n_tokens: int
    n_texts: int


@dataclass(slots=True)
class _Clock:
    steps: dict[str, Step] = field(default_factory=dict)

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any) -> Any:
            began = time.thread_time()
            found = function(*args)
            took = time.thread_time() - began
            label, operations = _described(name, args)
            step = self.steps.setdefault(label, Step())
            step.seconds += took
            step.operations += operations
            return found

        return call


def _described(name: str, args: Sequence[Any]) -> tuple[str, float]:
    """Return what a call is named in the account, and its operations, two for each product."""
    layer = next((of for of in args if isinstance(of, PackedLinear | FloatLinear)), None)
    if layer is None or name in ("scores_of", "candidates"):
        return name, 0
    n_rows = args[1][-1] if name in ("largest_bounds",) else args[2][-1] if name == "largest_scores" else None
    if n_rows is None:
        n_rows = next(of for of in args if isinstance(of, int))
    return f"{name} {layer.size} → {layer.n_outputs}", 2.0 * int(n_rows) * layer.size * layer.n_outputs


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    before = [(module, name, getattr(module, name)) for module, name in STEPS]
    try:
        for module, name, function in before:
            setattr(module, name, clock.timed(name, function))
        yield
    finally:
        for module, name, function in before:
            setattr(module, name, function)


def account(corpus: Path, n: int, *, encoder: str = "default", rounds: int = 3) -> Account:
    """Encode n passages of a corpus in one thread, and return the account of the fastest of some rounds."""
    opened = open_compiled(encoder, dtype="int8", n_threads=1)
    documents = passages(corpus, n)
    n_tokens = sum(len(tokens.ids) for tokens in opened.document.tokens([of.full_text for of in documents]))
    opened.encode_documents(documents[:8])
    found: Account | None = None
    for _ in range(rounds):
        clock = _Clock()
        with _watched(clock):
            began = time.process_time()
            opened.encode_documents(documents)
            seconds = time.process_time() - began
        if found is None or seconds < found.seconds:
            found = Account(clock.steps, seconds, n_tokens, len(documents))
    assert found is not None
    return found


def lines(found: Account, integers: float | None, floats: float) -> list[str]:
    """Return the account as a table: a row a step, the longest first."""
    rows = ["| step | µs a token | billion operations a second | of what a core can |", "| --- | --- | --- | --- |"]
    for name, step in sorted(found.steps.items(), key=lambda item: -item[1].seconds):
        rate = step.operations / step.seconds if step.seconds else 0.0
        limit = floats if name.startswith("float_linear") else integers
        share = f"{100 * rate / limit:.0f} %" if rate and limit else ""
        speed = f"{rate / 1e9:.0f}" if rate else ""
        rows.append(f"| {name} | {step.seconds / found.n_tokens * 1e6:.2f} | {speed} | {share} |")
    rest = found.seconds - sum(step.seconds for step in found.steps.values())
    rows.append(f"| tokenising and all else | {rest / found.n_tokens * 1e6:.2f} | | |")
    rows.append(f"| in all | {found.seconds / found.n_tokens * 1e6:.2f} | | |")
    can = "no VNNI" if integers is None else f"{integers / 1e9:.0f} billion on bytes"
    mean = found.n_tokens / found.n_texts
    return [
        *rows,
        "",
        (
            f"{found.n_texts} passages of {mean:.0f} tokens, {found.n_texts / found.seconds:.1f} a second of one core; "
            f"a core can do {can} and {floats / 1e9:.0f} billion on float32."
        ),
    ]


def main(argv: Sequence[str] | None = None) -> int:
    """Print the account."""
    parser = argparse.ArgumentParser(prog="python -m lsr.eval.bench.encoding.account", description=__doc__)
    parser.add_argument("corpus", type=Path, help="corpus of short texts, such as passages of Wikipedia in Parquet")
    parser.add_argument("--passages", type=int, default=200, metavar="N", help="passages to encode (default 200)")
    parser.add_argument("--encoder", default="default", help="model (default: the bundled one)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds, of which the fastest counts (default 3)")
    args = parser.parse_args(argv)
    limits = [(integer_limit(), float_limit()) for _ in range(2)]
    found = account(args.corpus, args.passages, encoder=args.encoder, rounds=args.rounds)
    limits += [(integer_limit(), float_limit())]
    integers = [of for of, _ in limits if of is not None]
    table = lines(found, max(integers) if integers else None, float(np.max([of for _, of in limits])))
    sys.stdout.write("".join(f"{line}\n" for line in table))
    return 0


if __name__ == "__main__":
    sys.exit(main())
