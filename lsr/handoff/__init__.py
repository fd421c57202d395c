"""Hand-off to other engines: an index's vectors in the form that each loads, and the query side that goes with them."""

from lsr.handoff.opened import open as open  # noqa: A004
