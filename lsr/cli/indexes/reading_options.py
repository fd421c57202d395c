"""Command-line arguments of reading files, built from their descriptions (`lsr.indexer.corpus.options`)."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lsr.cli.searches.option_arguments import flags_of, shape_of

if TYPE_CHECKING:
    from lsr.indexer.corpus.options import CorpusOptions

_DEST = "reading_{}"


def add_reading_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of reading files to a command; `reading_options` reads them."""
    from lsr.indexer.corpus.options import GROUP, corpus_option_specs

    group = parser.add_argument_group(GROUP)
    for name, spec, _ in corpus_option_specs():
        group.add_argument(*flags_of(name, spec), dest=_DEST.format(name), help=spec.help, **shape_of(spec))


def reading_options(args: argparse.Namespace) -> CorpusOptions:
    """Return the options that the arguments give. Raises UsageError."""
    from lsr.indexer.corpus.options import CorpusOptions, corpus_option_specs

    given = {}
    for name, spec, _ in corpus_option_specs():
        value = getattr(args, _DEST.format(name))
        if value is not None:
            given[name] = spec.parse(flags_of(name, spec)[0], value) if isinstance(value, str) else value
    return CorpusOptions(**given)


def given_reading_options(args: argparse.Namespace) -> CorpusOptions | None:
    """Return the options that the arguments give, None where they give none. Raises UsageError."""
    from lsr.indexer.corpus.options import CorpusOptions

    found = reading_options(args)
    return None if found == CorpusOptions() else found
