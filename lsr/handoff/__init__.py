"""Hand-off to other engines: vectors in the form that each loads, with the query side that goes with them."""

from lsr.handoff.opened import open as open  # noqa: A004
