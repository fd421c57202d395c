"""The language of words: its stemmer and stop words, in the newest analysis, as a new index records them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import Stemmer

from lsr.encoders.config import WordsConfig
from lsr.encoders.lexical.analyser import NEWEST, AnalyserSettings
from lsr.encoders.lexical.stop_words import STOP_WORDS
from lsr.errors import UsageError

_FIXED = ("english", "none")
"""Lists that a manifest names; it holds the words of the others, so that a longer list changes no index."""
MOST_STOP_WORDS = 10_000
"""Words of a list: it is stored in the manifest."""


def languages() -> tuple[str, ...]:
    """Return the languages that words can be of; `none` stems nothing and has no stop words."""
    return ("none", *sorted(Stemmer.algorithms()))


def settings_for(
    language: str | None = None, *, stemmer: str | None = None, stop_words: str | Iterable[str] | None = None
) -> AnalyserSettings:
    """Return the settings of a new index's words.

    language: of `languages()` (default: english). stemmer, stop_words: in place of the language's, the words of a list
    themselves or the name of a language that has one. Raises UsageError for a language or list that there isn't.
    """
    language = "english" if language is None else _known(language)
    if stop_words is None:
        stop_words = "english" if language == "porter" else language if language in STOP_WORDS else "none"
    return AnalyserSettings(stemmer or language, _listed(stop_words), NEWEST)


def words_in(
    config: WordsConfig, language: str | None = None, stop_words: str | Iterable[str] | None = None
) -> WordsConfig:
    """Return a model's exact words in the newest analysis, and in another language where one is named.

    stop_words: see `settings_for`.
    """
    if language is None:
        kept = config.stop_words if stop_words is None else _listed(stop_words)
        return replace(config, stop_words=kept, version=NEWEST)
    settings = settings_for(language, stop_words=stop_words)
    return replace(config, stemmer=settings.stemmer, stop_words=settings.stop_words, version=NEWEST)


def read_stop_words(path: Path) -> tuple[str, ...]:
    """Return the words of a file in UTF-8: those of each line before a "#". Raises UsageError for one that is none."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8"
        raise UsageError(f"can't read the stop words {path}: {why}") from error
    return _listed(word for line in lines for word in line.partition("#")[0].split())  # type: ignore[return-value]


def _known(language: str) -> str:
    if not isinstance(language, str) or language.lower() not in languages():
        raise UsageError(f"no language {language!r:.40}: take one of {', '.join(languages())}")
    return language.lower()


def _listed(stop_words: str | Iterable[str]) -> str | tuple[str, ...]:
    """Return the words of a list, lower-cased, in one order; the name of one that never changes."""
    if isinstance(stop_words, str):
        if stop_words in _FIXED or stop_words not in STOP_WORDS:
            return stop_words
        stop_words = STOP_WORDS[stop_words]
    words = list(stop_words)
    if not all(isinstance(word, str) for word in words):
        raise UsageError(f"the stop words are {words!r:.60}; they must be texts")
    if len(words) > MOST_STOP_WORDS:
        raise UsageError(f"{len(words):,} stop words; the limit is {MOST_STOP_WORDS:,}")
    return tuple(sorted({word.lower() for word in words}))
