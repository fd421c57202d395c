"""Python's own documentation as a corpus: large enough for a demonstration, complete, and the same each time."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import pytest

from lsr.indexer.corpus.formats.pydocs import read_python_documentation, write_jsonl
from lsr.indexer.corpus.reader import read_corpus
from lsr.types import Document


@pytest.fixture(scope="module")
def documentation() -> dict[str, Document]:
    documents = list(read_python_documentation())
    found = {document.doc_id: document for document in documents}
    assert len(found) == len(documents)
    return found


def test_there_are_thousands_of_documents_of_every_kind(documentation):
    assert len(documentation) >= 5_000
    kinds = Counter(document.fields["kind"] for document in documentation.values())
    assert set(kinds) == {"module", "class", "function", "method", "topic"}
    assert min(kinds.values()) >= 50


def test_none_is_empty_or_private_or_breaks_a_run(documentation):
    for document in documentation.values():
        assert document.text.strip() == document.text != ""
        assert document.title
        assert len(document.doc_id.split()) == 1
        assert document.doc_id == "__future__" or not any(
            part.startswith("_") for part in document.doc_id.removeprefix("__future__.").split(".")
        )


@pytest.mark.parametrize(
    ("doc_id", "kind", "part"),
    [
        ("json", "module", "JSON"),
        ("json.dumps", "function", "dumps(obj, *, skipkeys=False"),
        ("json.dumps", "function", "Serialize ``obj`` to a JSON formatted ``str``."),
        ("json.encoder.JSONEncoder", "class", "class JSONEncoder(object)"),
        ("json.encoder.JSONEncoder.iterencode", "method", "iterencode(self, o, _one_shot=False)"),
        ("collections.OrderedDict.popitem", "method", "Remove and return a (key, value) pair"),
        ("collections.abc.Mapping", "class", "A Mapping is a generic container"),
        ("collections.deque.rotate", "method", "Rotate the deque"),
        ("asyncio.tasks.wait_for", "function", "async wait_for(fut, timeout)"),
        ("builtins.len", "function", "len(obj, /)"),
        ("builtins.str.split", "method", "split(self, /, sep=None, maxsplit=-1)"),
        ("builtins.ValueError", "class", "Inappropriate argument value"),
        ("math.hypot", "function", "Euclidean distance"),
        ("itertools.chain", "class", "Return a chain object"),
        ("os.listdir", "function", "Return a list containing the names of the files in the directory."),
        ("datetime.date.isoformat", "method", "YYYY-MM-DD"),
        ("random.Random.shuffle", "method", "Shuffle list x in place"),
        ("topics.for", "topic", "iterate over"),
    ],
)
def test_well_known_things_are_there(documentation, doc_id, kind, part):
    document = documentation[doc_id]
    assert document.fields == {"kind": kind}
    assert part in document.text


def test_titles_are_the_dotted_names_and_the_headings_of_topics(documentation):
    assert documentation["json.dumps"].title == "json.dumps"
    assert documentation["topics.for"].title == 'The "for" statement'


def test_two_readings_are_the_same_whatever_hooks_a_program_sets(documentation, monkeypatch):
    monkeypatch.setattr(sys, "excepthook", lambda *_: None)
    assert list(read_python_documentation()) == list(documentation.values())


def test_nothing_of_the_library_is_run(documentation):
    # Modules that would open windows, speak or start servers when imported, or are merely slow.
    program = (
        "import sys; from lsr.indexer.corpus.formats.pydocs import read_python_documentation as read;"
        "before = set(sys.modules); n = sum(1 for _ in read());"
        "print(n, *sorted(m for m in set(sys.modules) - before if hasattr(sys.modules[m], '__file__')"
        " and (sys.modules[m].__file__ or '').endswith('.py')))"
    )
    count, *imported = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    ).stdout.split()
    # Other tests of this process may have replaced a function of a C module, which is then no longer of the library.
    assert len(documentation) <= int(count) <= len(documentation) + 5
    assert not {"antigravity", "this", "turtle", "tkinter", "asyncio", "unittest", "pydoc_data.topics"} & set(imported)


def test_the_written_file_reads_back_as_the_same_corpus(documentation, tmp_path):
    assert write_jsonl(tmp_path / "python.jsonl") == len(documentation)
    assert list(read_corpus([tmp_path])) == list(documentation.values())


def test_kinds_of_documents_can_be_left_out(documentation, tmp_path):
    kinds = [document.fields["kind"] for document in documentation.values()]
    n_written = write_jsonl(tmp_path / "python.jsonl", without=("method", "topic"))
    assert 0 < n_written == sum(kind not in ("method", "topic") for kind in kinds) < len(kinds)
