"""Archives are read like folders, within bounds, and lead nowhere."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest

from lsr.errors import BadDocumentError
from lsr.indexer.corpus.formats.archives import archive as archives
from lsr.indexer.corpus.formats.archives import members
from lsr.indexer.corpus.formats.archives.members import safe_name
from lsr.indexer.corpus.options import CorpusOptions
from lsr.indexer.corpus.reader import read_corpus
from lsr.indexer.corpus.registry import format_of
from lsr.indexer.corpus.report import CorpusReport, Reason

FILES = {
    "notes/plan.md": b"# Plan\n\nGrow trees.",
    "data.jsonl": b'{"id": "a", "text": "One."}\n{"id": "b", "text": "Two."}\n',
    "README": b"Read me.",
}


def zipped(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


PACKED = {
    "x.zip": zipped(FILES),
    "stored.zip": zipped(FILES, zipfile.ZIP_STORED),
    "lzma.zip": zipped(FILES, zipfile.ZIP_LZMA),
    "x.zip.gz": gzip.compress(zipped(FILES)),
    "x.tar": tarred(FILES),
    "gnu.tar": tarred(FILES, tarfile.GNU_FORMAT),
    "x.tar.gz": gzip.compress(tarred(FILES)),
    "x.tgz": gzip.compress(tarred(FILES)),
    "x.tar.bz2": bz2.compress(tarred(FILES)),
    "x.tar.xz": lzma.compress(tarred(FILES)),
    "x.txz": lzma.compress(tarred(FILES)),
}


@pytest.mark.parametrize("name", PACKED)
def test_an_archive_is_read_like_a_folder(name, plant, read, report):
    folder = plant({name: PACKED[name]})
    found = read(folder)
    assert {doc_id: document.text for doc_id, document in found.items()} == {
        f"{name}/notes/plan.md": "Grow trees.",
        "a": "One.",
        "b": "Two.",
        f"{name}/README": "Read me.",
    }
    assert found[f"{name}/notes/plan.md"].title == "Plan"
    assert report.files == 3
    assert report.bytes_done == len(PACKED[name])


def test_a_named_archive_gives_its_name_as_the_folder(plant, read):
    folder = plant({"x.zip": zipped({"a.txt": b"A."})})
    assert list(read(folder / "x.zip")) == ["x.zip/a.txt"]


def test_zstandard_tar(plant, read):
    zstandard = pytest.importorskip("zstandard")
    folder = plant({"x.tar.zst": zstandard.compress(tarred(FILES))})
    assert len(read(folder)) == 4


def test_patterns_choose_among_the_members(plant, read, report):
    folder = plant({"x.zip": zipped({"a.txt": b"A.", "b.md": b"B.", "old/c.md": b"C."})})
    found = read(folder, options=CorpusOptions(include=("*.md",), exclude=("old/",)))
    assert list(found) == ["x.zip/b.md"]
    assert report.skipped[Reason.EXCLUDED].count == 2


def test_patterns_exclude_an_archive(plant, read, report):
    folder = plant({"x.zip": zipped(FILES), "a.txt": "A."})
    assert list(read(folder, options=CorpusOptions(exclude=("*.zip",)))) == ["a.txt"]


def test_formats_by_pattern_hold_in_archives(plant, read):
    folder = plant({"x.zip": zipped({"rows.dat": b"id,text\n1,One.\n"})})
    assert list(read(folder, options=CorpusOptions(formats=("csv=*.dat",)))) == ["1"]


@pytest.mark.parametrize("name", ["/etc/passwd", "../../up.txt", "a/../../b.txt", "C:\\x.txt", "C:/x.txt", "a" * 1100])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_that_lead_out_are_counted(name, pack, plant, read, report):
    suffix = "zip" if pack is zipped else "tar"
    folder = plant({f"x.{suffix}": pack({name: b"Evil.", "good.txt": b"Good."})})
    assert list(read(folder)) == [f"x.{suffix}/good.txt"]
    assert report.skipped[Reason.BAD_NAME].count == 1


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("a\\b.txt", "a/b.txt"),
        ("./a//b.txt", "a/b.txt"),
        ("a b%.txt", "a b%.txt"),
        ("/".join(["d"] * 65), ""),
        ("a\0b", ""),
        ("..", ""),
    ],
)
def test_safe_names(name, safe):
    assert safe_name(name) == safe


def test_links_devices_and_hidden_members_are_counted(plant, read, report):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link.txt")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        hard = tarfile.TarInfo("hard.txt")
        hard.type, hard.linkname = tarfile.LNKTYPE, "a.txt"
        device = tarfile.TarInfo("dev.txt")
        device.type = tarfile.CHRTYPE
        for info in (link, hard, device):
            archive.addfile(info)
        for name in (".git/x.txt", "__MACOSX/y.txt", "a.txt"):
            info = tarfile.TarInfo(name)
            info.size = 2
            archive.addfile(info, io.BytesIO(b"A."))
    assert list(read(plant({"x.tar": out.getvalue()}))) == ["x.tar/a.txt"]
    assert report.skipped[Reason.SPECIAL].count == 3
    assert report.skipped[Reason.HIDDEN].count == 2


def test_a_link_in_a_zip_is_counted(plant, read, report):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        info = zipfile.ZipInfo("link.txt")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
        archive.writestr("a.txt", "A.")
    assert list(read(plant({"x.zip": out.getvalue()}))) == ["x.zip/a.txt"]
    assert report.skipped[Reason.SPECIAL].count == 1


def test_an_encrypted_member_is_counted(plant, read, report):
    data = bytearray(zipped({"secret.txt": b"S.", "b.txt": b"B."}, zipfile.ZIP_STORED))
    for signature, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.index(signature) + at] |= 1
    assert list(read(plant({"x.zip": bytes(data)}))) == ["x.zip/b.txt"]
    assert report.skipped[Reason.ENCRYPTED].count == 1


def test_a_damaged_member_is_counted_and_the_others_read(plant, read, report):
    data = zipped({"a.txt": b"First text.", "b.txt": b"Second."}, zipfile.ZIP_STORED).replace(
        b"First text.", b"Fxrst text."
    )
    assert list(read(plant({"x.zip": data}))) == ["x.zip/b.txt"]
    assert "CRC" in report.skipped[Reason.BAD_FILE].first


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz", "x.tar.xz", "x.zip.gz"])
@pytest.mark.parametrize("share", [0.05, 0.1, 0.2])
def test_a_damaged_archive_in_a_folder_never_ends_the_run(name, share, plant, read, report):
    data = PACKED[name]
    folder = plant({name: data[: int(len(data) * share)], "z.txt": "Sound."})
    assert "z.txt" in read(folder)
    assert report.skipped[Reason.BAD_FILE].count == 1


@pytest.mark.parametrize("name", ["x.zip", "x.tar", "x.tar.gz"])
def test_a_damaged_archive_that_was_named_is_an_error(name, plant, read):
    folder = plant({name: PACKED[name][: len(PACKED[name]) // 5]})
    with pytest.raises(BadDocumentError, match=name):
        read(folder / name)


def test_archives_in_archives_are_read_to_a_depth(plant, read, report):
    data = zipped({"deep.txt": b"Deep."})
    for level in range(3):
        data = (zipped if level % 2 else tarred)(
            {"inner." + ("tar" if level and level % 2 == 0 else "zip"): data, f"{level}.txt": b"Text."}
        )
    found = read(plant({"x.tar": data}))
    assert sorted(doc_id.rpartition("/")[2] for doc_id in found) == ["0.txt", "1.txt", "2.txt"]
    assert report.skipped[Reason.TOO_DEEP].count == 1


def test_a_bomb_is_refused_by_what_comes_out(plant, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MAX_EXPANSION", 10)
    folder = plant({"bomb.zip": zipped({"a.txt": b" " * (4 << 20)})})
    with pytest.raises(BadDocumentError, match="unpacks to over 10 times its size"):
        list(read_corpus([folder / "bomb.zip"]))
    report = CorpusReport()
    assert list(read_corpus([folder, plant({"a.txt": "A."})], report=report))
    assert report.skipped[Reason.BAD_FILE].count == 1


def test_a_bomb_in_an_archive_is_refused_as_well(plant, monkeypatch):
    monkeypatch.setattr(archives, "FREE_BYTES", 1 << 20)
    monkeypatch.setattr(archives, "MAX_EXPANSION", 10)
    inner = zipped({f"{n}.txt": b" " * (1 << 19) for n in range(4)})
    folder = plant({"outer.zip": zipped({"inner.zip": inner})})
    with pytest.raises(BadDocumentError, match="unpacks to over"):
        list(read_corpus([folder / "outer.zip"]))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("size", [1, 0xFFFF_FFF0])
def test_declared_sizes_that_lie_give_a_broken_file_or_what_is_there(size, compression, plant, read, report):
    data = bytearray(zipped({"a.txt": b"Some text.", "b.txt": b"B."}, compression))
    for signature, at in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<L", data, data.index(signature) + at, size)
    found = read(plant({"x.zip": bytes(data)}))
    assert found.pop("x.zip/b.txt").text == "B."
    assert [document.text for document in found.values()] in ([], ["Some text."])
    assert len(found) + report.count_skipped(Reason.BAD_FILE) == 1


def test_too_many_members_are_refused():
    budget = archives.Budget(10, n_members=1)
    budget.take_member()
    with pytest.raises(archives.FileBrokenError, match="members"):
        budget.take_member()


def test_a_large_table_of_contents_is_refused_before_it_is_read(plant, monkeypatch):
    monkeypatch.setattr(members, "MAX_DIRECTORY_BYTES", 100)
    folder = plant({"x.zip": zipped(FILES)})
    with pytest.raises(BadDocumentError, match="table of contents"):
        list(read_corpus([folder / "x.zip"]))


def test_a_long_header_of_tar_is_refused(plant):
    data = tarred({"n" * (2 << 20): b"A."}, tarfile.GNU_FORMAT)
    folder = plant({"x.tar": data})
    with pytest.raises(BadDocumentError, match="header of the tar archive"):
        list(read_corpus([folder / "x.tar"]))


def test_the_last_of_several_members_with_one_name_is_read(plant, read):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive, pytest.warns(UserWarning):
        archive.writestr("a.txt", "Old.")
        archive.writestr("a.txt", "New.")
    assert read(plant({"x.zip": out.getvalue()}))["x.zip/a.txt"].text == "New."


def test_names_in_utf_8_that_are_not_marked(plant, read):
    data = zipped({"\u00e9t\u00e9.txt": b"A."}).replace(b"\0\x08", b"\0\0")
    assert list(read(plant({"x.zip": data}))) == ["x.zip/\u00e9t\u00e9.txt"]


def test_nothing_is_left_behind(plant, read, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    read(plant({"x.zip": zipped(FILES)}))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("name", ["a.tgz", "a.tbz2", "a.txz", "a.tar.gz", "a.zip", "A.ZIP"])
def test_names_of_archives(name):
    found = format_of(name)
    assert found is not None
    assert found[0].name == "archive"


def test_an_empty_archive_is_counted(plant, read, report):
    read(plant({"x.zip": zipped({}), "a.txt": "A."}))
    assert report.skipped[Reason.NO_RECORD].first == str(Path(report.skipped[Reason.NO_RECORD].first).parent / "x.zip")
