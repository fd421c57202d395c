"""Vector instructions that Numba does not generate, each with a plain twin."""
