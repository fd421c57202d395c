"""Queries made from documents that have none, so that any corpus can train its own model.

Kinds: `title` and `heading`, which people wrote to say what follows; `sentence`, a sentence of the text for the rest of
it, the inverse cloze task of Lee, Chang and Toutanova, "Latent Retrieval for Weakly Supervised Open Domain Question
Answering" (ACL 2019, arXiv:1906.00300); `crop`, two random stretches of the same text, after Izacard et al.,
"Unsupervised Dense Information Retrieval with Contrastive Learning" (Contriever, TMLR 2022, arXiv:2112.09118); and
`phrase`, the rarest phrases. Where a model may generate queries, see GPL: Wang et al. (NAACL 2022, arXiv:2112.07577).
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain, islice

from lsr.errors import UsageError
from lsr.training.data.example import Example
from lsr.training.data.ngram_hashes import NearDuplicates, Seen, WordHashes, text_hash
from lsr.training.synthetic.keyphrases import PhraseFinder
from lsr.training.synthetic.text_structure import is_fit, is_generic, passages, sections, sentences, words_of
from lsr.training.teachers.bm25 import CorpusCounts, count_corpus
from lsr.types import Document

COUNTED = 20_000
"""Documents at the beginning of a stream whose words are counted where no counts are given."""

KINDS = ("title", "heading", "sentence", "crop", "phrase")
_WORDS = {"title": (2, 32), "heading": (2, 24), "sentence": (5, 40), "crop": (5, 64), "phrase": (2, 12)}
_SHORT_HEADING = 3
_MARKUP = re.compile(r"[`*]+|^[-#>|]+ ")
_N_PHRASES, _PHRASES_SHOWN = 3, 8
_CROP = (0.1, 0.5)


def _default_shares() -> dict[str, float]:
    return {"title": 0.25, "heading": 0.15, "sentence": 0.25, "crop": 0.1, "phrase": 0.25}


@dataclass(frozen=True, slots=True)
class QueryMaking:
    """How queries are made.

    shares: how often each kind is tried first; a document that can't have it gets another. limits: queries of a kind
    at most. per_document: queries of a document, of different kinds. sample: the share of documents that are used.
    leave_out: how often a query's own text is taken out of its document (.9 in Lee et al.); crops and phrases never
    are. passage_words: longer documents are cut into passages of so many words, each a document of its own; 0 cuts
    none. min_words: of a document that is to be found. seed: decides everything that is left to chance.
    """

    shares: Mapping[str, float] = field(default_factory=_default_shares)
    limits: Mapping[str, int] = field(default_factory=dict)
    per_document: int = 1
    sample: float = 1.0
    leave_out: float = 0.9
    passage_words: int = 150
    min_words: int = 20
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise UsageError for values out of their range."""
        unknown = [kind for kind in (*self.shares, *self.limits) if kind not in KINDS]
        if unknown:
            raise UsageError(f"made queries: no kind {unknown[0]!r}: there are {', '.join(KINDS)}")
        if any(share < 0 for share in self.shares.values()) or not sum(self.shares.values()) > 0:
            raise UsageError(f"made queries: shares are {dict(self.shares)}; they can't be negative or all 0")
        for name in ("sample", "leave_out"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"made queries: {name} is {getattr(self, name)}, but has to lie in 0…1")
        if self.passage_words and self.passage_words < 3 * self.min_words:
            raise UsageError(
                f"made queries: passage_words is {self.passage_words}, but has to be 0, or {3 * self.min_words} or more"
            )
        if not 1 <= self.per_document <= len(KINDS):
            raise UsageError(f"made queries: per_document is {self.per_document}, but has to lie in 1…{len(KINDS)}")


@dataclass(slots=True)
class MakingReport:
    """What making queries counted. made: queries by kind. n_unfit: passages that gave no query, too short or poor.

    n_passages: of the documents; as many as these where none was too long.
    """

    n_documents: int = 0
    n_passages: int = 0
    n_near_duplicates: int = 0
    n_repeated: int = 0
    n_unfit: int = 0
    made: Counter[str] = field(default_factory=Counter)

    def summary(self) -> list[str]:
        """Return lines for people."""
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(self.made.items())) or "none"
        left_out = (
            f"{self.n_near_duplicates:,} passages nearly like others, {self.n_unfit:,} too short or too poor, "
            f"{self.n_repeated:,} queries that came before"
        )
        source = f"{self.n_documents:,} documents in {self.n_passages:,} passages"
        made = f"made {sum(self.made.values()):,} queries of {source}: {kinds}"
        return [made, f"left out: {left_out}"]


def make_queries(
    documents: Iterable[Document],
    making: QueryMaking | None = None,
    *,
    counts: CorpusCounts | None = None,
    report: MakingReport | None = None,
) -> Iterator[Example]:
    """Yield examples of queries made from documents, one document at a time.

    counts: of the corpus, for phrases; default, of the first documents. report: counts what was made and left out.
    What is made of a document depends on it and the seed alone, save that no query comes twice.
    """
    maker = _Maker(making or QueryMaking(), report if report is not None else MakingReport())
    stream = iter(documents)
    if counts is None and maker.making.shares.get("phrase"):
        first = list(islice(stream, COUNTED))
        stream = chain(first, stream)
        if any(document.full_text.strip() for document in first):
            counts = count_corpus(first)
    maker.finder = None if counts is None else PhraseFinder(counts)
    for document in stream:
        yield from maker.examples(document)


class _Maker:
    """Makes queries of one document after another."""

    def __init__(self, making: QueryMaking, report: MakingReport) -> None:
        self.making = making
        self.report = report
        self.finder: PhraseFinder | None = None
        self._words = WordHashes()
        self._duplicates = NearDuplicates(self._words)
        self._queries = Seen()

    def examples(self, document: Document) -> Iterator[Example]:
        """Yield the examples of a document, none if it gives none."""
        chance = self._chance(document)
        if chance.random() >= self.making.sample:
            return
        self.report.n_documents += 1
        texts = passages(document.text, self.making.passage_words) if self.making.passage_words else [document.text]
        if len(texts) == 1:
            yield from self._examples(document, chance)
            return
        for number, text in enumerate(texts):
            yield from self._examples(Document(f"{document.doc_id}#{number}", text, document.title), chance)

    def _examples(self, document: Document, chance: random.Random) -> Iterator[Example]:
        making, report = self.making, self.report
        report.n_passages += 1
        if len(words_of(document.text)) < making.min_words:
            report.n_unfit += 1
            return
        if self._duplicates.enter(document.text):
            report.n_near_duplicates += 1
            return
        made, repeated = 0, 0
        for kind in self._order(chance):
            if made == making.per_document:
                break
            found = _MAKERS[kind](self, document, chance)
            if found is None:
                continue
            query, positive = _MARKUP.sub("", found[0]).strip(), found[1]
            if not is_fit(query, *_WORDS[kind]) or len(words_of(positive.text)) < making.min_words // 2:
                continue
            if self._queries.enter(text_hash([query], self._words))[0]:
                repeated += 1
                continue
            made += 1
            report.made[kind] += 1
            yield Example(query, (positive,))
        report.n_repeated += repeated
        report.n_unfit += not made and not repeated

    def _chance(self, document: Document) -> random.Random:
        text = f"{self.making.seed}\0{document.doc_id}\0{document.title}\0{document.text}"
        return random.Random(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest())

    def _order(self, chance: random.Random) -> list[str]:
        """Return the kinds that are allowed, in a random order that heeds their shares."""
        limits, made = self.making.limits, self.report.made
        shares = {k: s for k, s in self.making.shares.items() if s > 0 and made[k] < limits.get(k, made[k] + 1)}
        # Efraimidis and Spirakis (2006): sorted by u^(1/share), a weighted sample without replacement.
        keys = {kind: chance.random() ** (1 / share) for kind, share in sorted(shares.items())}
        return sorted(keys, key=lambda kind: -keys[kind])

    def _leaves_out(self, chance: random.Random) -> bool:
        return chance.random() < self.making.leave_out

    def title(self, document: Document, chance: random.Random) -> tuple[str, Document] | None:
        """Ask by the title for the text."""
        title = document.title.strip()
        if not self._leaves_out(chance):
            return title, document
        text = document.text.lstrip()
        if text.startswith(title):
            text = text[len(title) :].lstrip(" \t\r\n.:–—-#=")
        return title, _changed(document, text, title="")

    def heading(self, document: Document, chance: random.Random) -> tuple[str, Document] | None:
        """Ask by a heading for its section; a short one goes with the title."""
        fit = [s for s in sections(document.text) if len(words_of(s.text)) >= self.making.min_words // 2]
        fit = [s for s in fit if document.title.strip() or not is_generic(s.heading)]
        if not fit:
            return None
        section = chance.choice(fit)
        query = section.heading
        if is_generic(query) or len(words_of(query)) <= _SHORT_HEADING:
            query = f"{document.title.strip()} {query}".strip()
        text = section.text if self._leaves_out(chance) else f"{section.heading}\n{section.text}"
        return query, _changed(document, text)

    def sentence(self, document: Document, chance: random.Random) -> tuple[str, Document] | None:
        """Ask by a sentence for the rest of the text; never by the first, which says what the text is about."""
        text = document.text
        fit = [(a, b) for a, b in sentences(text)[1:] if is_fit(text[a:b], *_WORDS["sentence"])]
        if not fit:
            return None
        start, end = chance.choice(fit)
        if not self._leaves_out(chance):
            return _line(text[start:end]), document
        rest = f"{text[:start].rstrip()} {text[end:].lstrip()}".strip()
        return _line(text[start:end]), _changed(document, rest)

    def crop(self, document: Document, chance: random.Random) -> tuple[str, Document] | None:
        """Ask by a stretch of the text for another, which may overlap it."""
        words = document.text.split()
        n_query = min(max(5, round(len(words) * chance.uniform(*_CROP))), _WORDS["crop"][1])
        n_text = max(self.making.min_words, round(len(words) * chance.uniform(_CROP[1], 1)))
        if n_text > len(words) or n_query > len(words):
            return None
        at_query, at_text = chance.randint(0, len(words) - n_query), chance.randint(0, len(words) - n_text)
        cropped = " ".join(words[at_text : at_text + n_text])
        return " ".join(words[at_query : at_query + n_query]), _changed(document, cropped)

    def phrase(self, document: Document, chance: random.Random) -> tuple[str, Document] | None:
        """Ask by one to three of the text's weightiest phrases."""
        if self.finder is None:
            return None
        found = self.finder.phrases(document.text, _PHRASES_SHOWN)
        if not found:
            return None
        n = chance.randint(1, _N_PHRASES)
        # The weightier, the likelier.
        order = sorted(range(len(found)), key=lambda i: chance.random() * (i + 1))
        taken: list[str] = []
        for i in order:
            if len(taken) >= n and len(words_of(" ".join(taken))) >= _WORDS["phrase"][0]:
                break
            taken.append(found[i])
        return " ".join(taken), document


_MAKERS = {kind: getattr(_Maker, kind) for kind in KINDS}


def _changed(document: Document, text: str, *, title: str | None = None) -> Document:
    return Document(document.doc_id, text, document.title if title is None else title)


def _line(text: str) -> str:
    return " ".join(text.split())
