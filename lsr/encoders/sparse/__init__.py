"""Sparse neural encoders and their query sides."""
