"""Vector instructions that Numba does not generate by itself, each with a plain twin."""
