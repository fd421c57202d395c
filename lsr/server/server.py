"""The HTTP side of `lsr serve`: a REST API and a page, on the standard library alone.

Everything answers to GET and HEAD, and changes nothing. Errors are JSON: {"error": …}.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import traceback
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from lsr.api.documents import count_documents, documents_by_id
from lsr.errors import LsrError, UsageError
from lsr.io.printable import json_line
from lsr.output.explained import engine_object, explained_hit
from lsr.output.hits import hit_object
from lsr.output.results import counts_object
from lsr.query.options import SearchOptions, option_spec, option_specs
from lsr.query.searcher import Searcher
from lsr.server.pages.fragments import POLICY
from lsr.server.pages.served import served_page
from lsr.version import __version__

MAX_QUERY, MAX_FIELDS = 10_000, 24
LIMITS = {"k": 1000, "offset": 10_000, "feedback": 1000, "number of facets": 20}
"""The most that a request may ask for."""
LOOPBACK = ("localhost", "127.0.0.1", "::1")
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
}


class RequestError(Exception):
    """A request that can't be answered, with its HTTP status."""

    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class SearchServer(ThreadingHTTPServer):
    """Serves an index, a thread a connection; of an index that changes, always the newest generation.

    searcher: its options are those of searches that don't say otherwise. host: a name or address to listen at. port: 0
    for any that is free.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, searcher: Searcher, host: str, port: int) -> None:
        self._searcher = searcher
        self._renewing = threading.Lock()
        # More threads than cores would only wait for each other, each holding its scratch memory.
        self.searching = threading.BoundedSemaphore(2 * (os.cpu_count() or 1))
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), Handler)

    @property
    def url(self) -> str:
        """The address of the page."""
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    @property
    def is_local(self) -> bool:
        """True where only this machine can reach the server."""
        return self.server_address[0] in LOOPBACK

    @property
    def searcher(self) -> Searcher:
        """The searcher of the newest generation; an older one where the newest can't be opened.

        Documents of an index that was removed are not served. Raises IndexMissingError until there is one again.
        """
        with self._renewing:
            index = self._searcher.index
            if not index.is_newest():
                try:
                    self._searcher = self._searcher.refresh()
                except LsrError as error:
                    if not index.is_there():
                        raise
                    sys.stderr.write(f"lsr: the newest generation is not served: {error}\n")
            return self._searcher

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print the traceback of an error, unless the client hung up."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            traceback.print_exc()


class Handler(BaseHTTPRequestHandler):
    """Answers requests."""

    server: SearchServer
    server_version = f"lsr/{__version__}"
    sys_version = ""
    protocol_version = "HTTP/1.1"
    timeout = 30
    """Seconds that a client may be silent."""

    def do_GET(self) -> None:
        """Answer with a page or JSON."""
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body that nobody reads would pass for the next request
        try:
            self._check_host()
            kind, body = self._answer()
            self._send(HTTPStatus.OK, kind, body)
        except RequestError as error:
            self._send_problem(error.status, str(error))
        except UsageError as error:
            self._send_problem(HTTPStatus.BAD_REQUEST, str(error))
        except ConnectionError:
            self.close_connection = True
        except Exception as error:  # noqa: BLE001  one bad request must not end the others
            traceback.print_exc()
            why = str(error) if isinstance(error, LsrError) else "an error of the server; its log says more"
            self._send_problem(HTTPStatus.INTERNAL_SERVER_ERROR, why)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the body."""
        self.do_GET()

    def _answer(self) -> tuple[str, str]:
        """Return the type and the body of an answer. Raises RequestError, UsageError."""
        try:
            url = urlsplit(self.path)
            path = unquote(url.path, errors="strict")
            pairs = parse_qsl(url.query, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
        except ValueError as error:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"the address can't be read: {error}") from error
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise RequestError(HTTPStatus.BAD_REQUEST, "a parameter stands there twice")
        if path == "/":
            return "text/html", self._page(fields)
        if path == "/search":
            return "application/json", json_line(self._search(fields))
        if path == "/health":
            return "application/json", json_line(self._health(fields))
        if path.startswith("/doc/"):
            _check_known(fields, ())
            return "application/json", json_line(self._document(path.removeprefix("/doc/")))
        raise RequestError(HTTPStatus.NOT_FOUND, f"nothing at {path}: there are /, /search?q=…, /doc/ID and /health")

    def _page(self, fields: Mapping[str, str]) -> str:
        _check_known(fields, ("q", *rest_parameters()))
        searcher = self.server.searcher
        query = fields.get("q", "")
        if not query.strip():
            return served_page(searcher.index, "")
        options = request_options(fields, searcher.options)
        with self.server.searching:
            return served_page(searcher.index, query, searcher.explain(_query(fields), options))

    def _search(self, fields: Mapping[str, str]) -> dict[str, Any]:
        _check_known(fields, ("q", *rest_parameters()))
        searcher = self.server.searcher
        query, options = _query(fields), request_options(fields, searcher.options)
        with self.server.searching:
            if options.explain:
                explained = searcher.explain(query, options)
                counts = counts_object(explained.total, explained.facets)
                return {"hits": [explained_hit(found) for found in explained.hits]} | counts | engine_object(explained)
            results = searcher.search(query, options)
        counts = counts_object(results.total, results.facets)
        skipped = {} if results.skipped is None else {"approximate": results.skipped}
        return {"hits": [hit_object(hit) for hit in results], "query": query} | counts | skipped

    def _document(self, doc_id: str) -> dict[str, Any]:
        (found,) = documents_by_id(self.server.searcher.index, [doc_id])
        if found is not None:
            return {"doc_id": found.doc_id, "title": found.title, "text": found.text, "fields": dict(found.fields)}
        raise RequestError(HTTPStatus.NOT_FOUND, f"no document {doc_id!r}")

    def _health(self, fields: Mapping[str, str]) -> dict[str, Any]:
        _check_known(fields, ())
        index = self.server.searcher.index
        manifest = index.manifest
        encoder = manifest.encoder.get("name", manifest.encoder["kind"])
        return {
            "status": "ok", "documents": count_documents(index), "generation": manifest.generation, "encoder": encoder,
            "version": __version__,
        }  # fmt: skip

    def _check_host(self) -> None:
        """Refuse a foreign name for this machine, by which a page from elsewhere would read what is served here."""
        if not self.server.is_local:
            return
        try:
            name = urlsplit(f"//{self.headers.get('Host', 'localhost')}").hostname
        except ValueError:
            name = None
        if name not in LOOPBACK:
            raise RequestError(HTTPStatus.FORBIDDEN, f"this server is for {LOOPBACK[0]} alone: --host names another")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer a request that the library couldn't read, or with an unknown method, by an error as JSON."""
        status = HTTPStatus(code)
        if status == HTTPStatus.NOT_IMPLEMENTED:
            status, message = HTTPStatus.METHOD_NOT_ALLOWED, "only GET and HEAD are answered"
        self.close_connection = True
        self._send_problem(status, message or status.phrase)

    def _send_problem(self, status: HTTPStatus, why: str) -> None:
        self._send(status, "application/json", json_line({"error": why}))

    def _send(self, status: HTTPStatus, kind: str, body: str) -> None:
        content = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  as the library names it
        """Keep no log of what people search for."""


def _check_known(fields: Mapping[str, str], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            there = f"there are {', '.join(known)}" if known else "it takes none"
            raise RequestError(HTTPStatus.BAD_REQUEST, f"no parameter {name!r}: {there}")


def _query(fields: Mapping[str, str]) -> str:
    query = fields.get("q", "")
    if not query.strip():
        raise RequestError(HTTPStatus.BAD_REQUEST, "the parameter q, the query, is missing or empty")
    if len(query) > MAX_QUERY:
        raise RequestError(
            HTTPStatus.BAD_REQUEST, f"the query has {len(query):,} characters; the limit is {MAX_QUERY:,}"
        )
    return query


def rest_parameters() -> tuple[str, ...]:
    """Return the names of the search options that a request may give."""
    return tuple(name for name, spec, _ in option_specs() if not spec.local)


def request_options(fields: Mapping[str, str], default: SearchOptions) -> SearchOptions:
    """Return the search options of a request. default: options that it doesn't give.

    Raises RequestError for an unknown parameter, UsageError for a value that an option can't have.
    """
    given = {name: option_spec(name).parse(name, text) for name, text in fields.items() if name in rest_parameters()}
    hybrid = default.hybrid_search
    if hybrid is not None and hybrid.reranker is not None and given.get("hybrid", hybrid.mode) != hybrid.mode:
        given["rerank"] = None  # a reranker scores candidates of the sparse leg alone
    options = default.replace(**given)
    n_docs = 0 if options.feedback is None else options.feedback.n_docs
    asked = {"k": options.k, "offset": options.offset, "feedback": n_docs, "number of facets": len(options.facets)}
    for name, limit in LIMITS.items():
        if asked[name] > limit:
            raise RequestError(HTTPStatus.BAD_REQUEST, f"{name} is {asked[name]:,}; the limit is {limit:,}")
    return options
