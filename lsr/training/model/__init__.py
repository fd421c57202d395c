"""Encoder in training: its start, frozen layers, fitted head, packaging."""
