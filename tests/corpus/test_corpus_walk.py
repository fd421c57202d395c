"""Which files of a corpus are read, in which order, under which ids, and what is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsr.errors import LsrError, UsageError
from lsr.indexer.corpus import walk as walk_module
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import format_of
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import total_bytes, walk


def ids(*paths: Path, report: CorpusReport | None = None) -> list[str]:
    return [source.doc_id for source in walk(paths, report or CorpusReport())]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", ("text", "")),
        ("A.TXT.GZ", ("text", ".gz")),
        ("a.txt.zst", ("text", ".zst")),
        ("notes.v2.md", ("markdown", "")),
        ("x.parquet.gz", ("parquet", ".gz")),
        ("x.ndjson", ("jsonl", "")),
        ("x.jsonl.bz2", ("jsonl", ".bz2")),
        ("x.csv.xz", ("csv", ".xz")),
        ("picture.png", None),
        ("README", None),
        (".gz", None),
        (".txt", None),
    ],
)
def test_the_kind_of_a_file_is_told_from_its_name(name: str, expected: object) -> None:
    found = format_of(name)
    assert (found and (found[0].name, found[1])) == expected


def test_folders_are_read_recursively_in_the_order_of_names(plant):
    folder = plant({"b.txt": "", "a/z.md": "", "a/deep/er/x.txt": "", "c.HTML": "", "a.txt": ""})
    assert ids(folder) == ["a/deep/er/x.txt", "a/z.md", "a.txt", "b.txt", "c.HTML"]


def test_ids_of_one_file_are_its_name(plant):
    folder = plant({"sub/a.txt": ""})
    assert ids(folder / "sub" / "a.txt") == ["a.txt"]


def test_a_file_has_the_same_id_whether_its_folder_is_given_or_all_that_is_in_it(plant):
    folder = plant({"a.txt": "", "b.txt": "", "c/d.txt": ""})
    assert ids(folder) == ids(*sorted(folder.iterdir())) == ["a.txt", "b.txt", "c/d.txt"]


def test_files_of_the_same_name_in_several_roots_have_different_ids(plant):
    folder = plant({"x/docs/a.txt": "", "y/docs/a.txt": ""})
    assert ids(folder / "x" / "docs", folder / "y" / "docs") == ["x/docs/a.txt", "y/docs/a.txt"]


def test_a_root_given_twice_or_lying_in_another_is_read_once(plant):
    folder = plant({"a.txt": "", "sub/b.txt": "", "sub/c.txt": ""})
    assert ids(folder, folder / "sub" / ".." / "sub", folder, folder / "a.txt") == ["sub/b.txt", "sub/c.txt", "a.txt"]


def test_relative_paths_work_from_where_one_stands(plant, monkeypatch):
    folder = plant({"a.txt": "", "sub/b.txt": ""})
    monkeypatch.chdir(folder)
    assert ids(Path()) == ["a.txt", "sub/b.txt"]
    assert [source.label for source in walk([Path()], CorpusReport())] == ["a.txt", "sub/b.txt"]
    monkeypatch.chdir(folder / "sub")
    assert ids(Path("..")) == ["a.txt", "sub/b.txt"]


def test_ids_of_files_are_their_paths_with_white_space_and_percent_signs(plant):
    folder = plant({"my notes.txt": "", "my%20notes.txt": "", "tab\there\nline.txt": "", "grün.txt": ""})
    assert sorted(ids(folder)) == ["grün.txt", "my notes.txt", "my%20notes.txt", "tab\there\nline.txt"]


def test_a_name_that_is_not_utf8_gets_an_id_that_is(plant, tmp_path):
    folder = plant({"a.txt": ""})
    try:
        (tmp_path / "corpus" / os.fsdecode(b"caf\xe9.txt")).write_text("x")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    assert sorted(ids(folder)) == ["a.txt", "caf%E9.txt"]
    assert all(source.label.isprintable() for source in walk([folder], CorpusReport()))


def test_hidden_files_and_folders_are_skipped_and_counted_once_each(plant, report):
    folder = plant({".secret.txt": "", ".cache/a.txt": "", ".cache/b.txt": "", "a.txt": ""})
    assert ids(folder, report=report) == ["a.txt"]
    assert report.skipped[Reason.HIDDEN].count == 2
    assert report.skipped[Reason.HIDDEN].first == str(folder / ".cache")


def test_a_hidden_folder_that_is_named_is_read(plant):
    folder = plant({".notes/a.txt": ""})
    assert ids(folder / ".notes") == ["a.txt"]


def test_unknown_kinds_are_skipped_also_when_named(plant, report):
    folder = plant({"a.txt": "", "b.png": b"\x89PNG", "c.bin": b"\0"})
    assert ids(folder, folder / "b.png", report=report) == ["a.txt"]
    assert report.count_skipped(Reason.UNKNOWN_KIND) == 2


def test_an_index_is_skipped_whatever_its_name(plant, report):
    folder = plant(
        {"a.txt": "", ".lsr/manifest-00000001.json": "{}", "my-index/manifest-00000007.json": "{}"}
        | {"my-index/segments/x/terms.txt": "", "my-index/encoder/tokenizer.json": "{}"}
    )
    assert ids(folder, report=report) == ["a.txt"]
    assert report.skipped[Reason.INDEX].first == str(folder / "my-index")


def test_excluded_folders_are_skipped(plant, report):
    folder = plant({"a.txt": "", "out/b.txt": ""})
    assert [s.doc_id for s in walk([folder], report, exclude=[folder / "out"])] == ["a.txt"]
    assert report.count_skipped(Reason.INDEX) == 1


def test_of_a_beir_folder_only_the_corpus_is_read(plant, report):
    line = '{"_id": "1", "text": "x"}\n'
    folder = plant({"set/corpus.jsonl": line, "set/queries.jsonl": line, "set/qrels/test.tsv": "a", "set/n.txt": ""})
    assert [source.label for source in walk([folder], report)] == [str(folder / "set" / "corpus.jsonl")]
    assert report.count_skipped(Reason.BESIDE_BEIR) == 3


def test_a_beir_corpus_may_be_gzipped(plant):
    folder = plant({"corpus.jsonl.gz": b"", "queries.jsonl.gz": b"", "qrels/test.tsv": ""})
    assert [source.path.name for source in walk([folder], CorpusReport())] == ["corpus.jsonl.gz"]


def test_a_corpus_file_alone_makes_no_beir_folder(plant):
    folder = plant({"corpus.jsonl": "", "more.jsonl": ""})
    assert len(ids(folder)) == 2


def test_links_in_a_circle_do_not_hang(plant, report):
    folder = plant({"a.txt": "", "sub/b.txt": ""})
    (folder / "sub" / "up").symlink_to(folder, target_is_directory=True)
    (folder / "self").symlink_to(folder / "self")
    assert ids(folder, report=report) == ["a.txt", "sub/b.txt"]
    assert report.count_skipped(Reason.LINK_INSIDE) == 1
    assert report.count_skipped(Reason.LINK_BROKEN) == 1


def test_links_that_lead_out_are_skipped_and_links_inside_are_read_at_their_own_place(plant, report, tmp_path):
    folder = plant({"a.txt": ""})
    (tmp_path / "outside.txt").write_text("secret")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    (folder / "up").symlink_to(tmp_path)
    (folder / "in.txt").symlink_to(folder / "a.txt")
    (folder / "gone.txt").symlink_to(folder / "nowhere")
    assert ids(folder, report=report) == ["a.txt"]
    assert report.count_skipped(Reason.LINK_OUT) == 2
    assert report.count_skipped(Reason.LINK_INSIDE) == 1
    assert report.count_skipped(Reason.LINK_BROKEN) == 1


def test_a_link_that_is_named_is_followed(plant, tmp_path):
    folder = plant({"v3/a.txt": "x"})
    (tmp_path / "latest").symlink_to(folder / "v3")
    (tmp_path / "one.txt").symlink_to(folder / "v3" / "a.txt")
    assert ids(tmp_path / "latest") == ["a.txt"]
    assert ids(tmp_path / "one.txt") == ["one.txt"]


def test_what_is_no_regular_file_is_not_opened(plant, report):
    folder = plant({"a.txt": ""})
    os.mkfifo(folder / "pipe.txt")
    assert ids(folder, folder / "pipe.txt", report=report) == ["a.txt"]
    assert report.count_skipped(Reason.SPECIAL) == 1


def test_a_folder_that_may_not_be_listed_is_skipped(plant, report, monkeypatch):
    folder = plant({"a.txt": "", "locked/b.txt": ""})
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(walk_module.os, "scandir", refusing)
    assert ids(folder, report=report) == ["a.txt"]
    assert report.skipped[Reason.UNREADABLE].first == f"{folder / 'locked'}: Permission denied"


def test_a_link_into_a_folder_that_may_not_be_entered_is_skipped(plant, report, monkeypatch):
    folder = plant({"a.txt": "", "b.txt": ""})
    (folder / "into").symlink_to(folder / "locked" / "c.txt")
    exists = Path.exists

    def refusing(path, **options):
        if path.name == "into":
            raise PermissionError(13, "Permission denied")
        return exists(path, **options)

    monkeypatch.setattr(Path, "exists", refusing)
    assert ids(folder, report=report) == ["a.txt", "b.txt"]
    assert report.skipped[Reason.UNREADABLE].first == f"{folder / 'into'}: Permission denied"


@pytest.mark.skipif(os.geteuid() == 0, reason="rights don't stop root")
def test_folders_of_mode_000_are_skipped(plant, report):
    folder = plant({"a.txt": "", "lost+found/b.txt": ""})
    (folder / "lost+found").chmod(0)
    (folder / "link").symlink_to(folder / "lost+found" / "b.txt")
    try:
        assert ids(folder, report=report) == ["a.txt"]
    finally:
        (folder / "lost+found").chmod(0o700)
    assert report.count_skipped(Reason.UNREADABLE) == 2


def test_folders_may_lie_hundreds_deep(tmp_path):
    path = tmp_path.joinpath(*["d"] * 400)
    path.mkdir(parents=True)
    (path / "a.txt").write_text("x")
    assert ids(tmp_path) == ["d/" * 400 + "a.txt"]


def test_total_bytes_is_the_size_on_the_disk_of_what_will_be_read(plant):
    folder = plant({"a.txt": "12345", "b/c.md": "123", "no.png": b"\x89PNG\x00", ".hidden.txt": "1"})
    assert total_bytes([folder]) == 8
    assert total_bytes([folder, folder / "b"]) == 8


@pytest.mark.parametrize("read_or_walk", [read_corpus, lambda paths: walk(paths, CorpusReport()), total_bytes])
def test_a_path_that_is_not_there_is_an_error_at_once(read_or_walk, tmp_path):
    with pytest.raises(LsrError, match=r"no such file or folder: .*nowhere: check the spelling"):
        read_or_walk([tmp_path, tmp_path / "nowhere"])


def test_no_path_at_all_is_a_usage_error():
    with pytest.raises(UsageError, match="no corpus given"):
        read_corpus([])


def test_texts_of_unknown_kinds_and_without_a_suffix_are_read_as_text(plant, report):
    files = {"README": "Hello", "x.odd": "Grüße", "LICENSE": "MIT", "x.bin": b"\x00\x01", "y.bin": b"\xff\xfe\xfd" * 9}
    folder = plant(files | {"id.pem": "KEY", "empty": "", "picture.svg": "<svg>", "go.sum": "x v1", "uv.lock": "a = 1"})
    found = {source.doc_id: source.format.name for source in walk([folder], report)}
    assert found == dict.fromkeys(["LICENSE", "README", "go.sum", "uv.lock", "x.odd"], "text")
    tally = report.skipped[Reason.UNKNOWN_KIND]
    assert tally.suffixes == {".bin": 2, ".pem": 1, ".svg": 1, "": 1}
    assert report.skipped_summary() == [
        f"skipped 5: of a kind that isn't read: 2 .bin, 1 without a suffix, 1 .pem, 1 .svg (first: {folder / 'empty'})"
    ]


def test_a_character_cut_at_the_end_of_the_head_does_not_hide_a_text(plant):
    assert ids(plant({"a": "x" * 8191 + "ü" * 10})) == ["a"]


def chosen(folder, report=None, **given):
    found = walk([folder], report or CorpusReport(), options=CorpusOptions(**given))
    return {source.doc_id: source.format.name for source in found}


def test_patterns_choose_the_files_of_a_folder(plant, report):
    folder = plant({"a.md": "", "b.txt": "", "docs/c.md": "", "docs/x/d.md": "", "old/e.md": ""})
    assert list(chosen(folder, include="*.md", exclude="old/", report=report)) == ["a.md", "docs/c.md", "docs/x/d.md"]
    assert report.count_skipped(Reason.EXCLUDED) == 2
    assert list(chosen(folder, include="docs/**")) == ["docs/c.md", "docs/x/d.md"]
    assert list(chosen(folder, include=("b.txt", "docs/*.md"))) == ["b.txt", "docs/c.md"]


def test_patterns_give_files_a_format(plant):
    folder = plant({"a.old": "# T", "b.old.gz": b"", "x/c.bin": b"\0", "d.md": ""})
    found = chosen(folder, formats=("markdown=*.old", "markdown=*.old.gz", "text=x/*"))
    assert found == {"a.old": "markdown", "b.old.gz": "markdown", "x/c.bin": "text", "d.md": "markdown"}


def test_a_format_that_there_is_not_is_a_usage_error(plant):
    with pytest.raises(UsageError, match=r"no format is called 'nonsense'; there are archive, asciidoc, "):
        chosen(plant({"a.md": ""}), formats="nonsense=*.md")
