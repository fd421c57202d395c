"""Conversion of models as people publish them into folders that load."""
