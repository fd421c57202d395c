"""Lexical encoders: analysis of text into words, BM25, exact words beside a model."""
