"""The folder of the README: indexed, searched and synced, with the output that is shown there."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest
from made_pdf import pdf

from lsr.cli.main import main

BEGIN = "    $ lsr index notes/ --encoder bm25\n"
HOME = "/home/ada"
MEASURED = re.compile(r"\d[\d,.]* (?=s\b|ms\b|a second|kB)")


def notebook(*cells: tuple[str, str]) -> str:
    made = [{"cell_type": kind, "metadata": {}, "source": source, "outputs": []} for kind, source in cells]
    return json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


FILES = {
    "report.pdf": pdf("Pump 3 was inspected in March.", "The inner ring shows corrosion.", title="Inspection"),
    "flow.ipynb": notebook(("markdown", "# Flow of the pumps"), ("code", "flow = litres / s  # less by corrosion")),
    "plan.md": "# Plan for May\n\n- order the new ring\n- stop pump 3 for a day\n",
    "parts.csv": "id,text,price\nR-17,ring for pump 3,40\nS-2,seal for all pumps,5\n",
}


def shown(text: str) -> list[str]:
    return MEASURED.sub("N ", text).strip("\n").splitlines()


def test_the_folder_of_the_readme(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pypdf")
    (tmp_path / "notes").mkdir()
    for name, content in FILES.items():
        (tmp_path / "notes" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    monkeypatch.chdir(tmp_path)
    block = re.split(r"\n(?=\S)", BEGIN + (root / "README.md").read_text("utf-8").partition(BEGIN)[2])[0]
    assert block.count("$ ") >= 5
    for part in re.split(r"^    \$ ", block, flags=re.MULTILINE)[1:]:
        command, _, output = part.partition("\n")
        if command.startswith("lsr "):
            with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.redirect_stderr(printed):
                assert main(shlex.split(command)[1:]) == 0
            found = printed.getvalue().replace(str(tmp_path), HOME)
            assert shown(found) == shown("\n".join(line[4:] for line in output.splitlines())), command
        else:
            subprocess.run(command, shell=True, check=True)
