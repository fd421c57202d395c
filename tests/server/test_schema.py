"""Schemathesis: requests made from the OpenAPI document, good and bad, and their answers compared with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis isn't installed: make setup")

CHECKED = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance"]


@pytest.mark.parametrize("examples", [8, pytest.param(200, marks=pytest.mark.large)])
def test_answers_are_as_the_openapi_document_says(client: Callable[..., Any], examples: int) -> None:
    asked = client()
    schema = schemathesis.openapi.from_asgi("/openapi.json", asked.app, headers={"host": "localhost"})
    checks = schemathesis.checks.CHECKS.get_by_names(CHECKED)
    tried: set[str] = set()

    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=examples, deadline=None, database=None, derandomize=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @schemathesis_given(operation)
        def run(case: Any) -> None:
            case.headers = {**(case.headers or {}), "host": "localhost"}
            response = case.call(timeout=600)  # the first change compiles
            case.validate_response(response, checks=checks)
            tried.add(f"{case.method} {case.path}")

        run()
    described = json.loads(asked.get("/openapi.json").text)["paths"]
    assert len(tried) == sum(len(methods) for methods in described.values())


def schemathesis_given(operation: Any) -> Callable[[Callable[[Any], None]], Callable[[], None]]:
    from hypothesis import given
    from hypothesis import strategies as st
    from schemathesis.generation import GenerationMode

    modes = [operation.as_strategy(generation_mode=mode) for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)]
    return given(case=st.one_of(modes))
