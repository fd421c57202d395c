"""A stranger's tokenizer is refused or works: it never ends the process, hangs, or takes all memory."""

from __future__ import annotations

import random
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsr.encoders.text.patterns import PatternError, check_pattern
from lsr.encoders.text.tokenizer import TextTokenizer, read_tokenizer
from lsr.encoders.text.tokenizer_checks import MAX_BYTES, check_size
from lsr.errors import EncoderError

sys.path.insert(0, str(Path(__file__).parent))
from tokenizer_maker import HOSTILE, TABLES, TOKENS, changed, table, with_table

PUBLISHED = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{M}]*[\p{Ll}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"\d{1,3}(?=(?:\d{3})*\b)",
    r"(?=(\d{3})+(?!\d))",
    r"[一-龥぀-ゟ゠-ヿ]+",
    " {2,}",
    r"(``|'')",
)
"""Patterns of tokenizers that are in use: GPT-2's, Llama 3's, GPT-4's, BLOOM's and others'."""


@pytest.fixture(autouse=True)
def _no_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check every file, none having been checked before."""
    monkeypatch.setenv("LSR_CACHE", str(tmp_path / "cache"))


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tokenizer.json"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def test_a_sound_one_is_read(tmp_path: Path) -> None:
    path = written(tmp_path, changed())
    for n_rows in (None, len(TOKENS), len(TOKENS)):  # the last one from the note that it was checked
        tokenizer = TextTokenizer(read_tokenizer(path, n_rows=n_rows), max_length=8)
        assert tokenizer.encode(["cats a"])[0].ids == [2, 3, 4]
    with pytest.raises(EncoderError, match="token ids up to 4, but the model knows only 4 terms"):
        read_tokenizer(path, n_rows=4)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_one_is_refused_before_the_library_reads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[str] = []
    monkeypatch.setattr("lsr.encoders.text.tokenizer.Tokenizer", SimpleNamespace(from_str=given.append))
    with pytest.raises(EncoderError, match=r"tokenizer\.json is (refused|not a tokenizer)") as caught:
        read_tokenizer(written(tmp_path, HOSTILE[name]))
    assert given == []
    assert len(str(caught.value)) < 600 + len(str(tmp_path))


def test_a_file_of_any_size_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(EncoderError, match="67,108,865 bytes, more than 67,108,864"):
        check_size(path)


def test_a_tokenizer_that_fails_at_a_text_is_an_error(tmp_path: Path) -> None:
    """Turn what the checks leave to the library into errors: its panics are no Exceptions."""
    text = changed(model={"type": "WordLevel", "vocab": {"cat": 0}, "unk_token": "[XX]"}, added_tokens=[])
    tokenizer = TextTokenizer(read_tokenizer(written(tmp_path, text)), max_length=None)
    for texts in (["dog é"], ["dog é", "dog"]):
        with pytest.raises(EncoderError, match="the tokenizer fails at a text; it is broken"):
            tokenizer.encode(texts)


def test_a_table_of_replacements_that_is_sound_is_read(tmp_path: Path) -> None:
    for replacement in ("cat", "cät", ""):
        tokenizer = read_tokenizer(written(tmp_path, with_table(table(replacements=f"x\0{replacement}\0".encode()))))
        assert tokenizer.normalizer.normalize_str("aAéA") == f"a{replacement}é{replacement}"


@pytest.mark.parametrize("name", TABLES)
def test_a_table_of_replacements_that_leads_out_of_it_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(EncoderError, match="is refused: a normaliser"):
        read_tokenizer(written(tmp_path, with_table(TABLES[name])))


def test_any_table_of_replacements_is_refused_or_works(tmp_path: Path) -> None:
    sound, n_read = table(), 0
    for seed in range(200):
        rng, forged = random.Random(seed), bytearray(sound)
        for _ in range(rng.choice((1, 2, 5))):  # mostly where something is
            forged[rng.choice((*range(8), *range(1284, 1296), *range(2052, 2056), -1, -2, -5))] = rng.randrange(256)
        try:
            tokenizer = read_tokenizer(written(tmp_path, with_table(bytes(forged))))
        except EncoderError:
            continue
        n_read += 1
        for character in (*map(chr, range(1, 256)), "AA", "é\u0301", "苹"):
            tokenizer.normalizer.normalize_str(character)  # a panic is no Exception, and ends the test
    assert 0 < n_read < 200


@pytest.mark.parametrize("pattern", PUBLISHED)
def test_published_patterns_pass(pattern: str) -> None:
    check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(a*)*", "a*a*b", "(a?){20,}", r"(a)\1", r"\k<name>", "(?:a+){2}b", "a**", "a{2}{3}", "*a", "(?~a)", "[a", ")",
     "(", "a" * 3000, "x{1,2000}", "(?:(?:a|b)c)+", "a+(?:b|a+c)d", r"\s+\s+(?!x)", "(?(1)a|b)"],
)  # fmt: skip
def test_patterns_that_may_take_forever_are_refused(pattern: str) -> None:
    with pytest.raises(PatternError):
        check_pattern(pattern)


FORGED = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from tokenizer_maker import forged
from lsr.encoders.text.tokenizer import TextTokenizer, read_tokenizer
from lsr.errors import EncoderError
path, n_read = Path({path!r}), 0
for seed in range(*map(int, sys.argv[1:])):
    path.write_text(forged(seed), encoding="utf-8", errors="surrogatepass")
    try:
        tokenizer = TextTokenizer(read_tokenizer(path, n_rows=64), max_length=16)
        assert all(i < 64 for encoding in tokenizer.encode(["cats a", "é " * 300]) for i in encoding.ids)
        n_read += 1
    except EncoderError:
        continue
print(n_read)
"""


@pytest.mark.parametrize("n", [200, pytest.param(5000, marks=pytest.mark.large)])
def test_forged_ones_are_refused_or_work(tmp_path: Path, n: int) -> None:
    """Read in another process, which may end by a signal, in 4 GiB of address space."""
    code = FORGED.format(here=str(Path(__file__).parent), path=str(tmp_path / "tokenizer.json"))

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    done = subprocess.run(
        [sys.executable, "-c", code, "0", str(n)], capture_output=True, text=True, preexec_fn=limited, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert 0 < int(done.stdout) < n
