"""Benchmarks of reading folders, following them, and finding phrases in what was read."""
