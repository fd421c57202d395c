"""A model of a disk that loses power: what was synced is there, of the rest any part.

Names are of folders, and content is of files: a name is certain once its folder was synced, content once its file was.
What is not synced may be there or not, each by itself, in whatever order.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

Entries = dict[str, int]
"""Names in a folder, and the node that each is."""


@dataclass
class Disk:
    """What is known of the nodes below a folder, by inode.

    folders: the names in each as programs see them now; safe: as they were when it was last synced, with all that was
    done to them since. content: of files that were synced.
    """

    folders: dict[int, Entries] = field(default_factory=dict)
    safe: dict[int, tuple[Entries, list[tuple[str, int | None]]]] = field(default_factory=dict)
    content: dict[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Disk:
        """Return a disk on which all that is below a folder is synced."""
        disk = cls()
        for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
            disk.see(folder)
        return disk

    def see(self, folder: Path) -> None:
        node = folder.stat().st_ino
        names = {path.name: path.stat().st_ino for path in folder.iterdir()}
        self.folders[node], self.safe[node] = dict(names), (dict(names), [])
        for path in folder.iterdir():
            if path.is_file():
                self.content[path.stat().st_ino] = path.read_bytes()

    def change(self, folder: int, name: str, node: int | None) -> None:
        """Note that a name is another node from now on, or none."""
        names = self.folders.setdefault(folder, {})
        _, since = self.safe.setdefault(folder, ({}, []))
        since.append((name, node))
        if node is None:
            names.pop(name, None)
        else:
            names[name] = node

    def sync(self, descriptor: int) -> None:
        """Note that a file or folder was synced."""
        node = os.fstat(descriptor).st_ino
        if node in self.folders or os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112
            self.safe[node] = (dict(self.folders.setdefault(node, {})), [])
        else:
            size = os.fstat(descriptor).st_size
            self.content[node] = os.pread(descriptor, size, 0)

    def after_power_loss(self, root: int, target: Path, rng: random.Random, share: float) -> None:
        """Write one of the states that may be found to a folder. share: of what was not synced that is there."""
        names, since = self.safe.get(root, ({}, []))
        names = dict(names)
        for name, node in since:
            if rng.random() < share:
                if node is None:
                    names.pop(name, None)
                else:
                    names[name] = node
        target.mkdir()
        for name, node in names.items():
            if node in self.folders:
                self.after_power_loss(node, target / name, rng, share)
            else:
                content = self.content.get(node, b"")
                (target / name).write_bytes(content)


@contextmanager
def recorded(root: Path, at_step: Callable[[Disk], None]) -> Iterator[Disk]:
    """Record what is done below a folder; call `at_step` after each step."""
    disk = Disk.of(root)
    removed: list[int] = []  # descriptors of what was removed, so that no inode is given to another file
    looking = [False]

    def step() -> None:
        looking[0] = True
        try:
            at_step(disk)
        finally:
            looking[0] = False

    def keep(folder: int | None, name: Any) -> None:
        removed.append(int(original["open"](name, os.O_PATH | os.O_NOFOLLOW, dir_fd=folder)))

    def recording(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            return (original[name] if looking[0] else function)(*args, **options)

        return call

    original = {name: getattr(os, name) for name in ("open", "mkdir", "rename", "unlink", "rmdir", "link", "fsync")}

    def node_of(folder: int | None, name: Any) -> int:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_ino

    def folder_of(folder: int | None, name: Any) -> tuple[int, str]:
        if folder is not None:
            return os.fstat(folder).st_ino, os.fspath(name)
        path = Path(os.fspath(name))
        return path.parent.stat().st_ino, path.name

    def open_(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        descriptor = int(original["open"](path, flags, mode, dir_fd=dir_fd))
        if flags & os.O_CREAT and dir_fd is not None:
            folder, name = folder_of(dir_fd, path)
            node = os.fstat(descriptor).st_ino
            if disk.folders.get(folder, {}).get(name) != node:
                disk.change(folder, name, node)
        return descriptor

    def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        original["mkdir"](path, mode, dir_fd=dir_fd)
        node = node_of(dir_fd, path)
        disk.folders[node] = {}
        disk.safe[node] = ({}, [])
        disk.change(*folder_of(dir_fd, path), node)

    def rename(source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None) -> None:
        node = node_of(src_dir_fd, source)
        original["rename"](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        disk.change(*folder_of(dst_dir_fd, target), node)
        disk.change(*folder_of(src_dir_fd, source), None)
        step()

    def unlink(path: Any, *, dir_fd: int | None = None) -> None:
        keep(dir_fd, path)
        original["unlink"](path, dir_fd=dir_fd)
        disk.change(*folder_of(dir_fd, path), None)
        step()

    def rmdir(path: Any, *, dir_fd: int | None = None) -> None:
        keep(dir_fd, path)
        original["rmdir"](path, dir_fd=dir_fd)
        disk.change(*folder_of(dir_fd, path), None)

    def link(
        source: Any, target: Any, *, src_dir_fd: int | None = None, dst_dir_fd: int | None = None, **_: Any
    ) -> None:
        original["link"](source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, follow_symlinks=False)
        disk.change(*folder_of(dst_dir_fd, target), node_of(dst_dir_fd, target))

    def fsync(descriptor: int) -> None:
        disk.sync(descriptor)
        step()

    with pytest.MonkeyPatch.context() as patch:
        for name, replacement in (
            ("open", open_), ("mkdir", mkdir), ("rename", rename), ("unlink", unlink), ("rmdir", rmdir), ("link", link),
            ("fsync", fsync),
        ):  # fmt: skip
            patch.setattr(os, name, recording(name, replacement))
        yield disk
    for descriptor in removed:
        os.close(descriptor)
