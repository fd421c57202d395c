"""The REST API: searches, documents and changes, as clients use them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import lsr
from lsr.query.searcher import Searcher
from lsr.server.json_bytes import json_bytes

Client = Callable[..., TestClient]
NDJSON = {"content-type": "application/x-ndjson"}


def ids(found: Any) -> list[str]:
    return [hit["doc_id"] for hit in found["hits"]]


def test_a_search_gives_the_hits_of_the_command(client: Client, path: Path) -> None:
    answer = client().get("/search", params={"q": "sleeping cats", "k": 1})
    (hit,) = Searcher(path).search("sleeping cats", k=1)
    found = answer.json()
    assert answer.status_code == 200 and found["query"] == "sleeping cats" and found["generation"] == 1
    (shown,) = found["hits"]
    assert (shown["doc_id"], shown["score"], shown["rank"]) == ("cats", hit.score, 1)
    assert shown["url"] == "/documents/cats" and shown["title"] == "On cats" and "text" not in shown


def test_a_snippet_marks_words_and_the_text_comes_when_asked_for(client: Client, path: Path) -> None:
    with_text = client().get("/search", params={"q": "sleeping cats", "k": 1, "text": 1}).json()["hits"][0]
    snippet = with_text["snippet"]
    assert [snippet["text"][start:end] for start, end in snippet["marks"]] == ["cat", "sleeps", "Cats", "sleep"]
    assert with_text["text"].startswith("A cat sleeps")
    (without,) = client().get("/search", params={"q": "cats", "k": 1, "snippet": 0}).json()["hits"]
    assert "snippet" not in without
    (short,) = client().get("/search", params={"q": "purr", "snippet": 20}).json()["hits"]
    assert len(short["snippet"]["text"]) <= 20 + len("… ") + len(" …") and short["snippet"]["text"].startswith("… ")


def test_a_search_takes_the_options_of_the_library(client: Client, path: Path) -> None:
    options = {"where": "doc_id != 'dogs'", "total": 1, "facets": "year", "sort": "-doc_id", "offset": 1, "k": 1}
    found = client().get("/search", params={"q": "house cats", **options}).json()
    expected = Searcher(path).search(
        "house cats", where="doc_id != 'dogs'", total=True, facets="year", sort="-doc_id", offset=1, k=1
    )
    assert ids(found) == [hit.doc_id for hit in expected] == ["cats"]
    assert found["hits"][0]["rank"] == 2 and found["total"] == expected.total == 2
    assert found["facets"] == {"year": [{"value": 2022, "count": 1}]}


def test_a_search_says_where_a_hit_stands_without_the_folders_of_the_server(client: Client, tmp_path: Path) -> None:
    notes, other = tmp_path / "secret" / "notes", tmp_path / "secret" / "other"
    for folder, text in ((notes, "A tree.\n\nA cat sleeps.\n"), (other, "One more cat.\n")):
        (folder / "sub").mkdir(parents=True)
        (folder / "sub" / "a.txt").write_text(text)
    (notes / "rows.csv").write_text("id,text\nr1,a house\nr2,a cat in a row\n")
    index = tmp_path / "located"
    lsr.index([notes, other], index, encoder="bm25").close()
    for asked in ({"q": "cat", "locate": True}, {"q": "cat", "locate": True, "explain": True}):
        answer = client(index).post("/search", json=asked)
        hits = {hit["doc_id"]: (hit["path"], hit["line"]) for hit in answer.json()["hits"]}
        assert hits == {
            "notes/sub/a.txt": ("notes/sub/a.txt", 3), "other/sub/a.txt": ("other/sub/a.txt", 1),
            "r2": ("notes/rows.csv", 3),
        }  # fmt: skip
        assert "secret" not in answer.text
    (plain, *_) = client(index).get("/search", params={"q": "cat"}).json()["hits"]
    assert "path" not in plain and "line" not in plain


def test_json_gives_the_same_as_the_query_string_and_several_queries_at_once(client: Client) -> None:
    asked = client()
    one = asked.post(
        "/search", json={"q": "cats", "k": 1, "fields": ["year"], "approximate": {"superblocks": 5}}
    ).json()
    same = asked.get("/search", params={"q": "cats", "k": 1, "fields": "year", "approximate": "superblocks=5"}).json()
    assert one["hits"] == same["hits"] and one["approximate"]["superblocks"] == 5
    several = asked.post("/search", json={"queries": ["cats", "wood"], "k": 1}).json()["results"]
    assert [ids(found) for found in several] == [["cats"], ["wood/trees"]]


def test_explained_points_add_up(client: Client) -> None:
    found = client().get("/search", params={"q": "cats", "explain": 1}).json()
    assert found["engine"]["n_docs"] == 4 and found["query_terms"][0]["term"] == "cat"
    for hit in found["hits"]:
        assert sum(term["points"] for term in hit["terms"]) * found["unit"] == hit["score"]


WRONG = [
    ("", 400, "q", "the parameter q, the query, is missing or empty"),
    ("q=%20", 400, "q", "missing or empty"),
    ("q=cat&k=0", 400, None, "k is 0; it must be at least 1"),
    ("q=cat&k=many", 400, None, "k is 'many'"),
    ("q=cat&k=99999999999999999999", 400, None, "it must be a whole number of at least 1"),
    ("q=cat&k=1001", 400, "k", "k is 1,001; the limit is 1,000"),
    ("q=cat&offset=10001", 400, "offset", "offset is 10,001; the limit is 10,000"),
    ("q=cat&where=year", 400, None, "filter, column 5: an operator expected"),
    ("q=cat&where=" + "(" * 500, 400, None, "filter"),
    ("q=cat&where=" + "x" * 10_001, 400, "where", "where has 10,001 characters; the limit is 10,000"),
    ("q=cat&sort=size", 400, None, "sort: no document has a field 'size'; there are doc_id, title, text, year"),
    ("q=cat&rerank=cross-encoder:/etc", 400, "rerank", "there are late-interaction, none"),
    ("q=cat&threads=2", 400, "threads", "it can't be given in a request"),
    ("q=cat&k=%C2%B2", 400, None, "k is '²'"),
    ("q=cat&explain=yes", 400, None, "explain is 'yes'; it must be 0 or 1"),
    ("q=cat&feedback=0", 400, None, "feedback is 0; it must be at least 1"),
    ("q=cat&snippet=-1", 400, None, "snippet is -1"),
    ("q=cat&limit=3", 400, "limit", "no parameter 'limit': did you mean k?"),
    ("q=cat&q=dog", 400, "q", "is given twice"),
    ("q=%ff%fe", 400, None, "the query string can't be read"),
    ("&".join(f"a{i}=1" for i in range(60)), 400, None, "the query string can't be read"),
    ("q=" + "x" * 10_001, 400, "q", "the query has 10,001 characters; the limit is 10,000"),
]


@pytest.mark.parametrize(("query", "status", "field", "detail"), WRONG)
def test_what_is_wrong_with_a_search_is_a_problem_document(
    client: Client, query: str, status: int, field: str | None, detail: str
) -> None:
    answer = client().get(f"/search?{query}")
    problem = answer.json()
    assert answer.status_code == problem["status"] == status and detail in problem["detail"]
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"].startswith("urn:lsr:problem:") and problem["request_id"] == answer.headers["x-request-id"]
    assert problem.get("field") == field


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"{", "the body is no JSON"),
        (b"[]", "the body must be a JSON object"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"q": 1}', "q must be a text"),
        (b'{"q": "a", "queries": ["b"]}', "give one query as q, or several"),
        (b'{"queries": []}', "it must have 1 to 100"),
        (json.dumps({"queries": ["a"] * 101}).encode(), "queries has 101 texts"),
        (b'{"q": "a", "k": "3"}', "k is '3'; it must be a whole number"),
        (b'{"q": "a", "k": NaN}', "NaN is no JSON number"),
        (b'{"q": "a", "explain": 1}', "explain is 1; it must be True or False"),
        (b'{"q": "a", "filter": "x"}', "did you mean where?"),
    ],
)
def test_what_is_wrong_with_a_body_is_said(client: Client, body: bytes, detail: str) -> None:
    answer = client().post("/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400 and detail in answer.json()["detail"]


def test_unknown_paths_documents_and_indexes_are_404_and_other_methods_405(client: Client) -> None:
    asked = client()
    assert asked.get("/documents/nobody").json()["type"] == "urn:lsr:problem:unknown-document"
    assert asked.get("/documents/../../etc/passwd").status_code == 404
    assert "no index 'other': there are pets" in asked.get("/other/search?q=a").json()["detail"]
    assert asked.get("/pets/nothing/at/all").status_code == 404
    refused = asked.patch("/search")
    assert refused.status_code == 405 and refused.headers["content-type"] == "application/problem+json"
    assert "GET" in refused.headers["allow"]


def test_head_answers_as_get_without_a_body(client: Client) -> None:
    answer = client().head("/search?q=cats")
    assert answer.status_code == 200 and answer.content == b"" and int(answer.headers["content-length"]) > 50


def test_a_document_is_put_found_replaced_and_deleted(client: Client) -> None:
    asked = client()
    zebra = {"title": "Z", "text": "A zebra crosses.", "fields": {"year": 2026, "tags": ["a", "b"]}}
    put = asked.put("/documents/new/zebra%23one", json=zebra)
    assert put.status_code == 201 and put.json()["added"] == 1 and put.json()["url"] == "/documents/new/zebra%23one"
    assert ids(asked.get("/search?q=zebra").json()) == ["new/zebra#one"]
    assert asked.get(put.json()["url"]).json() == {**zebra, "doc_id": "new/zebra#one", "url": put.json()["url"]}
    again = asked.put("/documents/new/zebra%23one", json=zebra)
    assert again.status_code == 200 and again.json()["unchanged"] == 1
    assert again.json()["generation"] == put.json()["generation"]
    assert asked.put("/documents/new/zebra%23one", json={"text": "A horse."}).json()["replaced"] == 1
    assert ids(asked.get("/search?q=zebra").json()) == []
    assert asked.delete("/documents/new/zebra%23one").json()["deleted"] == 1
    assert asked.delete("/documents/new/zebra%23one").status_code == 404
    assert ids(asked.get("/search?q=horse").json()) == []


def test_many_documents_come_as_json_lines_all_or_none(client: Client) -> None:
    asked = client()
    good = '{"id": "a", "text": "one zebra", "year": 2025}\n\n{"_id": "b", "text": "two zebras"}\n'
    assert asked.post("/documents", content=good, headers=NDJSON).json()["added"] == 2
    assert asked.get("/documents/a").json()["fields"] == {"year": 2025}
    bad = '{"id": "c", "text": "three zebras"}\n{"id": "d"}\n'
    refused = asked.post("/documents", content=bad, headers=NDJSON)
    assert refused.status_code == 422 and "record 2: no text" in refused.json()["detail"]
    assert len(ids(asked.get("/search?q=zebra").json())) == 2
    twice = asked.post("/documents", json=[{"id": "e", "text": "x"}, {"id": "e", "text": "the last zebra"}])
    assert twice.json()["added"] == 1 and asked.get("/documents/e").json()["text"] == "the last zebra"
    known = asked.post("/documents?only_new=1", json=[{"id": "e", "text": "another"}])
    assert known.status_code == 409 and "PUT replaces it" in known.json()["detail"]


@pytest.mark.parametrize(
    ("document", "status", "detail"),
    [
        (3, 422, "no JSON object"),
        ({"id": "", "text": "a"}, 422, "doc_id"),
        ({"id": "x" * 600, "text": "a"}, 422, "a doc_id has 600 characters; it must have 1 to 512"),
        ({"id": "x", "text": 1}, 422, "it must be a text"),
        ({"text": "no id"}, 422, "no doc_id"),
        ({"id": "x", "text": "a", "fields": 3}, 422, "its fields are no JSON object"),
        ({"id": "x", "text": "a", "year": 1, "fields": {"year": 2}}, 422, "given twice"),
        ({"id": "x", "text": "a", "f": {"x": [1]}}, 422, "'f.x' is [1]"),
        ({"id": "\ud800", "text": "a"}, 422, "can't be stored"),
        ({"id": "x", "text": "a", "vector": {"a": -1}}, 422, "positive weights"),
        ({"id": "x", "text": "a", "vector": {"a": 1}}, 409, "bm25 weighs words by statistics of the corpus"),
        ({"id": "x", "text": "a", "vector": {"a": 1}, "encoder": "other"}, 409, "by the encoder 'other'"),
    ],
)
def test_what_is_wrong_with_a_document_is_said(client: Client, document: Any, status: int, detail: str) -> None:
    answer = client().post("/documents", content=json.dumps([document]), headers={"content-type": "application/json"})
    assert answer.status_code == status and detail in answer.json()["detail"]


def test_a_path_and_its_document_must_agree(client: Client) -> None:
    refused = client().put("/documents/a", json={"id": "b", "text": "x"})
    assert refused.status_code == 422 and "its path says 'a'" in refused.json()["detail"]


def test_documents_are_deleted_by_ids_and_by_a_filter(client: Client) -> None:
    asked = client()
    dry = asked.post("/delete", json={"where": "year >= 2020", "dry_run": True}).json()
    assert dry["deleted"] == 2 and dry["generation"] == 1
    assert asked.get("/stats").json()["documents"] == 4
    assert asked.post("/delete", json={"where": "year > 2020"}).json()["deleted"] == 1
    gone = asked.post("/delete", json={"ids": ["dogs", "nobody"]}).json()
    assert (gone["deleted"], gone["missing"]) == (1, ["nobody"])
    assert ids(asked.get("/search?q=house").json()) == []
    for body in ({}, {"ids": []}, {"ids": ["a"], "where": "x"}, {"where": ""}, {"ids": "a"}, {"ids": ["a"], "dry": 1}):
        assert asked.post("/delete", json=body).status_code == 400


def test_scrolling_shows_one_generation_to_its_end(client: Client) -> None:
    asked = client()
    first = asked.get("/documents?limit=3").json()
    assert [one["doc_id"] for one in first["documents"]] == ["cats", "dogs", "wood/trees"]
    assert "text" not in first["documents"][0]
    asked.delete("/documents/empty")
    asked.put("/documents/new", json={"text": "new"})
    asked.post("/merge")
    second = asked.get("/documents", params={"after": first["next"], "text": 1}).json()
    assert [one["doc_id"] for one in second["documents"]] == ["empty"] and "next" not in second
    assert [one["doc_id"] for one in asked.get("/documents?where=year>2020").json()["documents"]] == ["wood/trees"]
    assert asked.get("/documents?after=99.1").status_code == 410
    assert asked.get("/documents?after=x").status_code == 400
    assert asked.get("/documents?limit=1001").status_code == 400


def test_texts_are_encoded_as_the_index_encodes_queries(client: Client) -> None:
    asked = client()
    found = asked.post("/encode", json={"texts": ["cats and dogs", ""]}).json()
    assert found["encoder"] == "bm25" and found["vectors"][0].keys() == {"cat", "dog"} and found["vectors"][1] == {}
    assert asked.post("/encode", json={"texts": ["a"], "side": "document"}).status_code == 409
    assert asked.post("/encode", json={"texts": []}).status_code == 400


def test_ready_vectors_come_with_their_documents(client: Client, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    from lsr.cli.main import main

    table = {"id": ["a"], "terms": [["cat", "dog"]], "weights": [[1.0, 2.0]], "text": ["of cats and dogs"]}
    pq.write_table(pa.table(table), tmp_path / "v.parquet")
    assert main(["index", "--vectors", str(tmp_path / "v.parquet"), "--index", str(tmp_path / "ready")]) == 0
    asked = client({"vectors": tmp_path / "ready"})
    assert asked.post("/documents", json=[{"id": "b", "text": "no vector"}]).status_code == 409
    put = asked.post("/documents", json=[{"id": "b", "text": "owls", "vector": {"owl": 2.0, "cat": 1.0}}])
    assert put.json()["added"] == 1 and asked.get("/documents/b").json()["text"] == "owls"
    with lsr.open(tmp_path / "ready") as index:
        assert index.stats().n_terms == 3


def test_several_indexes_have_their_names(client: Client, path: Path, tmp_path: Path) -> None:
    lsr.index(["A whale."], tmp_path / "sea", encoder="bm25").close()
    asked = client({"pets": path, "sea": tmp_path / "sea"})
    assert ids(asked.get("/search?q=cats").json()) == ids(asked.get("/pets/search?q=cats").json()) == ["cats", "dogs"]
    (hit,) = asked.get("/sea/search?q=whale").json()["hits"]
    assert hit["url"] == "/sea/documents/0" and asked.get(hit["url"]).json()["text"] == "A whale."
    assert asked.put("/sea/documents/1", json={"text": "A shark."}).json()["added"] == 1
    assert asked.get("/sea/stats").json()["documents"] == 2 and asked.get("/stats").json()["documents"] == 4


@pytest.mark.parametrize("name", ["search", "documents", "mcp", "", "a/b", "../x", "x" * 65, ".hidden"])
def test_an_index_can_not_have_the_name_of_a_path(client: Client, path: Path, name: str) -> None:
    with pytest.raises(lsr.LsrError, match="can't be that of an index"):
        client({name: path})


def test_links_have_the_path_of_the_proxy(client: Client) -> None:
    asked = client(root_path="/find")
    assert asked.get("/find/search?q=purr").json()["hits"][0]["url"] == "/find/documents/cats"
    assert asked.get("/search?q=purr").json()["hits"][0]["url"] == "/find/documents/cats"


def test_a_newer_generation_is_served_and_one_made_again(client: Client, path: Path) -> None:
    asked = client()
    with lsr.open(path) as index:
        index.add([{"id": "z", "text": "A zebra."}])
    assert ids(asked.get("/search?q=zebra").json()) == ["z"]
    lsr.index(["An owl."], path, encoder="bm25", overwrite=True).close()
    assert ids(asked.get("/search?q=owl").json()) == ["0"]
    assert ids(asked.get("/search?q=zebra").json()) == []


def test_health_readiness_statistics_and_metrics(client: Client, path: Path) -> None:
    asked = client(access_log=None)
    assert asked.get("/health").json() == {"status": "ok"}
    assert asked.get("/ready").json() == {"status": "ready", "indexes": {"pets": "ready"}}
    stats = asked.get("/stats").json()
    assert (stats["documents"], stats["generation"], stats["encoder"]) == (4, 1, "bm25")
    assert str(path) not in json.dumps(stats)
    asked.get("/search?q=cats")
    text = asked.get("/metrics").text
    for line in (
        'lsr_requests_total{method="GET",route="/search",status="200"} 1.0',
        'lsr_stage_seconds_count{stage="search"} 1.0',
        'lsr_index_generation{index="pets"} 1.0',
        'lsr_index_documents{index="pets"} 4.0',
        "lsr_process_resident_memory_bytes",
    ):
        assert line in text


@pytest.mark.parametrize("path_", ["/search", "/pets/search"])
@pytest.mark.parametrize("query", ["q=cats", "q=cats&k=0", "", "q=cats&unknown=1", "q=%FF", "q=cats&where=no+field"])
def test_a_direct_route_answers_as_the_application_does(client: Client, path_: str, query: str) -> None:
    asked = client()
    direct = asked.get(f"{path_}?{query}", headers={"x-request-id": "a"})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("lsr.server.direct_routes.path_of", lambda scope: "/elsewhere")
        routed = asked.get(f"{path_}?{query}", headers={"x-request-id": "a"})

    def without_time(answer: Any) -> Any:
        return {name: value for name, value in answer.json().items() if name != "took_us"}

    assert (direct.status_code, without_time(direct)) == (routed.status_code, without_time(routed))
    assert dict(direct.headers, **{"content-length": ""}) == dict(routed.headers, **{"content-length": ""})
    counted = (
        f'lsr_requests_total{{method="GET",route="{path_.replace("pets", "{index}")}",status="{direct.status_code}"}}'
    )
    assert f"{counted} 2.0" in asked.get("/metrics").text


@pytest.mark.parametrize(
    "value",
    [{"a": "é\u202e\u2028\x7f\x9b\ufeff"}, {"a": "\ud800"}, {"a": 1 << 80}, {1: [None, True, 1e300, -0.0, 1.1]}],
)
def test_answers_are_safe_to_print_and_read_as_the_same_value(value: Any) -> None:
    text = json_bytes(value).decode()
    assert text.isprintable() and json.loads(text) == json.loads(json.dumps(value))


def test_an_index_that_is_gone_is_said_without_its_path(client: Client, path: Path) -> None:
    import shutil

    asked = client()
    shutil.rmtree(path)
    answer = asked.get("/search?q=cats")
    assert answer.status_code == 503 and answer.headers["retry-after"] == "30" and str(path) not in answer.text
    ready = asked.get("/ready")
    assert ready.status_code == 503 and str(path) not in ready.text


def test_the_options_of_the_server_hold_unless_a_request_says_otherwise(client: Client) -> None:
    asked = client(options={"feedback": 1})
    assert ids(asked.get("/search?q=purr").json()) == ["cats", "dogs"]
    assert ids(asked.get("/search?q=purr&feedback=none").json()) == ["cats"]
    assert ids(asked.post("/search", json={"q": "purr", "feedback": None}).json()) == ["cats"]


def test_every_route_is_described_with_examples(client: Client) -> None:
    described = client().get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/search", "/documents/{doc_id}", "/documents", "/delete", "/merge", "/encode", "/stats", "/health", "/ready",
        "/metrics",
    }  # fmt: skip
    search = described["paths"]["/search"]
    names = {parameter["name"] for parameter in search["get"]["parameters"]}
    assert {
        "q",
        "k",
        "where",
        "offset",
        "min_score",
        "sort",
        "facets",
        "fields",
        "snippet",
        "hybrid",
        "rerank",
    } <= names
    assert {"feedback", "approximate", "explain", "text"} <= names and "threads" not in names
    assert search["post"]["requestBody"]["content"]["application/json"]["examples"]
