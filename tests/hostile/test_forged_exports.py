"""Exports for other engines in the hands of strangers: nothing outside is read or removed, all else is an error."""

from __future__ import annotations

import json
import random
import shutil
import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lsr.handoff
from lsr.errors import LsrError
from lsr.handoff.engine import NAMES
from lsr.handoff.export import export_to
from lsr.handoff.points import read_points
from lsr.indexer.storage.files import save_array

TRAPS = ("link to the original", "link to a file", "link to a folder", "dangling link", "FIFO", "socket", "device")
PLACES = ("handoff.json", "df.npy", "query", "query/manifest-00000001.json", "query/vocabulary")
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1.5, 1 << 70, 1e308, float("inf"), float("nan"), "", "x", "../..", "9" * 5000, [], {}, [[]],
    "pisa", "\ud800", "elasticsearch\x1b[31m",
)  # fmt: skip


@pytest.fixture(scope="module")
def exported(sound: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "out"
    export_to("qdrant", sound, folder)
    lsr.handoff.open(folder).query("common")
    return folder


@pytest.fixture
def export(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "export" / "out"))


def use(folder: Path) -> None:
    opened = lsr.handoff.open(folder)
    opened.query("common apple")
    list(read_points(folder, 5))


@pytest.mark.parametrize("place", [*PLACES, "data", "data/part-00000.parquet"])
@pytest.mark.parametrize("trap", TRAPS)
def test_an_export_is_read_through_no_link(hostile: Any, export: Path, trap: str, place: str) -> None:
    hostile.lay(trap, export / place, hostile.outside)
    assert hostile.refused(lambda: use(export))
    hostile.outside.check()


@pytest.mark.parametrize("name", ["format", "engine", "scale", "n_docs"])
def test_a_description_is_believed_in_nothing(export: Path, name: str) -> None:
    content = json.loads((export / "handoff.json").read_text())
    n_refused = 0
    for value in VALUES:
        (export / "handoff.json").write_text(json.dumps(content | {name: value}))
        try:
            use(export)
        except LsrError as error:
            n_refused += 1
            assert len(str(error)) < 1000
    assert n_refused >= len(VALUES) - 4
    for data in (b"", b"[" * 60_000, b"\xff", b"[]", b"{}" + b" " * (1 << 17), b'{"scale": ' + b"9" * 5000 + b"}"):
        (export / "handoff.json").write_bytes(data)
        with pytest.raises(LsrError):
            use(export)


@pytest.mark.parametrize(
    "df", [[], [1], [-1] * 42, [1 << 40] * 42, np.zeros((2, 2), np.int64), np.zeros(42, np.float64)], ids=str
)
def test_frequencies_are_of_the_vocabulary(export: Path, df: Any) -> None:
    (export / "df.npy").unlink()
    save_array(export / "df.npy", np.array(df, np.int64) if isinstance(df, list) else df)
    with pytest.raises(LsrError, match=r"df\.npy: "):
        use(export)


def test_any_bytes_of_data_make_rows_or_an_error(export: Path) -> None:
    (part,) = (export / "data").iterdir()
    sound = part.read_bytes()
    for seed in range(60):
        rng, data = random.Random(seed), bytearray(sound)
        for _ in range(rng.choice((1, 3, 9))):
            data[rng.randrange(len(data))] = rng.randrange(256)
        part.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.2 else data)
        try:
            list(read_points(export, 5))
        except LsrError as error:
            assert len(str(error)) < 1000
        except Exception:  # noqa: BLE001  with the number, by which it is found again
            pytest.fail(f"{seed}:\n{traceback.format_exc()[-1500:]}")


def test_data_that_unpack_to_too_much_are_refused(export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lsr.indexer.integrity import parquet_limits

    monkeypatch.setattr(parquet_limits, "FREE_BYTES", 1 << 16)
    (part,) = (export / "data").iterdir()
    pq.write_table(pa.table({"text": ["a" * 1_000_000] * 40}), part, compression="zstd")
    with pytest.raises(LsrError, match=r"part-00000\.parquet: can't be read \(.*unpack"):
        list(read_points(export, 5))


@pytest.mark.parametrize("engine", NAMES)
def test_an_export_is_replaced_by_one_for_any_engine(sound: Path, tmp_path: Path, engine: str) -> None:
    for name in (engine, "pisa", engine):
        export_to(name, sound, tmp_path / "out", overwrite=True)
    assert json.loads((tmp_path / "out" / "handoff.json").read_text())["engine"] == engine
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("mine", [".git/config", "notes.txt", "data/notes.txt", "index/segments_1"])
def test_a_folder_with_anything_else_in_it_is_no_export(sound: Path, export: Path, mine: str) -> None:
    (export / mine).parent.mkdir(exist_ok=True)
    (export / mine).write_text("mine")
    with pytest.raises(
        LsrError, match=f"is no export .it holds '{mine if mine[0] == 'd' else mine.partition('/')[0]}'"
    ):
        export_to("pisa", sound, export, overwrite=True)
    assert (export / mine).read_text() == "mine" and lsr.handoff.open(export).query("common")


def test_an_export_that_fails_leaves_the_one_before(sound: Path, export: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LsrError("no space")

    monkeypatch.setattr("lsr.handoff.export.write_query_side", fail)
    with pytest.raises(LsrError, match="no space"):
        export_to("pisa", sound, export, overwrite=True)
    assert lsr.handoff.open(export).engine.name == "qdrant"
    assert [path.name for path in export.parent.iterdir()] == ["out"]


@pytest.mark.parametrize("trap", [*TRAPS, "hard link"])
def test_an_export_is_written_over_no_link(hostile: Any, sound: Path, tmp_path: Path, trap: str) -> None:
    hostile.lay(trap, tmp_path / "made" / "out", hostile.outside)
    for overwrite in (False, True):
        assert hostile.refused(
            lambda overwrite=overwrite: export_to("pisa", sound, tmp_path / "made" / "out", overwrite=overwrite)
        )
    hostile.outside.check()


@pytest.mark.parametrize("place", ["data", "query", "README.txt"])
def test_what_is_replaced_is_removed_and_not_what_it_leads_to(
    hostile: Any, sound: Path, export: Path, place: str
) -> None:
    hostile.lay("link to a folder", export / place, hostile.outside)
    hostile.refused(lambda: export_to("pisa", sound, export, overwrite=True))
    hostile.outside.check()
