"""Parallel texts, a small multilingual transformer to start from, and test collections across languages."""
