"""Files mapped without a descriptor for each."""

from __future__ import annotations

import gc
import os
from pathlib import Path

import numpy as np
import pytest

import lsr
from lsr.indexer.integrity.mapping import map_file
from lsr.indexer.storage.files import map_array, save_array


def n_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def mapped_here(path: Path) -> bool:
    return str(path.resolve()) in Path("/proc/self/maps").read_text()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="no /proc on this system")
def test_a_file_is_mapped_as_long_as_something_refers_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 64)
    before = n_descriptors()
    with path.open("rb") as file:
        content = map_file(file.fileno())
    assert n_descriptors() == before
    array = np.frombuffer(content, np.uint8)
    assert content.readonly and not array.flags.writeable
    with pytest.raises((ValueError, TypeError)):
        content[0] = 1
    part = array[100:200]
    del content, array
    gc.collect()
    assert mapped_here(path) and part[0] == 100
    del part
    gc.collect()
    assert not mapped_here(path)


def test_an_array_keeps_no_descriptor(tmp_path: Path) -> None:
    save_array(tmp_path / "a.npy", np.arange(1000, dtype=np.int32))
    before = n_descriptors()
    arrays = [map_array(tmp_path / "a.npy", np.int32, 1) for _ in range(50)]
    assert n_descriptors() == before
    assert all(int(array.sum()) == 499_500 for array in arrays)


def test_what_cant_be_mapped_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open("rb") as file, pytest.raises((OSError, ValueError)):
        map_file(file.fileno())
    (reading, writing) = os.pipe()
    try:
        with pytest.raises((OSError, ValueError)):
            map_file(reading)
    finally:
        os.close(reading)
        os.close(writing)


def test_a_set_of_many_shards_takes_few_descriptors(tmp_path: Path) -> None:
    notes = [{"id": f"n{i}", "text": f"river {'lake ' * (i % 4)}", "year": 2000 + i} for i in range(24)]
    made = lsr.index(notes, tmp_path / "set", encoder="bm25", shards=12)
    made.close()
    gc.collect()
    before = n_descriptors()
    opened = lsr.open(tmp_path / "set")
    assert len(opened.search("lake river", k=30, where="year > 2003")) == 20
    assert n_descriptors() - before <= 5 * 12 + 5
    opened.close()
