"""Files of an encoder in an index are read and written through descriptors, also where a library takes paths alone."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lsr.encoders.converted import sparse_codes
from lsr.encoders.registry import QuerySide
from lsr.errors import EncoderError
from lsr.indexer.storage.files import FileInfo
from lsr.indexer.write.transaction import synced_files
from lsr.io.folder import Folder
from lsr.io.private_folder import private_copy, written_privately


@pytest.fixture
def codes(tmp_path: Path) -> Path:
    parts = {name: np.eye(4, dtype=np.float32) for name in ("encoder", "decoder")}
    parts |= {name: np.zeros(4, np.float32) for name in ("bias", "centre")}
    sparse_codes.save_codes(tmp_path / "codes", sparse_codes.SparseAutoencoder(n_active=2, **parts), {})
    return tmp_path / "codes"


def opened(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(sparse_codes, "open_bare", lambda *_, **__: object())
    description = {"settings": {"dense": {}, "n_codes": 4}}
    return sparse_codes._open_queries(description, QuerySide(folder, lambda term: 0, 4))


def test_codes_are_read_from_the_folder_that_was_checked(codes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exchange the folder after it was opened, as somebody may who can write to the index."""
    folder = Folder.open(codes)
    codes.rename(codes.with_name("moved"))
    codes.symlink_to("/etc")
    assert opened(folder, monkeypatch) is not None


@pytest.mark.parametrize("name", [sparse_codes.CONFIG, sparse_codes.WEIGHTS])
def test_a_link_that_was_put_there_after_the_check_is_not_followed(
    codes: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Folder.open(codes)
    (codes / name).rename(codes.with_name(name))
    (codes / name).symlink_to(codes.with_name(name))
    with pytest.raises(EncoderError, match="a link, which is not followed"):
        opened(folder, monkeypatch)


def test_a_private_copy_ends_with_its_use(codes: Path) -> None:
    with private_copy(codes) as copy:
        assert {path.name: path.read_bytes() for path in copy.iterdir()} == {
            path.name: path.read_bytes() for path in codes.iterdir()
        }
        assert copy.stat().st_mode & 0o077 == 0
    assert not copy.exists()


def test_an_encoder_is_written_into_the_folder_that_was_made(tmp_path: Path) -> None:
    """Exchange the folder while an encoder writes its files."""
    (tmp_path / "made").mkdir()
    (tmp_path / "elsewhere").mkdir()
    folder = Folder.open(tmp_path / "made")
    with written_privately(folder) as place:
        (place / "weights").write_text("numbers")
        (tmp_path / "made").rename(tmp_path / "moved")
        (tmp_path / "made").symlink_to(tmp_path / "elsewhere")
    assert os.listdir(tmp_path / "elsewhere") == []
    assert (tmp_path / "moved" / "weights").read_text() == "numbers"
    assert isinstance(synced_files(folder)["weights"], FileInfo)
