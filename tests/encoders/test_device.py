"""Devices by name: one that isn't there, or isn't known, is an error in every command, never the CPU in silence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

import lsr
from lsr.cli.main import main
from lsr.encoders.device import check_device_name, is_cpu_or_auto, placement_of
from lsr.encoders.network.devices import choose_device
from lsr.errors import EncoderError, UsageError


@pytest.fixture(autouse=True)
def _only_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.jsonl"
    path.write_text(json.dumps({"_id": "1", "text": "the cat sat"}) + "\n")
    return path


@pytest.mark.parametrize("name", ["tpu", "gpu", "CUDA", "cuda:", "cuda:x", "cpu:0", "", "mps:1", "meta", "xpu", "npu"])
def test_a_name_that_is_no_device_is_refused(name: str) -> None:
    for ask in (check_device_name, choose_device, is_cpu_or_auto):
        with pytest.raises(UsageError, match="is not known: give auto, cpu, cuda, cuda:N"):
            ask(name)


def test_auto_takes_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device(None) == choose_device("auto") == choose_device("cpu") == "cpu"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device(None) == choose_device("auto") == "cuda"
    assert choose_device("cuda:1") == "cuda:1"
    assert choose_device("cpu") == "cpu"
    with pytest.raises(EncoderError, match="device 'cuda:2' is not there: torch finds 2 CUDA devices"):
        choose_device("cuda:2")


@pytest.mark.parametrize(("name", "what"), [("cuda", "CUDA device"), ("cuda:1", "CUDA device"), ("mps", "Apple GPU")])
def test_a_device_that_is_not_there_is_refused(name: str, what: str) -> None:
    with pytest.raises(EncoderError, match=f"device '{name}' is not there: torch finds no {what} on this machine"):
        choose_device(name)


def test_words_are_counted_on_the_cpu_alone() -> None:
    assert placement_of("bm25", device="auto", dtype="float32") == placement_of("bm25", device="cpu") == {}
    assert placement_of("default", device="cuda", dtype="int8") == {"device": "cuda", "dtype": "int8"}
    with pytest.raises(UsageError, match="counts words, on the CPU, but the device is 'cuda'"):
        placement_of("bm25", device="cuda")


def exit_code(command: list[str]) -> int:
    try:
        return main(command)
    except SystemExit as error:  # argparse's
        return int(error.code or 0)


def commands(corpus: Path, model: Path, dense: Path, folder: Path) -> list[list[Any]]:
    return [
        ["index", corpus, "--encoder", model, "--index", folder / "index"],
        ["index", corpus, "--encoder", "bm25", "--dense", dense, "--index", folder / "dense"],
        ["encode", corpus, "--encoder", model, "--out", folder / "vectors"],
        ["encode", corpus, "--encoder", dense, "--dense", "--out", folder / "dense-vectors"],
    ]


@pytest.mark.parametrize("number", range(4))
def test_commands_refuse_a_device(
    corpus: Path, symmetric_folder: Path, plain_folder: Path, tmp_path: Path, capsys: Any, number: int
) -> None:
    command = list(map(str, commands(corpus, symmetric_folder, plain_folder, tmp_path)[number]))
    for device, code, message in (
        ("tpu", 2, "device 'tpu' is not known"),
        ("cuda", 1, "device 'cuda' is not there: torch finds no CUDA device"),
        ("mps", 1, "device 'mps' is not there: torch finds no Apple GPU"),
    ):
        found = exit_code([*command, "--device", device])
        assert (found, message in capsys.readouterr().err) == (code, True)
    assert not list(tmp_path.glob("*/manifest*"))
    assert main([*command, "--device", "auto"]) == 0


def test_words_alone_refuse_a_device(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["index", str(corpus), "--encoder", "bm25", "--index", str(tmp_path / "index"), "--device"]
    assert exit_code([*command, "cuda"]) == 2
    assert "encoder bm25 counts words, on the CPU, but the device is 'cuda'" in capsys.readouterr().err
    assert exit_code([*command, "cpu"]) == 0


@pytest.mark.parametrize("command", ["eval", "mine", "codes"])
def test_other_commands_know_the_same_names(command: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert exit_code([command, str(tmp_path), "--device", "tpu"]) == 2
    assert "device 'tpu' is not known: give auto, cpu, cuda, cuda:N" in capsys.readouterr().err


def test_python_refuses_the_same(symmetric_folder: Path) -> None:
    with pytest.raises(lsr.LsrError, match="device 'tpu' is not known"):
        lsr.load_encoder(symmetric_folder, device="tpu")
    with pytest.raises(lsr.LsrError, match="device 'mps' is not there"):
        lsr.load_encoder(symmetric_folder, device="mps")
    with pytest.raises(lsr.LsrError, match="device 'tpu' is not known"):
        lsr.load_encoder("default", device="tpu", dtype="int8")
    assert lsr.load_encoder(symmetric_folder, device="auto").description["kind"]
