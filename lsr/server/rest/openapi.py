"""The OpenAPI description of the routes, built from the descriptions that search options have, with examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from lsr.io.option_spec import OFF, OptionSpec
from lsr.query.options import SearchOptions
from lsr.server.problems import MEDIA_TYPE
from lsr.server.records import LONGEST_ID
from lsr.server.rest.context import JSON
from lsr.server.rest.parameters import QUERIES, QUERY, specs_of_request
from lsr.server.settings import Limits

LIMITS = Limits()
Schema = dict[str, Any]

PROBLEM: Schema = {
    "type": "object",
    "description": "an error, as RFC 9457 has it",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what is wrong, the limit, and what to do"},
        "field": {"type": "string", "description": "the parameter or member at fault"},
        "request_id": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}
ALWAYS = (400, 401, 403, 404, 429, 500, 503)
"""Statuses that every route may answer by a problem."""
FIELD_VALUE: Schema = {"type": ["string", "number", "boolean", "null", "array"], "items": {"type": "string"}}
DOCUMENT: Schema = {
    "type": "object",
    "properties": {
        "doc_id": {"type": "string"},
        "title": {"type": "string"},
        "text": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": FIELD_VALUE},
        "url": {"type": "string"},
    },
    "required": ["doc_id", "title", "fields", "url"],
}
HIT: Schema = {
    "type": "object",
    "properties": {
        **DOCUMENT["properties"],
        "rank": {"type": "integer"},
        "score": {"type": "number"},
        "snippet": {
            "type": "object",
            "properties": {
                "text": {"type": "string"},
                "marks": {
                    "type": "array",
                    "description": "start and end of each word of the query in the snippet, in characters",
                    "items": {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2},
                },
            },
            "required": ["text", "marks"],
        },
    },
    "required": ["rank", "doc_id", "score", "title", "fields", "url"],
}
RESULTS: Schema = {
    "type": "object",
    "properties": {
        "query": {"type": "string"},
        "hits": {"type": "array", "items": HIT},
        "total": {"type": "integer"},
        "facets": {"type": "object"},
        "took_us": {"type": "integer", "description": "microseconds"},
        "generation": {"type": "integer"},
    },
    "required": ["query", "hits", "generation"],
}
BATCH: Schema = {
    "type": "object",
    "properties": {"results": {"type": "array", "items": RESULTS}},
    "required": ["results"],
}
PUT: Schema = {
    "type": "object",
    "properties": {name: {"type": "integer"} for name in ("added", "replaced", "unchanged", "generation")},
    "required": ["added", "replaced", "unchanged", "generation"],
}
REMOVED: Schema = {
    "type": "object",
    "properties": {
        "deleted": {"type": "integer"}, "missing": {"type": "array", "items": {"type": "string"}},
        "generation": {"type": "integer"},
    },
    "required": ["deleted", "generation"],
}  # fmt: skip
VECTOR: Schema = {"type": "object", "additionalProperties": {"type": "number", "exclusiveMinimum": 0}}
NEW_DOCUMENT: Schema = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "title": {"type": "string"},
        "fields": {"type": "object", "additionalProperties": FIELD_VALUE},
        "vector": {**VECTOR, "description": "a ready vector, weights by term, as /encode gives it"},
        "encoder": {"type": "string", "description": "the encoder of the vector: another than the index's is refused"},
    },
    "required": ["text"],
    "additionalProperties": False,
    "example": {"title": "On cats", "text": "A cat sleeps most of the day.", "fields": {"year": 2026}},
}
DOC_ID: Schema = {"type": "string", "minLength": 1, "maxLength": LONGEST_ID}
NEW_WITH_ID: Schema = {
    **NEW_DOCUMENT,
    "properties": {"doc_id": DOC_ID, **NEW_DOCUMENT["properties"]},
    "required": ["doc_id", "text"],
    "example": {"doc_id": "cats", **NEW_DOCUMENT["example"]},
}


def content(schema: Schema, media_type: str = JSON) -> Schema:
    """Return a body of a media type."""
    return {"content": {media_type: {"schema": schema}}}


def operation(
    answer: Schema,
    *,
    parameters: Sequence[Schema] = (),
    body: Schema | None = None,
    more: Mapping[int, Schema] | None = None,
    problems: Sequence[int] = (),
) -> Schema:
    """Return what FastAPI adds to a route's description. more: further answers. problems: further statuses of these."""
    answers: dict[str, Schema] = {"200": {"description": "OK", **content(answer)}}
    for status, schema in (more or {}).items():
        answers[str(status)] = {"description": HTTPStatus(status).phrase, **content(schema)}
    posted = (408, 413, 415) if body is not None else ()
    for status in sorted({*ALWAYS, *posted, *problems}):
        answers.setdefault(
            str(status), {"description": HTTPStatus(status).phrase, **content(PROBLEM, MEDIA_TYPE)}
        )  # fmt: skip
    found: Schema = {"responses": answers}
    if parameters:
        found["parameters"] = list(parameters)
    return found | ({} if body is None else {"requestBody": {"required": True, **body}})


def query_parameter(name: str, schema: Schema, *, required: bool = False, example: Any = None) -> Schema:
    """Return the description of a parameter of a query string. Lists are separated by commas."""
    found = {"name": name, "in": "query", "required": required, "schema": schema}
    if schema.get("type") == "array":
        found |= {"style": "form", "explode": False}
    if "description" in schema:
        found["description"] = schema["description"]
    return found if example is None else found | {"example": example}


def path_parameter() -> Schema:
    """Return the description of the doc_id in a path; it may have slashes."""
    return {"name": "doc_id", "in": "path", "required": True, "schema": DOC_ID}


def _option_schema(name: str, spec: OptionSpec) -> Schema:
    schema = spec.json_schema()
    limit = getattr(LIMITS, name, None)
    if isinstance(limit, int) and schema.get("type") == "integer":
        schema["maximum"] = limit
    if name == "facets":
        schema["maxItems"] = LIMITS.facets
    if name == "where":
        schema["maxLength"] = LIMITS.query
    if name == "rerank":
        schema["enum"] = ["late-interaction", OFF]
    elif spec.may_be_off and spec.choices:
        schema["enum"] = [*spec.choices, OFF]
    return schema


LISTED: Schema = {
    "type": "object",
    "properties": {
        "documents": {"type": "array", "items": DOCUMENT},
        "generation": {"type": "integer"},
        "next": {"type": "string", "description": "cursor of the next page; missing after the last"},
    },
    "required": ["documents", "generation"],
}
LINES: Schema = {
    "application/x-ndjson": {
        "schema": {"type": "string"},
        "example": '{"doc_id": "cats", "text": "A cat sleeps."}\n{"doc_id": "dogs", "text": "A dog barks."}\n',
    }
}
_DRY_RUN: Schema = {"type": "boolean", "description": "only count what would be deleted"}
DELETION: Schema = {
    "oneOf": [
        {
            "type": "object",
            "properties": {"ids": {"type": "array", "items": {"type": "string"}, "minItems": 1}, "dry_run": _DRY_RUN},
            "required": ["ids"],
            "additionalProperties": False,
        },
        {
            "type": "object",
            "properties": {
                "where": {"type": "string", "minLength": 1, "maxLength": LIMITS.query}, "dry_run": _DRY_RUN,
            },
            "required": ["where"],
            "additionalProperties": False,
        },
    ],
    "example": {"where": "year < 2000", "dry_run": True},
}  # fmt: skip
STATE: Schema = {"type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]}
STATISTICS: Schema = {
    "type": "object",
    "properties": {
        "index": {"type": "string"}, "documents": {"type": "integer"}, "generation": {"type": "integer"},
        "encoder": {"type": "string"},
    },
    "required": ["index", "documents", "generation", "encoder"],
}  # fmt: skip
TO_ENCODE: Schema = {
    "type": "object",
    "properties": {
        "texts": {
            "type": "array", "minItems": 1, "maxItems": LIMITS.batch,
            "items": {"type": "string", "maxLength": LIMITS.query},
        },
        "side": {"type": "string", "enum": ["query", "document"]},
    },
    "required": ["texts"],
    "additionalProperties": False,
    "example": {"texts": ["vitamin d"], "side": "query"},
}  # fmt: skip
ENCODED: Schema = {
    "type": "object",
    "properties": {"encoder": {"type": "string"}, "vectors": {"type": "array", "items": VECTOR}},
    "required": ["encoder", "vectors"],
}
TRUTH: Schema = {"type": "string", "enum": ["0", "1", "false", "true"]}
QUERY_SCHEMA: Schema = {
    "type": "string", "minLength": 1, "maxLength": LIMITS.query, "pattern": r"\S", "description": "text to search for",
}  # fmt: skip


def search_parameters() -> list[Schema]:
    """Return the parameters of GET /search."""
    found = [query_parameter(QUERY, QUERY_SCHEMA, required=True, example="vitamin d deficiency")]
    for name, spec in specs_of_request().items():
        schema = _option_schema(name, spec)
        if schema.get("type") == "boolean":
            schema = TRUTH | {"description": spec.help}
        found.append(query_parameter(name, schema))
    return found


def search_body() -> Schema:
    """Return the body of POST /search: one query, or several."""
    options = {name: _option_schema(name, spec) for name, spec in specs_of_request().items()}
    several = {"type": "array", "items": QUERY_SCHEMA, "minItems": 1, "maxItems": LIMITS.batch}
    one: Schema = {
        "type": "object", "properties": {QUERY: QUERY_SCHEMA, **options}, "required": [QUERY],
        "additionalProperties": False,
    }  # fmt: skip
    many = {**one, "properties": {QUERIES: several, **options}, "required": [QUERIES]}
    examples = {
        "one": {"value": {QUERY: "vitamin d", "k": 3, "where": "year >= 2020"}},
        "several": {"value": {QUERIES: ["vitamin d", "iron"], "k": 3}},
    }
    return {"content": {JSON: {"schema": {"oneOf": [one, many]}, "examples": examples}}}


def list_parameters() -> list[Schema]:
    """Return the parameters of GET /documents."""
    where = SearchOptions.__dataclass_fields__["where"].metadata["option"].help
    return [
        query_parameter("after", {"type": "string", "description": "the value of next of an earlier page"}),
        query_parameter("limit", {"type": "integer", "minimum": 1, "maximum": LIMITS.documents}),
        query_parameter("where", {"type": "string", "maxLength": LIMITS.query, "description": where}),
        query_parameter("text", {**TRUTH, "description": "give whole texts"}),
    ]
