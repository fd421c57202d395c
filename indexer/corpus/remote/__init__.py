"""Corpora that lie elsewhere: in object stores, on the web, and collections of ir_datasets."""
