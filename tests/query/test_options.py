"""Search options: one value that every interface builds from the same descriptions, checked where it is made."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsr.cli.evaluation.eval_systems import add_search_arguments
from lsr.cli.searches.option_arguments import add_search_options, options_from
from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError, UsageError
from lsr.indexer.pipeline import index_documents
from lsr.indexer.storage.index import StoredIndex
from lsr.io.option_spec import OptionSpec
from lsr.query import options
from lsr.query.engine.approximate import Approximate
from lsr.query.feedback import Feedback
from lsr.query.filters.filter import DocumentFilter
from lsr.query.fusion.registry import METHODS, make_fuser
from lsr.query.hybrid.score_smoothing import Neighbours
from lsr.query.hybrid.settings import FEWEST, MODES, MOST, Hybrid
from lsr.query.options import FUSERS, SearchOptions, option_spec, option_specs
from lsr.query.searcher import Searcher
from lsr.server.rest.parameters import options_of_pairs, search_names
from lsr.server.settings import Limits
from lsr.types import Document


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options") / "index"
    documents = [Document(str(i), f"cat number{i}", fields={"year": 2000 + i % 3}) for i in range(12)]
    index_documents(documents, folder, load_encoder("bm25"))
    return folder


def test_short_forms_are_value_types() -> None:
    made = SearchOptions.of(
        hybrid="union", feedback=3, approximate="alpha=0.5,query_cut=8", candidates=20, fields="year"
    )
    assert made.feedback == Feedback(n_docs=3) and made.approximate == Approximate(alpha=0.5, query_cut=8)
    assert made.hybrid_search == Hybrid(mode="union", candidates=20) and made.fields == ("year",)
    assert SearchOptions.of(approximate={"alpha": 0.5}).approximate == Approximate(alpha=0.5)
    weighed = SearchOptions.of(hybrid="rerank", fuser="rrf", weights=[1, 3], neighbours=True).hybrid_search
    assert weighed == Hybrid(fuser=make_fuser("rrf", weights=(1, 3)), neighbours=Neighbours())
    assert SearchOptions.of(hybrid=Hybrid(mode="union"), candidates=50).hybrid_search == Hybrid("union", candidates=50)
    assert SearchOptions.of(k=np.int64(7), min_score=np.float32(0.5)) == SearchOptions(k=7, min_score=0.5)


def test_values_are_taken_as_they_are() -> None:
    values: dict[str, Any] = {"feedback": Feedback(), "approximate": Approximate(alpha=0.5), "hybrid": Hybrid()}
    made = SearchOptions(**values)
    assert all(getattr(made, name) is value for name, value in values.items())


def test_options_are_replaced() -> None:
    made = SearchOptions.of(hybrid="rerank", candidates=20, k=5)
    assert made.replace() is made and made.replace(k=3) == SearchOptions.of(hybrid="rerank", candidates=20, k=3)
    assert made.replace(hybrid="union").hybrid_search == Hybrid("union", candidates=20)
    assert made.replace(hybrid=None) == SearchOptions(k=5) and made.k == 5
    reranked = SearchOptions.of(rerank="late-interaction")
    assert reranked.replace(k=3).rerank is reranked.rerank  # its model is loaded once
    assert reranked.hybrid_search is not None and reranked.hybrid_search.reranker is reranked.rerank


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"k": "10"}, "k is '10'; it must be a whole number of at least 1"),
        ({"k": True}, "k is True; it must be a whole number"),
        ({"k": 1.5}, "k is 1.5"),
        ({"k": None}, "k is None"),
        ({"k": 0}, "k is 0; it must be at least 1"),
        ({"offset": -1}, "offset is -1; it must be a whole number from 0 to 1,000,000"),
        ({"offset": 1_000_001}, "offset is 1000001"),
        ({"where": 3}, "where is 3; it must be a text, or a DocumentFilter of this index"),
        ({"where": b"year == 1"}, "where is b'year == 1'"),
        ({"min_score": "high"}, "min_score is 'high'; it must be a finite number"),
        ({"min_score": float("nan")}, "min_score is nan"),
        ({"min_score": 10**400}, "min_score is 1000"),
        ({"fields": [1]}, "fields is [1]; it must be a name or a list of names"),
        ({"fields": 5}, "fields is 5"),
        ({"facets": {"year": 3}}, "facets is {'year': 3}"),
        ({"facets": b"year"}, "facets is b'year'"),
        ({"sort": ""}, "sort is ''; it must be the name of a field"),
        ({"sort": "-"}, "sort is '-'"),
        ({"sort": 5}, "sort is 5; it must be a text"),
        ({"total": 1}, "total is 1; it must be True or False"),
        ({"hybrid": "both"}, "hybrid is 'both'; it must be 'rerank' or 'union', or a Hybrid"),
        ({"hybrid": True}, "hybrid is True"),
        ({"rerank": 5}, "rerank is 5; it must be a text, or a Reranker"),
        ({"rerank": "magic"}, "no reranker 'magic'"),
        ({"hybrid": "union", "rerank": "late-interaction"}, "a reranker goes with rerank"),
        ({"fuser": "best", "hybrid": "union"}, "fuser is 'best'; it must be 'min-max' or"),
        ({"fuser": "rrf"}, "fuser goes with hybrid or rerank"),
        ({"weights": (1, 2, 3), "hybrid": "union"}, "weights is (1, 2, 3); it must be 2 numbers"),
        ({"weights": (0, 0), "hybrid": "union"}, "the weights of a fusion must be 0 or more, and not all 0"),
        ({"candidates": 9, "hybrid": "union"}, "candidates is 9; it must be a whole number from 10 to 1,000"),
        ({"neighbours": "no", "hybrid": "union"}, "neighbours is 'no'; it must be True or False, or a Neighbours"),
        ({"feedback": "ten"}, "feedback is 'ten'; it must be a whole number of at least 1, or a Feedback"),
        ({"feedback": 0}, "feedback is 0; it must be at least 1"),
        ({"approximate": 0.8}, "approximate is 0.8; it must be settings as 'alpha=0.8'"),
        ({"approximate": {"alfa": 0.8}}, "the settings are fast, balanced, near-exact, or alpha=A"),
        ({"approximate": {"superblocks": 1.5}}, "the settings are fast, balanced, near-exact, or alpha=A"),
        ({"explain": "yes"}, "explain is 'yes'; it must be True or False"),
        ({"threads": 0}, "threads is 0; it must be at least 1"),
        ({"sort": "year", "hybrid": "union"}, "sort orders all documents that hold a term of the query, exactly"),
        ({"sort": "year", "approximate": "alpha=0.5"}, "leave out approximate"),
        ({"facet": "year"}, "no search option 'facet': did you mean facets?"),
        ({"filter": "year == 1"}, "no search option 'filter': did you mean where?"),
        ({"zzzz": 1}, "no search option 'zzzz': there are k, offset, where"),
    ],
)
def test_other_types_and_values_are_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as raised:
        SearchOptions.of(**given)
    assert message in str(raised.value)
    with pytest.raises(UsageError):
        SearchOptions().replace(**given)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (123, "the query is 123; it must be a text, or a list of texts"),
        (None, "the query is None"),
        (b"cat", "the query is b'cat'"),
        ({"q": "cat"}, "the query is {'q': 'cat'}"),
        (["cat", 3], "query 1 of the list is 3; it must be a text"),
        ([None], "the query is None"),
    ],
)
def test_a_query_is_a_text_or_several(path: Path, query: Any, message: str) -> None:
    searcher = Searcher(path)
    with pytest.raises(UsageError) as raised:
        searcher.search(query)
    assert message in str(raised.value)


def test_everything_given_to_a_search_is_checked(path: Path) -> None:
    searcher = Searcher(path)
    for options_given, message in ((10, "the options are 10"), ({"k": 3}, "single options by name, as k=10")):
        with pytest.raises(UsageError, match=message):
            searcher.search("cat", options_given)  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="search for them with search_vectors"):
        searcher.search(searcher.encode(["cat"]))  # type: ignore[call-overload]
    with pytest.raises(UsageError, match="the queries are 'cat'; they must be encoded"):
        searcher.search_vectors("cat")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the index is 3; it must be the path"):
        Searcher(3)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the encoder is 3; it must be an encoder"):
        Searcher(path, encoder=3)  # type: ignore[arg-type]
    assert searcher.search([]) == [] and len(searcher.search(("cat", "dog"))) == 2


def test_a_text_is_one_doc_id(path: Path) -> None:
    with StoredIndex.open(path) as index:
        assert DocumentFilter.from_doc_ids(index, "11").n_allowed == 1
        assert [found and found.doc_id for found in index.get("11")] == ["11"]
        assert [found and found.doc_id for found in index.get(["1", "x"])] == ["1", None]
        for wrong in (11, b"11", None, [11]):
            with pytest.raises(UsageError, match="must be a text"):
                DocumentFilter.from_doc_ids(index, wrong)  # type: ignore[arg-type]
            with pytest.raises(UsageError, match="must be a text"):
                index.get(wrong)  # type: ignore[arg-type]


def test_the_descriptions_agree_with_what_they_describe() -> None:
    assert option_spec("hybrid").choices == MODES and set(FUSERS) == set(METHODS)
    assert (option_spec("candidates").least, option_spec("candidates").most) == (FEWEST, MOST)
    for name, spec, default in option_specs():
        assert spec.help and spec.json_schema()["description"] == spec.help, name
        assert default == getattr(SearchOptions(), name)
        if spec.kind != "bool":
            assert spec.metavar or spec.choices, name


@dataclass(frozen=True, slots=True, kw_only=True)
class WithPatience(SearchOptions):
    """Search options with one more."""

    patience: int = field(
        default=3, metadata={"option": OptionSpec(kind="int", least=1, most=9, metavar="N", help="how long to wait")}
    )


@pytest.fixture
def one_more(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(options, "SearchOptions", WithPatience)
    yield


def parsed(*args: str) -> Any:
    parser = argparse.ArgumentParser()
    add_search_options(parser)
    return options_from(parser.parse_args(args))


def option_of_eval(*args: str) -> Any:
    parser = argparse.ArgumentParser()
    add_search_arguments(parser.add_argument_group("search options"))
    return options_from(parser.parse_args(args))


@pytest.mark.usefixtures("one_more")
def test_a_new_option_is_in_every_interface_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert parsed("--patience", "5").patience == 5 and parsed().patience == 3
    with pytest.raises(UsageError, match="--patience is 10; it must be a whole number from 1 to 9"):
        parsed("--patience", "10")
    with pytest.raises(SystemExit):
        parsed("--help")
    assert "how long to wait" in capsys.readouterr().out
    assert "patience" in search_names()
    assert option_of_eval("--patience", "5").patience == 5
    assert request_options({"patience": "4"}, WithPatience()).patience == 4  # type: ignore[attr-defined]
    assert WithPatience.of(patience=2).patience == 2
    with pytest.raises(UsageError, match="patience is 'x'"):
        WithPatience.of(patience="x")
    assert option_spec("patience").json_schema() == {
        "description": "how long to wait", "type": "integer", "minimum": 1, "maximum": 9,
    }  # fmt: skip


def request_options(fields: Mapping[str, str], default: SearchOptions) -> SearchOptions:
    return options_of_pairs([("q", "x"), *fields.items()], default, Limits()).options


def test_the_command_line_and_rest_make_the_same_options() -> None:
    flags = ["-k", "5", "--offset", "2", "--filter", "year > 1", "--min-score", "0.5", "--fields", "year, lang"]
    flags += ["--facets", "year", "--total", "--hybrid", "union", "--weights", "1", "2", "--candidates", "20"]
    flags += ["--no-neighbours", "--feedback", "--approximate", "alpha=0.5", "--explain"]
    fields = {"k": "5", "offset": "2", "where": "year > 1", "min_score": "0.5", "fields": "year,lang", "facets": "year"}
    fields |= {"total": "1", "hybrid": "union", "weights": "1,2", "candidates": "20", "neighbours": "0"}
    fields |= {"feedback": "10", "approximate": "alpha=0.5", "explain": "true"}
    made = parsed(*flags)
    assert made == request_options(fields, SearchOptions()) and made.fields == ("year", "lang")
    assert parsed("--where", "year > 1", "--sort=-year") == SearchOptions(where="year > 1", sort="-year")
    assert parsed("--fields", "").fields == ()


def test_a_request_may_turn_off_what_the_server_does() -> None:
    default = SearchOptions.of(hybrid="rerank", candidates=20, feedback=5, approximate="alpha=0.5")
    assert request_options({"hybrid": "none", "feedback": "none", "approximate": "none"}, default) == SearchOptions()
    reranked = SearchOptions.of(rerank="late-interaction", candidates=30)
    assert request_options({"hybrid": "rerank"}, reranked).hybrid_search == reranked.hybrid_search
    assert request_options({"hybrid": "union"}, reranked).hybrid_search == Hybrid("union", candidates=30)


@pytest.mark.parametrize("text", ["", "1e3", "٣٣٣٣", "1_0", "9" * 5000, " 5", "nan", "\x00", "\udcff"])
def test_hostile_texts_are_refused_or_read(text: str) -> None:
    for name, _, _ in option_specs():
        try:
            SearchOptions.of(**{name: option_spec(name).parse(name, text)})
        except LsrError as error:
            assert name in str(error) or "goes with hybrid" in str(error) or "reranker" in str(error)


def test_the_command_line_is_parsed_without_numpy() -> None:
    code = "import sys, lsr.cli.main as m; m.build_parser(); print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
