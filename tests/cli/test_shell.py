"""Hands and shells: near matches, usage lines, config files, completion, quiet and verbose, progress lines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsr.cli.main import COMMANDS, build_parser
from lsr.cli.shell import progress as progress_module
from lsr.cli.shell.config_file import ONLY_GIVEN
from lsr.cli.shell.parser import commands_of
from lsr.cli.shell.progress import TerminalProgress
from lsr.encoders.registry import load_encoder
from lsr.errors import LsrError
from lsr.indexer.pipeline import index_corpus
from lsr.indexer.update.sync import plan_sync, sync_index

Lsr = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, bm25_index: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder with an index, and without a config of the user."""
    shutil.copytree(bm25_index, tmp_path / ".lsr")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "usage", "message"),
    [
        (["serach", "x"], "lsr [options] COMMAND ...", "lsr: error: no command 'serach'; did you mean 'search'?"),
        (["zzz"], "lsr [options] COMMAND ...", "lsr: error: no command 'zzz'; 'lsr --help' explains"),
        (
            ["search", "x", "--filtre", "y"],
            "lsr search [options] [QUERY]",
            "no option '--filtre'; did you mean '--filter'",
        ),
        (["search", "x", "--jsno=1"], "lsr search [options] [QUERY]", "no option '--jsno'; did you mean '--json'"),
        (["get", "x", "--zzzzz"], "lsr get [options] ID ...", "no option '--zzzzz'; 'lsr get --help' explains"),
        (["get"], "lsr get [options] ID ...", "the following arguments are required: ID"),
        (["search", "two", "words"], "lsr search [options] [QUERY]", "unexpected 'words'; put several words in quotes"),
        (
            ["index", "x", "--quoting", "non"],
            "lsr index [options] [CORPUS ...]",
            "argument --quoting: 'non' is none of standard, none; did you mean 'none'?",
        ),
        (["completion", "tcsh"], "lsr completion [options] SHELL", "'tcsh' is none of bash, zsh, fish"),
    ],
)
def test_a_mistake_is_answered_with_usage_and_near_names(
    lsr: Lsr, arguments: list[str], usage: str, message: str
) -> None:
    done = lsr(*arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first == f"usage: {usage}"
    assert message in second


def test_help_of_a_command_is_that_of_its_option(lsr: Lsr) -> None:
    assert lsr("help", "get").out == lsr("get", "--help").out != ""
    assert lsr("help").out == lsr("--help").out
    wrong = lsr("help", "serach")
    assert (wrong.code, wrong.err) == (2, "lsr: no command 'serach'; did you mean 'search'?; 'lsr help' lists all\n")


def test_options_of_files_are_defaults(lsr: Lsr, here: Path) -> None:
    (here / "lsr.toml").write_text("json = true\n[search]\nk = 1\n[serve]\nport = 1\n")
    assert len(lsr("search", "house").objects) == 1
    assert len(lsr("search", "house", "-k", "2").objects) == 2
    assert lsr("stats").objects[0]["documents"] == 4
    assert "lsr: lsr.toml sets k to 1\n" in lsr("search", "house", "--verbose").err
    assert "sets" not in lsr("search", "house").err


def test_the_folders_file_counts_more_than_the_users(lsr: Lsr, here: Path) -> None:
    (here / "config" / "lsr").mkdir(parents=True)
    (here / "config" / "lsr" / "lsr.toml").write_text("[search]\nk = 1\njson = true\n")
    assert len(lsr("search", "house").objects) == 1
    (here / "lsr.toml").write_text("[search]\nk = 2\n")
    assert len(lsr("search", "house").objects) == 2
    (here / "lsr.toml").write_text("[search]\njson = false\n")
    assert lsr("search", "house").out.startswith("  1  ")


def test_a_list_is_several_values(lsr: Lsr, here: Path) -> None:
    (here / "notes").mkdir()
    for name in ("a.txt", "b.log", "c.md"):
        (here / "notes" / name).write_text("A tree.")
    (here / "lsr.toml").write_text("[index]\nencoder = 'bm25'\nexclude = ['*.log', '*.md']\nno-reorder = true\n")
    done = lsr("index", "notes", "--overwrite", "--json")
    assert done.objects[0]["documents"] == 1, done.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[serch]\nk = 1", "lsr.toml: there is no command 'serch'; did you mean 'search' or 'serve'?"),
        ("[search]\nkk = 1", "lsr.toml: [search] kk is no option; did you mean 'k'?"),
        ("thread = 4", "lsr.toml: thread is no option; did you mean 'threads'"),
        ("[search]\nk = true", "lsr.toml: k is True: it must be a text, a number or a list of these"),
        ("[search]\njson = 1", "lsr.toml: json is 1: it must be true or false"),
        ("[search]\nk = {a = 1}", "lsr.toml: k is {'a': 1}"),
        ("[search]\nhtml = 'x'", "lsr.toml: [search] html can't be set by a file; give --html where it is meant"),
        ("overwrite = true", "lsr.toml: overwrite can't be set by a file"),
        ("[search\n", "lsr.toml is not TOML"),
        ("\u00e9".encode("latin-1"), "lsr.toml is not TOML"),
        ("[search]\nk = 'nine'", "-k is 'nine'; it must be a whole number of at least 1"),
    ],
)
def test_a_wrong_file_is_an_error_in_one_line(lsr: Lsr, here: Path, content: str | bytes, message: str) -> None:
    (here / "lsr.toml").write_bytes(content.encode() if isinstance(content, str) else content)
    done = lsr("search", "house")
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert message in done.err
    assert lsr("help", "search").code == 0, "help must work all the same"


def test_a_value_is_converted_and_checked_as_on_the_command_line(lsr: Lsr, here: Path) -> None:
    (here / "lsr.toml").write_text("[index]\nthreads = 'many'\n")
    assert "threads is 'many'" in lsr("index", "x").err
    (here / "lsr.toml").write_text("[index]\nquoting = 'non'\n")
    assert "it must be one of standard, none; did you mean 'none'?" in lsr("index", "x").err


def test_names_of_other_commands_are_left_to_them(lsr: Lsr, here: Path) -> None:
    (here / "lsr.toml").write_text("overlap = 3\n[train]\nwhatever = 1\n")
    assert lsr("search", "house").code == 0


@pytest.mark.parametrize("mode", [0o666, 0o606])
def test_a_file_that_everybody_can_write_is_not_read(lsr: Lsr, here: Path, mode: int) -> None:
    (here / "lsr.toml").write_text("[search]\njson = true\n")
    (here / "lsr.toml").chmod(mode)
    assert lsr("search", "house").out.startswith("  1  ")


def test_options_that_only_count_when_given_are_those_that_write() -> None:
    writing = {"overwrite", "html", "run", "out", "output"}
    known = {
        flag.lstrip("-") for _, parser in commands_of(build_parser()).values() for flag in parser._option_string_actions
    }
    assert writing <= ONLY_GIVEN & known


def test_quiet_leaves_results_and_errors(lsr: Lsr) -> None:
    usual, quiet = lsr("search", "house"), lsr("search", "house", "--quiet")
    assert (quiet.out, quiet.err) == (usual.out, "") and usual.err
    assert lsr("search", "zebra", "-q").err == ""
    wrong = lsr("get", "a", "--index", "nowhere", "--quiet")
    assert wrong.code == 3 and wrong.err.startswith("lsr: ")
    assert lsr("search", "zebra").err != "", "the next command prints as before"


def test_verbose_shows_where_an_error_comes_from(lsr: Lsr) -> None:
    assert "Traceback" in lsr("get", "a", "--index", "nowhere", "--verbose").err
    assert "Traceback" not in lsr("get", "a", "--index", "nowhere").err


def test_every_command_has_the_options_of_messages() -> None:
    for name, (_, parser) in commands_of(build_parser()).items():
        assert {"-q", "--quiet", "-v", "--verbose"} <= set(parser._option_string_actions), name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: now[0])
    return now


def test_progress_is_a_line_every_ten_seconds_where_stderr_is_no_terminal(
    clock: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    listener = TerminalProgress()
    listener.start("encoding", 100, "document")
    for _ in range(25):
        clock[0] += 1
        listener.advance(2)
    listener.start("reading", 10_000_000, "B")
    clock[0] += 10
    listener.advance(1_000_000)
    listener.start("reading", None, "vector")
    clock[0] += 3000
    listener.advance(1)
    listener.close()
    assert capsys.readouterr().err.splitlines() == [
        "lsr: encoding: 20 of 100 documents (20%), 2 a second, 41 s left",
        "lsr: encoding: 40 of 100 documents (40%), 2 a second, 31 s left",
        "lsr: reading: 1.0 MB of 10.0 MB (10%), 100.0 kB a second, 91 s left",
        "lsr: reading: 1 vector, 0 a second",
    ]


def test_short_work_and_quiet_work_print_no_progress(
    clock: list[float], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    listener = TerminalProgress()
    listener.start("encoding", 100, "document")
    clock[0] += 9
    listener.advance(99)
    monkeypatch.setattr(TerminalProgress, "quiet", True)
    listener.start("encoding", 100, "document")
    clock[0] += 99
    listener.advance(99)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_has_every_command_and_option(lsr: Lsr, shell: str, tmp_path: Path) -> None:
    script = lsr("completion", shell).out
    for name, (_, parser) in commands_of(build_parser()).items():
        assert name in script
        for flag in parser._option_string_actions:
            assert (flag.lstrip("-") if shell == "fish" else flag) in script, (name, flag)
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed: its script is not parsed")
    (tmp_path / "script").write_text(script)
    done = subprocess.run([program, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def completed(script: str, *words: str) -> list[str]:
    """Return what bash offers for the last word."""
    code = f'{script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _lsr; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["lsr", "sea"], ["search"]),
        (["lsr", ""], [*COMMANDS, "--help", "--version"]),
        (["lsr", "search", "--jso"], ["--json"]),
        (["lsr", "search", "x", "--jso"], ["--json"]),
        (["lsr", "index", "--quoting", ""], ["standard", "none"]),
        (["lsr", "index", "--quoting", "n"], ["none"]),
        (["lsr", "help", "sea"], ["search"]),
        (["lsr", "completion", ""], ["bash", "zsh", "fish"]),
        (["lsr", "get", "x"], []),
    ],
)
def test_bash_completes(lsr: Lsr, words: list[str], offered: list[str]) -> None:
    assert sorted(completed(lsr("completion", "bash").out, *words)) == sorted(offered)


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed")
def test_fish_completes(lsr: Lsr, tmp_path: Path) -> None:
    (tmp_path / "script.fish").write_text(lsr("completion", "fish").out)
    for words, offered in (("lsr sea", "search"), ("lsr search --jso", "--json"), ("lsr index --quoting n", "none")):
        code = f"source {tmp_path / 'script.fish'}; complete -C '{words}'"
        done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, check=True)
        assert offered in done.stdout.split(), (words, done.stdout, done.stderr)


def test_commands_with_actions_take_options_from_files_too(
    here: Path, lsr: Lsr, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def export(*_: object, **options: object) -> None:
        taken.append(options["dtype"])
        raise LsrError("enough")

    monkeypatch.setattr("lsr.encoders.compiled.export.export_encoder", export)
    (here / "lsr.toml").write_text("[encoder]\ndtype = 'float32'\n")
    assert lsr("encoder", "export", "some-model", "out").code == 1 and taken == ["float32"]
    assert lsr("encoder", "export", "some-model", "out", "--dtype", "int8").code == 1 and taken[1:] == ["int8"]
    (here / "lsr.toml").write_text("[encoder]\ndtyp = 'float32'\n")
    assert "[encoder] dtyp is no option; did you mean 'dtype'?" in lsr("encoder", "export", "some-model", "out").err


def test_a_sync_says_its_stages(here: Path) -> None:
    notes = here / "notes"
    notes.mkdir()
    for number in range(3):
        (notes / f"{number}.txt").write_text(f"note {number}")
    stages: list[tuple[str, int | None]] = []
    steps: list[int] = []

    class Listener(TerminalProgress):
        def start(self, stage: str, total: int | None, unit: str) -> None:
            stages.append((stage, total))
            steps.append(0)

        def advance(self, n: int) -> None:
            steps[-1] += n

    index_corpus([notes], here / "index", load_encoder("bm25"))
    sync_index(here / "index", progress=Listener())
    assert stages == [("comparing", 3)] and steps == [3]
    (notes / "3.txt").write_text("note 3")
    sync_index(here / "index", progress=Listener(), merge=False)
    assert [stage for stage, _ in stages[1:]] == ["comparing", "reading", "indexing"] and steps[1] == 4
    plan_sync(here / "index", progress=Listener())
    assert stages[-1] == ("comparing", 4)


def test_the_bar_names_what_takes_the_time(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.indexer.pipeline import ENCODING, READING, Corpus
    from lsr.indexer.sources.table import SourceTable
    from lsr.indexer.sources.tracking import Tracking

    (here / "a.txt").write_text("A tree.")
    started = []

    class Listener(TerminalProgress):
        def start(self, stage: str, total: int | None, unit: str) -> None:
            started.append(stage)

    for stage in (ENCODING, READING):
        tracking = Tracking(SourceTable())
        tracking.target([here / "a.txt"], None, skip_bad=False, follow=False)
        list(Corpus(tracking, here / ".lsr", progress=Listener(), stage=stage).documents())
    assert started == ["encoding", "reading"]
