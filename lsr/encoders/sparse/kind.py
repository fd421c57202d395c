"""Sparse models and joint ones as kinds of encoders, with exact words where their config has some.

Nothing here imports torch until a model is asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsr.encoders.base import Encoder, QueryEncoder, model_of
from lsr.encoders.compiled.choose import INT8, compiled_options
from lsr.encoders.config import WordsConfig
from lsr.encoders.dense.base import DenseEncoder, JointEncoder
from lsr.encoders.lexical.exact_words import MARK, analyser_settings
from lsr.encoders.lexical.language import words_in
from lsr.encoders.lexical.with_exact_words import (
    QueriesWithWords,
    weigh_words_beside_dense,
    with_exact_words,
    words_of,
)
from lsr.encoders.pretrained.known_models import recorded_place
from lsr.encoders.pretrained.sparse_folder import AUTOENCODER, STATIC_EMBEDDING, modules_of
from lsr.encoders.registry import (
    JOINT,
    MODEL,
    EncoderKind,
    QuerySide,
    WordTerms,
    check_same,
    load_encoder,
    register,
    unknown_kind,
    usages,
)
from lsr.encoders.runtime import RUNTIME
from lsr.encoders.sparse.query_table import open_table
from lsr.encoders.sparse.vocabulary_map import RemappedQueryEncoder
from lsr.encoders.static.choose import is_static
from lsr.encoders.text.phrases import TokensAndPhrases
from lsr.encoders.text.term_spans import AnalysedWords, TermFinder, Tokens, TokensAndWords
from lsr.encoders.text.tokenizer import copy_of
from lsr.errors import EncoderError, UsageError
from lsr.models import bundled_folder


def _load(
    name_or_path: str | Path,
    *,
    terms: Sequence[str] = (),
    language: str | None = None,
    stop_words: str | Iterable[str] | None = None,
    words: float | None = None,
    **options: Any,
) -> Encoder:
    """Load the model of a folder or a hub's name, with its exact words in the newest analysis.

    terms: of an index to be continued. language, stop_words: of its exact words (default: its own). words: weight of
    exact words in queries, 0 for none (default: as the model has them). Raises UsageError for a language of a model
    without exact words.
    """
    if bundled_folder(str(name_or_path)) is None and not _might_be_model(name_or_path):
        raise EncoderError(f"no encoder {str(name_or_path)!r}: known are {', '.join(usages('load'))}")
    other = _load_other(name_or_path, options)
    if other is not None:
        given = {"language": language, "stop_words": stop_words, "words": words}
        if any(value is not None for value in given.values()):
            name = next(name for name, value in given.items() if value is not None)
            raise UsageError(f"encoder {name_or_path}: {name} is of exact words, which it has none of: leave it out")
        return other
    model = _load_model(name_or_path, **options)
    config = _words_of(model, words)
    if config is None and (language is not None or stop_words is not None):
        raise UsageError(
            f"encoder {name_or_path} has no exact words, and its model reads one language or several: leave out the "
            "language and stop words, give words a weight (--words 5), or take bm25"
        )
    return with_exact_words(model, None if config is None else words_in(config, language, stop_words), terms=terms)


def _words_of(model: Any, weight: float | None) -> WordsConfig | None:
    """Return the exact words of a model, with another weight in queries where one is given; 0 for none."""
    config: WordsConfig | None = model.config.words
    if weight is None:
        return config
    if weight == 0:
        return None
    return WordsConfig(weight) if config is None else replace(config, weight=weight)


def _load_other(name_or_path: str | Path, options: Mapping[str, Any]) -> Encoder | None:
    """Load a Sentence-Transformers folder that is another kind of encoder; None where it is a model."""
    names = modules_of(name_or_path)
    if names[-1:] == (AUTOENCODER,):
        return load_encoder(f"codes:{name_or_path}", **options)
    if names == (STATIC_EMBEDDING,):
        return load_encoder(f"token-table:{name_or_path}", **options)
    return None


def _load_model(name_or_path: str | Path, **options: Any) -> Any:
    """Load a static encoder, or a model on the compiled kernels or in torch, as `compiled_options` chooses."""
    if is_static(name_or_path):
        from lsr.encoders.static.encoder import open_static

        return open_static(name_or_path, **options)
    chosen = compiled_options(name_or_path, options)
    if chosen is not None:
        from lsr.encoders.compiled.open import open_compiled

        return open_compiled(name_or_path, **chosen)
    from lsr.encoders.pretrained.load_encoder import load_neural

    return load_neural(name_or_path, **options)


def _might_be_model(name_or_path: str | Path) -> bool:
    return isinstance(name_or_path, Path) or "/" in name_or_path or Path(name_or_path).is_dir()


def _load_recorded(
    description: Mapping[str, Any], *, moved_to: str | Path | None = None, terms: Sequence[str] = (), **options: Any
) -> Encoder:
    """Load the model that a description was made of, with the settings that it names.

    moved_to: its present place (default: the recorded one). options: `device`, `dtype`. Raises EncoderError if it isn't
    there, has changed, or mustn't be opened by its recorded name.
    """
    settings = description["settings"]
    if "document" not in settings:
        raise unknown_kind(description)
    place, revision = recorded_place(description, moved_to, "--encoder")
    document = settings["document"]
    model = _load_model(
        place,
        plain_family=description["kind"],
        revision=revision,
        max_length=document["max_length"],
        top_k=document["pruning"]["top_k"],
        threshold=document["pruning"]["threshold"],
        **options,
    )
    encoder = with_exact_words(model, words_of(description), terms=terms)
    check_same(description, encoder.description)
    return encoder


def _open_documents(
    description: Mapping[str, Any], terms: Sequence[str], *, moved_to: str | Path | None = None, **options: Any
) -> Encoder:
    if description.get("query_side") not in ("table", "model"):
        raise unknown_kind(description)
    recorded = description.get(RUNTIME)
    if isinstance(recorded, Mapping) and recorded.get("dtype") == INT8 and not {"device", "dtype"} & options.keys():
        options["dtype"] = INT8  # so that what is added has the bits that it would have had from the start
    return _load_recorded(description, moved_to=moved_to, terms=terms, **options)


def _check_query_settings(query: Mapping[str, Any]) -> None:
    """Raise ValueError for settings of a stranger's index that would fail only when a query is encoded."""
    prompt, max_length = query.get("prompt", ""), query.get("max_length")
    if not isinstance(prompt, str):
        raise ValueError(f"the prompt of queries is {prompt!r:.60}, not a text")
    if max_length is not None and (type(max_length) is not int or not 0 < max_length < 1 << 31):
        raise ValueError(f"the length of queries is {max_length!r:.60}, not a number of tokens")


def _open_queries(description: Mapping[str, Any], side: QuerySide) -> QueryEncoder:
    words = words_of(description)  # refused, if need be, before a model is loaded
    queries: QueryEncoder
    if description.get("query_side") == "table":
        settings = description["settings"]
        query = settings.get("query") or {}
        _check_query_settings(query)
        queries = open_table(
            side.files,
            side.lookup,
            side.vocab_size,
            max_length=query.get("max_length"),
            prompt=query.get("prompt", ""),
            repeats=settings.get("query_repeats", "once"),
        )
    elif description.get("query_side") == "model":
        model = model_of(_load_recorded(description, moved_to=side.moved_to))
        queries = RemappedQueryEncoder(model, model.terms, side.lookup, side.vocab_size)
    else:
        raise unknown_kind(description)
    return _with_words(queries, words, side)


def _fit_queries(encoder: Encoder, description: Mapping[str, Any], side: QuerySide) -> QueryEncoder | None:
    if description["query_side"] != "model":
        return None
    model = model_of(encoder)
    queries = RemappedQueryEncoder(model, model.terms, side.lookup, side.vocab_size)
    return _with_words(queries, words_of(description), side)


def _with_words(queries: QueryEncoder, words: WordsConfig | None, side: QuerySide) -> QueryEncoder:
    return queries if words is None else QueriesWithWords(queries, words, side.lookup, side.vocab_size)


def _open_dense(description: Mapping[str, Any], *, moved_to: str | Path | None = None, **options: Any) -> DenseEncoder:
    encoder = _load_recorded(description, moved_to=moved_to, **options)
    if not isinstance(encoder, JointEncoder):
        raise EncoderError(f"{description['name']}: the index's dense vectors are of a joint encoder, which it isn't")
    return encoder


def _load_joint(name: str, *, sparse: Encoder | None = None, **options: Any) -> DenseEncoder:
    """Return the dense half of `sparse`, which is loaded already: no option changes it."""
    del name, options
    if isinstance(sparse, JointEncoder):
        return sparse
    given = "none" if sparse is None else sparse.description["name"]
    raise UsageError(
        f"--dense {JOINT} takes the dense vectors of a joint encoder, but the encoder is {given}: name a dense model"
    )


def _find_terms(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    tokenizer, words = getattr(encoder, "tokenizer", None), words_of(description)
    if tokenizer is None:
        return AnalysedWords()
    tokens: TermFinder = Tokens(copy_of(tokenizer))
    matcher = getattr(encoder, "phrase_matcher", None)
    if matcher is not None:
        tokens = TokensAndPhrases(tokens, matcher)
    return tokens if words is None else TokensAndWords(tokens, AnalysedWords(analyser_settings(words)))


def _find_words(description: Mapping[str, Any]) -> WordTerms | None:
    words = words_of(description)
    return None if words is None else WordTerms(analyser_settings(words), MARK)


register(
    EncoderKind(
        MODEL,
        usage="default, fast, the folder of a model, a name on the hub such as owner/model",
        load=_load,
        open_documents=_open_documents,
        open_queries=_open_queries,
        fit_queries=_fit_queries,
        open_dense=_open_dense,
        find_terms=_find_terms,
        weigh_beside_dense=weigh_words_beside_dense,
        find_words=_find_words,
    )
)
register(EncoderKind(JOINT, usage=JOINT, load_dense=_load_joint))
