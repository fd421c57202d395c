"""The kernels pass their tests compiled for other processors than this one, as Numba's variables ask."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from kernel_cases import UNCOMPILED
from llvmlite.binding import get_host_cpu_features

pytestmark = [
    pytest.mark.skipif(UNCOMPILED, reason="nothing is compiled"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the targets are of x86-64"),
]
HOST = dict(get_host_cpu_features()) if platform.machine() == "x86_64" else {}
WITHOUT_AVX512 = ",".join(
    f"{'+' if there and not name.startswith('avx512') else '-'}{name}" for name, there in sorted(HOST.items())
)
AVX2 = {
    name: {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": WITHOUT_AVX512} for name in ("haswell", "skylake", "znver3")
}
NO_AVX: dict[str, dict[str, str]] = {
    "AVX disabled": {"NUMBA_ENABLE_AVX": "0"},
    "generic": {"NUMBA_CPU_NAME": "generic"},
    "generic, no features": {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""},
}

EVERYDAY = ("AVX disabled", "generic", "haswell")
"""Targets for which the tests are compiled every day; code for the others differs little from theirs."""
TESTS = (
    "test_packed_runs.py",
    "test_superblock_bounds.py::test_vector_instructions_do_what_plain_loops_do",
    "test_superblock_bounds.py::test_the_largest_of_four_superblocks",
    "test_superblock_bounds.py::test_upper_bounds_of_any_number_of_rows_and_superblocks",
    "test_search.py::test_every_traversal_equals_the_matrix_however_documents_are_divided",
)
"""The vector kernels, and all traversals in one compiled call."""

needs_avx2 = pytest.mark.skipif(not HOST.get("avx2"), reason="the processor has no AVX2")
targets = [
    pytest.param(
        environment,
        id=name,
        marks=([needs_avx2] if name in AVX2 else []) + ([] if name in EVERYDAY else [pytest.mark.large]),
    )
    for name, environment in {**NO_AVX, **AVX2}.items()
]


def run(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run Python in a process that compiles for a target."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    ours |= {"LSR_PROPERTY_CASES": "40", "PYTHONSAFEPATH": "1"} | environment
    return subprocess.run([sys.executable, *arguments], env=ours, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("environment", targets)
def test_the_kernel_tests_pass_on_other_targets(environment: dict[str, str]) -> None:
    options = ["-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider"]
    done = run(["-m", "pytest", *options, *(str(Path(__file__).parent / name) for name in TESTS)], environment)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def features_of(environment: dict[str, str]) -> list[str]:
    """Return those features that kernels ask about and may use."""
    code = "from lsr.kernels.simd.cpu_features import *; print(*[name for name in REQUIRED if has_feature(name)])"
    done = run(["-c", code], environment)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("environment", NO_AVX.values(), ids=NO_AVX)
def test_where_numba_uses_no_avx_kernels_use_none(environment: dict[str, str]) -> None:
    assert features_of(environment) == []


@needs_avx2
@pytest.mark.parametrize("environment", AVX2.values(), ids=AVX2)
def test_where_numba_uses_no_avx512_kernels_use_avx2(environment: dict[str, str]) -> None:
    assert [name for name in features_of(environment) if "512" in name] == []
    assert "avx2" in features_of(environment)


def test_here_kernels_use_what_the_processor_has() -> None:
    assert features_of({}) == [name for name in features_of({}) if HOST[name]]
    assert ("avx2" in features_of({})) == bool(HOST.get("avx2"))


@pytest.mark.parametrize(
    ("features", "used"),
    [
        ("+avx,+avx2", ["avx2"]),
        ("+avx2,-avx", []),
        ("+avx2,-avx2", []),
        ("-avx2,+avx2", ["avx2"]),
        ("+avx512vnni,+avx512vbmi2,-avx512f", []),
    ],
)
def test_a_feature_counts_by_its_last_mention_and_with_those_it_builds_on(features: str, used: list[str]) -> None:
    assert features_of({"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": features}) == used


def test_compiled_code_of_two_targets_shares_a_folder(tmp_path: Path) -> None:
    """Numba tells them apart in its index, so that no process loads another target's code."""
    code = (
        "import numpy as np; from lsr.kernels.traversals.topk import key_of as k; k(np.uint32(1), 1);"
        "print(sum(k.stats.cache_hits.values()), sum(k.stats.cache_misses.values()))"
    )
    found = [
        run(["-c", code], {"LSR_CACHE": str(tmp_path)} | of).stdout.split()
        for of in (*2 * [{}], *2 * [NO_AVX["generic"]])
    ]
    assert found == [["0", "1"], ["1", "0"], ["0", "1"], ["1", "0"]]
    assert len(list(tmp_path.glob("kernels-*"))) == 1


HALF_AS_WIDE = """
import sys

import pytest

from lsr.kernels.simd import cpu_features

has_feature = cpu_features.has_feature
cpu_features.has_feature = lambda name: name == "avxvnni" or (name != "avx512vnni" and has_feature(name))
from lsr.kernels.simd.dot_products import add_dots

code = pytest.main(sys.argv[1:])
assembly = "".join(add_dots.inspect_asm().values())
assert "vpdpbusd" in assembly and "%zmm" not in assembly, assembly
sys.exit(code)
"""


@pytest.mark.skipif(not HOST.get("avx512vl") or not HOST.get("avx512vnni"), reason="the processor has no such form")
def test_vnni_of_half_as_wide_registers_does_what_plain_loops_do(tmp_path: Path) -> None:
    """AVX-VNNI's instruction in its AVX-512 form, which differs in its encoding alone."""
    test = Path(__file__).parent / TESTS[1].split("::")[0]
    options = ["-q", "-x", "--import-mode=importlib", "-p", "no:cacheprovider", "-k", TESTS[1].split("::")[1]]
    done = run(["-c", HALF_AS_WIDE, *options, str(test)], {"LSR_CACHE": str(tmp_path)})
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    assert "1 passed" in done.stdout
