"""`lsr explain`: the sparse vector of a text, or of a document in an index."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import add_command, add_index_argument, index_path, note, positive
from lsr.output.numbers import counted
from lsr.output.terminal import say, say_styled

if TYPE_CHECKING:
    from lsr.query.explain.text_vector import TextVector

EXAMPLES = """\
examples:
  lsr explain --text "heart attack" --encoder my-model   as a document
  lsr explain --text "heart attack"                      as a query
  lsr explain --doc MED-10 --html vector.html            what the index holds
"""
SHOWN_TERMS = 40
WIDEST_TERM, WIDEST_BAR = 24, 50


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "explain",
        "show the sparse vector of a text",
        "Show what a text is to an encoder, or to an index: its terms, how much each\n"
        "weighs, and whether it stands in the text or was expanded to. For the hits of a\n"
        "search, see 'lsr search --explain'.",
        EXAMPLES,
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--text", metavar="TEXT", help="the text to encode")
    what.add_argument("--doc", metavar="ID", help="a document of the index, as it is held there")
    add_index_argument(parser)
    parser.add_argument("--encoder", metavar="E", help="encode with this rather than as a query of the index")
    parser.add_argument("--query", action="store_true", help="with --encoder: encode as a query (default: a document)")
    parser.add_argument(
        "-n", type=positive, default=SHOWN_TERMS, metavar="N", help=f"terms to show (default: {SHOWN_TERMS})"
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object a term")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a separate page to FILE")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Encode, or look up, and print."""
    vector = _vector(args)
    if args.html is not None:
        from lsr.io.text_files import written_whole
        from lsr.server.pages.vector import vector_page

        with written_whole(args.html) as file:
            file.write(vector_page(vector))
        note(f"{counted(len(vector.terms), 'term')} in {args.html}")
    elif args.json:
        from lsr.io.printable import json_line

        say(*(json_line(asdict(term)) for term in vector.terms))
    else:
        say_styled(*vector_lines(vector, args.n))
    return 0


def _vector(args: argparse.Namespace) -> TextVector:
    from lsr.errors import UsageError

    if args.encoder is not None and (args.index is not None or args.doc is not None):
        raise UsageError("--encoder encodes a --text, without an index: leave out --index and --doc")
    if args.query and args.encoder is None:
        raise UsageError("--query goes with --encoder: an index takes a --text as a query anyway")
    if args.text is not None and not args.text.strip():
        raise UsageError("the text is empty; give at least one word")
    from lsr.query.explain.text_vector import document_vector, encoded_vector, query_vector

    if args.encoder is not None:
        from lsr.encoders.registry import load_encoder

        encoder = load_encoder(args.encoder)
        if encoder.corpus_weighting is not None and not args.query:
            note(f"{args.encoder} weighs words by the whole corpus: these are their counts")
        return encoded_vector(encoder, args.text, role="query" if args.query else "document")
    from lsr.query.searcher import Searcher

    searcher = Searcher(index_path(args))
    return query_vector(searcher, args.text) if args.doc is None else document_vector(searcher, args.doc)


def vector_lines(vector: TextVector, n: int) -> Iterator[str]:
    """Yield what a terminal shows of a vector: a bar a term, the heaviest first."""
    from lsr.io.printable import clean
    from lsr.output.explained import bar_of, headline
    from lsr.output.terminal import BOLD, DIM, columns, shortened, style, text_width

    yield headline(vector)
    if vector.keyphrases:
        yield f"keyphrases: {', '.join(map(clean, vector.keyphrases[:n]))}"
    shown = vector.terms[:n]
    if not shown:
        return
    wide = max(min(WIDEST_TERM, text_width(term.term)) for term in shown)
    room = max(0, min(WIDEST_BAR, columns() - wide - 40))
    for term in shown:
        name = shortened(clean(term.term), WIDEST_TERM)
        bar = bar_of(term.weight / shown[0].weight, room)
        stands = "expanded" if not term.in_text else f"text: {clean(term.word)}" if term.word else "text"
        yield (
            f"{style(name, BOLD) if term.in_text else name}{' ' * (wide - text_width(name))}  {term.weight:>7.4g}  "
            f"{bar if term.in_text else style(bar, DIM)}{' ' * (room - len(bar))}  {style(stands, DIM)}"
        )
    if len(vector.terms) > n:
        yield style(f"… {counted(len(vector.terms) - n, 'term')} more (-n shows more)", DIM)
