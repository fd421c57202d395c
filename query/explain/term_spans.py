"""Finding the terms of an index in texts, as its kind of encoder does it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lsr.encoders.lexical.analyser import AnalyserSettings
from lsr.encoders.registry import find_terms
from lsr.encoders.text.term_spans import AnalysedWords, Placed, TermFinder, TermSpan, Tokens
from lsr.indexer.transfer.ready_vectors import READY_VECTORS
from lsr.query.idf_weighting import IdfWeightedEncoder

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["AnalysedWords", "Placed", "TermFinder", "TermSpan", "term_finder"]

_WORD_PIECES = frozenset(("##s", "##ing", "##ed", "##er", "##ly"))
"""Some of these stand in every vocabulary of English word pieces that was not made for a few documents."""


def term_finder(description: Mapping[str, Any], encoder: Any, vocabulary: Iterable[str] = ()) -> TermFinder:
    """Return what finds terms in texts. description: of an encoder, as a manifest has it. encoder: itself, opened.

    vocabulary: of an index of ready vectors, which doesn't say how its terms were made: word pieces are found by
    this vocabulary, if it looks like one of them, and else lower-cased words.
    """
    if description["kind"] == READY_VECTORS:
        terms = list(vocabulary)
        if not _WORD_PIECES.isdisjoint(terms):
            return Tokens(_word_pieces(terms))
        return AnalysedWords(AnalyserSettings("none", "none"))
    return find_terms(description, encoder.model if isinstance(encoder, IdfWeightedEncoder) else encoder)


def _word_pieces(terms: Iterable[str]) -> Tokenizer:
    """Return a tokenizer of BERT's kind, without accents and capitals, over the terms that an index holds."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

    unknown = "[UNK]"
    pieces = {term: i for i, term in enumerate(dict.fromkeys([*terms, unknown]))}
    tokenizer = Tokenizer(models.WordPiece(pieces, unk_token=unknown))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return tokenizer
