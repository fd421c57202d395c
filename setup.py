"""List of packages, found in the folders; everything else is in pyproject.toml.

One import package is made of several top folders, which setuptools' search for packages can't express. The
documentation is packed as `lsr/docs`, so that what `--help` names is there wherever the package is installed.
"""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
FOLDERS = {"lsr": "lsr", "lsr.eval": "eval", "lsr.indexer": "indexer", "lsr.kernels": "kernels", "lsr.query": "query"}
DOCUMENTATION = {"lsr.docs": "docs"} | {
    f"lsr.docs.{folder.name}": f"docs/{folder.name}"
    for folder in sorted((ROOT / "docs").iterdir())
    if folder.is_dir() and folder.name.isidentifier()
}

packages = sorted(
    ".".join((package, *init.parent.relative_to(ROOT / folder).parts))
    for package, folder in FOLDERS.items()
    for init in (ROOT / folder).rglob("__init__.py")
)
setup(packages=[*packages, *DOCUMENTATION], package_dir=FOLDERS | DOCUMENTATION)
