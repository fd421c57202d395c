"""A set of which a shard is damaged or gone: an error that names it, or, where that is asked for, a partial answer."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from set_material import OPTIONS, make_set

import lsr
from lsr.cli.main import main
from lsr.errors import IndexDamagedError, ShardDamagedError, ShardLostError, UsageError
from lsr.eval.systems.index_system import IndexSystem
from lsr.indexer.shards.manifest import Partition
from lsr.output.hit_view import HitView
from lsr.query.options import SearchOptions
from lsr.query.shards.gathered import GatheredSearcher
from lsr.query.shards.open import open_searcher
from lsr.query.shards.packing import pack, unpack
from lsr.query.shards.threads import Threads

PARTIAL = SearchOptions(partial=True)
HEADER = 128
"""Bytes before the numbers of an array's file."""


@pytest.fixture(scope="module", params=[Partition(3), Partition(3, "hash")], ids=str)
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "set"
    make_set(path, request.param)
    return path


def shards(path: Path) -> list[Path]:
    return sorted(path.glob("shard-*"))


@pytest.fixture
def damaged(sound: Path, tmp_path: Path) -> Path:
    """A set whose second shard has posting lists that aren't what was written."""
    path = tmp_path / "set"
    shutil.copytree(sound, path)
    for file in shards(path)[1].rglob("frequent.npy"):
        data = bytearray(file.read_bytes())
        for place in range(HEADER, len(data)):
            data[place] ^= 1
        file.write_bytes(data)
    return path


@pytest.fixture
def vanished(sound: Path, tmp_path: Path) -> Path:
    """A set whose second shard is gone."""
    path = tmp_path / "set"
    shutil.copytree(sound, path)
    shutil.rmtree(shards(path)[1])
    return path


def of_other_shards(path: Path, missing: str, query: str) -> set[str]:
    with lsr.open(path.parent / "set") as index:
        holders = {shard.path.name: shard for shard in index.searcher.index.shards}
        there = {hit.doc_id for hit in index.search(query, k=1000)}
        gone = {str(one.fields["passage_of"]) for one in holders[missing].documents()}
    return there - gone


@pytest.mark.parametrize("name", ["plain", "filter", "feedback", "explain", "sort"])
def test_a_damaged_shard_is_named_or_left_out(sound: Path, damaged: Path, name: str) -> None:
    options = OPTIONS[name].replace(k=1000)
    gone = shards(damaged)[1].name
    with lsr.open(damaged) as index:
        with pytest.raises(IndexDamagedError, match=gone):
            index.search("river", options)
        found = index.search("river", options.replace(partial=True))
    assert [shard.name for shard in found.missing] == [gone]
    assert found.missing[0].n_docs > 0
    assert not found.exact
    if name == "plain":
        assert {hit.doc_id for hit in found} == of_other_shards(sound, gone, "river")


def test_batches_lack_it_too_and_whole_sets_lack_nothing(sound: Path, damaged: Path) -> None:
    with lsr.open(damaged, partial=True) as index:
        many = index.search(["river", "lake sea"], k=1000)
        assert [len(found.missing) for found in many] == [1, 1]
    with lsr.open(sound, partial=True) as index:
        assert index.search("river").missing == ()
        assert index.search("river").exact


def test_a_vanished_shard_is_an_error_at_opening_unless_partial_is_asked_for(sound: Path, vanished: Path) -> None:
    gone = shards(sound)[1].name
    with pytest.raises(IndexDamagedError, match=gone):
        lsr.open(vanished)
    with lsr.open(vanished, partial=True) as index:
        found = index.search("river", k=1000)
        assert [(shard.name, shard.n_docs > 0) for shard in found.missing] == [(gone, True)]
        assert {hit.doc_id for hit in found} == of_other_shards(sound, gone, "river")
        assert gone in repr(found)
        with pytest.raises(ShardDamagedError, match=gone) as raised:
            index.search("river", partial=False)
        assert raised.value.exit_code == 3
        assert [one.name for one in pickle.loads(pickle.dumps(index)).search("river").missing] == [gone]
    with pytest.raises(UsageError, match="partial is 1"):
        lsr.open(sound, partial=1)  # type: ignore[arg-type]


def test_a_set_without_any_shard_is_no_partial_answer(vanished: Path) -> None:
    for shard in shards(vanished):
        shutil.rmtree(shard)
    with pytest.raises(IndexDamagedError, match="is missing"):
        lsr.open(vanished, partial=True)


def test_commands_name_it(vanished: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    search = ["search", "river", "--index", str(vanished)]
    assert main(search) == 3
    assert main([*search, "--partial", "--json"]) == 0
    output = capsys.readouterr()
    *hits, about = map(json.loads, output.out.splitlines())
    gone = about["results"]["missing"]["shards"][0]["shard"]
    assert all(hit["missing"] == [gone] for hit in hits)
    assert f"not searched ({gone})" in output.err
    queries, run = tmp_path / "queries.tsv", tmp_path / "run.trec"
    queries.write_text("1\triver\n2\tlake sea\n")
    assert main(["search", "--index", str(vanished), "--queries", str(queries), "--run", str(run), "--partial"]) == 0
    assert {line.split()[5] for line in run.read_text().splitlines()} == {"lsr-partial"}
    beside = json.loads((tmp_path / "run.trec.missing.json").read_text())
    assert [one["shard"] for one in beside["missing"]["shards"]] == [gone]
    assert "not searched" in capsys.readouterr().err
    assert main(["search", "river", "--index", str(vanished), "--partial", "--explain", "--json"]) == 0
    assert gone in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["eval", "x", "--index", str(vanished), "--partial"])


def test_the_server_and_agents_name_it_without_paths(vanished: Path) -> None:
    pytest.importorskip("fastapi")
    from lsr.mcp.search_tool import search_tool
    from lsr.server.pages.address import read_address
    from lsr.server.pages.results import results_page
    from lsr.server.rest.answers import search_object
    from lsr.server.served_index import ServedIndex

    searcher = open_searcher(vanished, options=PARTIAL)
    (gone,) = searcher.missing
    answer = search_object(searcher, "river", PARTIAL, HitView())
    assert answer["missing"]["shards"] == [{"shard": gone.name, "documents": gone.n_docs}]
    page = results_page(searcher, read_address([("q", "river")])).html
    assert f"not searched ({gone.name})" in page
    told = search_tool().answer(ServedIndex("set", searcher), {"query": "river"})
    assert told.splitlines()[0].startswith("Partial: ")
    for text in (json.dumps(answer), page, told):
        assert str(vanished) not in text


def test_measures_are_not_taken_of_a_part(vanished: Path) -> None:
    with pytest.raises(UsageError, match="isn't measured"):
        IndexSystem(open_searcher(vanished, options=PARTIAL))


class Silent:
    """A transport whose second shard never answers."""

    def connect(self, places: Any) -> Any:
        self.asked = 0
        inner = Threads().connect(places)
        outer = self

        class Connection:
            def ask(self, shards: Any, request: bytes, timeout_s: float | None) -> Any:
                from lsr.query.shards.transport import Lost

                outer.asked += 1 in shards
                found = inner.ask([number for number in shards if number != 1], request, None)
                return found | ({1: Lost(f"no answer within {timeout_s:g} s")} if 1 in shards else {})

            def close(self) -> None:
                inner.close()

        return Connection()


def test_a_silent_shard_is_not_asked_again_at_once(sound: Path) -> None:
    transport = Silent()
    searcher = open_searcher(sound, transport=transport, timeout_s=3.0)
    assert isinstance(searcher, GatheredSearcher)
    with pytest.raises(ShardLostError, match="no answer within 3 s"):
        searcher.search("river")
    asked = transport.asked
    for _ in range(3):
        assert len(searcher.search("river", PARTIAL).missing) == 1
    assert transport.asked == asked
    searcher.close()


def test_errors_of_callers_are_not_losses(sound: Path) -> None:
    searcher = open_searcher(sound, transport=Threads())
    with pytest.raises(lsr.LsrError, match="no document has a field 'size'"):
        searcher.search("river", where="size > 3", partial=True)
    with pytest.raises(UsageError, match=r"lists of texts|no document has"):
        searcher.search("river", sort="size", partial=True)
    with pytest.raises(UsageError, match="k is 0"):
        searcher.rank_vector((np.array([1], np.int32), np.ones(1, np.float32)), 0)
    searcher.close()


def test_packing_returns_what_it_was_given() -> None:
    arrays = [np.arange(3, dtype=np.int32), np.ones((2, 3), np.float16), np.empty(0), np.array([True, False])]
    value, found = unpack(pack({"a": [1, "ü", None]}, *arrays))
    assert value == {"a": [1, "ü", None]}
    for one, other in zip(arrays, found, strict=True):
        assert one.dtype == other.dtype
        assert np.array_equal(one, other)
