"""The settings of approximate search that `lsr bench --approximate` times beside the exact one."""

from __future__ import annotations

from lsr.eval.bench.engine import Setting
from lsr.query.engine.approximate import LEVELS, Approximate

SETTINGS = tuple(
    Setting(f"lsr, {settings}", "lsr", {"reorder": True}, {"approximate": settings}, approximate=True)
    for settings in (
        *(Approximate(level=level) for level in LEVELS),
        Approximate(alpha=0.95),
        Approximate(alpha=0.9),
        Approximate(superblocks=60),
        Approximate(superblocks=480),
        Approximate(query_cut=12, superblocks=480),
        Approximate(query_cut=8, superblocks=50),
    )
)
