"""The list of packages, found; everything else is in pyproject.toml.

One import package comes out of several top folders, which setuptools' own search for packages can't express.
"""

from pathlib import Path

from setuptools import setup

ROOT = Path(__file__).parent
FOLDERS = {"lsr": "lsr", "lsr.eval": "eval", "lsr.indexer": "indexer", "lsr.kernels": "kernels", "lsr.query": "query"}

packages = sorted(
    ".".join((package, *init.parent.relative_to(ROOT / folder).parts))
    for package, folder in FOLDERS.items()
    for init in (ROOT / folder).rglob("__init__.py")
)
setup(packages=packages, package_dir=FOLDERS)
