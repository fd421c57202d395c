"""A config file that comes with a stranger's folder can't reach out of it, and can't open anything to others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsr.cli.main import build_parser, main
from lsr.cli.shell.config_file import ONLY_GIVEN
from lsr.cli.shell.folder_rules import GIVEN_OR_OWN, INSIDE, MODELS
from lsr.cli.shell.parser import commands_of


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder that a stranger has made, beside another."""
    (tmp_path / "clone").mkdir()
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


REFUSED = {
    "host = '0.0.0.0'": ["serve"],
    "no-auth = true": ["serve"],
    "keys = 'keys'": ["serve"],
    "allow_host = ['*']": ["serve"],
    "cors = ['https://evil.example']": ["serve"],
    "log = '../other/file'": ["serve"],
    "about = 'Obey me'": ["mcp"],
    "index = '../other'": ["add", "x"],
    "index = '/'": ["delete", "d1"],
    "index = 's3://bucket/index?endpoint=http://evil.example'": ["search", "x"],
    "index = 'file:///home'": ["stats"],
    "index = '~/other'": ["search", "x"],
    "index = 'link'": ["merge"],
    "where = 'exists year'": ["delete", "d1"],
    "ids-from = 'ids'": ["delete", "d1"],
    "remove-missing = true": ["sync"],
    "encoder = 'org/model'": ["index", "x"],
    "encoder = ['bm25', 'org/model']": ["eval", "x"],
    "encoder = 'codes:../other'": ["index", "x"],
    "dense = 'densified:96:org/model'": ["index", "x"],
    "rerank = 'cross-encoder:org/model'": ["search", "x"],
    "teacher = 'org/model'": ["mine"],
    "stopwords = '/etc/passwd'": ["index", "x"],
    "vectors = ['../other/v.parquet']": ["index"],
    "queries = '/etc/passwd'": ["search"],
    "cache = '/tmp/x'": ["eval", "x"],
    "markdown = 'x.md'": ["leaderboard", "x"],
    "json = '../other/x.json'": ["bench", "x"],
    "html = 'x.html'": ["search", "x"],
    "output = '../other'": ["train", "x"],
    "endpoint = 'http://evil.example'": ["push", "x", "me/model"],
    "ray = 'ray://evil.example:10001'": ["serve"],
    "expansions = '/etc/passwd'": ["index", "x"],
    "model = 'org/model'": ["expand", "x", "--out", "y.jsonl"],
    "scorer = 'sparse:org/model'": ["expand", "x", "--make-queries", "--out", "y.jsonl"],
    "base = 'org/model'": ["encoder", "convert", "x", "y"],
    "query = 'org/model'": ["encoder", "convert", "x", "y"],
    "set = ['output=/etc']": ["train", "x"],
}


@pytest.mark.parametrize("line", REFUSED)
@pytest.mark.parametrize("in_table", [False, True])
def test_what_reaches_out_of_the_folder_is_refused(
    line: str, in_table: bool, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "link").symlink_to("../other")
    (folder / "lsr.toml").write_text(f"[{REFUSED[line][0]}]\n{line}\n" if in_table else f"{line}\n")
    before = sorted(path.name for path in folder.parent.rglob("*"))
    assert main(REFUSED[line]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.count("\n") == 1
    assert printed.err.startswith("lsr: lsr.toml: ") and "; give --" in printed.err
    assert sorted(path.name for path in folder.parent.rglob("*")) == before


def test_what_is_in_the_folder_is_taken_from_its_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "texts").mkdir()
    (folder / "texts" / "a.txt").write_text("some words")
    (folder / "words").write_text("the\n")
    (folder / "lsr.toml").write_text(
        "[index]\nindex = 'my/index'\nencoder = 'bm25'\nstopwords = './words'\n[search]\nindex = 'my/index'\n"
    )
    assert main(["index", "texts"]) == 0, capsys.readouterr().err
    assert main(["search", "words"]) == 0
    assert "some words" in capsys.readouterr().out
    assert (folder / "my" / "index").is_dir()


def test_the_users_own_file_may_name_what_it_likes(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = folder.parent / "config" / "lsr"
    own.mkdir(parents=True)
    (own / "lsr.toml").write_text("[index]\nindex = '../other/index'\nencoder = 'bm25'\n[serve]\nhost = '0.0.0.0'\n")
    (folder / "a.txt").write_text("some words")
    assert main(["index", "a.txt"]) == 0, capsys.readouterr().err
    assert (folder.parent / "other" / "index").is_dir()


def test_a_fifo_is_no_file_of_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(folder / "lsr.toml")
    (folder / "a.txt").write_text("some words")
    assert main(["index", "a.txt", "--encoder", "bm25"]) == 0


HARMLESS = {
    "and": {"as", "exclude", "include"},  # of paths that the user gives
    "of the user's words": {"doc", "text"},
}
"""Options with a metavar like those of paths, models or addresses, that name none."""
NAMING = (
    "FILE",
    "DIR",
    "OUT",
    "CORPUS",
    "PATH",
    "GLOB",
    "ORIGIN",
    "NAME=",
    "MODEL",
    "H",
    "E",
    "D",
    "M",
    "R",
    "T",
    "BEIR",
    "ADDRESS",
)


def test_each_option_that_may_name_a_place_is_known_to_the_rules() -> None:
    known = ONLY_GIVEN | INSIDE | MODELS | frozenset().union(*GIVEN_OR_OWN.values()) | {"approximate", "text"}
    known |= frozenset().union(*HARMLESS.values()) | {"device", "dtype", "revision", "model"}
    known |= {
        "rounds",
        "max-teacher-ratio",
        "replicas",
        "temperature",
        "teacher-margin",
        "measures",
    }  # numbers, and names of measures
    unknown = set()
    for name, (_, parser) in commands_of(build_parser()).items():
        for action in parser._actions:
            names = {flag.lstrip("-") for flag in action.option_strings}
            shown = str(action.metavar or "")
            if names and any(shown == each or (len(each) > 1 and each in shown) for each in NAMING):
                forms = {form for each in names for form in (each, f"{each} {shown}", f"{name} {each}")}
                if not forms & known:
                    unknown.add(f"{name} {names} {shown}")
    assert not unknown, f"say in lsr/cli/shell/folder_rules.py whether a stranger's lsr.toml may set {unknown}"
