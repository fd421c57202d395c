"""The settings of approximate search that `lsr bench --approximate` times beside the exact one."""

from __future__ import annotations

from lsr.eval.bench.engine import Setting
from lsr.query.approximate import Approximate

SETTINGS = tuple(
    Setting(f"lsr, {settings}", "lsr", {"reorder": True}, {"approximate": settings}, approximate=True)
    for settings in (
        Approximate(alpha=0.9),
        Approximate(alpha=0.8),
        Approximate(alpha=0.7),
        Approximate(superblocks=10),
        Approximate(superblocks=20),
        Approximate(superblocks=50),
        Approximate(superblocks=200),
        Approximate(query_cut=8),
        Approximate(query_cut=8, superblocks=20),
        Approximate(query_cut=6, superblocks=50),
    )
)
