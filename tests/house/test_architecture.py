"""The house stands as docs/ARCHITECTURE.md says: imports go down, and heavy ones come late."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDERS = ("lsr", "eval", "query", "indexer", "kernels")
LARGEST_FOLDER = 16
"""Modules in a folder, beside its `__init__`."""

FLOORS = {
    "lsr.__main__": 12,
    "lsr.cli": 11,
    "lsr.mcp": 10,
    "lsr.server": 9,
    "lsr.output": 8,
    "lsr.integrations": 8,
    "lsr.api": 7,
    "lsr.training": 6,
    "lsr.cluster": 6,
    "lsr.handoff": 6,
    "lsr.eval": 5,
    "lsr.query": 4,
    "lsr.indexer": 3,
    "lsr.encoders": 2,
    "lsr.kernels": 1,
    "lsr.types": 0,
    "lsr.errors": 0,
    "lsr.io": 0,
    "lsr.version": 0,
    "lsr.models": 0,
    "lsr": 0,
}
EXCEPTIONS = {"lsr.kernels": {1}}
"""Floors that may import less than everything below them (and always themselves)."""


def module_name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    parts = parts if parts[0] == "lsr" else ("lsr", *parts)
    return ".".join(part for part in parts if part != "__init__")


def package_of(module: str) -> str:
    parts = module.split(".")
    for n in (2, 1):
        if ".".join(parts[:n]) in FLOORS:
            return ".".join(parts[:n])
    raise AssertionError(f"{module} stands on no floor")


def imports_of(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
    return found


def upward_imports(root: Path) -> list[str]:
    wrong = []
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*.py")):
            module = module_name(root, path)
            if module == "lsr":
                continue
            package = package_of(module)
            for imported in imports_of(path):
                if imported.split(".")[0] != "lsr" or imported == "lsr":
                    continue
                target = package_of(imported)
                allowed = EXCEPTIONS.get(package)
                below = FLOORS[target] < max(FLOORS[package], 1) if allowed is None else FLOORS[target] in allowed
                if target != package and not below:
                    wrong.append(f"{module} imports {imported}")
    return wrong


def test_imports_only_go_down(root: Path) -> None:
    assert upward_imports(root) == []


def imports_of_modules(root: Path) -> dict[str, set[str]]:
    """Return which modules of the package each imports, those under `TYPE_CHECKING` and in functions too."""
    paths = {module_name(root, path): path for folder in FOLDERS for path in (root / folder).rglob("*.py")}
    imported = {}
    for module, path in paths.items():
        found = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                named = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in paths else node.module for name in named}
        imported[module] = (found & set(paths)) - {module}
    return imported


def circles(imported: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other in a circle (Tarjan's strongly connected components)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in sorted(imported[module]):
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in sorted(imported):
        if module not in index:
            visit(module)
    return sorted(found)


def test_no_modules_import_each_other(root: Path) -> None:
    assert circles(imports_of_modules(root)) == []


def test_a_circle_would_be_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a", "d"}}) == [["b", "c"]]


def test_no_folder_has_more_than_sixteen_modules(root: Path) -> None:
    folders = {path.parent for folder in FOLDERS for path in (root / folder).rglob("*.py")}
    crowded = {
        str(folder.relative_to(root)): n
        for folder in folders
        if (n := sum(1 for path in folder.glob("*.py") if path.name != "__init__.py")) > LARGEST_FOLDER
    }
    assert crowded == {}


def test_an_upward_import_would_be_found(tmp_path: Path) -> None:
    for folder in FOLDERS:
        (tmp_path / folder).mkdir()
    (tmp_path / "kernels" / "low.py").write_text("def f():\n    from lsr.query.searcher import Searcher\n")
    (tmp_path / "query" / "middle.py").write_text("from lsr.indexer.storage.index import Index\n")
    assert upward_imports(tmp_path) == ["lsr.kernels.low imports lsr.query.searcher"]


BY_PATH = re.compile(
    r"os\.(open|listdir|scandir|stat|rename|replace|unlink|remove|rmdir|mkdir|link|symlink|truncate)\(|shutil\.rmtree|"
    r"\.(unlink|iterdir|glob|rglob|write_text|write_bytes|read_text|read_bytes|is_file|is_dir|exists|stat)\(|"
    r"\.open\(\"[rwxa]|np\.memmap|memory_map|OSFile"
)
"""What reaches a file or folder by its path, so that a link on the way is followed."""

NAMED_BY_THE_USER = {
    "indexer/storage/generations.py": ["found = os.stat(path)"],
    "indexer/transfer/archive.py": ['opened = source.open("rb")'],
    "indexer/transfer/vector_lines.py": ["path.stat().st_size"],
    "indexer/transfer/read_vectors.py": ["text_columns(path, path.stat().st_size)"],
    "indexer/integrity/parquet_limits.py": ['stack.enter_context(place.open("rb"))'],
    "indexer/write/transaction.py": ["if path.exists() and not path.is_dir():", "if not folder.exists()]"],
}


def test_an_index_is_reached_through_descriptors_alone(root: Path) -> None:
    found = []
    for path in sorted((root / "indexer").rglob("*.py")):
        name = path.relative_to(root).as_posix()
        reads_sources = name.startswith("indexer/sources/") and name != "indexer/sources/table.py"
        if name.startswith("indexer/corpus/") or reads_sources:  # which read what users name
            continue
        known = NAMED_BY_THE_USER.get(name, [])
        lines = path.read_text("utf-8").splitlines()
        found += [f"{name}: {line}" for line in lines if BY_PATH.search(line) and not any(k in line for k in known)]
    assert found == []


def test_kernels_know_numpy_and_numba_only(root: Path) -> None:
    third_party = set()
    for path in (root / "kernels").rglob("*.py"):
        third_party |= {name.split(".")[0] for name in imports_of(path)} - set(sys.stdlib_module_names)
    assert third_party <= {"numpy", "numba", "llvmlite", "lsr"}


@pytest.mark.parametrize("module", ["lsr", "lsr.cli.main", "lsr.types", "lsr.errors", "lsr.query.searcher"])
def test_heavy_libraries_come_late(module: str) -> None:
    heavy = ("torch", "transformers", "numba", "pyarrow", "faiss", "beir", "matplotlib")
    code = f"import sys, {module}; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_public_names_are_there() -> None:
    code = "import lsr; print(all(getattr(lsr, name) is not None for name in lsr.__all__))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_the_geometry_of_the_format_is_imported_without_numba() -> None:
    code = "import sys, lsr.kernels.geometry; print('numba' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
