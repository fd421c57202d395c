"""Examples to train a model by: queries of an index, with candidates of its hybrid search and their scores."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Sequence

from lsr.query.hybrid.settings import UNION, Hybrid
from lsr.query.searcher import Searcher
from lsr.training.data.example import Example
from lsr.training.tuning.fusion import usual_of
from lsr.training.tuning.legs import ProbeLegs, collect, rank_fused
from lsr.training.tuning.probes import Probe
from lsr.types import Document

log = logging.getLogger(__name__)

AT_ONCE = 100
CANDIDATES, NEGATIVES = 30, 3
POSITIVES = 3
"""Relevant documents of a judged query that are taught, an example each."""


def taught_examples(searcher: Searcher, probes: Sequence[Probe], chance: random.Random) -> Iterator[Example]:
    """Yield examples: a relevant document and candidates of a hybrid search for each query, with its scores."""
    settings = searcher.index.manifest.tuning or usual_of(searcher.index)
    hybrid = Hybrid(UNION).settled(settings)
    for first in range(0, len(probes), AT_ONCE):
        log.info("searching for queries to teach: %s of %s", f"{first:,}", f"{len(probes):,}")
        for legs in collect(searcher, probes[first : first + AT_ONCE], [settings.words]):
            fused = rank_fused(searcher, legs, hybrid, settings.words, CANDIDATES)
            scores = dict(zip(fused.docs.tolist(), fused.scores.tolist(), strict=True))
            if legs.probe.changed is not None:
                yield from _of_made(searcher, legs, scores, legs.probe.changed, chance)
            else:
                yield from _of_judged(searcher, legs, scores, chance)


def _of_made(
    searcher: Searcher, legs: ProbeLegs, scores: dict[int, float], changed: Document, chance: random.Random
) -> Iterator[Example]:
    """Yield a made query with its document, nothing where the search doesn't find its document."""
    probe = legs.probe
    others = [position for position in scores if position != probe.position]
    if probe.position not in scores or len(others) < NEGATIVES:
        return
    chosen = chance.sample(others, NEGATIVES)
    found = _example(searcher, probe, changed, chosen, [scores[position] for position in (probe.position, *chosen)])
    if found is not None:
        yield found


def _of_judged(
    searcher: Searcher, legs: ProbeLegs, scores: dict[int, float], chance: random.Random
) -> Iterator[Example]:
    """Yield some relevant documents of a judged query, each above all that are not, whatever the search says."""
    probe = legs.probe
    others = [position for position in scores if position not in probe.relevant]
    relevant = sorted(probe.relevant, key=lambda position: (-probe.relevant[position], position))
    if len(relevant) > POSITIVES:
        relevant = chance.sample(relevant, POSITIVES)
    for position in relevant:
        if len(others) < NEGATIVES:
            return
        chosen = chance.sample(others, NEGATIVES)
        best = max(scores.values())
        positive = _plain(searcher.document(position))
        found = _example(searcher, probe, positive, chosen, [best, *(scores[other] for other in chosen)])
        if found is not None:
            yield found


def _example(
    searcher: Searcher, probe: Probe, positive: Document, others: Sequence[int], scores: Sequence[float]
) -> Example | None:
    """Return an example; None where a document has no text."""
    documents = (positive, *(_plain(searcher.document(position)) for position in others))
    if any(not document.full_text.strip() for document in documents):
        return None
    return Example(probe.text, documents, tuple(scores))


def _plain(document: Document) -> Document:
    return Document(document.doc_id, document.text, document.title)
