"""`lsr index`: make an index of texts, or of ready vectors."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsr.cli.common import (
    TerminalProgress,
    add_command,
    add_device_argument,
    corpus_place,
    new_index_path,
    note,
    note_compiling,
    positive,
)
from lsr.cli.indexes.expansion_options import add_expansion_arguments, expansions_of
from lsr.cli.indexes.language_options import add_language_arguments, language_of
from lsr.cli.indexes.passage_options import add_passage_arguments, check_passage_arguments, reader_of
from lsr.cli.indexes.ray_options import add_ray_arguments, as_json, check_ray_arguments, encoders_of, place_of
from lsr.cli.indexes.reading_options import add_reading_arguments, reading_options
from lsr.cli.indexes.without_effect import note_without_effect
from lsr.cli.models.model_options import add_model_arguments, model_options, refuse_model_options
from lsr.models import DEFAULT, default_encoder
from lsr.output.numbers import counted, human_bytes
from lsr.output.terminal import say

if TYPE_CHECKING:
    from lsr.api.build import Built

PARTITIONS = ("range", "hash")
EXAMPLES = """\
examples:
  lsr index notes/                           a folder of texts, into ./.lsr
  lsr index corpus.jsonl --index my-index    one file, into the folder my-index
  lsr index notes/ --encoder bm25            words only, in seconds, no model
  lsr index notes/ --language german         German stems and stop words
  lsr index notes/ --encoder path/to/model   with your own SPLADE model
  lsr index notes/ --dense all-MiniLM-L6-v2  with dense vectors as well
  lsr index --dense all-MiniLM-L6-v2         dense vectors for ./.lsr
  lsr index notes/ --dense joint --smooth    also found by what near ones say
  lsr index --vectors documents.parquet      vectors instead of text
  lsr index corpus.jsonl --shards 4          a set of 4 shards
  lsr index corpus.jsonl --shards 4 --ray    encoded and built on a Ray cluster
"""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "index",
        "make an index of text",
        "Read folders and files (texts, Markdown, HTML, source code, PDF, Word, mail,\n"
        "JSON, CSV, Parquet and more: docs/CORPORA.md), encode their documents and make\n"
        "an index of them. Hidden files and files that git ignores are skipped; the end\n"
        "of the output counts what was skipped and why.",
        EXAMPLES,
    )
    parser.add_argument(
        "corpus", nargs="*", type=corpus_place, metavar="CORPUS", help="folders and files to read, here or by URL"
    )
    parser.add_argument("--index", type=Path, metavar="DIR", help="folder of the index (default: ./.lsr)")
    parser.add_argument(
        "--encoder",
        metavar="E",
        help="bm25, fast (bundled, without a transformer), the folder of a model, or its name on the Hugging Face hub "
        f"(default: $LSR_ENCODER, or the bundled {DEFAULT})",
    )
    parser.add_argument(
        "--vectors", type=Path, nargs="+", action="extend", default=[], metavar="FILE",
        help="vectors instead of text: Parquet (columns id, terms or term_ids, weights), JSON lines (id, vector), or "
        "CIFF",
    )  # fmt: skip
    parser.add_argument(
        "--dense", metavar="E", help="store dense vectors as well: the folder of a dense model, its name on the hub, "
        "or 'joint' if --encoder gives both; without CORPUS, add them to an existing index"
    )  # fmt: skip
    parser.add_argument(
        "--smooth", action="store_true", help="mix each document's vector with those of its nearest ones by dense "
        "vectors; without CORPUS, in an existing index: docs/HYBRID.md"
    )  # fmt: skip
    parser.add_argument(
        "--prune", type=float, metavar="MASS", help="index only the heaviest terms of a document that hold this share "
        "of its mass, such as 0.9: smaller and faster, and other results: docs/ENGINE.md"
    )  # fmt: skip
    parser.add_argument(
        "--tune",
        action="store_true",
        help="then fit hybrid search to the documents by made queries, as 'lsr tune' does",
    )
    add_model_arguments(parser)
    add_language_arguments(parser)
    add_passage_arguments(parser)
    add_expansion_arguments(parser)
    add_reading_arguments(parser)
    add_device_argument(parser)
    parser.add_argument(
        "--dtype",
        metavar="T",
        help="data type for models: int8, float32, bfloat16 or float16 "
        "(default: int8 for the bundled and exported models, others' own choice, or float32)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing index, or its dense vectors")
    parser.add_argument("--skip-bad", action="store_true", help="skip and count what can't be read")
    parser.add_argument(
        "--no-reorder",
        action="store_true",
        help="don't place similar documents together: indexing is faster, searches slower, results the same",
    )
    parser.add_argument(
        "--shards", type=positive, metavar="N", help="make a set of N shards, searched as one index: docs/SCALE.md"
    )  # fmt: skip
    parser.add_argument(
        "--partition", choices=PARTITIONS, help="divide a set's documents by their order of addition (range, the "
        "default), or by the hashes of their doc_ids"
    )  # fmt: skip
    parser.add_argument("--threads", type=positive, metavar="N", help="number of threads (default: all cores)")
    parser.add_argument("--json", action="store_true", help="print the result as a JSON object")
    add_ray_arguments(parser, "encode, and build the shards of a set,")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Make the index and report its size."""
    from lsr.errors import UsageError
    from lsr.io.cores import available_cores

    check_passage_arguments(args)
    check_ray_arguments(args)
    args.index = new_index_path(args)
    if (args.passages or args.overlap is not None or args.passage_length is not None) and not args.corpus:
        raise UsageError("--passages cuts the texts of a CORPUS: name its folders and files")
    if args.expansions is not None and not args.corpus:
        raise UsageError("--expansions are read behind the texts of a CORPUS: name its folders and files")
    if args.tune and (args.dense is None or args.shards is not None):
        raise UsageError("--tune fits hybrid search, of single indexes: name the dense model by --dense")
    if args.prune is not None and not args.corpus and not args.vectors:
        raise UsageError("--prune leaves terms out of new documents: name a CORPUS, or --vectors")
    if not args.corpus and not args.vectors and (args.dense is not None or args.smooth):
        code = _add_dense(args) if args.dense is not None else 0
        code = _smooth(args) if args.smooth else code
        _tune(args)
        return code
    if args.prune is not None and not 0 < args.prune < 1:
        raise UsageError(f"--prune is {args.prune:g}; it must be above 0 and below 1, the share of the mass to keep")
    if args.smooth and args.vectors:
        raise UsageError("--smooth goes with CORPUS, or with an existing index: 'lsr index --smooth' after this")
    if args.language is not None or args.stopwords is not None:
        _check_language(args)
    if bool(args.corpus) == bool(args.vectors):
        raise UsageError("name what to index: either CORPUS folders and files, or --vectors FILE.parquet")
    note_without_effect(args, encoder=None if args.vectors else args.encoder or default_encoder())
    options = {
        "overwrite": args.overwrite,
        "reorder": not args.no_reorder,
        "threads": args.threads or available_cores(),
        "shards": _partition(args),
        "builders": _builders(args),
    }
    if args.prune is not None:
        options["prune"] = args.prune
    if args.smooth:
        options["smooth"] = True
    note_compiling("split_range")
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        built = _index_vectors(args, progress, options) if args.vectors else _index(args, progress, options)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    for line in built.summary:
        note(line)
    manifest, n_documents = built.manifest, built.n_documents
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(args.index),
            "documents": n_documents,
            **_lengths(built),
            "postings": manifest.n_postings,
            "size_bytes": manifest.size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        say(json_line(done))
    else:
        per_second = n_documents / seconds
        rate = f"{per_second:,.{0 if per_second >= 10 else 1}f} a second"
        size = human_bytes(manifest.size_bytes)
        pieces = f" ({counted(manifest.n_docs, 'passage')})" if manifest.n_docs > n_documents else ""
        say(f"indexed {counted(n_documents, 'document')}{pieces} in {seconds:.1f} s ({rate}) into {args.index}, {size}")
    _tune(args)
    return 0


def _tune(args: argparse.Namespace) -> None:
    if args.tune:
        from lsr.cli.models.tune import tune_new

        tune_new(args.index, threads=args.threads)


def _partition(args: argparse.Namespace) -> Any:
    """Return how a set is divided, None for a single index."""
    from lsr.errors import UsageError
    from lsr.indexer.shards.manifest import RANGE, Partition

    if args.shards is None:
        if args.partition is not None:
            raise UsageError("--partition divides a set: give the number of its shards by --shards")
        return None
    return Partition(args.shards, args.partition or RANGE)


def _builders(args: argparse.Namespace) -> Any:
    """Return what builds the shards of a set on a cluster, None without one."""
    if args.ray is None or args.shards is None:
        return None
    from lsr.cluster.build_tasks import RayBuilders

    return RayBuilders(args.ray or None, args.shards, threads=args.threads)


def _lengths(built: Built) -> dict[str, int]:
    """Return the number of passages, and of the tokens that documents have and that were read, where they are known."""
    passages = {} if built.manifest.passages is None else {"passages": built.manifest.n_docs}
    tokens = built.tokens
    return passages if tokens is None else {**passages, "tokens": tokens.tokens, "tokens_read": tokens.read}


def _index(args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]) -> Built:
    from lsr.api.build import BuildOptions, build
    from lsr.api.sources import Paths
    from lsr.encoders.base import model_of
    from lsr.encoders.compiled.choose import int8_hint
    from lsr.encoders.device import WORDS, placement_of
    from lsr.encoders.registry import kind_of, load_dense_encoder, load_encoder

    name = args.encoder or default_encoder()
    expansions = expansions_of(args)
    if args.encoder is None and name == DEFAULT:
        note(f"encoding with the bundled model {name}; --encoder fast takes a fraction of the time")
    elif args.encoder is None:
        note(f"encoding with {name}, as LSR_ENCODER has it")
    of_dense = name == WORDS and args.dense is not None  # then the device is that of the dense model
    placement = {} if of_dense else placement_of(name, device=args.device, dtype=args.dtype)
    read_as = model_options(args)
    encoder = load_encoder(name, **placement, **language_of(args), **read_as)
    takes_name = kind_of(encoder.description).takes_name  # as codes:MODEL does, which isn't a model's place
    hint = None if takes_name else int8_hint(name, model_of(encoder), args.dtype)
    if hint is not None:
        note(hint)
    dense = None if args.dense is None else load_dense_encoder(args.dense, sparse=encoder, **_placement(args))
    if args.ray is not None and (encoder.corpus_weighting is None or dense is not None):
        options["workers"] = encoders_of(
            args, encoder=place_of(name), options=as_json(placement | language_of(args) | read_as), staged=True,
            dense=place_of(args.dense), dense_options=_placement(args),
        )  # fmt: skip
    return build(
        Paths(tuple(args.corpus), reading_options(args)), args.index, encoder, dense=dense,
        reader=reader_of(args, encoder, dense, behind=0 if expansions is None else expansions.room),
        options=BuildOptions(skip_bad=args.skip_bad, progress=progress, expansions=expansions, **options),
    )  # fmt: skip


def _check_language(args: argparse.Namespace) -> None:
    from lsr.errors import UsageError

    if not args.corpus:
        raise UsageError("--language and --stopwords are of the texts of a CORPUS: name its folders and files")


def _placement(args: argparse.Namespace) -> dict[str, str]:
    """Return the device and data type that the arguments give."""
    return {name: value for name in ("device", "dtype") if (value := getattr(args, name)) is not None}


def _index_vectors(args: argparse.Namespace, progress: TerminalProgress, options: dict[str, Any]) -> Built:
    from lsr.api.build import Built
    from lsr.encoders.registry import load_dense_encoder
    from lsr.indexer.pipeline import index_vectors

    encoder = _encoder_of_vectors(args)
    dense = None if args.dense is None else load_dense_encoder(args.dense, sparse=encoder, **_placement(args))
    manifest, summary = index_vectors(
        args.vectors, args.index, encoder=encoder, dense=dense, progress=progress, **options
    )
    return Built(manifest, tuple(summary))


def _smooth(args: argparse.Namespace) -> int:
    """Smooth the documents of an existing index and report the counts."""
    from lsr.indexer.update.smooth import smooth_index

    progress = TerminalProgress()
    note_compiling("split_range")
    began = time.perf_counter()
    try:
        manifest = smooth_index(args.index, progress=progress)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "postings": manifest.n_postings,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        say(json_line(done))
    else:
        terms = manifest.n_postings / max(manifest.n_positions, 1)
        say(f"smoothed {counted(manifest.n_docs, 'document')} in {seconds:.1f} s: {terms:.1f} terms a document")
    return 0


def _encoder_of_vectors(args: argparse.Namespace) -> Any:
    """Return the encoder of the queries of ready vectors, with the settings that the vectors were encoded with."""
    from lsr.encoders.registry import load_encoder, open_document_encoder
    from lsr.indexer.encode.vectors_origin import origin_of

    origin = origin_of(args.vectors)
    if args.encoder is None:
        refuse_model_options(args, "is of a model: name it by --encoder")
        if origin is not None:
            name = origin.encoder.get("name")
            note(f"the vectors are of {name}; with --encoder {name} the index takes queries as text")
        return None
    given = model_options(args)
    if origin is None or given:
        encoder = load_encoder(args.encoder, **given)
        if origin is not None:
            origin.check(encoder.description, f"--encoder {args.encoder}")
        return encoder
    loaded = load_encoder(args.encoder)
    if loaded.description.get("settings") == origin.encoder.get("settings"):
        origin.check(loaded.description, f"--encoder {args.encoder}")
        return loaded
    if any(loaded.description.get(key) != origin.encoder.get(key) for key in ("revision", "tokenizer_hash")):
        origin.check(loaded.description, f"--encoder {args.encoder}")
    return open_document_encoder(origin.encoder, (), moved_to=args.encoder)


def _add_dense(args: argparse.Namespace) -> int:
    """Add dense vectors to an existing index and report the counts."""
    from lsr.encoders.registry import JOINT, load_dense_encoder, open_document_encoder
    from lsr.errors import UsageError
    from lsr.indexer.storage.index import StoredIndex
    from lsr.indexer.update.add_dense import add_dense

    if args.encoder is not None:
        raise UsageError("--encoder goes with CORPUS: dense vectors alone leave the index's encoder as it is")
    refuse_model_options(args, "goes with CORPUS: dense vectors alone leave the index's encoder as it is")
    with StoredIndex.open(args.index) as index:
        recorded = index.manifest.encoder
    of_model = recorded.get("query_side") in ("model", "table")
    sparse = open_document_encoder(recorded, (), **_placement(args)) if args.dense == JOINT and of_model else None
    encoder = load_dense_encoder(args.dense, sparse=sparse, **_placement(args))
    progress = TerminalProgress()
    began = time.perf_counter()
    try:
        manifest = add_dense(args.index, encoder, overwrite=args.overwrite, threads=args.threads, progress=progress)
    finally:
        progress.close()
    seconds = time.perf_counter() - began
    size_bytes = sum(info.size_bytes for s in manifest.segments if s.dense for info in s.dense.files.values())
    if args.json:
        from lsr.io.printable import json_line

        done = {
            "index": str(args.index),
            "documents": manifest.n_docs,
            "dimension": encoder.dimension,
            "size_bytes": size_bytes,
            "seconds": round(seconds, 3),
            "generation": manifest.generation,
        }
        say(json_line(done))
    else:
        documents = counted(manifest.n_docs, "document")
        say(f"added dense vectors of {documents} to {args.index} in {seconds:.1f} s, {human_bytes(size_bytes)}")
    return 0
