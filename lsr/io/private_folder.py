"""Private folders for libraries that take paths: what lies in an open folder is copied there, and back."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsr.io.folder import FILE, Folder


@contextmanager
def private_copy(folder: Path | Folder) -> Iterator[Path]:
    """Copy the files of a folder, each through its descriptor, to a folder that only this user can change.

    It is removed at the end; what was mapped of it stays. Raises OSError for a link, and for all that is no file.
    """
    source = Folder.of(folder)
    with tempfile.TemporaryDirectory(prefix="lsr-") as place:
        for name in sorted(source.names()):
            with source.open_file(name) as file, Path(place, name).open("xb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        yield Path(place)


@contextmanager
def written_privately(folder: Folder) -> Iterator[Path]:
    """Yield a folder that only this user can change, and copy its files to another through descriptors at the end."""
    with tempfile.TemporaryDirectory(prefix="lsr-") as place:
        yield Path(place)
        written = Folder.open(place)
        for name in sorted(written.names()):
            assert written.kind(name) == FILE, name
            with written.open_file(name) as file, folder.create_file(name) as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
        written.close()
