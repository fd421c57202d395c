"""What git ignores is skipped: by nested .gitignore files, the parents' and info/exclude, and git agrees."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsr.indexer.corpus.gitglob import patterns_of
from lsr.indexer.corpus.report import CorpusReport, Reason
from lsr.indexer.corpus.walk import walk


def ids(*paths: Path, report: CorpusReport | None = None) -> list[str]:
    return [source.doc_id for source in walk(paths, report or CorpusReport())]


def test_ignored_files_and_folders_are_skipped_and_counted_once_each(plant, report):
    folder = plant(
        {".gitignore": "build/\n*.log.txt\n", "build/a.txt": "", "build/b.txt": "", "x.log.txt": "", "y.txt": ""}
    )
    assert ids(folder, report=report) == ["y.txt"]
    assert report.skipped[Reason.IGNORED].count == 2
    assert report.skipped[Reason.IGNORED].first == str(folder / "build")


def test_a_deeper_file_decides_over_one_above(plant):
    folder = plant(
        {".gitignore": "*.txt\n", "keep/.gitignore": "!*.txt\nno.txt\n", "keep/a.txt": "", "keep/no.txt": ""}
        | {"b.txt": ""}
    )
    assert ids(folder) == ["keep/a.txt"]


def test_what_lies_in_an_ignored_folder_cannot_be_kept(plant):
    folder = plant({".gitignore": "out\n!out/a.txt\n", "out/a.txt": "", "out/.gitignore": "!*", "b.txt": ""})
    assert ids(folder) == ["b.txt"]


def test_patterns_of_the_parents_count_up_to_the_root_of_the_repository(plant):
    folder = plant(
        {".gitignore": "far.txt\n", "repo/.git/HEAD": "", "repo/.gitignore": "/docs/near.txt\n"}
        | {"repo/docs/near.txt": "", "repo/docs/far.txt": "", "repo/docs/a.txt": ""}
    )
    assert ids(folder / "repo" / "docs") == ["a.txt", "far.txt"]


def test_patterns_of_parents_do_not_count_outside_of_a_repository(plant):
    folder = plant({".gitignore": "a.txt\n", "docs/a.txt": "", "docs/.gitignore": "b.txt", "docs/b.txt": ""})
    assert ids(folder / "docs") == ["a.txt"]


def test_a_folder_that_git_ignores_is_read_when_it_is_named(plant):
    folder = plant({".git/HEAD": "", ".gitignore": "data/\n*.md\n", "data/set/a.txt": "", "data/set/b.md": ""})
    assert ids(folder) == []
    assert ids(folder / "data" / "set") == ["a.txt", "b.md"]
    assert ids(folder, folder / "data") == ["data/set/a.txt", "data/set/b.md"]
    assert ids(folder / "data" / "set" / "b.md") == ["b.md"]


def test_info_exclude_counts_and_is_the_weakest(plant):
    folder = plant(
        {".git/info/exclude": "a.txt\nb.txt\n", ".gitignore": "!b.txt\n", "a.txt": "", "b.txt": "", "sub/a.txt": ""}
    )
    assert ids(folder) == ["b.txt"]
    assert ids(folder / "sub") == []


def test_info_exclude_of_a_worktree_is_found_through_its_git_file(plant):
    folder = plant(
        {"main/.git/info/exclude": "a.txt\n", "main/.git/worktrees/w/commondir": "../..\n"}
        | {"w/.git": "gitdir: ../main/.git/worktrees/w\n", "w/a.txt": "", "w/b.txt": ""}
    )
    assert ids(folder / "w") == ["b.txt"]


def test_a_pattern_that_makes_no_sense_does_not_hinder_the_others(plant):
    folder = plant({".gitignore": "!\n///\n[z-a].txt\n\\\na.txt\r\n\x00\n", "a.txt": "", "b.txt": ""})
    assert ids(folder) == ["b.txt"]


NAMES = st.sampled_from(["a", "b", "ab", "keep", "x.txt", "y.txt", "a.txt"])
GLOBS = st.sampled_from(["*", "a*", "?", "[ab]", "[!a]", "[a-b]*", "[[:alpha:]]", "**", "*.txt", "x.*", "\\a"]) | NAMES
PATTERNS = st.builds(
    lambda negated, rooted, parts, folder: negated + rooted + "/".join(parts) + folder,
    st.sampled_from(["", "!"]),
    st.sampled_from(["", "/"]),
    st.lists(GLOBS, min_size=1, max_size=3),
    st.sampled_from(["", "/"]),
)
FILES = ("x.txt", "a/x.txt", "a/b/y.txt", "b/a.txt", "keep/a/x.txt", "keep/ab/b/x.txt", "ab/keep/a.txt", "b/b/b/y.txt")


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    above=st.lists(PATTERNS, max_size=4),
    below=st.lists(PATTERNS, max_size=3),
    where=st.sampled_from(["a", "keep", "b/b"]),
)
def test_git_itself_would_list_the_same_files(tmp_path_factory, above, below, where):
    folder = tmp_path_factory.mktemp("repo")
    for name in FILES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    (folder / ".gitignore").write_text("\n".join(above))
    (folder / where / ".gitignore").write_text("\n".join(below))
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1"}
    git = ["git", "-C", str(folder)]
    subprocess.run([*git, "init", "-q"], check=True, env=environment)
    listed = subprocess.run(
        [*git, "ls-files", "--others", "--exclude-standard"],
        check=True,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert sorted(ids(folder)) == sorted(name for name in listed if not name.endswith(".gitignore"))


@pytest.mark.parametrize(
    "glob", ["*a" * 40 + "b", "**/a/" * 40 + "b", "a*" * 60 + "/c", "**/*a*a*a/" * 20 + "c", "**/" * 60 + "b"]
)
def test_patterns_with_many_stars_take_linear_time(glob):
    (pattern,) = patterns_of(glob)
    for path in ("a/" * 2000 + "a", "a" * 250 + "/" + "a" * 250):
        assert not pattern.matches(path, path.rpartition("/")[2], is_folder=False)


@pytest.mark.parametrize(
    ("glob", "path", "fits"),
    [
        ("a*b*c", "abcbc", True), ("a*b*c", "abcb", False), ("a*ab", "ab", False), ("a*ab", "aab", True),
        ("**/x/**/x/y", "x/x/y", True), ("**/x/**/x/y", "x/y", False), ("a/**", "a/b/c", True), ("a/**", "a", False),
        ("**/**/b", "b", True), ("x/**/b", "x/b", True), ("x/**/b", "xb", False), ("*/b", "a/c/b", False),
    ],
)  # fmt: skip
def test_stars_match_as_git_has_it(glob, path, fits):
    (pattern,) = patterns_of(glob)
    assert pattern.matches(path, path.rpartition("/")[2], is_folder=False) is fits
