"""Measurements of encoding: an account of its steps, and other runtimes beside the kernels."""
