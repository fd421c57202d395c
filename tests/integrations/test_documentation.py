"""The examples of docs/INTEGRATIONS.md run, each where its framework is installed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_SECTION = re.compile(r"^## (\w+)\n.*?^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FRAMEWORKS = {
    "LangChain": "langchain_core", "LlamaIndex": "llama_index.core", "Haystack": "haystack", "PyTerrier": "pyterrier",
    "MTEB": "mteb",
}  # fmt: skip


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_the_example_of_a_framework_runs(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, framework: str
) -> None:
    module = FRAMEWORKS[framework]
    pytest.importorskip(module, reason=f"{module} is not installed")
    monkeypatch.setenv("HAYSTACK_TELEMETRY_ENABLED", "False")  # which would wait for a network
    monkeypatch.chdir(tmp_path)
    text = (root / "docs" / "INTEGRATIONS.md").read_text("utf-8")
    sections = dict(_SECTION.findall(text))
    assert set(sections) == set(FRAMEWORKS)
    first = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert first is not None
    exec(compile(first[1] + sections[framework], f"INTEGRATIONS.md, {framework}", "exec"), {})
