"""Every public function refuses every wrong kind of argument with an error of ours, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lsr

WRONG: dict[str, Any] = {
    "None": None,
    "int": 123,
    "float": 1.5,
    "nan": float("nan"),
    "bool": True,
    "bytes": b"bytes",
    "dict": {"a": 1},
    "empty dict": {},
    "object": object(),
    "function": print,
    "type": str,
    "list of None": [None],
    "list of bytes": [b"a"],
    "list of float": [1.5],
    "list of lists": [["a"]],
    "array": np.array([1.5, 2.5]),
    "array without dimensions": np.array(1.5),
    "generator of None": (None for _ in range(1)),
    "complex": 1j,
}

Call = Callable[[lsr.Index, Any], Any]


def a_call(call: Call, *accepted: str) -> tuple[Call, frozenset[str]]:
    """Return a call with the kinds of `WRONG` that it accepts after all."""
    return call, frozenset(accepted)


TEXT = {"id": "x", "text": "a text"}
CALLS: dict[str, tuple[Call, frozenset[str]]] = {
    "index sources": a_call(lambda i, x: lsr.index(x, "new", encoder="bm25")),
    "index path": a_call(lambda i, x: lsr.index([TEXT], x, encoder="bm25")),
    "index encoder": a_call(lambda i, x: lsr.index([TEXT], "new", encoder=x), "None"),
    "index dense": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", dense=x), "None"),
    "index passages": a_call(
        lambda i, x: lsr.index([TEXT], "new", encoder="bm25", passages=x), "None", "bool", "empty dict"
    ),
    "index overwrite": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", overwrite=x), "bool"),
    "index skip_bad": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", skip_bad=x), "bool"),
    "index reorder": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", reorder=x), "bool"),
    "index threads": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", threads=x), "None", "int"),
    "index text": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", text=x), "None"),
    "index title": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", title=x), "None"),
    "index id": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", id=x), "None"),
    "index fields": a_call(lambda i, x: lsr.index([TEXT], "new", encoder="bm25", fields=x), "None"),
    "open path": a_call(lambda i, x: lsr.open(x), "None"),
    "open encoder": a_call(lambda i, x: lsr.open("my-index", encoder=x), "None"),
    "open dense_encoder": a_call(lambda i, x: lsr.open("my-index", dense_encoder=x), "None"),
    "Index path": a_call(lambda i, x: lsr.Index(x)),
    "Index generation": a_call(lambda i, x: lsr.Index("my-index", generation=x), "None"),
    "search": a_call(lambda i, x: i.search(x)),
    "explain": a_call(lambda i, x: i.explain(x)),
    "search options": a_call(lambda i, x: i.search("cats", x), "None"),
    "search k": a_call(lambda i, x: i.search("cats", k=x), "int"),
    "search where": a_call(lambda i, x: i.search("cats", where=x), "None"),
    "search hybrid": a_call(lambda i, x: i.search("cats", hybrid=x), "None"),
    "search rerank": a_call(lambda i, x: i.search("cats", rerank=x), "None"),
    "search feedback": a_call(lambda i, x: i.search("cats", feedback=x), "None", "int"),
    "search approximate": a_call(lambda i, x: i.search("cats", approximate=x), "None"),
    "search fields": a_call(lambda i, x: i.search("cats", fields=x), "None"),
    "search explain": a_call(lambda i, x: i.search("cats", explain=x), "bool"),
    "get": a_call(lambda i, x: i.get(x), "int"),
    "delete": a_call(lambda i, x: i.delete(x), "int"),
    "delete strict": a_call(lambda i, x: i.delete([], strict=x), "bool"),
    "documents": a_call(lambda i, x: i.documents(x), "None"),
    "add": a_call(lambda i, x: i.add(x)),
    "add text": a_call(lambda i, x: i.add([TEXT], text=x), "None"),
    "add merge": a_call(lambda i, x: i.add([TEXT], merge=x), "bool"),
    "add threads": a_call(lambda i, x: i.add([TEXT], threads=x), "None", "int"),
    "update": a_call(lambda i, x: i.update(x)),
    "tune queries": a_call(lambda i, x: i.tune(queries=x, qrels={"q": {"cats": 1}})),
    "tune qrels": a_call(lambda i, x: i.tune(queries={"q": "cat"}, qrels=x)),
    "tune made": a_call(lambda i, x: i.tune(made=x)),
    "tune reset": a_call(lambda i, x: i.tune(reset=x), "bool"),
    "tune_model output": a_call(lambda i, x: i.tune_model(x, minutes=1)),
    "tune_model minutes": a_call(lambda i, x: i.tune_model("new", minutes=x)),
    "merge only_due": a_call(lambda i, x: i.merge(only_due=x), "bool"),
    "Document doc_id": a_call(lambda i, x: lsr.Document(x, "a text")),
    "Document text": a_call(lambda i, x: lsr.Document("a", x)),
    "Document title": a_call(lambda i, x: lsr.Document("a", "a text", x)),
    "Document fields": a_call(lambda i, x: lsr.Document("a", "a text", "", x), "dict", "empty dict"),
    "Hybrid mode": a_call(lambda i, x: lsr.Hybrid(mode=x)),
    "Hybrid candidates": a_call(lambda i, x: lsr.Hybrid(candidates=x), "None", "int"),
    "Hybrid fuser": a_call(lambda i, x: lsr.Hybrid(fuser=x)),
    "Hybrid reranker": a_call(lambda i, x: lsr.Hybrid(reranker=x), "None"),
    "Hybrid neighbours": a_call(lambda i, x: lsr.Hybrid(neighbours=x), "None"),
    "Feedback n_docs": a_call(lambda i, x: lsr.Feedback(n_docs=x), "int"),
    "Feedback alpha": a_call(lambda i, x: lsr.Feedback(alpha=x), "int", "float", "bool"),
    "Approximate alpha": a_call(lambda i, x: lsr.Approximate(alpha=x)),
    "Approximate superblocks": a_call(lambda i, x: lsr.Approximate(superblocks=x), "int"),
    "evaluate systems": a_call(lambda i, x: lsr.evaluate(x, "beir")),
    "evaluate datasets": a_call(lambda i, x: lsr.evaluate(i, x)),
    "evaluate measures": a_call(lambda i, x: lsr.evaluate(i, "beir", measures=x), "None"),
    "evaluate k": a_call(lambda i, x: lsr.evaluate(i, "beir", k=x), "int"),
    "evaluate split": a_call(lambda i, x: lsr.evaluate(i, "beir", split=x)),
    "evaluate threads": a_call(lambda i, x: lsr.evaluate(i, "beir", threads=x), "int"),
    "evaluate cache": a_call(lambda i, x: lsr.evaluate(i, "beir", cache=x), "None"),
    "evaluate options": a_call(lambda i, x: lsr.evaluate(i, "beir", options=x), "None"),
    "evaluate hybrid": a_call(lambda i, x: lsr.evaluate(i, "beir", hybrid=x), "None"),
    "evaluate unknown": a_call(lambda i, x: lsr.evaluate(i, "beir", hybird=x)),
    "load_encoder": a_call(lambda i, x: lsr.load_encoder(x)),
    "load_encoder k1": a_call(lambda i, x: lsr.load_encoder("bm25", k1=x), "None", "int", "float"),
    "load_encoder stemmer": a_call(lambda i, x: lsr.load_encoder("bm25", stemmer=x), "None"),
    "load_encoder device": a_call(lambda i, x: lsr.load_encoder("default", device=x), "None"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    lsr.index([{"id": "cats", "text": "A cat sleeps."}], folder / "my-index", encoder="bm25").close()
    (folder / "beir" / "qrels").mkdir(parents=True)
    (folder / "beir" / "corpus.jsonl").write_text('{"_id": "cats", "text": "A cat sleeps."}')
    (folder / "beir" / "queries.jsonl").write_text('{"_id": "q", "text": "cat"}')
    (folder / "beir" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\tcats\t1\n")
    return folder


@pytest.mark.parametrize("kind", WRONG)
@pytest.mark.parametrize("name", CALLS)
def test_a_wrong_kind_is_refused(name: str, kind: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    call, accepted = CALLS[name]
    if kind in accepted:
        pytest.skip("accepted here")
    monkeypatch.chdir(folder)
    value = (None for _ in range(1)) if kind == "generator of None" else WRONG[kind]
    with lsr.open("my-index") as index:
        with pytest.raises(lsr.LsrError) as caught:
            call(index, value)
        assert (len(index), index.generation) == (1, 1)
    assert len(str(caught.value)) > 10
    assert not (folder / "new").exists()
