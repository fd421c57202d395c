"""`lsr doctor`: versions, cores, folders, and the packages that are missing.

The requirements are those of the installed distribution's metadata.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import lsr
import lsr.version
from lsr.cli.common import add_command, documentation_folder
from lsr.output.numbers import human_bytes
from lsr.output.terminal import say

DISTRIBUTION = "lsr-search"
FOR_WHAT = {
    "documents": "reading of PDF, Word, PowerPoint and zstandard files",
    "eval": "BEIR test collections and their measures",
    "dense": "dense vectors beside sparse ones",
    "serve": "lsr serve: a page and a REST API",
    "mcp": "lsr mcp: tools for agents",
    "watch": "lsr watch: an index that follows its folders",
    "data": "Hugging Face datasets, lsr push and lsr pull",
    "store": "lsr publish, indexes in object stores, vectors put into them",
    "ir": "collections of ir_datasets as corpora",
    "ray": "sets of shards on a Ray cluster",
    "torch": "models other than the bundled one",
    "train": "training of encoders",
    "peers": "benchmarks against other engines",
    "lucene": "benchmarks against Lucene",
}
"""Purpose of each extra; extras that are not named here are for those who change the package, and not shown."""


def add_parser(subparsers: Any) -> None:
    """Declare the command."""
    parser = add_command(
        subparsers,
        "doctor",
        "show versions, cores, folders and missing packages",
        "Show versions, cores and folders, and the packages that are missing, each with\n"
        "its purpose. Exit code 1 if indexing or searching lacks one.",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the report; exit code 1 if a package that searching or indexing needs is missing."""
    report = _report()
    missing = [package for package, found in report["packages"].items() if found is None]
    if args.json:
        from lsr.io.printable import json_line

        say(json_line(report))
    else:
        _print(report)
    return int(bool(missing))


def _report() -> dict[str, Any]:
    needed, extras = requirements(DISTRIBUTION)
    return {
        "lsr": lsr.version.__version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "documentation": str(documentation_folder()),
        "kernel_cache": _kernel_cache() if find_spec("numba") and find_spec("numpy") else None,
        "packages": _versions(needed),
        "extras": {extra: _versions(names) for extra, names in extras.items() if extra in FOR_WHAT},
    }


def requirements(distribution: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return the packages that an installed distribution needs, and those that each of its extras adds.

    Of a distribution that is not installed these are the distribution itself, and no extras.
    """
    # Late, since every command loads this module, and the library takes 30 ms.
    from importlib.metadata import PackageNotFoundError, requires

    try:
        declared = requires(distribution) or []
    except PackageNotFoundError:
        return [distribution], {}
    needed: list[str] = []
    extras: dict[str, list[str]] = {}
    for requirement in declared:
        name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
        extra = re.search(r"""extra == ["']([\w.-]+)["']""", requirement)
        (extras.setdefault(extra[1], []) if extra else needed).append(name)
    return needed, extras


def _kernel_cache() -> dict[str, Any]:
    """Return the folder of compiled kernels, and whether it outlives this process."""
    from lsr.kernels.jit.compile import cache_folder, is_kept

    folder = cache_folder()
    compiled = 0 if folder is None else sum(1 for _ in folder.rglob("*.nbc"))
    return {"folder": None if folder is None else str(folder), "kept": is_kept(folder), "compiled": compiled}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _versions(packages: Sequence[str]) -> dict[str, str | None]:
    from importlib.metadata import PackageNotFoundError, version

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
        "lsr": f"{report['lsr']}, from {Path(lsr.version.__file__).parent}",
        "python": f"{report['python']}, {sys.executable}",
        "system": report["system"],
        "processor": f"{report['processor']}, {report['cores']} cores for this process",
        "memory": human_bytes(report["memory_bytes"]),
        "documentation": report["documentation"],
    }
    if cache:
        state = (
            f"{cache['compiled']} kernels compiled"
            if cache["compiled"]
            else "empty: the first use compiles, which takes seconds"
        )
        lines["kernel cache"] = (
            f"{cache['folder']}, {state}"
            if cache["kept"]
            else f"one that can't be written, {state}; set LSR_CACHE to a folder of yours"
            if cache["compiled"]
            else "none: no folder belongs to the user; set LSR_CACHE to one"
        )
    for name, value in lines.items():
        say(f"{name:<14} {value}")
    say("", "needed")
    for package, found in report["packages"].items():
        say(f"  {package:<12} {found or f'MISSING: pip install {package}'}")
    say("", "extras")
    for extra, packages in report["extras"].items():
        absent = [package for package, found in packages.items() if found is None]
        state = "there" if not absent else f"lacks {', '.join(absent)}: pip install 'lsr-search[{extra}]'"
        say(f"  {extra:<12} {FOR_WHAT[extra]}: {state}")
