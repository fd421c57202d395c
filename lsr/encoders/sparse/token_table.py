"""Token tables for both sides: a text's tokens, each with its weight in a table, without any model.

As Sentence-Transformers saves a `SparseStaticEmbedding` alone: a baseline that counts matching tokens by their idf.
Nothing here imports torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lsr.encoders.base import QueryEncoder
from lsr.encoders.pretrained.hub import hash_of_weights, locate
from lsr.encoders.pretrained.known_models import recorded_place, remember
from lsr.encoders.pretrained.module_keys import check_keys
from lsr.encoders.pretrained.query_weights import MAX_QUERY_TOKENS, stored_weights
from lsr.encoders.pretrained.sentence_transformers_config import read_model_settings
from lsr.encoders.pretrained.sparse_folder import STATIC_EMBEDDING, module_chain, read_json
from lsr.encoders.registry import EncoderKind, QuerySide, check_same, register
from lsr.encoders.sparse.query_table import TableQueryEncoder, open_table
from lsr.encoders.text.splitter import PassageSplitter, length_of_passages
from lsr.encoders.text.term_spans import TermFinder, Tokens
from lsr.encoders.text.tokenizer import copy_of, read_tokenizer, tokenizer_hash, vocabulary
from lsr.errors import EncoderError
from lsr.types import Document, SparseBatch

KIND = "token-table"


class TokenTableEncoder:
    """Documents and queries by one table of weights. name, revision: source and version of the weights."""

    def __init__(self, name: str, revision: str, documents: TableQueryEncoder, queries: TableQueryEncoder) -> None:
        self.name = name
        self.revision = revision
        self._documents = documents
        self._queries = queries
        self._terms = vocabulary(documents.tokenizer, len(documents.weights))
        self._tokenizer_hash = tokenizer_hash(copy_of(documents.tokenizer))

    @property
    def terms(self) -> Sequence[str]:
        """The tokens by id."""
        return self._terms

    @property
    def tokenizer(self) -> Any:
        """The tokenizer; only to be read."""
        return self._documents.tokenizer

    @property
    def corpus_weighting(self) -> None:
        """None: `encode_documents` gives final weights."""
        return

    @property
    def description(self) -> Mapping[str, Any]:
        """Identity of this encoder for the manifest, as JSON values."""
        sides = {"document": self._documents, "query": self._queries}
        return {
            "kind": KIND,
            "name": f"{KIND}:{self.name}",
            "revision": self.revision,
            "tokenizer_hash": self._tokenizer_hash,
            "query_side": "table",
            "needs_corpus_statistics": False,
            "settings": {
                side: {"prompt": table.prompt, "max_length": table.max_length} for side, table in sides.items()
            },
        }

    @property
    def text_length(self) -> int | None:
        """Tokens of a document that are read; None: all."""
        length = self._documents.max_length
        return None if length is None or length >= MAX_QUERY_TOKENS else length

    def splitter(self, *, overlap: int | None = None, max_length: int | None = None) -> PassageSplitter:
        """Return a splitter of documents into passages that are read whole."""
        length = length_of_passages(self.name, self.text_length, max_length)
        return PassageSplitter(self.tokenizer, length, overlap=overlap, prompt=self._documents.prompt)

    def encode_documents(self, documents: Sequence[Document]) -> SparseBatch:
        """Return one row a document, title and text together; an empty text gives an empty row."""
        return self._documents.encode_queries([document.full_text for document in documents])

    def encode_queries(self, texts: Sequence[str]) -> SparseBatch:
        """Return one row a text; an empty text gives an empty row."""
        return self._queries.encode_queries(texts)

    def save_query_side(self, folder: Path) -> None:
        """Write the table and its tokenizer to `folder`."""
        self._queries.save(folder)


def _load(name: str | Path, *, revision: str | None = None, max_length: int | None = None) -> TokenTableEncoder:
    """Load the table of a folder or a hub's name. max_length: tokens of a document, if fewer than it reads."""
    source = locate(name, revision=revision)
    chain = module_chain(source.folder)
    if chain.names != (STATIC_EMBEDDING,):
        raise EncoderError(
            f"{source.folder}: modules {', '.join(chain.names)}, but a token table is one {STATIC_EMBEDDING}"
        )
    folder = chain.folders[0]
    check_keys(folder / "config.json", read_json(folder / "config.json"), known=("frozen", "path"))
    settings = read_model_settings(source.folder)
    if settings.similarity == "cosine" or settings.max_active_dims is not None:
        raise EncoderError(
            f"{source.folder}: similarity_fn_name 'cosine' and max_active_dims are not supported for a token table"
        )
    path = folder / "tokenizer_config.json"
    values = read_json(path) if path.is_file() else {}
    special = {value.get("content") if isinstance(value, Mapping) else value for key, value in values.items()
               if key.endswith("_token") and key != "unk_token"}  # fmt: skip
    limits = [MAX_QUERY_TOKENS, int(min(values.get("model_max_length") or MAX_QUERY_TOKENS, MAX_QUERY_TOKENS))]

    def side(prompt: str, *lengths: int | None) -> TableQueryEncoder:
        tokenizer = read_tokenizer(folder / "tokenizer.json")
        weights = stored_weights(folder, None, tokenizer.get_vocab_size())
        ids = [tokenizer.token_to_id(token) for token in special if isinstance(token, str)]
        weights[[i for i in ids if i is not None]] = 0
        length = min(length for length in (*limits, *lengths) if length is not None)
        return TableQueryEncoder(tokenizer, weights, max_length=length, prompt=prompt)

    documents, queries = side(settings.prompts["document"], max_length), side(settings.prompts["query"])
    encoder = TokenTableEncoder(
        source.name, source.commit or hash_of_weights([folder / "model.safetensors"]), documents, queries
    )
    remember(source.name, encoder.revision)
    return encoder


def _open_documents(
    description: Mapping[str, Any], terms: Sequence[str], *, moved_to: str | Path | None = None, **options: Any
) -> TokenTableEncoder:
    del terms, options  # tokens are numbered alike in all indexes, and a table has no device
    plain = {**description, "name": str(description["name"]).removeprefix(f"{KIND}:")}
    place, revision = recorded_place(plain, moved_to, "--encoder")
    encoder = _load(place, revision=revision, max_length=description["settings"]["document"]["max_length"])
    check_same(description, encoder.description)
    return encoder


def _open_queries(description: Mapping[str, Any], side: QuerySide) -> QueryEncoder:
    query = description["settings"]["query"]
    return open_table(
        side.files, side.lookup, side.vocab_size, max_length=query.get("max_length"), prompt=query.get("prompt", "")
    )


def _find_terms(description: Mapping[str, Any], encoder: Any) -> TermFinder:
    del description
    return Tokens(copy_of(encoder.tokenizer))


register(
    EncoderKind(
        KIND,
        usage=f"{KIND}:FOLDER",
        load=_load,
        open_documents=_open_documents,
        open_queries=_open_queries,
        find_terms=_find_terms,
    )
)
