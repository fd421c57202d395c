"""One Ray cluster of this machine for all tests, whose token stays in a folder of theirs."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsr.cluster.session import ray_module
from lsr.errors import MissingExtraError

sys.path.insert(0, str(Path(__file__).parent.parent / "shards"))  # for `set_material`
CORES, STORE_BYTES = 4, 128 << 20


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the cluster."""
    try:
        ray = ray_module()
    except MissingExtraError as error:
        pytest.skip(str(error))
    token = tmp_path_factory.mktemp("ray") / "token"
    token.write_text(secrets.token_hex(32))
    given = {"RAY_AUTH_TOKEN_PATH": str(token), "RAY_USAGE_STATS_ENABLED": "0"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in given.items():
            patch.setenv(name, value)
        # Workers compile nothing that this process has compiled.
        patch.setenv("LSR_CACHE", os.environ.get("LSR_CACHE", str(Path.home() / ".cache" / "lsr")))
        context = ray.init(
            num_cpus=CORES, include_dashboard=False, object_store_memory=STORE_BYTES, log_to_driver=False,
            logging_level="ERROR", namespace="lsr",
        )  # fmt: skip
        yield context.address_info["gcs_address"]
        ray.shutdown()
