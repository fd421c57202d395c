"""Readers of lightweight markup: each takes the marks out line by line, so that every line keeps its place."""
