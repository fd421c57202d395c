"""Making of parallel texts for training and tests: `python -m lsr.training.multilingual.make FOLDER LANGUAGE …`.

FOLDER gets `pairs.parquet` (English and a translation each), `texts.jsonl` (some of both, to fit a head to),
`backbone/`, a transformer to start from, and for each language a test collection `tests/en-LANGUAGE/`: English messages
as queries, texts of the language as documents.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsr.errors import LsrError, UsageError
from lsr.training.multilingual.backbone import BackboneSettings, make_backbone
from lsr.training.multilingual.catalogues import parallel_texts

log = logging.getLogger(__name__)

PAIRS, TEXTS, BACKBONE, TESTS = "pairs.parquet", "texts.jsonl", "backbone", "tests"
N_TEXTS = 400
PLACE = "/usr/share/locale"


@dataclass(frozen=True, slots=True)
class Parts:
    """Messages that train, and those that test: one in `one_in`, by a hash of the English one.

    n_queries, n_documents: of a language's test collection, at most; documents beside those of the queries are
    translations of other test messages, then of training ones.
    """

    one_in: int = 10
    n_queries: int = 300
    n_documents: int = 2000

    def tests(self, message: str) -> bool:
        """Return whether a message tests."""
        digest = hashlib.blake2b(message.encode(), digest_size=4).digest()
        return int.from_bytes(digest, "big") % self.one_in == 0


def write_parts(folder: Path, texts: Mapping[str, Mapping[str, str]], parts: Parts) -> list[list[str]]:
    """Write pairs and test collections, and return the training sentences in all their languages.

    texts: English messages with their translations, by language. Raises UsageError for a language without texts.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    sentences: dict[str, list[str]] = {}
    pairs: list[tuple[str, str, str]] = []
    for language, messages in texts.items():
        if not any(map(parts.tests, messages)):
            raise UsageError(
                f"language {language!r}: {len(messages)} messages of four words or more: too few for tests"
            )
        for message, translation in messages.items():
            if not parts.tests(message):
                sentences.setdefault(message, [message]).append(translation)
                pairs.append((language, message, translation))
        _write_collection(folder / TESTS / f"en-{language}", messages, parts)
    step = max(1, 2 * len(pairs) // N_TEXTS)
    some = [text for _, message, translation in pairs[::step] for text in (message, translation)]
    _write_lines(folder / TEXTS, {str(number): text for number, text in enumerate(some)})
    names = ("source", "query", "positive")
    pq.write_table(pa.table(dict(zip(names, map(list, zip(*pairs, strict=True)), strict=True))), folder / PAIRS)
    return list(sentences.values())


def _write_collection(folder: Path, messages: Mapping[str, str], parts: Parts) -> None:
    tests = [message for message in messages if parts.tests(message)]
    others = [message for message in messages if not parts.tests(message)]
    asked = tests[:: max(1, len(tests) // parts.n_queries)][: parts.n_queries]
    texts = dict.fromkeys(messages[message] for message in [*asked, *tests, *others])
    # Sorted, so that no order of insertion prefers relevant documents where scores are equal.
    kept = sorted(list(texts)[: max(len(asked), parts.n_documents)])
    numbers = {text: f"d{number}" for number, text in enumerate(kept)}
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    queries = {f"q{number}": message for number, message in enumerate(asked)}
    _write_lines(folder / "corpus.jsonl", {number: text for text, number in numbers.items()})
    _write_lines(folder / "queries.jsonl", queries)
    judged = "".join(f"{name}\t{numbers[messages[message]]}\t1\n" for name, message in queries.items())
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n" + judged, encoding="utf-8")


def _write_lines(path: Path, texts: Mapping[str, str]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for name, text in texts.items():
            file.write(json.dumps({"_id": name, "title": "", "text": text}, ensure_ascii=False) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Write pairs, tests and a backbone."""
    plain, parts = BackboneSettings(), Parts()
    parser = argparse.ArgumentParser(description="make parallel texts of gettext catalogues, and a model to start from")
    parser.add_argument("folder", type=Path, help="folder for all that is made")
    parser.add_argument("languages", nargs="+", help="such as de fr ru ja, names of folders below --catalogues")
    parser.add_argument("--catalogues", type=Path, default=Path(PLACE), help=f"where programs have them ({PLACE})")
    parser.add_argument("--terms", type=int, default=plain.n_terms, help=f"of the tokenizer (default: {plain.n_terms})")
    parser.add_argument("--size", type=int, default=plain.size, help=f"of the states (default: {plain.size})")
    parser.add_argument("--queries", type=int, default=parts.n_queries, help=f"default: {parts.n_queries}")
    parser.add_argument("--documents", type=int, default=parts.n_documents, help=f"default: {parts.n_documents}")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="lsr: %(message)s")
    try:
        texts = {
            language: parallel_texts((args.catalogues / language / "LC_MESSAGES").glob("*.mo"))
            for language in args.languages
        }
        wanted = Parts(n_queries=args.queries, n_documents=args.documents)
        sentences = write_parts(args.folder, texts, wanted)
        log.info(f"{len(sentences):,} sentences of {', '.join(f'{n}: {len(t):,}' for n, t in texts.items())}")
        make_backbone(sentences, args.folder / BACKBONE, BackboneSettings(n_terms=args.terms, size=args.size))
    except LsrError as error:
        sys.stderr.write(f"lsr: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
