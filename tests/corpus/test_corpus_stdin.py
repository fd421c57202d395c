"""Standard input as a file of the corpus."""

from __future__ import annotations

import subprocess
import sys

import pytest

READ = """
import sys
from pathlib import Path
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
options = CorpusOptions(formats=tuple(sys.argv[2:]))
for _ in range(2):  # a corpus may be read again
    print([(d.doc_id, d.title, d.text) for d in read_corpus([Path(p) for p in sys.argv[1].split()], options=options)])
"""


@pytest.mark.parametrize(
    ("arguments", "data", "expected"),
    [
        (["-"], b"A note.\n", [("stdin", "", "A note.")]),
        (["-"], b'{"id": 1, "text": "x"}\n{"text": "y"}\n', [("1", "", "x"), ("stdin:2", "", "y")]),
        (["-", "markdown=-"], b"# T\n\n*x*\n", [("stdin", "T", "x")]),
        (["- a.txt"], b"in\n", [("stdin", "", "in"), ("a.txt", "", "file")]),
    ],
)
def test_standard_input_is_a_file(tmp_path, arguments, data, expected):
    (tmp_path / "a.txt").write_text("file")
    command = [sys.executable, "-c", READ, *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=True, cwd=tmp_path)
    assert done.stdout.decode().splitlines() == [repr(expected)] * 2
