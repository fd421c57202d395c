"""A query's terms are told apart: the frequent ones by their rows, the rare ones by their ranks."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from kernel_cases import draw_case, property_cases, seeds, sizes
from kernel_oracle import split_terms_plain

from lsr.kernels.traversals.query_terms import split_terms


@property_cases(4)
@given(seed=seeds, n_docs=sizes)
def test_terms_split_into_frequent_and_rare(seed: int, n_docs: int) -> None:
    postings, (terms, weights) = draw_case(seed, n_docs)
    split = split_terms(postings, terms, weights)
    plain = split_terms_plain(postings, terms.tolist(), weights.tolist())
    assert [array.tolist() for array in split] == list(plain)
    assert [array.dtype for array in split] == [np.int64, np.uint32, np.int64, np.uint32]
