"""Two levels of bounds: superblocks first, blocks only in the pages where those leave a chance. Exact.

The bounds of superblocks are sixteen times fewer bytes than those of blocks, but looser. The pages with the largest
are bounded by blocks and scored first; the threshold they leave tells which other pages have to be bounded. A page has
four superblocks, and the maxima of its blocks are one cache line of a row, so that it costs little more alone than in
a stream. Only a bound strictly below the threshold skips.
Source of the two levels: Carlson et al., "Dynamic Superblock Pruning for Fast Learned Sparse Retrieval", SIGIR 2025.
"""

from __future__ import annotations

import numpy as np

from lsr.kernels.geometry import PAGE_SUPERBLOCKS, SUPERBLOCK, SUPERBLOCK_BITS, SUPERBLOCK_BLOCKS
from lsr.kernels.jit.compile import kernel
from lsr.kernels.traversals.blockmax import (
    BUCKETS,
    Visits,
    bucket_shift,
    order_by_upper_bound,
    threshold_in_steps,
    visit,
)
from lsr.kernels.traversals.names import FIRST, FIRST_POWER
from lsr.kernels.traversals.pages import pages_at_least
from lsr.kernels.traversals.query_terms import split_terms
from lsr.kernels.traversals.superblock_bounds import (
    BoundTerms,
    add_rare_to_blocks,
    find_coarse_upper_bounds,
    find_upper_bounds_of_pages,
    forbid,
    scale_of,
    steps_of,
)

SAMPLE = 1024
"""About how many bounds are sampled to tell which is the n-th largest."""


@kernel
def upper_bound_of_rank(upper_bounds, n, threshold, top):
    """Return a number that about n bounds reach, the threshold if fewer do: counted in buckets, of many a sample.

    top: the largest bound, at least the threshold.
    """
    n_buckets = min(BUCKETS, max(upper_bounds.size, 1))
    shift = bucket_shift(threshold, top, n_buckets)
    count = np.zeros(n_buckets, np.int64)
    every = 1 + upper_bounds.size // SAMPLE
    for s in range(0, upper_bounds.size, every):
        if upper_bounds[s] >= threshold:
            count[np.uint64(top - upper_bounds[s]) >> shift] += every
    reached = 0
    for bucket in range(n_buckets):
        reached += count[bucket]
        if reached >= n:
            below = np.uint64(bucket + 1) << shift
            return max(np.uint64(top) + np.uint64(1) - min(below, np.uint64(top) + np.uint64(1)), threshold)
    return threshold


@kernel
def superblocks_in_pages(upper_bounds, pages, threshold, superblocks):
    """Write to `superblocks` those of some pages whose bound is ≥ threshold; return the count and the largest bound."""
    n, top = 0, np.uint32(0)
    for page in pages:
        first = np.int64(page) * PAGE_SUPERBLOCKS
        for s in range(first, min(first + PAGE_SUPERBLOCKS, upper_bounds.size)):
            if upper_bounds[s] >= threshold:
                superblocks[n] = s
                n += 1
                top = max(top, upper_bounds[s])
    return n, top


@kernel
def visit_pages(postings, query, bounding, least, admission, heap, scratch, scale, budget, visits):
    """Bound the blocks of promising pages, and score the superblocks that reach the threshold, best first.

    least: bound from which pages are promising, in steps, at least the threshold. bounding: see `BoundTerms`. budget:
    the most superblocks to score. For the others see `visit`; visits: see `search_superblock`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    block_bounds = scratch.block_bounds[: n_superblocks * SUPERBLOCK_BLOCKS]
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    threshold = threshold_in_steps(admission, heap, scale)
    pages = scratch.list[: pages_at_least(upper_bounds, least, scratch.list)]
    find_upper_bounds_of_pages(postings.block_max, bounding, block_bounds, upper_bounds, scratch.sums, pages)
    visits[0] += pages.size * PAGE_SUPERBLOCKS
    n, highest = superblocks_in_pages(upper_bounds, pages, threshold, scratch.queue)
    if n:
        queue = scratch.list[:n]
        shift = order_by_upper_bound(upper_bounds, scratch.queue[:n], threshold, highest, queue)
        visits[1] += visit(postings, query, Visits(queue, highest, shift), admission, heap, scratch, scale, budget)


@kernel
def search_superblock(postings, terms, weights, admission, heap, scratch, visits):
    """Leave the best documents in `heap`, as `search_exhaustive` does.

    visits: int64, (3): the superblocks that were bounded by blocks, and those scored, are added. For the other
    arguments see `search_exhaustive`.
    """
    n_superblocks = (postings.insertion.size + SUPERBLOCK - 1) >> SUPERBLOCK_BITS
    block_bounds = scratch.block_bounds[: n_superblocks * SUPERBLOCK_BLOCKS]
    upper_bounds = scratch.upper_bounds[:n_superblocks]
    query = split_terms(postings, terms, weights)
    steps = steps_of(query.row_weights, query.rare_weights)
    scale, bounding = scale_of(steps), BoundTerms(query.rows, steps.coarse, steps.finer)
    add_rare_to_blocks(postings, query.rare, steps.rare, block_bounds, scratch.places)
    has_rare = query.rare.size > 0
    maxima = postings.superblock_max
    top = find_coarse_upper_bounds(maxima, bounding, block_bounds, has_rare, upper_bounds, scratch.sums)
    if admission.allowed.size:
        top = forbid(upper_bounds, admission.allowed)
    threshold = threshold_in_steps(admission, heap, scale)
    if top >= threshold:
        # The most promising pages first, for a threshold, unless another segment has left one; then what reaches it.
        if not heap[0]:
            n_first = int(FIRST * heap.size**FIRST_POWER)
            least = upper_bound_of_rank(upper_bounds, n_first, threshold, top)
            visit_pages(postings, query, bounding, least, admission, heap, scratch, scale, n_superblocks, visits)
        least = threshold_in_steps(admission, heap, scale)
        visit_pages(postings, query, bounding, least, admission, heap, scratch, scale, n_superblocks, visits)
    if has_rare:
        block_bounds[:] = 0
