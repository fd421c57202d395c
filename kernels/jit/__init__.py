"""Compilation by Numba, and the cache of compiled code."""
