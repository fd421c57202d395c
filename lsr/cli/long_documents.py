"""Writing of a test collection of long documents: `python -m lsr.cli.long_documents CORPUS --out FOLDER`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lsr.eval.data.long_documents import LongDocuments, write_collection

DESCRIPTION = "Join passages to long documents, and take a sentence out of each as a query that it is relevant for."


def main(arguments: Sequence[str]) -> int:
    """Write a collection as the command line says."""
    defaults = LongDocuments()
    parser = argparse.ArgumentParser(prog="python -m lsr.cli.long_documents", description=DESCRIPTION)
    parser.add_argument("corpus", nargs="+", type=Path, help="passages: anything that 'lsr index' reads")
    parser.add_argument("--out", type=Path, required=True, help="folder of the collection, in BEIR's layout")
    parser.add_argument("--documents", type=int, default=defaults.n_documents, help="number of documents")
    parser.add_argument("--queries", type=int, default=defaults.n_queries, help="number of queries")
    parser.add_argument("--min-words", type=int, default=defaults.min_words, help="words of a document, at least")
    parser.add_argument("--seed", type=int, default=defaults.seed, help="random seed of the choices")
    args = parser.parse_args(arguments)
    settings = LongDocuments(
        n_documents=args.documents, n_queries=args.queries, min_words=args.min_words, seed=args.seed
    )
    n_documents, n_queries = write_collection(args.corpus, args.out, settings)
    sys.stdout.write(f"{n_documents:,} documents and {n_queries:,} queries in {args.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
