"""The number of threads that encoding may take, whatever encodes. Nothing here imports torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from lsr.io.cores import available_cores

TOKENIZER_THREADS = "RAYON_NUM_THREADS"
"""Environment variable by which the tokenizers library asks how many threads it may start; it asks once."""

_limit: ContextVar[int | None] = ContextVar("encoding_threads", default=None)


def encoding_threads() -> int:
    """Return the number of threads that encoding may take: all cores, unless `limited_threads` says otherwise."""
    return _limit.get() or available_cores()


@contextmanager
def limited_threads(n: int | None) -> Iterator[None]:
    """Let encoding take at most n threads meanwhile: integer kernels, torch, and tokenizers. None: no limit."""
    token = _limit.set(n)
    given = TOKENIZER_THREADS in os.environ
    if not given and n is not None:
        os.environ[TOKENIZER_THREADS] = str(n)
    try:
        yield
    finally:
        if not given:
            os.environ.pop(TOKENIZER_THREADS, None)
        _limit.reset(token)


@contextmanager
def limited_torch() -> Iterator[None]:
    """Hold torch to the limit meanwhile, and never raise what a program or OMP_NUM_THREADS has set."""
    torch = sys.modules["torch"]
    before, limit = torch.get_num_threads(), _limit.get()
    if limit is None or limit >= before:
        yield
        return
    torch.set_num_threads(limit)
    try:
        yield
    finally:
        torch.set_num_threads(before)
